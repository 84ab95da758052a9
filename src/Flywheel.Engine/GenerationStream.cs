using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Flywheel.Engine;

/// <summary>A running generation: tokens as they are sampled, then why it ended.</summary>
public sealed class GenerationStream
{
    private readonly Channel<SampledToken> _channel =
        Channel.CreateUnbounded<SampledToken>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Action _cancel;
    private FinishReason? _finishReason;

    internal GenerationStream(Action cancel) => _cancel = cancel;

    /// <summary>
    /// Tokens in order; ends when the generation ends. An end token that the model sampled is the last one; its text is
    /// what was held back before it. Read once; leaving the loop early cancels the generation.
    /// </summary>
    public IAsyncEnumerable<SampledToken> Tokens => Read();

    /// <summary>Set once <see cref="Tokens"/> has ended.</summary>
    public FinishReason FinishReason => _finishReason ?? throw new InvalidOperationException("the generation has not ended");

    /// <summary>Content hash of the adapter that answers; null for the model alone.</summary>
    public string? AdapterHash { get; internal set; }

    /// <summary>Tokens of the prompt that were found in the cache instead of computed; known from the first token on.</summary>
    public int NumCachedPromptTokens { get; internal set; }

    internal void Publish(SampledToken token) => _channel.Writer.TryWrite(token);

    internal void Finish(FinishReason reason)
    {
        _finishReason = reason;
        _channel.Writer.TryComplete();
    }

    internal void Fail(Exception defect) => _channel.Writer.TryComplete(defect);

    private async IAsyncEnumerable<SampledToken> Read([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        bool ended = false;
        try
        {
            while (await _channel.Reader.WaitToReadAsync(cancellation).ConfigureAwait(false))
                while (_channel.Reader.TryRead(out SampledToken? token)) yield return token;
            ended = true;
        }
        finally
        {
            if (!ended) _cancel();
        }
    }
}
