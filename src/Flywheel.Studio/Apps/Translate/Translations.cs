using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Translate.Formats;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>Who works on a translation, and in which workspace.</summary>
internal sealed record TranslatorPerson(string Name, string Workspace);

/// <summary>
/// What the page Translate keeps. An approved segment is recorded as a demonstration, then put into the memory, then shown as approved;
/// taking it back takes back all three.
/// </summary>
internal sealed class Translations(Documents documents, FlywheelStore store, TranslationMemory memory, TimeProvider time)
{
    public const string App = "translate", DocumentKind = "document", FileKind = "file", StartKind = "start";

    public event Action<Guid>? Changed
    {
        add => documents.Changed += value;
        remove => documents.Changed -= value;
    }

    /// <summary>Makes a document of a file.</summary>
    /// <exception cref="FlywheelException">The file cannot be read, or is too large.</exception>
    public async Task<Guid> CreateAsync(string person, string name, byte[] file, string format, string from, string to, string? engine)
    {
        IReadOnlyList<FileSegment> segments = TranslationFile.Read(file, format, from);
        Guid fileId = Guid.CreateVersion7(time.GetUtcNow()), id = Guid.CreateVersion7(time.GetUtcNow());
        await documents.PutAsync(fileId, person, App, FileKind, name, Convert.ToBase64String(file));
        var body = new TranslationBody
        {
            From = from, To = to, Format = format, File = fileId, Engine = engine ?? "",
            // What has no letter is the same in every language.
            Segments =
                [.. segments.Select(one => new SegmentBody { Block = one.Block, Source = one.Source, After = one.After,
                    Target = one.Source.Any(char.IsLetter) ? "" : one.Source,
                    State = one.Source.Any(char.IsLetter) ? SegmentState.Empty : SegmentState.Machine })],
        };
        await documents.PutAsync(id, person, App, DocumentKind, name, body.ToJson());
        return id;
    }

    public async Task<(Document Document, TranslationBody Body)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: DocumentKind } document
            ? document.Readable(TranslationBody.Parse) : null;

    public async Task<IReadOnlyList<(Document Document, TranslationBody Body)>> ListAsync(string person, bool deleted = false) =>
        [.. (await documents.ListAsync(person, App, DocumentKind, deleted)).Readable(TranslationBody.Parse)];

    /// <summary>All that a person has here, with what cannot be read any more: translations, and what was typed for one.</summary>
    public async Task<(IReadOnlyList<(Document Document, TranslationBody Body)> Whole, IReadOnlyList<Damaged> Damaged)> LibraryAsync(
        string person, bool deleted = false)
    {
        var (whole, damaged) = (await documents.ListAsync(person, App, DocumentKind, deleted)).Sorted(TranslationBody.Parse);
        return (whole, [.. damaged, .. (await documents.ListAsync(person, App, StartKind, deleted)).Sorted(StartBody.Parse).Damaged]);
    }

    public async Task<StartBody> StartAsync(string person) =>
        (await documents.ListAsync(person, App, StartKind)).Readable(StartBody.Parse).Select(one => one.Body).FirstOrDefault()
            ?? new StartBody();

    /// <summary>Puts on disk what was chosen or typed where a translation begins; see <see cref="SaveTargetAsync"/> for what it
    /// returns.</summary>
    public async Task<string?> SaveStartAsync(string person, Func<StartBody, StartBody> change, string? text = null, string? over = null)
    {
        Guid id = await documents.OnlyAsync(person, App, StartKind, StartBody.Parse, new StartBody().ToJson());
        string? theirs = null;
        await documents.ChangeAsync(id, person, document =>
        {
            StartBody body = StartBody.Parse(document.Body);
            if (text is not null && body.Text != over && body.Text != text)
            {
                theirs = body.Text;
                return false;
            }
            document.Body = change(body).ToJson();
            return true;
        });
        return theirs;
    }

    /// <summary>Puts a translation on disk if the segment still says what it said when it was typed over; else nothing is
    /// changed.</summary>
    /// <returns>Null, or what another window has written there.</returns>
    /// <exception cref="FlywheelException">The person has no such document.</exception>
    public async Task<string?> SaveTargetAsync(Guid id, TranslatorPerson person, int number, string text, string over)
    {
        string? theirs = null;
        SegmentBody? approved = null;
        Document? changed = await documents.ChangeAsync(id, person.Name, document =>
        {
            TranslationBody body = TranslationBody.Parse(document.Body);
            SegmentBody now = body.Segments[number];
            if (now.Target == text) return false;
            if (now.Target != over)
            {
                theirs = now.Target;
                return false;
            }
            if (now.State == SegmentState.Approved) approved = now;
            body.Segments[number] = now with { Target = text, State = text.Trim().Length == 0 ? SegmentState.Empty : SegmentState.Edited };
            document.Body = body.ToJson();
            return true;
        });
        if (changed is null) throw new FlywheelException($"there is no translation {id} of yours");
        if (approved is not null) await TakeBackAsync(id, person, number, approved);
        return theirs;
    }

    /// <summary>Puts drafts into the segments that are still empty (or, where it is asked for, that nobody has written in).</summary>
    public Task FillAsync(Guid id, string person, IReadOnlyDictionary<int, TranslatedSegment> drafts, bool again = false) =>
        documents.ChangeAsync(id, person, document =>
    {
        TranslationBody body = TranslationBody.Parse(document.Body);
        foreach ((int number, TranslatedSegment draft) in drafts)
            if (body.Segments[number] is { } now && draft.Target.Length > 0 && (now.State == SegmentState.Empty || again))
                body.Segments[number] = now with { Target = draft.Target, Draft = draft.Target, State = SegmentState.Machine,
                    Origin = draft.Origin, Score = draft.Score, Generation = draft.Generation };
        document.Body = body.ToJson();
        return true;
    });

    /// <summary>
    /// Approves a segment's translation: recorded as what the person wanted, put into the memory, and taken for every segment of the same
    /// source in which nobody has written.
    /// </summary>
    /// <returns>The segments as they were, by number, for <see cref="UndoAsync"/>; empty when there was nothing to approve.</returns>
    public async Task<IReadOnlyDictionary<int, SegmentBody>> ApproveAsync(Guid id, TranslatorPerson person, int number, string text)
    {
        text = text.Trim();
        if (await FindAsync(id, person.Name) is not var (_, body) || text.Length == 0) return new Dictionary<int, SegmentBody>();
        SegmentBody segment = body.Segments[number];
        if (segment.State == SegmentState.Approved && segment.Target.Trim() == text) return new Dictionary<int, SegmentBody>();
        Guid? request = await TeachAsync(id, person, body, number, text);
        Dictionary<int, SegmentBody> before = [];
        await documents.ChangeAsync(id, person.Name, document =>
        {
            TranslationBody now = TranslationBody.Parse(document.Body);
            string source = MemoryIndex.Plain(segment.Source);
            for (int i = 0; i < now.Segments.Count; i++)
            {
                SegmentBody one = now.Segments[i];
                if (i != number && (one.State > SegmentState.Machine || MemoryIndex.Plain(one.Source) != source)) continue;
                before[i] = one;
                now.Segments[i] = i == number ? one with { Target = text, State = SegmentState.Approved, Request = request ?? one.Request }
                    : one with { Target = text, State = SegmentState.Approved, Origin = "repeat", Score = null, Generation = null,
                        Draft = "" };
            }
            document.Body = now.ToJson();
            return true;
        });
        // What was recorded stays its row when the approval is taken back and given again.
        before[number] = before[number] with { Request = request ?? before[number].Request };
        return before;
    }

    /// <summary>Puts segments back to what they were before they were approved.</summary>
    public async Task UndoAsync(Guid id, TranslatorPerson person, IReadOnlyDictionary<int, SegmentBody> before)
    {
        TranslationBody? body = null;
        await documents.ChangeAsync(id, person.Name, document =>
        {
            body = TranslationBody.Parse(document.Body);
            foreach ((int number, SegmentBody segment) in before) body.Segments[number] = segment;
            document.Body = body.ToJson();
            return true;
        });
        foreach ((int number, SegmentBody segment) in before)
        {
            if (body is null || segment.Origin == "repeat" || (segment.Request ?? segment.Generation) is null) continue;
            if (segment.State == SegmentState.Approved) await TeachAsync(id, person, body, number, segment.Target.Trim());
            else await TakeBackAsync(id, person, number, segment);
        }
    }

    /// <summary>Records what a person wants instead of a draft, and remembers it.</summary>
    /// <returns>The row that it is about, where no model drafted.</returns>
    private async Task<Guid?> TeachAsync(Guid id, TranslatorPerson person, TranslationBody body, int number, string text)
    {
        SegmentBody segment = body.Segments[number];
        Guid? request = null;
        if (segment.Generation is null)
        {
            request = segment.Request ?? Guid.CreateVersion7(time.GetUtcNow());
            if (segment.Request is null) await store.RecordAsync(Asked(request.Value, person, body, segment.Source));
        }
        bool kept = segment.Generation is not null && text == segment.Draft.Trim();
        var tags = new JsonObject
        {
            ["drafted_by"] = segment.Origin.Length > 0 ? segment.Origin : "person", ["source_language"] = body.From,
            ["target_language"] = body.To, ["document"] = id.ToString(), ["segment"] = $"{number}",
        };
        await store.AddFeedbackAsync(new FeedbackInput(segment.Generation ?? request!.Value, kept ? Metrics.Keep : Metrics.Demonstration,
            kept ? true : text, person.Name, tags) { Workspace = person.Workspace });
        await memory.AddAsync(new(person.Workspace, body.From, body.To), person.Name, segment.Source, text,
            number > 0 ? body.Segments[number - 1].Source : "", id, number);
        return request;
    }

    private async Task TakeBackAsync(Guid id, TranslatorPerson person, int number, SegmentBody segment)
    {
        if ((segment.Generation ?? segment.Request) is { } about)
            await store.AddFeedbackAsync(new FeedbackInput(about, Metrics.Retract, true, person.Name) { Workspace = person.Workspace });
        await memory.ForgetAsync(person.Workspace, id, number);
    }

    /// <summary>The request that a person answered: as a model would have been asked, with no model's answer. The text that is learnt is
    /// the feedback's.</summary>
    private Generation Asked(Guid id, TranslatorPerson person, TranslationBody body, string source) => new()
    {
        Id = id, Group = id, Time = time.GetUtcNow(), App = App, User = person.Name, Workspace = person.Workspace, ModelHash = "",
        FinishReason = FinishReason.Stop,
        Payload = new GenerationPayload
        {
            GenerationId = id, Conversation = TranslationPrompt.Ask(source, body.From, body.To), Text = "", PromptTokens = [], Tokens = [],
            Logprobs = [], SamplerLogprobs = [], Sampler = new SamplerOptions(),
        },
    };

    /// <summary>How many approved translations stand in the record: this person's, and the workspace's.</summary>
    public async Task<(int Own, int All)> CountAsync(TranslatorPerson person)
    {
        await using FlywheelDb db = store.Tables();
        IQueryable<TranslationUnit> units = db.TranslationUnits.Where(row => row.Workspace == person.Workspace && row.DocumentId != null);
        return (await units.CountAsync(row => row.User == person.Name), await units.CountAsync());
    }

    /// <summary>The document says again what it said in a version. What is taught and remembered is not changed by it: that is each
    /// approval's.</summary>
    public Task RestoreAsync(Guid id, string person, DocumentVersion version) => documents.ChangeAsync(id, person, document =>
    {
        document.Body = version.Body;
        return true;
    }, keepVersion: true);

    /// <summary>The translated file, its name and media type; null when the person has no such document.</summary>
    public async Task<(byte[] File, string Name, string MediaType)?> ExportAsync(Guid id, string person)
    {
        if (await FindAsync(id, person) is not var (document, body)
            || await documents.FindAsync(body.File, person) is not { Kind: FileKind } file) return null;
        ITextFormat format = TranslationFile.Named(body.Format);
        byte[] read = Stored.Read(file.Body, Convert.FromBase64String)
            ?? throw new FlywheelException(
                $"the file of '{document.Title}' is damaged in the record, expected the bytes from which the translation was begun");
        byte[] written = TranslationFile.Write(read, body.Format, [.. body.Segments.Select(segment => (segment.InFile, segment.Target))],
            body.To);
        string name = Path.GetFileNameWithoutExtension(document.Title.Trim());
        name = string.Concat(
            (name.Length > 0 ? name : "translation").Select(c => char.IsLetterOrDigit(c) || c is '-' or '_' or ' ' or '.' ? c : '-'));
        return (written, $"{name}.{body.To}{format.Extension}", format.MediaType);
    }

    /// <summary>The name of a text that was pasted: its beginning.</summary>
    public static string TitleOf(string text)
    {
        string line = MemoryIndex.Plain(text.Trim().Split('\n')[0].TrimStart('#', '-', '*', '>', ' '));
        if (line.Length <= 60) return line;
        int end = line.LastIndexOf(' ', 59);
        return line[..(end > 20 ? end : char.IsHighSurrogate(line[58]) ? 58 : 59)] + "…";
    }

    /// <summary>Whether a pasted text is Markdown, subtitles or neither.</summary>
    public static string GuessFormat(string text)
    {
        string[] lines = [.. text.Split('\n').Select(line => line.TrimEnd())];
        if (lines.Count(line => line.Contains(" --> ", StringComparison.Ordinal)) is > 0 and int times
            && 5 * times >= lines.Count(line => line.Length > 0) - 5) return "srt";
        bool marks =
            lines.Any(line => line.StartsWith("# ", StringComparison.Ordinal) || line.StartsWith("## ", StringComparison.Ordinal)
                || line.StartsWith("```", StringComparison.Ordinal))
            || text.Contains("](", StringComparison.Ordinal) || text.Contains("**", StringComparison.Ordinal);
        return marks ? "markdown" : "text";
    }

    public static byte[] FileOf(string text) => Encoding.UTF8.GetBytes(text);
}
