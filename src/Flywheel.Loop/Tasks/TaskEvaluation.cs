using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Loop.Tasks;

/// <summary>How well a model does a task, on items that were held out: a file of the home, <c>evaluations/TASK/MODEL.json</c>.</summary>
public sealed record TaskEvaluation
{
    public required string Task { get; init; }

    /// <summary>Hash of the model.</summary>
    public required string Model { get; init; }

    public required string ModelName { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>Held-out items that were asked.</summary>
    public required int NumItems { get; init; }

    /// <summary>Held-out items that there are.</summary>
    public required int NumHeldOut { get; init; }

    /// <summary>In the order of the task's metrics.</summary>
    public required IReadOnlyList<TaskScore> Scores { get; init; }

    /// <summary>Some of the answers, for whoever wants to see.</summary>
    public IReadOnlyList<TaskSample> Samples { get; init; } = [];

    private static string FileOf(FlywheelHome home, string task, string model) =>
        Path.Combine(home.Path, "evaluations", task, $"{model}.json");

    /// <summary>The last one of a model; null when there is none, or none that can be read.</summary>
    public static TaskEvaluation? Read(FlywheelHome home, string task, string model)
    {
        string file = FileOf(home, task, model);
        try
        {
            return File.Exists(file) ? JsonSerializer.Deserialize<TaskEvaluation>(Utf8File.ReadText(file), JsonText.Compact) : null;
        }
        catch (Exception e) when (e is JsonException or FlywheelException or IOException)
        {
            return null; // it can be made again
        }
    }

    /// <returns>The file.</returns>
    public string Write(FlywheelHome home)
    {
        string file = FileOf(home, Task, Model);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonText.Indented) + "\n");
        return file;
    }
}

/// <summary>A metric's value with its 95% interval, and the baseline's on the same items.</summary>
public sealed record TaskScore(string Metric, bool HigherIsBetter, double Value, double Low, double High, double? Baseline = null,
    double? BaselineLow = null, double? BaselineHigh = null);

/// <summary>One held-out item: what was asked, what is right, what the model and the baseline said.</summary>
public sealed record TaskSample(IReadOnlyDictionary<string, string> Fields, string Expected, string Output, string? Baseline);
