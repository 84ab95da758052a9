using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Flywheel.Engine.Kernels;

/// <summary>Integer products for Arm with the dot product instructions (ARMv8.2 and later); the rest is what the portable kernels compile
/// to.</summary>
internal static unsafe class NeonKernels
{
    public static KernelTable Table { get; } = new()
    {
        Name = "neon",
        IsSupported = Dp.IsSupported,
        Multiply = &PanelProduct<SignedDot>.Multiply,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Rotate = VectorKernels.Table.Rotate,
        AttendSpan = VectorKernels.Table.AttendSpan,
        FoldSpans = VectorKernels.Table.FoldSpans,
        LogSumExp = VectorKernels.Table.LogSumExp,
        Exponentials = VectorKernels.Table.Exponentials,
    };

    /// <summary>sdot: sixteen products, added by fours. All numbers are at most 127.</summary>
    private readonly struct SignedDot : IDotInstruction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add<TFormat>(Vector256<int> sums, Vector256<byte> group, Vector256<sbyte> x) where TFormat : struct,
            IPanelFormat
        {
            Vector128<sbyte> four = x.GetLower();
            return Vector256.Create(
                Dp.DotProduct(sums.GetLower(), group.GetLower().AsSByte(), four),
                Dp.DotProduct(sums.GetUpper(), group.GetUpper().AsSByte(), four));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Sums<TFormat>(Vector256<int> pending) where TFormat : struct, IPanelFormat => pending;
    }
}
