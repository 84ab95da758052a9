using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Flywheel.Voice;
using Flywheel.Voice.Tests;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Dubbing;

/// <summary>Dubbing as a job: what a dead worker has rendered is not rendered again, and the result is the same.</summary>
public sealed class DubJobTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private JobQueue _queue = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        _queue = new JobQueue(_store);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>Hums, until it is told to hang.</summary>
    private sealed class HangingEngine(int hangsAfter) : ISpeechEngine
    {
        private readonly HummingEngine _hum = new();
        private int _numCalls;

        public ConcurrentBag<string> Spoken { get; } = [];

        public bool IsBroken { get; init; }

        public TaskCompletionSource Hangs { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Name => _hum.Name;

        public ExternalProgram Program => _hum.Program;

        public Task<string> VersionAsync(Voice.Voice voice, CancellationToken cancellation) => _hum.VersionAsync(voice, cancellation);

        public Task<IReadOnlyList<Voice.Voice>> VoicesAsync(CancellationToken cancellation) => _hum.VoicesAsync(cancellation);

        public Task<Voice.Voice?> FindAsync(string name, CancellationToken cancellation) => _hum.FindAsync(name, cancellation);

        public Task<string> PhonesAsync(Voice.Voice voice, string ipa, CancellationToken cancellation) =>
            _hum.PhonesAsync(voice, ipa, cancellation);

        public async Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
        {
            if (Interlocked.Increment(ref _numCalls) > hangsAfter)
            {
                Hangs.TrySetResult();
                await Task.Delay(Timeout.Infinite, cancellation);
            }
            if (IsBroken) throw new FlywheelException("the voice is broken");
            Spoken.Add(utterance.Parts[0].Text);
            return await _hum.SpeakAsync(utterance, cancellation);
        }
    }

    /// <summary>A clock that stands a day back: what is claimed by it is over for everybody else, as the claim of a process that was killed
    /// soon is.</summary>
    private sealed class Yesterday : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddDays(-1);
    }

    private JobWorker Worker(ISpeechEngine engine, JobQueue? queue = null, Recordings? recordings = null)
    {
        var engines = new SpeechEngines([engine]);
        var translator = new Translator(new TranslationMemory(_store, TimeProvider.System), new Glossary(_store, TimeProvider.System),
            [new Reverser()]);
        // no test asks a model
        var job = new DubJob(new Renderer(engines, SegmentCache.In(_store.Home), recordings: recordings), engines, translator,
            new Glossary(_store, TimeProvider.System), new Shortener(_store, null!, TimeProvider.System), new DubFolders(_store.Home),
            queue ?? _queue, TimeProvider.System);
        return new JobWorker(queue ?? _queue, new Dictionary<string, JobHandler> { [DubJob.Kind] = job.RunAsync })
            { Poll = TimeSpan.FromMilliseconds(20), Lease = TimeSpan.FromMinutes(10) };
    }

    /// <summary>Translates by writing backwards.</summary>
    private sealed class Reverser : IDraftEngine
    {
        public string Name => "reverser";

        public Task<EngineState> StateAsync(string from, string to, CancellationToken cancellation = default) =>
            Task.FromResult(new EngineState(EngineStatus.Ready));

        public Task<IReadOnlyList<EngineDraft>> DraftAsync(IReadOnlyList<string> texts, string from, string to, DraftCaller caller,
            CancellationToken cancellation = default) =>
            Task.FromResult<IReadOnlyList<EngineDraft>>([.. texts.Select(text => new EngineDraft(string.Concat(text.Reverse()), null))]);
    }

    private static VoiceProject Film(int numLines) => new()
    {
        Name = "film", Voice = new() { Voice = "hum:low" },
        Lines = [.. Enumerable.Range(0, numLines)
            .Select(i => new VoiceLine { Id = $"{i}", Text = $"line number {i}", Start = TimeSpan.FromSeconds(3 * i),
                End = TimeSpan.FromSeconds(3 * i + 2) })],
    };

    private async Task<JobRow> EndAsync(Guid job)
    {
        // decides nothing: a test that waits for ever tells nobody why
        using var hung = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        for (; ; await Task.Delay(10, hung.Token))
            if (await _queue.FindAsync(job, TestContext.Current.CancellationToken) is { State: not (JobState.Queued
                or JobState.Running) } ended) return ended;
    }

    [Fact]
    public async Task Dub_WhoseWorkerDies_GoesOnWithoutRenderingTwiceAndGivesTheSame()
    {
        VoiceProject film = Film(24);
        var old = new JobQueue(_store, new Yesterday());
        JobRow job = await old.EnqueueAsync(DubJob.Kind, new DubOrder { Project = film.ToJson(), Languages = ["en-us", "it"] }.ToJson(),
            "ann");
        using var end = new CancellationTokenSource();
        var dying = new HangingEngine(hangsAfter: 15);
        Task first = Worker(dying, old).RunAsync(end.Token);
        await dying.Hangs.Task;
        string[] done = [.. dying.Spoken];
        Assert.NotEmpty(done);
        Assert.Empty(Directory.GetFiles(new DubFolders(_store.Home).Of(job.Id), "*.wav")); // nothing half-written

        var next = new HangingEngine(hangsAfter: int.MaxValue);
        Task second = Worker(next).RunAsync(end.Token);
        JobRow ended = await EndAsync(job.Id);
        await end.CancelAsync();
        await Task.WhenAll(first, second);
        Assert.True(ended.State == JobState.Done, ended.Message);
        Assert.Empty(next.Spoken.Intersect(done));
        Assert.Equal(48, done.Length + next.Spoken.Count); // each of both languages' lines once

        string folder = new DubFolders(_store.Home).Of(job.Id);
        await new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["other"])).RenderAsync(film,
            _folder["whole.wav"], cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(File.ReadAllBytes(_folder["whole.wav"]), File.ReadAllBytes(Path.Combine(folder, "en-us.wav")));
        VoiceProject italian = VoiceProject.Read(Path.Combine(folder, "it.project.json"));
        Assert.Equal(("it", "en", "hum:high", "line number 3", "3 rebmun enil"),
            (italian.Language, italian.SourceLanguage, italian.Voice.Voice, italian.Lines[3].Source, italian.Lines[3].Text));
        IReadOnlyList<DubResult> results = new DubFolders(_store.Home).ResultsOf(ended);
        Assert.Equal(["en-us", "it"], results.Select(result => result.Language));
        Assert.All(results,
            result =>
                Assert.True(result is { NumLines: 24, Fit.NumTimed: 24, Sound.NumClipped: 0 } && result.Sound.Seconds > 69
                    && result.Files.All(file => File.Exists(Path.Combine(folder, file)))));
        Assert.Equal(24, Srt.Parse(File.ReadAllText(Path.Combine(folder, "it.srt")), "it.srt").Count);
    }

    /// <summary>What was ordered while it was one's own may have been deleted, or be somebody else's by then.</summary>
    [Fact]
    public async Task Dub_WhoseTakeIsNobodysOwnAnyMore_IsRefusedWhenItBegins()
    {
        Recordings recordings = Recordings.In(_store.Home);
        string take = recordings.AddTake(new Clip([.. Enumerable.Range(0, 8000).Select(i => (float)Math.Sin(i * .2) / 2)], 16_000), "ben");
        VoiceProject film =
            Film(1) with {
                Lines = [Film(1).Lines[0] with { Take = take,
                    Takes = [new VoiceTake(take, .5, "line number 0", new VoiceSettings()) { IsRecorded = true, Pieces = [take] }] }] };
        JobRow job = await _queue.EnqueueAsync(DubJob.Kind, new DubOrder { Project = film.ToJson(), Languages = ["en-us"] }.ToJson(),
            "ann");
        using var end = new CancellationTokenSource();
        Task work = Worker(new HummingEngine(), recordings: recordings).RunAsync(end.Token);
        JobRow ended = await EndAsync(job.Id);
        await end.CancelAsync();
        await work;
        Assert.Equal(JobState.Failed, ended.State);
        Assert.Contains("line '0': its take", ended.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dub_ThatMayShorten_SpeaksAShorterTextWhereALineIsTooLong()
    {
        // The engine hums a tenth of a second a letter: 44 letters in 2.2 s and 0.68 of the gap are too many at any speed, 28 are not.
        VoiceProject film = Film(3) with
        {
            Lines = [
                .. Film(3).Lines.Select((line, i) =>
                    line with { Text = i == 1 ? "please wait in order to hear line number two" : "short",
                        End = line.Start + TimeSpan.FromSeconds(2.2) })],
        };
        JobRow plain = await _queue.EnqueueAsync(DubJob.Kind, new DubOrder { Project = film.ToJson(), Languages = ["en-us"] }.ToJson(),
            "ann");
        JobRow asked = await _queue.EnqueueAsync(DubJob.Kind,
            new DubOrder { Project = film.ToJson(), Languages = ["en-us"], Shorten = Shortener.Rules }.ToJson(), "ann");
        using var end = new CancellationTokenSource();
        Task work = Worker(new HummingEngine()).RunAsync(end.Token);
        JobRow[] ended = [await EndAsync(plain.Id), await EndAsync(asked.Id)];
        await end.CancelAsync();
        await work;
        Assert.All(ended, job => Assert.True(job.State == JobState.Done, job.Message));
        var folders = new DubFolders(_store.Home);
        Assert.Equal([(0, 1 / 3.0), (1, 0.0)],
            ended.Select(job => folders.ResultsOf(job).Single().Fit!)
                .Select(fit => (fit.NumShortened, Math.Round(fit.ShareAbove * 3) / 3)));
        Assert.Contains("wait to hear line number two", File.ReadAllText(folders.Find(ended[1], "en-us.srt")!).ToLowerInvariant(),
            StringComparison.Ordinal);
        Assert.DoesNotContain("please", File.ReadAllText(folders.Find(ended[1], "en-us.srt")!), StringComparison.Ordinal);
        // The suggestion is in the record, and stands in the project for the person to take, edit or refuse.
        Assert.Equal(["wait to hear line number two"],
            VoiceProject.Read(folders.Find(ended[1], "en-us.project.json")!).Lines[1].Alternates);
        await using FlywheelDb db = _store.Tables();
        Assert.Equal(["wait to hear line number two"],
            await db.Generations.Where(row => row.App == "voice").Select(row => row.Payload!.Text)
                .ToListAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Dub_AtTheCostOfAKeyThatIsUsedUp_AsksNoModelAndWaitsForTheNextDay()
    {
        VoiceProject film = Film(1) with { Lines = [Film(1).Lines[0] with { Text = "please wait in order to hear line number two" }] };
        var keys = new ApiKeys(_store, TimeProvider.System);
        (KeyRow key, _) = await keys.CreateAsync(new NewKey("films", [Scopes.Inference]) { MaxTokens = 1 });
        await keys.CountTokensAsync(key.Id, 1);
        JobRow job = await OrderAsync();
        using var end = new CancellationTokenSource();
        Task work = Worker(new HummingEngine()).RunAsync(end.Token);
        for (; job.NotBefore == job.Created && job.Finished is null; job = await _queue.FindAsync(job.Id))
            await Task.Delay(20, TestContext.Current.CancellationToken);
        await end.CancelAsync();
        await work;
        Assert.Equal((JobState.Queued, TimeSpan.Zero), (job.State, job.NotBefore.UtcDateTime.TimeOfDay));
        Assert.StartsWith("the key 'films' has used its 1 tokens of today", job.Message, StringComparison.Ordinal);

        async Task<JobRow> OrderAsync()
        {
            Actor.Is("ann", limitedKey: key.Id);
            return await _queue.EnqueueAsync(DubJob.Kind,
                new DubOrder { Project = film.ToJson(), Languages = ["en-us"], Shorten = Shortener.Model }.ToJson(), "ann");
        }
    }

    /// <summary>Files are named by language and format: whatever an order says, no file lies outside the job's folder.</summary>
    [Fact]
    public void Order_WithOddLanguagesAndFormats_IsRefusedOrStaysInItsFolder()
    {
        string[] known = ["../../x", "/tmp/x", "..", ".", "en-us", "it", "a/b", "a\\b", "en\0", "/../../x.wav", "wav", "mp3", "WAV", "",
            " en", "zh_Hant", new string('a', 36)];
        Gen<string> odd = Gen.OneOf(Gen.Int[0, known.Length - 1].Select(i => known[i]), Gen.String[0, 8]);
        string folder = Path.GetFullPath(_folder["job"]);
        Gen.Select(odd, Gen.Int[0, 2]).Sample((text, place) =>
        {
            DubOrder order = place switch
            {
                0 => new DubOrder { Project = (Film(1) with { Language = text }).ToJson(), Languages = [text] },
                1 => new DubOrder { Project = Film(1).ToJson(), Languages = [text] },
                _ => new DubOrder { Project = Film(1).ToJson(), Languages = ["en-us"], Format = text },
            };
            try
            {
                order.Validate();
            }
            catch (FlywheelException)
            {
                return true;
            }
            return order.Languages.All(language =>
                Path.GetDirectoryName(Path.GetFullPath(Path.Combine(folder, $"{language}.{order.Format}"))) == folder);
        }, iter: 2000, seed: "0000KeXSOcQ3");
        new DubOrder { Project = (Film(1) with { Language = "zh_Hant" }).ToJson(), Languages = ["zh_Hant", "it"] }.Validate();
        foreach ((string language, string format, string field) in new[] { ("../../x", "wav", "language"),
            ("en", "/../../x.wav", "response_format") })
            Assert.Contains(field,
                Assert.Throws<FlywheelException>(new DubOrder { Project = (Film(1) with { Language = language }).ToJson(),
                    Languages = [language], Format = format }.Validate).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dub_ThatIsHeld_StopsAndGoesOn()
    {
        JobRow job = await _queue.EnqueueAsync(DubJob.Kind, new DubOrder { Project = Film(8).ToJson(), Languages = ["en-us"] }.ToJson(),
            "ann");
        using var end = new CancellationTokenSource();
        var hanging = new HangingEngine(hangsAfter: 3);
        Task first = Worker(hanging).RunAsync(end.Token);
        await hanging.Hangs.Task;
        await _queue.PauseAsync(job.Id);
        Assert.Equal(JobState.Paused, (await EndAsync(job.Id)).State);
        await end.CancelAsync();
        await first;
        await _queue.ResumeAsync(job.Id);
        using var after = new CancellationTokenSource();
        var next = new HangingEngine(hangsAfter: int.MaxValue);
        Task second = Worker(next).RunAsync(after.Token);
        Assert.Equal(JobState.Done, (await EndAsync(job.Id)).State);
        await after.CancelAsync();
        await second;
        Assert.Equal(8, hanging.Spoken.Concat(next.Spoken).Distinct().Count());
        Assert.Equal(8, hanging.Spoken.Count + next.Spoken.Count);
    }

    [Fact]
    public async Task Dub_ThatIsCancelledOrDeleted_LeavesNoFolder()
    {
        Guid document = Guid.CreateVersion7();
        var folders = new DubFolders(_store.Home);
        var dubs = new Dubs(_queue, folders);
        JobRow job = await _queue.EnqueueAsync(DubJob.Kind,
            new DubOrder { Project = Film(4).ToJson(), Document = document, Languages = ["en-us"] }.ToJson(), "ann");
        using var end = new CancellationTokenSource();
        var hanging = new HangingEngine(hangsAfter: 1);
        Task first = Worker(hanging).RunAsync(end.Token);
        await hanging.Hangs.Task;
        Assert.True(Directory.Exists(folders.Of(job.Id)));
        await dubs.CancelAsync(job.Id);
        Assert.Equal(JobState.Cancelled, (await EndAsync(job.Id)).State);
        // stopped, and can be begun again
        Assert.Equal(job.Id, Assert.Single(await dubs.OfAsync("ann", WorkspaceRow.Default, document)).Id);
        Assert.False(Directory.Exists(folders.Of(job.Id)));
        await end.CancelAsync();
        await first;
        using var after = new CancellationTokenSource();
        await _queue.ResumeAsync(job.Id);
        Task second = Worker(new HangingEngine(hangsAfter: int.MaxValue)).RunAsync(after.Token);
        Assert.Equal(JobState.Done, (await EndAsync(job.Id)).State);
        await after.CancelAsync();
        await second;
        Assert.NotEmpty(folders.ResultsOf(job.Id, ["en-us"]));
        await dubs.DeleteOfAsync("ann", WorkspaceRow.Default, document);
        Assert.Empty(await dubs.OfAsync("ann", WorkspaceRow.Default, document));
        Assert.Empty(Directory.GetDirectories(Path.GetDirectoryName(folders.Of(job.Id))!));
    }

    /// <summary>Asked for by nobody's page afterwards: what was deleted while it ran leaves by itself, and a failed dub that is deleted is
    /// none.</summary>
    [Fact]
    public async Task Dub_ThatIsDeletedWhileItRunsOrHasFailed_IsGoneFromRecordAndDisk()
    {
        Guid document = Guid.CreateVersion7();
        var folders = new DubFolders(_store.Home);
        var dubs = new Dubs(_queue, folders);
        JobRow running = await EnqueueAsync(), waiting = await EnqueueAsync();
        using var end = new CancellationTokenSource();
        var hanging = new HangingEngine(hangsAfter: 1);
        Task work = Worker(hanging).RunAsync(end.Token);
        await hanging.Hangs.Task;
        await _queue.DeleteAsync(running.Id, TestContext.Current.CancellationToken); // its folder is what the worker writes after that
        await end.CancelAsync();
        await work;
        Assert.False(Directory.Exists(folders.Of(running.Id)));
        await dubs.DeleteOfAsync("ann", WorkspaceRow.Default, document);
        Assert.Empty(Directory.GetDirectories(Path.GetDirectoryName(folders.Of(running.Id))!));
        Assert.Null(await _queue.FindStateAsync(waiting.Id, TestContext.Current.CancellationToken));
        JobRow failed = await EnqueueAsync();
        using var after = new CancellationTokenSource();
        work = Worker(new HangingEngine(hangsAfter: int.MaxValue) { IsBroken = true }).RunAsync(after.Token);
        Assert.Equal(JobState.Failed, (await EndAsync(failed.Id)).State);
        await after.CancelAsync();
        await work;
        await dubs.DeleteAsync(await _queue.FindAsync(failed.Id, TestContext.Current.CancellationToken));
        await dubs.DeleteAsync(failed); // from another window
        Assert.Null(await _queue.FindStateAsync(failed.Id, TestContext.Current.CancellationToken));
        Assert.Empty(await dubs.OfAsync("ann", WorkspaceRow.Default, document));
        Assert.Empty(Directory.GetDirectories(Path.GetDirectoryName(folders.Of(failed.Id))!));
        await using FlywheelDb db = _store.Tables();
        Assert.False(await db.Set<JobPayload>().AnyAsync(TestContext.Current.CancellationToken)); // nor what was ordered

        Task<JobRow> EnqueueAsync() =>
            _queue.EnqueueAsync(DubJob.Kind,
                new DubOrder { Project = Film(4).ToJson(), Document = document, Languages = ["en-us"] }.ToJson(), "ann");
    }

    [Theory]
    [InlineData("xx", "wav", "'xx'")]
    [InlineData("en", "wav", "its own is 'en-us'")]
    [InlineData("it", "exe", "'exe'")]
    public void Order_ThatIsWrong_NamesTheValue(string language, string format, string says) =>
        Assert.Contains(says,
            Assert.Throws<FlywheelException>(() =>
                new DubOrder { Project = Film(1).ToJson(), Languages = [language], Format = format }.Validate()).Message,
                StringComparison.Ordinal);

    [Fact]
    public async Task Api_FromOrderToFile_IsTheDub()
    {
        Sounds.Need("espeak-ng");
        await using TestServer server = await TestServer.StartAsync();
        JsonObject dub = await server.PostAsync("/v1/audio/dubs",
            new() { ["script"] = "1\n00:00:01,000 --> 00:00:03,000\n[ANN] Good morning.\n", ["script_format"] = "srt",
                ["voice"] = "espeak:en-us", ["cast"] = new JsonObject { ["ANN"] = "espeak:en-us+f3" } });
        string id = (string)dub["id"]!;
        while ((string)dub["status"]! is "queued" or "running") dub = await server.GetAsync($"/v1/audio/dubs/{id}");
        Assert.True((string)dub["status"]! == "succeeded", dub.ToJsonString());
        Assert.Equal(["en-us.wav", "en-us.srt", "en-us.vtt", "en-us.report.json", "en-us.project.json"],
            dub["results"]![0]!["files"]!.AsArray().Select(file => (string)file!));
        byte[] wav = await server.Http.GetByteArrayAsync($"/v1/audio/dubs/{id}/files/en-us.wav", TestContext.Current.CancellationToken);
        using (var reader = new WavReader(new MemoryStream(wav), "dub")) Assert.InRange(reader.ReadMono().Duration.TotalSeconds, 1.3, 3.2);
        Assert.Equal(HttpStatusCode.NotFound,
            (await server.Http.GetAsync($"/v1/audio/dubs/{id}/files/..%2Ffile.json", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(id, (string)(await server.GetAsync("/v1/audio/dubs"))["data"]![0]!["id"]!);
        (HttpStatusCode status, JsonObject wrong) =
            await server.TryPostAsync("/v1/audio/dubs",
                """{"script": "1\n00:00:01,000 -> 00:00:02,000\nHello\n", "script_format": "srt"}""");
        Assert.Equal((HttpStatusCode.BadRequest, true),
            (status, ((string)wrong["error"]!["message"]!).Contains("line 2", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.BadRequest,
            (await server.TryPostAsync("/v1/audio/dubs", """{"script": "Hello", "voice": "espeak:nobody"}""")).Status);
        foreach (string odd in new[] { "\"language\": \"../../x\"", "\"response_format\": \"/../../x.wav\"" })
            Assert.Equal(HttpStatusCode.BadRequest,
                (await server.TryPostAsync("/v1/audio/dubs", $$"""{"script": "Hello", "voice": "espeak:en-us", {{odd}}}""")).Status);
        // A page holds whole items, the latest first.
        string second =
            (string)(await server.PostAsync("/v1/audio/dubs", new() { ["script"] = "Good evening.", ["voice"] = "espeak:en-us" }))["id"]!;
        JsonObject page = await server.GetAsync("/v1/audio/dubs?limit=1"),
            rest = await server.GetAsync($"/v1/audio/dubs?limit=1&after={second}");
        Assert.Equal((second, true, second), ((string)page["data"]![0]!["id"]!, (bool)page["has_more"]!, (string)page["last_id"]!));
        Assert.Equal((id, false, "succeeded"), ((string)rest["data"]![0]!["id"]!, (bool)rest["has_more"]!,
            (string)rest["data"]![0]!["status"]!));
        Assert.Equal(HttpStatusCode.OK,
            (await server.Http.DeleteAsync($"/v1/audio/dubs/{id}", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound,
            (await server.Http.GetAsync($"/v1/audio/dubs/{id}", TestContext.Current.CancellationToken)).StatusCode);
    }
}
