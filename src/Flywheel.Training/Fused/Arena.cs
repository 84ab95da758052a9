using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Memory of what a micro-batch makes and drops again. Each piece lies at the lowest address where it fits, and between
/// micro-batches all of it is one free stretch: nothing piles up, however much lengths vary, and the same pages, huge ones,
/// are used again and again. A general allocator keeps pieces by size, which grows for ever, or gives them back to the system,
/// which fills them with zeros again and costs a quarter of the pace.
/// </summary>
internal static unsafe partial class Arena
{
    /// <summary>Smaller pieces are libtorch's.</summary>
    private const long MinBytes = 64 << 10;

    private const long CacheLine = 64, HugePage = 2 << 20;

    /// <summary>Between pieces, so that equally long ones do not begin on the same sets of the first cache.</summary>
    private const long Gap = 5 * CacheLine;

    private static readonly Lock s_use = new();
    private static readonly Dictionary<long, long> s_taken = [];
    private static readonly List<(long Start, long End)> s_free = [];
    private static readonly long s_bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / HugePage * HugePage;
    private static readonly nint s_start = Reserve();

    /// <summary>Bytes up to which memory has been used since the last <see cref="GiveBack"/>.</summary>
    public static long HighWater { get; private set; }

    /// <summary>Bytes of pieces in use.</summary>
    public static long Taken
    {
        get
        {
            lock (s_use) return s_taken.Values.Sum();
        }
    }

    /// <summary>An fp32 tensor with anything in it.</summary>
    public static Tensor Empty(params long[] shape)
    {
        long bytes = sizeof(float);
        foreach (long size in shape) bytes *= size;
        if (bytes < MinBytes || s_start == 0 || Take(bytes) is not { } place) return empty(shape);
        fixed (long* sizes = shape)
        {
            const sbyte float32 = (sbyte)ScalarType.Float32;
            nint handle = NewTensor(s_start + (nint)place, &Return, sizes, shape.Length, float32, float32, (int)DeviceType.CPU, -1,
                requiresGradient: 0);
            return Tensor.UnsafeCreateTensor(handle);
        }
    }

    public static Tensor Zeros(params long[] shape)
    {
        Tensor tensor = Empty(shape);
        Rows.Clear(tensor);
        return tensor;
    }

    /// <summary>Memory for scratch that a thread keeps as long as it lives, in huge pages.</summary>
    public static float* Allocate(long floats)
    {
        nuint bytes = (nuint)((floats * sizeof(float) + HugePage - 1) / HugePage * HugePage);
        void* memory = NativeMemory.AlignedAlloc(bytes, (nuint)HugePage);
        _ = Advise((nint)memory, bytes, UseHugePages);
        return (float*)memory;
    }

    /// <summary>After a training: the system gets what is free.</summary>
    public static void GiveBack()
    {
        lock (s_use)
        {
            foreach ((long start, long end) in s_free)
            {
                long first = (start + HugePage - 1) / HugePage * HugePage, length = Math.Min(end, HighWater) / HugePage * HugePage - first;
                if (length > 0) _ = Advise(s_start + (nint)first, (nuint)length, DontNeed);
            }
            HighWater = s_taken.Count == 0 ? 0 : s_taken.Max(piece => piece.Key + piece.Value);
        }
    }

    private static long? Take(long bytes)
    {
        long length = (bytes + CacheLine - 1) / CacheLine * CacheLine + Gap;
        lock (s_use)
        {
            int hole = s_free.FindIndex(hole => hole.End - hole.Start >= length);
            if (hole < 0) return null;
            (long start, long end) = s_free[hole];
            if (end - start == length) s_free.RemoveAt(hole);
            else s_free[hole] = (start + length, end);
            s_taken[start] = length;
            HighWater = Math.Max(HighWater, start + length);
            return start;
        }
    }

    /// <summary>libtorch calls it when a tensor's last reference is gone.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(void* memory)
    {
        lock (s_use)
        {
            long start = (nint)memory - s_start;
            s_taken.Remove(start, out long length);
            long end = start + length;
            int after = s_free.FindIndex(hole => hole.Start >= end);
            if (after < 0) after = s_free.Count;
            if (after < s_free.Count && s_free[after].Start == end)
            {
                end = s_free[after].End;
                s_free.RemoveAt(after);
            }
            if (after > 0 && s_free[after - 1].End == start) s_free[after - 1] = (s_free[after - 1].Start, end);
            else s_free.Insert(after, (start, end));
        }
    }

    /// <summary>Addresses for as much as the machine has; memory comes when they are written to. 0 where the system refuses.</summary>
    private static nint Reserve()
    {
        const int readWrite = 3, privateAnonymousUnreserved = 0x4022; // sys/mman.h
        nint start = Map(0, (nuint)(s_bytes + HugePage), readWrite, privateAnonymousUnreserved, -1, 0);
        if (start == -1) return 0;
        start = (start + (nint)HugePage - 1) / (nint)HugePage * (nint)HugePage;
        _ = Advise(start, (nuint)s_bytes, UseHugePages);
        s_free.Add((0, s_bytes));
        return start;
    }

    private const int DontNeed = 4, UseHugePages = 14;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);

    /// <summary>TorchSharp's own calls to it copy; a tensor over memory that is there already it offers for managed arrays only.</summary>
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_new")]
    private static partial nint NewTensor(nint data, delegate* unmanaged[Cdecl]<void*, void> deleter, long* sizes, int numSizes, sbyte type,
        sbyte resultType, int device, int deviceIndex, byte requiresGradient);
}
