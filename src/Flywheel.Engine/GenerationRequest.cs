namespace Flywheel.Engine;

/// <summary>One request to the engine.</summary>
public sealed record GenerationRequest
{
    public required int[] PromptTokens { get; init; }

    /// <summary>Ends with <see cref="FinishReason.Length"/> after so many tokens, or earlier at the model's longest sequence.</summary>
    public required int MaxTokens { get; init; }

    public SamplerOptions Sampler { get; init; } = new();

    /// <summary>Texts that end the answer and are not part of it. The model's end tokens always end it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Alternatives to report with each token.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>Name of a loaded adapter; null answers with the model as it is.</summary>
    public string? Adapter { get; init; }

    /// <summary>Who asks: users are served fairly among each other. Requests without a user count as one user's.</summary>
    public string? User { get; init; }

    public Priority Priority { get; init; } = Priority.Normal;
}

/// <summary>Why a generation ended: by itself, at its limit, because nobody wanted it any more, or by a fault of the engine.</summary>
public enum FinishReason { Stop, Length, Cancelled, Failed }

/// <summary>The engine broke an invariant and has stopped; only a new one answers again.</summary>
public sealed class EngineFailedException(Exception defect) : Exception("the engine broke an invariant and has stopped", defect);

public readonly record struct TokenLogprob(int Id, float Logprob);

/// <summary>
/// One sampled token. <paramref name="Logprob"/> is the model's (temperature 1, nothing cut), as the API reports it;
/// <paramref name="SamplerLogprob"/> is that of the distribution that it was drawn from, as off-policy training needs
/// it. <paramref name="Text"/> is what may be shown now: whole characters, no part of a possible stop text.
/// </summary>
public sealed record SampledToken(int Id, float Logprob, float SamplerLogprob, string Text, IReadOnlyList<TokenLogprob> Top);
