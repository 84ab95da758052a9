using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Flywheel.Model;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>How plain numbers become fp32, eight at a time.</summary>
internal unsafe interface IPlainNumbers
{
    static abstract int Bytes { get; }

    static abstract V Load(byte* numbers);
}

/// <summary>Products with panels [K, 16] of plain numbers: one chain of fused multiply-adds an output, in the order of k.</summary>
internal static unsafe class PlainProduct
{
    private const int Panel = KernelTable.Panel;

    public static void Multiply(ProductJob* job)
    {
        switch (job->Type)
        {
            case TensorType.F32: Multiply<Singles>(job); break;
            case TensorType.F16: Multiply<Halves>(job); break;
            default: Multiply<BrainFloats>(job); break;
        }
    }

    private static void Multiply<T>(ProductJob* job) where T : struct, IPlainNumbers
    {
        int row = 0;
        for (; row + 4 <= job->NumRows; row += 4) Rows4<T>(job->From(row));
        for (; row < job->NumRows; row++) Row1<T>(job->From(row));
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows4<T>(ProductJob job) where T : struct, IPlainNumbers
    {
        V a0 = V.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        byte* w = job.Weights;
        float* x = job.Floats, x1 = At(x, job.FloatStride), x2 = At(x1, job.FloatStride), x3 = At(x2, job.FloatStride);
        long k = job.NumBlocks * PanelLayout.Block;
        for (long i = 0; i < k; i++, w += Panel * T.Bytes)
        {
            V w0 = T.Load(w), w1 = T.Load(w + 8 * T.Bytes);
            V value = Vector256.Create(x[i]);
            a0 = VectorKernels.Add(value, w0, a0);
            a1 = VectorKernels.Add(value, w1, a1);
            value = Vector256.Create(x1[i]);
            b0 = VectorKernels.Add(value, w0, b0);
            b1 = VectorKernels.Add(value, w1, b1);
            value = Vector256.Create(x2[i]);
            c0 = VectorKernels.Add(value, w0, c0);
            c1 = VectorKernels.Add(value, w1, c1);
            value = Vector256.Create(x3[i]);
            d0 = VectorKernels.Add(value, w0, d0);
            d1 = VectorKernels.Add(value, w1, d1);
        }
        float* y = job.Y;
        Store(y, a0, a1, job.Add);
        Store(y = At(y, job.YStride), b0, b1, job.Add);
        Store(y = At(y, job.YStride), c0, c1, job.Add);
        Store(At(y, job.YStride), d0, d1, job.Add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Row1<T>(ProductJob job) where T : struct, IPlainNumbers
    {
        V a0 = V.Zero, a1 = a0;
        byte* w = job.Weights;
        long k = job.NumBlocks * PanelLayout.Block;
        for (long i = 0; i < k; i++, w += Panel * T.Bytes)
        {
            V value = Vector256.Create(job.Floats[i]);
            a0 = VectorKernels.Add(value, T.Load(w), a0);
            a1 = VectorKernels.Add(value, T.Load(w + 8 * T.Bytes), a1);
        }
        Store(job.Y, a0, a1, job.Add);
    }

    private static float* At(float* start, long bytes) => (float*)((byte*)start + bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, V low, V high, long add)
    {
        if (add != 0)
        {
            low += Vector256.Load(y);
            high += Vector256.Load(y + 8);
        }
        low.Store(y);
        high.Store(y + 8);
    }

    private readonly struct Singles : IPlainNumbers
    {
        public static int Bytes => sizeof(float);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* numbers) => Vector256.Load((float*)numbers);
    }

    private readonly struct Halves : IPlainNumbers
    {
        public static int Bytes => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* numbers) => VectorKernels.Widen((ushort*)numbers);
    }

    private readonly struct BrainFloats : IPlainNumbers
    {
        public static int Bytes => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* numbers)
        {
            Vector128<ushort> v = Vector128.Load((ushort*)numbers);
            return Vector256.ShiftLeft(Vector256.Create(Vector128.WidenLower(v), Vector128.WidenUpper(v)), 16).AsSingle();
        }
    }
}
