using Flywheel.Engine.Kernels;

namespace Flywheel.Engine;

/// <summary>One full page of tokens in the cache; the tokens before it are its parents'.</summary>
internal sealed unsafe class PageNode
{
    public const int NumTokens = AttentionJob.PageTokens;

    public int[] Tokens { get; } = new int[NumTokens];

    public PageNode? Parent { get; set; }

    public ulong Hash { get; set; }

    public float* Page { get; set; }

    /// <summary>Sequences that read it, or whose later pages follow it.</summary>
    public int NumUsers { get; set; }

    /// <summary>False while the sequence that claimed it is still computing it.</summary>
    public bool Ready { get; set; }

    /// <summary>Neighbours in the order of last use; only while nobody uses it.</summary>
    public PageNode? Older { get; set; }

    public PageNode? Newer { get; set; }
}

/// <summary>
/// A tree of full pages, shared by running sequences and kept after them until the memory is needed (as SGLang's radix
/// attention, Zheng et al. 2023, arXiv 2312.07104). What a page holds is a function of its tokens and those before
/// them, to the bit, so a hit changes no result.
/// </summary>
internal sealed unsafe class PrefixCache(KvPool pool)
{
    /// <summary>Tokens that a page must have in common with a text for its beginning to be copied.</summary>
    public const int LeastBeginning = 8;

    private readonly Dictionary<ulong, PageNode> _nodes = [];

    /// <summary>A page that begins with so many tokens after a parent: the newest that is computed, or else the first that will
    /// be.</summary>
    private readonly Dictionary<ulong, PageNode> _beginnings = [];
    private readonly Stack<PageNode> _spare = new();
    private PageNode? _oldest, _newest;

    /// <summary>Pages that are kept and used by nobody.</summary>
    public long NumUnused { get; private set; }

    /// <summary>The page of these tokens after a parent, if it is there or on its way.</summary>
    public PageNode? Find(PageNode? parent, ReadOnlySpan<int> tokens) =>
        _nodes.TryGetValue(HashOf(parent, tokens), out PageNode? node) && node.Parent == parent && tokens.SequenceEqual(node.Tokens)
            ? node : null;

    /// <summary>A page after a parent that begins as these tokens do, if there is one or one is on its way, and how many are the
    /// same.</summary>
    public PageNode? FindBeginning(PageNode? parent, ReadOnlySpan<int> tokens, out int numSame)
    {
        numSame = 0;
        if (tokens.Length < LeastBeginning || !_beginnings.TryGetValue(HashOf(parent, tokens[..LeastBeginning]), out PageNode? node)
            || node.Parent != parent) return null;
        numSame = tokens.CommonPrefixLength(node.Tokens);
        return numSame < LeastBeginning ? null : node;
    }

    public void Use(PageNode node)
    {
        if (node.NumUsers++ == 0) Unlink(node);
    }

    /// <summary>Announces a page that its user is about to compute, or has computed; null when the place is taken.</summary>
    public PageNode? Add(PageNode? parent, ReadOnlySpan<int> tokens, float* page, bool ready)
    {
        ulong hash = HashOf(parent, tokens);
        if (!_nodes.TryAdd(hash, _spare.Peek())) return null;
        PageNode node = _spare.Pop();
        tokens.CopyTo(node.Tokens);
        (node.Parent, node.Hash, node.NumUsers, node.Ready) = (parent, hash, 1, ready);
        node.Page = page;
        if (ready) _beginnings[BeginningOf(node)] = node;
        else _beginnings.TryAdd(BeginningOf(node), node);
        return node;
    }

    /// <summary>An announced page is computed.</summary>
    public void Finish(PageNode node)
    {
        node.Ready = true;
        _beginnings[BeginningOf(node)] = node;
    }

    /// <summary>Ends one use. Pages of one sequence are released last first, so that a leaf is older than its parent.</summary>
    public void Release(PageNode node)
    {
        if (--node.NumUsers > 0) return;
        if (!node.Ready)
        {
            Drop(node);
            return;
        }
        NumUnused++;
        node.Older = _newest;
        if (_newest is not null) _newest.Newer = node;
        _newest = node;
        _oldest ??= node;
    }

    /// <summary>A page to write: a free one, a new one, or that of the leaf that was not used for longest.</summary>
    public float* Rent()
    {
        if (pool.NumAvailable == 0)
        {
            PageNode leaf = _oldest ?? throw new InvalidOperationException("every page is in use");
            Unlink(leaf);
            Drop(leaf);
        }
        float* page = pool.Rent(out bool isNew);
        if (isNew) _spare.Push(new PageNode()); // as many nodes as pages: a warm engine allocates none
        return page;
    }

    /// <summary>Makes a page for later; false when there are enough.</summary>
    public bool MakeAhead()
    {
        if (!pool.MakeAhead()) return false;
        _spare.Push(new PageNode());
        return true;
    }

    private void Drop(PageNode node)
    {
        _nodes.Remove(node.Hash);
        ulong beginning = BeginningOf(node);
        if (_beginnings.GetValueOrDefault(beginning) == node) _beginnings.Remove(beginning);
        pool.Return(node.Page);
        node.Parent = null;
        _spare.Push(node);
    }

    private void Unlink(PageNode node)
    {
        NumUnused--;
        if (node.Older is null) _oldest = node.Newer;
        else node.Older.Newer = node.Newer;
        if (node.Newer is null) _newest = node.Older;
        else node.Newer.Older = node.Older;
        node.Older = node.Newer = null;
    }

    private static ulong BeginningOf(PageNode node) => HashOf(node.Parent, node.Tokens.AsSpan(0, LeastBeginning));

    /// <summary>FNV-1a over the parent's hash and the tokens; a collision is found by comparing them.</summary>
    private static ulong HashOf(PageNode? parent, ReadOnlySpan<int> tokens)
    {
        ulong hash = parent?.Hash ?? 14695981039346656037;
        foreach (int token in tokens) hash = (hash ^ (uint)token) * 1099511628211;
        return hash ^ hash >> 29;
    }
}
