using System.Globalization;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>Figures of an evaluation as a person reads them.</summary>
internal static class TaskFigures
{
    /// <summary>A sign is not parted from its number at the end of a line.</summary>
    private const string Percent = "\u00A0%";

    /// <summary>A share in percent; chrF in its own points from 0 to 100.</summary>
    public static string Value(string metric, double value) => metric == TaskMetricNames.ChrF
        ? value.ToString("0.0", CultureInfo.InvariantCulture) : (100 * value).ToString("0.0", CultureInfo.InvariantCulture) + Percent;

    /// <summary>The value with its interval.</summary>
    public static string WithInterval(string metric, double value, double low, double high) =>
        $"{Value(metric, value)} ({Value(metric, low).Replace(Percent, "", StringComparison.Ordinal)}–{Value(metric, high).Replace(Percent, "", StringComparison.Ordinal)})";

    /// <summary>The model's interval lies beyond the baseline's: better, worse, or null where they overlap.</summary>
    public static bool? Beats(TaskScore score) => score is not { BaselineLow: { } low, BaselineHigh: { } high } ? null
        : score.HigherIsBetter ? score.Low > high ? true : score.High < low ? false : null
        : score.High < low ? true : score.Low > high ? false : null;
}
