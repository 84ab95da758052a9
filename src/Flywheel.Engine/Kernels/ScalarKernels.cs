using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Every kernel as a plain loop: the definition that the others are tested against. Sums that vector kernels keep in
/// eight lanes are kept in eight variables here, in the same order.
/// </summary>
internal static unsafe class ScalarKernels
{
    private const int Lanes = 8, Panel = KernelTable.Panel;

    /// <summary>1.5 * 2^23: beside it a sum has no fraction, and the integer is in its last bits.</summary>
    internal const float Rounder = 12_582_912;

    public static KernelTable Table { get; } = new()
    {
        Name = "scalar",
        IsSupported = true,
        Multiply = &Multiply,
        Quantize = &Quantize,
        RmsNorm = &RmsNorm,
        SwiGlu = &SwiGlu,
        Rotate = &Rotate,
        AttendSpan = &ScalarAttention.AttendSpan,
        FoldSpans = &ScalarAttention.Fold,
        LogSumExp = &LogSumExp,
        Exponentials = &Exponentials,
    };

    public static void Multiply(ProductJob* job)
    {
        for (int row = 0; row < job->NumRows; row++)
        {
            ProductJob one = job->From(row);
            for (int output = 0; output < Panel; output++)
            {
                float sum = PanelLayout.IsPlain(job->Type) ? PlainSum(one, output) : BlockSum(one, output);
                one.Y[output] = job->Add != 0 ? sum + one.Y[output] : sum;
            }
        }
    }

    /// <summary>One chain of fused multiply-adds an output, in the order of k.</summary>
    private static float PlainSum(in ProductJob job, int output)
    {
        float sum = 0;
        for (long k = 0; k < job.NumBlocks * PanelLayout.Block; k++)
            sum = MathF.FusedMultiplyAdd(job.Floats[k], PanelLayout.PlainValue(job.Type, job.Weights, k * Panel + output), sum);
        return sum;
    }

    /// <summary>
    /// Exact integers within a block of 32 (of 16 for Q6_K, whose scales go by 16), then a fused multiply-add, and another
    /// one for the minimum where the type has one.
    /// </summary>
    private static float BlockSum(in ProductJob job, int output)
    {
        const int half = PanelLayout.Block / 2;
        TensorType type = job.Type;
        Span<byte> numbers = stackalloc byte[PanelLayout.Block];
        float sum = 0;
        for (int block = 0; block < job.NumBlocks; block++)
        {
            PanelLayout.Unpack(type, job.Weights + (long)block * PanelLayout.BlockBytes(type) * Panel, Panel, output, numbers);
            sbyte* x = job.X + block * PanelLayout.Block;
            Int8Block* meta = job.XBlocks + block;
            int first = Dot(numbers[..half], x), last = Dot(numbers[half..], x + half);
            if (type != TensorType.Q6_K) (first, last) = (0, first + last);
            else sum = MathF.FusedMultiplyAdd(first, PanelLayout.Scale(type, job.Scales, Panel, output, block, 0) * meta->Scale, sum);
            sum = MathF.FusedMultiplyAdd(last, PanelLayout.Scale(type, job.Scales, Panel, output, block, 1) * meta->Scale, sum);
            if (PanelLayout.HasMinimum(type))
                sum = MathF.FusedMultiplyAdd(PanelLayout.Minimum(type, job.Scales, Panel, output, block), meta->NegativeSum, sum);
        }
        return sum;

        int Dot(ReadOnlySpan<byte> numbers, sbyte* x)
        {
            int dot = 0;
            for (int i = 0; i < numbers.Length; i++) dot += PanelLayout.Signed(type, numbers[i], int8Bias: 0) * x[i];
            return dot;
        }
    }

    public static void Quantize(float* x, int n, sbyte* values, Int8Block* blocks)
    {
        for (int start = 0; start < n; start += KernelTable.Block)
        {
            float largest = 0;
            for (int i = 0; i < KernelTable.Block; i++) largest = MathF.Max(largest, MathF.Abs(x[start + i]));
            int sum = 0, first = 0;
            // The reciprocal of a value below 2^-121 would overflow; such a block is silence.
            float inverse = largest > 1e-36f ? 127f / largest : 0;
            for (int i = 0; i < KernelTable.Block; i++)
            {
                sum += values[start + i] = (sbyte)MathF.Round(x[start + i] * inverse);
                if (i < KernelTable.Block / 2) first = sum;
            }
            float scale = largest / 127f;
            blocks[start / KernelTable.Block] = new Int8Block { Scale = scale, BiasedSum = -128 * sum, BiasedFirst = -128 * first,
                NegativeSum = -scale * sum };
        }
    }

    public static void RmsNorm(float* x, float* weight, float* y, int n, int count, float epsilon)
    {
        float* sums = stackalloc float[Lanes];
        for (int lane = 0; lane < Lanes; lane++) sums[lane] = 0;
        for (int i = 0; i < n; i++) sums[i % Lanes] = MathF.FusedMultiplyAdd(x[i], x[i], sums[i % Lanes]);
        float inverse = 1 / MathF.Sqrt(SumLanes(sums) / count + epsilon);
        for (int i = 0; i < n; i++) y[i] = x[i] * inverse * weight[i];
    }

    public static void SwiGlu(float* gate, float* up, float* y, int n)
    {
        for (int i = 0; i < n; i++) y[i] = gate[i] / (1 + Exp(-gate[i])) * up[i];
    }

    public static void Rotate(float* x, float* cos, float* sin, int n)
    {
        for (int i = 0; i < n; i++)
        {
            float a = x[i], b = x[i + n];
            x[i] = a * cos[i] - b * sin[i];
            x[i + n] = b * cos[i] + a * sin[i];
        }
    }

    public static void LogSumExp(float* x, int n, float* result)
    {
        float* sums = stackalloc float[Lanes];
        for (int lane = 0; lane < Lanes; lane++) sums[lane] = 0;
        float largest = float.NegativeInfinity;
        for (int i = 0; i < n; i++) largest = MathF.Max(largest, x[i]);
        for (int i = 0; i < n; i++) sums[i % Lanes] += Exp(x[i] - largest);
        result[0] = largest;
        result[1] = SumLanes(sums);
    }

    public static void Exponentials(float* x, float* y, int n, float largest, float factor)
    {
        for (int i = 0; i < n; i++) y[i] = Exp((x[i] - largest) * factor);
    }

    /// <summary>
    /// exp after Cephes' expf (S. Moshier): within 2 ulp from -87 to 88, 0 below, and the same bits in every table.
    /// </summary>
    public static float Exp(float x)
    {
        if (x < -87f) return 0;
        x = MathF.Min(x, 88f);
        float t = MathF.FusedMultiplyAdd(x, 1.44269504f, Rounder), n = t - Rounder;
        float r = MathF.FusedMultiplyAdd(n, -0.693359375f, x);
        r = MathF.FusedMultiplyAdd(n, 2.12194440e-4f, r);
        float p = MathF.FusedMultiplyAdd(1.9875691500e-4f, r, 1.3981999507e-3f);
        p = MathF.FusedMultiplyAdd(p, r, 8.3334519073e-3f);
        p = MathF.FusedMultiplyAdd(p, r, 4.1665795894e-2f);
        p = MathF.FusedMultiplyAdd(p, r, 1.6666665459e-1f);
        p = MathF.FusedMultiplyAdd(p, r, 5.0000001201e-1f);
        p = MathF.FusedMultiplyAdd(p, r * r, r + 1);
        return BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(p) + (BitConverter.SingleToInt32Bits(t) << 23)); // p * 2^n
    }

    /// <summary>Adds eight lanes pairwise, as halving a vector does.</summary>
    internal static float SumLanes(float* s) => s[0] + s[4] + (s[2] + s[6]) + (s[1] + s[5] + (s[3] + s[7]));

    private static void Store(float* y, float value, bool add) => *y = add ? *y + value : value;
}
