using Flywheel.Engine.Kernels;

namespace Flywheel.Engine;

/// <summary>Which pages each running sequence reads and writes, shared where texts begin alike. One thread only.</summary>
internal sealed unsafe class PageTables : IDisposable
{
    private readonly KvPool _pool;
    private readonly PrefixCache _cache;
    private readonly nint* _tables;
    private readonly int _pagesPerSlot;

    public PageTables(NativeArena arena, KvPool pool, int slots, int maxPositions)
    {
        _pool = pool;
        _cache = new PrefixCache(pool);
        _pagesPerSlot = (int)Math.Min(KvPool.PagesFor(maxPositions), pool.MaxPages);
        _tables = arena.Allocate<nint>((long)slots * _pagesPerSlot);
    }

    public long MaxPages => _pool.MaxPages;

    /// <summary>Pages that were taken over instead of computed.</summary>
    public long NumHits => _cache.NumHits;

    /// <summary>Pages that can be had now.</summary>
    public long NumAvailable => _pool.NumAvailable + _cache.NumUnused;

    public float** Of(Sequence sequence) => (float**)(_tables + (long)sequence.Slot * _pagesPerSlot);

    /// <summary>Takes over pages that exist; false when another sequence is computing the next one.</summary>
    public bool TakeShared(Sequence sequence)
    {
        while (sequence.Nodes.Count == sequence.NumPages && MayShare(sequence, sequence.NumCached))
        {
            if (_cache.Find(Last(sequence), Tokens(sequence, sequence.NumPages)) is not { } node) return true;
            if (!node.Ready) return false;
            _cache.Use(node);
            sequence.Nodes.Add(node);
            Of(sequence)[sequence.NumPages++] = node.Page;
            sequence.NumCached += PageNode.NumTokens;
        }
        return true;
    }

    /// <summary>Makes sure that there is a page for a position; a new page of a prompt is announced to others that will want it.</summary>
    public void Extend(Sequence sequence, int position)
    {
        if (position / PageNode.NumTokens < sequence.NumPages) return;
        float* page = _cache.Rent();
        bool follows = sequence.Nodes.Count == sequence.NumPages;
        Of(sequence)[sequence.NumPages] = page;
        if (follows && MayShare(sequence, position) && _cache.Add(Last(sequence), Tokens(sequence, sequence.NumPages), page, ready: false) is { } node) sequence.Nodes.Add(node);
        sequence.NumPages++;
    }

    /// <summary>Pages that are full become shared: those announced before, and those of answers.</summary>
    public void Share(Sequence sequence)
    {
        int full = sequence.NumCached / PageNode.NumTokens;
        for (int page = Math.Min(full, sequence.Nodes.Count) - 1; page >= 0 && !sequence.Nodes[page].Ready; page--) sequence.Nodes[page].Ready = true;
        while (sequence.Nodes.Count < full)
        {
            int index = sequence.Nodes.Count;
            if (_cache.Add(Last(sequence), Tokens(sequence, index), Of(sequence)[index], ready: true) is not { } node) return;
            sequence.Nodes.Add(node);
        }
    }

    /// <summary>Gives back everything; full pages stay in memory until it is needed.</summary>
    public void Free(Sequence sequence)
    {
        for (int page = sequence.NumPages - 1; page >= sequence.Nodes.Count; page--) _pool.Return(Of(sequence)[page]);
        for (int page = sequence.Nodes.Count - 1; page >= 0; page--) _cache.Release(sequence.Nodes[page]);
        sequence.Nodes.Clear();
        sequence.NumPages = sequence.NumCached = 0;
    }

    public void Dispose() => _pool.Dispose();

    /// <summary>Whether the page that starts at a position lies in the known text and none of its logits are wanted.</summary>
    private static bool MayShare(Sequence sequence, int start)
    {
        if (start % PageNode.NumTokens != 0 || start + PageNode.NumTokens > sequence.Tokens.Length) return false;
        for (int i = 0; i < PageNode.NumTokens; i++)
            if (sequence.Wants(start + i)) return false;
        return true;
    }

    private static PageNode? Last(Sequence sequence) => sequence.Nodes.Count > 0 ? sequence.Nodes[^1] : sequence.Adapter?.Root;

    private static ReadOnlySpan<int> Tokens(Sequence sequence, int page) => sequence.Tokens.Slice(page * PageNode.NumTokens, PageNode.NumTokens);
}
