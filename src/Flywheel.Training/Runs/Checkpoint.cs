using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>What the manifest of one part says; it is written last, so a part without one was never finished.</summary>
public sealed record CheckpointManifest
{
    /// <summary>Optimiser steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Input tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>Seconds of training so far, over all restarts.</summary>
    public required double Seconds { get; init; }

    /// <summary>Length of log.jsonl at this moment; what comes after it is logged again.</summary>
    public required long LogBytes { get; init; }

    /// <summary>Over the names and bytes of the part's tensors as they were in memory.</summary>
    public string Sha256 { get; init; } = "";
}

/// <summary>
/// The whole state of a run: weights and the optimiser's state, in safetensors; data order and schedule follow from the step.
/// Each rank writes the part that it owns, <c>step-0000120.1-of-4.safetensors</c>, from a copy in memory while training goes
/// on. A checkpoint is whole when all its parts are; the last few whole ones are kept, so that a damaged newest one
/// costs minutes and not the run. Any number of ranks can resume from it.
/// </summary>
internal sealed partial class Checkpoint : IDisposable
{
    private readonly string _folder;
    private readonly int _keep;
    private readonly ICollectives _world;
    private readonly (string Name, Tensor Tensor, float[] Copy)[] _own;
    private readonly Action<string> _report;
    private Task _writing = Task.CompletedTask;
    private int _writingStep;

    /// <param name="runFolder">Of the run; all ranks see the same folder.</param>
    /// <param name="keep">Whole checkpoints that stay.</param>
    /// <param name="world">Who writes a part.</param>
    /// <param name="own">Weights and optimiser state that this rank owns.</param>
    /// <param name="report">Told of damaged checkpoints and of those that could not be written.</param>
    public Checkpoint(string runFolder, int keep, ICollectives world, IEnumerable<Parameter> own, Action<string> report)
    {
        (_folder, _keep, _world, _report) = (FolderOf(runFolder), keep, world, report);
        _own = [.. own.Select(entry => (entry.Name, entry.Tensor, Array.Empty<float>()))];
    }

    public bool IsWriting => !_writing.IsCompleted;

    /// <summary>Copies the state and writes it in the background; waits only for a write that is still going on.</summary>
    /// <param name="state">The hash is filled in.</param>
    /// <param name="syncLog">Puts the log on disk up to <see cref="CheckpointManifest.LogBytes"/>; called before the manifest
    /// appears.</param>
    public void Save(CheckpointManifest state, Action syncLog)
    {
        Wait();
        Copy();
        _writingStep = state.Step;
        _writing = Task.Factory.StartNew(() => Write(state, syncLog), CancellationToken.None, TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    /// <summary>What a save holds training up for.</summary>
    internal void Copy()
    {
        foreach (ref var entry in _own.AsSpan())
        {
            if (entry.Copy.Length == 0) entry.Copy = new float[entry.Tensor.numel()];
            Values(entry.Tensor).CopyTo(entry.Copy);
        }
    }

    /// <summary>Until what was saved last is on disk, or has failed, which is reported: the checkpoint before it is still there.</summary>
    public void Wait()
    {
        try
        {
            _writing.GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
        {
            string last = Newest(_folder) is { } newest
                ? $"the last good one is {PartPath(_folder, newest, 0)}" : "there is none before it";
            _report($"the checkpoint of step {_writingStep} was not written ({e.Message}); {last}; training goes on");
        }
        _writing = Task.CompletedTask;
    }

    private void Write(CheckpointManifest state, Action syncLog)
    {
        // Weights that are no numbers would only replace a state that can be resumed from.
        foreach ((string name, _, float[] copy) in _own)
            if (!float.IsFinite(TensorPrimitives.SumOfMagnitudes<float>(copy))) throw new FlywheelException($"'{name}' is not finite");
        Directory.CreateDirectory(_folder);
        var key = new Key(state.Step, _world.Size);
        string path = PartPath(_folder, key, _world.Rank);
        try
        {
            WriteTensors(path);
        }
        catch (FlywheelException e) when (e.InnerException is IOException { HResult: TrainingLogWriter.DiskFull })
        {
            throw new FlywheelException(
                $"{path}: the disk is full: it needs {_own.Sum(entry => 4L * entry.Copy.Length):N0} bytes, {new DriveInfo(_folder).AvailableFreeSpace:N0} are free", e);
        }
        string hash = Hash(_own.Select(entry => entry.Name),
            (name, add) => add(MemoryMarshal.AsBytes<float>(_own.First(entry => entry.Name == name).Copy)));
        syncLog();
        AtomicFile.WriteText(ManifestPath(_folder, key, _world.Rank),
            JsonSerializer.Serialize(state with { Sha256 = hash }, JsonText.Indented));
        if (_world.Rank == 0) Delete(key => key.Step < Whole(_folder).Select(whole => whole.Step).Distinct().ElementAtOrDefault(_keep - 1));
    }

    private void WriteTensors(string path) =>
        SafetensorsWriter.Write(path,
            [.. _own.Select(entry => (entry.Name, TensorType.F32, entry.Tensor.shape,
                (Action<Stream>)(stream => stream.Write(MemoryMarshal.AsBytes<float>(entry.Copy)))))]);

    /// <summary>Restores the newest checkpoint that is whole and good; null when there is none. Its successors are removed.</summary>
    /// <param name="wanted">All weights, and the optimiser state that this rank owns.</param>
    public CheckpointManifest? Restore(IEnumerable<Parameter> wanted)
    {
        Key found = default;
        if (_world.Rank == 0)
        {
            found = Whole(_folder).FirstOrDefault(IsGood);
            Delete(key => key.Step > found.Step);
        }
        found = _world.FromFirst(found); // also: nobody writes before the successors are gone
        if (found == default) return null;
        Dictionary<string, Tensor> missing = wanted.ToDictionary(entry => entry.Name, entry => entry.Tensor);
        for (int part = 0; part < found.Parts; part++)
        {
            using SafetensorsFile file = SafetensorsFile.Open(PartPath(_folder, found, part));
            foreach (string name in file.Tensors.Keys)
                if (missing.Remove(name, out Tensor? tensor))
                    file.ReadBytes(file.Require(name, tensor.shape), 0, MemoryMarshal.AsBytes(Values(tensor)));
        }
        return missing.Count == 0
            ? ReadManifest(_folder, found, 0)
            : throw new FlywheelException(
                $"{PartPath(_folder, found, 0)}: has no '{missing.Keys.First()}'; expected a checkpoint of the same model and optimiser");
    }

    /// <summary>The newest whole checkpoint's manifest and first file, without looking at its content; null when there is none.</summary>
    public static (CheckpointManifest Manifest, string Path)? NewestOf(string runFolder) =>
        Newest(FolderOf(runFolder)) is { } newest
            ? (ReadManifest(FolderOf(runFolder), newest, 0), PartPath(FolderOf(runFolder), newest, 0)) : null;

    public static void DeleteAll(string runFolder)
    {
        if (Directory.Exists(FolderOf(runFolder))) Directory.Delete(FolderOf(runFolder), recursive: true);
    }

    private bool IsGood(Key key)
    {
        for (int part = 0; part < key.Parts; part++)
        {
            string path = PartPath(_folder, key, part);
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(path);
                byte[] buffer = new byte[1 << 20];
                string hash = Hash(file.Tensors.Values.OrderBy(tensor => tensor.Offset).Select(tensor => tensor.Name), (name, add) =>
                {
                    TensorInfo tensor = file.Tensors[name];
                    for (long at = 0; at < tensor.NumBytes; at += buffer.Length)
                    {
                        Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.NumBytes - at));
                        file.ReadBytes(tensor, at, piece);
                        add(piece);
                    }
                });
                string expected = ReadManifest(_folder, key, part).Sha256;
                if (hash != expected) throw new FlywheelException($"SHA-256 is {hash}, its manifest says {expected}");
            }
            catch (Exception e) when (e is FlywheelException or JsonException or IOException)
            {
                _report($"checkpoint {path} is damaged ({e.Message}) and is not used");
                return false;
            }
        }
        return true;
    }

    private delegate void AddBytes(ReadOnlySpan<byte> bytes);

    private static string Hash(IEnumerable<string> names, Action<string, AddBytes> content)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in names)
        {
            sha.AppendData(System.Text.Encoding.UTF8.GetBytes(name + "\n"));
            content(name, sha.AppendData);
        }
        return Convert.ToHexStringLower(sha.GetHashAndReset());
    }

    /// <summary>A step and the number of parts that its state was written in; the default is none.</summary>
    private readonly record struct Key(int Step, int Parts);

    private static Key? Newest(string folder) => Whole(folder).Select(key => (Key?)key).FirstOrDefault();

    /// <summary>Checkpoints all of whose parts have a manifest, newest first.</summary>
    private static List<Key> Whole(string folder) => !Directory.Exists(folder) ? [] :
    [
        .. Directory.GetFiles(folder, "*.json").Select(file => PartName().Match(Path.GetFileName(file))).Where(match => match.Success)
            .GroupBy(KeyOf).Where(parts => parts.Count() == parts.Key.Parts).Select(parts => parts.Key).OrderByDescending(key => key.Step)
            .ThenBy(key => key.Parts),
    ];

    private void Delete(Func<Key, bool> condition)
    {
        if (!Directory.Exists(_folder)) return;
        // Manifests go first: what has none does not count.
        foreach (string file in Directory.GetFiles(_folder).OrderBy(file => file.EndsWith(".json", StringComparison.Ordinal) ? 0 : 1))
            if (PartName().Match(Path.GetFileName(file)) is { Success: true } match && condition(KeyOf(match))) File.Delete(file);
    }

    [GeneratedRegex(@"^step-(\d+)\.\d+-of-(\d+)\.(?:json|safetensors)(?:\.[0-9a-f]+\.tmp)?$")]
    private static partial Regex PartName();

    private static Key KeyOf(Match match) =>
        new(int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture),
            int.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture));

    private static CheckpointManifest ReadManifest(string folder, Key key, int part) =>
        JsonSerializer.Deserialize<CheckpointManifest>(File.ReadAllText(ManifestPath(folder, key, part)), JsonText.Compact)!;

    private static string FolderOf(string runFolder) => Path.Combine(runFolder, "checkpoints");

    private static string PartPath(string folder, Key key, int part) =>
        Path.Combine(folder, $"step-{key.Step:D7}.{part}-of-{key.Parts}.safetensors");

    private static string ManifestPath(string folder, Key key, int part) => Path.ChangeExtension(PartPath(folder, key, part), ".json");

    private static unsafe Span<float> Values(Tensor tensor) => new(Rows.Floats(tensor), checked((int)tensor.numel()));

    public void Dispose() => Wait();
}
