using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>
/// Pages of the key/value cache. A page holds 32 tokens of one sequence for all layers: for each layer and head the tiles
/// of its keys, then those of its values. Pages are made up to a limit, a few of them ahead, and used again.
/// </summary>
internal sealed unsafe class KvPool(DecoderShape shape, KvType type, long maxPages) : IDisposable
{
    /// <summary>Pages are made so many bytes at a time, because a step reads a little of every page: small memory pages would cost a TLB
    /// miss each.</summary>
    private const long SlabBytes = 32 << 20;

    /// <summary>So many are made ahead, at most: the first touch of memory takes up to milliseconds a page, which streams would wait
    /// for.</summary>
    private const int PagesAhead = 768, BytesAhead = 512 << 20;

    private readonly NativeArena _arena = new();
    private readonly Stack<nint> _free = [];
    private byte* _slab;
    private long _slabLeft, _numMade;

    public KvType Type => type;

    /// <summary>Tiles that a head's keys of a page need.</summary>
    public int NumBlocks { get; } = (shape.Config.HeadDim + KvTile.Size - 1) / KvTile.Size;

    public long PageBytes => shape.Config.NumLayers * KeyOffset(1, 0);

    public long MaxPages => maxPages;

    /// <summary>Bytes of the pages that may still be made.</summary>
    public long BytesToCome => (maxPages - Volatile.Read(ref _numMade)) * PageBytes;

    public static int PagesFor(int tokens) => (tokens + AttentionJob.PageTokens - 1) / AttentionJob.PageTokens;

    public long KeyOffset(int layer, int head) => 2L * ((long)layer * shape.Config.NumKvHeads + head) * NumBlocks * KvTile.Bytes(type);

    public long ValueOffset(int layer, int head) => KeyOffset(layer, head) + (long)NumBlocks * KvTile.Bytes(type);

    /// <summary>Pages that are free or may still be made.</summary>
    public long NumAvailable => _free.Count + maxPages - _numMade;

    public float* Rent(out bool isNew)
    {
        isNew = !_free.TryPop(out nint page);
        return isNew ? Make() : (float*)page;
    }

    /// <summary>Makes a page for later; false when there are enough.</summary>
    public bool MakeAhead()
    {
        if (_numMade == maxPages || _free.Count >= PagesAhead || _free.Count * PageBytes >= BytesAhead) return false;
        _free.Push((nint)Make());
        return true;
    }

    public void Return(float* page) => _free.Push((nint)page);

    public void Dispose() => _arena.Dispose();

    private float* Make()
    {
        if (_slabLeft == 0)
        {
            _slabLeft = Math.Min(Math.Max(1, SlabBytes / PageBytes), maxPages - _numMade);
            _slab = _arena.Allocate<byte>(_slabLeft * PageBytes, zeroed: false);
        }
        byte* page = _slab;
        NativeMemory.Clear(page, (nuint)PageBytes); // unwritten tokens are multiplied by weight 0 and must be finite
        _slab += PageBytes;
        _slabLeft--;
        _numMade++;
        return (float*)page;
    }
}
