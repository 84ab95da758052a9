using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary>The model is replaced while people are being answered.</summary>
public sealed class SwapTests : IAsyncLifetime
{
    private const string ChatPath = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Promote_UnderLoad_NoRequestFailsAndEachEndsOnTheModelOnWhichItBegan()
    {
        ModelFolder[] models = [_server.Server.Model, _server.AnotherModel(2), _server.AnotherModel(3)];
        var answered = new ConcurrentBag<(Guid Id, string Hash, string Text)>();
        using var stop = new CancellationTokenSource();
        Task[] clients = [.. Enumerable.Range(0, 6).Select(client => Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                JsonObject request = TestServer.Chat(maxTokens: 60);
                request["seed"] = client * 100_000 + i;
                request["temperature"] = 1.2;
                answered.Add(client % 2 == 0
                    ? OfStream(await _server.StreamAsync(ChatPath, request)) : OfWhole(await _server.PostAsync(ChatPath, request)));
            }
        }))];

        for (int swap = 1; swap <= 9; swap++)
        {
            ModelFolder next = models[swap % models.Length];
            int before = answered.Count;
            JsonObject status = await _server.PostAsync("/admin/promote", new() { ["model"] = next.Path });
            Assert.Equal(next.Hash, (string)status["model_hash"]!);
            Assert.Equal(next.Hash, OfWhole(await _server.PostAsync(ChatPath, TestServer.Chat())).Hash);
            while (answered.Count < before + 6) await Task.Delay(5); // everybody has met it
        }
        await stop.CancelAsync();
        await Task.WhenAll(clients); // a request that failed has thrown

        // What was recorded can be made again, token by token, by the model that the record names and by no other.
        await using FlywheelStore store = await _server.OpenStoreAsync();
        foreach (ModelFolder model in models)
        {
            await using InferenceEngine engine = InferenceEngine.Load(model, new() { Threads = 1 });
            (Guid Id, string Hash, string Text)[] ofModel = [.. answered.Where(answer => answer.Hash == model.Hash).Take(20)];
            Assert.NotEmpty(ofModel);
            foreach ((Guid id, string hash, string text) in ofModel)
            {
                Generation record = (await store.FindGenerationAsync(id))!;
                GenerationPayload payload = record.Payload!;
                Assert.Equal((hash, text), (record.ModelHash, payload.Text));
                var again = new List<int>();
                await foreach (SampledToken token in engine.Submit(new() { PromptTokens = payload.PromptTokens,
                    MaxTokens = payload.MaxTokens, Sampler = payload.Sampler, Stop = payload.Stop }).Tokens) again.Add(token.Id);
                Assert.Equal(payload.Tokens, again);
            }
        }
    }

    [Fact]
    public async Task Promote_LongStreamRunning_EndsOnOldWhileNewOnesGetNew()
    {
        await using TestServer server = await TestServer.StartAsync(context: 4096);
        ModelFolder next = server.AnotherModel(2);
        JsonObject request = TestServer.Chat(maxTokens: 2000);
        JsonObject bias = [];
        foreach (int end in server.Server.Model.Config.EosTokenIds) bias[$"{end}"] = -100;
        request["logit_bias"] = bias;
        request["stream"] = true;
        using var message = new HttpRequestMessage(HttpMethod.Post,
            ChatPath) { Content = new StringContent(request.ToJsonString(), null, "application/json") };
        using HttpResponseMessage response = await server.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        string first = (await lines.ReadLineAsync())!;

        await server.PostAsync("/admin/promote", new() { ["model"] = next.Path });
        Assert.Equal(next.Hash, OfWhole(await server.PostAsync(ChatPath, TestServer.Chat())).Hash);

        string old = (string)JsonNode.Parse(first["data: ".Length..])!["model_hash"]!;
        string[] rest = (await lines.ReadToEndAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", rest[^1].Trim());
        JsonNode[] chunks = [.. rest[..^1].Select(chunk => JsonNode.Parse(chunk.Trim()["data: ".Length..])!)];
        Assert.All(chunks, chunk => Assert.Equal(old, (string)chunk["model_hash"]!));
        Assert.Equal("length", (string)chunks[^1]["choices"]![0]!["finish_reason"]!);
        Assert.NotEqual(old, next.Hash);
    }

    [Fact]
    public async Task Promote_BrokenModel_OldOneGoesOn()
    {
        ModelFolder broken = _server.AnotherModel(4);
        string weights = Path.Combine(broken.Path, "model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^100]);
        string before = _server.Server.Model.Hash;
        (HttpStatusCode status, JsonObject answer) =
            await _server.TryPostAsync("/admin/promote", new JsonObject { ["model"] = broken.Path }.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("model.safetensors", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        Assert.Equal(before, OfWhole(await _server.PostAsync(ChatPath, TestServer.Chat())).Hash);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(before, (await store.ChampionAsync())!.Hash);
    }

    [Fact]
    public async Task Promote_FolderElsewhere_IsCopiedSoThatItMayGo()
    {
        ModelFolder next = _server.AnotherModel(5);
        JsonObject status = await _server.PostAsync("/admin/promote", new() { ["model"] = next.Path });
        Directory.Delete(next.Path, recursive: true);
        Assert.StartsWith(_server.Home.Models, (string)status["model_folder"]!, StringComparison.Ordinal);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        (ModelFolder first, _) = await FirstModel.FindAsync(store, new() { Home = _server.Home }, DateTimeOffset.UtcNow, default);
        Assert.Equal(next.Hash, first.Hash);
    }

    [Fact]
    public async Task Promote_ByHash_IsRememberedByTheNextStart()
    {
        ModelFolder next = TinyModel.Create(_server.Home.Models, 2);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await _server.PostAsync("/admin/promote", new() { ["model"] = next.Hash, ["reason"] = "turn 1" });
        Assert.Equal((next.Hash, "turn 1"), ((await store.ChampionAsync())!.Hash, (await store.ReleasesAsync())[0].Reason));
        Assert.Equal(next.Hash,
            (await FirstModel.FindAsync(store, new() { Home = _server.Home }, DateTimeOffset.UtcNow, default)).Folder.Hash);
    }

    private static (Guid Id, string Hash, string Text) OfWhole(JsonObject answer)
    {
        JsonNode choice = answer["choices"]![0]!;
        return (Guid.Parse((string)choice["generation_id"]!), (string)answer["model_hash"]!, (string)choice["message"]!["content"]!);
    }

    private static (Guid Id, string Hash, string Text) OfStream(List<JsonObject> events)
    {
        string hash = Assert.Single(events.Select(chunk => (string)chunk["model_hash"]!).Distinct());
        string text = string.Concat(events.Select(chunk => (string?)chunk["choices"]![0]!["delta"]!["content"]));
        Assert.NotNull(events[^1]["choices"]![0]!["finish_reason"]);
        return (Guid.Parse((string)events[0]["choices"]![0]!["generation_id"]!), hash, text);
    }
}
