using System.Globalization;

namespace Flywheel.Voice;

/// <summary>One subtitle: plain text without markup, shown from a time to a time.</summary>
/// <param name="Start">Since the beginning, in whole milliseconds as the formats keep it.</param>
/// <param name="End">Not before <paramref name="Start"/>.</param>
/// <param name="Text">Lines separated by \n; no line is blank.</param>
/// <param name="Role">Who speaks, when the format says it (WebVTT's <c>v</c>).</param>
/// <param name="Line">Where its times stand in the file; 0 when it comes from none.</param>
public sealed record Cue(TimeSpan Start, TimeSpan End, string Text, string? Role = null, int Line = 0)
{
    /// <summary>Pairs of cues that are shown at the same time for a while, each with its follower in time.</summary>
    public static IEnumerable<(Cue First, Cue Second)> Overlaps(IEnumerable<Cue> cues)
    {
        Cue? last = null; // the one that ends last so far
        foreach (Cue cue in cues.OrderBy(cue => cue.Start))
        {
            if (last is not null && cue.Start < last.End) yield return (last, cue);
            if (last is null || cue.End >= last.End) last = cue;
        }
    }

    /// <summary><c>line 12 (00:00:04.000 to 00:00:06.500)</c>.</summary>
    public override string ToString() => $"{(Line > 0 ? $"line {Line} " : "")}({Clock(Start, '.')} to {Clock(End, '.')})";

    /// <summary>Hours, minutes, seconds, milliseconds.</summary>
    internal static string Clock(TimeSpan time, char point) => string.Create(CultureInfo.InvariantCulture,
        $"{(long)time.TotalHours:00}:{time.Minutes:00}:{time.Seconds:00}{point}{time.Milliseconds:000}");
}
