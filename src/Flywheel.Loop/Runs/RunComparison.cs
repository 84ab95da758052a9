using Flywheel.Model;
using Flywheel.Training;
using ScottPlot;

namespace Flywheel.Loop.Runs;

/// <summary>Runs side by side: in what their recipes differ, how they ended, and their curves in one plot.</summary>
public static class RunComparison
{
    /// <summary>Recipe fields in which the runs differ, with each run's value; "-" where a run has none.</summary>
    public static IReadOnlyList<(string Field, string[] Values)> Differences(IReadOnlyList<RunFolder> runs)
    {
        Dictionary<string, string>[] fields =
            [.. runs.Select(run => RecipeFile.Fields(RecipeFile.Parse(run.Recipe, Path.Combine(run.Path, "recipe.yaml"))))];
        return [.. fields.SelectMany(each => each.Keys).Distinct()
            .Select(field => (field, fields.Select(each => each.GetValueOrDefault(field, "-")).ToArray()))
            .Where(entry => entry.Item2.Distinct().Count() > 1)];
    }

    /// <summary>The finished run with the least loss on held-out data among those that were tested on the same; per data.</summary>
    public static IReadOnlyList<RunFolder> Best(IReadOnlyList<RunFolder> runs) =>
        [.. runs.Where(run => run.Result?.ValidationLoss is not null).GroupBy(run => run.Experiment?.ValidationDataset)
            .Select(group => group.MinBy(run => run.Result!.ValidationLoss)!)];

    /// <summary>
    /// Draws the curves over tokens: loss on held-out data where all runs have some, else the training loss, smoothed.
    /// </summary>
    /// <param name="runs">Drawn and named in this order; runs of one label have one colour, the first is drawn strongest.</param>
    /// <param name="path">Ends with .svg or .png.</param>
    /// <param name="title">Over the plot.</param>
    /// <exception cref="FlywheelException">No run has a curve, or the file's type is another.</exception>
    public static void Draw(IReadOnlyList<(string Label, RunFolder Run)> runs, string path, string title)
    {
        bool validation = runs.All(run => Points(run.Run, validation: true).Count > 1);
        using var plot = new Plot();
        plot.Title(title);
        double mostTokens = runs.Max(run => run.Run.LastStep?.Tokens ?? 0), unit = mostTokens >= 2_000_000 ? 1e6 : 1e3;
        plot.XLabel(unit == 1e6 ? "million tokens" : "thousand tokens");
        plot.YLabel(validation ? "held-out loss (nats per token)" : "training loss (nats per token)");
        List<double> late = [];
        Dictionary<string, Color> colors = [];
        foreach ((string label, RunFolder run) in runs)
        {
            IReadOnlyList<(double Tokens, double Loss)> points = Points(run, validation);
            if (points.Count == 0) continue;
            double[] losses = [.. points.Select(point => point.Loss)];
            if (!validation) losses = TrainingLog.Smooth(losses);
            var line = plot.Add.Scatter(points.Select(point => point.Tokens / unit).ToArray(), losses);
            bool isFirst = colors.TryAdd(label, line.Color);
            (line.LineWidth, line.MarkerSize, line.LegendText, line.Color) = (isFirst ? 2 : 1, validation ? (isFirst ? 5 : 3) : 0,
                isFirst ? label : "", colors[label]);
            late.AddRange(losses.Skip(losses.Length / 10));
        }
        if (late.Count == 0) throw new FlywheelException("none of these runs has a curve yet");
        // The fall from a random guess would flatten what is worth seeing.
        double low = late.Min(), high = late.Max();
        if (high > low) plot.Axes.SetLimitsY(low - 0.05 * (high - low), high + 0.05 * (high - low));
        plot.ShowLegend(Alignment.UpperRight);
        Save(plot, path);
    }

    internal static void Save(Plot plot, string path)
    {
        const int width = 900, height = 540;
        switch (Path.GetExtension(path))
        {
            case ".svg":
                AtomicFile.WriteText(path, plot.GetSvgXml(width, height));
                break;
            case ".png":
                AtomicFile.Write(path, stream => stream.Write(plot.GetImageBytes(width, height, ImageFormat.Png)));
                break;
            default:
                throw new FlywheelException($"{path}: a picture ends with .svg or .png");
        }
    }

    private static IReadOnlyList<(double Tokens, double Loss)> Points(RunFolder run, bool validation) =>
        [.. run.Lines.Select(line => (line.Tokens, Loss: validation ? line.ValidationLoss : line.Loss))
            .Where(point => point.Loss is { } loss && double.IsFinite(loss)).Select(point => ((double)point.Tokens, point.Loss!.Value))];
}
