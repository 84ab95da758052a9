namespace Flywheel.Loop;

/// <summary>An estimate with its interval; of 95%, where nothing else is said.</summary>
public readonly record struct Interval(double Estimate, double Low, double High)
{
    /// <summary>Of a value that there is no interval of.</summary>
    public static Interval At(double value) => new(value, value, value);

    /// <summary>Such as <c>+0.134 [+0.039, +0.241]</c>.</summary>
    public override string ToString() => $"{Signed(Estimate)} [{Signed(Low)}, {Signed(High)}]";

    /// <summary>Three digits with the sign; what rounds to zero has none.</summary>
    public static string Signed(double value) =>
        Math.Round(value, 3) is var rounded && rounded != 0 ? rounded.ToString("+0.000;-0.000") : "0.000";
}

/// <summary>
/// The 95% interval of a mean of paired differences, when differences within a cluster (a person, a request) go together:
/// whole clusters are drawn with replacement (Efron 1979; Davison and Hinkley 1997, chapter 3.8).
/// </summary>
/// <remarks>
/// With n clusters a percentile interval is too narrow by about sqrt((n-1)/n) z/t, so deviations from the estimate are
/// widened by the inverse (in the spirit of Hesterberg 2015, arXiv 1411.5279, section 4.2). The test suite simulates coverage.
/// </remarks>
public static class PairedBootstrap
{
    public const int DefaultResamples = 10_000;

    /// <summary>Fewer clusters cannot show how clusters differ.</summary>
    public const int MinClusters = 2;

    /// <param name="items">Cluster and difference of each item; every item weighs the same.</param>
    /// <param name="seed">The same seed and items give the same interval.</param>
    /// <param name="resamples">Draws.</param>
    /// <exception cref="ArgumentException">Fewer than two clusters.</exception>
    public static Interval Mean(IReadOnlyList<(string Cluster, double Difference)> items, int seed, int resamples = DefaultResamples)
    {
        (double Sum, int Count)[] clusters = [.. items.GroupBy(item => item.Cluster, StringComparer.Ordinal)
            .OrderBy(cluster => cluster.Key, StringComparer.Ordinal)
            .Select(cluster => (cluster.Sum(item => item.Difference), cluster.Count()))];
        int n = clusters.Length;
        if (n < MinClusters) throw new ArgumentException($"{n} clusters, expected at least {MinClusters}", nameof(items));
        double estimate = items.Average(item => item.Difference);

        var random = new Random(seed);
        double[] means = new double[resamples];
        for (int i = 0; i < resamples; i++)
        {
            double sum = 0;
            int count = 0;
            for (int draw = 0; draw < n; draw++)
            {
                (double clusterSum, int clusterCount) = clusters[random.Next(n)];
                sum += clusterSum;
                count += clusterCount;
            }
            means[i] = sum / count;
        }
        Array.Sort(means);
        double widen = Math.Sqrt(n / (n - 1.0)) * StudentT.Quantile(0.975, n - 1) / 1.959964;
        return new(estimate, estimate + widen * (Percentile(means, 0.025) - estimate),
            estimate + widen * (Percentile(means, 0.975) - estimate));
    }

    private static double Percentile(double[] sorted, double share)
    {
        double place = share * (sorted.Length - 1);
        int below = (int)place;
        return below + 1 == sorted.Length ? sorted[below] : sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
    }
}

/// <summary>Student's distribution for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).</summary>
internal static class StudentT
{
    /// <summary>The value below which a t variable lies with probability <paramref name="p"/>, from 0.5 to below 1.</summary>
    public static double Quantile(double p, int degrees)
    {
        double low = 0, high = 1;
        while (Within(high, degrees) < 2 * p - 1) high *= 2;
        for (int i = 0; i < 80; i++)
        {
            double middle = (low + high) / 2;
            if (Within(middle, degrees) < 2 * p - 1) low = middle;
            else high = middle;
        }
        return high;
    }

    /// <summary>Probability to lie between -t and t.</summary>
    private static double Within(double t, int degrees)
    {
        double angle = Math.Atan(t / Math.Sqrt(degrees)), cosine = Math.Cos(angle), squared = cosine * cosine;
        bool odd = degrees % 2 == 1;
        double term = odd ? cosine : 1, sum = 0;
        for (int k = odd ? 1 : 0; k < degrees - 1; k += 2)
        {
            sum += term;
            term *= squared * (k + 1) / (k + 2);
        }
        return odd ? 2 / Math.PI * (angle + Math.Sin(angle) * sum) : Math.Sin(angle) * sum;
    }
}
