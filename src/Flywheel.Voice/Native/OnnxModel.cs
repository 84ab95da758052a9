using System.Reflection;
using System.Runtime.InteropServices;
using Flywheel.Model;
using Microsoft.ML.OnnxRuntime;

namespace Flywheel.Voice;

/// <summary>Models as ONNX files, run by ONNX Runtime on the processor.</summary>
internal static class OnnxModel
{
    /// <summary>Protocol buffers cannot hold more, and it is one field of them.</summary>
    public const long MaxBytes = int.MaxValue;

    private static readonly Lock s_lock = new();
    private static bool s_isReady;

    /// <summary>Reads a model and looks whether it is one of the kind.</summary>
    /// <param name="path">For messages.</param>
    /// <param name="model">The file.</param>
    /// <param name="inputs">Names that it must have, and no others.</param>
    /// <param name="outputs">Names that it must have.</param>
    /// <param name="kind">What it should be, for messages.</param>
    /// <exception cref="FlywheelException">It is no ONNX model, or another one.</exception>
    public static InferenceSession Open(string path, byte[] model, IReadOnlyList<string> inputs, IReadOnlyList<string> outputs, string kind)
    {
        Prepare();
        InferenceSession session;
        try
        {
            using var options = new SessionOptions
            {
                // Work is divided between lines by who calls.
                IntraOpNumThreads = 1, InterOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            };
            session = new InferenceSession(model, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new FlywheelException($"{path}: is no model that ONNX Runtime reads: {FirstLine(e)}", e);
        }
        string[] has = [.. session.InputMetadata.Keys], gives = [.. session.OutputMetadata.Keys];
        if (has.Order().SequenceEqual(inputs.Order()) && outputs.All(gives.Contains)) return session;
        session.Dispose();
        throw new FlywheelException(
            $"{path}: is no {kind}: it takes {NearestName.List(has)} and gives {NearestName.List(gives)}, expected {NearestName.List(inputs)} and {NearestName.List(outputs)}");
    }

    /// <inheritdoc cref="Open(string, byte[], IReadOnlyList{string}, IReadOnlyList{string}, string)"/>
    public static InferenceSession Open(string path, IReadOnlyList<string> inputs, IReadOnlyList<string> outputs, string kind) =>
        Open(path, Read(path), inputs, outputs, kind);

    /// <exception cref="FlywheelException">There is no such file, or it is too large to be one.</exception>
    public static byte[] Read(string path)
    {
        using FileStream stream = WavReader.OpenFile(path);
        if (stream.Length is 0 or > MaxBytes)
            throw new FlywheelException($"{path}: has {stream.Length} bytes, expected an ONNX model of at most {MaxBytes}");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Runs it.</summary>
    /// <exception cref="FlywheelException">It failed.</exception>
    public static IDisposableReadOnlyCollection<OrtValue> Run(string path, InferenceSession session, IReadOnlyList<string> names,
        IReadOnlyList<OrtValue> values, IReadOnlyList<string> outputs)
    {
        try
        {
            using var options = new RunOptions();
            return session.Run(options, names, values, outputs);
        }
        catch (OnnxRuntimeException e)
        {
            throw new FlywheelException($"{path}: failed: {FirstLine(e)}", e);
        }
    }

    private static string FirstLine(Exception e) => e.Message.Split('\n')[0].Trim();

    /// <summary>ONNX Runtime looks for its library beside the program alone; it is told where the package lies.</summary>
    private static void Prepare()
    {
        lock (s_lock)
        {
            if (s_isReady) return;
            string library = FindLibrary();
            OrtEnv.DisableDllImportResolver = true;
            NativeLibrary.SetDllImportResolver(typeof(InferenceSession).Assembly,
                (name, _, _) => name == "onnxruntime" ? NativeLibrary.Load(library) : 0);
            s_isReady = true;
        }
    }

    private static string FindLibrary()
    {
        const string file = "libonnxruntime.so";
        string? platform = !OperatingSystem.IsLinux()
            ? null : RuntimeInformation.OSArchitecture switch { Architecture.X64 => "linux-x64", Architecture.Arm64 => "linux-arm64",
                _ => null };
        if (platform is null)
            throw new FlywheelException(
                $"ONNX models run on Linux on x64 and arm64 only for now; this is {RuntimeInformation.RuntimeIdentifier}");
        string? recorded = typeof(OnnxModel).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(pair => pair.Key == "OnnxRuntimeFolder")?.Value;
        string[] folders = [AppContext.BaseDirectory, Path.Combine(recorded ?? "", platform, "native")];
        return folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists)
            ?? throw new FlywheelException(
                $"{file} is not in {string.Join(" nor in ", folders)}; run 'dotnet restore' in the project (it fetches the package Microsoft.ML.OnnxRuntime)");
    }
}
