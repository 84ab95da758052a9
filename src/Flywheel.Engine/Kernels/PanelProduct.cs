using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Flywheel.Model;
using F = System.Runtime.Intrinsics.Vector256<float>;
using I = System.Runtime.Intrinsics.Vector256<int>;

namespace Flywheel.Engine.Kernels;

/// <summary>The instructions that multiply and add small integers, which differ from machine to machine.</summary>
internal unsafe interface IDotInstruction
{
    /// <summary>sums += four products of every output's numbers with x[0..4]. The sums are pending until <see cref="Sums"/>.</summary>
    /// <param name="sums">Pending sums; at most four groups, eight of Q4, may be added.</param>
    /// <param name="group">[8 outputs, 4] numbers.</param>
    /// <param name="x">Four inputs.</param>
    static abstract I Add<TFormat>(I sums, Vector256<byte> group, sbyte* x) where TFormat : struct, IPanelFormat;

    /// <summary>Eight sums, one an output.</summary>
    static abstract I Sums<TFormat>(I pending) where TFormat : struct, IPanelFormat;
}

/// <summary>
/// Products of panels of 8 outputs, for every block type and every instruction that multiplies bytes. The order of the
/// additions is that of <see cref="ScalarKernels"/>.
/// </summary>
internal static unsafe class PanelProduct<TDot> where TDot : struct, IDotInstruction
{
    public static void Multiply(ProductJob* job)
    {
        switch (job->Type)
        {
            case TensorType.Q8_0: Multiply<Q8Format>(job); break;
            case TensorType.Q4_0: Multiply<Q4Format>(job); break;
            case TensorType.Q5_0: Multiply<Q5Format>(job); break;
            case TensorType.Q4_K: Multiply<Q4KFormat>(job); break;
            case TensorType.Q5_K: Multiply<Q5KFormat>(job); break;
            case TensorType.Q6_K: Multiply<Q6KFormat>(job); break;
            default: PlainProduct.Multiply(job); break;
        }
    }

    private static void Multiply<TFormat>(ProductJob* job) where TFormat : struct, IPanelFormat
    {
        int row = 0;
        for (; row + 4 <= job->NumRows; row += 4) Rows4<TFormat>(job->From(row));
        if (row + 2 <= job->NumRows)
        {
            Rows2<TFormat>(job->From(row));
            row += 2;
        }
        if (row < job->NumRows) Row1<TFormat>(job->From(row));
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Row1<TFormat>(ProductJob job) where TFormat : struct, IPanelFormat
    {
        F sum0 = F.Zero;
        byte* w = job.Weights;
        sbyte* x0 = job.X;
        Int8Block* b0 = job.XBlocks;
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long block = 0; block < job.NumBlocks; block++, w += BlockBytes<TFormat>())
        {
            I dot0 = I.Zero;
            Vector256<byte> group = TFormat.Group(w, 0);
            dot0 = TDot.Add<TFormat>(dot0, group, x0);
            group = TFormat.Group(w, 1);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 4);
            group = TFormat.Group(w, 2);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 8);
            group = TFormat.Group(w, 3);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 12);
            I early0 = I.Zero;
            F scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K)
            {
                sum0 = Add(TDot.Sums<TFormat>(dot0), b0->BiasedFirst >> 2, scale, b0, sum0);
                dot0 = I.Zero;
                scale = scales.Last();
            }
            if (TFormat.Largest == 31)
            {
                early0 = TDot.Sums<TFormat>(dot0);
                dot0 = I.Zero;
            }
            group = TFormat.Group(w, 4);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 16);
            group = TFormat.Group(w, 5);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 20);
            group = TFormat.Group(w, 6);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 24);
            group = TFormat.Group(w, 7);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 28);
            sum0 = Add(TDot.Sums<TFormat>(dot0) + early0, Bias<TFormat>(b0), scale, b0, sum0);
            if (PanelLayout.HasMinimum(TFormat.Type))
            {
                F minimum = scales.Minimum();
                sum0 = VectorKernels.Add(minimum, Vector256.Create(b0->NegativeSum), sum0);
            }
            scales.Next();
            if (Sse.IsSupported) Prefetch<TFormat>(w + 1024);
            x0 += PanelLayout.Block;
            b0++;
        }
        Store(job.Y, sum0, job.Add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows2<TFormat>(ProductJob job) where TFormat : struct, IPanelFormat
    {
        F sum0 = F.Zero, sum1 = sum0;
        byte* w = job.Weights;
        sbyte* x0 = job.X, x1 = x0 + job.XStride;
        Int8Block* b0 = job.XBlocks, b1 = (Int8Block*)((byte*)b0 + job.XBlockStride);
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long block = 0; block < job.NumBlocks; block++, w += BlockBytes<TFormat>())
        {
            I dot0 = I.Zero, dot1 = dot0;
            Vector256<byte> group = TFormat.Group(w, 0);
            dot0 = TDot.Add<TFormat>(dot0, group, x0);
            dot1 = TDot.Add<TFormat>(dot1, group, x1);
            group = TFormat.Group(w, 1);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 4);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 4);
            group = TFormat.Group(w, 2);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 8);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 8);
            group = TFormat.Group(w, 3);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 12);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 12);
            I early0 = I.Zero, early1 = early0;
            F scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K)
            {
                sum0 = Add(TDot.Sums<TFormat>(dot0), b0->BiasedFirst >> 2, scale, b0, sum0);
                sum1 = Add(TDot.Sums<TFormat>(dot1), b1->BiasedFirst >> 2, scale, b1, sum1);
                dot0 = dot1 = I.Zero;
                scale = scales.Last();
            }
            if (TFormat.Largest == 31)
            {
                early0 = TDot.Sums<TFormat>(dot0);
                early1 = TDot.Sums<TFormat>(dot1);
                dot0 = dot1 = I.Zero;
            }
            group = TFormat.Group(w, 4);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 16);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 16);
            group = TFormat.Group(w, 5);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 20);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 20);
            group = TFormat.Group(w, 6);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 24);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 24);
            group = TFormat.Group(w, 7);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 28);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 28);
            sum0 = Add(TDot.Sums<TFormat>(dot0) + early0, Bias<TFormat>(b0), scale, b0, sum0);
            sum1 = Add(TDot.Sums<TFormat>(dot1) + early1, Bias<TFormat>(b1), scale, b1, sum1);
            if (PanelLayout.HasMinimum(TFormat.Type))
            {
                F minimum = scales.Minimum();
                sum0 = VectorKernels.Add(minimum, Vector256.Create(b0->NegativeSum), sum0);
                sum1 = VectorKernels.Add(minimum, Vector256.Create(b1->NegativeSum), sum1);
            }
            scales.Next();
            x0 += PanelLayout.Block;
            b0++;
            x1 += PanelLayout.Block;
            b1++;
        }
        Store(job.Y, sum0, job.Add);
        Store((float*)((byte*)job.Y + job.YStride), sum1, job.Add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows4<TFormat>(ProductJob job) where TFormat : struct, IPanelFormat
    {
        F sum0 = F.Zero, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        byte* w = job.Weights;
        sbyte* x0 = job.X, x1 = x0 + job.XStride, x2 = x1 + job.XStride, x3 = x2 + job.XStride;
        Int8Block* b0 = job.XBlocks, b1 = (Int8Block*)((byte*)b0 + job.XBlockStride), b2 = (Int8Block*)((byte*)b1 + job.XBlockStride), b3 = (Int8Block*)((byte*)b2 + job.XBlockStride);
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long block = 0; block < job.NumBlocks; block++, w += BlockBytes<TFormat>())
        {
            I dot0 = I.Zero, dot1 = dot0, dot2 = dot0, dot3 = dot0;
            Vector256<byte> group = TFormat.Group(w, 0);
            dot0 = TDot.Add<TFormat>(dot0, group, x0);
            dot1 = TDot.Add<TFormat>(dot1, group, x1);
            dot2 = TDot.Add<TFormat>(dot2, group, x2);
            dot3 = TDot.Add<TFormat>(dot3, group, x3);
            group = TFormat.Group(w, 1);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 4);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 4);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 4);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 4);
            group = TFormat.Group(w, 2);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 8);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 8);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 8);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 8);
            group = TFormat.Group(w, 3);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 12);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 12);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 12);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 12);
            I early0 = I.Zero, early1 = early0, early2 = early0, early3 = early0;
            F scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K)
            {
                sum0 = Add(TDot.Sums<TFormat>(dot0), b0->BiasedFirst >> 2, scale, b0, sum0);
                sum1 = Add(TDot.Sums<TFormat>(dot1), b1->BiasedFirst >> 2, scale, b1, sum1);
                sum2 = Add(TDot.Sums<TFormat>(dot2), b2->BiasedFirst >> 2, scale, b2, sum2);
                sum3 = Add(TDot.Sums<TFormat>(dot3), b3->BiasedFirst >> 2, scale, b3, sum3);
                dot0 = dot1 = dot2 = dot3 = I.Zero;
                scale = scales.Last();
            }
            if (TFormat.Largest == 31)
            {
                early0 = TDot.Sums<TFormat>(dot0);
                early1 = TDot.Sums<TFormat>(dot1);
                early2 = TDot.Sums<TFormat>(dot2);
                early3 = TDot.Sums<TFormat>(dot3);
                dot0 = dot1 = dot2 = dot3 = I.Zero;
            }
            group = TFormat.Group(w, 4);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 16);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 16);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 16);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 16);
            group = TFormat.Group(w, 5);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 20);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 20);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 20);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 20);
            group = TFormat.Group(w, 6);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 24);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 24);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 24);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 24);
            group = TFormat.Group(w, 7);
            dot0 = TDot.Add<TFormat>(dot0, group, x0 + 28);
            dot1 = TDot.Add<TFormat>(dot1, group, x1 + 28);
            dot2 = TDot.Add<TFormat>(dot2, group, x2 + 28);
            dot3 = TDot.Add<TFormat>(dot3, group, x3 + 28);
            sum0 = Add(TDot.Sums<TFormat>(dot0) + early0, Bias<TFormat>(b0), scale, b0, sum0);
            sum1 = Add(TDot.Sums<TFormat>(dot1) + early1, Bias<TFormat>(b1), scale, b1, sum1);
            sum2 = Add(TDot.Sums<TFormat>(dot2) + early2, Bias<TFormat>(b2), scale, b2, sum2);
            sum3 = Add(TDot.Sums<TFormat>(dot3) + early3, Bias<TFormat>(b3), scale, b3, sum3);
            if (PanelLayout.HasMinimum(TFormat.Type))
            {
                F minimum = scales.Minimum();
                sum0 = VectorKernels.Add(minimum, Vector256.Create(b0->NegativeSum), sum0);
                sum1 = VectorKernels.Add(minimum, Vector256.Create(b1->NegativeSum), sum1);
                sum2 = VectorKernels.Add(minimum, Vector256.Create(b2->NegativeSum), sum2);
                sum3 = VectorKernels.Add(minimum, Vector256.Create(b3->NegativeSum), sum3);
            }
            scales.Next();
            x0 += PanelLayout.Block;
            b0++;
            x1 += PanelLayout.Block;
            b1++;
            x2 += PanelLayout.Block;
            b2++;
            x3 += PanelLayout.Block;
            b3++;
        }
        Store(job.Y, sum0, job.Add);
        Store((float*)((byte*)job.Y + job.YStride), sum1, job.Add);
        Store((float*)((byte*)job.Y + 2 * job.YStride), sum2, job.Add);
        Store((float*)((byte*)job.Y + 3 * job.YStride), sum3, job.Add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int BlockBytes<TFormat>() where TFormat : struct, IPanelFormat => PanelLayout.BlockBytes(TFormat.Type) * 8;

    /// <summary>What the dot product has too much because numbers are stored raised; of Q6_K in the second half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Bias<TFormat>(Int8Block* x) where TFormat : struct, IPanelFormat => TFormat.Type switch
    {
        TensorType.Q4_0 => x->BiasedSum >> 4,
        TensorType.Q5_0 => x->BiasedSum >> 3,
        TensorType.Q6_K => x->BiasedSum - x->BiasedFirst >> 2,
        _ => 0,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F Add(I dot, int bias, F scale, Int8Block* x, F sum) =>
        VectorKernels.Add(Vector256.ConvertToSingle(dot + Vector256.Create(bias)), scale * Vector256.Create(x->Scale), sum);

    /// <summary>Into the second cache, as <see cref="VnniProduct.FetchLevel"/> says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<TFormat>(byte* ahead) where TFormat : struct, IPanelFormat
    {
        Sse.Prefetch1(ahead);
        Sse.Prefetch1(ahead + 64);
        if (BlockBytes<TFormat>() > 128) Sse.Prefetch1(ahead + 128);
        if (BlockBytes<TFormat>() <= 192) return;
        Sse.Prefetch1(ahead + 192);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, F sum, long add)
    {
        if (add != 0) sum += Vector256.Load(y);
        sum.Store(y);
    }
}

/// <summary>The scales of a panel of 8 outputs, block after block.</summary>
internal unsafe ref struct PanelScales<TFormat>(byte* scales) where TFormat : struct, IPanelFormat
{
    private byte* _small = scales, _next = scales; // the block's own, and what follows the super-block
    private F _d, _minimum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public F First()
    {
        if (!PanelLayout.HasSuperBlocks(TFormat.Type)) return VectorKernels.Widen((ushort*)_small);
        if (_small == _next) // a super-block begins
        {
            _d = VectorKernels.Widen((ushort*)_small);
            if (PanelLayout.HasMinimum(TFormat.Type)) _minimum = VectorKernels.Widen((ushort*)_small + 8);
            _small += PanelLayout.SmallOffset(TFormat.Type, 8);
            _next += PanelLayout.ScaleBytes(TFormat.Type, PanelLayout.SuperBlocks) * 8;
        }
        return _d * Small(0);
    }

    /// <summary>Of the second half of a block, where it has its own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F Last() => _d * Small(8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F Minimum() => _minimum * Small(8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next() => _small += 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly F Small(int at)
    {
        byte* bytes = _small + at;
        if (Avx2.IsSupported) return Vector256.ConvertToSingle(TFormat.Type == TensorType.Q6_K ? Avx2.ConvertToVector256Int32((sbyte*)bytes) : Avx2.ConvertToVector256Int32(bytes));
        if (TFormat.Type == TensorType.Q6_K)
        {
            Vector128<short> words = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)bytes).AsSByte());
            return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words)));
        }
        Vector128<ushort> unsigned = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)bytes).AsByte());
        return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(unsigned), Vector128.WidenUpper(unsigned)).AsInt32());
    }
}
