using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Dubbing;

/// <summary>Shorter texts beside the lines that are too long: where they are from, in which order, and what is learnt of the one that is
/// taken.</summary>
public sealed class LineShortenerTests : IAsyncLifetime
{
    private const string Source = "Please hold the line until you are served.",
        Text = "Por favor espere en la línea hasta que le atiendan.", ByRule = "Espere en la línea hasta que le atiendan.";

    private static readonly TranscriptCaller s_ann = new("ann", "", WorkspaceRow.Default), s_bob = new("bob", "", WorkspaceRow.Default);

    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private Shortener _shortener = null!;
    private TranslationMemory _memory = null!;
    private Glossary _glossary = null!;
    private VoiceRecord _record = null!;
    private LineShortener _lines = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        _shortener = new Shortener(_store, null!, TimeProvider.System); // no model is asked
        (_memory, _glossary) = (new TranslationMemory(_store, TimeProvider.System), new Glossary(_store, TimeProvider.System));
        _record = new VoiceRecord(_store, TimeProvider.System);
        _lines = new LineShortener(_shortener, _memory, _glossary, _record);
    }

    public async ValueTask DisposeAsync()
    {
        _memory.Dispose();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    private static VoiceProject Film(params string[] alternates) => new()
    {
        Language = "es-mx", SourceLanguage = "en-us",
        Lines = [new VoiceLine { Id = "1", Text = Text, Source = Source, Alternates = alternates }],
    };

    private async Task<IReadOnlyList<ShorterOffer>> OffersAsync(VoiceProject film, double available, TranscriptCaller caller,
        Func<string, double?>? predict = null) =>
        (await _lines.OfferAsync(film, [Long(film, available, predict)], caller, TestContext.Current.CancellationToken))["1"];

    private static OverlongLine Long(VoiceProject film, double available, Func<string, double?>? predict = null) =>
        new(film.Lines[0], 4, available, predict ?? (_ => null));

    [Fact]
    public async Task Offers_OfProjectPeopleMemoryAndRules_AreThoseThatFitFirstAndTheLongestOfThem()
    {
        var pair = new LanguagePair(WorkspaceRow.Default, "en", "es");
        await _memory.AddAsync(pair, "bob", Source, "Espere en línea, le atenderán.");
        await _memory.AddAsync(pair, "bob", "Please hold the line until you are called.", "Espere hasta que le llamen.");
        await _memory.AddAsync(pair, "bob", "Where is the museum?", "¿Dónde?"); // of another line
        Guid about = await _shortener.RecordAsync(Long(Film(), 2).Asked("es-mx", []),
            new ShorterOffer(ByRule, "rule", null, true, null, null), s_bob);
        await _store.AddFeedbackAsync(new FeedbackInput(about, Metrics.Demonstration, "Espere a que le atiendan.", "bob"));

        IReadOnlyList<ShorterOffer> offers = await OffersAsync(Film("No cuelgue.", Text + " ¡Gracias!", "Espere en línea, le atenderán."),
            2.5, s_ann);
        // 51 letters take 4 seconds, so 31 have the 2.5 that there are; what is not shorter is not offered.
        Assert.Equal([("Espere en línea, le atenderán.", "project", true), ("Espere hasta que le llamen.", "memory", true),
            ("Espere a que le atiendan.", "people", true), ("No cuelgue.", "project", true), (ByRule, "rule", false)],
            offers.Select(one => (one.Text, one.Origin, one.Fits)));
        Assert.All(offers, one => Assert.Equal(4.0 * one.Text.Length / Text.Length, one.Seconds!.Value, 1e-9));
        Assert.Empty((await OffersAsync(Film() with { SourceLanguage = null, Language = "xx" }, 2.5, s_ann)));

        // What the voice is known to take counts, by what it took for this line.
        Assert.Equal(2.0, (await OffersAsync(Film("No cuelgue."), 2.5, s_ann, text => text.Length > 20 ? 5 : 2.5))
            .Single(one => one.Origin == "project").Seconds!.Value, 1e-9);
        // Terms of the glossary stay.
        await _glossary.PutAsync(pair, "bob", new TermInput("hold the line", "en la línea"), TestContext.Current.CancellationToken);
        Assert.Equal([ByRule], (await OffersAsync(Film("No cuelgue."), 2.5, s_ann)).Select(one => one.Text));
    }

    [Fact]
    public async Task Offer_ThatIsTaken_IsLearntUntilItIsTakenBackAndGoesWithItsWriter()
    {
        Guid about = await _shortener.RecordAsync(Long(Film(), 2).Asked("es-mx", []),
            new ShorterOffer(ByRule, "rule", null, true, null, null), s_bob);
        Guid wrote = (await _store.AddFeedbackAsync(new FeedbackInput(about, Metrics.Demonstration, "No cuelgue.", "bob"))).Id;
        ShorterOffer offer = (await OffersAsync(Film(), 2.5, s_ann)).Single(one => one.Origin == "people");
        await using (FlywheelDb before = _store.Tables())
            Assert.Equal(1, await before.Generations.CountAsync()); // what is only shown is not recorded
        Guid film = Guid.NewGuid(), taken = await _lines.TakenAsync(film, Film(), Long(Film(), 2.5), offer, s_ann);
        await using FlywheelDb db = _store.Tables();
        Generation row = await db.Generations.Include(one => one.Payload).Include(one => one.PromptExamples)
            .SingleAsync(one => one.Id == taken);
        Assert.Equal(("ann", "No cuelgue.", $"Shorten this Spanish line for dubbing to at most 31 characters.\n{Text}"),
            (row.User, row.Payload!.Text, row.Payload.Conversation!.Messages[^1].Text));
        Assert.Equal([wrote], row.PromptExamples.Select(each => each.FeedbackId));
        Assert.Equal(1, await LearntAsync());
        await _record.TakenBackAsync("ann", taken);
        Assert.Equal(0, await LearntAsync());

        async Task<int> LearntAsync()
        {
            (List<Shown> shown, List<Feedback> feedback) =
                await FeedbackReader.LoadAsync(db, new Upstreams(), [taken], withTokens: false, TestContext.Current.CancellationToken);
            return Curator.Curate(shown, feedback, new CurationRules(1, _ => true))
                .Count(one => one.Drop is null && one.Kind == ExampleKind.Supervised && one.Preferred == "No cuelgue.");
        }
    }
}
