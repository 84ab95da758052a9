using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>What a checkpoint's manifest says; it is written last, so a checkpoint without one was never finished.</summary>
internal sealed record CheckpointManifest
{
    /// <summary>Optimiser steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Input tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>Seconds of training so far, over all restarts.</summary>
    public required double Seconds { get; init; }

    public required string Sha256 { get; init; }
}

/// <summary>
/// The whole state of a run: weights and both moments of the optimiser, in safetensors; the data order and schedule follow
/// from the step. The last two are kept, so that a damaged newest one costs minutes and not the run.
/// </summary>
internal static class Checkpoint
{
    private const int Keep = 2;

    public static void Write(string runFolder, DecoderModel model, Optimizer optimizer, int step, long tokens, double seconds)
    {
        string folder = Directory.CreateDirectory(Path.Combine(runFolder, "checkpoints")).FullName, file = WeightsPath(folder, step);
        SafetensorsWriter.Write(file, [.. State(model, optimizer).Select(entry => (entry.Name, TensorType.F32, entry.Tensor.shape, (Action<Stream>)(stream => stream.Write(Bytes(entry.Tensor)))))]);
        using (FileStream stream = File.OpenRead(file))
        {
            var manifest = new CheckpointManifest { Step = step, Tokens = tokens, Seconds = seconds, Sha256 = Convert.ToHexStringLower(SHA256.HashData(stream)) };
            AtomicFile.WriteText(ManifestPath(folder, step), JsonSerializer.Serialize(manifest, JsonText.Indented));
        }
        foreach (int old in Steps(folder).Skip(Keep))
        {
            File.Delete(ManifestPath(folder, old));
            File.Delete(WeightsPath(folder, old));
        }
    }

    /// <summary>Restores the newest checkpoint that is whole; null when there is none.</summary>
    /// <param name="report">Told of each damaged one, by name.</param>
    public static CheckpointManifest? Restore(string runFolder, DecoderModel model, Optimizer optimizer, Action<string> report)
    {
        string folder = Path.Combine(runFolder, "checkpoints");
        if (!Directory.Exists(folder)) return null;
        foreach (int step in Steps(folder))
        {
            try
            {
                return Read(folder, step, model, optimizer);
            }
            catch (Exception e) when (e is FlywheelException or JsonException or IOException)
            {
                report($"checkpoint {WeightsPath(folder, step)} is damaged ({e.Message}) and is not used");
            }
        }
        return null;
    }

    /// <summary>The newest checkpoint's file, or null.</summary>
    public static string? Newest(string runFolder)
    {
        string folder = Path.Combine(runFolder, "checkpoints");
        return Directory.Exists(folder) && Steps(folder).Select(step => (int?)step).FirstOrDefault() is { } newest ? WeightsPath(folder, newest) : null;
    }

    public static void DeleteAll(string runFolder)
    {
        string folder = Path.Combine(runFolder, "checkpoints");
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    private static CheckpointManifest Read(string folder, int step, DecoderModel model, Optimizer optimizer)
    {
        var manifest = JsonSerializer.Deserialize<CheckpointManifest>(File.ReadAllText(ManifestPath(folder, step)), JsonText.Compact)!;
        string file = WeightsPath(folder, step);
        using (FileStream stream = File.OpenRead(file))
        {
            string hash = Convert.ToHexStringLower(SHA256.HashData(stream));
            if (hash != manifest.Sha256) throw new FlywheelException($"SHA-256 is {hash}, its manifest says {manifest.Sha256}");
        }
        using SafetensorsFile weights = SafetensorsFile.Open(file);
        foreach ((string name, Tensor tensor) in State(model, optimizer)) weights.ReadBytes(weights.Require(name, tensor.shape), 0, Bytes(tensor));
        return manifest;
    }

    private static IEnumerable<Parameter> State(DecoderModel model, Optimizer optimizer) => [.. model.Parameters, .. optimizer.State];

    private static unsafe Span<byte> Bytes(Tensor tensor) => MemoryMarshal.AsBytes(new Span<float>(Rows.Floats(tensor), checked((int)tensor.numel())));

    /// <summary>Steps with a manifest, newest first.</summary>
    private static IEnumerable<int> Steps(string folder) => Directory.GetFiles(folder, "step-*.json")
        .Select(file => int.Parse(Path.GetFileNameWithoutExtension(file)[5..], CultureInfo.InvariantCulture)).OrderDescending();

    private static string WeightsPath(string folder, int step) => Path.Combine(folder, $"step-{step:D7}.safetensors");

    private static string ManifestPath(string folder, int step) => Path.Combine(folder, $"step-{step:D7}.json");
}
