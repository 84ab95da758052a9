using Flywheel.Data;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop.Tasks;

/// <summary>
/// One way to measure outputs over many items. Each item gives counts, and the score is a function of their sums: so an error rate is the
/// edits of all items by the length of all answers, and not a mean of rates.
/// </summary>
/// <param name="Name">As a task's file calls it.</param>
/// <param name="HigherIsBetter">False of error rates.</param>
/// <param name="Count">Counts of one item and its output.</param>
/// <param name="Score">Of the sums.</param>
public sealed record TaskMetric(string Name, bool HigherIsBetter, Func<TaskItem, string, double[]> Count, Func<double[], double> Score)
{
    private const int MaxOrder = 6;

    private const double Beta = 2;

    private static readonly TaskMetric[] s_all =
    [
        Share(TaskMetricNames.Exact, (item, output) => output == item.Answer ? 1 : 0),
        Share(TaskMetricNames.OneOf, (item, output) => item.Answer.Split(' ').Contains(output) ? 1 : 0),
        // Popović 2015 (chrF: character n-gram F-score), with sacreBLEU's sums over a corpus and its orders.
        new(TaskMetricNames.ChrF, true, (item, output) => NGrams(output, item.Answer), ChrFOf),
        Error(TaskMetricNames.WordError, text => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)),
        Error(TaskMetricNames.SymbolError, text => text.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        Error(TaskMetricNames.CharacterError, text => [.. text.EnumerateRunes().Select(rune => rune.ToString())]),
        new(TaskMetricNames.PerLetter, true, PerLetter, Mean),
        Share(TaskMetricNames.NameExact, (item, output) => CopyMetrics.Of(BriefOf(item), output).NameExact ? 1 : 0),
        Share(TaskMetricNames.FactsRestated, (item, output) => CopyMetrics.Of(BriefOf(item), output).FactRecall),
        Share(TaskMetricNames.NothingForeign,
            (item, output) => output.Length > 0 && CopyMetrics.Of(BriefOf(item), output).Foreign.Count == 0 ? 1 : 0),
    ];

    public static TaskMetric Named(string name) => s_all.First(metric => metric.Name == name);

    /// <summary>The score over items, with its 95% interval by resampling items (Efron 1979), widened for few of them as
    /// <see cref="PairedBootstrap"/> is.</summary>
    /// <param name="counts">Of each item.</param>
    /// <param name="seed">The same seed gives the same interval.</param>
    /// <remarks>
    /// Where every item is right, or every one wrong, resampling knows no other; there a share has Wilson's interval (1927), which does.
    /// </remarks>
    public Interval Measure(IReadOnlyList<double[]> counts, int seed)
    {
        const int resamples = 2000;
        int n = counts.Count, width = counts[0].Length;
        if (n < PairedBootstrap.MinClusters)
            throw new ArgumentException($"{n} items, expected at least {PairedBootstrap.MinClusters}", nameof(counts));
        double estimate = Score(Sum(Enumerable.Range(0, n)));
        if (width == 2 && HigherIsBetter && counts.All(count => count[0] is 0 or 1)) return Wilson(estimate, n);
        var random = new Random(seed);
        double[] scores = new double[resamples];
        for (int i = 0; i < resamples; i++) scores[i] = Score(Sum(Enumerable.Range(0, n).Select(_ => random.Next(n))));
        Array.Sort(scores);
        double widen = Math.Sqrt(n / (n - 1.0)) * StudentT.Quantile(0.975, n - 1) / 1.959964;
        double low = estimate + widen * (scores[(int)(0.025 * (resamples - 1))] - estimate),
            high = estimate + widen * (scores[(int)(0.975 * (resamples - 1))] - estimate);
        return new(estimate, Math.Max(0, low), HigherIsBetter ? Math.Min(Name == TaskMetricNames.ChrF ? 100 : 1, high) : high);

        double[] Sum(IEnumerable<int> items)
        {
            double[] sum = new double[width];
            foreach (int item in items)
                for (int k = 0; k < width; k++) sum[k] += counts[item][k];
            return sum;
        }
    }

    internal static Interval Wilson(double share, int n)
    {
        const double z = 1.959964;
        double middle = (share + z * z / (2 * n)) / (1 + z * z / n),
            reach = z / (1 + z * z / n) * Math.Sqrt(share * (1 - share) / n + z * z / (4.0 * n * n));
        return new(share, Math.Max(0, middle - reach), Math.Min(1, middle + reach));
    }

    /// <summary>The mean of a share of each item.</summary>
    private static TaskMetric Share(string name, Func<TaskItem, string, double> of) =>
        new(name, true, (item, output) => [of(item, output), 1], Mean);

    /// <summary>Edits (Levenshtein 1966) by the length of the right answer.</summary>
    private static TaskMetric Error(string name, Func<string, string[]> units) => new(name, false, (item, output) =>
    {
        string[] right = units(item.Answer);
        return [Edits.Distance(units(output), right), right.Length];
    }, Mean);

    /// <summary>Letters of the answer that the output has at the same place, of those that are measured: of structure in three states,
    /// Q3.</summary>
    private static double[] PerLetter(TaskItem item, string output)
    {
        int right = 0, measured = 0;
        for (int i = 0; i < item.Answer.Length; i++)
        {
            if (item.Scored is { } marks && marks[i] == '0') continue;
            measured++;
            if (i < output.Length && output[i] == item.Answer[i]) right++;
        }
        return [right, measured];
    }

    private static double Mean(double[] sums) => sums[1] == 0 ? 0 : sums[0] / sums[1];

    /// <summary>Of each order up to six: n-grams of the output, of the answer, and of both. White space is left out.</summary>
    private static double[] NGrams(string output, string answer)
    {
        string[] said = Characters(output), right = Characters(answer);
        double[] counts = new double[3 * MaxOrder];
        for (int order = 1; order <= MaxOrder; order++)
        {
            Dictionary<string, int> mine = Grams(said, order), theirs = Grams(right, order);
            counts[3 * order - 3] = mine.Values.Sum();
            counts[3 * order - 2] = theirs.Values.Sum();
            counts[3 * order - 1] = mine.Sum(pair => Math.Min(pair.Value, theirs.GetValueOrDefault(pair.Key)));
        }
        return counts;

        static string[] Characters(string text) =>
            [.. text.EnumerateRunes().Where(rune => !System.Text.Rune.IsWhiteSpace(rune)).Select(rune => rune.ToString())];

        static Dictionary<string, int> Grams(string[] characters, int order) =>
            Enumerable.Range(0, Math.Max(0, characters.Length - order + 1)).Select(start => string.Concat(characters.AsSpan(start, order)))
                .CountBy(gram => gram).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>From 0 to 100.</summary>
    private static double ChrFOf(double[] sums)
    {
        double precision = 0, recall = 0;
        int orders = 0;
        for (int order = 0; order < MaxOrder; order++)
        {
            if (sums[3 * order] == 0 || sums[3 * order + 1] == 0) continue;
            precision += sums[3 * order + 2] / sums[3 * order];
            recall += sums[3 * order + 2] / sums[3 * order + 1];
            orders++;
        }
        if (orders == 0 || precision + recall == 0) return 0;
        (precision, recall) = (precision / orders, recall / orders);
        return 100 * (1 + Beta * Beta) * precision * recall / (Beta * Beta * precision + recall);
    }

    private static Brief BriefOf(TaskItem item) => new(
        item.Fields["name"], item.Fields.GetValueOrDefault("kind") ?? Brief.Description, TaskFolder.Items(item.Fields["facts"]),
        TaskFolder.Items(item.Fields.GetValueOrDefault("categories") ?? ""), item.Fields.GetValueOrDefault("audience") ?? "",
        item.Fields.GetValueOrDefault("tone") ?? "");
}

/// <summary>Insertions, deletions and substitutions between two sequences (Levenshtein 1966).</summary>
internal static class Edits
{
    /// <param name="a">One.</param>
    /// <param name="b">The other.</param>
    /// <param name="bound">Beyond it, any larger number may be returned.</param>
    public static int Distance<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b, int bound = int.MaxValue) where T : IEquatable<T>
    {
        if (Math.Abs(a.Length - b.Length) > bound) return int.MaxValue;
        Span<int> row = b.Length < 256 ? stackalloc int[b.Length + 1] : new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++) row[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0], least = row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int value = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1].Equals(b[j - 1]) ? 0 : 1));
                (row[j], diagonal) = (value, row[j]);
                least = Math.Min(least, value);
            }
            if (least > bound) return int.MaxValue;
        }
        return row[b.Length];
    }

    public static int Distance(string[] a, string[] b) => Distance<string>(a, b);
}
