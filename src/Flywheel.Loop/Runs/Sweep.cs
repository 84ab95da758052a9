using System.Globalization;
using Flywheel.Loop.Planning;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Runs;

/// <summary>One try of a sweep, in one rung.</summary>
public sealed record SweepTry
{
    /// <summary>Such as <c>train.learning_rate=1e-3</c>.</summary>
    public required IReadOnlyList<string> Overrides { get; init; }

    public required int Rung { get; init; }

    public required int Steps { get; init; }

    /// <summary>Name of the run; null when it failed.</summary>
    public string? Run { get; init; }

    /// <summary>Held-out loss at the end; null when it failed.</summary>
    public double? Loss { get; init; }

    public double Seconds { get; init; }

    /// <summary>Why it failed.</summary>
    public string? Failure { get; init; }

    /// <summary>Without the documents and the files that the error names.</summary>
    internal string? FailureInShort => Failure?.Split([", ", "; "], 2, StringSplitOptions.None)[0];

    /// <summary>The try and how it ended, in a line.</summary>
    public string InWords =>
        $"rung {Rung + 1}, {Steps} steps, {string.Join(' ', Overrides)}: {(Loss is { } loss ? string.Create(CultureInfo.InvariantCulture, $"held-out loss {loss:F4}, {Amounts.Duration(Seconds)}") : $"failed: {FailureInShort}")}";
}

/// <summary>What a sweep found; sweep.json in its folder.</summary>
public sealed record SweepResult
{
    public required string Recipe { get; init; }

    public required double BudgetMinutes { get; init; }

    public required int NumRungs { get; init; }

    public required IReadOnlyList<SweepTry> Tries { get; init; }

    /// <summary>The best of the last rung.</summary>
    public SweepTry Winner =>
        Tries.Where(attempt => attempt.Loss is not null).OrderByDescending(attempt => attempt.Rung).ThenBy(attempt => attempt.Loss).First();
}

/// <summary>
/// Successive halving over values of recipe fields (Jamieson and Talwalkar 2016, arXiv 1502.07943): all combinations get a
/// short run, the best third a run three times as long, and so on; every rung takes an equal part of the budget. Each run has
/// its whole schedule, warm-down included, so that a rung compares finished models; all runs of a rung see equally many
/// tokens. Their number follows from the pace measured at the start, which is kept (<see cref="Pace"/>): started again, a sweep finds
/// the runs that it has finished and resumes the one that it was at.
/// </summary>
public sealed class Sweep
{
    /// <summary>One of so many goes on to the next rung.</summary>
    public const int Reduction = 3;

    private const int MostCombinations = 243, FewestSteps = 4;

    /// <summary>Fields that a sweep sets itself, or whose losses cannot be compared.</summary>
    private static readonly string[] Fixed = ["name", "base", "data", "tokenizer", "train.steps", "train.epochs", "train.objective"];

    private readonly string _path;
    private readonly double _budgetSeconds;
    private readonly IReadOnlyList<string[]> _combinations;

    /// <param name="path">Recipe file.</param>
    /// <param name="over">Such as <c>train.learning_rate=1e-3,3e-3</c>, each a field and its values.</param>
    /// <param name="budgetMinutes">Of training, in all.</param>
    /// <exception cref="FlywheelException">A field cannot be swept, a value does not fit it, or there is nothing to compare.</exception>
    public Sweep(string path, IReadOnlyList<string> over, double budgetMinutes)
    {
        if (!(budgetMinutes > 0 && double.IsFinite(budgetMinutes)))
            throw new FlywheelException($"--budget is {budgetMinutes}, expected minutes above 0");
        (_path, _budgetSeconds) = (path, budgetMinutes * 60);
        _combinations = Combine(over);
        foreach (string[] overrides in _combinations) RecipeFile.Load(path, overrides);
    }

    /// <summary>The recipe's path.</summary>
    public string Recipe => _path;

    /// <summary>What decides its runs, beside the pace: every combination's whole recipe, and the budget.</summary>
    public string Identity =>
        string.Create(CultureInfo.InvariantCulture,
            $"{_budgetSeconds}\n{string.Join('\n', _combinations.Select(overrides => RecipeFile.ToYaml(RecipeFile.Load(_path, overrides))))}");

    public int NumCombinations => _combinations.Count;

    /// <summary>So that two or three are left for the last.</summary>
    public int NumRungs => NumCombinations <= Reduction ? 1 : (int)Math.Ceiling(Math.Log(NumCombinations, Reduction) - 1e-9);

    /// <summary>Combinations in a rung.</summary>
    public int InRung(int rung) => rung == 0 ? NumCombinations : (InRung(rung - 1) + Reduction - 1) / Reduction;

    /// <param name="train">Runs the recipe with overrides; throws when the run fails.</param>
    /// <param name="tokensPerSecond">Of the first combination.</param>
    /// <param name="told">Told of each try as it ends.</param>
    /// <exception cref="FlywheelException">Every try failed.</exception>
    public SweepResult Run(Func<IReadOnlyList<string>, (string Run, TrainingResult Result)> train, double tokensPerSecond,
        Action<SweepTry>? told = null)
    {
        List<SweepTry> tries = [];
        // What is not known yet is as fast as its operations are few; what has run is as fast as it was.
        double flopsPerSecond = tokensPerSecond * Flops(_combinations[0]);
        Dictionary<string[], double> rates = _combinations.ToDictionary(overrides => overrides,
            overrides => flopsPerSecond / Flops(overrides));
        string[][] left = [.. _combinations];
        for (int rung = 0; rung < NumRungs; rung++)
        {
            double tokens = _budgetSeconds / NumRungs / left.Sum(overrides => 1 / rates[overrides]);
            foreach (string[] overrides in left)
            {
                SweepTry attempt = Try(train, overrides, rung, tokens, rates);
                tries.Add(attempt);
                told?.Invoke(attempt);
            }
            left = [.. left.Zip(tries.TakeLast(left.Length)).Where(pair => pair.Second.Loss is not null).OrderBy(pair => pair.Second.Loss)
                .Take(rung + 1 < NumRungs ? InRung(rung + 1) : 1).Select(pair => pair.First)];
            if (left.Length == 0) throw new FlywheelException($"every run of the sweep failed; the first: {tries[0].Failure}");
        }
        return new SweepResult { Recipe = Path.GetFileName(_path), BudgetMinutes = _budgetSeconds / 60, NumRungs = NumRungs,
            Tries = tries };
    }

    private SweepTry Try(Func<IReadOnlyList<string>, (string Run, TrainingResult Result)> train, string[] overrides, int rung,
        double tokens, Dictionary<string[], double> rates)
    {
        int steps = Math.Max(FewestSteps, (int)Math.Round(tokens / RecipeFile.Load(_path, overrides).Train.BatchTokens));
        var attempt = new SweepTry { Overrides = overrides, Rung = rung, Steps = steps };
        string run;
        TrainingResult result;
        try
        {
            (run, result) = train([.. overrides, "train.epochs=0", $"train.steps={steps}"]);
        }
        catch (FlywheelException e) // a rate that is too high ends with an infinite loss: that is an answer too
        {
            return attempt with { Failure = e.Message };
        }
        if (result.ValidationLoss is null)
            throw new FlywheelException($"{_path}: there is no held-out data to judge runs by; give the recipe more data");
        if (result.Seconds > 0) rates[overrides] = result.Tokens / result.Seconds;
        return attempt with { Run = run, Loss = double.IsFinite(result.ValidationLoss.Value) ? result.ValidationLoss : null,
            Seconds = result.Seconds };
    }

    private double Flops(string[] overrides)
    {
        Recipe recipe = RecipeFile.Load(_path, overrides);
        return recipe.Model is { } shape ? ModelShape.TrainingFlops(shape.ToConfig(recipe.Tokenizer!.Vocab), shape.Context) : 1;
    }

    private static IReadOnlyList<string[]> Combine(IReadOnlyList<string> over)
    {
        if (over.Count == 0)
            throw new FlywheelException("--over is missing, expected a field and values such as train.learning_rate=1e-3,3e-3");
        IEnumerable<string[]> combinations = [[]];
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (string text in over)
        {
            int equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw new FlywheelException($"--over '{text}' is no field with values, expected such as train.learning_rate=1e-3,3e-3");
            string field = text[..equals];
            string[] values = text[(equals + 1)..].Split(',', StringSplitOptions.TrimEntries);
            if (Fixed.Any(name => field == name || field.StartsWith(name + ".", StringComparison.Ordinal)
                || field.StartsWith(name + "[", StringComparison.Ordinal)))
                throw new FlywheelException(
                    $"--over '{field}' cannot be swept: {(field is "train.steps" or "train.epochs" ? "the sweep sets it from the budget" : "losses of other data or other vocabularies cannot be compared")}");
            if (!seen.Add(field)) throw new FlywheelException($"--over names '{field}' twice, expected all its values at once");
            if (values.Any(string.IsNullOrEmpty)) throw new FlywheelException($"--over '{text}' has an empty value");
            if (values.Distinct().Count() < values.Length) throw new FlywheelException($"--over '{text}' has a value twice");
            combinations = combinations.SelectMany(before => values.Select(value => (string[])[.. before, $"{field}={value}"]));
        }
        string[][] all = [.. combinations];
        if (all.Length < 2) throw new FlywheelException("--over has one combination, expected at least two to compare");
        if (all.Length > MostCombinations)
            throw new FlywheelException($"--over has {all.Length} combinations, expected at most {MostCombinations}");
        return all;
    }
}
