using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Flywheel.Engine.Kernels;

/// <summary>Products of bytes with nothing but widening and 16-bit multiplication, for machines without a better instruction.</summary>
internal readonly unsafe struct WideningDot : IDotInstruction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add<TFormat>(Vector256<int> sums, Vector256<byte> group, Vector256<sbyte> x) where TFormat : struct,
        IPanelFormat
    {
        (Vector256<short> low, Vector256<short> high) = Vector256.Widen(group.AsSByte());
        Vector256<short> four = Vector256.WidenLower(x);
        return sums + Neighbours(PairSums(low * four), PairSums(high * four));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Sums<TFormat>(Vector256<int> pending) where TFormat : struct, IPanelFormat => pending;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> PairSums(Vector256<short> products)
    {
        Vector256<int> pairs = products.AsInt32();
        return Vector256.ShiftRightArithmetic(Vector256.ShiftLeft(pairs, 16), 16) + Vector256.ShiftRightArithmetic(pairs, 16);
    }

    /// <summary>Sums of neighbours of both, in order: outputs 0 to 3, then 4 to 7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Neighbours(Vector256<int> low, Vector256<int> high)
    {
        return Vector256.Create(Halves(low), Halves(high));

        static Vector128<int> Halves(Vector256<int> v)
        {
            Vector128<int> even =
                Vector128.Create(Vector128.Shuffle(v.GetLower(), Vector128.Create(0, 2, 0, 2)).AsInt64().ToScalar(),
                    Vector128.Shuffle(v.GetUpper(), Vector128.Create(0, 2, 0, 2)).AsInt64().ToScalar()).AsInt32();
            Vector128<int> odd =
                Vector128.Create(Vector128.Shuffle(v.GetLower(), Vector128.Create(1, 3, 1, 3)).AsInt64().ToScalar(),
                    Vector128.Shuffle(v.GetUpper(), Vector128.Create(1, 3, 1, 3)).AsInt64().ToScalar()).AsInt32();
            return even + odd;
        }
    }
}
