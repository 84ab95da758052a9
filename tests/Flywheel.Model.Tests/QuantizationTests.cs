using System.Runtime.InteropServices;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class QuantizationTests
{
    public static TheoryData<TensorType> BlockTypes => [.. Enum.GetValues<TensorType>().Where(type => type.IsQuantized())];

    private static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) / 20)];
    }

    private static float[] RoundTrip(TensorType type, float[] values)
    {
        byte[] blocks = new byte[type.NumBytes(values.Length)];
        Quantization.Quantize(type, values, blocks);
        float[] back = new float[values.Length];
        Quantization.Dequantize(type, blocks, back);
        return back;
    }

    /// <summary>Blocks as ggml writes them, worked out by hand from the formulas at the head of each source file.</summary>
    [Fact]
    public void Dequantize_BlocksByHand_FollowTheFormulas()
    {
        byte[] q8 = new byte[34];
        Quantization.WriteHalf(q8, 0.5f);
        (q8[2], q8[33]) = (unchecked((byte)-128), 127);
        float[] values = new float[32];
        Quantization.Dequantize(TensorType.Q8_0, q8, values);
        Assert.Equal((-64, 0, 63.5f), (values[0], values[1], values[31]));

        byte[] q4 = new byte[18];
        Quantization.WriteHalf(q4, -2);
        (q4[2], q4[17]) = (0xF0, 0x3A);
        Quantization.Dequantize(TensorType.Q4_0, q4, values);
        Assert.Equal((16, -14, -4, 10, 16), (values[0], values[16], values[15], values[31], values[1]));

        byte[] q6 = new byte[210];
        Quantization.WriteHalf(q6.AsSpan(208), 0.25f);
        q6.AsSpan(192, 16).Fill(2);
        q6[0] = 0x5F; // number 0: low bits 15; number 64: low bits 5
        q6[128] = 0b00_11_00_10; // number 0: high bits 2; number 64: high bits 3
        float[] many = new float[256];
        Quantization.Dequantize(TensorType.Q6_K, q6, many);
        Assert.Equal((0.5f * (47 - 32), 0.5f * (53 - 32), 0.5f * -32), (many[0], many[64], many[1]));
    }

    [Theory]
    [MemberData(nameof(BlockTypes))]
    public void Quantize_RandomRow_StaysWithinHalfAStep(TensorType type)
    {
        float[] values = Random(4096, 1), back = RoundTrip(type, values);
        double error = Math.Sqrt(values.Zip(back, (wanted, got) => Math.Pow(wanted - got, 2)).Average()),
            size = Math.Sqrt(values.Average(value => value * value));
        // Relative error of the format on such numbers; llama.cpp's tests/test-quantize-fns.cpp has bounds of this kind.
        double bound = type switch { TensorType.Q8_0 => 0.006, TensorType.Q6_K => 0.025,
            TensorType.Q5_0 or TensorType.Q5_1 or TensorType.Q5_K => 0.05, _ => 0.10 };
        Assert.InRange(error / size, bound / 20, bound);
    }

    [Theory]
    [MemberData(nameof(BlockTypes))]
    public void Quantize_AnyFiniteRow_GivesFiniteNumbersOfTheRowsSize(TensorType type) =>
        Gen.Select(Gen.Float[-1f, 1f].Array[256], Gen.Int[-12, 3]).Sample((values, exponent) =>
        {
            float[] scaled = [.. values.Select(value => value * MathF.Pow(10, exponent))];
            float limit = scaled.Max(MathF.Abs) * 1.25f + 1e-6f;
            Assert.All(RoundTrip(type, scaled), value => Assert.InRange(value, -limit, limit));
        }, iter: 200);

    [Theory]
    [MemberData(nameof(BlockTypes))]
    public void Quantize_NothingButZeros_StaysZero(TensorType type) =>
    Assert.All(RoundTrip(type, new float[256]), value => Assert.Equal(0, value));

    [Theory]
    [MemberData(nameof(BlockTypes))]
    public void Quantize_WhatWasDequantised_GivesTheSameNumbers(TensorType type)
    {
        // their search may find a better fit than the one that is there
        if (type is TensorType.Q4_K or TensorType.Q5_K or TensorType.Q6_K or TensorType.Q5_1) return;
        float[] once = RoundTrip(type, Random(1024, 2));
        Assert.Equal(once, RoundTrip(type, once));
    }

    [Fact]
    public void Quantize_WrongSizes_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => Quantization.Quantize(TensorType.Q4_K, new float[128], new byte[144]));
        Assert.Throws<ArgumentException>(() => Quantization.Quantize(TensorType.Q8_0, new float[32], new byte[33]));
        Assert.Throws<ArgumentException>(() => Quantization.Dequantize(TensorType.I32, new byte[4], new float[1]));
    }

    /// <summary>The oracle: the same blocks, byte for byte, as llama-quantize makes of the same numbers.</summary>
    [Theory]
    [MemberData(nameof(BlockTypes))]
    public async Task Quantize_SameNumbersAsLlamaQuantize_GivesTheSameBytes(TensorType type)
    {
        using var folder = new TempFolder();
        float[] values = Random(512 * 512, 3);
        var random = new Random(4);
        for (int i = 0; i < 2000; i++) values[random.Next(values.Length)] *= 30; // outliers, as real weights have
        values.AsSpan(0, 1024).Clear();
        values.AsSpan(1024, 512).Fill(0.25f);
        values.AsSpan(1536, 512).Fill(-0.25f);
        for (int i = 2048; i < 4096; i++) values[i] *= MathF.Pow(10, -i % 7);

        using GgufFile source = GgufFile.Open(TestFiles.Shared("models", "stories260K", "stories260K-f32.gguf"));
        var metadata = new GgufMetadata("test");
        foreach ((string key,
            object value) in source.Metadata) metadata.Add(key,
                key == "llama.block_count" ? 1u : key == "llama.rope.dimension_count"
                    ? 64u : key is "llama.embedding_length" or "llama.feed_forward_length" ? 512u : value);
        (string, TensorType, long[], Action<Stream>) Tensor(string name, params long[] shape) =>
            (name, TensorType.F32, shape,
                stream =>
                    stream.Write(MemoryMarshal.AsBytes(values.AsSpan(0, (int)shape.Aggregate(1L, (product, size) => product * size)))));
        string[] matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
        GgufWriter.Write(folder["f32.gguf"], metadata,
            [Tensor("token_embd.weight", 512, 512), Tensor("output_norm.weight", 512), Tensor("blk.0.attn_norm.weight", 512),
                Tensor("blk.0.ffn_norm.weight", 512), .. matrices.Select(name => Tensor($"blk.0.{name}.weight", 512, 512))]);
        await LlamaCpp.RunAsync("llama-quantize", "--pure", folder["f32.gguf"], folder["out.gguf"],
            type is TensorType.Q4_K or TensorType.Q5_K ? type + "_S" : type.ToString());

        using GgufFile theirs = GgufFile.Open(folder["out.gguf"]);
        TensorInfo tensor = theirs.Require("model.layers.0.mlp.down_proj.weight", 512, 512);
        Assert.Equal(type, tensor.Type);
        byte[] row = new byte[tensor.RowBytes], ours = new byte[tensor.RowBytes];
        for (int i = 0; i < 512; i++)
        {
            theirs.ReadRow(tensor, i, row);
            Quantization.Quantize(type, values.AsSpan(i * 512, 512), ours);
            Assert.True(row.AsSpan().SequenceEqual(ours), $"row {i} differs first at byte {row.AsSpan().CommonPrefixLength(ours)}");
        }
    }
}
