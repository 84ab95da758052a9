using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Kernels in the portable vector types: AVX2 on x86-64, pairs of NEON registers on Arm, pairs of SSE registers
/// elsewhere.
/// </summary>
internal static unsafe class VectorKernels
{
    internal const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
    private const int Panel = KernelTable.Fp32Panel;

    public static KernelTable Table { get; } = new()
    {
        Name = "vector",
        IsSupported = Vector128.IsHardwareAccelerated,
        MultiplyFp32 = &MultiplyFp32,
        MultiplyInt8 = &MultiplyInt8,
        MultiplyInt4 = &MultiplyInt4,
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
    public static void MultiplyFp32(float* panel, int k, float* x, long ldx, int rows, float* y, long ldy, bool add)
    {
        int row = 0;
        for (; row + 4 <= rows; row += 4, x += 4 * ldx, y += 4 * ldy)
        {
            V a0 = V.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
            float* w = panel, x1 = x + ldx, x2 = x1 + ldx, x3 = x2 + ldx;
            for (int i = 0; i < k; i++, w += Panel)
            {
                V w0 = Vector256.Load(w), w1 = Vector256.Load(w + 8);
                V value = Vector256.Create(x[i]);
                a0 = Add(value, w0, a0);
                a1 = Add(value, w1, a1);
                value = Vector256.Create(x1[i]);
                b0 = Add(value, w0, b0);
                b1 = Add(value, w1, b1);
                value = Vector256.Create(x2[i]);
                c0 = Add(value, w0, c0);
                c1 = Add(value, w1, c1);
                value = Vector256.Create(x3[i]);
                d0 = Add(value, w0, d0);
                d1 = Add(value, w1, d1);
            }
            Store(y, a0, a1, add);
            Store(y + ldy, b0, b1, add);
            Store(y + 2 * ldy, c0, c1, add);
            Store(y + 3 * ldy, d0, d1, add);
        }
        for (; row < rows; row++, x += ldx, y += ldy)
        {
            V a0 = V.Zero, a1 = a0;
            float* w = panel;
            for (int i = 0; i < k; i++, w += Panel)
            {
                V value = Vector256.Create(x[i]);
                a0 = Add(value, Vector256.Load(w), a0);
                a1 = Add(value, Vector256.Load(w + 8), a1);
            }
            Store(y, a0, a1, add);
        }
    }

    [MethodImpl(Hot)]
    public static void MultiplyInt8(sbyte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add)
    {
        for (int row = 0; row < rows; row++, y += ldy)
        {
            sbyte* values = x->Values + (long)row * blocks * KernelTable.Block, w = panel;
            Int8Block* xBlocks = x->Blocks + (long)row * blocks;
            ushort* wScales = (ushort*)scales;
            V sum = V.Zero;
            for (int block = 0; block < blocks; block++, wScales += 8)
            {
                // Each int holds the sum of two neighbouring products of one output: outputs 0 to 3, then 4 to 7.
                Vector256<int> low = Vector256<int>.Zero, high = low;
                for (int i = 0; i < KernelTable.Block; i += 4, w += 32, values += 4)
                {
                    (Vector256<short> w0, Vector256<short> w1) = Vector256.Widen(Vector256.Load(w));
                    Vector256<short> v = Vector256.WidenLower(Vector256.Create(*(int*)values).AsSByte());
                    low += PairSums(w0 * v);
                    high += PairSums(w1 * v);
                }
                sum = Add(Vector256.ConvertToSingle(NeighbourSums(low, high)), Widen(wScales) * Vector256.Create(xBlocks[block].Scale), sum);
            }
            if (add) sum += Vector256.Load(y);
            sum.Store(y);
        }
    }

    /// <summary>Nibbles are at most 15, so the products of a whole block fit an int16.</summary>
    [MethodImpl(Hot)]
    public static void MultiplyInt4(byte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add)
    {
        Vector256<byte> lowNibbles = Vector256.Create((byte)15);
        for (int row = 0; row < rows; row++, y += ldy)
        {
            sbyte* values = x->Values + (long)row * blocks * KernelTable.Block;
            byte* w = panel;
            Int8Block* xBlocks = x->Blocks + (long)row * blocks;
            ushort* wScales = (ushort*)scales;
            V sum = V.Zero;
            for (int block = 0; block < blocks; block++, wScales += 8, values += 16)
            {
                Vector256<short> a = Vector256<short>.Zero, b = a;
                for (int i = 0; i < 16; i += 4, w += 32, values += 4)
                {
                    Vector256<byte> pairs = Vector256.Load(w);
                    (Vector256<ushort> first0, Vector256<ushort> first1) = Vector256.Widen(pairs & lowNibbles);
                    (Vector256<ushort> last0, Vector256<ushort> last1) = Vector256.Widen(Vector256.ShiftRightLogical(pairs, 4));
                    Vector256<short> v = Vector256.WidenLower(Vector256.Create(*(int*)values).AsSByte());
                    Vector256<short> u = Vector256.WidenLower(Vector256.Create(*(int*)(values + 16)).AsSByte());
                    a += first0.AsInt16() * v + last0.AsInt16() * u;
                    b += first1.AsInt16() * v + last1.AsInt16() * u;
                }
                Vector256<int> dots = NeighbourSums(PairSums(a), PairSums(b)) + Vector256.Create(xBlocks[block].BiasedSum >> 4);
                sum = Add(Vector256.ConvertToSingle(dots), Widen(wScales) * Vector256.Create(xBlocks[block].Scale), sum);
            }
            if (add) sum += Vector256.Load(y);
            sum.Store(y);
        }
    }

    [MethodImpl(Hot)]
    public static void Quantize(float* x, int n, sbyte* values, Int8Block* blocks)
    {
        for (int i = 0; i < n; i += KernelTable.Block, x += KernelTable.Block, values += KernelTable.Block, blocks++)
        {
            V a = Vector256.Load(x), b = Vector256.Load(x + 8), c = Vector256.Load(x + 16), d = Vector256.Load(x + 24);
            V most = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
            float largest = Largest(most);
            blocks->Scale = largest / 127f;
            V inverse = Vector256.Create(largest > 1e-36f ? 127f / largest : 0);
            Vector256<int> i0 = Integers(a * inverse), i1 = Integers(b * inverse), i2 = Integers(c * inverse), i3 = Integers(d * inverse);
            blocks->BiasedSum = -128 * Vector256.Sum(i0 + i1 + (i2 + i3));
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
        V n = Vector256.Round(x * Vector256.Create(1.44269504f));
        V r = Add(n, Vector256.Create(-0.693359375f), x);
        r = Add(n, Vector256.Create(2.12194440e-4f), r);
        V p = Add(Vector256.Create(1.9875691500e-4f), r, Vector256.Create(1.3981999507e-3f));
        p = Add(p, r, Vector256.Create(8.3334519073e-3f));
        p = Add(p, r, Vector256.Create(4.1665795894e-2f));
        p = Add(p, r, Vector256.Create(1.6666665459e-1f));
        p = Add(p, r, Vector256.Create(5.0000001201e-1f));
        p = Add(p, r * r, r + V.One);
        return p * Vector256.ShiftLeft(Vector256.ConvertToInt32(n) + Vector256.Create(127), 23).AsSingle() & inRange;
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
        Vector256<int> bits = Vector256.ShiftLeft(Vector256.Create(Vector128.WidenLower(v), Vector128.WidenUpper(v)), 13);
        return (bits & Vector256.Create(~0x70000000)).AsSingle() * Vector256.Create(5.192296858534828e33f); // 2^112
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> PairSums(Vector256<short> products)
    {
        Vector256<int> pairs = products.AsInt32();
        return Vector256.ShiftRightArithmetic(Vector256.ShiftLeft(pairs, 16), 16) + Vector256.ShiftRightArithmetic(pairs, 16);
    }

    /// <summary>Sums of neighbours of both, in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> NeighbourSums(Vector256<int> low, Vector256<int> high)
    {
        return Vector256.Create(Halves(low), Halves(high));

        static Vector128<int> Halves(Vector256<int> v)
        {
            Vector128<int> a = v.GetLower(), b = v.GetUpper();
            a += Vector128.Shuffle(a, Vector128.Create(1, 0, 3, 2)); // each sum twice
            b += Vector128.Shuffle(b, Vector128.Create(1, 0, 3, 2));
            return Vector128.Create(Vector128.Shuffle(a, Vector128.Create(0, 2, 0, 2)).AsInt64().ToScalar(), Vector128.Shuffle(b, Vector128.Create(0, 2, 0, 2)).AsInt64().ToScalar()).AsInt32();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, V low, V high, bool add)
    {
        if (add)
        {
            low += Vector256.Load(y);
            high += Vector256.Load(y + 8);
        }
        low.Store(y);
        high.Store(y + 8);
    }
}
