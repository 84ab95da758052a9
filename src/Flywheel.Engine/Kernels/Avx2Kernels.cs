using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>Integer products for AVX2; the rest is what the portable kernels compile to.</summary>
internal static unsafe class Avx2Kernels
{
    public static KernelTable Table { get; } = new()
    {
        Name = "avx2",
        IsSupported = Avx2.IsSupported && Fma.IsSupported,
        MultiplyFp32 = VectorKernels.Table.MultiplyFp32,
        MultiplyInt8 = &MultiplyInt8,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Attend = VectorKernels.Table.Attend,
        LogSumExp = VectorKernels.Table.LogSumExp,
        Exponentials = VectorKernels.Table.Exponentials,
    };

    private static void MultiplyInt8(sbyte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add)
    {
        long k = (long)blocks * KernelTable.Block;
        int row = 0;
        for (; row + 4 <= rows; row += 4) Rows4(panel, (ushort*)scales, blocks, x->Values + row * k, x->Blocks + (long)row * blocks, y + row * ldy, ldy, add);
        for (; row < rows; row++) Row1(panel, (ushort*)scales, blocks, x->Values + row * k, x->Blocks + (long)row * blocks, y + row * ldy, add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Row1(sbyte* w, ushort* scales, int blocks, sbyte* x, Int8Block* xBlocks, float* y, bool add)
    {
        V sum = V.Zero;
        Vector256<short> one = Vector256<short>.One;
        for (int block = 0; block < blocks; block++, w += 256, scales += 8, x += 32)
        {
            Vector256<int> a = Dot(Vector256.Load(w), x, one), b = Dot(Vector256.Load(w + 32), x + 4, one);
            a += Dot(Vector256.Load(w + 64), x + 8, one);
            b += Dot(Vector256.Load(w + 96), x + 12, one);
            a += Dot(Vector256.Load(w + 128), x + 16, one);
            b += Dot(Vector256.Load(w + 160), x + 20, one);
            a += Dot(Vector256.Load(w + 192), x + 24, one);
            b += Dot(Vector256.Load(w + 224), x + 28, one);
            sum = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a + b), VectorKernels.Widen(scales) * Vector256.Create(xBlocks[block].Scale), sum);
            Sse.Prefetch0(w + 1024);
            Sse.Prefetch0(w + 1088);
            Sse.Prefetch0(w + 1152);
            Sse.Prefetch0(w + 1216);
        }
        if (add) sum += Vector256.Load(y);
        sum.Store(y);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows4(sbyte* w, ushort* scales, int blocks, sbyte* x, Int8Block* xBlocks, float* y, long ldy, bool add)
    {
        long k = (long)blocks * KernelTable.Block;
        sbyte* x1 = x + k, x2 = x1 + k, x3 = x2 + k;
        V sum0 = V.Zero, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        Vector256<short> one = Vector256<short>.One;
        for (int block = 0; block < blocks; block++, scales += 8, x += 32, x1 += 32, x2 += 32, x3 += 32)
        {
            Vector256<int> a = Vector256<int>.Zero, b = a, c = a, d = a;
            for (int i = 0; i < 32; i += 4, w += 32)
            {
                Vector256<sbyte> weights = Vector256.Load(w);
                Vector256<byte> sizes = Avx2.Abs(weights);
                a += Dot(sizes, weights, x + i, one);
                b += Dot(sizes, weights, x1 + i, one);
                c += Dot(sizes, weights, x2 + i, one);
                d += Dot(sizes, weights, x3 + i, one);
            }
            V scale = VectorKernels.Widen(scales);
            sum0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a), scale * Vector256.Create(xBlocks[block].Scale), sum0);
            sum1 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(b), scale * Vector256.Create(xBlocks[blocks + block].Scale), sum1);
            sum2 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(c), scale * Vector256.Create(xBlocks[2 * blocks + block].Scale), sum2);
            sum3 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(d), scale * Vector256.Create(xBlocks[3 * blocks + block].Scale), sum3);
        }
        Store(y, sum0, add);
        Store(y + ldy, sum1, add);
        Store(y + 2 * ldy, sum2, add);
        Store(y + 3 * ldy, sum3, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Dot(Vector256<sbyte> weights, sbyte* x, Vector256<short> one) => Dot(Avx2.Abs(weights), weights, x, one);

    /// <summary>
    /// Eight dot products of four. The instruction multiplies unsigned by signed, so the weights' signs move to x; two
    /// products of at most 127 * 127 fit an int16, so nothing saturates.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Dot(Vector256<byte> sizes, Vector256<sbyte> weights, sbyte* x, Vector256<short> one) =>
        Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(sizes, Avx2.Sign(Avx2.BroadcastScalarToVector256((int*)x).AsSByte(), weights)), one);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, V sum, bool add)
    {
        if (add) sum += Vector256.Load(y);
        sum.Store(y);
    }
}
