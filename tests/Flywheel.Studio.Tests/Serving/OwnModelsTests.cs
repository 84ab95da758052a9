using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Serving;

/// <summary>A workspace teaches its own model, which answers there and nowhere else.</summary>
public sealed class OwnModelsTests : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions", Ask = "Write a tagline.\nName: Thing 3";

    private readonly TempFolder _recipes = new();
    private TestServer _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllLinesAsync(_recipes["regression.jsonl"],
            Enumerable.Range(0, 8).Select(i => new Conversation([Message.User($"Say {i}."), Message.Assistant($"It is {i}.")]).ToString()),
            Stop);
        await File.WriteAllTextAsync(_recipes["turn.yaml"], "name: never\nstages: []\n", Stop);
        await File.WriteAllTextAsync(_recipes["workspace.yaml"], """
            name: own
            curate: { min_train: 8, min_held_out: 4 }
            stages:
              - train: { objective: supervised, steps: 40, batch_tokens: 512, micro_tokens: 512, learning_rate: 1e-2, lora: { rank: 4, alpha: 8 } }
            gate: { regression: regression.jsonl, regression_margin: 100, sanity_prompts: 4, sanity_floor: 0, max_tokens: 12, fidelity_margin: 1 }
            """, Stop);
        _server = await TestServer.StartAsync(options: options => options with { TurnRecipe = _recipes["turn.yaml"] });
        _server.Http.DefaultRequestHeaders.Authorization = new("Bearer", AdminSecret.Read(_server.Home));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _recipes.Dispose();
    }

    [Fact]
    public async Task Turn_OfAWorkspace_ChangesWhatIsServedThereAndNotElsewhere()
    {
        foreach (string id in new[] { "acme", "blue" }) await _server.PostAsync("/v1/workspaces", new() { ["name"] = id, ["id"] = id });
        await InAsync("acme", () => KeepAsync(30));
        JsonObject before = await AskAsync("acme");
        Assert.Equal(Text(await AskAsync(WorkspaceRow.Default)), Text(before));
        Assert.Null(before["adapter_hash"]);

        JsonObject begun = await _server.PostAsync("/admin/turns", new() { ["workspace"] = "acme", ["user"] = "ann" });
        Assert.Equal("acme", (string)begun["workspace"]!);
        await EndAsync(Guid.Parse((string)begun["job"]!));
        JsonObject turn = (await _server.GetAsync("/admin/turns"))["turns"]![0]!.AsObject();
        Assert.Equal(("acme", "waiting"), ((string)turn["workspace"]!, (string)turn["state"]!)); // one person decides
        Assert.Equal(Text(before), Text(await AskAsync("acme")));
        await _server.PostAsync($"/admin/turns/{turn["number"]}", new() { ["accept"] = true, ["user"] = "ann" });

        JsonObject taught = await AskAsync("acme");
        Assert.NotEqual(Text(before), Text(taught));
        Assert.Equal(((string)before["model"]!, (string)before["model_hash"]!), ((string)taught["model"]!, (string)taught["model_hash"]!));
        Generation recorded = (await _server.Service<FlywheelStore>()
            .FindGenerationAsync(Guid.Parse((string)taught["choices"]![0]!["generation_id"]!)))!;
        Assert.Equal(((string)taught["adapter_hash"]!, "acme"), (recorded.AdapterHash, recorded.Workspace));
        foreach (string elsewhere in new[] { "blue", WorkspaceRow.Default })
        {
            JsonObject answer = await AskAsync(elsewhere);
            Assert.Equal((Text(before), null), (Text(answer), answer["adapter_hash"]));
        }
        Assert.Equal((string)turn["candidate"]!, (string)(await SpaceAsync("acme"))["model_hash"]!);
        Assert.Null((await SpaceAsync("blue"))["model_hash"]);

        // Nobody can ask for it from elsewhere, or take it away, by the name that the engine has for it.
        string name = Assert.Single(_server.Service<ModelHost>().Current.Engine.Adapters).Key;
        JsonObject request = TestServer.Chat(Ask);
        request["model"] = name;
        Assert.Equal(HttpStatusCode.NotFound, (await _server.TryPostAsync($"/w/blue{Chat}", request.ToJsonString())).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.DeleteAsync($"/admin/adapters/{Uri.EscapeDataString(name)}", Stop)).StatusCode);
        Assert.DoesNotContain("workspace:", (await _server.GetAsync("/v1/models")).ToJsonString() + taught.ToJsonString());
        request["model"] = before["model_hash"]!.DeepClone(); // who names the shared model is answered by it
        Assert.Equal(Text(before), Text(await _server.PostAsync($"/w/acme{Chat}", request)));

        // And back, and forth again.
        Assert.Null((await _server.PostAsync("/v1/workspaces/acme/model", new() { ["to"] = "shared" }))["model_hash"]);
        Assert.Equal(Text(before), Text(await AskAsync("acme")));
        Assert.Equal((string)turn["candidate"]!, (string)(await _server.PostAsync("/v1/workspaces/acme/model", []))["model_hash"]!);
        Assert.Equal(Text(taught), Text(await AskAsync("acme")));
    }

    [Fact]
    public async Task Turn_OfNoWorkspaceOrWithNothingToLearn_SaysSo()
    {
        (HttpStatusCode status, JsonObject body) = await _server.TryPostAsync("/admin/turns", """{"workspace": "nowhere"}""");
        Assert.Equal((HttpStatusCode.BadRequest, "workspace"), (status, (string)body["error"]!["param"]!));
        await _server.PostAsync("/v1/workspaces", new() { ["name"] = "acme" });
        JsonObject begun = await _server.PostAsync("/admin/turns", new() { ["workspace"] = "acme" });
        JobRow job = await EndAsync(Guid.Parse((string)begun["job"]!));
        Assert.Contains("there is no feedback to learn from", job.Message, StringComparison.Ordinal);
        (status, body) = await _server.TryPostAsync("/v1/workspaces/acme/model", """{"to": "shared"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("no model of its own", (string)body["error"]!["message"]!, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await _server.TryPostAsync("/v1/workspaces/nowhere/model", "{}")).Status);
    }

    private async Task<JobRow> EndAsync(Guid job)
    {
        var queue = new JobQueue(_server.Service<FlywheelStore>());
        for (JobRow row = await queue.FindAsync(job, Stop);; row = await queue.FindAsync(job, Stop))
        {
            if (row.State is JobState.Done or JobState.Failed) return row;
            await Task.Delay(50, Stop);
        }
    }

    private Task<JsonObject> AskAsync(string workspace) =>
        _server.PostAsync((workspace == WorkspaceRow.Default ? "" : $"/w/{workspace}") + Chat, TestServer.Chat(Ask));

    private async Task<JsonObject> SpaceAsync(string id) => (await _server.GetAsync("/v1/workspaces"))["data"]!.AsArray()
        .Select(row => row!.AsObject()).Single(row => (string)row["id"]! == id);

    private static string Text(JsonObject answer) => (string)answer["choices"]![0]!["message"]!["content"]!;

    /// <summary>One person keeps a text for each of so many briefs.</summary>
    private async Task KeepAsync(int count)
    {
        FlywheelStore store = _server.Service<FlywheelStore>();
        for (int i = 0; i < count; i++)
        {
            var id = Guid.CreateVersion7();
            await store.RecordAsync(new Generation
            {
                Id = id, Group = id, Time = DateTimeOffset.UtcNow, App = "write", User = "ann", ModelHash = _server.Server.Model.Hash,
                FinishReason = FinishReason.Stop, NumPromptTokens = 1, NumTokens = 1,
                Payload = new()
                {
                    GenerationId = id, Conversation = new([Message.User($"Write a tagline.\nName: Thing {i}")]),
                    Text = $"Write better with thing {i}.",
                    PromptTokens = [1], Tokens = [1], Logprobs = [-1], SamplerLogprobs = [-1], Sampler = new SamplerOptions(),
                },
            }, Stop);
            await store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Keep, JsonValue.Create(true), "ann"), Stop);
        }
    }

    private static async Task InAsync(string workspace, Func<Task> act)
    {
        Actor.Enter(workspace);
        await act();
    }
}
