using Flywheel.Model;

namespace Flywheel.Engine.Sampling;

/// <summary>
/// The ids that may be sampled, biased and given: those for which the tokenizer has a token. A model's vocabulary is often
/// padded beyond them, and what a model says of the padding means nothing. Immutable.
/// </summary>
internal sealed class TokenIds
{
    private readonly int[] _gaps;

    /// <param name="vocabSize">V, the logits that the model gives.</param>
    /// <param name="tokenizer">The model's; null where every id is a token.</param>
    public TokenIds(int vocabSize, Tokenizer? tokenizer = null)
    {
        VocabSize = vocabSize;
        End = tokenizer is null ? vocabSize : Math.Min(vocabSize, tokenizer.VocabSize);
        _gaps = tokenizer is null ? [] : [.. Enumerable.Range(0, End).Where(id => !tokenizer.Has(id))];
    }

    /// <summary>V, the logits that the model gives.</summary>
    public int VocabSize { get; }

    /// <summary>All tokens have ids below it.</summary>
    public int End { get; }

    /// <summary>Some ids below <see cref="End"/> have no token.</summary>
    public bool HasGaps => _gaps.Length > 0;

    /// <summary>Tokens that there are.</summary>
    public int Count => End - _gaps.Length;

    public bool Contains(int id) => (uint)id < (uint)End && Array.BinarySearch(_gaps, id) < 0;

    /// <summary>Ids without a token cannot be sampled; [End] logits.</summary>
    public unsafe void ForbidGaps(float* logits)
    {
        foreach (int id in _gaps) logits[id] = float.NegativeInfinity;
    }
}
