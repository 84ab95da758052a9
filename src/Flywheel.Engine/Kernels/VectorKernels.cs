using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Kernels in the portable vector types: AVX2 on x86-64, pairs of NEON registers on Arm, pairs of SSE registers
/// elsewhere.
/// </summary>
internal static unsafe class VectorKernels
{
    internal const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;

    public static KernelTable Table { get; } = new()
    {
        Name = "vector",
        IsSupported = Vector128.IsHardwareAccelerated,
        Multiply = &PanelProduct<WideningDot>.Multiply,
        Quantize = &Quantize,
        RmsNorm = &RmsNorm,
        SwiGlu = &SwiGlu,
        Rotate = &Rotate,
        AttendSpan = &TiledAttention<VectorAttention>.AttendSpan,
        FoldSpans = &VectorAttention.Fold,
        LogSumExp = &LogSumExp,
        Exponentials = &Exponentials,
    };

    [MethodImpl(Hot)]
    public static void Quantize(float* x, int n, sbyte* values, Int8Block* blocks)
    {
        for (int i = 0; i < n; i += KernelTable.Block, x += KernelTable.Block, values += KernelTable.Block, blocks++)
        {
            V a = Vector256.Load(x), b = Vector256.Load(x + 8), c = Vector256.Load(x + 16), d = Vector256.Load(x + 24);
            V most = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
            float largest = Largest(most);
            float scale = largest / 127f;
            V inverse = Vector256.Create(largest > 1e-36f ? 127f / largest : 0);
            Vector256<int> i0 = Integers(a * inverse), i1 = Integers(b * inverse), i2 = Integers(c * inverse), i3 = Integers(d * inverse);
            int first = Vector256.Sum(i0 + i1), sum = first + Vector256.Sum(i2 + i3);
            *blocks = new Int8Block { Scale = scale, BiasedSum = -128 * sum, BiasedFirst = -128 * first, NegativeSum = -scale * sum };
            Vector256.Narrow(Vector256.Narrow(i0, i1), Vector256.Narrow(i2, i3)).Store(values);
        }

        static Vector256<int> Integers(V v) => Vector256.ConvertToInt32(Vector256.Round(v));
    }

    [MethodImpl(Hot)]
    public static void RmsNorm(float* x, float* weight, float* y, int n, int count, float epsilon)
    {
        V sum = V.Zero;
        for (int i = 0; i < n; i += 8)
        {
            V v = Vector256.Load(x + i);
            sum = Add(v, v, sum);
        }
        V inverse = Vector256.Create(1 / MathF.Sqrt(Sum(sum) / count + epsilon));
        for (int i = 0; i < n; i += 8) (Vector256.Load(x + i) * inverse * Vector256.Load(weight + i)).Store(y + i);
    }

    [MethodImpl(Hot)]
    public static void SwiGlu(float* gate, float* up, float* y, int n)
    {
        for (int i = 0; i < n; i += 8)
        {
            V g = Vector256.Load(gate + i);
            (g / (V.One + Exp(-g)) * Vector256.Load(up + i)).Store(y + i);
        }
    }

    [MethodImpl(Hot)]
    public static void Rotate(float* x, float* cos, float* sin, int n)
    {
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            V a = Vector256.Load(x + i), b = Vector256.Load(x + i + n), c = Vector256.Load(cos + i), s = Vector256.Load(sin + i);
            (a * c - b * s).Store(x + i);
            (b * c + a * s).Store(x + i + n);
        }
        for (; i < n; i++) (x[i], x[i + n]) = (x[i] * cos[i] - x[i + n] * sin[i], x[i + n] * cos[i] + x[i] * sin[i]);
    }

    [MethodImpl(Hot)]
    public static void LogSumExp(float* x, int n, float* result)
    {
        V most = Vector256.Create(float.NegativeInfinity), sum = V.Zero;
        int whole = n & ~7;
        for (int i = 0; i < whole; i += 8) most = Vector256.Max(most, Vector256.Load(x + i));
        V last = Vector256.Create(float.NegativeInfinity);
        for (int i = whole; i < n; i++) last = last.WithElement(i - whole, x[i]);
        float largest = Largest(Vector256.Max(most, last));
        most = Vector256.Create(largest);
        for (int i = 0; i < whole; i += 8) sum += Exp(Vector256.Load(x + i) - most);
        if (whole < n) sum += Exp(last - most); // lanes beyond the end add exactly nothing
        result[0] = largest;
        result[1] = Sum(sum);
    }

    [MethodImpl(Hot)]
    public static void Exponentials(float* x, float* y, int n, float largest, float factor)
    {
        V most = Vector256.Create(largest), times = Vector256.Create(factor);
        int i = 0;
        for (; i + 8 <= n; i += 8) Exp((Vector256.Load(x + i) - most) * times).Store(y + i);
        for (; i < n; i++) y[i] = ScalarKernels.Exp((x[i] - largest) * factor);
    }

    /// <summary>See <see cref="ScalarKernels.Exp"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static V Exp(V x)
    {
        V inRange = Vector256.GreaterThanOrEqual(x, Vector256.Create(-87f));
        x = Vector256.Min(Vector256.Max(x, Vector256.Create(-87f)), Vector256.Create(88f));
        V t = Add(x, Vector256.Create(1.44269504f), Vector256.Create(ScalarKernels.Rounder)),
            n = t - Vector256.Create(ScalarKernels.Rounder);
        V r = Add(n, Vector256.Create(-0.693359375f), x);
        r = Add(n, Vector256.Create(2.12194440e-4f), r);
        V p = Add(Vector256.Create(1.9875691500e-4f), r, Vector256.Create(1.3981999507e-3f));
        p = Add(p, r, Vector256.Create(8.3334519073e-3f));
        p = Add(p, r, Vector256.Create(4.1665795894e-2f));
        p = Add(p, r, Vector256.Create(1.6666665459e-1f));
        p = Add(p, r, Vector256.Create(5.0000001201e-1f));
        p = Add(p, r * r, r + V.One);
        return (p.AsInt32() + Vector256.ShiftLeft(t.AsInt32(), 23)).AsSingle() & inRange;
    }

    /// <summary>a * b + c, fused where the machine can.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static V Add(V a, V b, V c) => Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Sum(V v)
    {
        Vector128<float> four = v.GetLower() + v.GetUpper();
        Vector128<float> two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1));
        return two[0] + two[1];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Largest(V v)
    {
        Vector128<float> four = Vector128.Max(v.GetLower(), v.GetUpper());
        four = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(four[0], four[1]);
    }

    /// <summary>Eight finite fp16 values, without the instruction that .NET does not offer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static V Widen(ushort* halves)
    {
        Vector128<short> v = Vector128.Load((short*)halves);
        Vector256<int> bits =
            Vector256.ShiftLeft(Avx2.IsSupported
                ? Avx2.ConvertToVector256Int32(v) : Vector256.Create(Vector128.WidenLower(v), Vector128.WidenUpper(v)), 13);
        return (bits & Vector256.Create(~0x70000000)).AsSingle() * Vector256.Create(5.192296858534828e33f); // 2^112
    }
}
