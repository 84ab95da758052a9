using System.Runtime.InteropServices;

namespace Flywheel.Engine;

/// <summary>Zeroed memory outside the garbage collector, aligned to cache lines, all freed together.</summary>
internal sealed unsafe partial class NativeArena : IDisposable
{
    private const int CacheLine = 64;
    private const int HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    private readonly Lock _lock = new();
    private readonly List<nint> _blocks = [];
    private readonly List<IDisposable> _kept = [];

    public long NumBytes { get; private set; }

    public T* Allocate<T>(long count) where T : unmanaged
    {
        nuint bytes = checked(((nuint)count * (nuint)sizeof(T) + CacheLine - 1) / CacheLine * CacheLine);
        bool huge = bytes >= 2 * HugePage;
        void* block = NativeMemory.AlignedAlloc(Math.Max(bytes, CacheLine), huge ? (nuint)HugePage : CacheLine);
        // Matrices are streamed once a token: small pages would cost a TLB miss every 4 KiB.
        if (huge && OperatingSystem.IsLinux()) _ = Advise(block, bytes, AdviseHugePages);
        NativeMemory.Clear(block, bytes);
        lock (_lock)
        {
            _blocks.Add((nint)block);
            NumBytes += (long)bytes;
        }
        return (T*)block;
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
            foreach (nint block in _blocks) NativeMemory.AlignedFree((void*)block);
            _blocks.Clear();
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint bytes, int advice);
}
