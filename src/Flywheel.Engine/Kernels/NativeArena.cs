using System.Runtime.InteropServices;

namespace Flywheel.Engine;

/// <summary>
/// Memory outside the garbage collector, aligned to cache lines, all freed together. It is cut from slabs of huge
/// pages: a step streams all weights, and small pages cost a TLB miss and a halt of the prefetcher every 4 KiB.
/// </summary>
internal sealed unsafe partial class NativeArena : IDisposable
{
    private const int CacheLine = 64;
    private const int HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    /// <summary>What is not used of a slab is never touched, and so takes no memory.</summary>
    private const int SlabBytes = 16 * HugePage;

    private readonly Lock _lock = new();
    private readonly List<nint> _slabs = [];
    private readonly List<IDisposable> _kept = [];
    private byte* _free;
    private nuint _bytesFree;

    public long NumBytes { get; private set; }

    /// <param name="count">Numbers.</param>
    /// <param name="zeroed">False for whoever clears it piece by piece: the first touch of memory is what takes time.</param>
    public T* Allocate<T>(long count, bool zeroed = true) where T : unmanaged
    {
        nuint bytes = checked(((nuint)count * (nuint)sizeof(T) + CacheLine - 1) / CacheLine * CacheLine);
        byte* block;
        lock (_lock)
        {
            NumBytes += (long)bytes;
            if (bytes >= SlabBytes) block = AddSlab(bytes);
            else
            {
                if (bytes > _bytesFree)
                {
                    _free = AddSlab(SlabBytes);
                    _bytesFree = SlabBytes;
                }
                block = _free;
                _free += bytes;
                _bytesFree -= bytes;
            }
        }
        if (zeroed) NativeMemory.Clear(block, bytes);
        return (T*)block;
    }

    private byte* AddSlab(nuint bytes)
    {
        void* slab = NativeMemory.AlignedAlloc(bytes, HugePage);
        if (OperatingSystem.IsLinux()) _ = Advise(slab, bytes, AdviseHugePages);
        _slabs.Add((nint)slab);
        return (byte*)slab;
    }

    /// <summary>Something that is to end with the memory.</summary>
    public void Keep(IDisposable resource)
    {
        lock (_lock) _kept.Add(resource);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (IDisposable resource in _kept) resource.Dispose();
            _kept.Clear();
            foreach (nint slab in _slabs) NativeMemory.AlignedFree((void*)slab);
            _slabs.Clear();
            _bytesFree = 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint bytes, int advice);
}
