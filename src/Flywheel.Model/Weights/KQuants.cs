// ggml's K-quants: super-blocks of 256 numbers. q is a small integer; d and m are fp16 for the whole super-block, scale
// and min are 6-bit (Q6_K: int8) integers for each group.
//   Q4_K  d, m, 8 packed pairs (scale, min) in 12 bytes, 4-bit q[256]               groups of 32   x = d scale q - m min
//   Q5_K  d, m, the same 12 bytes, fifth bits (32 bytes), 4-bit q[256]              groups of 32   x = d scale q - m min
//   Q6_K  low 4 bits of q[256], high 2 bits (64 bytes), int8 scales[16], d          groups of 16   x = d scale (q - 32)
using System.Runtime.Intrinsics;

namespace Flywheel.Model;

/// <summary>How K-quant blocks lie in memory; <see cref="GroupSearch"/> finds the scales.</summary>
internal static class KQuants
{
    private const int BlockSize = 256, NumScales = 12, ScalesAt = 4, Group = 32, NumGroups = 8, MaxScale = 63;

    public static void QuantizeQ4_K(ReadOnlySpan<float> x, Span<byte> block)
    {
        Span<byte> q = stackalloc byte[BlockSize];
        QuantizeWithMins(x, block, q, maxQ: 15, firstStep: -1, numSteps: 20);
        Span<byte> nibbles = block[(ScalesAt + NumScales)..];
        for (int i = 0; i < nibbles.Length; i++) nibbles[i] = (byte)(q[Low(i)] | q[Low(i) + Group] << 4);
    }

    public static void QuantizeQ5_K(ReadOnlySpan<float> x, Span<byte> block)
    {
        Span<byte> q = stackalloc byte[BlockSize];
        QuantizeWithMins(x, block, q, maxQ: 31, firstStep: -0.5f, numSteps: 15);
        Span<byte> fifthBits = block.Slice(ScalesAt + NumScales, Group), nibbles = block[(ScalesAt + NumScales + Group)..];
        fifthBits.Clear();
        for (int i = 0; i < BlockSize; i++) fifthBits[i % Group] |= (byte)(q[i] >> 4 << i / Group);
        for (int i = 0; i < nibbles.Length; i++) nibbles[i] = (byte)(q[Low(i)] & 15 | (q[Low(i) + Group] & 15) << 4);
    }

    public static void DequantizeQ4_K(ReadOnlySpan<byte> block, Span<float> y) =>
        DequantizeWithMins(block, [], block[(ScalesAt + NumScales)..], y);

    public static void DequantizeQ5_K(ReadOnlySpan<byte> block, Span<float> y) =>
        DequantizeWithMins(block, block.Slice(ScalesAt + NumScales, Group), block[(ScalesAt + NumScales + Group)..], y);

    /// <summary>Which number is in the low half of a byte; its high half is one group further.</summary>
    private static int Low(int i) => i / Group * 2 * Group + i % Group;

    private static void DequantizeWithMins(ReadOnlySpan<byte> block, ReadOnlySpan<byte> fifthBits, ReadOnlySpan<byte> nibbles,
        Span<float> y)
    {
        float d = Quantization.ReadHalf(block), m = Quantization.ReadHalf(block[2..]);
        for (int group = 0; group < NumGroups; group++)
        {
            (int scale, int min) = ReadScale(block.Slice(ScalesAt, NumScales), group);
            float step = d * scale, zero = m * min;
            ReadOnlySpan<byte> pairs = nibbles.Slice(group / 2 * Group, Group);
            Span<float> part = y.Slice(group * Group, Group);
            for (int i = 0; i < Group; i++)
            {
                int q = group % 2 == 0 ? pairs[i] & 15 : pairs[i] >> 4;
                if (fifthBits.Length > 0) q |= (fifthBits[i] >> group & 1) << 4;
                part[i] = step * q - zero;
            }
        }
    }

    private static void QuantizeWithMins(ReadOnlySpan<float> x, Span<byte> block, Span<byte> q, int maxQ, float firstStep, int numSteps)
    {
        Span<Vector256<float>> lanes = stackalloc Vector256<float>[Group]; // lane = group
        GroupSearch.Transpose(x, lanes);
        (Vector256<float> scales, Vector256<float> mins, Vector256<float> inverseStep, Vector256<float> origin) =
            GroupSearch.FindScaleAndMin(lanes, maxQ, firstStep, numSteps);

        float largestScale = 0, largestMin = 0;
        for (int group = 0; group < NumGroups; group++)
        {
            if (scales[group] > largestScale) largestScale = scales[group];
            if (mins[group] > largestMin) largestMin = mins[group];
        }
        Quantization.WriteHalf(block, largestScale / MaxScale);
        Quantization.WriteHalf(block[2..], largestMin / MaxScale);
        float inverseScale = largestScale > 0 ? MaxScale / largestScale : 0, inverseMin = largestMin > 0 ? MaxScale / largestMin : 0;
        float d = Quantization.ReadHalf(block), m = Quantization.ReadHalf(block[2..]);
        Span<byte> packed = block.Slice(ScalesAt, NumScales);
        packed.Clear();
        Span<float> steps = stackalloc float[NumGroups], zeros = stackalloc float[NumGroups];
        for (int group = 0; group < NumGroups; group++)
        {
            int scale = Six(inverseScale * scales[group]), min = Six(inverseMin * mins[group]);
            WriteScale(packed, group, scale, min);
            (steps[group], zeros[group]) = (d * scale, m * min);
        }

        // The numbers are rounded once more, to the scales as they are stored.
        Vector256<float> step = Vector256.Create<float>(steps), zero = Vector256.Create<float>(zeros),
            none = Vector256.Equals(step, Vector256<float>.Zero);
        Vector256<float> top = Vector256.Create((float)maxQ);
        for (int i = 0; i < Group; i++)
        {
            Vector256<float> rounded = Vector256.ConditionalSelect(none, (lanes[i] - origin) * inverseStep, (lanes[i] + zero) / step);
            GroupSearch.Store(Vector256.Min(Vector256.Max(Vector256.Round(rounded), Vector256<float>.Zero), top), q, i, Group);
        }

        static int Six(float value) => Math.Min(MaxScale, (int)(byte)(int)MathF.Round(value));
    }

    /// <summary>Six bits each: the first four groups lie plainly, the upper two bits of the others on top of them.</summary>
    private static void WriteScale(Span<byte> packed, int group, int scale, int min)
    {
        if (group < 4)
        {
            packed[group] = (byte)scale;
            packed[group + 4] = (byte)min;
            return;
        }
        packed[group + 4] = (byte)(scale & 15 | (min & 15) << 4);
        packed[group - 4] |= (byte)(scale >> 4 << 6);
        packed[group] |= (byte)(min >> 4 << 6);
    }

    private static (int Scale, int Min) ReadScale(ReadOnlySpan<byte> packed, int group) => group < 4
        ? (packed[group] & 63, packed[group + 4] & 63)
        : (packed[group + 4] & 15 | packed[group - 4] >> 6 << 4, packed[group + 4] >> 4 | packed[group] >> 6 << 4);

    // Q6_K
    private const int SmallGroup = 16, NumSmallGroups = 16, HighAt = 128, SmallScalesAt = 192, SmallDAt = 208, Bias = 32;

    public static void QuantizeQ6_K(ReadOnlySpan<float> x, Span<byte> block)
    {
        const int Half = BlockSize / 2;
        Span<Vector256<float>> lanes = stackalloc Vector256<float>[2 * SmallGroup]; // two times eight groups
        Span<float> scales = stackalloc float[NumSmallGroups], fallbacks = stackalloc float[NumSmallGroups],
            steps = stackalloc float[NumSmallGroups];
        for (int half = 0; half < 2; half++)
        {
            Span<Vector256<float>> part = lanes.Slice(half * SmallGroup, SmallGroup);
            GroupSearch.Transpose(x.Slice(half * Half, Half), part);
            (Vector256<float> scale, Vector256<float> fallback) = GroupSearch.FindScale(part, Bias);
            scale.CopyTo(scales[(half * 8)..]);
            fallback.CopyTo(fallbacks[(half * 8)..]);
        }
        float furthest = 0;
        foreach (float scale in scales)
            if (MathF.Abs(scale) > MathF.Abs(furthest)) furthest = scale;
        block.Clear();
        if (MathF.Abs(furthest) < GroupSearch.Nothing) return;

        float inverse = -128 / furthest;
        Quantization.WriteHalf(block[SmallDAt..], 1 / inverse);
        float d = Quantization.ReadHalf(block[SmallDAt..]);
        for (int group = 0; group < NumSmallGroups; group++)
        {
            int scale = Math.Min(127, (int)MathF.Round(inverse * scales[group]));
            block[SmallScalesAt + group] = (byte)(sbyte)scale;
            steps[group] = d * scale;
        }

        Span<byte> q = stackalloc byte[BlockSize];
        for (int half = 0; half < 2; half++)
        {
            Vector256<float> step = Vector256.Create<float>(steps.Slice(half * 8, 8)),
                fallback = Vector256.Create<float>(fallbacks.Slice(half * 8, 8));
            Vector256<float> none = Vector256.Equals(step, Vector256<float>.Zero);
            for (int i = 0; i < SmallGroup; i++)
            {
                Vector256<float> value = lanes[half * SmallGroup + i];
                Vector256<float> rounded = Vector256.Round(Vector256.ConditionalSelect(none, value * fallback, value / step));
                GroupSearch.Store(Vector256.Min(Vector256.Max(rounded, Vector256.Create(-(float)Bias)), Vector256.Create(Bias - 1f))
                    + Vector256.Create((float)Bias), q[(half * Half)..], i, SmallGroup);
            }
        }
        for (int half = 0; half < 2; half++)
            for (int i = 0; i < 32; i++)
            {
                int a = q[half * Half + i], b = q[half * Half + i + 32], c = q[half * Half + i + 64], e = q[half * Half + i + 96];
                block[half * 64 + i] = (byte)(a & 15 | (c & 15) << 4);
                block[half * 64 + i + 32] = (byte)(b & 15 | (e & 15) << 4);
                block[HighAt + half * 32 + i] = (byte)(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6);
            }
    }

    public static void DequantizeQ6_K(ReadOnlySpan<byte> block, Span<float> y)
    {
        float d = Quantization.ReadHalf(block[SmallDAt..]);
        for (int i = 0; i < BlockSize; i++)
        {
            int half = i / 128, quarter = i % 128 / 32, column = i % 32;
            int low = block[half * 64 + quarter % 2 * 32 + column] >> quarter / 2 * 4 & 15;
            int high = block[HighAt + half * 32 + column] >> quarter * 2 & 3;
            y[i] = d * (sbyte)block[SmallScalesAt + i / SmallGroup] * ((low | high << 4) - Bias);
        }
    }
}
