using System.Text.Json.Nodes;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>Requests at the edge of what may be asked: the answer stays within what the model and the request have.</summary>
public sealed class AnswerBoundsTests : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(context: 2048);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Temperature_TooSmallForAReciprocal_AnswersAsGreedy()
    {
        JsonObject greedy = TestServer.Chat(), tiny = TestServer.Chat();
        (greedy["temperature"], tiny["temperature"]) = (0, 1e-40);
        foreach (JsonObject request in new[] { greedy, tiny })
            (request["repetition_penalty"], request["presence_penalty"], request["logprobs"]) = (1.3, 2, true);
        JsonNode expected = (await _server.PostAsync(Path, greedy))["choices"]![0]!,
            actual = (await _server.PostAsync(Path, tiny))["choices"]![0]!;
        Assert.Equal(expected["message"]!.ToJsonString(), actual["message"]!.ToJsonString());
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)actual["generation_id"]!)))!;
        Assert.All(record.Payload!.Tokens, id => Assert.True(_server.Server.Model.Tokenizer.Has(id), $"token {id}"));
        Assert.All(record.Payload.SamplerLogprobs, logprob => Assert.True(float.IsFinite(logprob)));
    }

    [Theory]
    [InlineData("")]
    [InlineData(""","parameters":{}""")]
    [InlineData(""","parameters":{"type":"object"}""")]
    [InlineData(""","parameters":{"type":"object","properties":{}}""")]
    public async Task RequiredCall_OfAToolWithoutParameters_HasNoArguments(string parameters)
    {
        JsonObject request = Call(parameters);
        request["max_tokens"] = 1000;
        JsonNode choice = (await _server.PostAsync(Path, request))["choices"]![0]!;
        Assert.Equal("tool_calls", (string)choice["finish_reason"]!);
        Assert.Equal(new JsonObject().ToJsonString(),
            JsonNode.Parse((string)Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!["function"]!["arguments"]!)!.ToJsonString());
    }

    [Fact]
    public async Task RequiredCall_CutInsideItsTag_ShowsNoContent()
    {
        foreach (int length in new[] { 1, 2, 3, 5, 8, 13 })
        {
            JsonObject request = Call("");
            request["max_tokens"] = length;
            JsonNode choice = (await _server.PostAsync(Path, request))["choices"]![0]!;
            Assert.Equal("length", (string)choice["finish_reason"]!);
            Assert.True(string.IsNullOrEmpty((string?)choice["message"]!["content"]), $"{choice["message"]}");
            Assert.Equal("",
                string.Concat(
                    (await _server.StreamAsync(Path, request)).Select(chunk => (string?)chunk["choices"]![0]!["delta"]!["content"])));
        }
    }

    private static JsonObject Call(string parameters)
    {
        JsonObject request = TestServer.Chat("w");
        request["tool_choice"] = "required";
        request["parallel_tool_calls"] = false;
        request["tools"] = JsonNode.Parse($$$"""[{"type":"function","function":{"name":"ping"{{{parameters}}}}}]""");
        return request;
    }
}
