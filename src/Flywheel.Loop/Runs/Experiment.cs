using System.Reflection;
using System.Text.Json;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Runs;

/// <summary>
/// What a run was, what it was expected to take, and what it took: experiment.json in its folder, beside the recipe and the
/// log. Nothing in it decides the run's bits.
/// </summary>
public sealed record Experiment
{
    private const string FileName = "experiment.json";

    public required string Recipe { get; init; }

    public required int Seed { get; init; }

    /// <summary>Version and git commit of the program.</summary>
    public required string Revision { get; init; }

    public required string Dataset { get; init; }

    public string? ValidationDataset { get; init; }

    /// <summary>Hash of the model that it started from.</summary>
    public string? Base { get; init; }

    public required long NumParameters { get; init; }

    public required DateTimeOffset Started { get; init; }

    public required string Machine { get; init; }

    /// <summary>Of each rank.</summary>
    public required int NumThreads { get; init; }

    /// <summary>Processes that it began with.</summary>
    public int NumRanks { get; init; } = 1;

    /// <summary>Made before the first step; null of a run too short to be worth it.</summary>
    public TrainingForecast? Forecast { get; init; }

    public static string ThisRevision { get; } =
        typeof(Experiment).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>Of a run's folder; null when it has none.</summary>
    public static Experiment? Read(string runFolder)
    {
        string path = Path.Combine(runFolder, FileName);
        return File.Exists(path) ? JsonSerializer.Deserialize<Experiment>(File.ReadAllText(path), JsonText.Compact) : null;
    }

    public void Write(string runFolder)
    {
        Directory.CreateDirectory(runFolder);
        AtomicFile.WriteText(Path.Combine(runFolder, FileName), JsonSerializer.Serialize(this, JsonText.Indented) + "\n");
    }

    /// <summary>The processor's name and how many there are.</summary>
    public static string ThisMachine()
    {
        const string cpuInfo = "/proc/cpuinfo", field = "model name";
        string? name = File.Exists(cpuInfo)
            ? File.ReadLines(cpuInfo)
                .FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))?.Split(':', 2)[1].Trim() : null;
        return $"{name ?? System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString()}, {Environment.ProcessorCount} processors";
    }
}
