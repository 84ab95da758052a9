// The safetensors container (huggingface/safetensors): 8 bytes little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}, then the tensors' bytes.
using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Flywheel.Model;

public enum DType { F32, F16, BF16, I32, I64, U8, I8 }

public static class DTypes
{
    public static int SizeInBytes(this DType type) => type switch
    {
        DType.F32 or DType.I32 => 4,
        DType.F16 or DType.BF16 => 2,
        DType.I64 => 8,
        _ => 1,
    };
}

/// <summary>One tensor of a file: its type, shape and place, in bytes from the start of the file.</summary>
public sealed record TensorInfo(string Name, DType DType, long[] Shape, long Offset, long NumBytes)
{
    public long NumElements => Shape.Aggregate(1L, (product, size) => product * size);

    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}

/// <summary>A memory-mapped safetensors file. Reading copies out of the mapping, so no pointer outlives it.</summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>Same limit as the reference implementation; a larger header is hostile.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    private SafetensorsFile(string path, MemoryMappedFile file, IReadOnlyDictionary<string, TensorInfo> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        _file = file;
        _view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        Tensors = tensors;
        Metadata = metadata;
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <exception cref="FlywheelException">Missing, truncated or malformed; the message names the file and the fault.</exception>
    public static SafetensorsFile Open(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected model weights in safetensors format");
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            byte[] header = ReadHeader(path, stream);
            (var tensors, var metadata) = ParseHeader(path, header, dataStart: 8 + header.Length, stream.Length);
            // The file that was checked is mapped, whatever the path names by now. The mapping outlives the handle.
            return new SafetensorsFile(path, MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true), tensors, metadata);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static byte[] ReadHeader(string path, FileStream stream)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (stream.Length < prefix.Length) throw new FlywheelException($"{path}: {stream.Length} bytes is too short for a safetensors file");
        stream.ReadExactly(prefix);
        ulong declared = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (declared > MaxHeaderBytes || declared > (ulong)(stream.Length - prefix.Length))
            throw new FlywheelException($"{path}: header length {declared} does not fit a file of {stream.Length} bytes; the file is truncated or not safetensors");
        byte[] header = new byte[declared];
        stream.ReadExactly(header);
        return header;
    }

    /// <summary>
    /// Checks every name, type, shape and range, and that the tensors fill the data without hole or overlap; nothing is
    /// allocated in proportion to declared sizes.
    /// </summary>
    internal static (Dictionary<string, TensorInfo>, Dictionary<string, string>) ParseHeader(string path, ReadOnlyMemory<byte> header, long dataStart, long fileBytes)
    {
        var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
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
            if (tensor.Offset != end) throw new FlywheelException($"{path}: tensor '{tensor.Name}' begins at byte {tensor.Offset} of the file, expected {end}: the tensors leave a hole or overlap");
            end += tensor.NumBytes;
        }
        if (end != fileBytes) throw new FlywheelException($"{path}: the tensors end at byte {end}, but the file has {fileBytes} bytes");
        return (tensors, metadata);
    }

    private static TensorInfo ParseTensor(string path, string name, JsonElement entry, long dataStart, long dataBytes)
    {
        string dtypeName = entry.GetProperty("dtype").GetString() ?? "";
        string[] known = Enum.GetNames<DType>();
        if (!known.Contains(dtypeName)) throw new FlywheelException($"{path}: tensor '{name}' has dtype '{dtypeName}', expected {NearestName.List(known)}");
        DType dtype = Enum.Parse<DType>(dtypeName);
        long[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        long[] offsets = [.. entry.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
        string shapeText = $"[{string.Join(", ", shape)}]";
        Int128 expected = dtype.SizeInBytes();
        foreach (long size in shape)
        {
            expected *= size;
            if (size < 0 || expected > long.MaxValue) throw new FlywheelException($"{path}: tensor '{name}' has the impossible shape {shapeText}");
        }
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || offsets[1] - offsets[0] != expected)
            throw new FlywheelException($"{path}: tensor '{name}' of shape {shapeText} needs {expected} bytes, its data_offsets are [{string.Join(", ", offsets)}]");
        if (offsets[1] > dataBytes)
            throw new FlywheelException($"{path}: tensor '{name}' ends at byte {offsets[1]} of the data, but the file has {dataBytes} bytes of data; the file is truncated");
        return new TensorInfo(name, dtype, shape, dataStart + offsets[0], (long)expected);
    }

    /// <exception cref="FlywheelException">The tensor is missing or has another shape than expected.</exception>
    public TensorInfo Require(string name, params ReadOnlySpan<long> shape)
    {
        if (!Tensors.TryGetValue(name, out TensorInfo? tensor)) throw new FlywheelException($"{Path}: tensor '{name}' is missing");
        if (!shape.SequenceEqual(tensor.Shape))
            throw new FlywheelException($"{Path}: tensor '{name}' has shape {tensor.ShapeText}, expected [{string.Join(", ", shape.ToArray())}]");
        return tensor;
    }

    /// <summary>Copies bytes of a tensor, from <paramref name="start"/> bytes into it.</summary>
    public void ReadBytes(TensorInfo tensor, long start, Span<byte> destination)
    {
        if (start < 0 || start > tensor.NumBytes - destination.Length) throw new ArgumentOutOfRangeException(nameof(start));
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(tensor.Offset + start), destination);
    }

    /// <summary>Copies elements of an F32, F16 or BF16 tensor as fp32, from element <paramref name="start"/>.</summary>
    public void ReadFloats(TensorInfo tensor, long start, Span<float> destination)
    {
        if (tensor.DType == DType.F32)
        {
            ReadBytes(tensor, checked(start * 4), MemoryMarshal.AsBytes(destination));
            return;
        }
        if (tensor.DType is not (DType.F16 or DType.BF16))
            throw new FlywheelException($"{Path}: tensor '{tensor.Name}' is {tensor.DType}, expected F32, F16 or BF16");
        ushort[] buffer = new ushort[Math.Min(destination.Length, 1 << 16)];
        for (int done = 0; done < destination.Length; done += buffer.Length)
        {
            Span<ushort> chunk = buffer.AsSpan(0, Math.Min(buffer.Length, destination.Length - done));
            ReadBytes(tensor, checked((start + done) * 2), MemoryMarshal.AsBytes(chunk));
            for (int i = 0; i < chunk.Length; i++)
                destination[done + i] = tensor.DType == DType.BF16
                    ? BitConverter.UInt32BitsToSingle((uint)chunk[i] << 16)
                    : (float)BitConverter.UInt16BitsToHalf(chunk[i]);
        }
    }

    public float[] ReadFloats(TensorInfo tensor)
    {
        float[] values = new float[tensor.NumElements];
        ReadFloats(tensor, 0, values);
        return values;
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}
