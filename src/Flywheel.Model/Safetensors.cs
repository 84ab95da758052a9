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
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        long fileBytes = stream.Length;
        Span<byte> prefix = stackalloc byte[8];
        if (fileBytes < 8) throw new FlywheelException($"{path}: {fileBytes} bytes is too short for a safetensors file");
        stream.ReadExactly(prefix);
        ulong declared = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (declared > MaxHeaderBytes || declared > (ulong)(fileBytes - 8))
            throw new FlywheelException($"{path}: header length {declared} does not fit a file of {fileBytes} bytes; the file is truncated or not safetensors");
        byte[] header = new byte[declared];
        stream.ReadExactly(header);
        (var tensors, var metadata) = ParseHeader(path, header, dataStart: 8 + (long)declared, fileBytes);
        return new SafetensorsFile(path, MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read), tensors, metadata);
    }

    /// <summary>Checks every name, type, shape and range; nothing is allocated in proportion to declared sizes.</summary>
    internal static (Dictionary<string, TensorInfo>, Dictionary<string, string>) ParseHeader(string path, ReadOnlySpan<byte> header, long dataStart, long fileBytes)
    {
        var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var reader = new Utf8JsonReader(header);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            foreach (JsonProperty entry in document.RootElement.EnumerateObject())
            {
                if (entry.Name == "__metadata__")
                {
                    foreach (JsonProperty pair in entry.Value.EnumerateObject()) metadata[pair.Name] = pair.Value.ToString();
                    continue;
                }
                string dtypeName = entry.Value.GetProperty("dtype").GetString() ?? "";
                if (!Enum.TryParse(dtypeName, out DType dtype) || !Enum.IsDefined(dtype) || char.IsDigit(dtypeName.FirstOrDefault()))
                    throw new FlywheelException($"{path}: tensor '{entry.Name}' has dtype '{dtypeName}'; supported are {string.Join(", ", Enum.GetNames<DType>())}");
                long[] shape = [.. entry.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
                long[] offsets = [.. entry.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
                long expected = dtype.SizeInBytes();
                foreach (long size in shape)
                {
                    if (size < 0) throw new FlywheelException($"{path}: tensor '{entry.Name}' has a negative size in shape [{string.Join(", ", shape)}]");
                    expected = checked(expected * size);
                }
                if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || offsets[1] - offsets[0] != expected)
                    throw new FlywheelException($"{path}: tensor '{entry.Name}' of shape [{string.Join(", ", shape)}] needs {expected} bytes, its data_offsets are [{string.Join(", ", offsets)}]");
                if (offsets[1] > fileBytes - dataStart)
                    throw new FlywheelException($"{path}: tensor '{entry.Name}' ends at byte {dataStart + offsets[1]} but the file has {fileBytes}; the file is truncated");
                if (!tensors.TryAdd(entry.Name, new TensorInfo(entry.Name, dtype, shape, dataStart + offsets[0], expected)))
                    throw new FlywheelException($"{path}: tensor '{entry.Name}' is declared twice");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw new FlywheelException($"{path}: the safetensors header is malformed: {e.Message}", e);
        }
        return (tensors, metadata);
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
        if (start < 0 || start + destination.Length > tensor.NumBytes) throw new ArgumentOutOfRangeException(nameof(start));
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(tensor.Offset + start), destination);
    }

    /// <summary>Copies elements of an F32, F16 or BF16 tensor as fp32, from element <paramref name="start"/>.</summary>
    public void ReadFloats(TensorInfo tensor, long start, Span<float> destination)
    {
        if (tensor.DType == DType.F32)
        {
            ReadBytes(tensor, start * 4, MemoryMarshal.AsBytes(destination));
            return;
        }
        if (tensor.DType is not (DType.F16 or DType.BF16))
            throw new FlywheelException($"{Path}: tensor '{tensor.Name}' is {tensor.DType}, expected F32, F16 or BF16");
        ushort[] buffer = new ushort[Math.Min(destination.Length, 1 << 16)];
        for (int done = 0; done < destination.Length; done += buffer.Length)
        {
            Span<ushort> chunk = buffer.AsSpan(0, Math.Min(buffer.Length, destination.Length - done));
            ReadBytes(tensor, (start + done) * 2, MemoryMarshal.AsBytes(chunk));
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

/// <summary>Writes safetensors files: deterministic bytes for the same tensors, whole or not at all.</summary>
public static class SafetensorsWriter
{
    /// <param name="path">The file to write.</param>
    /// <param name="tensors">Name, type, shape and a function that writes exactly the tensor's bytes.</param>
    /// <param name="metadata">Free text pairs of the header.</param>
    public static void Write(string path, IReadOnlyList<(string Name, DType DType, long[] Shape, Action<Stream> Write)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var header = new MemoryStream();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            if (metadata is not null)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal)) json.WriteString(key, value);
                json.WriteEndObject();
            }
            long offset = 0;
            foreach ((string name, DType dtype, long[] shape, _) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", dtype.ToString());
                json.WriteStartArray("shape");
                foreach (long size in shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += shape.Aggregate((long)dtype.SizeInBytes(), (product, size) => product * size));
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (header.Length % 8 != 0) header.WriteByte((byte)' '); // tensors start aligned
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            header.WriteTo(stream);
            foreach ((string name, DType dtype, long[] shape, Action<Stream> write) in tensors)
            {
                long before = stream.Position;
                write(stream);
                long expected = shape.Aggregate((long)dtype.SizeInBytes(), (product, size) => product * size);
                if (stream.Position - before != expected) throw new InvalidOperationException($"tensor '{name}' wrote {stream.Position - before} bytes, its shape needs {expected}");
            }
        });
    }

    /// <summary>fp32 values to BF16 (round to nearest even) or F32 bytes.</summary>
    public static void WriteFloats(Stream stream, ReadOnlySpan<float> values, DType dtype)
    {
        if (dtype == DType.F32)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }
        if (dtype != DType.BF16) throw new ArgumentException($"cannot write floats as {dtype}", nameof(dtype));
        ushort[] rounded = new ushort[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            rounded[i] = float.IsNaN(values[i]) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        }
        stream.Write(MemoryMarshal.AsBytes<ushort>(rounded));
    }
}
