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

    public float** Of(PagedText text) => (float**)(_tables + (long)text.Slot * _pagesPerSlot);

    /// <summary>Takes over pages that exist; false when another sequence is computing the next one.</summary>
    public bool TakeShared(PagedText text)
    {
        while (text.Nodes.Count == text.NumPages && MayShare(text, text.NumCached))
        {
            if (_cache.Find(Last(text), Tokens(text, text.NumPages)) is not { } node) return true;
            if (!node.Ready) return false;
            _cache.Use(node);
            text.Nodes.Add(node);
            Of(text)[text.NumPages++] = node.Page;
            text.NumCached += PageNode.NumTokens;
        }
        return true;
    }

    /// <summary>Makes sure that there is a page for a position; a new page of a prompt is announced to others that will want it.</summary>
    public void Extend(PagedText text, int position)
    {
        if (position / PageNode.NumTokens < text.NumPages) return;
        float* page = _cache.Rent();
        bool follows = text.Nodes.Count == text.NumPages;
        Of(text)[text.NumPages] = page;
        if (follows && MayShare(text, position) && _cache.Add(Last(text), Tokens(text, text.NumPages), page, ready: false) is { } node) text.Nodes.Add(node);
        text.NumPages++;
    }

    /// <summary>Pages that are full become shared: those announced before, and those of answers.</summary>
    public void Share(PagedText text)
    {
        int full = text.NumCached / PageNode.NumTokens;
        for (int page = Math.Min(full, text.Nodes.Count) - 1; page >= 0 && !text.Nodes[page].Ready; page--) text.Nodes[page].Ready = true;
        while (text.Nodes.Count < full)
        {
            int index = text.Nodes.Count;
            if (_cache.Add(Last(text), Tokens(text, index), Of(text)[index], ready: true) is not { } node) return;
            text.Nodes.Add(node);
        }
    }

    /// <summary>Gives back everything; full pages stay in memory until it is needed.</summary>
    public void Free(PagedText text)
    {
        for (int page = text.NumPages - 1; page >= text.Nodes.Count; page--) _pool.Return(Of(text)[page]);
        for (int page = text.Nodes.Count - 1; page >= 0; page--) _cache.Release(text.Nodes[page]);
        text.Nodes.Clear();
        text.NumPages = text.NumCached = 0;
    }

    public void Dispose() => _pool.Dispose();

    /// <summary>Whether the page that starts at a position lies in the known text and none of its logits are wanted.</summary>
    private static bool MayShare(PagedText text, int start)
    {
        if (start % PageNode.NumTokens != 0 || start + PageNode.NumTokens > text.Tokens.Length) return false;
        for (int i = 0; i < PageNode.NumTokens; i++)
            if (text.Wants(start + i)) return false;
        return true;
    }

    private static PageNode? Last(PagedText text) => text.Nodes.Count > 0 ? text.Nodes[^1] : text.Root;

    private static ReadOnlySpan<int> Tokens(PagedText text, int page) => text.Tokens.Slice(page * PageNode.NumTokens, PageNode.NumTokens);
}
