using System.Net;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Apps.Chat;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Tests;

/// <summary>Somebody else's OpenAI-compatible model behind our API: what goes out, what comes back, what is recorded, how it
/// fails.</summary>
public sealed class UpstreamTests : IAsyncLifetime
{
    private const string ChatPath = "/v1/chat/completions", KeyVariable = "FLYWHEEL_TEST_UPSTREAM_KEY";

    private TestServer _server = null!;
    private FakeUpstream _fake = null!;

    public async ValueTask InitializeAsync()
    {
        Environment.SetEnvironmentVariable(KeyVariable, "sk-secret");
        _fake = await FakeUpstream.StartAsync();
        _server = await TestServer.StartAsync();
        Configure("""
              - {name: other, base_url: BASE, model: gpt-small, key_from: FLYWHEEL_TEST_UPSTREAM_KEY, price_in: 2, price_out: 10}
              - {name: open, base_url: BASE, model: open-weights, may_train: true}
              - {name: whole, base_url: BASE, model: whole}
              - {name: countless, base_url: BASE, model: countless}
              - {name: unauthorized, base_url: BASE, model: unauthorized, key_from: FLYWHEEL_TEST_UPSTREAM_KEY}
              - {name: keyless, base_url: BASE, model: gpt-small, key_from: FLYWHEEL_TEST_NO_SUCH_KEY}
              - {name: limited, base_url: BASE, model: limited}
              - {name: unknown, base_url: BASE, model: unknown}
              - {name: invalid, base_url: BASE, model: invalid}
              - {name: down, base_url: BASE, model: down}
              - {name: silent, base_url: BASE, model: silent, timeout_s: 0.3}
              - {name: broken, base_url: BASE, model: broken}
              - {name: garbage, base_url: BASE, model: garbage}
              - {name: nobody, base_url: "http://127.0.0.1:9/v1", model: m}
            """);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _fake.DisposeAsync();
    }

    [Fact]
    public async Task Chat_WithAnUpstreamsName_GivesItsAnswerAndRecordsIt()
    {
        foreach (bool stream in new[] { false, true }) await AnswersAsync(stream);

        // A slip of the pen in the file ends nobody's answers.
        File.AppendAllText(Path.Combine(_server.Home.Path, Upstreams.FileName), "nonsense: [\n");
        foreach (string model in new[] { "other", "flywheel" }) await _server.PostAsync(ChatPath, Chat(model));
    }

    private async Task AnswersAsync(bool stream)
    {
        JsonObject request = Chat("other");
        (request["user"], request["temperature"], request["metadata"]) = ("ann", 0.5, new JsonObject { ["team"] = "secret" });
        (string text, Guid id) = stream
            ? OfEvents(await _server.StreamAsync(ChatPath, request)) : OfWhole(await _server.PostAsync(ChatPath, request));
        Assert.Equal("Hello there, friend.", text);

        // What goes out is the question, with the key, and not who asked it.
        Assert.Equal("Bearer sk-secret", _fake.Key);
        Assert.Equal(["max_tokens", "messages", "model", "seed", "stream", "stream_options", "temperature"],
            _fake.Asked.Select(field => field.Key).Order());
        Assert.Equal("gpt-small", (string)_fake.Asked["model"]!);

        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation recorded = (await store.FindGenerationAsync(id))!;
        Assert.Equal(("other", "", "ann", 9, 6),
            (recorded.Upstream, recorded.ModelHash, recorded.User, recorded.NumPromptTokens, recorded.NumTokens));
        Assert.Equal((9 * 2 + 6 * 10) / 1e6, recorded.Cost!.Value, 12);
        Assert.Equal((text, 0, 0), (recorded.Payload!.Text, recorded.Payload.Tokens.Length, recorded.Payload.Logprobs.Length));
        Assert.Equal(FinishReason.Stop, recorded.FinishReason);
        Assert.Single(recorded.Payload.Conversation!.Messages);
    }

    [Fact]
    public async Task Chat_ManyChoicesAndUnusualUpstreams_AreToldApart()
    {
        JsonObject request = Chat("other");
        request["n"] = 3;
        JsonObject answer = await _server.PostAsync(ChatPath, request);
        Assert.Equal(3, answer["choices"]!.AsArray().Count(choice => (string)choice!["message"]!["content"]! == "Hello there, friend."));
        Assert.Equal((9, 6, 4), ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["completion_tokens"]!,
            (int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!));
        Assert.Equal(("other", "other", null, null),
            ((string)answer["model"]!, (string)answer["upstream"]!, (string?)answer["model_hash"], (string?)answer["system_fingerprint"]));

        Assert.Equal("Hello there, friend.", OfWhole(await _server.PostAsync(ChatPath, Chat("whole"))).Text); // does not stream
        Assert.Null((await _server.PostAsync(ChatPath, Chat("countless")))["usage"]); // does not say
        Assert.Contains("other", (await _server.GetAsync("/v1/models"))["data"]!.AsArray().Select(model => (string)model!["id"]!));
        Assert.Equal("upstream", (string)(await _server.GetAsync("/v1/models/other"))["owned_by"]!);
    }

    [Fact]
    public async Task Chat_WhereTheUpstreamFails_SaysWhoAndHow()
    {
        foreach ((string name, int status, string code, string expected) in new[]
        {
            ("unauthorized", 502, "upstream_unauthorized", KeyVariable),
            ("keyless", 503, "upstream_not_configured", "FLYWHEEL_TEST_NO_SUCH_KEY"),
            ("limited", 429, "rate_limit_exceeded", "it is limited"),
            ("unknown", 502, "upstream_not_found", "no model 'unknown'"),
            ("invalid", 400, "upstream_invalid_request", "it is invalid"),
            ("down", 502, "upstream_error", "500"),
            ("silent", 504, "upstream_timeout", "0.3 seconds"),
            ("broken", 502, "upstream_broken", "ended before"),
            ("garbage", 502, "upstream_broken", "no JSON"),
            ("nobody", 502, "upstream_unreachable", "127.0.0.1:9"),
        }) await FailsAsync(name, status, code, expected);
    }

    private async Task FailsAsync(string name, int status, string code, string expected)
    {
        using var content = new StringContent(Chat(name).ToJsonString(), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _server.Http.PostAsync(ChatPath, content);
        JsonNode error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((status, code), ((int)response.StatusCode, (string)error["code"]!));
        Assert.Contains(name, (string)error["message"]!);
        Assert.Contains(expected, (string)error["message"]!);
        Assert.DoesNotContain("sk-secret", error.ToJsonString());
        if (name == "limited") Assert.Equal(TimeSpan.FromSeconds(7), response.Headers.RetryAfter!.Delta);
        if (name == "invalid") Assert.Equal("temperature", (string)error["param"]!);

        // Also as a stream: a status where nothing was said yet, an event where the answer had begun.
        JsonObject streamed = Chat(name);
        streamed["stream"] = true;
        using HttpResponseMessage events = await _server.Http.PostAsync(ChatPath,
            new StringContent(streamed.ToJsonString(), Encoding.UTF8, "application/json"));
        string body = await events.Content.ReadAsStringAsync();
        Assert.Equal(name is "broken" or "garbage" ? 200 : status, (int)events.StatusCode);
        Assert.Contains($"\"code\":\"{code}\"", body);
        if (name is not ("broken" or "garbage")) return;
        Assert.Contains("Hello", body);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation[] failed = [.. (await store.RecentGenerationsAsync(10)).Where(row => row.Upstream == name)];
        Assert.Equal(2, failed.Length);
        Assert.All(failed, row => Assert.Equal((FinishReason.Failed, "Hello there,"), (row.FinishReason, row.Payload!.Text)));
    }

    [Fact]
    public async Task Chat_WithFieldsThatOnlyOurModelsHave_IsRefusedByName()
    {
        foreach ((string field, JsonNode value) in new (string, JsonNode)[] { ("top_k", 4), ("logprobs", true),
            ("grammar", "root ::= \"a\""), ("candidates", 4), ("logit_bias", new JsonObject { ["1"] = 1 }) })
        {
            JsonObject request = Chat("other");
            request[field] = value;
            (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(ChatPath, request.ToJsonString());
            Assert.Equal((HttpStatusCode.BadRequest, field), (status, (string)answer["error"]!["param"]!));
        }
    }

    [Fact]
    public async Task Feedback_OnAnUpstreamsAnswer_TeachesOnlyWhereItsLicenceSaysSo()
    {
        foreach (string name in new[] { "other", "open" })
            await _server.PostAsync("/feedback", new()
            {
                ["inference_id"] = OfWhole(await _server.PostAsync(ChatPath, Chat(name))).Id.ToString(), ["metric_name"] = "keep",
                ["value"] = true, ["user"] = "ann",
            });
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, Upstreams.Read(store.Home), withTokens: false,
            TestContext.Current.CancellationToken);
        IReadOnlyList<CuratedExample> rows = Curator.Curate(intake.Shown, intake.Feedback, new CurationRules(1, _ => true));
        Assert.Equal([DropReasons.NoLicence, null], rows.Select(row => row.Drop).OrderByDescending(drop => drop));
        Assert.Equal("Hello there, friend.", Assert.Single(rows, row => row.Drop is null).Preferred);
    }

    [Fact]
    public async Task Rollout_FromAnUpstreamToOnesOwnModel_SplitsComparesCostAndMovesOver()
    {
        string own = _server.Server.Model.Hash;
        long id =
            (long)(await _server.PostAsync("/v1/rollouts", new() { ["champion"] = "other", ["candidate"] = own, ["share"] = 50 }))["id"]!;
        Dictionary<string, JsonObject> asked = [];
        foreach (int person in Enumerable.Range(0, 20))
        {
            JsonObject request = Chat("flywheel");
            request["user"] = $"user-{person}";
            asked[$"user-{person}"] = await _server.PostAsync(ChatPath, request);
            Guid answer = OfWhole(asked[$"user-{person}"]).Id;
            await _server.PostAsync("/feedback", new() { ["inference_id"] = answer.ToString(), ["metric_name"] = "keep", ["value"] = true,
                ["user"] = $"user-{person}" });
        }
        int theirs = asked.Values.Count(answer => (string)answer["model"]! == "other");
        Assert.InRange(theirs, 2, 18);
        JsonObject status = await _server.GetAsync($"/v1/rollouts/{id}");
        Assert.Equal(78e-6, (double)status["champion_arm"]!["cost_per_accepted"]!, 12);
        Assert.InRange((double)status["candidate_arm"]!["cost_per_accepted"]!, 1e-9, 3); // an hour at most
        Assert.Equal((theirs, 20 - theirs), ((int)status["champion_arm"]!["answers"]!, (int)status["candidate_arm"]!["answers"]!));

        // A translation goes where its person's chats go.
        await using (FlywheelStore store = await _server.OpenStoreAsync())
            foreach (bool theirsToo in new[] { true, false })
            {
                string user = asked.First(answer => ((string)answer.Value["model"]! == "other") == theirsToo).Key;
                JsonObject translated = await _server.PostAsync("/v1/translate", new() { ["segments"] = new JsonArray("One house."),
                    ["source"] = "en", ["target"] = "es", ["engine"] = "model", ["user"] = user });
                Generation drafted = (await store.FindGenerationAsync(Guid.Parse((string)translated["segments"]![0]!["generation_id"]!)))!;
                Assert.Equal((theirsToo ? "other" : null, id, theirsToo ? "champion" : "candidate"),
                    (drafted.Upstream, drafted.Rollout, drafted.Variant));
            }

        // What only a model of ours can do is no part of it.
        JsonObject special = Chat("flywheel");
        special["top_k"] = 3;
        Assert.Equal(own, (string)(await _server.PostAsync(ChatPath, special))["model_hash"]!);

        await _server.PostAsync($"/v1/rollouts/{id}/stop", []);
        Assert.Equal("other", (string)(await _server.PostAsync(ChatPath, Chat("flywheel")))["model"]!); // the champion of before answers on
        long again = (long)(await _server.PostAsync("/v1/rollouts", new() { ["candidate"] = own, ["share"] = 50 }))["id"]!;
        await _server.PostAsync($"/v1/rollouts/{again}/promote", []);
        Assert.Equal(own, (string)(await _server.PostAsync(ChatPath, Chat("flywheel")))["model_hash"]!);
    }

    [Fact]
    public async Task Release_WhereAnUpstreamAnswers_EndsThatAlsoForTheModelOfBefore()
    {
        string own = _server.Server.Model.Hash;
        RolloutHost host = _server.Service<RolloutHost>();
        await using FlywheelStore store = await _server.OpenStoreAsync();
        foreach (string released in new[] { own, _server.AnotherModel(2).Path })
        {
            long id =
                (long)(await _server.PostAsync("/v1/rollouts",
                    new() { ["champion"] = "other", ["candidate"] = own, ["share"] = 1 }))["id"]!;
            if (released == own)
            {
                await _server.PostAsync($"/v1/rollouts/{id}/stop", []);
                Assert.Equal("other", (string)(await _server.PostAsync(ChatPath, Chat("flywheel")))["model"]!);
            }
            await _server.PostAsync("/admin/promote", new() { ["model"] = released });
            await host.CheckAsync(TestContext.Current.CancellationToken);
            RolloutRow last = (await store.LastRolloutAsync(TestContext.Current.CancellationToken))!;
            Assert.Equal(RolloutState.Stopped, last.State);
            if (released != own) Assert.Contains("another model was released", last.Reason);
            Assert.Null(await store.AnsweringUpstreamAsync(TestContext.Current.CancellationToken));
            Assert.Equal((await store.ChampionAsync())!.Hash, (string?)(await _server.PostAsync(ChatPath, Chat("flywheel")))["model_hash"]);
        }
    }

    [Fact]
    public async Task File_ChangedWhileARolloutRuns_IsFollowedByIt()
    {
        RolloutHost host = _server.Service<RolloutHost>();
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await _server.PostAsync("/v1/rollouts", new() { ["champion"] = "other", ["candidate"] = _server.Server.Model.Hash, ["share"] = 1 });
        Configure("  - {name: other, base_url: BASE, model: gpt-larger}");
        await host.RefreshAsync();
        Assert.Equal("gpt-larger", host.Live!.Upstreams.Champion!.Model);

        // Broken when the server starts, it is waited for.
        string file = Path.Combine(_server.Home.Path, Upstreams.FileName), valid = File.ReadAllText(file);
        Replace("upstreams: [\n");
        await _server.Server.DisposeAsync();
        await using StudioServer again =
            await StudioServer.StartAsync(new StudioOptions { Home = _server.Home, Url = "http://127.0.0.1:0",
                Engine = new() { Threads = 1 } }, TestContext.Current.CancellationToken);
        host = TestServer.Service<RolloutHost>(again);
        await host.CheckAsync(TestContext.Current.CancellationToken);
        Assert.Equal((RolloutState.Running, null),
            ((await store.LastRolloutAsync(TestContext.Current.CancellationToken))!.State, host.Live));
        Replace(valid);
        await host.RefreshAsync();
        Assert.Equal("gpt-larger", host.Live!.Upstreams.Champion!.Model);

        Configure("  - {name: open, base_url: BASE, model: m}");
        for (int look = 0; look < 2; look++) await host.RefreshAsync();
        RolloutRow ended = (await store.LastRolloutAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal((RolloutState.Stopped, "upstream:other is not in upstreams.yaml any more"), (ended.State, ended.Reason));
        Assert.Null(host.Live);
    }

    [Fact]
    public async Task PageChat_AnsweredByAnUpstream_KeepsTheAnswerOrSaysWhyThereIsNone()
    {
        var app =
            (WebApplication)typeof(StudioServer).GetField("_app",
                BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(_server.Server)!;
        (Chats chats, ChatWriter writer) = (app.Services.GetRequiredService<Chats>(), app.Services.GetRequiredService<ChatWriter>());
        foreach ((string name, string expected) in new[] { ("other", "Hello there, friend."),
            ("down", "the upstream 'down' failed with status 500: it is down") })
        {
            (Guid conversation, Guid message) = await chats.AddAsync(null, "ann", null, Role.User, "Hello?");
            var ended = new TaskCompletionSource();
            LiveAnswer? live = null;
            writer.Progressed += id =>
            {
                live = writer.Find(id) ?? live;
                if (writer.Find(id) is null) ended.TrySetResult();
            };
            await writer.StartAsync(conversation, "ann", message, new ChatSettings { Upstream = name, System = "" });
            await ended.Task;
            ConversationMessage last = (await chats.FindAsync(conversation, "ann"))!.Path[^1];
            Assert.Equal(expected, name == "other" ? ChatTree.TextOf(last) : live!.Fault);
            Assert.Equal(name == "other", last.GenerationId is not null);
        }
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation recorded = Assert.Single(await store.RecentGenerationsAsync(10), row => row.Upstream == "other");
        Assert.Equal((Chats.App, "ann"), (recorded.App, recorded.User));
    }

    [Fact]
    public async Task Chat_WithAnotherFlywheelAsTheUpstream_GivesWhatThatOneGives()
    {
        await using TestServer second = await TestServer.StartAsync(context: 512);
        Configure($"  - {{name: neighbour, base_url: \"{second.Server.Url}/v1\", model: flywheel}}");
        JsonObject there = await second.PostAsync(ChatPath, TestServer.Chat()), here = await _server.PostAsync(ChatPath, Chat("neighbour"));
        Assert.Equal((string)there["choices"]![0]!["message"]!["content"]!, OfWhole(here).Text);
        Assert.Equal((int)there["usage"]!["completion_tokens"]!, (int)here["usage"]!["completion_tokens"]!);
        Assert.Equal((string)there["choices"]![0]!["finish_reason"]!, (string)here["choices"]![0]!["finish_reason"]!);

        // One that leads back here ends at once, by its name or by a rollout.
        Configure(
            $"  - {{name: circle, base_url: \"{_server.Server.Url}/v1\", model: circle}}\n  - {{name: mirror, base_url: \"{_server.Server.Url}/v1\", model: flywheel}}");
        (HttpStatusCode status, JsonObject refused) = await _server.TryPostAsync(ChatPath, Chat("circle").ToJsonString());
        Assert.Equal((HttpStatusCode.BadGateway, true), (status, ((string)refused["error"]!["message"]!).Contains("leads back here")));
        await _server.PostAsync("/v1/rollouts", new() { ["champion"] = "mirror", ["candidate"] = _server.Server.Model.Hash,
            ["share"] = 1 });
        Assert.Equal("mirror", (string)(await _server.PostAsync(ChatPath, Chat("flywheel")))["model"]!);
    }

    [Fact]
    public void File_WithAWrongField_IsRefusedWithLineAndName()
    {
        foreach ((string yaml, string expected) in new[]
        {
            ("  - {name: a b, base_url: BASE, model: m}", "name"),
            ("  - {name: flywheel, base_url: BASE, model: m}", "name"),
            ("  - {name: a, base_url: ftp://x, model: m}", "base_url"),
            ("  - {name: a, base_url: \"http://u:p@x/v1\", model: m}", "key_from"),
            ("  - {name: a, base_url: BASE, model: m, price_in: -1}", "price_in"),
            ("  - {name: a, base_url: BASE, model: m}\n  - {name: a, base_url: BASE, model: m}", "twice"),
            ("  - {name: a, base_url: BASE, model: m, key: sk-1}", "unknown field"),
        })
        {
            Configure(yaml);
            FlywheelException refused = Assert.Throws<FlywheelException>(() => Upstreams.Read(_server.Home));
            Assert.Contains(expected, refused.Message);
            Assert.Contains($"{Upstreams.FileName} line ", refused.Message);
        }
    }

    private void Configure(string upstreams) => Replace($"machine_per_hour: 3\nupstreams:\n{upstreams.Replace("BASE", _fake.Url)}\n");

    /// <summary>At once: the server looks at the file all the time.</summary>
    private void Replace(string text) => AtomicFile.WriteText(Path.Combine(_server.Home.Path, Upstreams.FileName), text);

    private static JsonObject Chat(string model)
    {
        JsonObject request = TestServer.Chat();
        request["model"] = model;
        return request;
    }

    private static (string Text, Guid Id) OfWhole(JsonObject answer) =>
        ((string)answer["choices"]![0]!["message"]!["content"]!, Guid.Parse((string)answer["choices"]![0]!["generation_id"]!));

    private static (string Text, Guid Id) OfEvents(List<JsonObject> events) =>
        (string.Concat(events.SelectMany(one => one["choices"]!.AsArray()).Select(choice => (string?)choice!["delta"]?["content"])),
            Guid.Parse((string)events[0]["choices"]![0]!["generation_id"]!));
}
