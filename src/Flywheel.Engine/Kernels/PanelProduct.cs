using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Flywheel.Model;
using F = System.Runtime.Intrinsics.Vector256<float>;
using I = System.Runtime.Intrinsics.Vector256<int>;

namespace Flywheel.Engine.Kernels;

/// <summary>The instructions that multiply and add small integers, which differ from machine to machine.</summary>
internal unsafe interface IDotInstruction
{
    /// <summary>sums += four products of every output's numbers with x. The sums are pending until <see cref="Sums"/>.</summary>
    /// <param name="sums">Pending sums; at most four groups, eight of Q4, may be added.</param>
    /// <param name="group">[8 outputs, 4] numbers.</param>
    /// <param name="x">Four inputs, again and again.</param>
    static abstract I Add<TFormat>(I sums, Vector256<byte> group, Vector256<sbyte> x) where TFormat : struct, IPanelFormat;

    /// <summary>Eight sums, one an output.</summary>
    static abstract I Sums<TFormat>(I pending) where TFormat : struct, IPanelFormat;

    /// <summary>
    /// Whether products of many rows with signed numbers go by <see cref="AddSizes"/>: to flip bits takes an instruction that
    /// any unit executes, to give a number's sign to x takes one of the two that multiply.
    /// </summary>
    static virtual bool TakesSizes => false;

    /// <summary>sums += four products of every output's sizes with x, whose bits are flipped where a number is negative.</summary>
    static virtual I AddSizes(I sums, Vector256<byte> sizes, Vector256<sbyte> x) => throw new NotSupportedException();
}

/// <summary>
/// Products of panels of 16 outputs, for every block type and every instruction that multiplies bytes. The order of the
/// additions is that of <see cref="ScalarKernels"/>.
/// </summary>
/// <remarks>
/// Four rows at a time: eight vectors of integer sums, four of weights, one of x and one of products leave two of AVX2's
/// sixteen registers. The panel is unpacked once for all of them, so that their loop only multiplies. The sums in floats lie
/// in memory, where a block's end finds them in the first cache. Groups are loops and not written out, because the compiler
/// stops inlining where a method has too much of it, and one call in a block moves every sum to memory and back.
/// </remarks>
internal static unsafe class PanelProduct<TDot> where TDot : struct, IDotInstruction
{
    private const int Outputs = KernelTable.Panel, Groups = 8;

    /// <summary>Blocks that are unpacked together: what they take fits the second cache beside the rows.</summary>
    private const int MostBlocks = 128;

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
        // Fewer are not worth the unpacking, which is more where it tells sizes from signs.
        int row = job->NumRows >= (HasSigns<TFormat>() ? 8 : 4) ? job->NumRows & ~3 : 0;
        if (row > 0) ManyRows<TFormat>(*job, row);
        for (int rows; row < job->NumRows; row += rows)
        {
            rows = Math.Min(2, job->NumRows - row);
            ProductJob part = job->From(row);
            if (rows == 2) Rows2<TFormat>(part);
            else Row1<TFormat>(part);
        }
    }

    /// <summary>A multiple of four rows.</summary>
    [SkipLocalsInit]
    private static void ManyRows<TFormat>(ProductJob job, int rows) where TFormat : struct, IPanelFormat
    {
        int most = (int)Math.Min(job.NumBlocks, MostBlocks);
        byte* memory = stackalloc byte[rows * sizeof(Floats) + most * UnpackedBytes<TFormat>() + sizeof(Floats) - 1];
        var sums = (Floats*)((nint)(memory + sizeof(Floats) - 1) & -sizeof(Floats)); // within cache lines
        byte* unpacked = (byte*)(sums + rows);
        new Span<Floats>(sums, rows).Clear();
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long left = job.NumBlocks; left > 0; left -= MostBlocks)
        {
            job.NumBlocks = Math.Min(left, MostBlocks);
            Unpack(job.Weights, ref scales, unpacked, job.NumBlocks);
            for (int row = 0; row < rows; row += 4) Rows4<TFormat>(job.From(row), unpacked, sums + row);
            job.Weights += MostBlocks * BlockBytes<TFormat>();
            job.X += MostBlocks * PanelLayout.Block;
            job.XBlocks += MostBlocks;
        }
        for (int row = 0; row < rows; row++) Store((float*)((byte*)job.Y + row * job.YStride), sums[row], job.Add);
    }

    /// <summary>Of an unpacked block: groups of numbers of both halves of the panel, or of sizes and then signs of both;
    /// <see cref="PanelUnpacked"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int UnpackedBytes<TFormat>() where TFormat : struct, IPanelFormat =>
    Groups * GroupBytes<TFormat>() + sizeof(PanelUnpacked);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int GroupBytes<TFormat>() where TFormat : struct, IPanelFormat => (HasSigns<TFormat>() ? 8 : 4) * Outputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HasSigns<TFormat>() where TFormat : struct, IPanelFormat => TDot.TakesSizes && TFormat.Type == TensorType.Q8_0;

    [MethodImpl(VectorKernels.Hot)]
    private static void Unpack<TFormat>(byte* w, ref PanelScales<TFormat> scales, byte* to, long count) where TFormat : struct, IPanelFormat
    {
        for (; count > 0; count--)
        {
            Ints missing = default;
            for (int group = 0; group < Groups / 2; group++, to += GroupBytes<TFormat>())
                Put(TFormat.Group(w, group, 0, isUpper: false), TFormat.Group(w, group, 1, isUpper: false), to, ref missing);
            for (int group = Groups / 2; group < Groups; group++, to += GroupBytes<TFormat>())
                Put(TFormat.Group(w, group, 0, isUpper: true), TFormat.Group(w, group, 1, isUpper: true), to, ref missing);
            var end = (PanelUnpacked*)to;
            if (HasSigns<TFormat>()) end->Missing = new Ints { Low = -missing.Low, High = -missing.High };
            end->Scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K) end->Second = scales.Last();
            if (PanelLayout.HasMinimum(TFormat.Type)) end->Second = scales.Minimum();
            scales.Next();
            to += sizeof(PanelUnpacked);
            w += BlockBytes<TFormat>();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Put(Vector256<byte> low, Vector256<byte> high, byte* to, ref Ints missing)
        {
            if (HasSigns<TFormat>())
            {
                Vector256<sbyte> lowSigns = Vector256.LessThan(low.AsSByte(), default),
                    highSigns = Vector256.LessThan(high.AsSByte(), default);
                low = Vector256.Abs(low.AsSByte()).AsByte();
                high = Vector256.Abs(high.AsSByte()).AsByte();
                lowSigns.Store((sbyte*)to + 64);
                highSigns.Store((sbyte*)to + 96);
                missing.Low = TDot.AddSizes(missing.Low, low, lowSigns);
                missing.High = TDot.AddSizes(missing.High, high, highSigns);
            }
            low.Store(to);
            high.Store(to + 32);
        }
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Row1<TFormat>(ProductJob job) where TFormat : struct, IPanelFormat
    {
        Floats sum0 = default;
        byte* w = job.Weights;
        sbyte* x0 = job.X;
        Int8Block* meta0 = job.XBlocks;
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long block = job.NumBlocks; block > 0; block--)
        {
            Ints a = default, earlyA = default;
            for (int group = 0; group < Groups / 2; group++)
            {
                Vector256<byte> low = TFormat.Group(w, group, 0, isUpper: false), high = TFormat.Group(w, group, 1, isUpper: false);
                Add<TFormat>(low, high, x0 + 4 * group, ref a);
            }
            Floats scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K)
            {
                Scale<TFormat>(ref sum0, TakeSums<TFormat>(ref a), meta0, scale, isFirst: true);
                scale = scales.Last();
            }
            if (TFormat.Largest == 31) earlyA = TakeSums<TFormat>(ref a);
            for (int group = Groups / 2; group < Groups; group++)
            {
                Vector256<byte> low = TFormat.Group(w, group, 0, isUpper: true), high = TFormat.Group(w, group, 1, isUpper: true);
                Add<TFormat>(low, high, x0 + 4 * group, ref a);
            }
            Scale<TFormat>(ref sum0, TakeSums<TFormat>(ref a, earlyA), meta0, scale, isFirst: false);
            if (PanelLayout.HasMinimum(TFormat.Type)) AddMinimum(ref sum0, scales.Minimum(), meta0);
            scales.Next();
            w += BlockBytes<TFormat>();
            x0 += PanelLayout.Block;
            meta0++;
        }
        Store(job.Y, sum0, job.Add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows2<TFormat>(ProductJob job) where TFormat : struct, IPanelFormat
    {
        Floats sum0 = default, sum1 = default;
        byte* w = job.Weights;
        sbyte* x0 = job.X, x1 = x0 + job.XStride;
        Int8Block* meta0 = job.XBlocks, meta1 = (Int8Block*)((byte*)meta0 + job.XBlockStride);
        var scales = new PanelScales<TFormat>(job.Scales);
        for (long block = job.NumBlocks; block > 0; block--)
        {
            Ints a = default, b = default, earlyA = default, earlyB = default;
            for (int group = 0; group < Groups / 2; group++)
            {
                Vector256<byte> low = TFormat.Group(w, group, 0, isUpper: false), high = TFormat.Group(w, group, 1, isUpper: false);
                Add<TFormat>(low, high, x0 + 4 * group, ref a);
                Add<TFormat>(low, high, x1 + 4 * group, ref b);
            }
            Floats scale = scales.First();
            if (TFormat.Type == TensorType.Q6_K)
            {
                Scale<TFormat>(ref sum0, TakeSums<TFormat>(ref a), meta0, scale, isFirst: true);
                Scale<TFormat>(ref sum1, TakeSums<TFormat>(ref b), meta1, scale, isFirst: true);
                scale = scales.Last();
            }
            if (TFormat.Largest == 31)
            {
                earlyA = TakeSums<TFormat>(ref a);
                earlyB = TakeSums<TFormat>(ref b);
            }
            for (int group = Groups / 2; group < Groups; group++)
            {
                Vector256<byte> low = TFormat.Group(w, group, 0, isUpper: true), high = TFormat.Group(w, group, 1, isUpper: true);
                Add<TFormat>(low, high, x0 + 4 * group, ref a);
                Add<TFormat>(low, high, x1 + 4 * group, ref b);
            }
            Scale<TFormat>(ref sum0, TakeSums<TFormat>(ref a, earlyA), meta0, scale, isFirst: false);
            Scale<TFormat>(ref sum1, TakeSums<TFormat>(ref b, earlyB), meta1, scale, isFirst: false);
            if (PanelLayout.HasMinimum(TFormat.Type))
            {
                Floats minimum = scales.Minimum();
                AddMinimum(ref sum0, minimum, meta0);
                AddMinimum(ref sum1, minimum, meta1);
            }
            scales.Next();
            w += BlockBytes<TFormat>();
            x0 += PanelLayout.Block;
            meta0++;
            x1 += PanelLayout.Block;
            meta1++;
        }
        Store(job.Y, sum0, job.Add);
        Store((float*)((byte*)job.Y + job.YStride), sum1, job.Add);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Rows4<TFormat>(ProductJob job, byte* w, Floats* sums) where TFormat : struct, IPanelFormat
    {
        sbyte* x = job.X;
        long stride = job.XStride;
        Int8Block* meta0 = job.XBlocks, meta1 = (Int8Block*)((byte*)meta0 + job.XBlockStride),
            meta2 = (Int8Block*)((byte*)meta1 + job.XBlockStride), meta3 = (Int8Block*)((byte*)meta2 + job.XBlockStride);
        for (long block = job.NumBlocks; block > 0; block--)
        {
            var end = (PanelUnpacked*)(w + Groups * GroupBytes<TFormat>());
            Ints a = default, earlyA = default, earlyB = default, earlyC = default, earlyD = default;
            if (HasSigns<TFormat>()) a = end->Missing;
            Ints b = a, c = a, d = a;
            if (TFormat.Type == TensorType.Q6_K || TFormat.Largest == 31)
            {
                for (int group = 0; group < Groups / 2; group++, w += GroupBytes<TFormat>(), x += 4)
                    AddGroup<TFormat>(w, x, stride, ref a, ref b, ref c, ref d);
                if (TFormat.Type == TensorType.Q6_K)
                {
                    Scale<TFormat>(ref sums[0], TakeSums<TFormat>(ref a), meta0, end->Scale, isFirst: true);
                    Scale<TFormat>(ref sums[1], TakeSums<TFormat>(ref b), meta1, end->Scale, isFirst: true);
                    Scale<TFormat>(ref sums[2], TakeSums<TFormat>(ref c), meta2, end->Scale, isFirst: true);
                    Scale<TFormat>(ref sums[3], TakeSums<TFormat>(ref d), meta3, end->Scale, isFirst: true);
                }
                else
                {
                    earlyA = TakeSums<TFormat>(ref a);
                    earlyB = TakeSums<TFormat>(ref b);
                    earlyC = TakeSums<TFormat>(ref c);
                    earlyD = TakeSums<TFormat>(ref d);
                }
            }
            for (; w < (byte*)end; w += GroupBytes<TFormat>(), x += 4) AddGroup<TFormat>(w, x, stride, ref a, ref b, ref c, ref d);
            Floats scale = TFormat.Type == TensorType.Q6_K ? end->Second : end->Scale;
            Scale<TFormat>(ref sums[0], TakeSums<TFormat>(ref a, earlyA), meta0, scale, isFirst: false);
            Scale<TFormat>(ref sums[1], TakeSums<TFormat>(ref b, earlyB), meta1, scale, isFirst: false);
            Scale<TFormat>(ref sums[2], TakeSums<TFormat>(ref c, earlyC), meta2, scale, isFirst: false);
            Scale<TFormat>(ref sums[3], TakeSums<TFormat>(ref d, earlyD), meta3, scale, isFirst: false);
            if (PanelLayout.HasMinimum(TFormat.Type))
            {
                Floats minimum = end->Second;
                AddMinimum(ref sums[0], minimum, meta0);
                AddMinimum(ref sums[1], minimum, meta1);
                AddMinimum(ref sums[2], minimum, meta2);
                AddMinimum(ref sums[3], minimum, meta3);
            }
            w += sizeof(PanelUnpacked);
            meta0++;
            meta1++;
            meta2++;
            meta3++;
        }
    }

    /// <summary>Four unpacked weights of every output, times the same four values of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddGroup<TFormat>(byte* w, sbyte* x, long stride, ref Ints a, ref Ints b, ref Ints c, ref Ints d)
    where TFormat : struct, IPanelFormat
    {
        Vector256<byte> low = Vector256.Load(w), high = Vector256.Load(w + 32);
        if (HasSigns<TFormat>())
        {
            Vector256<sbyte> lowSigns = Vector256.Load((sbyte*)w + 64), highSigns = Vector256.Load((sbyte*)w + 96);
            AddSizes(low, lowSigns, high, highSigns, x, ref a);
            AddSizes(low, lowSigns, high, highSigns, x + stride, ref b);
            AddSizes(low, lowSigns, high, highSigns, x + 2 * stride, ref c);
            AddSizes(low, lowSigns, high, highSigns, x + 3 * stride, ref d);
            return;
        }
        Add<TFormat>(low, high, x, ref a);
        Add<TFormat>(low, high, x + stride, ref b);
        Add<TFormat>(low, high, x + 2 * stride, ref c);
        Add<TFormat>(low, high, x + 3 * stride, ref d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSizes(Vector256<byte> low, Vector256<sbyte> lowSigns, Vector256<byte> high, Vector256<sbyte> highSigns, sbyte* x,
        ref Ints sums)
    {
        Vector256<sbyte> four = Vector256.Create(*(int*)x).AsSByte();
        sums.Low = TDot.AddSizes(sums.Low, low, four ^ lowSigns);
        sums.High = TDot.AddSizes(sums.High, high, four ^ highSigns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat>(Vector256<byte> low, Vector256<byte> high, sbyte* x, ref Ints sums) where TFormat : struct,
        IPanelFormat
    {
        Vector256<sbyte> four = Vector256.Create(*(int*)x).AsSByte();
        sums.Low = TDot.Add<TFormat>(sums.Low, low, four);
        sums.High = TDot.Add<TFormat>(sums.High, high, four);
    }

    /// <summary>The sums of what was added; adding begins anew.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Ints TakeSums<TFormat>(ref Ints pending) where TFormat : struct, IPanelFormat
    {
        var sums = new Ints { Low = TDot.Sums<TFormat>(pending.Low), High = TDot.Sums<TFormat>(pending.High) };
        pending = default;
        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Ints TakeSums<TFormat>(ref Ints pending, Ints early) where TFormat : struct, IPanelFormat
    {
        Ints sums = TakeSums<TFormat>(ref pending);
        if (TFormat.Largest != 31) return sums;
        return new Ints { Low = sums.Low + early.Low, High = sums.High + early.High };
    }

    /// <summary>sum += dot * scale * x's scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale<TFormat>(ref Floats sum, Ints dot, Int8Block* x, Floats scale, bool isFirst) where TFormat : struct,
        IPanelFormat
    {
        F times = Vector256.Create(x->Scale);
        if (PanelLayout.Bias(TFormat.Type, int8Bias: 0) != 0)
        {
            I bias = Bias<TFormat>(x, isFirst);
            dot.Low += bias;
            dot.High += bias;
        }
        sum.Low = VectorKernels.Add(Vector256.ConvertToSingle(dot.Low), scale.Low * times, sum.Low);
        sum.High = VectorKernels.Add(Vector256.ConvertToSingle(dot.High), scale.High * times, sum.High);
    }

    /// <summary>What the dot product has too much because numbers are stored raised; of Q6_K in the first or second half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static I Bias<TFormat>(Int8Block* x, bool isFirst) where TFormat : struct, IPanelFormat
    {
        I sum = Vector256.Create(isFirst ? x->BiasedFirst : x->BiasedSum);
        return TFormat.Type switch
        {
            TensorType.Q4_0 => Vector256.ShiftRightArithmetic(sum, 4),
            TensorType.Q5_0 => Vector256.ShiftRightArithmetic(sum, 3),
            _ => Vector256.ShiftRightArithmetic(isFirst ? sum : sum - Vector256.Create(x->BiasedFirst), 2),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMinimum(ref Floats sum, Floats minimum, Int8Block* x)
    {
        F times = Vector256.Create(x->NegativeSum);
        sum.Low = VectorKernels.Add(minimum.Low, times, sum.Low);
        sum.High = VectorKernels.Add(minimum.High, times, sum.High);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int BlockBytes<TFormat>() where TFormat : struct, IPanelFormat => PanelLayout.BlockBytes(TFormat.Type) * Outputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Floats sum, long add)
    {
        if (add != 0)
        {
            sum.Low += Vector256.Load(y);
            sum.High += Vector256.Load(y + 8);
        }
        sum.Low.Store(y);
        sum.High.Store(y + 8);
    }
}

/// <summary>What follows the numbers of an unpacked block.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PanelUnpacked
{
    public Floats Scale;

    /// <summary>Scale of the second half, or minimum, where the type has one.</summary>
    public Floats Second;

    /// <summary>
    /// Sum of the sizes of negative numbers: flipped bits are a number's negative less one, so the products with such an
    /// x lack it. It does not depend on x.
    /// </summary>
    public Ints Missing;
}

/// <summary>An integer of every output of a panel.</summary>
internal struct Ints
{
    public I Low, High;
}

/// <summary>A number of every output of a panel.</summary>
internal struct Floats
{
    public F Low, High;
}

/// <summary>The scales of a panel, block after block.</summary>
internal unsafe ref struct PanelScales<TFormat>(byte* scales) where TFormat : struct, IPanelFormat
{
    private const int Outputs = KernelTable.Panel;

    private byte* _small = scales, _next = scales; // the block's own, and what follows the super-block
    private Floats _d, _minimum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Floats First()
    {
        if (!PanelLayout.HasSuperBlocks(TFormat.Type)) return Widen(_small);
        if (_small == _next) // a super-block begins
        {
            _d = Widen(_small);
            if (PanelLayout.HasMinimum(TFormat.Type)) _minimum = Widen(_small + Outputs * sizeof(ushort));
            _small += PanelLayout.SmallOffset(TFormat.Type, Outputs);
            _next += PanelLayout.ScaleBytes(TFormat.Type, PanelLayout.SuperBlocks) * Outputs;
        }
        return Times(_d, _small);
    }

    /// <summary>Of the second half of a block, where it has its own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Floats Last() => Times(_d, _small + Outputs);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Floats Minimum() => Times(_minimum, _small + Outputs);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next() => _small += 2 * Outputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Floats Widen(byte* halves) =>
    new() { Low = VectorKernels.Widen((ushort*)halves), High = VectorKernels.Widen((ushort*)halves + 8) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Floats Times(Floats factor, byte* small) =>
    new() { Low = factor.Low * Small(small), High = factor.High * Small(small + 8) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F Small(byte* bytes)
    {
        if (Avx2.IsSupported)
            return Vector256.ConvertToSingle(TFormat.Type == TensorType.Q6_K
                ? Avx2.ConvertToVector256Int32((sbyte*)bytes) : Avx2.ConvertToVector256Int32(bytes));
        if (TFormat.Type == TensorType.Q6_K)
        {
            Vector128<short> words = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)bytes).AsSByte());
            return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words)));
        }
        Vector128<ushort> unsigned = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)bytes).AsByte());
        return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(unsigned), Vector128.WidenUpper(unsigned)).AsInt32());
    }
}
