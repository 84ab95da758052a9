using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Flywheel.Model;
using TorchSharp;

namespace Flywheel.Training;

/// <summary>
/// Loads libtorch and TorchSharp's native library from where they lie, before TorchSharp looks for them. TorchSharp then
/// asks the loader for <c>libtorch_cpu.so</c> and <c>libLibTorchSharp.so</c> by bare name, and the loader answers with the
/// libraries of that name that are already there.
/// </summary>
/// <remarks>
/// libtorch is looked for in the folder named by FLYWHEEL_LIBTORCH if that is set, else beside the program, else in the
/// package folder of the machine that built it.
/// </remarks>
public static partial class TorchLibrary
{
    /// <summary>Names a folder with libtorch's shared libraries.</summary>
    public const string FolderVariable = "FLYWHEEL_LIBTORCH";

    private const string TooNewVersion = "GLIBCXX_3.4.32";

    private static readonly Lazy<string> s_loaded = new(LoadOnce);

    /// <summary>Makes torch usable with a fixed number of threads. Its own products depend on that number, our kernels do not.</summary>
    /// <exception cref="FlywheelException">The platform is not supported or a library is missing.</exception>
    public static void Load(int numThreads) => Load(numThreads, tune: true);

    /// <param name="numThreads">Of libtorch and the fused kernels.</param>
    /// <param name="tune">Set the process up for training; only a benchmark's plain program does without.</param>
    internal static void Load(int numThreads, bool tune)
    {
        if (tune && !s_loaded.IsValueCreated) TuneProcess();
        _ = s_loaded.Value;
        torch.set_num_threads(numThreads);
        Rows.NumThreads = numThreads;
    }

    /// <summary>Path of TorchSharp's library as loaded.</summary>
    private static string LoadOnce()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.OSArchitecture != Architecture.X64)
            throw new FlywheelException($"training runs on Linux x64 only for now; this is {RuntimeInformation.RuntimeIdentifier}");
        string torchFolder = Find(Environment.GetEnvironmentVariable(FolderVariable), "LibTorchFolder", "libtorch_cpu.so",
            "libtorch-cpu-linux-x64");
        string shim = Path.Combine(Find(null, "TorchSharpFolder", "libLibTorchSharp.so", "TorchSharp"), "libLibTorchSharp.so");
        foreach (string name in new[] { "libc10.so", "libtorch_cpu.so", "libtorch.so" }) Open(Path.Combine(torchFolder, name));
        if (!SystemHasVersion()) shim = MendedCopy(shim);
        Open(shim);
        if (!torch.TryInitializeDeviceType(DeviceType.CPU)) throw new FlywheelException($"TorchSharp did not start with {shim}");
        return shim;
    }

    /// <param name="named">The only folder to look in, if the person named one.</param>
    /// <param name="metadata">Key under which the build recorded the package's folder.</param>
    /// <param name="file">What the folder must hold.</param>
    /// <param name="package">What brings it.</param>
    internal static string Find(string? named, string metadata, string file, string package)
    {
        string? recorded = typeof(TorchLibrary).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(pair => pair.Key == metadata)?.Value;
        string[] folders = string.IsNullOrEmpty(named) ? [AppContext.BaseDirectory, recorded ?? ""] : [named];
        return folders.FirstOrDefault(folder => File.Exists(Path.Combine(folder, file))) ?? throw new FlywheelException(
            $"{file} is not in {string.Join(" nor in ", folders)}; " + (string.IsNullOrEmpty(named)
                ? $"run 'dotnet restore' in the project (it fetches the package {package}), or name a folder that has it in {FolderVariable}"
                : $"{FolderVariable} must name a folder with libtorch's shared libraries, or be empty"));
    }

    private static void Open(string path)
    {
        try
        {
            NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new FlywheelException($"{path} does not load: {e.Message}", e);
        }
    }

    /// <summary>
    /// libgomp's waiting threads spin by default and then starve a server or a build beside them (43 tokens/s against 470
    /// measured); glibc gives large blocks back to the system after every step and faults them in again. Both are settled
    /// here because libgomp reads its environment only when it is loaded, by us.
    /// </summary>
    private static void TuneProcess()
    {
        _ = NativeEnvironment.Set("OMP_WAIT_POLICY", "passive", overwrite: 0);
        _ = MallocOption(MmapThreshold, 1 << 30);
        _ = MallocOption(TrimThreshold, int.MaxValue);
        _ = MallocOption(TopPad, 256 << 20);
    }

    private const int TrimThreshold = -1, TopPad = -2, MmapThreshold = -3;

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int MallocOption(int parameter, int value);

    /// <summary>The system's libstdc++ is new enough when it exports the symbol that came with the version.</summary>
    private static bool SystemHasVersion() =>
        NativeLibrary.TryLoad("libstdc++.so.6", out nint library)
            && NativeLibrary.TryGetExport(library, "_ZSt21ios_base_library_initv", out _);

    /// <summary>A copy of TorchSharp's library, named by its content, whose demand for the newer libstdc++ is weak.</summary>
    private static string MendedCopy(string shim)
    {
        byte[] file = File.ReadAllBytes(shim);
        string folder = Path.Combine(new FlywheelHome().Cache, $"torchsharp-{Convert.ToHexStringLower(SHA256.HashData(file))[..16]}");
        string copy = Path.Combine(folder, Path.GetFileName(shim));
        if (!File.Exists(copy))
        {
            ElfVersions.MakeWeak(file, TooNewVersion);
            Directory.CreateDirectory(folder);
            AtomicFile.Write(copy, stream => stream.Write(file));
        }
        return copy;
    }
}
