using System.Globalization;
using System.Text;
using System.Text.Json;
using Flywheel.Data;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using ScottPlot;

namespace Flywheel.Loop.Runs;

/// <summary>What a difference says about a claim.</summary>
public enum UnifiedVerdict
{
    /// <summary>The interval lies on the claim's side.</summary>
    Holds,

    /// <summary>The interval lies on both sides: these items and seeds cannot tell.</summary>
    Open,

    /// <summary>The interval lies on the other side.</summary>
    Fails,
}

/// <summary>The scores of all arms so far, and the differences that the claim is about.</summary>
public sealed class UnifiedResult(UnifiedRecipe recipe, UnifiedScale scale, IReadOnlyList<UnifiedPortion> portions,
    IReadOnlyList<(string Task, TaskItem[] Items)> items)
{
    private const int Resamples = 2000;

    private readonly Dictionary<(UnifiedArm Arm, string Task),
        SortedDictionary<int, (double[][] Counts, long Parameters, double Seconds)>> _scores = [];

    internal IReadOnlyList<string> ItemsOf(string task) => [.. Of(task).Select(item => item.Id)];

    private TaskItem[] Of(string task) => items.First(one => one.Task == task).Items;

    private UnifiedTask TaskOf(string task) => recipe.Tasks.First(one => one.Task == task);

    /// <param name="arm">Who.</param>
    /// <param name="task">On what.</param>
    /// <param name="seed">Of the training; 0 where there is none.</param>
    /// <param name="outputs">One for each item.</param>
    /// <param name="parameters">Of the model.</param>
    /// <param name="seconds">That its training took; of the one model, for all tasks.</param>
    public void Add(UnifiedArm arm, string task, int seed, IReadOnlyList<string> outputs, long parameters, double seconds)
    {
        TaskMetric metric = TaskMetric.Named(TaskOf(task).Metric);
        if (!_scores.TryGetValue((arm, task), out var seeds)) _scores[(arm, task)] = seeds = [];
        seeds[seed] = ([.. Of(task).Select((item, i) => metric.Count(item, outputs[i]))], parameters, seconds);
    }

    /// <summary>The mean of the seeds' scores; null where there is none.</summary>
    public double? Score(UnifiedArm arm, string task) => _scores.TryGetValue((arm, task), out var seeds)
        ? seeds.Values.Average(seed => ScoreOf(task, seed.Counts, null)) : null;

    /// <summary>
    /// How much better the one model is than an arm on a task (less is worse, whatever the metric), with a 95% interval: items are drawn
    /// again with
    /// replacement, the same for both arms and all seeds that both have (paired bootstrap; Koehn 2004), widened for few items.
    /// </summary>
    /// <returns>Null where an arm has no score yet.</returns>
    public Interval? Gain(UnifiedArm over, string task)
    {
        if (!_scores.TryGetValue((UnifiedArm.One, task), out var one) || !_scores.TryGetValue((over, task), out var other)) return null;
        int[] seeds = over == UnifiedArm.Classical ? [.. one.Keys] : [.. one.Keys.Intersect(other.Keys)];
        if (seeds.Length == 0) return null;
        int n = Of(task).Length;
        double estimate = Difference(null);
        var random = new Random(1);
        double[] drawn = [.. Enumerable.Range(0, Resamples).Select(_ =>
        {
            int[] draw = new int[n];
            for (int i = 0; i < n; i++) draw[i] = random.Next(n);
            return Difference(draw);
        }).Order()];
        double widen = Math.Sqrt(n / (n - 1.0)) * StudentT.Quantile(0.975, n - 1) / 1.959964;
        return new Interval(estimate, estimate + widen * (drawn[(int)(0.025 * (Resamples - 1))] - estimate),
            estimate + widen * (drawn[(int)(0.975 * (Resamples - 1))] - estimate));

        double Difference(int[]? draw) => (TaskMetric.Named(TaskOf(task).Metric).HigherIsBetter ? 1 : -1) * seeds.Average(seed =>
            ScoreOf(task, one[seed].Counts, draw) - ScoreOf(task, (over == UnifiedArm.Classical ? other[0] : other[seed]).Counts, draw));
    }

    /// <summary>Whether the one model is within the margin of the specialist of its size.</summary>
    public UnifiedVerdict? WithinMargin(string task) =>
        Gain(UnifiedArm.Specialist, task) is { } gain ? Judge(gain, -TaskOf(task).Margin) : null;

    /// <summary>Whether the one model is better than the small specialist.</summary>
    public UnifiedVerdict? BetterThanSmall(string task) => Gain(UnifiedArm.SmallSpecialist, task) is { } gain ? Judge(gain, 0) : null;

    /// <summary>Where both say the same to every item, as when neither has learnt anything, there is nothing to judge by.</summary>
    private static UnifiedVerdict Judge(Interval gain, double bound) =>
        gain.Low == gain.High ? UnifiedVerdict.Open : gain.Low > bound ? UnifiedVerdict.Holds : gain.High < bound
            ? UnifiedVerdict.Fails : UnifiedVerdict.Open;

    private double ScoreOf(string task, double[][] counts, int[]? draw)
    {
        double[] sum = new double[counts[0].Length];
        for (int i = 0; i < counts.Length; i++)
        {
            double[] item = counts[draw is null ? i : draw[i]];
            for (int k = 0; k < sum.Length; k++) sum[k] += item[k];
        }
        return TaskMetric.Named(TaskOf(task).Metric).Score(sum);
    }

    /// <summary>Writes table.md, result.json and, once there is something to draw, gains.svg.</summary>
    public void Write(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "table.md"), ToMarkdown());
        AtomicFile.WriteText(Path.Combine(folder, "result.json"), JsonSerializer.Serialize(new
        {
            recipe = recipe.Name,
            scale,
            portions,
            scores = _scores.SelectMany(entry =>
                entry.Value.Select(seed => new { arm = $"{entry.Key.Arm}", task = entry.Key.Task, seed = seed.Key,
                    score = ScoreOf(entry.Key.Task, seed.Value.Counts, null), parameters = seed.Value.Parameters,
                    seconds = Math.Round(seed.Value.Seconds) })),
        }, JsonText.Indented) + "\n");
        if (recipe.Tasks.Any(task => Gain(UnifiedArm.Specialist, task.Task) is not null)) Draw(Path.Combine(folder, "gains.svg"));
    }

    /// <summary>A row a task, and what follows for the claim.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder();
        int seeds = _scores.Where(entry => entry.Key.Arm == UnifiedArm.One).Select(entry => entry.Value.Count).DefaultIfEmpty(0).Max();
        text.AppendLine(CultureInfo.InvariantCulture,
            $"{Sizes()}; {Amounts.Short(scale.Tokens)} tokens a task; {seeds} seed{(seeds == 1 ? "" : "s")}; at most {scale.Items} held-out items a task.\n");
        text.AppendLine(
            "| task | metric | U: one model | S: specialist, same size | s: specialist, a share of the size | C: classical | U beside S | within the margin? | U beside s | better? |");
        text.AppendLine("|---|---|---:|---:|---:|---:|---:|---|---:|---|");
        foreach (UnifiedTask task in recipe.Tasks)
        {
            string Cell(UnifiedArm arm) => Score(arm, task.Task) is { } score ? Figure(task, score) : "–";
            string Beside(UnifiedArm arm) =>
                Gain(arm, task.Task) is { } gain
                    ? $"{Signed(task, gain.Estimate)} [{Signed(task, gain.Low)}, {Signed(task, gain.High)}]" : "–";
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {task.Task} | {task.Metric} | {Cell(UnifiedArm.One)} | {Cell(UnifiedArm.Specialist)} | {Cell(UnifiedArm.SmallSpecialist)} | {Cell(UnifiedArm.Classical)} | {Beside(UnifiedArm.Specialist)} | {Word(WithinMargin(task.Task), "within", "worse")} | {Beside(UnifiedArm.SmallSpecialist)} | {Word(BetterThanSmall(task.Task), "better", "worse")} |");
        }
        return text.AppendLine().AppendLine(Conclusion()).ToString();
    }

    private string Sizes()
    {
        static string Range(IReadOnlyList<long> counts) =>
            counts.Count == 0 ? "–" : counts.Min() == counts.Max()
                ? Amounts.Short(counts[0]) : $"{Amounts.Short(counts.Min())} to {Amounts.Short(counts.Max())}";
        IReadOnlyList<long> Of(UnifiedArm arm) =>
            [.. _scores.Where(entry => entry.Key.Arm == arm).SelectMany(entry => entry.Value.Values).Select(seed => seed.Parameters)];
        return $"Parameters: U {Range(Of(UnifiedArm.One))}, S {Range(Of(UnifiedArm.Specialist))}, s {Range(Of(UnifiedArm.SmallSpecialist))}";
    }

    /// <summary>In words, from what is there.</summary>
    public string Conclusion()
    {
        UnifiedVerdict?[] within = [.. recipe.Tasks.Select(task => WithinMargin(task.Task))],
            better = [.. recipe.Tasks.Select(task => BetterThanSmall(task.Task))];
        if (within.Any(verdict => verdict is null) || better.Any(verdict => verdict is null)) return "Not all arms are there yet.";
        int inside = within.Count(verdict => verdict == UnifiedVerdict.Holds),
            outside = within.Count(verdict => verdict == UnifiedVerdict.Fails),
            above = better.Count(verdict => verdict == UnifiedVerdict.Holds),
            below = better.Count(verdict => verdict == UnifiedVerdict.Fails), all = recipe.Tasks.Count;
        string claim = outside > recipe.Exceptions || below > 0 ? "The claim fails" : inside >= all - recipe.Exceptions && above == all
            ? "The claim holds" : "The claim is neither shown nor refuted";
        return $"{claim}: U is within the margin of S on {inside} of {all} tasks (worse on {outside}, open on {all - inside - outside}; {all - recipe.Exceptions} were needed), and better than s on {above} of {all} (worse on {below}).";
    }

    private static string Word(UnifiedVerdict? verdict, string holds, string fails) =>
        verdict switch { UnifiedVerdict.Holds => holds, UnifiedVerdict.Fails => fails, UnifiedVerdict.Open => "open", _ => "–" };

    private static double Points(UnifiedTask task, double value) => task.Metric == TaskMetricNames.ChrF ? value : 100 * value;

    private static string Figure(UnifiedTask task, double score) => Points(task, score).ToString("0.0", CultureInfo.InvariantCulture);

    private static string Signed(UnifiedTask task, double value) =>
        Points(task, value).ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);

    /// <summary>Gains in points with their intervals, and the margins.</summary>
    private void Draw(string path)
    {
        using var plot = new Plot();
        plot.Title($"{recipe.Name}: how much better the one model is ({scale.Name})");
        plot.XLabel("points of each task's metric, 95% intervals");
        UnifiedTask[] tasks = [.. recipe.Tasks.Reverse()];
        foreach ((UnifiedArm arm, Color colour, double shift,
            string name) in new[] { (UnifiedArm.Specialist, Colors.SteelBlue, 0.12, "than a specialist of its size"),
                (UnifiedArm.SmallSpecialist, Colors.DarkOrange, -0.12, "than one of a share of its size") })
        {
            bool named = false;
            foreach ((int row, UnifiedTask task) in tasks.Index())
            {
                if (Gain(arm, task.Task) is not { } gain) continue;
                double y = row + shift;
                var line = plot.Add.ScatterLine(new[] { Points(task, gain.Low), Points(task, gain.High) }, new[] { y, y });
                (line.Color, line.LineWidth) = (colour, 2);
                var mark = plot.Add.ScatterPoints(new[] { Points(task, gain.Estimate) }, new[] { y });
                (mark.Color, mark.MarkerSize) = (colour, 9);
                if (!named) mark.LegendText = name;
                named = true;
            }
        }
        foreach ((int row, UnifiedTask task) in tasks.Index())
        {
            double margin = -Points(task, task.Margin);
            var mark = plot.Add.ScatterLine(new[] { margin, margin }, new[] { row - 0.35, row + 0.35 });
            (mark.Color, mark.LineWidth, mark.LinePattern) = (Colors.Gray, 1.5f, LinePattern.Dashed);
            if (row == 0) mark.LegendText = "margin";
        }
        plot.Add.VerticalLine(0, 1, Colors.Black);
        plot.Axes.Left.SetTicks([.. Enumerable.Range(0, tasks.Length).Select(row => (double)row)], [.. tasks.Select(task => task.Task)]);
        plot.Axes.SetLimitsY(-0.7, tasks.Length - 0.3);
        plot.ShowLegend(Alignment.LowerRight);
        RunComparison.Save(plot, path);
    }
}
