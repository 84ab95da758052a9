using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Chat;
using Flywheel.Studio.Apps.Chat.Arena;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Chat;

/// <summary>Two anonymous models answer one prompt; what a person chooses is learnt from and counted.</summary>
public sealed class ArenaTests : IAsyncLifetime
{
    private const string Rounds = "/v1/arena/rounds", Results = "/v1/arena/results";

    private FakeUpstream _fake = null!;
    private TestServer _server = null!;

    private FlywheelStore Store => _server.Service<FlywheelStore>();

    private Arenas Arenas => _server.Service<Arenas>();

    public async ValueTask InitializeAsync()
    {
        _fake = await FakeUpstream.StartAsync();
        _server = await TestServer.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _fake.DisposeAsync();
    }

    [Fact]
    public async Task Choice_BetweenTwoModels_NamesThemOnlyThenAndIsAPreferenceOfTheDataset()
    {
        await UpstreamsAsync("amber", "cobalt");
        JsonArray models = (await _server.GetAsync("/v1/arena/models"))["data"]!.AsArray();
        Assert.Equal([_server.Server.Model.Hash, "upstream:amber", "upstream:cobalt"],
            models.Where(model => (bool)model!["ready"]!).Select(model => (string)model!["id"]!));

        JsonObject round = await _server.PostAsync(Rounds, Ask("amber", "cobalt"));
        Guid id = Guid.Parse((string)round["id"]!);
        Assert.Equal(("ready", null), ((string)round["state"]!, round["choice"]));
        foreach (string secret in new[] { "amber", "cobalt", "upstream" }) Assert.DoesNotContain(secret, round.ToJsonString());
        Generation[] answers = await AnswersAsync(round);
        Assert.Equal([(0, id, "arena", "ann"), (1, id, "arena", "ann")],
            answers.Select(answer => (answer.Choice, answer.Group, answer.App, answer.User)));
        Assert.Equal(new HashSet<string?> { "amber", "cobalt" }, answers.Select(answer => answer.Upstream).ToHashSet());
        Assert.Equal((string)round["answers"]![1]!["message"]!["content"]!, answers[1].Payload!.Text.Trim());

        JsonObject chosen = await _server.PostAsync($"{Rounds}/{id}/choice", new() { ["choice"] = "b", ["user"] = "ann" });
        Assert.Equal(answers.Select(answer => $"upstream:{answer.Upstream}"),
            chosen["answers"]!.AsArray().Select(answer => (string)answer!["model"]!));
        Assert.Equal(chosen.ToJsonString(), (await _server.GetAsync($"{Rounds}/{id}?user=ann")).ToJsonString());
        // the same again changes nothing
        Assert.Equal(chosen.ToJsonString(),
            (await _server.PostAsync($"{Rounds}/{id}/choice", new() { ["choice"] = "b", ["user"] = "ann" })).ToJsonString());
        (HttpStatusCode status, JsonObject refused) =
            await _server.TryPostAsync($"{Rounds}/{id}/choice", """{"choice": "a", "user": "ann"}""");
        Assert.Equal((HttpStatusCode.Conflict, "already_chosen"), (status, (string)refused["error"]!["code"]!));

        CuratedDataset dataset = await CurateAsync();
        CuratedExample pair = Assert.Single(dataset.Rows, row => row.Kind == ExampleKind.Preference);
        Assert.Equal((null, answers[1].Id, answers[0].Id, "ann"), (pair.Drop, pair.GenerationId, pair.RejectedId, pair.User));
        string folder = dataset.Write(_server.NewPath("datasets"));
        JsonObject line = Directory.GetFiles(Path.Combine(folder, "preference")).SelectMany(File.ReadAllLines)
            .Select(text => JsonNode.Parse(text)!.AsObject()).Single();
        Assert.Equal(("Write a tagline.", answers[1].Payload!.Text.Trim(), answers[0].Payload!.Text.Trim()),
            ((string)line["input"]!["messages"]![0]!["content"]!, (string)line["preferred_output"]![0]!["content"]!,
                (string)line["non_preferred_output"]![0]!["content"]!));

        JsonNode counted = Assert.Single((await _server.GetAsync(Results))["data"]!.AsArray())!;
        bool first = (string)counted["first"]!["name"]! == answers[1].Upstream;
        Assert.Equal((1, 1, first ? 1 : 0, first ? 0 : 1),
            ((int)counted["choices"]!, (int)counted["people"]!, (int)counted["first_wins"]!, (int)counted["second_wins"]!));

        // Where the licence does not permit it, nothing is learnt from it.
        await UpstreamsAsync(mayTrain: false, "amber", "cobalt");
        Assert.Equal([DropReasons.NoLicence], (await CurateAsync()).Rows.Select(row => row.Drop).Distinct());
        await UpstreamsAsync("amber", "cobalt");

        // Taken back, it is neither counted nor learnt from.
        foreach (Generation answer in answers)
            await _server.PostAsync("/feedback", new() { ["inference_id"] = answer.Id.ToString(), ["metric_name"] = "retract",
                ["value"] = true, ["user"] = "ann" });
        Assert.Empty((await _server.GetAsync(Results))["data"]!.AsArray());
        Assert.DoesNotContain((await CurateAsync()).Rows, row => row.Drop is null);
    }

    [Fact]
    public async Task Choice_OfATie_PrefersNeither()
    {
        await UpstreamsAsync("amber", "cobalt");
        foreach (string choice in new[] { "both_bad", "both_good" })
        {
            JsonObject round = await _server.PostAsync(Rounds, Ask("amber", "cobalt"));
            await _server.PostAsync($"{Rounds}/{round["id"]}/choice", new() { ["choice"] = choice, ["user"] = "ann" });
        }
        IReadOnlyList<CuratedExample> rows = (await CurateAsync()).Rows;
        Assert.DoesNotContain(rows, row => row.Kind == ExampleKind.Preference);
        Assert.Equal((2, 2), (rows.Count(row => row.Kind == ExampleKind.Supervised && row.Drop is null),
            rows.Count(row => row.Drop == DropReasons.NothingKept)));
        Assert.Equal(0.5, (double)(await _server.GetAsync(Results))["data"]![0]!["win_rate"]!["estimate"]!);
    }

    [Fact]
    public async Task Round_WhereOneSideFails_KeepsTheOtherAnswerAndCountsForNobody()
    {
        await UpstreamsAsync("broken", "down", "two");
        await FailAsync("broken", "broke off");
        await FailAsync("down", "failed with status 500");
        Assert.Empty((await _server.GetAsync(Results))["data"]!.AsArray());
    }

    private async Task FailAsync(string failing, string why)
    {
        List<JsonObject> events = await _server.StreamAsync(Rounds, Ask(failing, "two"));
        JsonObject round = events[^1];
        Assert.Equal("void", (string)round["state"]!);
        JsonNode bad = round["answers"]!.AsArray().Single(answer => (string)answer!["name"]! == failing)!,
            good = round["answers"]!.AsArray().Single(answer => (string)answer!["name"]! == "two")!;
        Assert.Equal(("failed", "ready", "Hello there, friend."),
            ((string)bad["state"]!, (string)good["state"]!, (string)good["message"]!["content"]!));
        Assert.Contains(why, (string)bad["fault"]!);
        Assert.Equal("Hello there, friend.",
            string.Concat(events[..^1].Where(one => (string)one["answer"]! == (string)good["answer"]!)
                .Select(one => (string)one["delta"]!)));
        foreach (JsonObject before in events[..^1]) Assert.DoesNotContain("two", before.ToJsonString());
        (HttpStatusCode status, JsonObject refused) =
            await _server.TryPostAsync($"{Rounds}/{round["id"]}/choice", """{"choice": "a", "user": "ann"}""");
        Assert.Equal((HttpStatusCode.Conflict, "round_not_ready"), (status, (string)refused["error"]!["code"]!));
    }

    [Fact]
    public async Task Round_StillWrittenThenStopped_IsFoundAsItGoesAndCannotBeChosenIn()
    {
        await UpstreamsAsync("silent", "two");
        IReadOnlyList<Contestant> all = await _server.Service<Contestants>().ListAsync();
        var id = Guid.CreateVersion7();
        await Arenas.StartAsync(id, "ann", "", Said, [Contestants.Find(all, "silent"), Contestants.Find(all, "two")]);
        LiveRound live = Arenas.Find(id)!;
        ArenaRound round = (await Arenas.FindAsync(id, "ann"))!; // as a page that is loaded again finds it
        Assert.False(round.IsReady || round.IsOver);
        Assert.Null(await Arenas.FindAsync(id, "bob"));
        (HttpStatusCode status, _) = await _server.TryPostAsync($"{Rounds}/{id}/choice", """{"choice": "a", "user": "ann"}""");
        Assert.Equal(HttpStatusCode.Conflict, status);
        JsonObject hidden = await _server.GetAsync($"{Rounds}/{id}?user=ann");
        Assert.Equal("writing", (string)hidden["state"]!);
        Assert.DoesNotContain("silent", hidden.ToJsonString());
        live.Stop();
        await live.Running;
        round = (await Arenas.FindAsync(id, "ann"))!;
        Assert.True(round.IsOver && !round.IsReady);
        Assert.Equal(ArenaState.Stopped, round.Sides.Single(side => side.Name == "silent").State);

        // A server that was killed leaves a round that nobody writes.
        var left = Guid.CreateVersion7();
        ArenaRound writing = round with { Sides = [.. round.Sides.Select(side => side with { State = ArenaState.Writing })] };
        await _server.Service<Documents>().PutAsync(left, "ann", Arenas.App, Arenas.RoundKind, "left", writing.ToJson());
        round = (await Arenas.FindAsync(left, "ann"))!;
        Assert.True(round.IsOver);
        Assert.All(round.Sides, side => Assert.Equal(ArenaState.Lost, side.State));
    }

    [Fact]
    public async Task Lots_OverManyRounds_DrawEveryPairInBothOrdersAndAreRecorded()
    {
        await UpstreamsAsync("one", "two", "three");
        Contestant[] all = [.. (await _server.Service<Contestants>().ListAsync()).Where(one => one.Hash is null)];
        Assert.Equal(3, all.Length);
        // who is named twice has one lot
        (string, string)[] drawn =
            [.. Enumerable.Range(0, 1200).Select(_ => Arenas.Draw([.. all, all[0]])).Select(pair => (pair.A.Name, pair.B.Name))];
        Assert.Equal(6, drawn.Distinct().Count());
        Assert.All(drawn.GroupBy(pair => pair), pair => Assert.InRange(pair.Count(), 100, 300)); // of 200, standard deviation 13: 7 of them
        foreach (int _ in Enumerable.Range(0, 3))
        {
            JsonObject round = await _server.PostAsync(Rounds, Ask("one", "two"));
            Generation[] answers = await AnswersAsync(round);
            Assert.Equal([0, 1], answers.Select(answer => answer.Choice));
            round = await _server.PostAsync($"{Rounds}/{round["id"]}/choice", new() { ["choice"] = "both_bad", ["user"] = "ann" });
            Assert.Equal(answers.Select(answer => answer.Upstream), round["answers"]!.AsArray().Select(answer => (string)answer!["name"]!));
        }
    }

    [Fact]
    public async Task Round_WhereOnlyOneModelIs_SaysHowToAddAnother()
    {
        Assert.SkipWhen(ModelCatalog.Starter is null, "the program was not built in the project, which has the starter model");
        await using TestServer server = await TestServer.StartAsync(options: given => given with { StarterModel = ModelCatalog.Starter });
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync(Rounds, Ask().ToJsonString());
        Assert.Equal((HttpStatusCode.Conflict, "one_model"), (status, (string)answer["error"]!["code"]!));
        Assert.Contains("./flywheel import", (string)answer["error"]!["message"]!);
    }

    [Fact]
    public async Task Choices_AtOnceAndDifferent_OneCounts()
    {
        await UpstreamsAsync("one", "two");
        string id = (string)(await _server.PostAsync(Rounds, Ask("one", "two")))["id"]!;
        var answers =
            await Task.WhenAll(new[] { "a", "b", "both_good",
                "both_bad" }.Select(choice =>
                    _server.TryPostAsync($"{Rounds}/{id}/choice", $$"""{"choice": "{{choice}}", "user": "ann"}""")));
        string chosen = (string)Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK).Body["choice"]!;
        Assert.All(answers.Where(answer => answer.Status != HttpStatusCode.OK),
            answer => Assert.Contains($"'{chosen}'", (string)answer.Body["error"]!["message"]!));
        Assert.Equal(1, (int)(await _server.GetAsync(Results))["data"]![0]!["choices"]!);
    }

    /// <summary>A round belongs to the record: another server of it knows that one writes, and of two choices the first counts on
    /// both.</summary>
    [Fact]
    public async Task Round_OnTwoServersOfOneRecord_IsWrittenForBothAndChosenInOnce()
    {
        await UpstreamsAsync("one", "two");
        await using var other = new Arenas(_server.Service<Generator>(), _server.Service<Contestants>(),
            new Documents(Store, TimeProvider.System), Store, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<Arenas>.Instance);
        string id = (string)(await _server.PostAsync(Rounds, Ask("one", "two")))["id"]!;
        var round = Guid.Parse(id);
        ArenaRound body = (await other.FindAsync(round, "ann"))!;
        var documents = _server.Service<Documents>();
        ArenaRound written = body with { Sides = [.. body.Sides.Select(side => side with { State = ArenaState.Writing, Text = "" })] };
        await documents.ChangeAsync(round, "ann",
            document => (document.Body = (written with { Writer = body.Writer + "x" }).ToJson()).Length > 0);
        Assert.False((await other.FindAsync(round, "ann"))!.IsOver); // nobody is told who writes what
        Assert.Equal("round_not_ready",
            (await Assert.ThrowsAsync<ApiException>(() => other.ChooseAsync(round, "ann", "", ArenaChoice.A))).Code);
        await documents.ChangeAsync(round, "ann",
            document =>
                (document.Body = (written with { Writer = "elsewhere/1/x", WrittenUntil = DateTimeOffset.UnixEpoch }).ToJson()).Length > 0);
        Assert.True((await other.FindAsync(round, "ann"))!.IsOver); // its server has said nothing for long
        await documents.ChangeAsync(round, "ann", document => (document.Body = body.ToJson()).Length > 0);

        ArenaChoice[] choices = [ArenaChoice.A, ArenaChoice.B, ArenaChoice.BothGood, ArenaChoice.BothBad];
        object[] ended = await Task.WhenAll(choices.Select(async (choice, i) =>
        {
            try
            {
                return (object)await (i % 2 == 0 ? Arenas : other).ChooseAsync(round, "ann", "", choice);
            }
            catch (ApiException e)
            {
                return e;
            }
        }));
        ArenaChoice stands = Assert.Single(ended.OfType<ArenaRound>()).Choice!.Value;
        Assert.All(ended.OfType<ApiException>(), refused => Assert.Equal("already_chosen", refused.Code));
        Assert.Equal(stands, (await other.FindAsync(round, "ann"))!.Choice);
        foreach ((ArenaSide side, bool kept) in body.Sides.Zip(new[] { ArenaResults.Kept(stands).A, ArenaResults.Kept(stands).B }))
            Assert.Equal(kept ? Metrics.Keep : Metrics.Discard, Assert.Single(await Store.FeedbackAsync(side.Generation)).Metric);

        // A server that ended between the record and the round: the next choice finds what was chosen.
        await documents.ChangeAsync(round, "ann", document => (document.Body = body.ToJson()).Length > 0);
        ArenaChoice late = stands == ArenaChoice.A ? ArenaChoice.B : ArenaChoice.A;
        Assert.Equal("already_chosen", (await Assert.ThrowsAsync<ApiException>(() => other.ChooseAsync(round, "ann", "", late))).Code);
        Assert.Equal(stands, (await Arenas.FindAsync(round, "ann"))!.Choice);
    }

    [Fact]
    public async Task Models_OnDisk_AreLoadedWhenDrawnAndTwoAreKept()
    {
        string[] others = [await RegisterAsync(2), await RegisterAsync(3), await RegisterAsync(4)];
        foreach (string other in others)
        {
            JsonObject round = await _server.PostAsync(Rounds, Ask(_server.Server.Model.Hash, other[..12]));
            Assert.Contains(other, (await AnswersAsync(round)).Select(answer => answer.ModelHash));
        }
        IReadOnlyList<Contestant> all = await _server.Service<Contestants>().ListAsync();
        Assert.Equal(new HashSet<string> { _server.Server.Model.Hash, others[1], others[2] },
            all.Where(one => one.IsReady).Select(one => one.Id).ToHashSet());

        async Task<string> RegisterAsync(int seed) => await _server.Service<ModelSwitch>().RegisterAsync(_server.AnotherModel(seed).Path);
    }

    [Fact]
    public async Task Request_WithWhatCannotBe_IsRefusedByName()
    {
        await UpstreamsAsync("one", "two");
        const string Messages = """ "messages": [{"role": "user", "content": "Hi"}] """;
        foreach ((string path, string body, string expected) in new[]
        {
            (Rounds, "{}", "messages"), (Rounds, """{"messages": []}""", "messages"),
            (Rounds, """{"messages": [{"role": "assistant", "content": "Hi"}]}""", "message of the user"),
            (Rounds, $$"""{ {{Messages}}, "models": ["nobody", "one"]}""", "nobody"),
            (Rounds, $$"""{ {{Messages}}, "models": 3}""", "models"), (Rounds, $$"""{ {{Messages}}, "temperature": 1}""", "temperature"),
            (Rounds, $$"""{ {{Messages}}, "max_tokens": 0}""", "max_tokens"),
            ($"{Rounds}/{Guid.NewGuid()}/choice", """{"choice": "c"}""", "a, b, both_good or both_bad"),
            ($"{Rounds}/{Guid.NewGuid()}/choice", "{}", "choice"),
        })
        {
            (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(path, body);
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.Contains(expected, (string)answer["error"]!["message"]!);
        }
        Assert.Equal(HttpStatusCode.Conflict,
            (await _server.TryPostAsync(Rounds, $$"""{ {{Messages}}, "models": ["one", "upstream:one"]}""")).Status);
        foreach (string id in new[] { "nothing", $"{Guid.NewGuid()}" })
            Assert.Equal(HttpStatusCode.NotFound, (await _server.TryPostAsync($"{Rounds}/{id}/choice", """{"choice": "a"}""")).Status);
        string taken = (string)(await _server.PostAsync(Rounds, Ask("one", "two")))["id"]!;
        Assert.Equal(HttpStatusCode.NotFound,
            (await _server.TryPostAsync($"{Rounds}/{taken}/choice", """{"choice": "a", "user": "bob"}""")).Status);
    }

    [Fact]
    public void ContextFit_AnyLength_LeavesRoomAndBeginsWithAQuestion()
    {
        ServedModel model = _server.Service<ModelHost>().Current;
        for (int pairs = 0; pairs < 12; pairs++)
            foreach (bool system in new[] { false, true })
            {
                List<Message> messages = system ? [Message.System("Be brief.")] : [];
                for (int i = 0; i < pairs; i++)
                    messages.AddRange([Message.User($"The wheel turns {i} times"), Message.Assistant("and turns and turns")]);
                messages.Add(Message.User("and now?"));
                (Conversation shown, IReadOnlyList<int[]> prompts, int left) =
                    ContextFit.Of(new(messages), [model, model], DateTimeOffset.UnixEpoch);
                Assert.Equal(messages.Count, shown.Messages.Count + left);
                Assert.All(prompts, prompt => Assert.True(prompt.Length <= 256 - 64));
                Assert.Equal((messages[^1], Role.User), (shown.Messages[^1], shown.Messages[system ? 1 : 0].Role));
                Assert.Equal(system, shown.Messages[0].Role == Role.System);
            }
        Assert.Throws<MessageTooLongException>(() =>
            ContextFit.Of(new([Message.User(string.Concat(Enumerable.Repeat("轮子 ", 300)))]), [model], DateTimeOffset.UnixEpoch));
    }

    private static Conversation Said => new([Message.User("Write a tagline.")]);

    private static JsonObject Ask(params string[] models)
    {
        var ask = new JsonObject { ["messages"] = TestServer.Chat()["messages"]!.DeepClone(), ["user"] = "ann", ["max_tokens"] = 12 };
        if (models.Length > 0) ask["models"] = new JsonArray([.. models.Select(model => JsonValue.Create(model))]);
        return ask;
    }

    private Task UpstreamsAsync(params string[] names) => UpstreamsAsync(mayTrain: true, names);

    private Task UpstreamsAsync(bool mayTrain, params string[] names) =>
        File.WriteAllTextAsync(Path.Combine(_server.Home.Path, Upstreams.FileName),
        "upstreams:\n"
            + string.Concat(
                names.Select(name =>
                    $"  - name: {name}\n    base_url: {_fake.Url}\n    model: {name}\n    may_train: {(mayTrain ? "true" : "false")}\n")));

    private async Task<Generation[]> AnswersAsync(JsonObject round) =>
        [.. await Task.WhenAll(round["answers"]!.AsArray()
            .Select(async answer => (await Store.FindGenerationAsync(Guid.Parse((string)answer!["generation_id"]!)))!))];

    /// <summary>As a turn would.</summary>
    private async Task<CuratedDataset> CurateAsync()
    {
        await using FlywheelDb db = Store.Tables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, Upstreams.Read(_server.Home), withTokens: false,
            TestContext.Current.CancellationToken);
        return await TurnCuration.CurateAsync(Store,
            new TurnRecipe { Name = "test", Stages = [], Gate = new() { Regression = "", RegressionMargin = 0 } }, _server.Server.Model,
            intake, TestContext.Current.CancellationToken);
    }
}
