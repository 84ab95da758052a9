using System.ClientModel;
using Flywheel.Engine;
using Flywheel.Testing;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;

namespace Flywheel.Studio.Tests;

/// <summary>OpenAI's own .NET client, unchanged but for the address.</summary>
public sealed class OpenAIClientTests : IAsyncLifetime
{
    private TestServer _server = null!;
    private OpenAIClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync(context: 2048);
        _client = new OpenAIClient(new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri($"{_server.Server.Url}/v1"),
                RetryPolicy = new System.ClientModel.Primitives.ClientRetryPolicy(0) });
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Chat_Plain_GivesTextUsageAndLogprobs()
    {
        ChatCompletion completion = await _client.GetChatClient("flywheel").CompleteChatAsync(Messages, Options(seed: 5));
        Assert.Equal(ChatMessageRole.Assistant, completion.Role);
        Assert.Contains(completion.FinishReason, new[] { ChatFinishReason.Stop, ChatFinishReason.Length });
        Assert.Equal(completion.Usage.InputTokenCount + completion.Usage.OutputTokenCount, completion.Usage.TotalTokenCount);
        Assert.NotEmpty(completion.ContentTokenLogProbabilities);
        Assert.All(completion.ContentTokenLogProbabilities, token =>
        {
            Assert.True(token.LogProbability <= 0);
            Assert.Equal(3, token.TopLogProbabilities.Count);
        });
        byte[] bytes = [.. completion.ContentTokenLogProbabilities.SelectMany(token => token.Utf8Bytes!.Value.ToArray())];
        Assert.Equal(completion.Content[0].Text, System.Text.Encoding.UTF8.GetString(bytes));
        Assert.StartsWith("fw_", completion.SystemFingerprint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_Streaming_GivesWhatPlainGives()
    {
        ChatClient chat = _client.GetChatClient("flywheel");
        ChatCompletion plain = await chat.CompleteChatAsync(Messages, Options(seed: 6));
        string text = "";
        int logprobs = 0;
        ChatFinishReason? reason = null;
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in chat.CompleteChatStreamingAsync(Messages, Options(seed: 6)))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) text += part.Text;
            logprobs += update.ContentTokenLogProbabilities.Count;
            reason = update.FinishReason ?? reason;
            usage = update.Usage ?? usage;
        }
        Assert.Equal(plain.Content[0].Text, text);
        Assert.Equal(plain.ContentTokenLogProbabilities.Count, logprobs);
        Assert.Equal(plain.FinishReason, reason);
        Assert.Equal(plain.Usage.TotalTokenCount, usage?.TotalTokenCount);
    }

    [Fact]
    public async Task Models_Listed_AreTheServedOne()
    {
        OpenAIModelCollection models = await _client.GetOpenAIModelClient().GetModelsAsync();
        Assert.Equal(["flywheel", "tiny-1"], models.Select(model => model.Id));
        OpenAIModel model = await _client.GetOpenAIModelClient().GetModelAsync("tiny-1");
        Assert.Equal("flywheel", model.OwnedBy);
    }

    [Fact]
    public async Task Errors_AreTheClientsOwnExceptions()
    {
        ClientResultException unknown =
            await Assert.ThrowsAsync<ClientResultException>(() => _client.GetChatClient("gpt-9").CompleteChatAsync(Messages));
        Assert.Equal(404, unknown.Status);
        Assert.Contains("model_not_found", unknown.Message, StringComparison.Ordinal);
        ClientResultException hot =
            await Assert.ThrowsAsync<ClientResultException>(() =>
                _client.GetChatClient("flywheel").CompleteChatAsync(Messages, new() { Temperature = 9 }));
        Assert.Equal(400, hot.Status);
        Assert.Contains("temperature", hot.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NodeClient_PlainStreamingLogprobsErrors_Pass()
    {
        string folder = Path.Combine(TestFiles.Root, "tests", "Flywheel.Studio.Tests", "node");
        if (!Tool.Exists("node") || !Tool.Exists("npm")) Assert.Skip("node and npm are not installed (Debian: apt-get install nodejs npm)");
        if (!Directory.Exists(Path.Combine(folder, "node_modules", "openai")))
        {
            (int installed, string log) = await Tool.RunAsync("npm", ["ci", "--no-audit", "--no-fund"], folder);
            if (installed != 0) Assert.Skip($"npm ci failed (no package registry?): {log}");
        }
        (int code, string output) = await Tool.RunAsync("node", ["client.mjs", $"{_server.Server.Url}/v1"], folder);
        Assert.True(code == 0, output);
        Assert.Contains("all checks passed", output, StringComparison.Ordinal);
    }

    private static ChatMessage[] Messages => [new SystemChatMessage("You write."), new UserChatMessage("Write a tagline.")];

#pragma warning disable OPENAI001 // Seed is marked as experimental by the client
    private static ChatCompletionOptions Options(long seed) =>
        new() { Seed = seed, MaxOutputTokenCount = 24, Temperature = 1.2f, IncludeLogProbabilities = true, TopLogProbabilityCount = 3,
            EndUserId = "ada" };
#pragma warning restore OPENAI001
}
