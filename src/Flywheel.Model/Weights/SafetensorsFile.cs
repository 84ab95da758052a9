// The safetensors container (huggingface/safetensors): 8 bytes little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}, then the tensors' bytes.
// A large model is a set of such files beside an index, model.safetensors.index.json:
// {"metadata": {"total_size"}, "weight_map": {"name": "model-00001-of-00002.safetensors"}}.
using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;

namespace Flywheel.Model;

/// <summary>A memory-mapped safetensors file, or a sharded set of them.</summary>
public sealed class SafetensorsFile : IWeightFile
{
    /// <summary>Same limit as the reference implementation; a larger header is hostile.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    /// <summary>What a safetensors header calls the types that are read.</summary>
    private static readonly Dictionary<string, TensorType> Types =
        Enum.GetValues<TensorType>().Where(type => !type.IsQuantized()).ToDictionary(type => type.ToString(), StringComparer.Ordinal);

    private readonly MappedFile[] _shards;

    private SafetensorsFile(string path, MappedFile[] shards, IReadOnlyDictionary<string, TensorInfo> tensors,
        IReadOnlyDictionary<string, string> metadata)
    {
        (Path, _shards, Tensors, Metadata) = (path, shards, tensors, metadata);
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The first file's.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>
    /// A decoder that was saved by itself, without the model around it, leaves out the first part of its tensors' names:
    /// <c>layers.0...</c> for <c>model.layers.0...</c>. The same file with the whole names.
    /// </summary>
    internal SafetensorsFile WithWholeNames()
    {
        if (!Tensors.ContainsKey("embed_tokens.weight") || Tensors.Keys.Any(name => name.StartsWith("model.", StringComparison.Ordinal)))
            return this;
        return new SafetensorsFile(Path, _shards,
            Tensors.Values.Select(tensor => tensor.Name == "lm_head.weight" ? tensor : tensor with { Name = "model." + tensor.Name })
                .ToDictionary(tensor => tensor.Name), Metadata);
    }

    /// <param name="path">A safetensors file, or the index of a sharded set (its name ends in .index.json).</param>
    /// <exception cref="FlywheelException">Missing, truncated or malformed; the message names the file and the fault.</exception>
    public static SafetensorsFile Open(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected model weights in safetensors format");
        bool sharded = path.EndsWith(".index.json", StringComparison.Ordinal);
        Dictionary<string, string>? shardOf = sharded ? ReadIndex(path) : null;
        string[] files = shardOf is null ? [path] : [.. ShardFiles(path)];
        var shards = new List<MappedFile>();
        try
        {
            var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
            IReadOnlyDictionary<string, string>? metadata = null;
            foreach (string file in files)
            {
                if (!File.Exists(file)) throw new FlywheelException($"{file}: no such file; {System.IO.Path.GetFileName(path)} names it");
                using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                byte[] header = ReadHeader(file, stream);
                (var found, var pairs) = ParseHeader(file, header, dataStart: 8 + header.Length, stream.Length);
                metadata ??= pairs;
                foreach (TensorInfo tensor in found.Values)
                {
                    if (shardOf is not null
                        && (!shardOf.TryGetValue(tensor.Name, out string? named) || named != System.IO.Path.GetFileName(file)))
                        throw new FlywheelException(
                            $"{file}: holds tensor '{tensor.Name}', which {System.IO.Path.GetFileName(path)} places {(named is null ? "nowhere" : $"in {named}")}");
                    tensors.Add(tensor.Name, tensor with { Shard = shards.Count });
                }
                shards.Add(new MappedFile(stream));
            }
            if (shardOf?.Keys.FirstOrDefault(name => !tensors.ContainsKey(name)) is { } lacking)
                throw new FlywheelException($"{path}: tensor '{lacking}' is not in {shardOf[lacking]}, where weight_map places it");
            return new SafetensorsFile(path, [.. shards], tensors, metadata!);
        }
        catch (Exception e)
        {
            foreach (MappedFile shard in shards) shard.Dispose();
            if (e is IOException or UnauthorizedAccessException) throw new FlywheelException($"{path}: cannot be read: {e.Message}", e);
            throw;
        }
    }

    /// <summary>The files that an index names, in the order of their names.</summary>
    /// <exception cref="FlywheelException">The index is malformed.</exception>
    internal static IEnumerable<string> ShardFiles(string index) =>
        ReadIndex(index).Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
        .Select(name => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(index)!, name));

    /// <summary>File of each tensor.</summary>
    private static Dictionary<string, string> ReadIndex(string path)
    {
        if (new FileInfo(path).Length > MaxHeaderBytes)
            throw new FlywheelException($"{path}: is larger than {MaxHeaderBytes} bytes, which no index is");
        byte[] json = File.ReadAllBytes(path);
        Utf8File.Check(json, path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            var files = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (JsonProperty entry in document.RootElement.GetProperty("weight_map").EnumerateObject())
            {
                string file = entry.Value.GetString() ?? "";
                // Only files beside the index: a name must not lead elsewhere.
                if (file.Length == 0 || file != System.IO.Path.GetFileName(file) || file.Contains('\\')
                    || !file.EndsWith(".safetensors", StringComparison.Ordinal))
                    throw new FlywheelException(
                        $"{path}: weight_map['{entry.Name}'] is '{file}', expected the name of a .safetensors file in the same folder");
                files.Add(entry.Name, file);
            }
            return files.Count > 0 ? files : throw new FlywheelException($"{path}: weight_map is empty");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new FlywheelException($"{path}: malformed index: {e.Message}", e);
        }
    }

    private static byte[] ReadHeader(string path, FileStream stream)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (stream.Length < prefix.Length)
            throw new FlywheelException($"{path}: {stream.Length} bytes is too short for a safetensors file");
        stream.ReadExactly(prefix);
        ulong declared = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (declared > MaxHeaderBytes || declared > (ulong)(stream.Length - prefix.Length))
            throw new FlywheelException(
                $"{path}: header length {declared} does not fit a file of {stream.Length} bytes; the file is truncated or not safetensors");
        byte[] header = new byte[declared];
        stream.ReadExactly(header);
        return header;
    }

    /// <summary>
    /// Checks every name, type, shape and range, and that the tensors fill the data without hole or overlap; nothing is
    /// allocated in proportion to declared sizes.
    /// </summary>
    internal static (Dictionary<string, TensorInfo>, Dictionary<string, string>) ParseHeader(string path, ReadOnlyMemory<byte> header,
        long dataStart, long fileBytes)
    {
        var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!Utf8.IsValid(header.Span)) throw new FlywheelException($"{path}: the safetensors header is malformed: it is not UTF-8");
        try
        {
            using JsonDocument document = JsonDocument.Parse(header, new JsonDocumentOptions { AllowDuplicateProperties = false });
            foreach (JsonProperty entry in document.RootElement.EnumerateObject())
            {
                if (entry.NameEquals("__metadata__"))
                    foreach (JsonProperty pair in entry.Value.EnumerateObject()) metadata.Add(pair.Name, pair.Value.GetString() ?? "");
                else
                    tensors.Add(entry.Name, ParseTensor(path, entry.Name, entry.Value, dataStart, fileBytes - dataStart));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new FlywheelException($"{path}: the safetensors header is malformed: {e.Message}", e);
        }
        long end = dataStart;
        foreach (TensorInfo tensor in tensors.Values.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.NumBytes))
        {
            if (tensor.Offset != end)
                throw new FlywheelException(
                    $"{path}: tensor '{tensor.Name}' begins at byte {tensor.Offset} of the file, expected {end}: the tensors leave a hole or overlap");
            end += tensor.NumBytes;
        }
        if (end != fileBytes) throw new FlywheelException($"{path}: the tensors end at byte {end}, but the file has {fileBytes} bytes");
        return (tensors, metadata);
    }

    private static TensorInfo ParseTensor(string path, string name, JsonElement entry, long dataStart, long dataBytes)
    {
        string dtypeName = entry.GetProperty("dtype").GetString() ?? "";
        if (!Types.TryGetValue(dtypeName, out TensorType type))
            throw new FlywheelException($"{path}: tensor '{name}' has dtype '{dtypeName}', expected {NearestName.List([.. Types.Keys])}");
        long[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        long[] offsets = [.. entry.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
        string shapeText = $"[{string.Join(", ", shape)}]";
        Int128 expected = type.BlockBytes();
        foreach (long size in shape)
        {
            expected *= size;
            if (size < 0 || expected > long.MaxValue)
                throw new FlywheelException($"{path}: tensor '{name}' has the impossible shape {shapeText}");
        }
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || offsets[1] - offsets[0] != expected)
            throw new FlywheelException(
                $"{path}: tensor '{name}' of shape {shapeText} needs {expected} bytes, its data_offsets are [{string.Join(", ", offsets)}]");
        if (offsets[1] > dataBytes)
            throw new FlywheelException(
                $"{path}: tensor '{name}' ends at byte {offsets[1]} of the data, but the file has {dataBytes} bytes of data; the file is truncated");
        return new TensorInfo(name, type, shape, dataStart + offsets[0], (long)expected);
    }

    /// <summary>Copies bytes of a tensor, from <paramref name="start"/> bytes into it.</summary>
    public void ReadBytes(TensorInfo tensor, long start, Span<byte> destination) => _shards[tensor.Shard].Read(tensor, start, destination);

    public void ReadRow(TensorInfo tensor, long row, Span<byte> destination)
    {
        if (destination.Length != tensor.RowBytes)
            throw new ArgumentException($"a row of '{tensor.Name}' has {tensor.RowBytes} bytes, not {destination.Length}",
                nameof(destination));
        ReadBytes(tensor, checked(row * tensor.RowBytes), destination);
    }

    public void ReadFloats(TensorInfo tensor, long start, Span<float> destination)
    {
        if (!tensor.Type.IsReal())
            throw new FlywheelException($"{Path}: tensor '{tensor.Name}' is {tensor.Type}, expected F32, F16 or BF16");
        _shards[tensor.Shard].ReadFloats(tensor, start, destination);
    }

    public void Dispose()
    {
        foreach (MappedFile shard in _shards) shard.Dispose();
    }
}
