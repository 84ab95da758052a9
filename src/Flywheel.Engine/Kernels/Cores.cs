using System.Runtime.InteropServices;

namespace Flywheel.Engine;

/// <summary>
/// Binds a thread to a core. Linux may put a thread that is woken beside the one that wakes it (virtual machines that pack
/// their processors do so for seconds on end): then two threads that wait for each other take turns on one core.
/// </summary>
internal static unsafe partial class Cores
{
    /// <summary>Bits of a mask of cores: as many as the C library's own.</summary>
    private const int MaxCores = 1024, WordBits = 64;

    private static readonly ulong[] Allowed = Read();

    /// <summary>Each core of the process alone; made once, because a team is bound anew between two steps.</summary>
    private static readonly ulong[][] Single = [.. Enumerable.Range(0, Allowed.Length * WordBits)
        .Where(core => (Allowed[core / WordBits] >> core % WordBits & 1) != 0)
        .Select(core =>
        {
            ulong[] mask = new ulong[Allowed.Length];
            mask[core / WordBits] = 1UL << core % WordBits;
            return mask;
        })];

    /// <summary>Cores that the process may use; 0 where that cannot be known.</summary>
    public static int Count => Single.Length;

    /// <summary>The calling thread runs on one of the process's cores only.</summary>
    public static void Bind(int index) => Set(Single[index]);

    /// <summary>The calling thread runs wherever the process may.</summary>
    public static void Release() => Set(Allowed);

    private static void Set(ulong[] mask)
    {
        // a system that forbids it loses pace only
        fixed (ulong* words = mask) _ = SetAffinity(0, (nuint)(mask.Length * sizeof(ulong)), words);
    }

    private static ulong[] Read()
    {
        ulong[] mask = new ulong[MaxCores / WordBits];
        if (!OperatingSystem.IsLinux()) return [];
        fixed (ulong* words = mask) return GetAffinity(0, (nuint)(mask.Length * sizeof(ulong)), words) < 0 ? [] : mask;
    }

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nuint bytes, ulong* mask);

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nuint bytes, ulong* mask);
}
