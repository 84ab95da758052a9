using System.ClientModel;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using OpenAI;
using OpenAI.Embeddings;

namespace Flywheel.Studio.Tests;

public sealed class EmbeddingTests(EmbeddingTests.Own one) : IClassFixture<EmbeddingTests.Own>
{
    private const string Path = "/v1/embeddings";

    private readonly TestServer _server = one.Server;

    public sealed class Own : OneServer
    {
        private protected override Task<TestServer> StartAsync() =>
            TestServer.StartAsync(new EngineOptions { Threads = 1, Weights = WeightFormat.Fp32 });
    }

    [Fact]
    public async Task Vectors_OfTextsAndIds_AreTheEnginesOwn()
    {
        await using InferenceEngine engine = InferenceEngine.Load(_server.Server.Model, new() { Threads = 1, Weights = WeightFormat.Fp32 });
        string[] texts = ["The wheel", "die Räder drehen sich", "轮子"];
        JsonObject byText = await _server.PostAsync(Path, Ask(new JsonArray([.. texts.Select(text => JsonValue.Create(text))])));
        JsonObject byIds = await _server.PostAsync(Path,
            Ask(new JsonArray([.. texts.Select(text => new JsonArray([.. Ids(text).Select(id => JsonValue.Create(id))]))])));
        for (int i = 0; i < texts.Length; i++)
        {
            float[] expected = await engine.EmbedAsync(Ids(texts[i]), Pooling.Mean);
            Assert.Equal(expected, Vector(byText, i));
            Assert.Equal(expected, Vector(byIds, i));
            Assert.Equal(1, expected.Sum(value => value * value), 1e-5f);
        }
        Assert.Equal(texts.Sum(text => Ids(text).Length), (int)byText["usage"]!["prompt_tokens"]!);

        JsonObject last = Ask("The wheel");
        last["pooling"] = "last";
        last["encoding_format"] = "base64";
        byte[] bytes = Convert.FromBase64String((string)(await _server.PostAsync(Path, last))["data"]![0]!["embedding"]!);
        Assert.Equal(await engine.EmbedAsync(Ids("The wheel"), Pooling.LastToken), MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    [Fact]
    public async Task Dimensions_Fewer_AreTheFirstAtLengthOne()
    {
        float[] whole = Vector(await _server.PostAsync(Path, Ask("The wheel")), 0);
        JsonObject few = Ask("The wheel");
        few["dimensions"] = 5;
        float[] cut = Vector(await _server.PostAsync(Path, few), 0);
        Assert.Equal(5, cut.Length);
        float norm = MathF.Sqrt(whole[..5].Sum(value => value * value));
        for (int i = 0; i < 5; i++) Assert.Equal(whole[i] / norm, cut[i], 1e-5f);
    }

    [Fact]
    public async Task Client_OfOpenAI_ReadsThem()
    {
        EmbeddingClient client = new OpenAIClient(new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri($"{_server.Server.Url}/v1") }).GetEmbeddingClient("flywheel");
        OpenAIEmbeddingCollection vectors = await client.GenerateEmbeddingsAsync(["The wheel", "turns"]);
        Assert.Equal(2, vectors.Count);
        Assert.Equal(Vector(await _server.PostAsync(Path, Ask("The wheel")), 0), vectors[0].ToFloats().ToArray());
        Assert.True(vectors.Usage.InputTokenCount > 0);
        OpenAIEmbedding cut = await client.GenerateEmbeddingAsync("The wheel", new EmbeddingGenerationOptions { Dimensions = 7 });
        Assert.Equal(7, cut.ToFloats().Length);
    }

    [Theory]
    [InlineData("input", "null", "missing_required_parameter", "missing")]
    [InlineData("input", "\"\"", "invalid_value", "empty")]
    [InlineData("input", "[1, 99999]", "invalid_value", "99999")]
    [InlineData("input", "[\"a\", 1]", "invalid_value", "of either")]
    [InlineData("encoding_format", "\"int8\"", "invalid_value", "base64")]
    [InlineData("dimensions", "0", "invalid_value", "1 to 32")]
    [InlineData("dimensions", "33", "invalid_value", "1 to 32")]
    [InlineData("pooling", "\"max\"", "invalid_value", "mean or last")]
    [InlineData("prompt", "\"x\"", "unknown_parameter", "input")]
    [InlineData("model", "\"gpt-9\"", "model_not_found", "gpt-9")]
    public async Task Field_Wrong_IsRefusedByName(string field, string value, string code, string says)
    {
        JsonObject request = Ask("The wheel");
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, request.ToJsonString());
        Assert.NotEqual(HttpStatusCode.OK, status);
        Assert.Equal((field, code), ((string)answer["error"]!["param"]!, (string)answer["error"]!["code"]!));
        Assert.Contains(says, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Input_LongerThanTheContext_TellsTheNumbers()
    {
        (_, JsonObject answer) = await _server.TryPostAsync(Path, Ask(string.Concat(Enumerable.Repeat("zxq ", 400))).ToJsonString());
        Assert.Equal("context_length_exceeded", (string)answer["error"]!["code"]!);
        Assert.Contains("256", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    private static JsonObject Ask(JsonNode input) => new() { ["model"] = "flywheel", ["input"] = input };

    private int[] Ids(string text) => _server.Server.Model.Tokenizer.Encode(text);

    private static float[] Vector(JsonObject answer, int index) =>
        [.. answer["data"]![index]!["embedding"]!.AsArray().Select(value => (float)value!)];
}
