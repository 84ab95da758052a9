using System.ComponentModel;
using System.Text.Json;
using Flywheel.Engine.Chat;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Extensions.AI;

namespace Flywheel.Engine.Tests;

/// <summary>The engine behind Microsoft.Extensions.AI, driven by that library's own middleware.</summary>
public sealed class ChatClientTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private InferenceEngine _engine = null!;
    private EngineChatClient _client = null!;

    public ValueTask InitializeAsync()
    {
        ModelFolder model = TinyModel.Create(_folder["models"], context: 4096);
        _engine = InferenceEngine.Load(model, new EngineOptions { Threads = 1 });
        ulong seed = 0;
        _client = new EngineChatClient(_engine, () => ++seed, new SamplerOptions { Temperature = 1.2f });
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Response_SameSeed_EqualsStreamAndTellsUsage()
    {
        var options = new ChatOptions { Seed = 5, MaxOutputTokens = 30, Instructions = "You write." };
        ChatResponse response = await _client.GetResponseAsync("Write a tagline.", options);
        string streamed = "";
        UsageDetails? usage = null;
        await foreach (ChatResponseUpdate update in _client.GetStreamingResponseAsync("Write a tagline.", options))
        {
            streamed += update.Text;
            usage = update.Contents.OfType<UsageContent>().SingleOrDefault()?.Details ?? usage;
        }
        Assert.Equal(response.Text, streamed);
        Assert.Equal(response.Usage!.TotalTokenCount, usage!.TotalTokenCount);
        Assert.Equal(response.Usage.InputTokenCount + response.Usage.OutputTokenCount, response.Usage.TotalTokenCount);
        Assert.Contains(response.FinishReason, new ChatFinishReason?[] { ChatFinishReason.Stop, ChatFinishReason.Length });
        Assert.Equal("tiny-1", response.ModelId);
        Assert.Equal(ChatRole.Assistant, Assert.Single(response.Messages).Role);
    }

    [Fact]
    public async Task Response_OfType_IsReadAsThatType()
    {
        ChatResponse<Copy> response = await _client.GetResponseAsync<Copy>("Write.", new ChatOptions { Seed = 2 });
        Assert.True(response.TryGetResult(out Copy? copy), response.Text);
        Assert.InRange(copy.Stars, 1, 5);
        Assert.True(Enum.IsDefined(copy.Tone));
    }

    [Fact]
    public async Task Functions_Required_AreCalledByTheMiddlewareWithArgumentsThatFit()
    {
        var called = new List<(string City, int Days)>();
        AIFunction weather = AIFunctionFactory.Create(([Description("A city.")] string city, [Description("How many.")] int days) =>
        {
            called.Add((city, days));
            return $"sunny in {city}";
        }, "get_weather");
        using IChatClient client = _client.AsBuilder().UseFunctionInvocation().Build();
        ChatResponse response = await client.GetResponseAsync("How is the weather?",
            new ChatOptions { Tools = [weather], ToolMode = ChatToolMode.RequireAny, AllowMultipleToolCalls = false, Seed = 3 });
        Assert.Single(called);
        FunctionCallContent call = response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().First();
        Assert.Equal("get_weather", call.Name);
        FunctionResultContent result = response.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>().First();
        Assert.Equal(call.CallId, result.CallId);
        Assert.StartsWith("sunny in", result.Result?.ToString(), StringComparison.Ordinal);
        Assert.Equal(ChatRole.Assistant, response.Messages[^1].Role); // it answered, having seen the result
    }

    [Fact]
    public async Task Stream_WithRequiredFunction_EndsInACall()
    {
        AIFunction time = AIFunctionFactory.Create((bool utc) => utc, "get_time");
        List<ChatResponseUpdate> updates =
            await _client.GetStreamingResponseAsync("Time?",
                new ChatOptions { Tools = [time], ToolMode = ChatToolMode.RequireSpecific("get_time"), Seed = 4 }).ToListAsync();
        FunctionCallContent call = Assert.Single(updates.SelectMany(update => update.Contents).OfType<FunctionCallContent>());
        Assert.IsType<JsonElement>(call.Arguments!["utc"]);
        Assert.Equal(ChatFinishReason.ToolCalls, updates[^1].FinishReason);
        Assert.Equal("", string.Concat(updates.Select(update => update.Text)));
    }

    [Fact]
    public async Task Cancelled_InTheMiddle_FreesTheEngine()
    {
        using var cancel = new CancellationTokenSource();
        var bias = new SamplerOptions { LogitBias = _engine.Model.Config.EosTokenIds.ToDictionary(id => id, _ => -100f) };
        var client = new EngineChatClient(_engine, () => 1, bias);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync("Write.", cancellationToken: cancel.Token))
                await cancel.CancelAsync();
        });
        for (int i = 0; i < 500 && _engine.Loop.NumLive > 0; i++) await Task.Delay(10);
        Assert.Equal(0, _engine.Loop.NumLive);
    }

    [Fact]
    public async Task Request_ThatCannotBe_SaysWhy()
    {
        await Throws("data", [new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])], null, "DataContent");
        await Throws("model", [new ChatMessage(ChatRole.User, "x")], new() { ModelId = "gpt-9" }, "gpt-9");
        await Throws("empty", [], null, "no messages");
        await Throws("tool", [new ChatMessage(ChatRole.User, "x")], new() { Tools = [new HostedWebSearchTool()] }, "only functions");
        await Throws("long", [new ChatMessage(ChatRole.User, string.Concat(Enumerable.Repeat("zq ", 5000)))], null, "longest text");

        async Task Throws(string _, ChatMessage[] messages, ChatOptions? options, string says) =>
            Assert.Contains(says, (await Assert.ThrowsAsync<FlywheelException>(() => _client.GetResponseAsync(messages, options))).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embeddings_OfTexts_AreTheEnginesOwn()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = new EngineEmbeddingGenerator(_engine, Pooling.LastToken);
        GeneratedEmbeddings<Embedding<float>> vectors = await generator.GenerateAsync(["The wheel", "turns"]);
        float[] expected = await _engine.EmbedAsync(_engine.Model.Tokenizer.Encode("turns"), Pooling.LastToken);
        Assert.Equal(expected, vectors[1].Vector.ToArray());
        Assert.True(vectors.Usage!.InputTokenCount > 0);
        ReadOnlyMemory<float> cut = await generator.GenerateVectorAsync("turns", new EmbeddingGenerationOptions { Dimensions = 4 });
        Assert.Equal(4, cut.Length);
        Assert.Equal(32, generator.GetService<EmbeddingGeneratorMetadata>()!.DefaultModelDimensions);
        await Assert.ThrowsAsync<FlywheelException>(() => generator.GenerateAsync([""]));
        await Assert.ThrowsAsync<FlywheelException>(() =>
            generator.GenerateAsync(["x"], new EmbeddingGenerationOptions { Dimensions = 33 }));
    }

    [Fact]
    public void Service_Asked_IsGiven()
    {
        Assert.Equal("tiny-1", _client.GetService<ChatClientMetadata>()!.DefaultModelId);
        Assert.Same(_engine, _client.GetService<InferenceEngine>());
        Assert.Same(_client, _client.GetService<IChatClient>());
        Assert.Null(_client.GetService(typeof(IChatClient), "key"));
    }

    private enum Tone { Plain, Warm }

    private sealed record Copy([property: System.ComponentModel.DataAnnotations.MaxLength(20)] string Tagline, Tone Tone,
        [property: System.ComponentModel.DataAnnotations.Range(1, 5)] int Stars);
}
