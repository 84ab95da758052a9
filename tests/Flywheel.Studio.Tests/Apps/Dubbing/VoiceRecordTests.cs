using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Flywheel.Voice;
using Flywheel.Voice.Tests;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Dubbing;

/// <summary>What editors of voice projects do, in the record and in the next turn's data.</summary>
public sealed class VoiceRecordTests : IAsyncLifetime
{
    private const string Ann = "ann";

    private readonly TempFolder _folder = new();
    private readonly HummingEngine _engine = new();
    private FlywheelStore _store = null!;
    private VoiceDictionaries _dictionaries = null!;
    private VoiceProjects _projects = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        var engines = new SpeechEngines([_engine]);
        _dictionaries = new VoiceDictionaries(_store, TimeProvider.System);
        var renderer = new Renderer(engines, SegmentCache.In(_store.Home), _dictionaries.ScopesAsync, Recordings.In(_store.Home));
        _projects = new VoiceProjects(new Documents(_store, TimeProvider.System), renderer, engines,
            new VoiceRecord(_store, TimeProvider.System), TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    private async Task<Guid> ProjectAsync(params string[] texts) => (await _projects.CreateAsync(Ann, new VoiceProject
    {
        Name = "film", Voice = new() { Voice = "hum:low" },
        Lines = [.. texts.Select((text, i) => new VoiceLine { Id = $"{i + 1}", Text = text })],
    })).Id;

    private async Task<VoiceProject> SpeakAsync(Guid id)
    {
        foreach (VoiceLine line in (await _projects.FindAsync(id, Ann))!.Value.Project.Lines)
        {
            VoiceProject now = (await _projects.FindAsync(id, Ann))!.Value.Project;
            await _projects.SpokenAsync(id, Ann, now, await _projects.Renderer.RenderLineAsync(now, line.Id));
        }
        return (await _projects.FindAsync(id, Ann))!.Value.Project;
    }

    private async Task<string[]> StaleAsync(Guid id) =>
        [.. (await _projects.Renderer.StatesAsync((await _projects.FindAsync(id, Ann))!.Value.Project)).Where(state => state.IsStale)
            .Select(state => state.LineId)];

    private async Task<IReadOnlyList<CuratedExample>> LearntAsync()
    {
        TurnRecipe recipe = RecipeFile.ParseTurn("""
            name: mini
            stages:
              - train: { objective: supervised, steps: 1, batch_tokens: 64, micro_tokens: 64, learning_rate: 0.001 }
            gate: { regression: none.jsonl, regression_margin: 1 }
            """, "mini");
        return [.. (await new TurnRunner(_store).PreviewAsync(recipe, _folder.Path)).Dataset.Rows.Where(row =>
            row.Drop is null && row.Kind == ExampleKind.Supervised)];
    }

    [Fact]
    public async Task Word_ThatIsCorrected_ChangesEveryLineThatHoldsItAndIsInTheNextTurnsData()
    {
        Guid film = await ProjectAsync("The SQL is kept here.", "Nothing of the kind.", "More sql, he said.", "MySQL is another word."),
            other = await ProjectAsync("SQL in another film.");
        await SpeakAsync(film);
        await SpeakAsync(other);
        await _projects.ChangeAsync(film, Ann,
            project => project with { Dictionary = [new Pronunciation { Word = "SQL", Ipa = "ˈsiːkwəl" }] });
        Assert.Equal(["1", "3"], await StaleAsync(film)); // every line that holds it, and no other
        Assert.Empty(await StaleAsync(other)); // it was one project's word

        CuratedExample example = Assert.Single(await LearntAsync());
        Assert.Equal(("Pronounce: s q l", "S IY1 K W AH0 L", "phone"),
            (example.Prompt!.Messages[^1].Text, example.Preferred, example.Prompt.AnswerModality));

        // Said again otherwise: the later one is learnt, once, however often it is saved.
        for (int i = 0; i < 2; i++)
            await _projects.ChangeAsync(film, Ann,
                project => project with { Dictionary = [new Pronunciation { Word = "SQL", Ipa = "ˌɛskjuːˈɛl" }] });
        Assert.Equal("EH1 S K Y UW0 EH1 L", Assert.Single(await LearntAsync()).Preferred);
        await _projects.ChangeAsync(film, Ann, project => project with { Dictionary = [] });
        Assert.Empty(await LearntAsync());
        Assert.Empty(await StaleAsync(film));
        // as it was before
        await _projects.ChangeAsync(film, Ann,
            project => project with { Dictionary = [new Pronunciation { Word = "SQL", Ipa = "ˌɛskjuːˈɛl" }] });
        Assert.Equal("EH1 S K Y UW0 EH1 L", Assert.Single(await LearntAsync()).Preferred);
    }

    [Fact]
    public async Task Word_OfTheTeam_CountsInEveryProjectBeforeTheSystemsAndAfterItsOwn()
    {
        Guid film = await ProjectAsync("The quay."), other = await ProjectAsync("A quay.");
        Directory.CreateDirectory(Path.GetDirectoryName(_dictionaries.SystemFile)!);
        File.WriteAllText(_dictionaries.SystemFile, "word,language,voice,ipa,respelling\nquay,en,,,kway\n");
        Assert.Equal("A kway.", await SaidAsync(other));
        await _dictionaries.ChangeAsync(known =>
            VoiceDictionaries.With(known, [new Pronunciation { Word = "quay", Language = "en", Respelling = "key" }]));
        Assert.Equal("A key.", await SaidAsync(other));
        await _projects.ChangeAsync(film, Ann,
            project => project with { Dictionary = [new Pronunciation { Word = "Quay", Respelling = "kay" }] });
        Assert.Equal(("The kay.", "A key."), (await SaidAsync(film), await SaidAsync(other)));
        // Another process sees it, too; the text stays as it was written.
        Assert.Equal("key", Assert.Single(await new VoiceDictionaries(_store, TimeProvider.System).ReadTeamAsync()).Respelling);
        Assert.Equal("The quay.", (await _projects.FindAsync(film, Ann))!.Value.Project.Lines[0].Text);
        File.WriteAllText(_dictionaries.SystemFile, "word,ipa\nquay\n");
        Assert.Contains("dictionary.csv: line 2", (await Assert.ThrowsAsync<FlywheelException>(() => SaidAsync(film))).Message,
            StringComparison.Ordinal);

        async Task<string> SaidAsync(Guid id) =>
            string.Concat(
                (await _projects.Renderer.PlanAsync((await _projects.FindAsync(id, Ann))!.Value.Project, "1")).Pieces
                    .OfType<PlannedSpeech>()
            .SelectMany(speech => speech.Utterance.Parts).Select(part => part.Text));
    }

    [Fact]
    public async Task Line_ThatIsSpoken_IsAGenerationOnceAndItsChosenTakeTeachesHowLongItTakes()
    {
        Guid film = await ProjectAsync("Welcome aboard.");
        await SpeakAsync(film);
        VoiceProject first = await SpeakAsync(film); // again: nothing new
        await using (FlywheelDb db = _store.Tables())
        {
            Generation spoken = await db.Generations.Include(row => row.Payload).SingleAsync();
            JsonNode facts = JsonNode.Parse(spoken.Payload!.Conversation!.TemplateArguments[VoiceRecord.Speech])!;
            Assert.Equal((VoiceRecord.SpokenId(Ann, first.Lines[0].RenderedHash!), "voice", Ann), (spoken.Id, spoken.App, spoken.User));
            Assert.Equal(("hum", "1", "hum:low", 1.0, first.Lines[0].RenderedHash),
                ((string?)facts["engine"], (string?)facts["engine_version"], (string?)facts["voice"], (double)facts["speed"]!,
                    (string?)facts["content_hash"]));
            Assert.Equal(first.Lines[0].Takes[0].Seconds, (double)facts["seconds"]!);
            Assert.EndsWith("Welcome aboard.", spoken.Payload.Conversation.Messages[^1].Text, StringComparison.Ordinal);
        }
        Assert.Empty(await LearntAsync());

        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Settings = new() { Speed = 1.25 } }));
        VoiceProject faster = await SpeakAsync(film);
        Assert.Equal([1.25, null], faster.Lines[0].Takes.Select(take => take.Settings.Speed));
        await using (FlywheelDb db = _store.Tables()) Assert.Equal("speed 1 -> 1.25", (await db.Feedback.SingleAsync()).Text);
        VoiceProject chosen = await _projects.ChooseAsync(film, Ann, "1", faster.Lines[0].Takes[1]);
        Assert.Equal((null, first.Lines[0].RenderedHash), (chosen.Lines[0].Settings.Speed, chosen.Lines[0].RenderedHash));
        Assert.Equal(first.Lines[0].Takes[0].Seconds, _projects.Renderer.Find(faster.Lines[0].Takes[1], 24_000)!.Duration.TotalSeconds,
            .001);
        CuratedExample example = Assert.Single(await LearntAsync());
        Assert.StartsWith("How long does the voice hum:low take", example.Prompt!.Messages[^1].Text, StringComparison.Ordinal);
        Assert.EndsWith(" seconds", example.Preferred, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Take_ThatIsSpokenAndChosen_IsHeardAndTeachesUntilItIsUndone()
    {
        Guid film = await ProjectAsync("Welcome aboard.");
        VoiceProject spoken = await SpeakAsync(film);
        var wav = new MemoryStream();
        using (var writer = new WavWriter(wav, 48_000)) writer.Write(Sounds.Sine(300, 1.5, 48_000).Samples);
        VoiceTake take = await _projects.RecordedAsync(film, Ann, "1", new MemoryStream(wav.ToArray()));
        VoiceProject recorded = (await _projects.FindAsync(film, Ann))!.Value.Project;
        // beside the other, not in its place
        Assert.Equal((2, null, spoken.Lines[0].RenderedHash),
            (recorded.Lines[0].Takes.Count, recorded.Lines[0].Take, recorded.Lines[0].RenderedHash));
        Assert.Empty(await LearntAsync());
        await _projects.ChooseAsync(film, Ann, "1", take);
        Assert.Equal(1.5,
            (await _projects.Renderer.RenderLineAsync((await _projects.FindAsync(film, Ann))!.Value.Project,
                "1")).Clip.Duration.TotalSeconds, .1);
        CuratedExample example = Assert.Single(await LearntAsync());
        Assert.StartsWith("How long does the voice recorded:microphone take", example.Prompt!.Messages[^1].Text, StringComparison.Ordinal);
        await _projects.ChangeAsync(film, Ann, _ => recorded); // undo
        Assert.Empty(await LearntAsync());
        await Assert.ThrowsAsync<FlywheelException>(() => _projects.RecordedAsync(film, "ben", "1", new MemoryStream(wav.ToArray())));
    }

    [Fact]
    public async Task List_WithAProjectThatIsDamaged_NamesItAndShowsTheOthers()
    {
        Guid good = await ProjectAsync("Fine.");
        var documents = new Documents(_store, TimeProvider.System);
        Guid bad =
            (await documents.PutAsync(Guid.CreateVersion7(), Ann, VoiceProjects.App, VoiceProjects.Kind, "old film",
                "{\"sample_rate\": 7}")).Id;
        IReadOnlyList<Stored<VoiceProject>> all = await _projects.ListAsync(Ann);
        Assert.Equal([(bad, false), (good, true)], all.Select(stored => (stored.Document.Id, stored.Body is not null)));
        Assert.Contains("sample_rate is 7", all[0].Fault, StringComparison.Ordinal);
        await _projects.PurgeAsync(bad, Ann);
        Assert.Equal(good, Assert.Single(await _projects.ListAsync(Ann)).Document.Id);
    }

    /// <summary>What was recorded goes with the last project that holds it, also where only an older version does; another person's
    /// stays.</summary>
    [Fact]
    public async Task Project_ThatIsDeletedForGood_TakesItsRecordingsAlong()
    {
        Guid film = await ProjectAsync("Welcome aboard."), other = await ProjectAsync("Another film.");
        var wav = new MemoryStream();
        using (var writer = new WavWriter(wav, 48_000)) writer.Write(Sounds.Sine(300, .5, 48_000).Samples);
        VoiceTake shared = await _projects.RecordedAsync(film, Ann, "1", new MemoryStream(wav.ToArray()));
        await _projects.ChangeAsync(other, Ann, project => project.With(project.Lines[0].WithUnheard(shared)));
        string theirs = _projects.Renderer.Recordings!.AddTake(Sounds.Sine(300, .5), "ben");
        await _projects.ChangeAsync(film, Ann,
            project => project.With(project.Lines[0] with { Text = $"Of ben's take somebody knows the name: {theirs}" }));
        await _projects.PurgeAsync(film, "ben"); // not his: nothing happens
        Assert.NotNull(await _projects.FindAsync(film, Ann));
        await _projects.PurgeAsync(film, Ann);
        Assert.Null(await _projects.FindAsync(film, Ann));
        Assert.True(_projects.Renderer.Recordings.Contains(shared.Hash));
        await _projects.PurgeAsync(other, Ann);
        Assert.False(_projects.Renderer.Recordings.Contains(shared.Hash));
        Assert.True(_projects.Renderer.Recordings.Contains(theirs));
    }

    /// <summary>A text is saved while it is typed: only what stands in the end teaches, under the limit that it meets.</summary>
    [Fact]
    public async Task Translation_SavedWhileItIsTyped_TeachesOnlyWhatStandsInTheEnd()
    {
        const string draft = "El perro está dentro de la casa.";
        Guid film = (await _projects.CreateAsync(Ann, new VoiceProject
        {
            Name = "film", Language = "es", SourceLanguage = "en", Voice = new() { Voice = "hum:low" },
            Lines = [new VoiceLine { Id = "1", Text = draft, Source = "The dog is in the house.", Draft = draft }],
        })).Id;
        foreach (string typed in new[] { "El", "El pe", "El perro está", "El perro está en casa." }) await TypeAsync(typed);
        Assert.Equal(
            ["Shorten this Spanish line for dubbing to at most 22 characters.\nEl perro está dentro de la casa. => El perro está en casa."],
            await ShorterAsync());
        await TypeAsync("El perro está dentro de su casa."); // as long as the draft
        Assert.Empty(await ShorterAsync());
        await TypeAsync("El perro está en casa.");
        Assert.Single(await ShorterAsync());
        await TypeAsync("");
        Assert.Empty(await ShorterAsync());
        await TypeAsync("El perro está en casa.");
        await TypeAsync(draft);
        Assert.Empty(await LearntAsync());
        // Two shorter texts of one line are two; one that is taken away teaches no longer.
        await _projects.ChangeAsync(film, Ann,
            project => project.With(project.Lines[0] with { Alternates = ["El perro está ahí.", "Está ahí."] }));
        Assert.Equal(["at most 18", "at most 9 "],
            (await ShorterAsync()).Select(text => text[text.IndexOf("at most", StringComparison.Ordinal)..][..10]));
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Alternates = ["Está ahí."] }));
        Assert.EndsWith("=> Está ahí.", Assert.Single(await ShorterAsync()), StringComparison.Ordinal);

        Task TypeAsync(string text) => _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Text = text }));
        async Task<string[]> ShorterAsync() =>
            [.. (await LearntAsync()).Select(row => $"{row.Prompt!.Messages[^1].Text} => {row.Preferred}")
                .Where(text => text.StartsWith("Shorten", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public async Task Word_OfTheTeam_ThatAnotherPersonChangesOrDeletes_NoLongerTeachesWhatItsMakerSaid()
    {
        var record = new VoiceRecord(_store, TimeProvider.System);
        Pronunciation sql = new() { Word = "SQL", Language = "en", Ipa = "ˈsiːkwəl" }, other = sql with { Ipa = "ˌɛskjuːˈɛl" };
        await PutAsync(Ann, sql);
        await PutAsync("ben", other);
        Assert.Equal([("ben", "EH1 S K Y UW0 EH1 L")], await SaidAsync());
        await PutAsync(Ann, sql);
        Assert.Equal([(Ann, "S IY1 K W AH0 L")], await SaidAsync());
        await ChangeAsync("cem", _ => []);
        Assert.Empty(await SaidAsync());

        Task PutAsync(string person, Pronunciation entry) => ChangeAsync(person, known => VoiceDictionaries.With(known, [entry]));
        async Task ChangeAsync(string person, Func<IReadOnlyList<Pronunciation>, IEnumerable<Pronunciation>> change)
        {
            (IReadOnlyList<Pronunciation> before, IReadOnlyList<Pronunciation> after) = await _dictionaries.ChangeAsync(change);
            await record.WordsAsync(person, VoiceRecord.Team, "", before, after);
        }

        async Task<(string, string)[]> SaidAsync() => [.. (await LearntAsync()).Select(row => (row.User, row.Preferred))];
    }

    [Fact]
    public void Undo_InTheTeamsDictionary_LeavesWhatOthersDidSince()
    {
        Pronunciation Word(string word, string said) => new() { Word = word, Respelling = said };
        IReadOnlyList<Pronunciation> before = [Word("quay", "kway"), Word("gone", "gawn"), Word("both", "boath")];
        // one changed, one deleted, one added, one that a colleague changes again
        IReadOnlyList<Pronunciation> after = [Word("quay", "key"), Word("new", "nyoo"), Word("both", "bowth")];
        IReadOnlyList<Pronunciation> now = [.. after.Where(entry => entry.Word != "both"), Word("both", "theirs"), Word("added", "theirs")];
        Assert.Equal(["added theirs", "both theirs", "gone gawn", "quay kway"],
            VoiceDictionaries.Without(now, before, after).Select(entry => $"{entry.Word} {entry.Respelling}")
                .Order(StringComparer.Ordinal));
        Assert.Equal(before.OrderBy(entry => entry.Word), VoiceDictionaries.Without(after, before, after).OrderBy(entry => entry.Word));
    }

    [Fact]
    public async Task LineAndWord_TheSameInTwoWorkspaces_AreRecordedInEach()
    {
        foreach (string workspace in new[] { WorkspaceRow.Default, "acme" }) await WorkAsync(workspace);
        await using FlywheelDb db = _store.Tables();
        Assert.Equal(["acme tasks/pronunciation", "acme voice", "default tasks/pronunciation", "default voice"],
            (await db.Generations.ToListAsync(TestContext.Current.CancellationToken)).Select(row => $"{row.Workspace} {row.App}")
                .Order(StringComparer.Ordinal));

        async Task WorkAsync(string workspace)
        {
            Actor.Enter(workspace);
            await SpeakAsync(await ProjectAsync("The quay."));
            await new VoiceRecord(_store, TimeProvider.System).WordsAsync(Ann, VoiceRecord.Team, "en", [],
                [new Pronunciation { Word = "quay", Ipa = "kiː" }]);
        }
    }

    [Fact]
    public async Task Take_ThatWasMarkup_ComesBackAsMarkup()
    {
        Guid film = await ProjectAsync("<break time=\"200ms\"/>Hello.");
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { IsMarkup = true }));
        await SpeakAsync(film);
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Text = "Hello.", IsMarkup = false }));
        VoiceLine line = (await SpeakAsync(film)).Lines[0];
        Assert.Equal([false, true], line.Takes.Select(take => take.IsMarkup));
        VoiceProject chosen = await _projects.ChooseAsync(film, Ann, "1", line.Takes[1]);
        Assert.True(chosen.Lines[0].IsMarkup);
        Assert.Empty(await StaleAsync(film)); // as it is now it sounds as the take does
    }

    /// <summary>A project of one line that Ann recorded and of a film of hers.</summary>
    private async Task<(Guid Id, VoiceProject Project, VoiceTake Take)> RecordedAsync()
    {
        Guid id = await ProjectAsync("Good morning.");
        VoiceTake take = await _projects.RecordedAsync(id, Ann, "1", new MemoryStream(Wav()));
        VoiceProject project = await _projects.ChooseAsync(id, Ann, "1", take);
        string film = Path.Combine(_store.Home.Path, Recordings.FolderName, new string('a', 64));
        Directory.CreateDirectory(film);
        File.WriteAllText(Path.Combine(film, "file.json"), "{\"user\":\"ann\"}");
        return (id,
            await _projects.ChangeAsync(id, Ann,
                now => now with { Original = new VoiceOriginal(new string('a', 64), "film.mp4", 2, HasSound: false) }), take);

        byte[] Wav()
        {
            WavWriter.WriteFile(_folder["take.wav"], Sounds.Sine(300, 1.2));
            return File.ReadAllBytes(_folder["take.wav"]);
        }
    }

    [Fact]
    public async Task Project_FromAnothersFile_HoldsNothingThatTheyRecorded()
    {
        (Guid id, VoiceProject anns, VoiceTake take) = await RecordedAsync();
        Guid bens = (await _projects.CreateAsync("ben", VoiceProject.Parse(anns.ToJson(), "anns.json"))).Id;
        // from before this was looked at
        Guid early =
            (await new Documents(_store, TimeProvider.System).PutAsync(Guid.CreateVersion7(), "ben", VoiceProjects.App, VoiceProjects.Kind,
                "film", anns.ToJson())).Id;
        foreach (VoiceProject seen in new[] { (await _projects.FindAsync(bens, "ben"))!.Value.Project,
            (await _projects.FindAsync(early, "ben"))!.Value.Project, (await _projects.LookAsync(early, "ben"))!.Body! })
            Assert.True(seen is { Original: null, Lines: [{ Take: null, Takes: [] }] });
        VoiceProject put = await _projects.ChangeAsync(bens, "ben", _ => VoiceProject.Parse(anns.ToJson(), "anns.json"));
        Assert.True(put is { Original: null, Lines: [{ Take: null, Takes: [] }] });
        VoiceProject mine = (await _projects.FindAsync(id, Ann))!.Value.Project;
        Assert.Equal((take.Hash, "film.mp4"), (mine.Lines[0].Take, mine.Original!.Name));
    }

    [Fact]
    public async Task Order_OfAnothersRecordingOrFilm_IsRefusedByName()
    {
        (_, VoiceProject anns, _) = await RecordedAsync();
        Recordings recordings = _projects.Renderer.Recordings!;
        Assert.Equal(anns.ToJson(), DubApi.Own(anns, recordings, Ann).ToJson());
        foreach (string other in new[] { "ben", "" })
        {
            Assert.StartsWith("original: 'film.mp4'", Assert.Throws<FlywheelException>(() => DubApi.Own(anns, recordings, other)).Message,
                StringComparison.Ordinal);
            Assert.StartsWith("line '1'",
                Assert.Throws<FlywheelException>(() => DubApi.Own(anns with { Original = null }, recordings, other)).Message,
                StringComparison.Ordinal);
            Assert.True(
                DubApi.Own(anns.With(anns.Lines[0] with { Take = null }) with { Original = anns.Original! with { Name = "talk.wav" } },
                    recordings, other) is { Original: null, Lines: [{ Takes: [] }] });
        }
    }

    [Fact]
    public async Task Archive_ThatIsOpened_BringsItsRecordedTakesAsTheOpeners()
    {
        (_, VoiceProject anns, VoiceTake take) = await RecordedAsync();
        await ProjectArchive.WriteAsync(_projects.Renderer, anns, _folder["film.zip"], TestContext.Current.CancellationToken);
        await using FileStream zip = File.OpenRead(_folder["film.zip"]);
        Guid id = (await _projects.CreateAsync("ben", _projects.ReadArchive("film.zip", zip, "ben"))).Id;
        VoiceProject bens = (await _projects.FindAsync(id, "ben"))!.Value.Project;
        Assert.NotEqual(take.Hash, bens.Lines[0].Take);
        Assert.Equal(_projects.Renderer.Recordings!.Find(take.Hash, 24_000)!.Samples,
            _projects.Renderer.Recordings.Find(bens.Lines[0].Take!, 24_000)!.Samples);
        Assert.True(_projects.Renderer.Recordings.IsOf(bens.Lines[0].Take!, "ben"));
    }

    [Fact]
    public async Task Sweep_OfWhatNoProjectHolds_TakesItAwayWhenItIsOld()
    {
        Recordings recordings = _projects.Renderer.Recordings!;
        var folders = new DubFolders(_store.Home);
        (Guid id, _, VoiceTake kept) = await RecordedAsync();
        string Add(double hertz) => recordings.AddTake(Sounds.Sine(hertz, 1), Ann);
        string removed = Add(400), ordered = Add(500), young = Add(600), again = Add(700);
        // Added and removed in one sitting, it stands in no version, so that nothing leads to it when the project is gone.
        await _projects.ChangeAsync(id, Ann,
            project =>
                project.With(
                    project.Lines[0].WithUnheard(new VoiceTake(removed, 1, "x", new()) { IsRecorded = true, Pieces = [removed] })));
        await _projects.ChangeAsync(id, Ann, project => project.With(project.Lines[0].Without(removed)));
        var queue = new JobQueue(_store);
        var order =
            new VoiceProject
                { Lines = [new VoiceLine { Id = "1", Text = "x",
                    Takes = [new VoiceTake(ordered, 1, "x", new()) { IsRecorded = true, Pieces = [ordered] }] }] };
        JobRow job = await queue.EnqueueAsync(DubJob.Kind, new DubOrder { Project = order.ToJson(), Languages = ["en-us"] }.ToJson(), Ann);
        string[] dubs = [folders.Create(job.Id, Ann), folders.Create(Guid.NewGuid(), Ann)];
        string unfinished =
            Directory.CreateDirectory(Path.Combine(_store.Home.Path, Recordings.FolderName, $"{Guid.NewGuid():N}.tmp")).FullName;
        foreach (string path in Directory.GetDirectories(Path.GetDirectoryName(unfinished)!).Concat(dubs)
            .Where(path => Path.GetFileName(path) != young)) Directory.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-2));
        Add(700); // recorded once more: its project is about to hold it
        using var sweep = new VoiceSweep(_store, recordings, folders, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<VoiceSweep>.Instance);
        Assert.Equal(3, await sweep.SweepAsync(TestContext.Current.CancellationToken));
        Assert.Equal([true, false, true, true, true], new[] { kept.Hash, removed, ordered, young, again }.Select(recordings.Contains));
        Assert.Equal([true, false], dubs.Select(Directory.Exists));
        Assert.False(Directory.Exists(unfinished));
        Assert.True(Directory.Exists(Path.Combine(_store.Home.Path, Recordings.FolderName, new string('a', 64)))); // the film
    }

    [Fact]
    public async Task Transcript_ThatIsCorrected_IsFeedbackAndItsWordsAreListenedForAtOnce()
    {
        Sounds.Need("ffmpeg");
        TinyWhisper.Write(Path.Combine(Directory.CreateDirectory(WhisperFile.FolderIn(_store.Home)).FullName, "english.bin"));
        using Transcriber transcriber = Transcriber.In(_store.Home, numThreads: 1);
        var transcripts = new Transcripts(_store, transcriber, _dictionaries, TimeProvider.System);
        var recordings = Recordings.In(_store.Home);
        WavWriter.WriteFile(_folder["talk.wav"], Sounds.Sine(300, 1.5));
        VoiceOriginal original = await recordings.AddOriginalAsync("talk.wav",
            stream => stream.WriteAsync(File.ReadAllBytes(_folder["talk.wav"])).AsTask(), Ann, TestContext.Current.CancellationToken);
        Guid id = await ProjectAsync("to be replaced");
        var ann = new TranscriptCaller(Ann, "", WorkspaceRow.Default);
        VoiceProject heard =
            await transcripts.WriteDownAsync((await _projects.FindAsync(id, Ann))!.Value.Project with { Original = original }, recordings,
                ann, TestContext.Current.CancellationToken);
        Assert.Equal([(TinyWhisper.Says, TimeSpan.FromSeconds(.1), TimeSpan.FromSeconds(1.5))],
            heard.Lines.Select(line => (line.Text, line.Start!.Value, line.End!.Value)));
        await _projects.ChangeAsync(id, Ann, _ => heard);
        Assert.Empty(await transcripts.HotWordsAsync("en", ann, TestContext.Current.CancellationToken)); // writing it down is no correction
        await _projects.ChangeAsync(id, Ann, project => project.With(project.Lines[0] with { Text = "Hello, Nguyen." }));
        Assert.Equal(["Nguyen"], await transcripts.HotWordsAsync("en", ann, TestContext.Current.CancellationToken));
        await using FlywheelDb db = _store.Tables();
        Assert.Equal([(heard.Original!.Heard!.Value, "\"Hello, Nguyen.\"")],
            (await db.Feedback.AsNoTracking().ToListAsync(TestContext.Current.CancellationToken)).Select(row =>
                (row.GenerationId, row.Value)));
    }

    [Fact]
    public async Task Translation_ThatIsShortened_TeachesTheTranslationAndTheShorterText()
    {
        Guid film = (await _projects.CreateAsync(Ann, new VoiceProject
        {
            Name = "film", Language = "es", SourceLanguage = "en", Voice = new() { Voice = "hum:low" },
            Lines = [new VoiceLine { Id = "1", Text = "El perro está dentro de la casa.", Source = "The dog is in the house.",
                Draft = "El perro está dentro de la casa." }],
        })).Id;
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Text = "El perro está en casa." }));
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Alternates = ["El perro está ahí."] }));
        Assert.Equal(
            ["Shorten this Spanish line for dubbing to at most 18 characters.\nEl perro está en casa. => El perro está ahí.",
            "Shorten this Spanish line for dubbing to at most 22 characters.\nEl perro está dentro de la casa. => El perro está en casa.",
            "Translate from English into Spanish.\nThe dog is in the house. => El perro está en casa."],
            (await LearntAsync()).Select(row => $"{row.Prompt!.Messages[^1].Text} => {row.Preferred}").Order(StringComparer.Ordinal));
        await _projects.ChangeAsync(film, Ann, project => project.With(project.Lines[0] with { Text = project.Lines[0].Draft! }));
        Assert.DoesNotContain(await LearntAsync(), row => row.Prompt!.Messages[^1].Text.StartsWith("Translate", StringComparison.Ordinal));
    }
}
