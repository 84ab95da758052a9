using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary>Adapters as models of their own name.</summary>
public sealed class AdapterTests : IAsyncLifetime
{
    private const string Chat = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Adapter_Loaded_AnswersUnderItsNameAndIsRecorded()
    {
        AdapterFolder adapter = Adapter(_server.Server.Model);
        JsonObject request = TestServer.Chat(maxTokens: 30);
        string plain = Text(await _server.PostAsync(Chat, request));
        await _server.PostAsync("/admin/adapters", new() { ["folder"] = adapter.Path, ["name"] = "warm" });
        Assert.Contains("warm", (await _server.GetAsync("/v1/models"))["data"]!.AsArray().Select(model => (string)model!["id"]!));
        Assert.Equal(adapter.Hash, (string)(await _server.GetAsync("/v1/models/warm"))["adapter_hash"]!);

        request["model"] = "warm";
        JsonObject answer = await _server.PostAsync(Chat, request);
        Assert.Equal(("warm", adapter.Hash, _server.Server.Model.Hash),
            ((string)answer["model"]!, (string)answer["adapter_hash"]!, (string)answer["model_hash"]!));
        Assert.NotEqual(plain, Text(answer));
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(adapter.Hash,
            (await store.FindGenerationAsync(Guid.Parse((string)answer["choices"]![0]!["generation_id"]!)))!.AdapterHash);

        request["model"] = "flywheel";
        JsonObject without = await _server.PostAsync(Chat, request);
        Assert.Equal(plain, Text(without));
        Assert.Null((await store.FindGenerationAsync(Guid.Parse((string)without["choices"]![0]!["generation_id"]!)))!.AdapterHash);

        using HttpResponseMessage unloaded = await _server.Http.DeleteAsync("/admin/adapters/warm");
        Assert.Equal(HttpStatusCode.OK, unloaded.StatusCode);
        request["model"] = "warm";
        Assert.Equal(HttpStatusCode.NotFound, (await _server.TryPostAsync(Chat, request.ToJsonString())).Status);
    }

    [Fact]
    public async Task Adapter_ThatCannotBe_IsRefused()
    {
        AdapterFolder adapter = Adapter(_server.Server.Model), foreign = Adapter(_server.AnotherModel(9));
        await Refused(new() { ["folder"] = "/nowhere" }, 400, "/nowhere");
        await Refused(new() { ["folder"] = adapter.Path, ["name"] = "flywheel" }, 400, "the model's");
        await Refused(new() { ["folder"] = foreign.Path }, 400, "not loaded");
        await Refused([], 400, "folder");
        using HttpResponseMessage absent = await _server.Http.DeleteAsync("/admin/adapters/none");
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);

        async Task Refused(JsonObject body, int status, string says)
        {
            (HttpStatusCode answered, JsonObject answer) = await _server.TryPostAsync("/admin/adapters", body.ToJsonString());
            Assert.True(status == (int)answered, answer.ToJsonString());
            Assert.Contains(says, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        }
    }

    private AdapterFolder Adapter(ModelFolder model)
    {
        var random = new Random(3);
        float[] Values(long count) => [.. Enumerable.Range(0, (int)count).Select(_ => (float)(random.NextDouble() - 0.5))];
        return AdapterFolder.Create(_server.NewPath("adapters"),
            new AdapterConfig { Rank = 4, Alpha = 8, TargetModules = ["q_proj", "down_proj"], Base = model.Hash }, model.Config.Tensors()
            .Where(tensor => tensor.Name.EndsWith("q_proj.weight", StringComparison.Ordinal)
                || tensor.Name.EndsWith("down_proj.weight", StringComparison.Ordinal))
            .Select(tensor => (tensor.Name[..^".weight".Length], Values(4 * tensor.Shape[1]), Values(4 * tensor.Shape[0]))),
            new ModelManifest { Name = "small", Parent = model.Hash });
    }

    private static string Text(JsonObject answer) => (string)answer["choices"]![0]!["message"]!["content"]!;
}
