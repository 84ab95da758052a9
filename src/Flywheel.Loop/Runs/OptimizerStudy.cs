using System.Globalization;
using Flywheel.Model;
using Flywheel.Training;
using ScottPlot;

namespace Flywheel.Loop.Runs;

/// <summary>Held-out losses of one optimiser's runs.</summary>
/// <param name="Optimizer">As a recipe names it.</param>
/// <param name="Rates">What the grid found best, as overrides.</param>
/// <param name="Curves">One a seed: steps and losses, ascending by step.</param>
public sealed record OptimizerCurves(string Optimizer, IReadOnlyList<string> Rates,
    IReadOnlyList<IReadOnlyList<(int Step, double Loss)>> Curves)
{
    public IReadOnlyList<double> Final => [.. Curves.Select(curve => curve[^1].Loss)];

    /// <summary>Steps until a loss is reached, of each seed: between evaluations on a straight line; null where it is not.</summary>
    public IReadOnlyList<double?> StepsTo(double loss) => [.. Curves.Select(curve =>
    {
        int i = Enumerable.Range(0, curve.Count).FirstOrDefault(at => curve[at].Loss <= loss, -1);
        if (i < 0) return (double?)null;
        if (i == 0) return curve[0].Step;
        ((int before, double above), (int after, double below)) = (curve[i - 1], curve[i]);
        return before + (after - before) * (above - loss) / (above - below);
    })];
}

/// <summary>
/// AdamW against Muon on one recipe. Each gets the best learning rates of a small grid on the first seed; then both train
/// with every seed. Runs are kept, so that a study that was stopped goes on.
/// </summary>
public sealed class OptimizerStudy(RecipeRunner runner, string recipe)
{
    private static readonly double[] AdamRates = [3.75e-4, 7.5e-4, 1.5e-3, 3e-3, 6e-3];
    private static readonly double[] MuonRates = [0.01, 0.02, 0.04];

    /// <summary>Told of every finished run.</summary>
    public Action<string>? Said { get; init; }

    public OptimizerCurves AdamW(int numSeeds, CancellationToken cancellation) =>
        Study(TrainRecipe.AdamW, [.. AdamRates.Select(rate => new[] { Rate("train.learning_rate", rate) })], numSeeds, cancellation);

    /// <param name="adam">Gives the rate of embeddings and gains, which Muon leaves to AdamW.</param>
    public OptimizerCurves Muon(OptimizerCurves adam, int numSeeds, CancellationToken cancellation) =>
        Study(TrainRecipe.Muon, [.. MuonRates.Select(rate => (string[])[.. adam.Rates, Rate("train.muon_learning_rate", rate)])], numSeeds,
            cancellation);

    private OptimizerCurves Study(string optimizer, string[][] grid, int numSeeds, CancellationToken cancellation)
    {
        string[] best = grid.MinBy(rates => Run(optimizer, rates, 1, cancellation)[^1].Loss)!;
        return new OptimizerCurves(optimizer, best,
            [.. Enumerable.Range(1, numSeeds).Select(seed => Run(optimizer, best, seed, cancellation))]);
    }

    private IReadOnlyList<(int Step, double Loss)> Run(string optimizer, string[] rates, int seed, CancellationToken cancellation)
    {
        FinishedRun run = runner.Run(recipe, [$"train.optimizer={optimizer}", .. rates, $"seed={seed}"], cancellation);
        (int, double)[] curve =
            [.. TrainingLog.Read(run.RunFolder).Where(line => line.ValidationLoss is not null)
                .Select(line => (line.Step, line.ValidationLoss!.Value))];
        if (curve.Length < 2)
            throw new FlywheelException($"{recipe}: has no held-out data to compare on, or train.evaluate_every is too large");
        Said?.Invoke(
            $"{optimizer} {string.Join(' ', rates)} seed {seed}: held-out loss {curve[^1].Item2:F4}, {TrainingResult.Read(run.RunFolder)!.Seconds:F0} s");
        return curve;
    }

    private static string Rate(string field, double value) => string.Create(CultureInfo.InvariantCulture, $"{field}={value:G3}");

    /// <summary>Every seed's curve, and the loss that AdamW ends at.</summary>
    public static void Draw(OptimizerCurves adam, OptimizerCurves muon, string title, string path)
    {
        using var plot = new Plot();
        plot.Title(title);
        plot.XLabel("optimiser steps");
        plot.YLabel("held-out loss (nats per token)");
        foreach ((OptimizerCurves curves, Color color, string name) in new[] { (adam, Colors.DarkOrange, "AdamW"),
            (muon, Colors.SteelBlue, "Muon") })
        {
            for (int i = 0; i < curves.Curves.Count; i++)
            {
                var line = plot.Add.Scatter(curves.Curves[i].Select(point => (double)point.Step).ToArray(),
                    curves.Curves[i].Select(point => point.Loss).ToArray());
                (line.Color, line.LineWidth, line.MarkerSize) = (color.WithAlpha(0.7), 1.5f, 3);
                if (i == 0)
                    line.LegendText =
                        $"{name} ({string.Join(", ", curves.Rates.Select(rate => rate[(rate.IndexOf('.', StringComparison.Ordinal) + 1)..]))})";
            }
        }
        var target = plot.Add.HorizontalLine(adam.Final.Average());
        (target.Color, target.LineWidth, target.LinePattern, target.LegendText) = (Colors.Gray, 1, LinePattern.Dashed, "AdamW's last loss");
        double[] late = [.. adam.Curves.Concat(muon.Curves).SelectMany(curve => curve.Skip(1).Select(point => point.Loss))];
        plot.Axes.SetLimitsY(late.Min() - 0.05, late.Max() + 0.05);
        plot.ShowLegend(Alignment.UpperRight);
        RunComparison.Save(plot, path);
    }
}
