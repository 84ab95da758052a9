using System.Text.Json.Nodes;

namespace Flywheel.Studio.Tests;

/// <summary><c>usage</c>: how many tokens of a prompt were found in the cache.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    private const string ChatPath = "/v1/chat/completions", TextPath = "/v1/completions",
        Story = "Zebras quietly examined forty jugs of pink vinegar; nobody knew why, and nobody asked them to stop.";

    /// <summary>What the cache keeps of an ended text: its full pages.</summary>
    private const int PageTokens = 32;

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(context: 1024);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task CachedTokens_PromptAskedTwice_AreAllButTheLastTheSecondTime()
    {
        (int prompt, int cold) = Cached(await _server.PostAsync(TextPath, Text(Story)));
        Assert.Equal(0, cold);
        // the last one's logits are asked for, so it is read again
        Assert.Equal((prompt, prompt - 1), Cached(await _server.PostAsync(TextPath, Text(Story))));
        (int longer, int found) = Cached(await _server.PostAsync(TextPath, Text(Story + " Then the rain began.")));
        Assert.InRange(found, prompt - 8, longer - 1);
    }

    [Fact]
    public async Task CachedTokens_SeveralChoices_CountWhatWasThereBefore()
    {
        JsonObject request = TestServer.Chat(Story);
        request["n"] = 3;
        (int prompt, int cold) = Cached(await _server.PostAsync(ChatPath, request));
        Assert.InRange(cold, 0, 12); // the template's first tokens, which every chat shares
        Assert.InRange(Cached(await _server.PostAsync(ChatPath, request)).Cached, prompt - PageTokens, prompt - 1);
    }

    [Fact]
    public async Task CachedTokens_Streaming_AreInTheLastEvent()
    {
        await _server.PostAsync(ChatPath, TestServer.Chat(Story));
        JsonObject request = TestServer.Chat(Story);
        request["stream_options"] = new JsonObject { ["include_usage"] = true };
        List<JsonObject> events = await _server.StreamAsync(ChatPath, request);
        (int prompt, int cached) = Cached(events[^1]);
        Assert.InRange(cached, prompt - PageTokens, prompt - 1);
    }

    // With room for few pages, requests give theirs to others and find them again: that is no gift of the cache.
    [Fact]
    public async Task CachedTokens_ManyDifferentPromptsAtOnce_NeverExceedWhatTheyShare()
    {
        JsonObject[] answers =
            await Task.WhenAll(Enumerable.Range(0, 24).Select(i => _server.PostAsync(TextPath, Text($"{i * 7919} {Story}"))));
        Assert.All(answers, answer => Assert.InRange(Cached(answer).Cached, 0, 8));
    }

    private static JsonObject Text(string prompt) =>
        new() { ["model"] = "flywheel", ["prompt"] = prompt, ["max_tokens"] = 40, ["seed"] = 1 };

    private static (int Prompt, int Cached) Cached(JsonObject answer) =>
        ((int)answer["usage"]!["prompt_tokens"]!, (int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!);
}
