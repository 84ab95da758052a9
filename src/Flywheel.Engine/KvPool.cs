using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>
/// Pages of the key/value cache. A page holds 32 tokens of one sequence for all layers: for each layer the keys
/// [G, D, 32], then the values [G, 32, D]. Pages are made on demand up to a limit and used again.
/// </summary>
internal sealed unsafe class KvPool(DecoderShape shape, long maxPages) : IDisposable
{
    private readonly Stack<nint> _free = [];
    private readonly List<nint> _all = [];

    /// <summary>fp32 numbers of one layer's keys in a page.</summary>
    private long LayerKeys { get; } = (long)shape.KvColumns * AttentionJob.PageTokens;

    public long PageFloats => 2 * LayerKeys * shape.Config.NumLayers;

    public long MaxPages => maxPages;

    public static int PagesFor(int tokens) => (tokens + AttentionJob.PageTokens - 1) / AttentionJob.PageTokens;

    public long KeyOffset(int layer, int head) => 2 * LayerKeys * layer + (long)head * shape.HeadDim * AttentionJob.PageTokens;

    public long ValueOffset(int layer, int head) => KeyOffset(layer, head) + LayerKeys;

    /// <summary>Pages that are free or may still be made.</summary>
    public long NumAvailable => _free.Count + maxPages - _all.Count;

    public float* Rent(out bool isNew)
    {
        isNew = !_free.TryPop(out nint page);
        if (!isNew) return (float*)page;
        nuint bytes = (nuint)PageFloats * sizeof(float);
        void* fresh = NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(fresh, bytes); // unwritten tokens are multiplied by weight 0 and must be finite
        _all.Add((nint)fresh);
        return (float*)fresh;
    }

    public void Return(float* page) => _free.Push((nint)page);

    public void Dispose()
    {
        foreach (nint page in _all) NativeMemory.AlignedFree((void*)page);
        _all.Clear();
        _free.Clear();
    }
}
