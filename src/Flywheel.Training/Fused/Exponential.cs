using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Flywheel.Training;

/// <summary>
/// e^x in fp32 to 2 units in the last place: x = n ln 2 + r, a polynomial in r with the coefficients of Cephes' expf (Moshier),
/// and n into the exponent. The library's goes through double precision and takes three times as long.
/// </summary>
internal static class Exponential
{
    /// <summary>Results stay normal numbers between.</summary>
    private const float Lowest = -87.3f, Highest = 88f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(Vector256<float> x)
    {
        x = Vector256.MinNative(Vector256.Create(Highest), Vector256.MaxNative(Vector256.Create(Lowest), x)); // in this order NaN stays NaN
        Vector256<float> n = Vector256.Round(x * 1.44269504f);
        Vector256<float> r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-0.693359375f), x);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);
        Vector256<float> p = Vector256.FusedMultiplyAdd(Vector256.Create(1.9875691500e-4f), r, Vector256.Create(1.3981999507e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(8.3334519073e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(4.1665795894e-2f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.6666665459e-1f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(5.0000001201e-1f));
        p = Vector256.FusedMultiplyAdd(p, r * r, r + Vector256<float>.One);
        return p * Vector256.ShiftLeft(Vector256.ConvertToInt32(n) + Vector256.Create(127), 23).AsSingle();
    }

    /// <summary>Each value becomes e^(value - shift).</summary>
    /// <returns>Their sum.</returns>
    public static float Replace(Span<float> values, float shift)
    {
        var shifts = Vector256.Create(shift);
        Vector256<float> sums = default;
        ref float start = ref MemoryMarshal.GetReference(values);
        int i = 0;
        for (; i <= values.Length - 8; i += 8)
        {
            Vector256<float> e = Of(Vector256.LoadUnsafe(ref start, (nuint)i) - shifts);
            e.StoreUnsafe(ref start, (nuint)i);
            sums += e;
        }
        float sum = Vector256.Sum(sums);
        for (; i < values.Length; i++) sum += values[i] = Of(Vector256.Create(values[i] - shift)).ToScalar();
        return sum;
    }
}
