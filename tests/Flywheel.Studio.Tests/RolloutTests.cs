using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Tests.Apps.Tasks;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary>Two live models behind one API: who is sent where, what is recorded of it, and how it ends.</summary>
public sealed class RolloutTests : IAsyncLifetime
{
    private const string ChatPath = "/v1/chat/completions", Path = "/v1/rollouts";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Start_TwoModels_PeopleStayInTheirArmThroughStepsAndRestarts()
    {
        ModelFolder candidate = _server.AnotherModel(2);
        string champion = _server.Server.Model.Hash;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await using (FlywheelDb db = store.Tables())
        {
            // the same people fall to the candidate each time
            db.Secrets.Add(new SecretRow { Name = RolloutSplit.Secret, Value = new byte[32], Created = DateTimeOffset.UnixEpoch });
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        JsonObject begun = await _server.PostAsync(Path, new() { ["candidate"] = candidate.Path, ["share"] = 25 });
        Assert.Equal((champion, candidate.Hash, "running"),
            ((string)begun["champion"]!, (string)begun["candidate"]!, (string)begun["state"]!));
        long id = (long)begun["id"]!;

        Dictionary<string, string> first = await AskAllAsync(_server.Http);
        Assert.Equal(first, await AskAllAsync(_server.Http));
        var split = new RolloutSplit(await store.SecretAsync(RolloutSplit.Secret), id);
        Assert.All(first, person => Assert.Equal(split.IsCandidate(person.Key, 0.25) ? candidate.Hash : champion, person.Value));
        Assert.Equal(2, first.Values.Distinct().Count());

        foreach (Generation recorded in await store.RecentGenerationsAsync(40))
        {
            bool second = recorded.ModelHash == candidate.Hash;
            Assert.Equal((id, second ? "candidate" : "champion", second ? 0.25 : 0.75),
                (recorded.Rollout, recorded.Variant, recorded.Propensity));
        }

        // Who names a model gets that one, and is no part of it.
        foreach (string named in new[] { _server.Server.Model.Hash, _server.Server.Model.Manifest.Name })
        {
            JsonObject request = TestServer.Chat();
            (request["model"], request["user"]) = (named, first.First(person => person.Value == candidate.Hash).Key);
            JsonObject answer = await _server.PostAsync(ChatPath, request);
            Assert.Equal(champion, (string)answer["model_hash"]!);
            Generation alone = (await store.FindGenerationAsync(Guid.Parse((string)answer["choices"]![0]!["generation_id"]!)))!;
            Assert.Equal((null, null, null), (alone.Rollout, alone.Variant, alone.Propensity));
        }

        await _server.PostAsync($"{Path}/{id}/step", new() { ["share"] = 50 });
        Dictionary<string, string> half = await AskAllAsync(_server.Http);
        Assert.All(first.Where(person => person.Value == candidate.Hash), person => Assert.Equal(candidate.Hash, half[person.Key]));

        await _server.Server.DisposeAsync();
        await using StudioServer again =
            await StudioServer.StartAsync(new StudioOptions { Home = _server.Home, Url = "http://127.0.0.1:0",
                Engine = new() { Threads = 1 } });
        using var http = new HttpClient(new AdminSecretHandler(_server.Home)) { BaseAddress = new Uri(again.Url) };
        Assert.Equal(half, await AskAllAsync(http));
        using HttpResponseMessage stopped = await http.PostAsync($"{Path}/{id}/stop", new StringContent("{}", null, "application/json"));
        Assert.Equal(HttpStatusCode.OK, stopped.StatusCode);
        Assert.All(await AskAllAsync(http), person => Assert.Equal(champion, person.Value));
    }

    /// <summary>By whichever door a person comes, they meet the same model, and what they say of it counts.</summary>
    [Fact]
    public async Task Tasks_AndTranslations_AreSplitLikeChats()
    {
        await using TestServer server = await TaskApiTests.StartAsync(TaskApiTests.Morse, TaskApiTests.Say);
        ModelFolder candidate = server.AnotherModel(2);
        string champion = server.Server.Model.Hash;
        long id = (long)(await server.PostAsync(Path, new() { ["candidate"] = candidate.Path, ["share"] = 50 }))["id"]!;
        await using FlywheelStore store = await server.OpenStoreAsync();
        var split = new RolloutSplit(await store.SecretAsync(RolloutSplit.Secret), id);
        string Of(bool second) => Enumerable.Range(0, 1000).Select(i => $"user-{i}").First(user => split.IsCandidate(user, 0.5) == second);
        TaskFolder morse = server.Service<TaskDesk>().Catalog.Find("morse");
        foreach (bool second in new[] { false, true })
        {
            (string user, string model) = (Of(second), second ? candidate.Hash : champion);
            JsonObject answer = await server.PostAsync("/v1/tasks/morse", TaskOf("text", "sos", user));
            Assert.Equal(model, (string)answer["model_hash"]!);
            JsonArray segments = (await server.PostAsync("/v1/translate", Translation(user)))["segments"]!.AsArray();
            var sheets = server.Service<TaskSheets>();
            await sheets.AskAsync(user, morse, new Dictionary<string, string> { ["text"] = "sos" }); // the page
            Guid[] made = [Guid.Parse((string)answer["generation_id"]!), (await sheets.ReadAsync(user, "morse")).Answers[0].Generation,
                .. segments.Select(Id)];
            foreach (Guid one in made)
            {
                Generation recorded = (await store.FindGenerationAsync(one))!;
                Assert.Equal((id, second ? "candidate" : "champion", 0.5, model),
                    (recorded.Rollout, recorded.Variant, recorded.Propensity, recorded.ModelHash));
                await server.PostAsync("/feedback", new() { ["inference_id"] = one.ToString(), ["metric_name"] = "keep", ["value"] = true,
                    ["user"] = user });
            }
        }
        JsonObject status = await server.GetAsync($"{Path}/{id}");
        foreach (string arm in new[] { "champion_arm", "candidate_arm" })
            Assert.Equal((1, 5, 5, 1.0), ((int)status[arm]!["people"]!, (int)status[arm]!["answers"]!, (int)status[arm]!["judged_answers"]!,
                (double)status[arm]!["acceptance"]!));

        // Who says no name is drawn by request, a text's sentences together.
        JsonArray nameless = (await server.PostAsync("/v1/translate", Translation("")))["segments"]!.AsArray();
        Generation[] both = await Task.WhenAll(nameless.Select(async one => (await store.FindGenerationAsync(Id(one)))!));
        Assert.Single(both.Select(one => (one.Rollout, one.Variant)).Distinct());
        Assert.Equal(id, both[0].Rollout);

        // Who names a model gets that one; what the candidate has no tokens for is no part of it, whoever asks.
        JsonObject named = TaskOf("text", "sos", Of(true)), said = TaskOf("word", "cat", Of(true));
        named["model"] = champion;
        foreach ((string task, JsonObject ask) in new[] { ("morse", named), ("say", said) })
        {
            JsonObject answer = await server.PostAsync($"/v1/tasks/{task}", ask);
            Assert.Equal(champion, (string)answer["model_hash"]!);
            Assert.Null((await store.FindGenerationAsync(Guid.Parse((string)answer["generation_id"]!)))!.Rollout);
        }

        static Guid Id(JsonNode? segment) => Guid.Parse((string)segment!["generation_id"]!);
        static JsonObject TaskOf(string field, string value, string user) =>
            new() { ["fields"] = new JsonObject { [field] = value }, ["user"] = user };
        static JsonObject Translation(string user) => new() { ["segments"] = new JsonArray("One house.", "Two.", "Three."), ["source"] = "en",
            ["target"] = "es", ["engine"] = "model", ["user"] = user };
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task People_WhoAcceptOneArmOnly_EndTheRolloutByThemselves(bool candidateIsBetter)
    {
        ModelFolder candidate = _server.AnotherModel(2);
        string champion = _server.Server.Model.Hash;
        long id = (long)(await _server.PostAsync(Path, new() { ["candidate"] = candidate.Path, ["share"] = 50 }))["id"]!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        var split = new RolloutSplit(await store.SecretAsync(RolloutSplit.Secret), id);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        Generation[] answers = [.. from person in Enumerable.Range(0, 80) from turn in Enumerable.Range(0, 5)
            select Recorded($"user-{person}", now)];
        await Task.WhenAll(answers.Select(answer => store.RecordAsync(answer)));
        await Task.WhenAll(answers.Select(answer => store.AddFeedbackAsync(
            new(answer.Id, (answer.Variant == "candidate") == candidateIsBetter ? Metrics.Keep : Metrics.Discard, JsonValue.Create(true),
                answer.User))));

        JsonObject status = await UntilEndedAsync(id);
        Assert.Equal(candidateIsBetter ? "promoted" : "rolled_back", (string)status["state"]!);
        Assert.Contains("people accept", (string)status["reason"]!);
        Assert.Equal(candidateIsBetter ? candidate.Hash : champion, _server.Server.Model.Hash);
        Assert.Equal(candidateIsBetter ? candidate.Hash : champion, (await store.ChampionAsync())!.Hash);
        double low = (double)status["acceptance_difference"]!["low"]!, high = (double)status["acceptance_difference"]!["high"]!;
        Assert.True(candidateIsBetter ? low > 0 : high < 0, $"{low} to {high}");

        Generation Recorded(string user, DateTimeOffset time)
        {
            bool second = split.IsCandidate(user, 0.5);
            var made = Guid.CreateVersion7();
            return new()
            {
                Id = made, Group = made, Time = time, User = user, App = "api", ModelHash = second ? candidate.Hash : champion,
                FinishReason = FinishReason.Stop,
                Rollout = id, Variant = second ? "candidate" : "champion", Propensity = 0.5,
                Payload = new() { GenerationId = made, Text = "a text", PromptTokens = [1], Tokens = [2], Logprobs = [0],
                    SamplerLogprobs = [0], Sampler = new() },
            };
        }
    }

    [Fact]
    public async Task Drafts_OfBothModels_AreShownByLotAndChosenBetween()
    {
        ModelFolder candidate = _server.AnotherModel(2);
        Assert.Equal(HttpStatusCode.Conflict, (await _server.TryPostAsync($"{Path}/drafts", Ask().ToJsonString())).Status);
        long id =
            (long)(await _server.PostAsync(Path, new() { ["candidate"] = candidate.Path, ["share"] = 1, ["decide"] = "drafts" }))["id"]!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        var places = new HashSet<int>();
        for (int i = 0; i < 30; i++)
        {
            JsonArray choices = (await _server.PostAsync($"{Path}/drafts", Ask()))["choices"]!.AsArray();
            Generation[] drafts =
                [.. await Task.WhenAll(
                    choices.Select(async choice => (await store.FindGenerationAsync(Guid.Parse((string)choice!["generation_id"]!)))!))];
            Assert.Equal([0, 1], drafts.Select(draft => draft.Choice));
            Assert.Single(drafts.Select(draft => draft.Group).Distinct());
            Assert.All(drafts, draft => Assert.Equal((id, 1.0), (draft.Rollout, draft.Propensity)));
            Generation second = Assert.Single(drafts, draft => draft.Variant == "candidate");
            Assert.Equal(candidate.Hash, second.ModelHash);
            places.Add(second.Choice);
            if (i < 5)
                await _server.PostAsync("/feedback", new() { ["inference_id"] = second.Id.ToString(), ["metric_name"] = "keep",
                    ["value"] = true, ["user"] = "ann" });
        }
        Assert.Equal(2, places.Count);
        JsonNode drafted = (await _server.GetAsync($"{Path}/{id}"))["drafts"]!;
        Assert.Equal((1, 5, 1.0), ((int)drafted["people"]!, (int)drafted["choices"]!, (double)drafted["estimate"]!));

        static JsonObject Ask() =>
            new() { ["messages"] = TestServer.Chat()["messages"]!.DeepClone(), ["user"] = "ann", ["max_tokens"] = 4 };
    }

    [Fact]
    public async Task Start_WithWhatCannotBe_IsRefusedByName()
    {
        string same = _server.Server.Model.Hash, other = _server.AnotherModel(2).Path;
        foreach ((string body, string expected) in new[]
        {
            ("""{"candidate": "nobody"}""", "nobody"), ($$"""{"candidate": "{{same}}"}""", "serves already"),
            ($$"""{"candidate": "{{other}}", "share": 3}""", "1, 5, 10, 25, 50"),
            ($$"""{"candidate": "{{other}}", "decide": "coin"}""", "acceptance or drafts"),
            ($$"""{"candidate": "{{other}}", "champion": "nobody"}""", "upstream"), ("""{"share": 1}""", "candidate"),
        })
        {
            (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, body);
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.Contains(expected, (string)answer["error"]!["message"]!);
        }
        Assert.Empty((await _server.GetAsync(Path))["data"]!.AsArray());
    }

    [Fact]
    public async Task Start_WithoutTheMemoryForTwo_IsRefusedWithTheArithmetic()
    {
        await using TestServer small = await TestServer.StartAsync(new() { Threads = 1, AvailableBytes = 32 << 20, CacheBytes = 64 << 20 });
        (HttpStatusCode status, JsonObject answer) =
            await small.TryPostAsync(Path, new JsonObject { ["candidate"] = small.AnotherModel(2).Path }.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Matches(@"does not fit beside the champion: 32 MiB are free, of which \d+ MiB are kept .* need \d+ MiB",
            (string)answer["error"]!["message"]!);
        Assert.Equal(small.Server.Model.Hash, (string)(await small.PostAsync(ChatPath, TestServer.Chat()))["model_hash"]!);
    }

    [Fact]
    public async Task LoadBeside_MoreThanOneModel_KeepsTheMemoryOfAllTheirCaches()
    {
        await using TestServer small =
            await TestServer.StartAsync(new() { Threads = 1, AvailableBytes = 300 << 20, CacheBytes = 200 << 20 });
        ModelHost host = small.Service<ModelHost>();
        ServedModel second = await host.LoadBesideAsync(small.AnotherModel(2), "the second");
        FlywheelException refused =
            await Assert.ThrowsAsync<FlywheelException>(() => host.LoadBesideAsync(small.AnotherModel(3), "the third"));
        Match kept = Regex.Match(refused.Message,
            @"^the third does not fit beside the champion: 300 MiB are free, of which (\d+) MiB are kept");
        // two caches, less the pages that are made already
        Assert.True(kept.Success && int.Parse(kept.Groups[1].Value) is > 300 and <= 400, refused.Message);
        host.Retire(second);
        await second.Unloaded;
        host.Retire(await host.LoadBesideAsync(small.AnotherModel(3), "the third"));
    }

    [Fact]
    public async Task Promote_BesideAnotherModelInMemory_KeepsTheMemoryOfItsCache()
    {
        await using TestServer small = await TestServer.StartAsync(new() { Threads = 1, MaxBatch = 1024, AvailableBytes = 200 << 20 });
        ModelHost host = small.Service<ModelHost>();
        ServedModel first = host.Current, beside = await host.LoadBesideAsync(small.AnotherModel(2), "an arena's");
        await host.PromoteAsync(small.AnotherModel(3), () => Task.CompletedTask);
        long withIt = host.Current.Engine.NumCachePages, kept = beside.Engine.CacheBytesToCome;
        host.Retire(beside);
        await Task.WhenAll(beside.Unloaded, first.Unloaded);
        await host.PromoteAsync(small.AnotherModel(4), () => Task.CompletedTask);
        long alone = host.Current.Engine.NumCachePages;
        Assert.True(withIt < alone, $"{withIt} pages beside another model's cache ({kept} bytes), {alone} alone");
    }

    /// <summary>Twenty-five people kept what the first model wrote and keep nothing of what a rollout released: it is taken back, and the
    /// page's endpoint says so.</summary>
    [Fact]
    public async Task Release_OfARolloutThatPeopleAcceptLess_IsTakenBack()
    {
        string former = _server.Server.Model.Hash;
        ModelFolder next = _server.AnotherModel(2);
        await Service<ModelSwitch>().ServeAsync(next.Path, "rollout 7: people accept more of the candidate's answers");
        DateTimeOffset released = (await Service<FlywheelStore>().ReleasesAsync())[0].Time;
        await using (FlywheelDb db = Service<FlywheelStore>().Tables())
        {
            for (int i = 0; i < 250; i++)
            {
                bool after = i >= 125;
                DateTimeOffset time = after ? released : released.AddDays(-1).AddSeconds(i);
                var id = Guid.CreateVersion7(time);
                db.Generations.Add(new Generation
                {
                    Id = id, Group = id, Time = time, User = $"user-{i % 25}", App = "write", ModelHash = after ? next.Hash : former,
                    FinishReason = Engine.FinishReason.Stop, NumTokens = 9, LatencyMs = 200,
                    Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [], Logprobs = [],
                        SamplerLogprobs = [], Sampler = new() },
                });
                db.Feedback.Add(new Feedback { Id = Guid.NewGuid(), Time = time, GenerationId = id,
                    Metric = after ? Metrics.Discard : Metrics.Keep, Value = "true", User = $"user-{i % 25}" });
            }
            await db.SaveChangesAsync();
        }
        JsonObject seen = await _server.GetAsync($"{Path}/watch");
        Assert.Equal((next.Hash, former, 25, 1.0, 0.0),
            ((string)seen["model"]!, (string)seen["former"]!, (int)seen["people"]!, (double)seen["acceptance_before"]!,
                (double)seen["acceptance"]!));

        await Service<ReleaseWatcher>().CheckAsync(TestContext.Current.CancellationToken);

        Assert.Equal(former, _server.Server.Model.Hash);
        Assert.Equal(former, (string)(await _server.PostAsync(ChatPath, TestServer.Chat()))["model_hash"]!);
        Assert.StartsWith($"taken back: {next.Hash[..12]}, because people accept fewer of its answers",
            (await Service<FlywheelStore>().ReleasesAsync())[0].Reason);
        Assert.Equal("none", (string)(await _server.GetAsync($"{Path}/watch"))["state"]!);
        Assert.Equal((HttpStatusCode.Conflict, "nothing_watched"),
            await _server.TryPostAsync($"{Path}/watch", """{"decision": "keep"}""") is var (status, body)
                ? (status, (string)body["error"]!["code"]!) : default);

        // What a person would rather keep is not looked at any more; what they take back is served no more.
        await Service<ModelSwitch>().ServeAsync(_server.AnotherModel(3).Path, "rollout 8: again");
        Assert.Equal("none", (string)(await _server.PostAsync($"{Path}/watch", new() { ["decision"] = "keep" }))["state"]!);
        await Service<ModelSwitch>().ServeAsync(_server.AnotherModel(4).Path, "rollout 9: and again");
        await _server.PostAsync($"{Path}/watch", new() { ["decision"] = "take_back", ["user"] = "ann" });
        Assert.Equal(_server.AnotherModel(3).Hash, _server.Server.Model.Hash);
        Assert.EndsWith(", by ann", (await Service<FlywheelStore>().ReleasesAsync())[0].Reason);
    }

    /// <summary>Whoever stops several answers at once is not failed by one that ends in this moment.</summary>
    [Fact]
    public async Task Answer_StoppedAfterItsEnd_StaysEnded()
    {
        Generator generator = _server.Service<Generator>();
        Conversation said = new([Message.User("Say something.")]);
        GenerationGroup group =
            generator.Start(model => new GenerationOrder { Conversation = said,
                Prompts = [model.Template.Prompt(said, DateTimeOffset.UtcNow)], MaxTokens = 2, Sampler = new(), App = "test" },
                CancellationToken.None);
        using var stop = new CancellationTokenSource();
        await using CancellationTokenRegistration registered = stop.Token.Register(group.Cancel);
        await foreach (ChoiceEvent _ in group.Events) { }
        await group.DisposeAsync();
        await stop.CancelAsync();
    }

    [Fact]
    public async Task Release_OfAnotherModelMeanwhile_StopsTheRollout()
    {
        long id = (long)(await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(2).Path, ["share"] = 50 }))["id"]!;
        Assert.Equal(HttpStatusCode.BadRequest,
            (await _server.TryPostAsync(Path, new JsonObject { ["candidate"] = _server.AnotherModel(4).Path }.ToJsonString())).Status);
        await _server.PostAsync("/admin/promote", new() { ["model"] = _server.AnotherModel(3).Path });
        JsonObject status = await UntilEndedAsync(id);
        Assert.Equal("stopped", (string)status["state"]!);
        Assert.Contains("another model was released", (string)status["reason"]!);
        Assert.Equal(HttpStatusCode.Conflict, (await _server.TryPostAsync($"{Path}/{id}/promote", "{}")).Status);
    }

    [Fact]
    public async Task Promote_OfTheCandidateThatAnswers_TakesItAsItIsInMemory()
    {
        long id = (long)(await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(2).Path, ["share"] = 50 }))["id"]!;
        ServedModel candidate = Service<RolloutHost>().Live!.Candidate!;
        JsonObject ended = await _server.PostAsync($"{Path}/{id}/promote", new() { ["user"] = "ann" });
        Assert.Equal(("promoted", "promoted by ann"), ((string)ended["state"]!, (string)ended["reason"]!));
        Assert.Same(candidate, Service<ModelHost>().Current); // no third copy of weights
        Assert.Equal(candidate.Hash, (string)(await _server.PostAsync(ChatPath, TestServer.Chat()))["model_hash"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal((candidate.Hash, $"rollout {id}: promoted by ann"),
            ((await store.ReleasesAsync())[0].ModelHash, (await store.ReleasesAsync())[0].Reason));
    }

    [Fact]
    public async Task Promote_OfARolloutThatEndsMeanwhile_ReleasesNothing()
    {
        string champion = _server.Server.Model.Hash;
        JsonObject begun = await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(2).Path, ["share"] = 50 });
        (long id, string candidate) = ((long)begun["id"]!, (string)begun["candidate"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        int before = (await store.ReleasesAsync()).Count;
        FlywheelException refused =
            await Assert.ThrowsAsync<FlywheelException>(() => Service<ModelSwitch>().ServeAsync(candidate, async _ =>
        {
            // another server's act
            Assert.True(await store.EndRolloutAsync(id, RolloutState.Stopped, "stopped while it loaded", DateTimeOffset.UtcNow));
            await store.PromoteRolloutAsync(id, "proven", DateTimeOffset.UtcNow);
        }));
        Assert.Contains("ended meanwhile", refused.Message);
        Assert.Equal((champion, before), (_server.Server.Model.Hash, (await store.ReleasesAsync()).Count));
        Assert.Equal((RolloutState.Stopped, "stopped while it loaded"),
            ((await store.LastRolloutAsync())!.State, (await store.LastRolloutAsync())!.Reason));
    }

    [Fact]
    public async Task Promote_OfACandidateThatCannotBeOpened_SaysSoInTheRecordAndGoesOn()
    {
        JsonObject begun = await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(2).Path, ["share"] = 50 });
        long id = (long)begun["id"]!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        File.Delete(System.IO.Path.Combine(store.FolderOf((await store.FindModelAsync((string)begun["candidate"]!))!), "config.json"));
        (HttpStatusCode status, JsonObject refused) = await _server.TryPostAsync($"{Path}/{id}/promote", "{}");
        Assert.True(status is HttpStatusCode.BadRequest, $"{status} {refused}");
        JsonObject now = await _server.GetAsync($"{Path}/{id}");
        Assert.Equal("running", (string)now["state"]!);
        Assert.Contains("could not be promoted", (string)now["reason"]!);
    }

    private T Service<T>() where T : notnull => _server.Service<T>();

    private async Task<JsonObject> UntilEndedAsync(long id)
    {
        while (true)
        {
            JsonObject status = await _server.GetAsync($"{Path}/{id}");
            if ((string)status["state"]! != "running") return status;
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Twenty people's models.</summary>
    private static async Task<Dictionary<string, string>> AskAllAsync(HttpClient http)
    {
        var models = new Dictionary<string, string>();
        foreach (int person in Enumerable.Range(0, 20))
        {
            JsonObject request = TestServer.Chat(maxTokens: 2);
            request["user"] = $"user-{person}";
            using HttpResponseMessage response = await http.PostAsync(ChatPath,
                new StringContent(request.ToJsonString(), null, "application/json"));
            models[$"user-{person}"] = (string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["model_hash"]!;
        }
        return models;
    }
}
