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
        MultiplyInt4 = &MultiplyInt4,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Rotate = VectorKernels.Table.Rotate,
        AttendSpan = VectorKernels.Table.AttendSpan,
        FoldSpans = VectorKernels.Table.FoldSpans,
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

    private static void MultiplyInt4(byte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add)
    {
        long k = (long)blocks * KernelTable.Block;
        int row = 0;
        for (; row + 4 <= rows; row += 4) NibbleRows4(panel, (ushort*)scales, blocks, x->Values + row * k, x->Blocks + (long)row * blocks, y + row * ldy, ldy, add);
        for (; row < rows; row++) NibbleRow1(panel, (ushort*)scales, blocks, x->Values + row * k, x->Blocks + (long)row * blocks, y + row * ldy, add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void NibbleRow1(byte* w, ushort* scales, int blocks, sbyte* x, Int8Block* xBlocks, float* y, bool add)
    {
        V sum = V.Zero;
        Vector256<short> one = Vector256<short>.One;
        Vector256<byte> low = Vector256.Create((byte)15);
        for (int block = 0; block < blocks; block++, scales += 8, x += 16)
        {
            Vector256<short> a = Vector256<short>.Zero, b = a;
            for (int i = 0; i < 16; i += 4, w += 32, x += 4)
            {
                Vector256<byte> pairs = Vector256.Load(w);
                a += Avx2.MultiplyAddAdjacent(pairs & low, Broadcast(x));
                b += Avx2.MultiplyAddAdjacent(Avx2.ShiftRightLogical(pairs.AsUInt16(), 4).AsByte() & low, Broadcast(x + 16));
            }
            Vector256<int> dots = Avx2.MultiplyAddAdjacent(a + b, one) + Vector256.Create(xBlocks[block].BiasedSum >> 4);
            sum = Fma.MultiplyAdd(Avx.ConvertToVector256Single(dots), VectorKernels.Widen(scales) * Vector256.Create(xBlocks[block].Scale), sum);
            Sse.Prefetch0(w + 1024);
            Sse.Prefetch0(w + 1088);
        }
        if (add) sum += Vector256.Load(y);
        sum.Store(y);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void NibbleRows4(byte* w, ushort* scales, int blocks, sbyte* x, Int8Block* xBlocks, float* y, long ldy, bool add)
    {
        long k = (long)blocks * KernelTable.Block;
        sbyte* x1 = x + k, x2 = x1 + k, x3 = x2 + k;
        V sum0 = V.Zero, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        Vector256<short> one = Vector256<short>.One;
        Vector256<byte> low = Vector256.Create((byte)15);
        for (int block = 0; block < blocks; block++, scales += 8)
        {
            Vector256<short> a = Vector256<short>.Zero, b = a, c = a, d = a;
            for (int i = 0; i < 16; i += 4, w += 32)
            {
                Vector256<byte> pairs = Vector256.Load(w), first = pairs & low;
                long at = (long)block * KernelTable.Block + i;
                a += Avx2.MultiplyAddAdjacent(first, Broadcast(x + at));
                b += Avx2.MultiplyAddAdjacent(first, Broadcast(x1 + at));
                c += Avx2.MultiplyAddAdjacent(first, Broadcast(x2 + at));
                d += Avx2.MultiplyAddAdjacent(first, Broadcast(x3 + at));
                Vector256<byte> last = Avx2.ShiftRightLogical(pairs.AsUInt16(), 4).AsByte() & low;
                a += Avx2.MultiplyAddAdjacent(last, Broadcast(x + at + 16));
                b += Avx2.MultiplyAddAdjacent(last, Broadcast(x1 + at + 16));
                c += Avx2.MultiplyAddAdjacent(last, Broadcast(x2 + at + 16));
                d += Avx2.MultiplyAddAdjacent(last, Broadcast(x3 + at + 16));
            }
            V scale = VectorKernels.Widen(scales);
            sum0 = Sum(a, xBlocks + block, sum0);
            sum1 = Sum(b, xBlocks + blocks + block, sum1);
            sum2 = Sum(c, xBlocks + 2 * blocks + block, sum2);
            sum3 = Sum(d, xBlocks + 3 * blocks + block, sum3);

            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            V Sum(Vector256<short> products, Int8Block* xBlock, V sum) =>
                Fma.MultiplyAdd(Avx.ConvertToVector256Single(Avx2.MultiplyAddAdjacent(products, one) + Vector256.Create(xBlock->BiasedSum >> 4)), scale * Vector256.Create(xBlock->Scale), sum);
        }
        Store(y, sum0, add);
        Store(y + ldy, sum1, add);
        Store(y + 2 * ldy, sum2, add);
        Store(y + 3 * ldy, sum3, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Broadcast(sbyte* x) => Avx2.BroadcastScalarToVector256((int*)x).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Dot(Vector256<sbyte> weights, sbyte* x, Vector256<short> one) => Dot(Avx2.Abs(weights), weights, x, one);

    /// <summary>
    /// Eight dot products of four. The instruction multiplies unsigned by signed, so the weights' signs move to x; two
    /// products of at most 127 * 127 fit an int16, so nothing saturates.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Dot(Vector256<byte> sizes, Vector256<sbyte> weights, sbyte* x, Vector256<short> one) =>
        Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(sizes, Avx2.Sign(Broadcast(x), weights)), one);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, V sum, bool add)
    {
        if (add) sum += Vector256.Load(y);
        sum.Store(y);
    }
}
