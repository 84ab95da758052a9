using System.Runtime.CompilerServices;
using Flywheel.Engine;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

/// <summary>Whose an archive becomes.</summary>
/// <param name="Person">The user whose everything in it is from now on.</param>
/// <param name="Workspace">Where.</param>
public sealed record ArchiveTarget(string Person, string Workspace = WorkspaceRow.Default)
{
    /// <summary>They agree that models learn from what is said in it about answers; else curation drops that.</summary>
    public bool MayTeach { get; init; }

    /// <summary>Of a workspace's archive: users in it who are somebody else here.</summary>
    public IReadOnlyDictionary<string, string> People { get; init; } = new Dictionary<string, string>();
}

/// <summary>How a document of an archive is taken.</summary>
/// <param name="IsTaken">False for what means nothing elsewhere, such as a link to the other server.</param>
/// <param name="IsOnlyOne">A person has one of its kind; theirs stays.</param>
/// <param name="Id">The id that follows from whose it is; null: its own.</param>
/// <param name="Owner">Whose it is where that is no person; null: whoever imports it.</param>
public sealed record DocumentRule(bool IsTaken, bool IsOnlyOne = false, Guid? Id = null, string? Owner = null);

/// <summary>Says how a document is taken; null where it is damaged: it cannot be what it says, and no page shall meet it.</summary>
/// <param name="app">The application whose it is.</param>
/// <param name="kind">What it is to that.</param>
/// <param name="body">What a version of it says.</param>
/// <param name="person">Whose it becomes.</param>
public delegate DocumentRule? DocumentRules(string app, string kind, string body, string person);

/// <summary>What became of one kind.</summary>
/// <param name="Name">Of the file in the archive, without its ending.</param>
public sealed record ArchiveCount(string Name)
{
    /// <summary>Put into the record.</summary>
    public int Imported { get; set; }

    /// <summary>Of these: under a new id, since another row here has the old one.</summary>
    public int Renamed { get; set; }

    /// <summary>The same is here already.</summary>
    public int Known { get; set; }

    /// <summary>Of a thing that there is one of, another is here, which stays.</summary>
    public int Stayed { get; set; }

    /// <summary>It cannot be read, here as where it came from.</summary>
    public int Damaged { get; set; }

    /// <summary>It means nothing here: it is about what is not in the archive, or belongs to the other server.</summary>
    public int LeftOut { get; set; }
}

/// <summary>
/// Puts an archive into the record: everything becomes one person's in one workspace, nothing that is here is changed, and either all of it
/// is in or, where
/// anything is wrong, nothing. An id that is free stays; where the same is here already it is passed over; else it gets a new id, in
/// whatever names it, too.
/// What was served elsewhere is marked so (<see cref="Generation.Origin"/>). Read twice: once to look, once to write.
/// </summary>
public sealed partial class ArchiveImport(FlywheelStore store, TimeProvider time)
{
    private const int Batch = 500, MaxName = 200, MaxApp = 60, MaxTitle = 2000;

    /// <summary>Rows that stand in the table of one kind.</summary>
    private sealed class Ids(string name)
    {
        public ArchiveCount Count { get; } = new(name);

        /// <summary>Incoming ids in their order, with a hash of what they say.</summary>
        public Dictionary<Guid, string> Said { get; } = [];

        /// <summary>What each is here.</summary>
        public Dictionary<Guid, Guid> Here { get; } = [];

        /// <summary>Those that are written.</summary>
        public HashSet<Guid> Fresh { get; } = [];
    }

    private sealed record Existing(bool IsMine, string Said);

    /// <param name="file">The archive.</param>
    /// <param name="target">Whose it becomes.</param>
    /// <param name="rules">How documents are taken.</param>
    /// <param name="recordings">Of each person hashes of their recordings in it and what each is here.</param>
    /// <param name="cancellation">Stops it; nothing is left then.</param>
    /// <returns>Of each kind in the archive what became of it.</returns>
    /// <exception cref="FlywheelException">Something in it is wrong; the message names the file in it, and the line.</exception>
    public async Task<IReadOnlyList<ArchiveCount>> RunAsync(ArchiveFile file, ArchiveTarget target, DocumentRules rules,
        IReadOnlyDictionary<string, Dictionary<string, string>>? recordings = null, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        Actor.Demand(Scopes.Feedback);
        await using FlywheelDb db = store.Database.Open(inOrder: true); // feedback is numbered
        db.Workspace = target.Workspace;
        await CheckOpenAsync();
        // To look takes as long as the archive is large: nobody waits for it. What it found is asked once more where nobody else writes.
        Run run = await LookAsync();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        await CheckOpenAsync();
        if (!await run.StillHoldsAsync()) run = await LookAsync(); // somebody wrote what decides: rare, and then they wait
        await run.WriteAsync();
        db.Audit.Add(AuditAct.Row(AuditAct.Import, time.GetUtcNow(), target.Person,
            $"{(file.IsOfAWorkspace ? "a workspace" : "a person")} into {target.Workspace}"));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return run.Counts;

        async Task<Run> LookAsync()
        {
            var looked = new Run(db, file, target, rules, recordings ?? new Dictionary<string, Dictionary<string, string>>(), cancellation);
            await looked.LookAsync();
            return looked;
        }

        async Task CheckOpenAsync()
        {
            if (!await db.Workspaces.AnyAsync(row => row.Id == target.Workspace && row.Archived == null, cancellation))
                throw new FlywheelException($"there is no open workspace with the id '{ArchiveFile.Short(target.Workspace)}'");
        }
    }

    /// <summary>What each person's documents say in all their versions, of one application.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="target">Whose it becomes.</param>
    /// <param name="app">Whose documents.</param>
    /// <param name="kind">Of which kind.</param>
    /// <param name="cancellation">Stops it.</param>
    public static async IAsyncEnumerable<(string Person, string Body)> BodiesAsync(ArchiveFile file, ArchiveTarget target, string app,
        string kind, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        Dictionary<Guid, string> people = [];
        await foreach ((DocumentLine line, _) in file.LinesAsync<DocumentLine>("documents", cancellation))
            if (line.App == app && line.Kind == kind) people[line.Id] = OwnerOf(target, line);
        if (people.Count == 0) yield break;
        await foreach ((VersionLine line, _) in file.LinesAsync<VersionLine>("document-versions", cancellation))
            if (people.TryGetValue(line.Document, out string? person)) yield return (person, line.Body);
    }

    private static string OwnerOf(ArchiveTarget target, IArchiveLine line) =>
        line.User is { } user && target.People.TryGetValue(user, out string? here) ? here : target.Person;

    private sealed partial class Run(FlywheelDb db, ArchiveFile file, ArchiveTarget target, DocumentRules rules,
        IReadOnlyDictionary<string, Dictionary<string, string>> recordings, CancellationToken cancellation)
    {
        private static readonly Dictionary<string, string> s_none = [];

        private readonly Ids _generations = new("generations"), _feedback = new("feedback"), _documents = new("documents"),
            _chats = new("chats"), _translations = new("translations"), _terms = new("terms");
        private readonly Dictionary<Guid, Guid> _groups = [], _messages = [];
        private readonly List<Guid> _freeGroups = [];
        private HashSet<(string From, string To, string Source, string Target, string Forbidden, string Note)>? _glossary;
        private readonly Dictionary<Guid, (DocumentLine Line, DocumentRule Rule)> _rules = [];

        /// <summary>Every id that another one stands for here, in texts.</summary>
        private readonly Dictionary<Guid, Guid> _renamed = [];

        public IReadOnlyList<ArchiveCount> Counts =>
            [.. new[] { _generations, _feedback, _documents, _chats, _translations, _terms }.Select(ids => ids.Count)
            .Where(count => count.Imported + count.Known + count.Stayed + count.Damaged + count.LeftOut > 0)];

        private string OwnerOf(IArchiveLine line) => ArchiveImport.OwnerOf(target, line);

        // Then: into the tables.

        public async Task WriteAsync()
        {
            await PutAsync<GenerationLine>("generations", line => _generations.Fresh.Contains(line.Id),
                line => db.Generations.Add(RowOf(line)));
            await PutAsync<FeedbackLine>("feedback", line => _feedback.Fresh.Contains(line.Id), line => db.Feedback.Add(new Feedback
            {
                Id = _feedback.Here[line.Id], Time = line.Time, GenerationId = _generations.Here[line.About], Metric = line.Metric,
                Value = Text(line, line.Value), Tags = Text(line, line.Tags), Source = line.Source,
                User = OwnerOf(line), Workspace = target.Workspace,
            }));
            await PutAsync<DocumentLine>("documents", line => _documents.Fresh.Contains(line.Id), line => db.Documents.Add(new DocumentRow
            {
                Id = _documents.Here[line.Id], Workspace = target.Workspace, User = _rules[line.Id].Rule.Owner ?? OwnerOf(line),
                App = line.App, Kind = line.Kind, Title = line.Title, Folder = line.Folder,
                Tags = line.Tags, Version = line.Version, Created = line.Created, Updated = line.Updated, Deleted = line.Deleted,
            }));
            await PutAsync<VersionLine>("document-versions", line => _documents.Fresh.Contains(line.Document),
                line => db.DocumentVersions.Add(new DocumentVersion
            {
                DocumentId = _documents.Here[line.Document], Number = line.Number, Time = line.Time,
                User = OwnerOf(_rules[line.Document].Line), Body = Text(_rules[line.Document].Line, line.Body),
            }));
            await PutAsync<ChatLine>("chats", line => _chats.Fresh.Contains(line.Id), line => db.Conversations.Add(new ConversationRow
            {
                Id = _chats.Here[line.Id], Workspace = target.Workspace, User = OwnerOf(line), App = line.App, Folder = line.Folder,
                Title = line.Title, Tags = line.Tags,
                Leaf = line.Leaf is { } leaf ? _messages[leaf] : null, Created = line.Created, Updated = line.Updated,
                Deleted = line.Deleted,
            }));
            await PutAsync<MessageLine>("chat-messages", line => _chats.Fresh.Contains(line.Chat),
                line => db.ConversationMessages.Add(new ConversationMessage
            {
                Id = _messages[line.Id], ConversationId = _chats.Here[line.Chat],
                ParentId = line.Parent is { } parent ? _messages[parent] : null,
                GenerationId = line.Generation is { } answer && _generations.Here.TryGetValue(answer, out Guid here) ? here : null,
                Time = line.Time, Body = Text(line, line.Body),
            }));
            await PutAsync<TranslationLine>("translations", line => _translations.Fresh.Contains(line.Id), line =>
            {
                Guid? document = line.Document is { } of && _documents.Here.TryGetValue(of, out Guid here) ? here : null;
                db.TranslationUnits.Add(new TranslationUnit
                {
                    Id = _translations.Here[line.Id], Workspace = target.Workspace, User = OwnerOf(line), SourceLanguage = line.From,
                    TargetLanguage = line.To, Source = line.Source, Target = line.Target,
                    Context = line.Context, DocumentId = document, Segment = document is null ? null : line.Segment, Created = line.Created,
                    Updated = line.Updated,
                });
            });
            await PutAsync<TermLine>("terms", line => _terms.Fresh.Contains(line.Id), line => db.Terms.Add(new TermRow
            {
                Id = _terms.Here[line.Id], Workspace = target.Workspace, User = OwnerOf(line), SourceLanguage = line.From,
                TargetLanguage = line.To, Source = line.Source, Target = line.Target,
                Forbidden = line.Forbidden, Note = line.Note, Created = line.Created, Updated = line.Updated,
            }));
        }

        private Generation RowOf(GenerationLine line) => new()
        {
            Id = _generations.Here[line.Id], Group = _groups[line.Group], Choice = line.Choice, Time = line.Time, App = line.App,
            User = OwnerOf(line), Workspace = target.Workspace,
            // Who refused elsewhere has not agreed here.
            Consent = target.MayTeach && line.MayTeach != false ? Consent.Given : Consent.Refused,
            ModelHash = "", Origin = line.Model ?? "", Upstream = line.Upstream, FinishReason = line.Finish,
            NumPromptTokens = line.PromptTokens, NumTokens = line.AnswerTokens,
            Payload = new GenerationPayload
            {
                GenerationId = _generations.Here[line.Id],
                Conversation = line.Conversation is { } asked ? Conversation.Parse(Text(line, asked)) : null, Text = Text(line, line.Text),
                PromptTokens = [], Tokens = [], Logprobs = [], SamplerLogprobs = [], Sampler = new SamplerOptions(),
            },
        };

        private string Text(IArchiveLine line, string text) =>
            ArchiveText.Renamed(text, _renamed, recordings.GetValueOrDefault(OwnerOf(line)) ?? s_none);

        private async Task PutAsync<TLine>(string name, Func<TLine, bool> isFresh, Action<TLine> add) where TLine : IArchiveLine
        {
            int waiting = 0;
            await foreach ((TLine line, _) in file.LinesAsync<TLine>(name, cancellation))
            {
                if (!isFresh(line)) continue;
                add(line);
                if (++waiting < Batch) continue;
                await SaveAsync();
                waiting = 0;
            }
            await SaveAsync();
        }

        private async Task SaveAsync()
        {
            await db.SaveChangesAsync(cancellation);
            db.ChangeTracker.Clear();
        }
    }
}
