using System.Text;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class GgufTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string FilePath => _folder["model.gguf"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("stories260K", "stories260K-f32.gguf")]
    [InlineData("tiny-qwen3", "tiny-qwen3-f32.gguf")]
    public void Open_SameModelInBothContainers_HasTheSameTensors(string model, string file)
    {
        using GgufFile gguf = GgufFile.Open(TestFiles.Shared("models", model, file));
        using SafetensorsFile safetensors = SafetensorsFile.Open(TestFiles.Shared("models", model, "model.safetensors"));
        Assert.Equal(safetensors.Tensors.Keys.Order(StringComparer.Ordinal), gguf.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (TensorInfo tensor in safetensors.Tensors.Values)
        {
            TensorInfo other = gguf.Require(tensor.Name, tensor.Shape);
            Assert.Equal(safetensors.ReadFloats(tensor), gguf.ReadFloats(other));
            byte[] mine = new byte[tensor.RowBytes], theirs = new byte[other.RowBytes];
            safetensors.ReadRow(tensor, tensor.NumElements / tensor.NumColumns - 1, mine);
            gguf.ReadRow(other, tensor.NumElements / tensor.NumColumns - 1, theirs);
            Assert.Equal(mine, theirs);
        }
    }

    /// <summary>The Q8_0 file was made by llama-quantize.</summary>
    [Fact]
    public void ReadRow_LlamaCppsQ8_0_IsWhatWeMakeOfTheSameNumbers()
    {
        using GgufFile plain = GgufFile.Open(TestFiles.Shared("models", "stories260K", "stories260K-f32.gguf")),
            quantized = GgufFile.Open(TestFiles.Shared("models", "stories260K", "stories260K-q8_0.gguf"));
        int compared = 0;
        foreach (TensorInfo tensor in quantized.Tensors.Values.Where(tensor => tensor.Type == TensorType.Q8_0))
        {
            float[] values = plain.ReadFloats(plain.Tensors[tensor.Name]), back = quantized.ReadFloats(tensor),
                row = new float[tensor.NumColumns];
            byte[] ours = new byte[tensor.RowBytes], theirs = new byte[tensor.RowBytes];
            for (int i = 0; i < tensor.Shape[0]; i++)
            {
                Quantization.Quantize(TensorType.Q8_0, values.AsSpan(i * row.Length, row.Length), ours);
                quantized.ReadRow(tensor, i, theirs);
                Assert.Equal(theirs, ours);
                Quantization.Dequantize(TensorType.Q8_0, theirs, row);
                Assert.Equal(row, back[(i * row.Length)..((i + 1) * row.Length)]);
                compared++;
            }
        }
        Assert.True(compared > 1000);
    }

    [Fact]
    public void ReadFloats_AnyRangeOfABlockTensor_IsAPartOfTheWhole()
    {
        using GgufFile file = GgufFile.Open(TestFiles.Shared("models", "stories260K", "stories260K-q8_0.gguf"));
        foreach (string name in new[] { "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight" })
        {
            TensorInfo tensor = file.Tensors[name];
            float[] whole = file.ReadFloats(tensor);
            Gen.Select(Gen.Int[0, whole.Length], Gen.Int[0, 300]).Sample((start, length) =>
            {
                float[] part = new float[Math.Min(length, whole.Length - start)];
                file.ReadFloats(tensor, start, part);
                Assert.Equal(whole[start..(start + part.Length)], part);
            }, iter: 300);
            Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(tensor, whole.Length - 1, new float[2]));
            Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(tensor, -1, new float[1]));
        }
    }

    [Fact]
    public void Write_EveryKindOfValue_ReadsBack()
    {
        var metadata = new GgufMetadata("test");
        object[] values =
        [
            "text", "", "ünïcode 🎡", true, false, (byte)200, (sbyte)-3, (ushort)60_000, (short)-30_000, 4_000_000_000u, -5, 1.5f,
            ulong.MaxValue, long.MinValue, Math.PI,
            new[] { "a", "", "ccc" }, new[] { true, false }, new byte[] { 1, 255 }, new sbyte[] { -1, 1 }, new ushort[] { 65_535 },
            new short[] { -1 }, new[] { uint.MaxValue }, new[] { -7, 8 },
            new[] { 0.5f, float.NegativeInfinity }, new[] { ulong.MaxValue }, new[] { long.MinValue }, new[] { 1e300 },
            Array.Empty<float>(),
        ];
        foreach ((int i, object value) in values.Index()) metadata.Add($"key.{i}", value);
        GgufWriter.Write(FilePath, metadata, [("x", TensorType.I32, [3], stream => stream.Write(new byte[12])),
            ("y.weight", TensorType.F16, [2, 1], stream => stream.Write([0, 60, 0, 64]))]);
        using GgufFile file = GgufFile.Open(FilePath);
        Assert.Equal(values.Length, file.Metadata.Count);
        foreach ((string key, object value) in file.Metadata)
        {
            object wanted = values[int.Parse(key[4..], null)];
            Assert.Equal(wanted.GetType(), value.GetType());
            Assert.Equal(wanted, value);
        }
        Assert.Equal([1f, 2f], file.ReadFloats(file.Require("y.weight", 2, 1)));
        Assert.Contains("'x' is I32", Assert.Throws<FlywheelException>(() => file.ReadFloats(file.Tensors["x"])).Message);
    }

    [Fact]
    public void Write_WhatWasRead_GivesTheSameFile()
    {
        string original = TestFiles.Shared("models", "stories260K", "stories260K-q8_0.gguf");
        using (FileStream stream = File.OpenRead(original))
        {
            GgufHeader header = GgufHeader.Read(original, stream);
            GgufWriter.Write(FilePath, header.Metadata,
                [.. header.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.Dimensions.Reverse().ToArray(),
                    (Action<Stream>)(output =>
            {
                byte[] bytes = new byte[tensor.NumBytes];
                stream.Position = tensor.Offset;
                stream.ReadExactly(bytes);
                output.Write(bytes);
            })))]);
        }
        Assert.Equal(File.ReadAllBytes(original), File.ReadAllBytes(FilePath));
    }

    [Fact]
    public void Names_EveryTensorOfAModel_TranslateBothWays()
    {
        foreach (string type in new[] { "qwen3", "qwen2", "llama" })
            foreach ((string name, _) in (ModelFolderTests.TinyConfig with { ModelType = type, TieEmbeddings = false }).Tensors())
            {
                string gguf = GgufNames.ToGguf(name);
                Assert.DoesNotContain("model.", gguf);
                Assert.Equal(name, GgufNames.ToHf(gguf));
            }
        Assert.Equal("blk.1.ssm_in.weight", GgufNames.ToHf("blk.1.ssm_in.weight"));
    }

    // A header by hand: each case is wrong in one way.
    private static byte[] Header(Action<BinaryWriter> body, uint version = 3, long tensors = 0, long pairs = 0)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(GgufHeader.Magic);
        writer.Write(version);
        writer.Write(tensors);
        writer.Write(pairs);
        body(writer);
        writer.Write(new byte[64]);
        return stream.ToArray();
    }

    private static void Text(BinaryWriter writer, string text)
    {
        writer.Write((long)text.Length);
        writer.Write(Encoding.UTF8.GetBytes(text));
    }

    private static void Tensor(BinaryWriter writer, string name, long[] dimensions, uint type, long offset)
    {
        Text(writer, name);
        writer.Write(dimensions.Length);
        foreach (long size in dimensions) writer.Write(size);
        writer.Write(type);
        writer.Write(offset);
    }

    public static TheoryData<string, byte[]> Hostile => new()
    {
        { "too short", [1, 2, 3] },
        { "does not begin with 'GGUF'", new byte[64] },
        { "version 1 ", Header(_ => { }, version: 1) },
        { "big-endian", Header(_ => { }, version: 0x03000000) },
        { "-1 tensors".Replace("-1", ulong.MaxValue.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal),
            Header(_ => { }, tensors: -1) },
        { "metadata pairs do not fit", Header(_ => { }, pairs: long.MaxValue) },
        { "a metadata key has 9223372036854775807 bytes", Header(writer => writer.Write(long.MaxValue), pairs: 1) },
        { "a metadata key has 18446744073709551615 bytes", Header(writer => writer.Write(-1L), pairs: 1) },
        { "'k' is there twice",
            Header(writer => { for (int i = 0; i < 2; i++) { Text(writer, "k"); writer.Write(0); writer.Write((byte)1); } }, pairs: 2) },
        { "value type 13", Header(writer => { Text(writer, "k"); writer.Write(13); }, pairs: 1) },
        { "value type 77", Header(writer => { Text(writer, "k"); writer.Write(9); writer.Write(77); writer.Write(1L); }, pairs: 1) },
        { "array of arrays", Header(writer => { Text(writer, "k"); writer.Write(9); writer.Write(9); writer.Write(1L); }, pairs: 1) },
        { "array of 9223372036854775807 elements",
            Header(writer => { Text(writer, "k"); writer.Write(9); writer.Write(8); writer.Write(long.MaxValue); }, pairs: 1) },
        { "array of 1000000 elements",
            Header(writer => { Text(writer, "k"); writer.Write(9); writer.Write(4); writer.Write(1_000_000L); }, pairs: 1) },
        { "general.alignment is 3,", Header(writer => { Text(writer, "general.alignment"); writer.Write(4); writer.Write(3); }, pairs: 1) },
        { "general.alignment' is 'x'",
            Header(writer => { Text(writer, "general.alignment"); writer.Write(8); Text(writer, "x"); }, pairs: 1) },
        { "5 dimensions", Header(writer => Tensor(writer, "t", [1, 1, 1, 1, 1], 0, 0), tensors: 1) },
        { "type number 99", Header(writer => Tensor(writer, "t", [1], 99, 0), tensors: 1) },
        { "type IQ4_NL, which is not supported", Header(writer => Tensor(writer, "t", [32], 20, 0), tensors: 1) },
        { "impossible shape", Header(writer => Tensor(writer, "t", [long.MaxValue, 2], 0, 0), tensors: 1) },
        { "impossible shape", Header(writer => Tensor(writer, "t", [-1, -1, -1, -1], 0, 0), tensors: 1) },
        { "impossible shape", Header(writer => Tensor(writer, "t", [1L << 32, 1L << 32, 1L << 32, 1L << 32], 0, 0), tensors: 1) },
        { "no whole blocks of 256", Header(writer => Tensor(writer, "t", [255, 1], 12, 0), tensors: 1) },
        { "expected a multiple of 32", Header(writer => Tensor(writer, "t", [1], 0, 4), tensors: 1) },
        { "beyond any file", Header(writer => Tensor(writer, "t", [1], 0, -32), tensors: 1) },
        { "truncated", Header(writer => Tensor(writer, "t", [1], 0, long.MaxValue - 31), tensors: 1) },
        { "truncated", Header(writer => Tensor(writer, "t", [1000], 0, 0), tensors: 1) },
        { "inside another tensor", Header(writer => { Tensor(writer, "t", [4], 0, 0); Tensor(writer, "u", [4], 0, 0); }, tensors: 2) },
        { "'t' is there twice", Header(writer => { Tensor(writer, "t", [4], 0, 0); Tensor(writer, "t", [4], 0, 32); }, tensors: 2) },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void Open_HostileHeader_SaysWhatIsWrong(string expected, byte[] bytes)
    {
        File.WriteAllBytes(FilePath, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<FlywheelException>(() => GgufFile.Open(FilePath)).Message;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains(expected, message);
        Assert.Contains(FilePath, message);
    }

    [Fact]
    public void Open_Missing_NamesTheFile() =>
    Assert.Contains("nowhere.gguf", Assert.Throws<FlywheelException>(() => GgufFile.Open(_folder["nowhere.gguf"])).Message);

    /// <summary>The worst there is for the bound: texts of one letter, and tensors with nothing in them.</summary>
    [Fact]
    public void Read_ManySmallEntries_AllocatesNoMoreThanStated()
    {
        const int Count = 20_000;
        byte[] texts = Header(writer =>
        {
            Text(writer, "k");
            writer.Write(9);
            writer.Write(8);
            writer.Write((long)Count);
            for (int i = 0; i < Count; i++) Text(writer, "a");
        }, pairs: 1);
        byte[] tensors = Header(writer =>
        {
            for (int i = 0; i < Count; i++) Tensor(writer, $"{i:x}", [0], 0, 0);
        }, tensors: Count);
        byte[] pairs = Header(writer =>
        {
            for (int i = 0; i < Count; i++)
            {
                Text(writer, $"{i:x}");
                writer.Write(0);
                writer.Write((byte)1);
            }
        }, pairs: Count);
        foreach (byte[] bytes in new[] { texts, tensors, pairs })
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            GgufHeader.Read("test", new MemoryStream(bytes));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, GgufHeader.MaxAllocation(bytes.Length));
        }
    }

    [Fact]
    public void Open_AnyTruncation_IsAClearError()
    {
        var metadata = new GgufMetadata("test") { { "general.architecture", "qwen3" }, { "a", new[] { "x", "y" } } };
        GgufWriter.Write(FilePath, metadata, [("t", TensorType.F32, [8], stream => stream.Write(new byte[32]))]);
        byte[] whole = File.ReadAllBytes(FilePath);
        for (int length = 0; length < whole.Length; length++)
            Assert.Contains("test.gguf",
                Assert.Throws<FlywheelException>(() => GgufHeader.Read("test.gguf", new MemoryStream(whole, 0, length))).Message);
    }
}
