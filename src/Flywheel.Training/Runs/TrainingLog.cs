using System.Text.Json;
using Flywheel.Model;
using ScottPlot;

namespace Flywheel.Training;

/// <summary>One line of a run's log.jsonl: an optimiser step, or an evaluation when only the validation fields are set.</summary>
public sealed record LogLine
{
    /// <summary>Optimiser steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Mean over the step's target tokens, in nats; over its pairs for preference training, over its answers for KTO.</summary>
    public double? Loss { get; init; }

    /// <summary>Share of pairs told apart; for KTO, of answers that moved as they were judged.</summary>
    public double? Accuracy { get; init; }

    public double? LearningRate { get; init; }

    /// <summary>Before clipping.</summary>
    public double? GradientNorm { get; init; }

    /// <summary>Input tokens so far.</summary>
    public required long Tokens { get; init; }

    public double? TokensPerSecond { get; init; }

    /// <summary>Seconds of training so far, over all restarts.</summary>
    public required double Seconds { get; init; }

    /// <summary>Resident memory after the step; of several ranks, the first's.</summary>
    public long? MemoryBytes { get; init; }

    public double? ValidationLoss { get; init; }

    public double? ValidationAccuracy { get; init; }
}

/// <summary>A run's log file and its picture.</summary>
public static class TrainingLog
{
    public static string PathOf(string runFolder) => Path.Combine(runFolder, "log.jsonl");

    /// <summary>The log's lines; a last line that a kill cut short is left out.</summary>
    public static IReadOnlyList<LogLine> Read(string runFolder)
    {
        if (!File.Exists(PathOf(runFolder))) return [];
        List<LogLine> lines = [];
        foreach (string line in File.ReadLines(PathOf(runFolder)))
        {
            try
            {
                if (JsonSerializer.Deserialize<LogLine>(line, JsonText.Compact) is { } read) lines.Add(read);
            }
            catch (JsonException)
            {
                break;
            }
        }
        return lines;
    }

    /// <summary>Draws training and validation loss over tokens, as curve.svg and curve.png.</summary>
    public static void Draw(string runFolder, string title)
    {
        IReadOnlyList<LogLine> lines = Read(runFolder);
        LogLine[] steps = [.. lines.Where(line => line.Loss is not null)],
            evaluations = [.. lines.Where(line => line.ValidationLoss is not null)];
        if (steps.Length == 0) return;
        double unit = steps[^1].Tokens >= 2_000_000 ? 1e6 : 1e3;
        using var plot = new Plot();
        plot.Title(title);
        plot.XLabel(unit == 1e6 ? "million tokens" : "thousand tokens");
        plot.YLabel(steps[0].Accuracy is null ? "loss (nats per token)" : "loss (per pair or answer)");
        var raw = plot.Add.ScatterLine(steps.Select(line => line.Tokens / unit).ToArray(),
            steps.Select(line => line.Loss!.Value).ToArray());
        raw.Color = Colors.SteelBlue.WithAlpha(0.25);
        var smooth = plot.Add.ScatterLine(steps.Select(line => line.Tokens / unit).ToArray(),
            Smooth([.. steps.Select(line => line.Loss!.Value)]));
        (smooth.Color, smooth.LineWidth, smooth.LegendText) = (Colors.SteelBlue, 2, "training");
        if (evaluations.Length > 0)
        {
            var validation = plot.Add.Scatter(evaluations.Select(line => line.Tokens / unit).ToArray(),
                evaluations.Select(line => line.ValidationLoss!.Value).ToArray());
            (validation.Color, validation.LineWidth, validation.MarkerSize, validation.LegendText) = (Colors.DarkOrange, 2, 5,
                $"validation: {evaluations[^1].ValidationLoss:F3}");
        }
        // The first steps fall from the loss of a random guess; they would flatten what is worth seeing.
        double[] late =
            [.. steps.Skip(steps.Length / 20).Select(line => line.Loss!.Value)
                .Concat(evaluations.Skip(evaluations.Length / 10).Select(line => line.ValidationLoss!.Value)).Where(double.IsFinite)];
        if (late.Length > 1 && late.Max() > late.Min())
            plot.Axes.SetLimitsY(late.Min() - 0.05 * (late.Max() - late.Min()), late.Max() + 0.05 * (late.Max() - late.Min()));
        plot.ShowLegend(Alignment.UpperRight);
        AtomicFile.WriteText(Path.Combine(runFolder, "curve.svg"), plot.GetSvgXml(900, 500));
        AtomicFile.Write(Path.Combine(runFolder, "curve.png"), stream => stream.Write(plot.GetImageBytes(900, 500, ImageFormat.Png)));
    }

    /// <summary>Exponential mean over about 2% of the run.</summary>
    public static double[] Smooth(double[] values)
    {
        double keep = 1 - 1 / Math.Max(1, values.Length * 0.02), mean = values[0];
        return [.. values.Select(value => mean = keep * mean + (1 - keep) * value)];
    }
}
