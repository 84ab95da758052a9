using Flywheel.Engine;

namespace Flywheel.Studio.Serving;

/// <summary>One answer as it comes, from our engine or from somebody else's server.</summary>
internal interface IAnswerStream
{
    /// <summary>Read once.</summary>
    IAsyncEnumerable<SampledToken> Tokens { get; }

    /// <summary>Set once <see cref="Tokens"/> has ended.</summary>
    FinishReason FinishReason { get; }

    /// <summary>Content hash of the adapter that answers; null for the model alone.</summary>
    string? AdapterHash { get; }

    int NumCachedPromptTokens { get; }

    /// <summary>What an upstream stated; null of our own, which is counted, and where it stated nothing.</summary>
    UpstreamUsage? Usage { get; }
}

internal sealed class EngineAnswer(GenerationStream stream) : IAnswerStream
{
    public IAsyncEnumerable<SampledToken> Tokens => stream.Tokens;

    public FinishReason FinishReason => stream.FinishReason;

    public string? AdapterHash => stream.AdapterHash;

    public int NumCachedPromptTokens => stream.NumCachedPromptTokens;

    public UpstreamUsage? Usage => null;
}
