using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>A sequence as the draft model has read it, with pages of its own.</summary>
internal sealed class DraftText(GenerationSequence sequence, int maxPages) : PagedText(maxPages)
{
    public GenerationSequence Sequence { get; } = sequence;

    public override ReadOnlySpan<int> Tokens => Sequence.Tokens;

    /// <summary>It expects to be right about the next guess.</summary>
    public bool IsConfident { get; set; }

    /// <summary>Guesses that are asked of it in this step.</summary>
    public int NumWanted { get; set; }

    public override bool Wants(int position) => position >= Tokens.Length - 1;
}

/// <summary>
/// A small model of the same vocabulary that guesses the next tokens, on the same threads between two steps of the large
/// one (Leviathan et al. 2023, arXiv 2211.17192). It draws with the request's own sampler and random numbers, so that two
/// models that agree draw alike; what is published is always the large model's draw, token for token.
/// </summary>
internal sealed unsafe class DraftModel : IDisposable
{
    /// <summary>Tokens of texts that it has not read yet, in a step; it guesses for a text once it has caught up.</summary>
    private const int CatchUpRows = 64;

    /// <summary>It stops guessing where its own guess is less likely than this: checking a wrong one costs a row.</summary>
    private const float LeastProbability = 0.3f;

    private readonly PageTables _pages;
    private readonly Decoder _decoder;
    private readonly LogitsReader _reader;
    private readonly int _maxPositions, _numLayers;
    private readonly List<DraftText> _guessing = [];

    /// <param name="arena">Memory that is freed with the engine.</param>
    /// <param name="weights">The draft's.</param>
    /// <param name="kernels">Inner loops.</param>
    /// <param name="kv">How its cache is kept.</param>
    /// <param name="maxBatch">Sequences at once.</param>
    /// <param name="threads">Members of the team.</param>
    /// <param name="maxPages">Pages of its cache.</param>
    /// <param name="reader">The large model's: both have the same tokens, and the draft may have more logits, which are padding.</param>
    public DraftModel(NativeArena arena, DecoderWeights weights, KernelTable kernels, KvType kv, int maxBatch, int threads, long maxPages,
        LogitsReader reader)
    {
        var pool = new KvPool(weights.Shape, kv, maxPages);
        _pages = new PageTables(arena, pool, maxBatch, weights.Shape.Config.MaxPositions);
        _decoder = new Decoder(arena, weights, kernels, pool, threads, maxBatch + CatchUpRows, maxBatch);
        (_maxPositions, _numLayers) = (weights.Shape.Config.MaxPositions, weights.Layers.Length);
        _reader = reader with { Ids = new TokenIds(Math.Min(reader.Ids.End, weights.Shape.Config.VocabSize)) };
    }

    public int MaxPhases => Decoder.MaxPhases(_numLayers);

    /// <summary>Fills in guesses of sequences that decode, at most <paramref name="most"/> in all.</summary>
    /// <param name="decoding">Who may want guesses.</param>
    /// <param name="most">Rows that the large model has to spare.</param>
    /// <param name="run">Runs the decoder's phases and then so many pieces of <see cref="Read"/>.</param>
    public void Guess(List<Sequence> decoding, int most, Action<Decoder, int> run)
    {
        Clear();
        _guessing.Clear();
        foreach (Sequence sequence in decoding) // pages that are taken over are no longer there for others: first of all
            if (sequence is GenerationSequence { Draft: { } text })
            {
                text.Slot = sequence.Slot;
                text.NumWanted = Math.Min(text.Sequence.MostGuesses(most), _maxPositions - text.Tokens.Length);
                if (text.NumWanted > 0 && !_pages.TakeShared(text)) text.NumWanted = 0;
            }
        int rows = CatchUpRows;
        long reserved = 0;
        foreach (Sequence sequence in decoding)
        {
            if (sequence is not GenerationSequence { Draft: { NumWanted: > 0 } text }) continue;
            text.NumWanted = Math.Min(text.NumWanted, most);
            int lag = text.Tokens.Length - text.NumCached, count = Math.Min(lag, rows),
                lastPages = KvPool.PagesFor(text.Tokens.Length + text.NumWanted);
            if (text.NumWanted == 0 || count == 0 || Math.Max(0, lastPages - text.NumPages) + reserved > _pages.NumAvailable) continue;
            AddRows(text, text.Tokens.Slice(text.NumCached, count), wanted: count == lag);
            rows -= count;
            if (count < lag) continue;
            reserved += Math.Max(0, lastPages - text.NumPages);
            most -= text.NumWanted;
            _guessing.Add(text);
        }
        while (_decoder.NumRows > 0)
        {
            run(_decoder, _guessing.Count);
            Clear();
            for (int i = _guessing.Count - 1; i >= 0; i--)
                if (!_guessing[i].IsConfident || _guessing[i].Sequence.NumGuesses == _guessing[i].NumWanted) _guessing.RemoveAt(i);
            foreach (DraftText text in _guessing) AddRows(text, text.Sequence.Guesses[^1..], wanted: true);
        }
    }

    /// <summary>Draws the next guess of a text; on any thread of the step.</summary>
    public void Read(int piece, int id)
    {
        DraftText text = _guessing[piece];
        float* logits = _decoder.Logits + (long)piece * _decoder.Shape.Vocab;
        text.IsConfident = text.Sequence.Draw(logits, _reader, id, LeastProbability);
    }

    /// <summary>After the large model has decided: what it did not accept is read again.</summary>
    public void Settle(GenerationSequence sequence)
    {
        if (sequence.Draft is not { } text) return;
        text.NumCached = Math.Min(text.NumCached, text.Tokens.Length - 1);
        _pages.Share(text);
    }

    public void Free(Sequence sequence)
    {
        if (sequence is GenerationSequence { Draft: { } text }) _pages.Free(text);
    }

    /// <summary>Makes a page for later; false when there are enough.</summary>
    public bool MakeAhead() => _pages.MakeAhead();

    public void Dispose() => _pages.Dispose();

    private void Clear() => _decoder.NumRows = _decoder.NumSegments = _decoder.NumLogitRows = _decoder.NumStateRows = 0;

    private void AddRows(DraftText text, ReadOnlySpan<int> tokens, bool wanted)
    {
        int first = _decoder.NumRows;
        for (int i = 0; i < tokens.Length; i++)
        {
            _pages.Extend(text, text.NumCached + i);
            _decoder.Tokens[first + i] = tokens[i];
        }
        if (wanted) _decoder.LogitRows[_decoder.NumLogitRows++] = first + tokens.Length - 1;
        _decoder.Segments[_decoder.NumSegments++] = new Segment { FirstRow = first, NumRows = tokens.Length, Start = text.NumCached,
            Pages = _pages.Of(text) };
        _decoder.NumRows += tokens.Length;
        text.NumCached += tokens.Length;
    }
}
