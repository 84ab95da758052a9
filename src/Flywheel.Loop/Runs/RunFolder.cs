using System.Globalization;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Runs;

/// <summary>A run as its folder tells it: recipe, experiment, log, result.</summary>
public sealed class RunFolder
{
    private readonly Lazy<IReadOnlyList<LogLine>> _lines;

    private RunFolder(string path)
    {
        Path = path;
        _lines = new(() => TrainingLog.Read(path));
        Result = TrainingResult.Read(path);
        Experiment = Experiment.Read(path);
    }

    public string Path { get; }

    public string Name => System.IO.Path.GetFileName(Path);

    /// <summary>Null until it has finished.</summary>
    public TrainingResult? Result { get; }

    /// <summary>Null for runs of a turn's inner machinery that were made before experiments were kept.</summary>
    public Experiment? Experiment { get; }

    public IReadOnlyList<LogLine> Lines => _lines.Value;

    public LogLine? LastStep => Lines.LastOrDefault(line => line.Loss is not null);

    public double? ValidationLoss => Result?.ValidationLoss ?? Lines.LastOrDefault(line => line.ValidationLoss is not null)?.ValidationLoss;

    public double Seconds => Lines.Count == 0 ? 0 : Lines[^1].Seconds;

    /// <summary>What was spent: processor threads times hours.</summary>
    public double ThreadHours => Seconds / 3600 * (Experiment?.NumThreads ?? 1) * (Experiment?.NumRanks ?? 1);

    /// <summary>Steps that its log has, and of how many where the recipe says so.</summary>
    public string Steps =>
        string.Create(CultureInfo.InvariantCulture,
            $"{LastStep?.Step ?? 0:N0}{(Result is null && RecipeFile.Parse(Recipe, Name).Train.Steps is { } all and > 0 ? $" of {all:N0}" : "")}");

    /// <summary>Whether a process is training it now: it holds the run's lock.</summary>
    public bool IsRunning
    {
        get
        {
            if (Result is not null) return false;
            try
            {
                using var mine = new FileStream(System.IO.Path.Combine(Path, "lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                return false;
            }
            catch (FileNotFoundException)
            {
                return false;
            }
            catch (IOException)
            {
                return true;
            }
        }
    }

    public string Recipe => File.ReadAllText(System.IO.Path.Combine(Path, "recipe.yaml"));

    /// <summary>Oldest first.</summary>
    public static IReadOnlyList<RunFolder> All(FlywheelHome home) =>
        [.. Directory.GetDirectories(home.Runs).Where(IsRun).OrderBy(Directory.GetCreationTimeUtc).Select(path => new RunFolder(path))];

    /// <param name="home">Where runs lie.</param>
    /// <param name="name">A run's name, or the beginning of just one.</param>
    /// <exception cref="FlywheelException">There is no such run, or several.</exception>
    public static RunFolder Find(FlywheelHome home, string name)
    {
        string[] runs = [.. Directory.GetDirectories(home.Runs).Where(IsRun)];
        string[] found = [.. runs.Where(path => System.IO.Path.GetFileName(path).StartsWith(name, StringComparison.Ordinal))];
        string? exact = found.FirstOrDefault(path => System.IO.Path.GetFileName(path) == name);
        if (exact is null && found.Length != 1)
            throw new FlywheelException(found.Length == 0
                ? $"no run is called '{name}'{NearestName.Hint(name, [.. runs.Select(path => System.IO.Path.GetFileName(path))])}"
                : $"'{name}' is the beginning of {found.Length} runs: {string.Join(", ", found.Select(System.IO.Path.GetFileName))}");
        return new RunFolder(exact ?? found[0]);
    }

    private static bool IsRun(string folder) => File.Exists(System.IO.Path.Combine(folder, "run.json"));
}
