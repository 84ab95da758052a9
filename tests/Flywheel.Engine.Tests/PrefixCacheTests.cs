using Flywheel.Engine.Weights;

namespace Flywheel.Engine.Tests;

public sealed unsafe class PrefixCacheTests : IDisposable
{
    private const int Pages = 4;

    private readonly KvPool _pool = new(new DecoderShape(TestEngine.Config()), KvType.Int16, Pages);
    private readonly PrefixCache _cache;

    public PrefixCacheTests() => _cache = new PrefixCache(_pool);

    public void Dispose() => _pool.Dispose();

    // Two texts of two pages each fill the memory. The next pages come from the one that was not used for longest, its end first.
    [Fact]
    public void Rent_MemoryFull_TakesTheLeafNotUsedForLongest()
    {
        PageNode[] old = Add(null, 1, 2), recent = Add(null, 3, 4);
        Release(old);
        Release(recent);
        Assert.Equal(0, _pool.NumAvailable);
        Use(old);
        Release(old); // now the other is the older
        Fill(5);
        Assert.Null(_cache.Find(recent[0], Tokens(4)));
        Assert.NotNull(_cache.Find(null, Tokens(3)));
        Fill(6);
        Assert.Null(_cache.Find(null, Tokens(3)));
        Assert.Same(old[1], _cache.Find(_cache.Find(null, Tokens(1)), Tokens(2)));
    }

    [Fact]
    public void Rent_EveryPageInUse_IsRefused()
    {
        Add(null, 1, 2, 3, 4);
        Assert.Throws<InvalidOperationException>(() => { _cache.Rent(); });
    }

    [Fact]
    public void Find_SameTokensAfterAnotherParent_IsAnotherPage()
    {
        PageNode[] first = Add(null, 1, 2);
        Assert.Null(_cache.Find(null, Tokens(2)));
        var adapter = new PageNode { Hash = 5, Ready = true };
        Assert.Null(_cache.Find(adapter, Tokens(1)));
        PageNode other = Add(adapter, 1)[0];
        Assert.Same(other, _cache.Find(adapter, Tokens(1)));
        Assert.Same(first[0], _cache.Find(null, Tokens(1)));
    }

    private static int[] Tokens(int content) => [.. Enumerable.Repeat(content, PageNode.NumTokens)];

    private PageNode[] Add(PageNode? parent, params int[] contents)
    {
        var nodes = new List<PageNode>();
        foreach (int content in contents)
            nodes.Add(_cache.Add(nodes.LastOrDefault() ?? parent, Tokens(content), _cache.Rent(), ready: true)!);
        return [.. nodes];
    }

    private void Fill(int content) => Add(null, content);

    private void Use(PageNode[] nodes)
    {
        foreach (PageNode node in nodes) _cache.Use(node);
    }

    private void Release(PageNode[] nodes)
    {
        foreach (PageNode node in nodes.Reverse()) _cache.Release(node);
    }
}
