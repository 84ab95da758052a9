using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// The functions of an MPI library that we call. MPI fixes them in C only: Open MPI's handles are addresses of exported
/// symbols, MPICH's (and its kin's: Intel MPI, MVAPICH) are 32-bit numbers. Both travel in one machine word on the
/// 64-bit calling conventions of Linux, so the same signatures serve both.
/// </summary>
internal sealed unsafe partial class MpiLibrary
{
    private MpiLibrary(string path, nint library)
    {
        Path = path;
        nint Symbol(string name) =>
            NativeLibrary.TryGetExport(library, name, out nint address)
                ? address : throw new FlywheelException($"{path}: does not export {name}, expected an MPI library");
        InitThread = (delegate* unmanaged<int*, void*, int, int*, int>)Symbol("MPI_Init_thread");
        Finalise = (delegate* unmanaged<int>)Symbol("MPI_Finalize");
        Abort = (delegate* unmanaged<nint, int, int>)Symbol("MPI_Abort");
        CommRank = (delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_rank");
        CommSize = (delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_size");
        StartBarrier = (delegate* unmanaged<nint, nint*, int>)Symbol("MPI_Ibarrier");
        Test = (delegate* unmanaged<nint*, int*, nint, int>)Symbol("MPI_Test");
        AllToAll = (delegate* unmanaged<void*, int*, int*, nint, void*, int*, int*, nint, nint, int>)Symbol("MPI_Alltoallv");
        AllGather = (delegate* unmanaged<nint, int, nint, void*, int*, int*, nint, nint, int>)Symbol("MPI_Allgatherv");
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out nint world))
        {
            (World, InPlace, IgnoreStatus) = (world, 1, 0);
            (Byte, Float, Double) = (Symbol("ompi_mpi_byte"), Symbol("ompi_mpi_float"), Symbol("ompi_mpi_double"));
        }
        else
        {
            (World, InPlace, IgnoreStatus) = (0x44000000, -1, 1);
            (Byte, Float, Double) = (0x4c00010d, 0x4c00040a, 0x4c00080b);
        }
    }

    public string Path { get; }

    /// <summary>MPI_COMM_WORLD.</summary>
    public nint World { get; }

    /// <summary>MPI_IN_PLACE.</summary>
    public nint InPlace { get; }

    /// <summary>MPI_STATUS_IGNORE.</summary>
    public nint IgnoreStatus { get; }

    public nint Byte { get; }

    public nint Float { get; }

    public nint Double { get; }

    public delegate* unmanaged<int*, void*, int, int*, int> InitThread { get; }

    public delegate* unmanaged<int> Finalise { get; }

    public delegate* unmanaged<nint, int, int> Abort { get; }

    public delegate* unmanaged<nint, int*, int> CommRank { get; }

    public delegate* unmanaged<nint, int*, int> CommSize { get; }

    public delegate* unmanaged<nint, nint*, int> StartBarrier { get; }

    public delegate* unmanaged<nint*, int*, nint, int> Test { get; }

    public delegate* unmanaged<void*, int*, int*, nint, void*, int*, int*, nint, nint, int> AllToAll { get; }

    public delegate* unmanaged<nint, int, nint, void*, int*, int*, nint, nint, int> AllGather { get; }

    /// <summary>Loads the first of some libraries that is there; the launcher decides which can be right.</summary>
    /// <exception cref="FlywheelException">None loads.</exception>
    public static MpiLibrary Load(Launcher launcher)
    {
        // UCX, which MPICH and Open MPI send by, takes these signals for its own crash report. To .NET they are null references and
        // divisions by zero in code that catches them, and a collection of garbage under way: a rank would end for nothing.
        _ = NativeEnvironment.Set("UCX_ERROR_SIGNALS", "", overwrite: 0);
        List<string> failures = [];
        foreach (string name in launcher.Libraries)
        {
            // Open MPI's plugins look for its symbols among the global ones, where .NET's own loader does not put them.
            nint library = Open(name, LoadNow | LoadGlobal);
            if (library != 0) return new MpiLibrary(name, library);
            failures.Add(Marshal.PtrToStringUTF8(Error()) ?? name);
        }
        throw new FlywheelException(
            $"this process was started as one of {launcher.Size} ranks ({launcher.Evidence}), but no MPI library loads: {string.Join("; ", failures)}. {launcher.Advice}");
    }

    /// <summary>Whether one of some libraries is on this machine.</summary>
    public static bool Exists(string[] names) => names.Any(name => Open(name, LoadLazily) != 0);

    private const int LoadLazily = 1, LoadNow = 2, LoadGlobal = 0x100;

    [LibraryImport("libc.so.6", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Open(string path, int flags);

    [LibraryImport("libc.so.6", EntryPoint = "dlerror")]
    private static partial nint Error();
}
