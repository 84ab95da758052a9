using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Text;
using Flywheel.Model;
using Microsoft.Extensions.AI;

namespace Flywheel.Engine.Chat;

/// <summary>
/// An engine as Microsoft.Extensions.AI's chat client, in process: nothing is recorded. Tools, structured output, streaming,
/// usage and cancellation work as those abstractions describe them; the engine stays its owner's to dispose.
/// </summary>
/// <param name="engine">Answers.</param>
/// <param name="drawSeed">Gives a seed to each request that brings none.</param>
/// <param name="defaults">How to sample where a request does not say.</param>
public sealed class EngineChatClient(InferenceEngine engine, Func<ulong> drawSeed, SamplerOptions? defaults = null) : IChatClient
{
    private readonly ChatTemplate _template = engine.Model.ChatTemplate;
    private readonly ChatClientMetadata _metadata = new("flywheel", null, NameOf(engine.Model));

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <exception cref="FlywheelException">The request asks for what the model or the engine cannot do; the message says what.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages,
        ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        Conversation conversation = ChatConversation.From(messages, options);
        bool withTools = conversation.Tools.Count > 0;
        GenerationRequest request = Request(conversation, options);
        string id = $"chatcmpl-{Guid.CreateVersion7()}";
        GenerationStream stream = engine.Submit(request, cancellationToken);
        ToolCallReader? reader = withTools ? new(_template.ToolCalls) : null;
        var calls = new List<(string Name, StringBuilder Arguments)>();
        int count = 0;
        await foreach (SampledToken token in stream.Tokens.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            count++;
            string text = reader is null ? token.Text : Content(reader.Append(token.Text));
            if (text.Length > 0) yield return Update(new TextContent(text));
        }
        if (stream.FinishReason == FinishReason.Cancelled) throw new OperationCanceledException(cancellationToken);
        if (reader is not null && Content(reader.Flush(cut: stream.FinishReason == FinishReason.Length)) is { Length: > 0 } rest)
            yield return Update(new TextContent(rest));

        List<AIContent> last =
            [.. calls.Select((call, i) =>
                FunctionCallContent.CreateFromParsedArguments(call.Arguments.ToString(), $"call_{id[9..]}_{i}", call.Name, Arguments))];
        last.Add(new UsageContent(new UsageDetails { InputTokenCount = request.PromptTokens.Length, OutputTokenCount = count,
            TotalTokenCount = request.PromptTokens.Length + count }));
        ChatResponseUpdate end = Update([.. last]);
        end.FinishReason = stream.FinishReason == FinishReason.Length ? ChatFinishReason.Length : calls.Count > 0
            ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop;
        yield return end;

        string Content(IReadOnlyList<ToolPiece> pieces)
        {
            foreach (ToolPiece piece in pieces)
            {
                if (piece.Name is not null) calls.Add((piece.Name, new StringBuilder()));
                if (piece.Call >= 0) calls[piece.Call].Arguments.Append(piece.Arguments);
            }
            return string.Concat(pieces.Select(piece => piece.Content));
        }

        ChatResponseUpdate Update(params AIContent[] contents) =>
            new(ChatRole.Assistant, contents) { ResponseId = id, MessageId = id, ModelId = request.Adapter ?? _metadata.DefaultModelId };
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(engine) ? engine
            : null;
    }

    public void Dispose()
    {
        // the engine is not ours
    }

    private GenerationRequest Request(Conversation conversation, ChatOptions? options)
    {
        int[] prompt = _template.Prompt(conversation, DateTimeOffset.Now);
        SamplerOptions sampler = defaults ?? new();
        return new GenerationRequest
        {
            PromptTokens = prompt,
            MaxTokens = options?.MaxOutputTokens ?? int.MaxValue,
            Stop = [.. options?.StopSequences ?? []],
            Adapter = AdapterOf(engine, options?.ModelId),
            Sampler = sampler with
            {
                Temperature = options?.Temperature ?? sampler.Temperature,
                TopP = options?.TopP ?? sampler.TopP,
                TopK = options?.TopK ?? sampler.TopK,
                PresencePenalty = options?.PresencePenalty ?? sampler.PresencePenalty,
                FrequencyPenalty = options?.FrequencyPenalty ?? sampler.FrequencyPenalty,
                Seed = options?.Seed is { } seed ? unchecked((ulong)seed) : drawSeed(),
                Grammar = ChatConversation.Grammar(_template.ToolCalls, conversation, options)?.Source,
            },
        };
    }

    /// <summary>The loaded adapter that an id names; null when it names the model, or nothing.</summary>
    internal static string? AdapterOf(InferenceEngine engine, string? modelId)
    {
        string name = NameOf(engine.Model);
        if (modelId is null || modelId == name || modelId == engine.Model.Hash) return null;
        return engine.Adapters.ContainsKey(modelId) ? modelId
            : throw new FlywheelException(
                $"model '{modelId}' is not here; expected {string.Join(", ", engine.Adapters.Keys.Prepend(name))}");
    }

    private static Dictionary<string, object?>? Arguments(string json) => JsonSerializer.Deserialize<Dictionary<string, object?>>(json);

    internal static string NameOf(ModelFolder model) => model.Manifest.Name is { Length: > 0 } name ? name : model.ShortHash;
}
