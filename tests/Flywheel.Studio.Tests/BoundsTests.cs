using System.Net;
using System.Text.Json.Nodes;

namespace Flywheel.Studio.Tests;

/// <summary>Whatever a client may send at length is refused by name beyond its bound, in an answer that does not send it all
/// back.</summary>
public sealed class BoundsTests : IAsyncLifetime
{
    private const string ChatPath = "/v1/chat/completions", TextPath = "/v1/completions", FeedbackPath = "/feedback";

    private static readonly string Long = new('x', 1_000_000);

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public static TheoryData<string, string, string, string> Fields => new()
    {
        { FeedbackPath, "tags", Labels(17, "a", "b"), "at most 16" },
        { FeedbackPath, "tags", Labels(1, new string('n', 65), "b"), "at most 64" },
        { FeedbackPath, "tags", Labels(1, Long, "b"), "at most 64" },
        { FeedbackPath, "tags", Labels(1, "a", new string('t', 513)), "at most 512" },
        { FeedbackPath, "tags", Labels(1, "a", Long), "at most 512" },
        { FeedbackPath, "user", Text(Long), "at most 200" },
        { FeedbackPath, "idempotency_key", Text(Long), "at most 200" },
        { FeedbackPath, "metric_name", Text(Long), "expected one of" },
        { FeedbackPath, "inference_id", Text(Long), "expected the generation_id" },
        { FeedbackPath, "value", Text(Long), "expected" },
        { FeedbackPath, Long, "1", "unknown" },
        { ChatPath, "metadata", Labels(17, "a", "b"), "at most 16" },
        { ChatPath, "metadata", Labels(1, Long, "b"), "at most 16" },
        { ChatPath, "metadata", Labels(1, "a", Long), "at most 512" },
        { ChatPath, "user", Text(Long), "at most 200" },
        { ChatPath, "model", Text(Long), "does not exist" },
        { ChatPath, "stop", Text(Long), "at most 1000" },
        { ChatPath, "stop", new JsonArray([.. Enumerable.Range(0, 17).Select(i => JsonValue.Create($"{i}"))]).ToJsonString(),
            "at most 16" },
        { ChatPath, "logit_bias",
            new JsonObject(Enumerable.Range(0, 1025).Select(i => KeyValuePair.Create($"{i}", (JsonNode?)1))).ToJsonString(),
            "at most 1024" },
        { ChatPath, "n", "129", "1 to 128" },
        { ChatPath, "service_tier", Text(Long), "flex" },
        { ChatPath, "tool_choice", Text(Long), "expected" },
        { ChatPath, "response_format", $"{{\"type\": {Text(Long)}}}", "expected" },
        { ChatPath, Long, "1", "not known" },
        { TextPath, "prompt", new JsonArray([.. Enumerable.Range(0, 65).Select(i => JsonValue.Create($"{i}"))]).ToJsonString(),
            "at most 64" },
        { TextPath, "logprobs", "1000000", "0 to 5" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public async Task Field_BeyondItsBound_IsRefusedByName(string path, string field, string value, string says)
    {
        JsonObject request = path switch
        {
            ChatPath => TestServer.Chat(maxTokens: 2),
            TextPath => new() { ["model"] = "flywheel", ["prompt"] = "a", ["max_tokens"] = 2 },
            _ => new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "rating", ["value"] = 1 },
        };
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(path, request.ToJsonString());
        Assert.InRange((int)status, 400, 404);
        string message = (string)answer["error"]!["message"]!;
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.InRange(answer.ToJsonString().Length, 1, 5000);
        if (field.Length < 100) Assert.Contains(field, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tags_AtTheirBounds_AreStored()
    {
        JsonObject request =
            new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "keep", ["value"] = true,
            ["tags"] = JsonNode.Parse(Labels(16, new string('n', 62), new string('t', 512))) };
        Assert.NotNull((await _server.PostAsync(FeedbackPath, request))["feedback_id"]);
    }

    private static string Text(string text) => JsonValue.Create(text).ToJsonString();

    private static string Labels(int count, string name, string text) =>
        new JsonObject(Enumerable.Range(0, count).Select(i => KeyValuePair.Create(count == 1 ? name : $"{name}{i:00}", (JsonNode?)text)))
            .ToJsonString();
}
