using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write;

/// <summary>What the page Write keeps: briefs with their drafts, kept texts, and each person's brand voice. Every act is recorded as
/// feedback first.</summary>
internal sealed class Briefs(Documents documents, FlywheelStore store, TimeProvider time)
{
    public const string App = "write", BriefKind = "brief", TextKind = "text", VoiceKind = "voice", FormsKind = "forms";

    /// <summary>A brief that is a row of a table: it can be opened like any other, and is listed with its table.</summary>
    public const string RowKind = "bulk-row";

    private const string WelcomeKind = "welcome";

    /// <summary>Sets of drafts that a brief shows; of older ones the kept texts remain.</summary>
    private const int MaxSets = 40;

    /// <summary>Examples in a prompt. More would crowd out the brief in a small model's context.</summary>
    private const int MaxExamples = 3;

    public event Action<Guid>? Changed
    {
        add => documents.Changed += value;
        remove => documents.Changed -= value;
    }

    public async Task<(Document Document, BriefBody Body)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: BriefKind or RowKind } document
            ? document.Readable(BriefBody.Parse) : null;

    public async Task<IReadOnlyList<(Document Document, BriefBody Body)>> ListAsync(string person, bool deleted = false) =>
        [.. (await documents.ListAsync(person, App, BriefKind, deleted)).Readable(BriefBody.Parse)];

    /// <summary>All that a person has here, with what cannot be read any more: briefs, texts, the brand voice and the forms of
    /// facts.</summary>
    public async Task<(IReadOnlyList<(Document Document, BriefBody Body)> Briefs, IReadOnlyList<(Document Document, KeptText Text)> Texts,
        IReadOnlyList<Damaged> Damaged)> LibraryAsync(string person, bool deleted = false)
    {
        var briefs = (await documents.ListAsync(person, App, BriefKind, deleted)).Sorted(BriefBody.Parse);
        var texts = (await documents.ListAsync(person, App, TextKind, deleted)).Sorted(KeptText.Parse);
        return (briefs.Whole, texts.Whole, [.. briefs.Damaged, .. texts.Damaged,
            .. (await documents.ListAsync(person, App, VoiceKind, deleted)).Sorted(BrandVoice.Parse).Damaged,
            .. (await documents.ListAsync(person, App, FormsKind, deleted)).Sorted(KeptForms.Parse).Damaged]);
    }

    /// <summary>Makes a brief of the id, unless this person has it already; an id that is something else's is passed over.</summary>
    public async Task<Guid> CreateAsync(Guid id, string person, BriefFields fields)
    {
        string title = fields.Name.Trim(), body = new BriefBody { Fields = fields }.ToJson();
        if (await documents.AddAsync(id, person, App, BriefKind, title, body) is { App: App, Kind: BriefKind }) return id;
        return (await documents.PutAsync(Guid.CreateVersion7(time.GetUtcNow()), person, App, BriefKind, title, body)).Id;
    }

    /// <summary>This person has begun and kept nothing yet, not in the bin either, and has not sent the welcome away.</summary>
    public async Task<bool> IsFirstVisitAsync(string person)
    {
        foreach (string kind in (string[])[WelcomeKind, BriefKind, TextKind])
            foreach (bool deleted in (bool[])[false, true])
                if ((await documents.ListAsync(person, App, kind, deleted)).Count > 0) return false;
        return true;
    }

    public Task DismissWelcomeAsync(string person) =>
        documents.PutAsync(Guid.CreateVersion7(time.GetUtcNow()), person, App, WelcomeKind, "", "{}");

    /// <summary>Puts one field on disk if it still says what it said when it was typed over; else nothing is changed.</summary>
    /// <returns>Null, or what another window has written there.</returns>
    public async Task<string?> SaveFieldAsync(Guid id, string person, string field, string text, string over)
    {
        string? theirs = null;
        Document? document = await documents.ChangeAsync(id, person, document =>
        {
            BriefBody body = BriefBody.Parse(document.Body);
            string now = body.Fields[field];
            if (now != over && now != text)
            {
                theirs = now;
                return false;
            }
            body = body with { Fields = body.Fields.With(field, text) };
            (document.Body, document.Title) = (body.ToJson(), body.Fields.Name.Trim());
            return true;
        });
        return document is null ? throw new FlywheelException($"there is no brief {id} of yours") : theirs;
    }

    public async Task AddSetAsync(Guid id, string person, DraftSet set) =>
        await ChangeBodyAsync(id, person, body => body with { Sets = [set, .. body.Sets.Take(MaxSets - 1)] });

    /// <summary>Changes the drafts of a set.</summary>
    public Task ChangeSetAsync(Guid id, string person, Guid set, Func<Draft, int, Draft> change) =>
        ChangeBodyAsync(id, person, body => body with
    {
        Sets = [.. body.Sets.Select(one => one.Id == set ? one with { Drafts = [.. one.Drafts.Select(change)] } : one)],
    });

    /// <summary>Text of an edit that goes on; it counts when it is finished.</summary>
    public Task SaveEditAsync(Guid id, string person, DraftSet set, Guid generation, string? text) =>
        ChangeSetAsync(id, person, set.Id, (draft, _) => draft.Generation == generation ? draft with { Edit = text } : draft);

    /// <summary>
    /// What a person did with a draft: recorded, then shown in the brief, then kept in (or taken out of) the library.
    /// Ready takes back what was done.
    /// </summary>
    public async Task ActAsync(Guid id, string person, DraftSet set, Guid generation, DraftState state, string text = "")
    {
        Draft draft = set.Drafts.Single(one => one.Generation == generation);
        text = text.Trim();
        // A text that was looked at and left as the model wrote it is a text that was kept.
        if (state == DraftState.Edited && text == draft.Written.Trim()) state = DraftState.Kept;
        (string metric, JsonNode value) = state switch
        {
            DraftState.Kept => (Metrics.Keep, (JsonNode)true),
            DraftState.Edited => (Metrics.Demonstration, text),
            DraftState.Discarded => (Metrics.Discard, true),
            _ => (Metrics.Retract, true),
        };
        FeedbackReceipt receipt = await store.AddFeedbackAsync(new FeedbackInput(generation, metric, value, person));
        string shown = state == DraftState.Edited ? text : draft.Written.Trim();
        await ChangeSetAsync(id, person, set.Id,
            (one, _) => one.Generation == generation ? one with { State = state, Text = shown, Edit = null } : one);
        // The generation's id is also the text's: keeping twice keeps one.
        if (state is DraftState.Kept or DraftState.Edited)
        {
            var kept = new KeptText
            {
                Text = shown, Kind = set.Kind, Name = set.Fields.Name.Trim(), Brief = id, Generation = generation, Feedback = receipt.Id,
                Asked = (set.Fields with { Kind = set.Kind }).ToConversation().Messages[^1].Text,
            };
            Document? brief = await documents.FindAsync(id, person);
            await documents.PutAsync(generation, person, App, TextKind, kept.Name, kept.ToJson(), brief?.Folder ?? "");
        }
        else if (await documents.FindAsync(generation, person) is not null) await documents.DeleteAsync(generation, person);
    }

    /// <summary>Kept texts with what they say now, the latest first.</summary>
    public async Task<IReadOnlyList<(Document Document, KeptText Text)>> TextsAsync(string person, bool deleted = false) =>
        [.. (await documents.ListAsync(person, App, TextKind, deleted)).Readable(KeptText.Parse)];

    public async Task<(Document Document, KeptText Text)?> FindTextAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: TextKind } document ? document.Readable(KeptText.Parse) : null;

    /// <summary>Puts a kept text's words on disk as they are typed; see <see cref="SaveFieldAsync"/>. What it said before a sitting stays
    /// as a version.</summary>
    public async Task<string?> SaveTextAsync(Guid id, string person, string text, string over, bool begins)
    {
        string? theirs = null;
        Document? document = await documents.ChangeAsync(id, person, document =>
        {
            KeptText kept = KeptText.Parse(document.Body);
            if (kept.Text != over && kept.Text != text)
            {
                theirs = kept.Text;
                return false;
            }
            document.Body = (kept with { Text = text }).ToJson();
            return true;
        }, keepVersion: begins);
        return document is null ? throw new FlywheelException($"there is no text {id} of yours") : theirs;
    }

    /// <summary>An edit of a kept text is finished: what it says now is what the person wanted, and an example from now on.</summary>
    public async Task FinishTextAsync(Guid id, string person)
    {
        if (await FindTextAsync(id, person) is not { Text: { } kept } || kept.Text.Trim().Length == 0) return;
        IReadOnlyList<Feedback> said = await store.FeedbackAsync(kept.Generation);
        if (said.LastOrDefault(row => row.User == person && row.Metric == Metrics.Demonstration) is { } last
            && last.Text == kept.Text.Trim()) return;
        FeedbackReceipt receipt =
            await store.AddFeedbackAsync(new FeedbackInput(kept.Generation, Metrics.Demonstration, kept.Text.Trim(), person));
        await documents.ChangeAsync(id, person, document =>
        {
            document.Body = (KeptText.Parse(document.Body) with { Feedback = receipt.Id }).ToJson();
            return true;
        });
    }

    /// <summary>A kept text's document says what it said in a version.</summary>
    public async Task RestoreTextAsync(Guid id, string person, DocumentVersion version)
    {
        await documents.ChangeAsync(id, person, document =>
        {
            document.Body = (KeptText.Parse(document.Body) with { Text = KeptText.Parse(version.Body).Text }).ToJson();
            return true;
        }, keepVersion: true);
        await FinishTextAsync(id, person);
    }

    /// <summary>The person's latest kept texts of a kind, of other briefs first: what the next prompt shows.</summary>
    public async Task<IReadOnlyList<KeptText>> ExamplesAsync(string person, string kind, Guid? brief) =>
        [.. (await TextsAsync(person)).Select(one => one.Text).Where(text => text.Kind == kind && text.Text.Trim().Length > 0)
            .OrderBy(text => text.Brief == brief).DistinctBy(text => text.Text.Trim()).Take(MaxExamples)];

    public async Task<BrandVoice> VoiceAsync(string person) =>
        (await documents.ListAsync(person, App, VoiceKind)).Readable(BrandVoice.Parse).Select(one => one.Body).FirstOrDefault()
            ?? new BrandVoice();

    /// <summary>Puts one field of the brand voice on disk; see <see cref="SaveFieldAsync"/>.</summary>
    public async Task<string?> SaveVoiceAsync(string person, string field, string text, string over)
    {
        Guid id = await documents.OnlyAsync(person, App, VoiceKind, BrandVoice.Parse, new BrandVoice().ToJson());
        string? theirs = null;
        await documents.ChangeAsync(id, person, document =>
        {
            BrandVoice voice = BrandVoice.Parse(document.Body);
            if (voice[field] != over && voice[field] != text)
            {
                theirs = voice[field];
                return false;
            }
            document.Body = voice.With(field, text).ToJson();
            return true;
        });
        return theirs;
    }

    /// <summary>What a person corrected in how facts are said.</summary>
    public async Task<FactCorrections> FormsAsync(string person) =>
        (await documents.ListAsync(person, App, FormsKind)).Readable(KeptForms.Parse).Select(one => one.Body)
            .FirstOrDefault() is { Facts.Count: > 0 } kept ? new(kept.Facts) : FactCorrections.None;

    /// <summary>Keeps how a person wants a fact said.</summary>
    public async Task KeepFormAsync(string person, FactCorrection correction)
    {
        Guid id = await documents.OnlyAsync(person, App, FormsKind, KeptForms.Parse, new KeptForms().ToJson());
        await documents.ChangeAsync(id, person, document =>
        {
            document.Body = KeptForms.Parse(document.Body).With(correction).ToJson();
            return true;
        });
    }

    private Task<Document?> ChangeBodyAsync(Guid id, string person, Func<BriefBody, BriefBody> change) =>
        documents.ChangeAsync(id, person, document =>
    {
        document.Body = change(BriefBody.Parse(document.Body)).ToJson();
        return true;
    });
}
