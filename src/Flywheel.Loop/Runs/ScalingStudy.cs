using System.Text.Json;
using Flywheel.Loop.Planning;
using Flywheel.Model;
using Flywheel.Training;
using ScottPlot;

namespace Flywheel.Loop.Runs;

/// <summary>What a scaling study found; scaling.json in its folder.</summary>
public sealed record ScalingResult
{
    private const string FileName = "scaling.json";

    public required string Recipe { get; init; }

    public required ScalingLaw Law { get; init; }

    public required IReadOnlyList<ScalingPoint> Points { get; init; }

    /// <summary>Tokens of the data; longer runs saw some of it again, which counts for a little less (Muennighoff et al. 2023, arXiv
    /// 2305.16264).</summary>
    public required long DataTokens { get; init; }

    /// <exception cref="FlywheelException">Not a study's folder.</exception>
    public static ScalingResult Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected the folder of './flywheel scaling'");
        try
        {
            return JsonSerializer.Deserialize<ScalingResult>(File.ReadAllText(path), JsonText.Compact) ?? throw new JsonException("empty");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{path}: malformed: {e.Message}", e);
        }
    }

    public void Write(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, JsonText.Indented) + "\n");
        foreach (string type in new[] { "svg", "png" }) Draw(Path.Combine(folder, $"scaling.{type}"));
    }

    /// <summary>Loss over operations, both as powers of ten, with the law's line for each size.</summary>
    private void Draw(string path)
    {
        using var plot = new Plot();
        plot.Title($"{Recipe}: loss = {Law.E:F2} + {Law.A:G3} / N^{Law.Alpha:F2} + {Law.B:G3} / D^{Law.Beta:F2}");
        plot.XLabel("training operations, 6 N D (powers of ten)");
        plot.YLabel("held-out loss (nats per token)");
        foreach (IGrouping<double, ScalingPoint> size in Points.GroupBy(point => point.Parameters).OrderBy(group => group.Key))
        {
            ScalingPoint[] points = [.. size.OrderBy(point => point.Tokens)];
            var marks = plot.Add.ScatterPoints(points.Select(Operations).ToArray(), points.Select(point => point.Loss).ToArray());
            (marks.MarkerSize, marks.LegendText) = (8, $"{size.Key / 1e6:G3} M parameters");
            double[] tokens =
                [.. Enumerable.Range(0, 41).Select(i => points[0].Tokens * Math.Pow(points[^1].Tokens / points[0].Tokens * 2, i / 40.0))];
            var line = plot.Add.ScatterLine(tokens.Select(count => Math.Log10(6 * size.Key * count)).ToArray(),
                tokens.Select(count => Law.Loss(size.Key, count)).ToArray());
            (line.Color, line.LineWidth) = (marks.Color, 1.5f);
        }
        plot.ShowLegend(Alignment.UpperRight);
        RunComparison.Save(plot, path);

        static double Operations(ScalingPoint point) => Math.Log10(6 * point.Parameters * point.Tokens);
    }
}

/// <summary>
/// Small runs of several sizes and lengths, from which a law follows that says what a larger one would reach. Sizes are
/// around the recipe's, lengths double, and each run has a schedule of its own length.
/// </summary>
public sealed class ScalingStudy
{
    private const int NumLengths = 3;
    private static readonly double[] Sizes = [0.125, 0.25, 0.5, 1];

    private readonly string _path;
    private readonly Recipe _recipe;
    private readonly ModelConfig[] _shapes;

    /// <exception cref="FlywheelException">The recipe starts from a base, or is no pretraining.</exception>
    public ScalingStudy(string path)
    {
        (_path, _recipe) = (path, RecipeFile.Load(path));
        if (_recipe.Model is not { } shape || _recipe.Train.Objective != NextToken.Id)
            throw new FlywheelException(
                $"{path}: a scaling law is of models from random weights, expected a recipe with 'model' and objective {NextToken.Id}");
        double full = shape.ToConfig(_recipe.Tokenizer!.Vocab).NumParameters;
        _shapes =
            [.. Sizes.Select(part => ModelShape.For(full * part, shape.Context, _recipe.Tokenizer.Vocab))
                .DistinctBy(config => config.NumParameters)];
        if (_shapes.Length < 3)
            throw new FlywheelException($"{path}: a model of {full:N0} parameters is too small to be made of three sizes");
    }

    public int NumRuns => _shapes.Length * NumLengths;

    /// <summary>Overrides of every run, shortest first, so that their times add up to the budget.</summary>
    /// <param name="budgetSeconds">Of training, in all.</param>
    /// <param name="flopsPerSecond">What training reaches here.</param>
    public IReadOnlyList<IReadOnlyList<string>> Plan(double budgetSeconds, double flopsPerSecond)
    {
        double perToken = _shapes.Sum(shape => ModelShape.TrainingFlops(shape, shape.MaxPositions)),
            lengths = Enumerable.Range(0, NumLengths).Sum(i => Math.Pow(2, i));
        double shortest = budgetSeconds * flopsPerSecond / (perToken * lengths);
        if (shortest < 10 * _recipe.Train.BatchTokens)
            throw new FlywheelException(
                $"the budget gives the shortest runs {shortest:N0} tokens, expected at least ten steps of {_recipe.Train.BatchTokens:N0}; give more minutes or a smaller recipe");
        return [.. from length in Enumerable.Range(0, NumLengths) from shape in _shapes select (IReadOnlyList<string>)
        [
            $"model.hidden={shape.HiddenSize}", $"model.intermediate={shape.IntermediateSize}", $"model.layers={shape.NumLayers}",
            $"model.heads={shape.NumHeads}",
            $"model.kv_heads={shape.NumKvHeads}", $"model.head_dim={shape.HeadDim}", "train.epochs=0",
            $"train.steps={(int)(shortest * Math.Pow(2, length) / _recipe.Train.BatchTokens)}",
        ]];
    }

    /// <param name="runs">As planned and finished.</param>
    /// <exception cref="FlywheelException">Too few have a held-out loss.</exception>
    public ScalingResult Fit(IEnumerable<FinishedRun> runs)
    {
        List<ScalingPoint> points = [];
        long dataTokens = 0;
        foreach (FinishedRun run in runs)
        {
            TrainingResult result = TrainingResult.Read(run.RunFolder)!;
            if (result.ValidationLoss is not { } loss) throw new FlywheelException($"{_path}: there is no held-out data to judge runs by");
            points.Add(new ScalingPoint(run.Result.Manifest.NumParameters, result.Tokens, loss));
            using TokenDataset data = TokenDataset.Open(run.Data.TrainPath);
            dataTokens = data.Manifest.NumTokens;
        }
        return new ScalingResult { Recipe = _recipe.Name, Law = ScalingLaw.Fit(points), Points = points, DataTokens = dataTokens };
    }
}
