using System.Numerics;

namespace Flywheel.Loop;

/// <summary>
/// The mean of paired differences between two models, when differences of one person go together: interval and p-value of the
/// sign-flip test, in which each person's differences keep or change their sign together. If neither model is better, either sign is
/// equally likely, so the test is exact with any number of people (Fisher 1935, The Design of Experiments, section 21).
/// </summary>
/// <remarks>
/// The values that the test does not reject lie between two of the means over subsets of people (Hartigan 1969, J. Am. Stat. Assoc. 64,
/// pages 1303 to 1317): that is the interval. From 16 people on, subsets are drawn, and the one that was observed is counted as drawn
/// (Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, article 39), so that drawing never makes a p-value too small.
/// </remarks>
public static class SignFlip
{
    /// <summary>Subsets that are drawn where there are too many to count all.</summary>
    public const int Draws = 20_000;

    private const int MostCounted = 15;

    /// <summary>Whether so many people can show anything at this level: all of them alike have a p-value of 2^-n.</summary>
    /// <param name="people">Clusters.</param>
    /// <param name="alpha">One-sided.</param>
    public static bool CanDecide(int people, double alpha) =>
        people > 0 && (people <= MostCounted ? Math.ScaleB(1, -people) : 1.0 / (Draws + 1)) <= alpha;

    /// <summary>The estimate with the values that neither one-sided test at <paramref name="alpha"/> rejects.</summary>
    /// <param name="items">Cluster and difference of each item; every item weighs the same.</param>
    /// <param name="alpha">One-sided: 0.025 gives the 95% interval.</param>
    /// <param name="seed">Of the drawing.</param>
    /// <exception cref="ArgumentException">Too few clusters for this level; see <see cref="CanDecide"/>.</exception>
    public static Interval Mean(IReadOnlyList<(string Cluster, double Difference)> items, double alpha, int seed)
    {
        (double[] means, int all) = SubsetMeans(items, seed);
        int k = (int)Math.Floor(alpha * all * (1 + 1e-12));
        if (k == 0 || 2 * k > means.Length)
            throw new ArgumentException($"{Clusters(items).Length} clusters cannot decide at {alpha}", nameof(items));
        Array.Sort(means);
        return new(items.Average(item => item.Difference), means[k - 1], means[^k]);
    }

    /// <summary>How likely a mean as large as this or larger is, if the truth were <paramref name="at"/>.</summary>
    /// <param name="items">As in <see cref="Mean"/>.</param>
    /// <param name="seed">Of the drawing.</param>
    /// <param name="at">The value that is tested.</param>
    public static double PValue(IReadOnlyList<(string Cluster, double Difference)> items, int seed, double at = 0)
    {
        (double[] means, int all) = SubsetMeans(items, seed);
        return (means.Count(mean => mean <= at) + 1.0) / all; // the empty subset is always among them
    }

    private static (double Sum, int Count)[] Clusters(IReadOnlyList<(string Cluster, double Difference)> items) =>
        [.. items.GroupBy(item => item.Cluster, StringComparer.Ordinal).OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => (group.Sum(item => item.Difference), group.Count()))];

    /// <summary>Means over the subsets that are not empty, and how many subsets there are with the empty one.</summary>
    private static (double[] Means, int All) SubsetMeans(IReadOnlyList<(string Cluster, double Difference)> items, int seed)
    {
        (double Sum, int Count)[] clusters = Clusters(items);
        int n = clusters.Length;
        if (n == 0) throw new ArgumentException("no items", nameof(items));
        if (n <= MostCounted)
        {
            var totals = new (double Sum, int Count)[1 << n];
            for (int subset = 1; subset < totals.Length; subset++)
            {
                (double sum, int count) = totals[subset & (subset - 1)];
                (double own, int ownCount) = clusters[BitOperations.TrailingZeroCount(subset)];
                totals[subset] = (sum + own, count + ownCount);
            }
            return ([.. totals.Skip(1).Select(total => total.Sum / total.Count)], totals.Length);
        }
        var random = new Random(seed);
        double[] means = new double[Draws];
        for (int draw = 0; draw < Draws;)
        {
            double sum = 0;
            int count = 0, bits = 0;
            for (int i = 0; i < n; i++)
            {
                if (i % 30 == 0) bits = random.Next(1 << 30);
                if ((bits >> (i % 30) & 1) == 0) continue;
                sum += clusters[i].Sum;
                count += clusters[i].Count;
            }
            if (count > 0) means[draw++] = sum / count;
        }
        return (means, Draws + 1);
    }
}
