using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Gives each drawing of random numbers in an ONNX model a seed. A node without one draws from the clock, and the same text would never
/// sound the same
/// twice. Of the file only what lies around those nodes is read (onnx.proto: ModelProto.graph 7, GraphProto.node 1, NodeProto.op_type 4 and
/// attribute 5,
/// AttributeProto.name 1, f 2 and type 20).
/// </summary>
internal static class OnnxSeeds
{
    private const int Graph = 7, Node = 1, OpType = 4, Attribute = 5, AttributeName = 1;

    private static readonly HashSet<string> s_random = ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
        "Multinomial", "Bernoulli"];

    /// <param name="model">The file.</param>
    /// <param name="path">For messages.</param>
    /// <returns>The same model, every drawing seeded.</returns>
    /// <exception cref="FlywheelException">It is no protocol buffer.</exception>
    public static byte[] Fix(byte[] model, string path)
    {
        try
        {
            int seed = 0;
            return Rewrite(model, field => field == Graph,
                graph => Rewrite(graph, field => field == Node, node => WithSeed(node, ref seed)));
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentException or OverflowException)
        {
            throw new FlywheelException($"{path}: is no ONNX model: it ends within a field", e);
        }
    }

    private static byte[] WithSeed(ReadOnlySpan<byte> node, ref int seed)
    {
        string type = "";
        bool hasSeed = false;
        for (int at = 0; at < node.Length;)
        {
            (int field, int start, int end) = Next(node, ref at);
            if (field == OpType) type = System.Text.Encoding.UTF8.GetString(node[start..end]);
            else if (field == Attribute) hasSeed |= IsSeed(node[start..end]);
        }
        if (!s_random.Contains(type) || hasSeed) return node.ToArray();
        byte[] value = BitConverter.GetBytes((float)++seed);
        // AttributeProto { name: "seed", f: value, type: FLOAT } as field 5
        return [.. node, 0x2A, 14, 0x0A, 4, .. "seed"u8, 0x15, .. value, 0xA0, 0x01, 1];
    }

    private static bool IsSeed(ReadOnlySpan<byte> attribute)
    {
        for (int at = 0; at < attribute.Length;)
        {
            (int field, int start, int end) = Next(attribute, ref at);
            if (field == AttributeName && attribute[start..end].SequenceEqual("seed"u8)) return true;
        }
        return false;
    }

    private delegate byte[] Change(ReadOnlySpan<byte> message);

    /// <summary>A message with some of its fields changed and the others byte for byte.</summary>
    private static byte[] Rewrite(ReadOnlySpan<byte> message, Func<int, bool> isChanged, Change change)
    {
        var output = new MemoryStream(message.Length + 256);
        for (int at = 0; at < message.Length;)
        {
            int before = at;
            (int field, int start, int end) = Next(message, ref at);
            if (!isChanged(field))
            {
                output.Write(message[before..at]);
                continue;
            }
            byte[] changed = change(message[start..end]);
            Write(output, (ulong)field << 3 | 2);
            Write(output, (ulong)changed.Length);
            output.Write(changed);
        }
        return output.ToArray();
    }

    /// <summary>The field at a place: its number and where its content lies; the place moves behind it.</summary>
    private static (int Field, int Start, int End) Next(ReadOnlySpan<byte> message, ref int at)
    {
        ulong tag = Read(message, ref at);
        int start = at, end = (int)(tag & 7) switch
        {
            0 => Skip(message, at),
            1 => at + 8,
            2 => checked((int)Read(message, ref at)) + (start = at),
            5 => at + 4,
            _ => throw new ArgumentException("no wire type of protocol buffers"),
        };
        if (end > message.Length || end < start) throw new ArgumentException("a field ends behind its message");
        at = end;
        return (checked((int)(tag >> 3)), start, end);
    }

    private static int Skip(ReadOnlySpan<byte> message, int at)
    {
        Read(message, ref at);
        return at;
    }

    private static ulong Read(ReadOnlySpan<byte> message, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = message[at++];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw new ArgumentException("a number of more than ten bytes");
    }

    private static void Write(Stream output, ulong value)
    {
        for (; value >= 0x80; value >>= 7) output.WriteByte((byte)(value | 0x80));
        output.WriteByte((byte)value);
    }
}
