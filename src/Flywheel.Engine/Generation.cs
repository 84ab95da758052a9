using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>How the next token is chosen. Applied in order: penalties and bias, temperature, top-k, top-p, min-p, draw.</summary>
public sealed record SamplerOptions
{
    /// <summary>0 is greedy.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the k most likely; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set with this probability mass; 1 keeps all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep tokens at least this fraction as likely as the best; 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens seen in prompt or answer; 1 does nothing.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted once from logits of tokens of the answer.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from logits of tokens of the answer, times their count.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Added to logits.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>The same seed, prompt and model give the same answer, whatever else is in the batch.</summary>
    public ulong Seed { get; init; }
}

/// <summary>One request to the engine.</summary>
public sealed record GenerationRequest
{
    public required int[] PromptTokens { get; init; }

    /// <summary>Ends with <see cref="FinishReason.Length"/> after so many tokens.</summary>
    public required int MaxTokens { get; init; }

    public SamplerOptions Sampler { get; init; } = new();

    /// <summary>Texts that end the answer and are not part of it. The model's end tokens always end it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Alternatives to report with each token.</summary>
    public int TopLogprobs { get; init; }
}

public enum FinishReason { Stop, Length, Cancelled }

public readonly record struct TokenLogprob(int Id, float Logprob);

/// <summary>
/// One sampled token. <paramref name="Logprob"/> is the model's (temperature 1, nothing cut), as the API reports it;
/// <paramref name="SamplerLogprob"/> is that of the distribution that it was drawn from, as off-policy training needs
/// it. <paramref name="Text"/> is what may be shown now: whole characters, no part of a possible stop text.
/// </summary>
public sealed record SampledToken(int Id, float Logprob, float SamplerLogprob, string Text, IReadOnlyList<TokenLogprob> Top);

/// <summary>A running generation: tokens as they are sampled, then why it ended.</summary>
public sealed class GenerationStream
{
    /// <summary>Tokens in order; ends when the generation ends. An end token that the model sampled is the last one, with no text.</summary>
    public IAsyncEnumerable<SampledToken> Tokens => throw new NotImplementedException();

    /// <summary>Set once <see cref="Tokens"/> has ended.</summary>
    public FinishReason FinishReason => throw new NotImplementedException();
}

public enum WeightFormat { Fp32, Int8 }

public sealed record EngineOptions
{
    public WeightFormat Weights { get; init; } = WeightFormat.Int8;

    /// <summary>Kernel threads; 0 takes the number of cores.</summary>
    public int Threads { get; init; }

    /// <summary>Sequences that decode in one step; further requests wait in a queue.</summary>
    public int MaxBatch { get; init; } = 32;

    /// <summary>Requests that may wait; one more is refused.</summary>
    public int MaxQueue { get; init; } = 256;
}

/// <summary>The waiting line is full; HTTP answers 429.</summary>
public sealed class QueueFullException(string message) : Exception(message);

/// <summary>
/// A model in memory and the thread that runs it. Requests are batched step by step; each one's result does not depend on
/// the others.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    public ModelFolder Model => throw new NotImplementedException();

    /// <exception cref="FlywheelException">The weights are missing, malformed or do not fit in memory.</exception>
    public static InferenceEngine Load(ModelFolder model, EngineOptions? options = null) => throw new NotImplementedException();

    /// <exception cref="FlywheelException">The prompt is empty or does not leave room for one token.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public GenerationStream Submit(GenerationRequest request, CancellationToken cancellation = default) => throw new NotImplementedException();

    /// <summary>
    /// Log-probabilities of each token of a text given those before it: the first is 0. For evaluation and tests.
    /// </summary>
    public Task<float[]> ScoreAsync(int[] tokens, CancellationToken cancellation = default) => throw new NotImplementedException();

    /// <summary>Logits after the last of <paramref name="tokens"/>, [V]. For tests.</summary>
    public Task<float[]> LogitsAsync(int[] tokens, CancellationToken cancellation = default) => throw new NotImplementedException();

    /// <summary>Lets running generations end, refuses new ones, then frees the memory.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
