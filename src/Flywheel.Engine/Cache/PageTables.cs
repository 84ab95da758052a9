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

    public long BytesToCome => _pool.BytesToCome;

    /// <summary>Pages that were taken over instead of computed.</summary>
    public long NumHits { get; private set; }

    /// <summary>Tokens whose keys and values were copied from a page of another text that goes on differently.</summary>
    public long NumCopied { get; private set; }

    /// <summary>Pages that can be had now.</summary>
    public long NumAvailable => _pool.NumAvailable + _cache.NumUnused;

    /// <summary>Makes a page for later; false when there are enough.</summary>
    public bool MakeAhead() => _cache.MakeAhead();

    public float** Of(PagedText text) => (float**)(_tables + (long)text.Slot * _pagesPerSlot);

    /// <summary>Takes over pages that exist, and the beginning of one that goes on differently; false when another sequence is computing
    /// the next one.</summary>
    public bool TakeShared(PagedText text)
    {
        while (text.Nodes.Count == text.NumPages && MayShare(text, text.NumCached))
        {
            if (_cache.Find(Last(text), Tokens(text, text.NumPages)) is not { } node) break;
            if (!node.Ready) return false;
            NumHits++;
            _cache.Use(node);
            text.Nodes.Add(node);
            Of(text)[text.NumPages++] = node.Page;
            text.NumCached += PageNode.NumTokens;
        }
        return text.Nodes.Count != text.NumPages || text.NumCached % PageNode.NumTokens != 0 || CopyBeginning(text);
    }

    /// <summary>
    /// Texts seldom part at the end of a page: what a page of another text begins with is copied instead of computed. False
    /// when another sequence is computing it.
    /// </summary>
    private bool CopyBeginning(PagedText text)
    {
        int start = text.NumCached, count = Math.Min(PageNode.NumTokens, text.Tokens.Length - start);
        for (int i = 0; i < count; i++)
            if (text.Wants(start + i)) count = i;
        if (_cache.FindBeginning(Last(text), text.Tokens.Slice(start, count), out int same) is not { } source) return true;
        if (!source.Ready) return false;
        _cache.Use(source); // it must not make room for its copy
        if (NumAvailable > 0)
        {
            Extend(text, start);
            Buffer.MemoryCopy(source.Page, Of(text)[text.NumPages - 1], _pool.PageBytes, _pool.PageBytes);
            text.NumCached += same;
            NumCopied += same;
        }
        _cache.Release(source);
        return true;
    }

    /// <summary>Makes sure that there is a page for a position; a new page of a prompt is announced to others that will want it.</summary>
    public void Extend(PagedText text, int position)
    {
        if (position / PageNode.NumTokens < text.NumPages) return;
        float* page = _cache.Rent();
        bool follows = text.Nodes.Count == text.NumPages;
        Of(text)[text.NumPages] = page;
        if (follows && MayShare(text, position) && _cache.Add(Last(text), Tokens(text, text.NumPages), page, ready: false) is { } node)
            text.Nodes.Add(node);
        text.NumPages++;
    }

    /// <summary>Pages that are full become shared: those announced before, and those of answers.</summary>
    public void Share(PagedText text)
    {
        int full = text.NumCached / PageNode.NumTokens;
        for (int page = Math.Min(full, text.Nodes.Count) - 1; page >= 0 && !text.Nodes[page].Ready; page--) _cache.Finish(text.Nodes[page]);
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
