using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>What became of a rendering.</summary>
/// <param name="Seconds">Of sound.</param>
/// <param name="NumLines">Lines that were spoken.</param>
/// <param name="NumEngineCalls">What was not in the cache.</param>
/// <param name="Fit">How the lines fit their times; null when none has one.</param>
/// <param name="Lines">Each.</param>
public sealed record RenderReport(double Seconds, int NumLines, long NumEngineCalls, FitSummary? Fit, IReadOnlyList<LineReport> Lines)
{
    /// <summary>Flag of a line that does not fit its time, whatever was done.</summary>
    public const string TooLong = "too_long";

    public string ToJson() => JsonSerializer.Serialize(this, JsonText.Indented);

    /// <summary>What is spoken, at the times at which it is.</summary>
    public IEnumerable<Cue> Cues(VoiceProject project) =>
        Lines.Zip(project.Lines,
            (at, line) => new Cue(TimeSpan.FromSeconds(at.Start), TimeSpan.FromSeconds(at.End),
                Plain(at.Text ?? line.Text, line.IsMarkup, project.Language), line.Role));

    /// <summary>What is read under a film: without tags.</summary>
    private static string Plain(string text, bool isMarkup, string language) =>
        !isMarkup ? text : string.Concat(Ssml.Parse(text, "markup", language).OfType<SpokenPiece>().Select(piece => piece.Text)).Trim();

    internal static RenderReport Create(VoiceProject project, IReadOnlyList<LinePlan> plans, IReadOnlyList<Placement> placements,
        long numCalls)
    {
        double Seconds(long samples) => Math.Round((double)samples / project.SampleRate, 6);
        LineReport[] lines = [.. plans.Select((plan, i) =>
        {
            (VoiceLine line, Placement at) = (project.Lines[i], placements[i]);
            return new LineReport(plan.LineId, line.Role, plan.Voice.Id, Seconds(at.Start), Seconds(at.End), plan.Hash)
            {
                Text = at.Choice > 0 ? line.Alternates[at.Choice - 1] : null,
                SecondsNatural = Seconds(at.Natural),
                SecondsAvailable = at.Slot is { } slot ? Seconds(slot) : null,
                Speed = Math.Round(at.Speed, 3),
                Borrowed = Seconds(at.Borrowed),
                Overrun = Seconds(at.Over),
                Delay = Seconds(at.Delay),
                Flag = at.Over > 0 ? TooLong : null,
            };
        })];
        return new RenderReport(placements.Count == 0 ? 0 : Seconds(placements.Max(at => at.End)), plans.Count, numCalls,
            FitSummary.Of(project, lines), lines);
    }
}

/// <param name="Id">Of the line.</param>
/// <param name="Role">Who speaks.</param>
/// <param name="Voice">With whose voice.</param>
/// <param name="Start">In seconds.</param>
/// <param name="End">In seconds.</param>
/// <param name="Hash">Of the sound at speed 1.</param>
public sealed record LineReport(string Id, string? Role, string Voice, double Start, double End, string Hash)
{
    /// <summary>The shorter text that was spoken instead.</summary>
    public string? Text { get; init; }

    /// <summary>At speed 1.</summary>
    public required double SecondsNatural { get; init; }

    /// <summary>Its time and what it may borrow; null when nothing bounds it.</summary>
    public required double? SecondsAvailable { get; init; }

    /// <summary>1 to 1.2, the same for all lines of a block.</summary>
    public required double Speed { get; init; }

    /// <summary>Seconds of the gap after it.</summary>
    public required double Borrowed { get; init; }

    /// <summary>Seconds too many, at the greatest speed.</summary>
    public required double Overrun { get; init; }

    /// <summary>Seconds that it begins late, because the line before overran.</summary>
    public required double Delay { get; init; }

    /// <summary><see cref="RenderReport.TooLong"/>, or null.</summary>
    public string? Flag { get; init; }
}

/// <summary>How lines fit their times, all together.</summary>
/// <param name="NumTimed">Lines that have a time.</param>
/// <param name="NumShortened">For which a shorter text was taken.</param>
/// <param name="NumFaster">Spoken faster than naturally.</param>
/// <param name="ShareAbove">Of the lines with a time: those that would need more than 1.2.</param>
/// <param name="LargestOverrun">In seconds.</param>
/// <param name="EndDrift">Seconds by which the last line ends after its time.</param>
public sealed record FitSummary(int NumTimed, int NumShortened, int NumFaster, double ShareAbove, double LargestOverrun, double EndDrift)
{
    internal static FitSummary? Of(VoiceProject project, IReadOnlyList<LineReport> lines)
    {
        int[] timed = [.. Enumerable.Range(0, lines.Count).Where(i => project.Lines[i].End is not null)];
        if (timed.Length == 0) return null;
        double drift = lines[timed[^1]].End - project.Lines[timed[^1]].End!.Value.TotalSeconds;
        return new FitSummary(timed.Length, timed.Count(i => lines[i].Text is not null), timed.Count(i => lines[i].Speed > 1),
            Math.Round(timed.Count(i => lines[i].Flag is not null) / (double)timed.Length, 4), timed.Max(i => lines[i].Overrun),
            Math.Round(Math.Max(0, drift), 6));
    }
}
