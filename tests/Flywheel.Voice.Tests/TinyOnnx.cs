using System.Text;

namespace Flywheel.Voice.Tests;

/// <summary>Writes ONNX files (onnx.proto) of a few nodes, which ONNX Runtime really runs.</summary>
internal static class TinyOnnx
{
    public const int Float = 1, Int64 = 7;

    /// <summary>
    /// Silero's form: what it says is how loud the window with its context is, times ten and at most 1; the state counts the windows.
    /// </summary>
    public static byte[] Vad() => Model(
        [
            Node("Abs", ["input"], ["loud"]), Node("ReduceMean", ["loud"], ["mean"], Ints("axes", 1), Int("keepdims", 1)),
            Node("Mul", ["mean", "ten"], ["tenfold"]), Node("Min", ["tenfold", "one"], ["output"]),
            Node("Add", ["state", "one"], ["stateN"]), Node("Identity", ["sr"], ["rate"]),
        ],
        [Floats("ten", 10), Floats("one", 1)],
        [Value("input", Float, 1, 576), Value("state", Float, 2, 1, 128), Value("sr", Int64)],
        [Value("output", Float, 1, 1), Value("stateN", Float, 2, 1, 128), Value("rate", Int64)]);

    /// <summary>
    /// Piper's form: each number of a sound becomes 100 samples times the length scale, of a hundredth of it, a tenth of the speaker's and
    /// noise as scaled.
    /// </summary>
    public static byte[] Voice(bool hasSpeakers)
    {
        List<byte[]> nodes =
        [
            Node("Cast", ["input"], ["ids"], Int("to", Float)), Node("Mul", ["ids", "hundredth"], ["levels"]),
            Node("Slice", ["scales", "i1", "i2"], ["length"]), Node("Mul", ["length", "hundred"], ["exact"]),
            Node("Round", ["exact"], ["round"]), Node("Cast", ["round"], ["samples"], Int("to", Int64)),
            Node("Concat", ["minus", "samples"], ["shape"], Int("axis", 0)), // [-1, samples]
            Node("Reshape", ["levels", "column"], ["tall"]), Node("Shape", ["tall"], ["rows2"]),
            Node("Slice", ["rows2", "i0", "i1"], ["rows"]), Node("Concat", ["rows", "samples"], ["wide"], Int("axis", 0)),
            Node("Expand", ["tall", "wide"], ["blocks"]),
            Node("RandomNormalLike", ["blocks"], ["chance"]), Node("Slice", ["scales", "i0", "i1"], ["noise"]),
            Node("Mul", ["chance", "noise"], ["scaled"]), Node("Add", ["blocks", "scaled"], ["noisy"]),
        ];
        if (hasSpeakers)
            nodes.AddRange([Node("Cast", ["sid"], ["who"], Int("to", Float)), Node("Mul", ["who", "tenth"], ["offset"]),
                Node("Add", ["noisy", "offset"], ["said"])]);
        nodes.Add(Node("Reshape", [hasSpeakers ? "said" : "noisy", "flat"], ["output"]));
        nodes.Add(Node("Identity", ["input_lengths"], ["lengths"]));
        List<byte[]> inputs = [Value("input", Int64, 1, -1), Value("input_lengths", Int64, 1), Value("scales", Float, 3)];
        if (hasSpeakers) inputs.Add(Value("sid", Int64, 1));
        return Model(nodes, [Floats("hundredth", .01f), Floats("hundred", 100), Floats("tenth", .1f), Longs("i0", 0), Longs("i1", 1),
            Longs("i2", 2), Longs("minus", -1), Longs("column", -1, 1), Longs("flat", 1, 1, 1, -1)],
            inputs, [Value("output", Float, 1, 1, 1, -1), Value("lengths", Int64, 1)]);
    }

    private static byte[] Model(IEnumerable<byte[]> nodes, IEnumerable<byte[]> constants, IEnumerable<byte[]> inputs,
        IEnumerable<byte[]> outputs)
    {
        byte[] graph = [.. nodes.SelectMany(node => Field(1, node)), .. Text(2, "tiny"),
            .. constants.SelectMany(constant => Field(5, constant)), .. inputs.SelectMany(input => Field(11, input)),
            .. outputs.SelectMany(output => Field(12, output))];
        return [.. Number(1, 8), .. Field(7, graph), .. Field(8, [.. Number(2, 13)])];
    }

    private static byte[] Node(string type, string[] inputs, string[] outputs, params byte[][] attributes) =>
        [.. inputs.SelectMany(input => Text(1, input)), .. outputs.SelectMany(output => Text(2, output)), .. Text(4, type),
            .. attributes.SelectMany(attribute => Field(5, attribute))];

    private static byte[] Int(string name, int value) => [.. Text(1, name), .. Number(3, (ulong)value), .. Number(20, 2)];

    private static byte[] Ints(string name, params int[] values) =>
        [.. Text(1, name), .. values.SelectMany(value => Number(8, (ulong)value)), .. Number(20, 7)];

    private static byte[] Floats(string name, params float[] values) =>
        Tensor(name, Float, values.Length, [.. values.SelectMany(BitConverter.GetBytes)]);

    private static byte[] Longs(string name, params long[] values) =>
        Tensor(name, Int64, values.Length, [.. values.SelectMany(BitConverter.GetBytes)]);

    private static byte[] Tensor(string name, int type, int count, byte[] raw) =>
        [.. Number(1, (ulong)count), .. Number(2, (ulong)type), .. Text(8, name), .. Field(9, raw)];

    private static byte[] Value(string name, int type, params int[] shape)
    {
        byte[] dims = [.. shape.SelectMany(size => Field(1, size < 0 ? Text(2, "n") : Number(1, (ulong)size)))];
        return [.. Text(1, name), .. Field(2, Field(1, [.. Number(1, (ulong)type), .. Field(2, dims)]))];
    }

    private static byte[] Text(int field, string text) => Field(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Field(int field, byte[] content) =>
        [.. Varint((ulong)field << 3 | 2), .. Varint((ulong)content.Length), .. content];

    private static byte[] Number(int field, ulong value) => [.. Varint((ulong)field << 3), .. Varint(value)];

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        return [.. bytes, (byte)value];
    }
}
