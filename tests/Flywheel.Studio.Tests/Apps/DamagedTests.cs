using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Chat.Arena;
using Flywheel.Studio.Apps.Learn;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Apps.Translate;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Bulk;
using Flywheel.Studio.Apps.Write.Sharing;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>A document whose text is broken in the record: it is listed as damaged and can be deleted; all others work, and so does what is
/// kept once.</summary>
public sealed class DamagedTests : IAsyncLifetime
{
    private const string Ann = "ann";

    private readonly TempFolder _folder = new();
    private readonly TimeProvider _time = TimeProvider.System;
    private FlywheelStore _store = null!;
    private Documents _documents = null!;
    private Briefs _briefs = null!;
    private Shares _shares = null!;
    private Translations _translations = null!;
    private BulkBriefs _bulks = null!;
    private OwnLearning _learning = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), _time);
        _documents = new Documents(_store, _time);
        _briefs = new Briefs(_documents, _store, _time);
        _shares = new Shares(_documents, _briefs, _store, _time);
        _translations = new Translations(_documents, _store, new TranslationMemory(_store, _time), _time);
        var queue = new JobQueue(_store);
        _bulks = new BulkBriefs(_documents, _briefs, queue, null!, _time); // no model is asked
        _learning = new OwnLearning(_documents, _store, queue, null!, null!, _time);
    }

    public async ValueTask DisposeAsync()
    {
        _shares.Dispose();
        _bulks.Dispose();
        _learning.Dispose();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("brief")]
    [InlineData("text")]
    [InlineData("share")]
    [InlineData("bulk")]
    [InlineData("translation")]
    [InlineData("files")]
    public async Task List_WithADamagedOne_ShowsTheOthersAndNamesIt(string kind)
    {
        (string app, string stored, string body) = kind switch
        {
            "brief" => (Briefs.App, Briefs.BriefKind, new BriefBody().ToJson()),
            "text" =>
                (Briefs.App, Briefs.TextKind,
                    new KeptText { Text = "Draw anything.", Kind = "tagline", Name = "Quill", Brief = default, Generation = default,
                        Feedback = default, Asked = "" }.ToJson()),
            "share" =>
                (Briefs.App, Shares.Kind,
                    new ShareBody { Brief = default, Set = default, Expires = _time.GetUtcNow(), Drafts = [], Token = "", Name = "",
                        Kind = "tagline", What = "", Audience = "" }.ToJson()),
            "bulk" => (Briefs.App, BulkBriefs.BulkKind,
                new BulkBody { Table = default, NumRows = 1, Fields = [], Kind = "tagline" }.ToJson()),
            "translation" => (Translations.App, Translations.DocumentKind,
                new TranslationBody { From = "en", To = "de", Format = "text", File = Guid.CreateVersion7() }.ToJson()),
            _ => (OwnLearning.App, OwnLearning.Kind,
                new LearnBody { NumFiles = 1, NumTexts = 1, NumPassages = 1, NumTrain = 1, NumHeldOut = 0, Drops = [], Unread = [],
                    Samples = [] }.ToJson()),
        };
        Task<Document> AddAsync(string title) => _documents.PutAsync(Guid.CreateVersion7(), Ann, app, stored, title, body);
        (Document first, Document bad, Document last) = (await AddAsync("first"), await AddAsync("broken"), await AddAsync("last"));
        foreach (string broken in new[] { body[..(body.Length / 2)], "null", "", "[1" })
        {
            await DamageAsync(bad.Id, broken);
            Assert.Equal(["first", "last"], (await ListAsync(kind)).Select(document => document.Title).Order());
            Damaged one = Assert.Single(await DamagedAsync(kind));
            Assert.Equal((bad.Id, "broken", false), (one.Id, one.Title, one.IsDeleted));
            Assert.NotEmpty(one.Fault);
            Assert.False(await IsThereAsync(kind, bad.Id));
        }
        Assert.True(await IsThereAsync(kind, first.Id));

        await _documents.DeleteAsync(bad.Id, Ann);
        Assert.Empty(await DamagedAsync(kind));
        await _documents.DeleteAsync(bad.Id, Ann, deleted: false);
        await DamageAsync(bad.Id, body);
        Assert.Empty(await DamagedAsync(kind));
        Assert.Equal([bad.Id, first.Id, last.Id],
            (await ListAsync(kind)).Select(document => document.Id).OrderBy(id => id == bad.Id ? 0 : id == first.Id ? 1 : 2));
    }

    /// <summary>What would pass for whole and fail whoever goes through it.</summary>
    [Theory]
    [InlineData("brief", """{"sets":[null]}""", "sets")]
    [InlineData("brief", """{"sets":null}""", "sets")]
    [InlineData("brief", """{"sets":[{"id":"01a22fb3-68e2-7af7-8ffb-b087094aebf9","time":"2026-12-01T00:00:00Z","kind":"tagline","model":"m","fields":{},"drafts":[null]}]}""", "drafts")]
    [InlineData("translation", """{"from":"en","to":"de","format":"text","file":"01a22fb3-68e2-7af7-8ffb-b087094aebf9","segments":[null]}""", "segments")]
    [InlineData("round", """{"messages":[{"role":"user","content":"Hi"}],"sides":[null]}""", "sides")]
    [InlineData("round", """{"messages":[null],"sides":[]}""", "messages")]
    [InlineData("sheet", """{"answers":[null]}""", "answers")]
    [InlineData("sheet", """{"fields":{"a":null}}""", "fields")]
    public void Read_ListWithNullInIt_IsDamagedAndNamed(string kind, string body, string field)
    {
        string? fault = null;
        object? read = kind switch
        {
            "brief" => Stored.Read(body, BriefBody.Parse, out fault),
            "translation" => Stored.Read(body, TranslationBody.Parse, out fault),
            "round" => Stored.Read(body, ArenaRound.Parse, out fault),
            _ => Stored.Read(body, TaskSheet.Parse, out fault),
        };
        Assert.Null(read);
        Assert.Contains($"field '{field}'", fault, StringComparison.Ordinal);
    }

    /// <summary>Of what a person has once, a new one is begun beside the damaged one: made once, however many tabs begin.</summary>
    [Fact]
    public async Task Settings_Damaged_AreBegunAnewOnce()
    {
        await _briefs.SaveVoiceAsync(Ann, "banned", "plain", "");
        await _translations.SaveStartAsync(Ann, start => start, "a text", "");
        foreach ((string app, string kind) in new[] { (Briefs.App, Briefs.VoiceKind), (Translations.App, Translations.StartKind) })
            await DamageAsync(Assert.Single(await _documents.ListAsync(Ann, app, kind)).Id, "{");

        Assert.Equal(new BrandVoice().ToJson(), (await _briefs.VoiceAsync(Ann)).ToJson());
        Assert.Equal("", (await _translations.StartAsync(Ann)).Text);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _briefs.SaveVoiceAsync(Ann, "banned", "warm", "")));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _translations.SaveStartAsync(Ann, start => start with { To = "fr" })));

        Assert.Equal("warm", (await _briefs.VoiceAsync(Ann))["banned"]);
        Assert.Equal("fr", (await _translations.StartAsync(Ann)).To);
        Assert.Equal(2, (await _documents.ListAsync(Ann, Briefs.App, Briefs.VoiceKind)).Count);
        Assert.Equal(2, (await _documents.ListAsync(Ann, Translations.App, Translations.StartKind)).Count);
    }

    /// <summary>Of a person's choices at once the last counts as a whole: one draft kept and the others not, with its own reason.</summary>
    [Fact]
    public async Task Choices_OfOnePersonAtOnce_AreEachWhole()
    {
        Guid[] drafts = [.. Enumerable.Range(0, 3).Select(_ => Guid.CreateVersion7())];
        var share = new ShareBody
        {
            Brief = default, Set = default, Expires = _time.GetUtcNow().AddDays(1), Token = "", Name = "", Kind = "tagline", What = "",
            Audience = "",
            Drafts = [.. drafts.Select(id => new SharedDraft(id, $"text {id}"))],
        };
        var id = Guid.CreateVersion7();
        await Task.WhenAll(Enumerable.Range(0, 30)
            .Select(i => Task.Run(() => _shares.ChooseAsync(id, share, "guest", drafts[i % 3], $"reason {i % 3}"))));

        List<Feedback> rows = [];
        foreach (Guid draft in drafts) rows.AddRange(await _store.FeedbackAsync(draft));
        Feedback[][] choices = [.. rows.OrderBy(row => row.Sequence).Chunk(4)];
        Assert.All(choices, choice =>
        {
            Assert.Single(choice.Select(row => row.Tags).Distinct());
            Assert.Equal(["comment", "discard", "discard", "keep"], choice.Select(row => row.Metric).Order());
        });
        Guid last = choices[^1].Single(row => row.Metric == Metrics.Keep).GenerationId;
        Assert.Equal((last, $"reason {Array.IndexOf(drafts, last)}"), await _shares.ChoiceOfAsync(id, share, "guest"));
    }

    private async Task DamageAsync(Guid id, string body)
    {
        await using FlywheelDb db = _store.Tables();
        Assert.Equal(1,
            await db.DocumentVersions.Where(version => version.DocumentId == id)
                .ExecuteUpdateAsync(row => row.SetProperty(version => version.Body, body)));
    }

    private async Task<IReadOnlyList<Document>> ListAsync(string kind) => kind switch
    {
        "brief" => [.. (await _briefs.ListAsync(Ann)).Select(one => one.Document)],
        "text" => [.. (await _briefs.TextsAsync(Ann)).Select(one => one.Document)],
        "share" => [.. (await _shares.ListAsync(Ann)).Whole.Select(one => one.Document)],
        "bulk" => [.. (await _bulks.ListAsync(Ann)).Whole.Select(one => one.Document)],
        "translation" => [.. (await _translations.ListAsync(Ann)).Select(one => one.Document)],
        _ => [.. (await _learning.ListAsync(Ann)).Whole.Select(one => one.Document)],
    };

    private async Task<IReadOnlyList<Damaged>> DamagedAsync(string kind) => kind switch
    {
        "brief" or "text" => (await _briefs.LibraryAsync(Ann)).Damaged,
        "share" => (await _shares.ListAsync(Ann)).Damaged,
        "bulk" => (await _bulks.ListAsync(Ann)).Damaged,
        "translation" => (await _translations.LibraryAsync(Ann)).Damaged,
        _ => (await _learning.ListAsync(Ann)).Damaged,
    };

    private async Task<bool> IsThereAsync(string kind, Guid id) => kind switch
    {
        "brief" => await _briefs.FindAsync(id, Ann) is not null,
        "text" => await _briefs.FindTextAsync(id, Ann) is not null,
        "share" => await _shares.FindAsync(id, Ann) is not null,
        "bulk" => await _bulks.FindAsync(id, Ann) is not null,
        "translation" => await _translations.FindAsync(id, Ann) is not null,
        _ => await _learning.FindAsync(id, Ann) is not null,
    };
}
