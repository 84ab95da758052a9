using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>Writes safetensors files: deterministic bytes for the same tensors, whole or not at all.</summary>
public static class SafetensorsWriter
{
    /// <summary>Hugging Face's usual limit of a file.</summary>
    public const long MaxShardBytes = 5_000_000_000;

    /// <summary>
    /// Writes a model's weights into a folder: model.safetensors, or several files and model.safetensors.index.json when one
    /// would be larger than <paramref name="maxShardBytes"/>.
    /// </summary>
    public static void WriteModel(string folder, IReadOnlyList<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)> tensors,
        long maxShardBytes = MaxShardBytes)
    {
        var metadata = new Dictionary<string, string> { ["format"] = "pt" }; // transformers refuses a file without it
        List<List<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)>> shards = [[]];
        long total = 0, size = 0;
        foreach (var tensor in tensors)
        {
            long bytes = NumBytes(tensor.Type, tensor.Shape);
            if (size > 0 && size + bytes > maxShardBytes)
            {
                shards.Add([]);
                size = 0;
            }
            shards[^1].Add(tensor);
            (size, total) = (size + bytes, total + bytes);
        }
        if (shards.Count == 1)
        {
            Write(Path.Combine(folder, "model.safetensors"), tensors, metadata);
            return;
        }
        var map = new JsonObject();
        foreach ((int i, var shard) in shards.Index())
        {
            string name = $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors";
            Write(Path.Combine(folder, name), shard, metadata);
            foreach ((string tensor, _, _, _) in shard) map[tensor] = name;
        }
        var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map };
        AtomicFile.WriteText(Path.Combine(folder, "model.safetensors.index.json"), index.ToJsonString(JsonText.Indented) + "\n");
    }

    private static long NumBytes(TensorType type, long[] shape) =>
        shape.Aggregate((long)type.BlockBytes(), (product, size) => product * size);

    /// <param name="path">The file to write.</param>
    /// <param name="tensors">Name, type, shape and a function that writes exactly the tensor's bytes.</param>
    /// <param name="metadata">Free text pairs of the header.</param>
    public static void Write(string path, IReadOnlyList<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var header = new MemoryStream();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            if (metadata is not null)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key,
                    StringComparer.Ordinal)) json.WriteString(key, value);
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
                json.WriteNumberValue(offset += NumBytes(type, shape));
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
                long expected = NumBytes(type, shape);
                if (stream.Position - before != expected)
                    throw new InvalidOperationException(
                        $"tensor '{name}' wrote {stream.Position - before} bytes, its shape needs {expected}");
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
        for (int i = 0; i < values.Length; i++) rounded[i] = Quantization.ToBFloat16(values[i]);
        stream.Write(MemoryMarshal.AsBytes<ushort>(rounded));
    }
}
