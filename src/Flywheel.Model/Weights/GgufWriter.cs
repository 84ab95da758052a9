using System.Runtime.InteropServices;
using System.Text;

namespace Flywheel.Model;

/// <summary>Writes GGUF files (version 3): deterministic bytes for the same content, whole or not at all.</summary>
public static class GgufWriter
{
    private const int Alignment = 32;

    /// <param name="path">The file to write.</param>
    /// <param name="metadata">Written in its order.</param>
    /// <param name="tensors">llama.cpp's name, type, shape with the outermost dimension first, and a function that writes exactly the
    /// tensor's bytes.</param>
    public static void Write(string path, GgufMetadata metadata,
        IReadOnlyList<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)> tensors) => AtomicFile.Write(path, stream =>
    {
        using (var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true)) // little-endian everywhere
        {
            writer.Write(GgufHeader.Magic);
            writer.Write(3);
            writer.Write((long)tensors.Count);
            writer.Write((long)metadata.Count);
            foreach ((string key, object value) in metadata)
            {
                WriteText(writer, key);
                WriteValue(writer, value);
            }
            long offset = 0;
            foreach ((string name, TensorType type, long[] shape, _) in tensors)
            {
                WriteText(writer, name);
                writer.Write(shape.Length);
                foreach (long size in shape.Reverse()) writer.Write(size);
                writer.Write(GgufTypes.Id(type));
                writer.Write(offset);
                offset += Padded(NumBytes(type, shape));
            }
        }
        Pad(stream);
        foreach ((string name, TensorType type, long[] shape, Action<Stream> write) in tensors)
        {
            long before = stream.Position;
            write(stream);
            if (stream.Position - before != NumBytes(type, shape))
                throw new InvalidOperationException(
                    $"tensor '{name}' wrote {stream.Position - before} bytes, its shape needs {NumBytes(type, shape)}");
            Pad(stream);
        }
    });

    private static long NumBytes(TensorType type, long[] shape) => type.NumBytes(shape.Aggregate(1L, (product, size) => product * size));

    private static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream) => stream.Write(stackalloc byte[(int)(Padded(stream.Position) - stream.Position)]);

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteValue(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case byte number: Type(0); writer.Write(number); break;
            case sbyte number: Type(1); writer.Write(number); break;
            case ushort number: Type(2); writer.Write(number); break;
            case short number: Type(3); writer.Write(number); break;
            case uint number: Type(4); writer.Write(number); break;
            case int number: Type(5); writer.Write(number); break;
            case float number: Type(6); writer.Write(number); break;
            case bool flag: Type(7); writer.Write(flag); break;
            case string text: Type(GgufTypes.Text); WriteText(writer, text); break;
            case ulong number: Type(10); writer.Write(number); break;
            case long number: Type(11); writer.Write(number); break;
            case double number: Type(12); writer.Write(number); break;
            case string[] texts:
                Array(GgufTypes.Text, texts.Length);
                foreach (string text in texts) WriteText(writer, text);
                break;
            // sbyte[] is also byte[] to the runtime, so the exact type decides.
            case Array numbers when numbers.GetType() == typeof(byte[]): Numbers(0, (byte[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(sbyte[]): Numbers(1, (sbyte[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(ushort[]): Numbers(2, (ushort[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(short[]): Numbers(3, (short[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(uint[]): Numbers(4, (uint[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(int[]): Numbers(5, (int[])numbers); break;
            case float[] numbers: Numbers(6, numbers); break;
            case bool[] flags: Numbers(7, flags); break;
            case Array numbers when numbers.GetType() == typeof(ulong[]): Numbers(10, (ulong[])numbers); break;
            case Array numbers when numbers.GetType() == typeof(long[]): Numbers(11, (long[])numbers); break;
            case double[] numbers: Numbers(12, numbers); break;
            default: throw new ArgumentException($"GGUF has no value of type {value.GetType()}", nameof(value));
        }

        void Type(uint type) => writer.Write(type);

        void Array(uint type, int length)
        {
            Type(GgufTypes.Array);
            Type(type);
            writer.Write((long)length);
        }

        void Numbers<T>(uint type, T[] numbers) where T : unmanaged
        {
            Array(type, numbers.Length);
            writer.Write(MemoryMarshal.AsBytes<T>(numbers));
        }
    }
}
