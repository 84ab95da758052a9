using System.Runtime.CompilerServices;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Ranks that MPI connects. MPI ends all of them when one dies, so that nobody waits for the dead.</summary>
internal sealed unsafe class Mpi : ICollectives
{
    /// <summary>MPI_THREAD_SERIALIZED: any of our threads may call, one at a time.</summary>
    private const int Serialized = 2;

    private readonly MpiLibrary _library;
    private bool _left;

    /// <exception cref="FlywheelException">No MPI library loads, or it counts other ranks than the launcher.</exception>
    public Mpi(Launcher launcher)
    {
        _library = MpiLibrary.Load(launcher);
        int provided, rank, size;
        Check(_library.InitThread(null, null, Serialized, &provided), "MPI_Init_thread");
        Check(_library.CommRank(_library.World, &rank), "MPI_Comm_rank");
        Check(_library.CommSize(_library.World, &size), "MPI_Comm_size");
        (Rank, Size) = (rank, size);
        if (size != launcher.Size)
            throw new FlywheelException(
                $"the launcher started {launcher.Size} ranks ({launcher.Evidence}), but {_library.Path} sees {size}: launcher and library do not belong together. {launcher.Advice}");
    }

    public int Rank { get; }

    public int Size { get; }

    public string Library => _library.Path;

    public void AllToAll(ReadOnlySpan<float> send, int[] sendCounts, int[] sendOffsets, Span<float> receive, int[] receiveCounts,
        int[] receiveOffsets)
    {
        Meet();
        fixed (float* from = send, to = receive)
        fixed (int* sends = sendCounts, sendsAt = sendOffsets, receives = receiveCounts, receivesAt = receiveOffsets)
            Check(_library.AllToAll(from, sends, sendsAt, _library.Float, to, receives, receivesAt, _library.Float, _library.World),
                "MPI_Alltoallv");
    }

    public void AllGather<T>(Span<T> buffer, int[] counts, int[] offsets)
        where T : unmanaged
    {
        // Floats and doubles count in their own unit, so that 2^31 of them fit MPI's counts; the rest is few.
        (nint type, int unit) = typeof(T) == typeof(float) ? (_library.Float, 1) : typeof(T) == typeof(double)
            ? (_library.Double, 1) : (_library.Byte, Unsafe.SizeOf<T>());
        int[] sizes = Array.ConvertAll(counts, count => checked(count * unit)),
            starts = Array.ConvertAll(offsets, offset => checked(offset * unit));
        Meet();
        fixed (T* all = buffer)
        fixed (int* sizesAt = sizes, startsAt = starts)
            Check(_library.AllGather(_library.InPlace, 0, type, all, sizesAt, startsAt, type, _library.World), "MPI_Allgatherv");
    }

    public void Abort(int exitCode) => _library.Abort(_library.World, exitCode);

    /// <summary>
    /// Waits asleep until every rank is here. MPI's own waiting spins, which starves the ranks that still compute on the
    /// same machine; what follows is then a transfer without waiting.
    /// </summary>
    private void Meet()
    {
        nint request = 0;
        int done = 0;
        Check(_library.StartBarrier(_library.World, &request), "MPI_Ibarrier");
        for (int tries = 0; done == 0; tries++)
        {
            Check(_library.Test(&request, &done, _library.IgnoreStatus), "MPI_Test");
            if (done == 0) Thread.Sleep(tries < 50 ? 0 : 1);
        }
    }

    /// <summary>MPI's default is to end all ranks at an error; a library may be set to return instead.</summary>
    private static void Check(int code, string function)
    {
        if (code != 0) throw new InvalidOperationException($"{function} returned {code}");
    }

    public void Dispose()
    {
        if (_left) return;
        _left = true;
        Meet();
        _library.Finalise();
    }
}

/// <summary>Where a process finds the other ranks of its training.</summary>
public static class World
{
    /// <summary>The ranks that a launcher (mpirun, srun) started together with this process; this process alone without one.</summary>
    /// <exception cref="FlywheelException">A launcher started us, but no MPI library loads.</exception>
    public static ICollectives Join() =>
        Launcher.Find(Environment.GetEnvironmentVariable) is { } launcher ? new Mpi(launcher) : new SingleRank();
}
