using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Flywheel.Engine.Kernels;

/// <summary>Integer products for AVX2; the rest is what the portable kernels compile to.</summary>
internal static unsafe class Avx2Kernels
{
    public static KernelTable Table { get; } = new()
    {
        Name = "avx2",
        IsSupported = Avx2.IsSupported && Fma.IsSupported,
        Multiply = &PanelProduct<MultiplyAddAdjacent>.Multiply,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Rotate = VectorKernels.Table.Rotate,
        AttendSpan = &TiledAttention<Avx2MachineAttention>.AttendSpan,
        FoldSpans = VectorKernels.Table.FoldSpans,
        LogSumExp = VectorKernels.Table.LogSumExp,
        Exponentials = VectorKernels.Table.Exponentials,
    };

    /// <summary>
    /// vpmaddubsw: unsigned bytes times signed bytes, neighbours added to 16 bits. Numbers up to 31 stay there for four groups
    /// (4 x 2 x 31 x 127 is 31,496) and up to 15 for eight; larger ones are widened at once, two of 63 or of 127 fit.
    /// </summary>
    private readonly struct MultiplyAddAdjacent : IDotInstruction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add<TFormat>(Vector256<int> sums, Vector256<byte> group, Vector256<sbyte> x) where TFormat : struct,
            IPanelFormat
        {
            if (TFormat.Largest <= 31) return (sums.AsInt16() + Avx2.MultiplyAddAdjacent(group, x)).AsInt32();
            // Signed numbers give their signs to x.
            Vector256<short> products = TFormat.Largest == 127
                ? Avx2.MultiplyAddAdjacent(Avx2.Abs(group.AsSByte()), Avx2.Sign(x, group.AsSByte()))
                : Avx2.MultiplyAddAdjacent(group, x);
            return sums + Avx2.MultiplyAddAdjacent(products, Vector256<short>.One);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Sums<TFormat>(Vector256<int> pending) where TFormat : struct, IPanelFormat =>
            TFormat.Largest <= 31 ? Avx2.MultiplyAddAdjacent(pending.AsInt16(), Vector256<short>.One) : pending;

        public static bool TakesSizes => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> AddSizes(Vector256<int> sums, Vector256<byte> sizes, Vector256<sbyte> x) =>
            sums + Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(sizes, x), Vector256<short>.One);
    }
}
