using System.Runtime.Intrinsics;

namespace Flywheel.Model;

/// <summary>
/// The scales of K-quant groups: several step widths are tried around the plain one, for each the best scale follows by
/// weighted least squares, and the one with the smallest weighted error wins. Eight groups at a time, one a lane, so that
/// each group's sums are added in the order of its numbers, as ggml's reference adds them (ggml/src/ggml-quants.c:
/// make_qkx2_quants, make_qx_quants; I. Kawrakow, llama.cpp pull request 1684).
/// </summary>
internal static class GroupSearch
{
    /// <summary>A group whose numbers are all nearer to zero than this counts as zero.</summary>
    public const float Nothing = 1e-15f;

    /// <summary>Eight groups, one after the other, into lanes: element i holds number i of each.</summary>
    public static void Transpose(ReadOnlySpan<float> x, Span<Vector256<float>> lanes)
    {
        int n = lanes.Length;
        for (int i = 0; i < n; i++)
            lanes[i] = Vector256.Create(x[i], x[n + i], x[2 * n + i], x[3 * n + i], x[4 * n + i], x[5 * n + i], x[6 * n + i], x[7 * n + i]);
    }

    /// <summary>The way back for number <paramref name="i"/> of groups of <paramref name="n"/>; values are small whole numbers.</summary>
    public static void Store(Vector256<float> values, Span<byte> q, int i, int n)
    {
        for (int group = 0; group < 8; group++) q[group * n + i] = (byte)values[group];
    }

    /// <summary>The smallest number of each group, at most zero.</summary>
    private static Vector256<float> Lowest(ReadOnlySpan<Vector256<float>> x)
    {
        Vector256<float> lowest = x[0];
        foreach (Vector256<float> value in x) lowest = Select(Vector256.LessThan(value, lowest), value, lowest);
        return Select(Vector256.GreaterThan(lowest, Vector256<float>.Zero), Vector256<float>.Zero, lowest);
    }

    /// <summary>x ~ scale q - min with q from 0 to <paramref name="maxQ"/>, min at least 0.</summary>
    /// <returns>Scale, min, and from what the search took q: (x - Origin) InverseStep, rounded (0 for a group without width).</returns>
    public static (Vector256<float> Scale, Vector256<float> Min, Vector256<float> InverseStep, Vector256<float> Origin) FindScaleAndMin(
        ReadOnlySpan<Vector256<float>> x, int maxQ, float firstStep, int numSteps)
    {
        Vector256<float> zero = Vector256<float>.Zero, top = Vector256.Create((float)maxQ), one = Vector256<float>.One;
        Vector256<float> sumSquares = zero, highest = x[0], lowest = Lowest(x);
        foreach (Vector256<float> value in x)
        {
            sumSquares += value * value;
            highest = Select(Vector256.GreaterThan(value, highest), value, highest);
        }
        // Large numbers weigh more: they matter more to products.
        Vector256<float> level = Vector256.Sqrt(sumSquares / Vector256.Create((float)x.Length));
        Span<Vector256<float>> weights = stackalloc Vector256<float>[x.Length], q = stackalloc Vector256<float>[x.Length];
        Vector256<float> sumW = zero, sumX = zero;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> weight = weights[i] = level + Vector256.Abs(x[i]);
            sumW += weight;
            sumX += weight * x[i];
        }

        // origin moves with each better fit, and the next step widths are tried from there
        Vector256<float> origin = lowest, bestOrigin = lowest, bestInverse = top / (highest - lowest), bestScale = one / bestInverse,
            bestError = zero;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> difference = bestScale * Round(bestInverse * (x[i] - lowest), top) + lowest - x[i];
            bestError += weights[i] * (difference * difference);
        }
        for (int step = 0; step <= numSteps; step++)
        {
            Vector256<float> inverse = Vector256.Create(firstStep + 0.1f * step + maxQ) / (highest - origin);
            Vector256<float> sumQ = zero, sumQQ = zero, sumXQ = zero;
            for (int i = 0; i < x.Length; i++)
            {
                q[i] = Round(inverse * (x[i] - origin), top);
                Vector256<float> weighted = weights[i] * q[i];
                sumQ += weighted;
                sumQQ += weighted * q[i];
                sumXQ += weighted * x[i];
            }
            // Normal equations of the weighted fit; a positive offset is not storable, then the line goes through zero.
            Vector256<float> determinant = sumW * sumQQ - sumQ * sumQ;
            Vector256<float> scale = (sumW * sumXQ - sumX * sumQ) / determinant, min = (sumQQ * sumX - sumQ * sumXQ) / determinant;
            Vector256<float> positive = Vector256.GreaterThan(min, zero);
            scale = Select(positive, sumXQ / sumQQ, scale);
            min = Select(positive, zero, min);
            Vector256<float> error = zero;
            for (int i = 0; i < x.Length; i++)
            {
                Vector256<float> difference = scale * q[i] + min - x[i];
                error += weights[i] * (difference * difference);
            }
            Vector256<float> better = Vector256.GreaterThan(determinant, zero) & Vector256.LessThan(error, bestError);
            bestError = Select(better, error, bestError);
            bestScale = Select(better, scale, bestScale);
            bestInverse = Select(better, inverse, bestInverse);
            bestOrigin = Select(better, origin, bestOrigin);
            origin = Select(better, min, origin);
        }
        Vector256<float> flat = Vector256.Equals(highest, lowest);
        return (Select(flat, zero, bestScale), -origin, Select(flat, zero, bestInverse), bestOrigin);
    }

    /// <summary>x ~ scale q with q from -<paramref name="bias"/> to <paramref name="bias"/> - 1.</summary>
    /// <returns>Scale, and the inverse step from which the search took q.</returns>
    public static (Vector256<float> Scale, Vector256<float> InverseStep) FindScale(ReadOnlySpan<Vector256<float>> x, int bias)
    {
        Vector256<float> zero = Vector256<float>.Zero, low = Vector256.Create(-(float)bias), high = Vector256.Create(bias - 1f);
        Vector256<float> furthest = zero;
        foreach (Vector256<float> value in x)
            furthest = Select(Vector256.GreaterThan(Vector256.Abs(value), Vector256.Abs(furthest)), value, furthest);

        Vector256<float> bestScale = zero, best = zero, bestInverse = zero;
        for (int trial = 0; trial <= 18; trial++)
        {
            int step = trial == 0 ? 0 : trial <= 9 ? trial - 10 : trial - 9; // the plain width first, then -9 to 9
            Vector256<float> inverse = Vector256.Create(-(bias + 0.1f * step)) / furthest;
            Vector256<float> sumXQ = zero, sumQQ = zero;
            foreach (Vector256<float> value in x)
            {
                Vector256<float> q = Vector256.Min(Vector256.Max(Vector256.Round(inverse * value), low), high), weight = value * value;
                sumXQ += weight * value * q;
                sumQQ += weight * q * q;
            }
            Vector256<float> better = step == 0 ? Vector256<float>.AllBitsSet
                : Vector256.GreaterThan(sumQQ, zero) & Vector256.GreaterThan(sumXQ * sumXQ, best * sumQQ);
            Vector256<float> scale = Select(Vector256.Equals(sumQQ, zero), zero, sumXQ / sumQQ);
            bestScale = Select(better, scale, bestScale);
            best = Select(better, scale * sumXQ, best);
            bestInverse = Select(better, inverse, bestInverse);
        }
        Vector256<float> empty = Vector256.LessThan(Vector256.Abs(furthest), Vector256.Create(Nothing));
        return (Select(empty, zero, bestScale), Select(empty, zero, bestInverse));
    }

    private static Vector256<float> Select(Vector256<float> condition, Vector256<float> yes, Vector256<float> no) =>
        Vector256.ConditionalSelect(condition, yes, no);

    private static Vector256<float> Round(Vector256<float> value, Vector256<float> top) =>
        Vector256.Min(Vector256.Max(Vector256.Round(value), Vector256<float>.Zero), top);
}
