using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Flywheel.Model;

/// <summary>Writes safetensors files: deterministic bytes for the same tensors, whole or not at all.</summary>
public static class SafetensorsWriter
{
    /// <param name="path">The file to write.</param>
    /// <param name="tensors">Name, type, shape and a function that writes exactly the tensor's bytes.</param>
    /// <param name="metadata">Free text pairs of the header.</param>
    public static void Write(string path, IReadOnlyList<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
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
            foreach ((string name, TensorType type, long[] shape, _) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", type.ToString());
                json.WriteStartArray("shape");
                foreach (long size in shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += shape.Aggregate((long)type.BlockBytes(), (product, size) => product * size));
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
            foreach ((string name, TensorType type, long[] shape, Action<Stream> write) in tensors)
            {
                long before = stream.Position;
                write(stream);
                long expected = shape.Aggregate((long)type.BlockBytes(), (product, size) => product * size);
                if (stream.Position - before != expected) throw new InvalidOperationException($"tensor '{name}' wrote {stream.Position - before} bytes, its shape needs {expected}");
            }
        });
    }

    /// <summary>fp32 values to BF16 (round to nearest even) or F32 bytes.</summary>
    public static void WriteFloats(Stream stream, ReadOnlySpan<float> values, TensorType type)
    {
        if (type == TensorType.F32)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }
        if (type != TensorType.BF16) throw new ArgumentException($"cannot write floats as {type}", nameof(type));
        ushort[] rounded = new ushort[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            rounded[i] = float.IsNaN(values[i]) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        }
        stream.Write(MemoryMarshal.AsBytes<ushort>(rounded));
    }
}
