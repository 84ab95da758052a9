using Flywheel.Model;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>One training pass of a turn.</summary>
internal sealed record ReportedRun(string Name, string Model, IReadOnlyList<LogLine> Log)
{
    public IReadOnlyList<double> Losses { get; } = [.. Log.Select(line => line.Loss).OfType<double>()];

    public string FromTo => Losses.Count == 0 ? "" : $"{Losses[0]:0.000} → {Losses[^1]:0.000}";
}

/// <summary>Everything that the report of a turn says; <see cref="TurnMarkdown"/> and <see cref="TurnHtml"/> write it down.</summary>
internal sealed record TurnReport(
    TurnRow Turn, CuratedDataset Dataset, IReadOnlyList<(string Metric, int Count)> Feedback, IReadOnlyList<ReportedRun> Runs,
    ExamResult Champion, ExamResult Candidate, GateDecision Decision, DateTimeOffset Written)
{
    public string Verdict => Turn.State switch { TurnState.Promoted => "Promoted", TurnState.Waiting => "Waiting", _ => "Rejected" };

    /// <summary>Why a person decides, and what the figures mean then; null where nobody is asked.</summary>
    public string? Limits =>
        Decision is { Passed: true, AskReason: { } reason } ? $"A person compares the drafts and decides, because {reason}." : null;

    /// <summary>From the turn's start to its end.</summary>
    public TimeSpan Took => (Turn.Ended ?? Written) - Turn.Started;

    /// <summary>The two answers to each held-out prompt.</summary>
    public IEnumerable<(Answer Before, Answer After)> Samples => Champion.FirstAnswers.Zip(Candidate.FirstAnswers);

    /// <summary>One sentence a line about how the decision came about: who judged, what could be shown.</summary>
    public IEnumerable<string> Grounds => new[]
    {
        Decision.JudgedBy,
        Decision.Power.Length > 0 ? $"{char.ToUpperInvariant(Decision.Power[0])}{Decision.Power[1..]}." : "",
    }.Where(line => line.Length > 0);

    public int NumFeedback => Feedback.Sum(metric => metric.Count);

    public static string Short(string hash) => hash[..12];

    /// <summary>Writes turn.md and turn.html into the turn's folder.</summary>
    /// <returns>Path of turn.html.</returns>
    public static async Task<string> WriteAsync(FlywheelStore store, string folder, TurnRow turn, CuratedDataset dataset,
        ExamResult champion, ExamResult candidate, GateDecision decision, DateTimeOffset now, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        var feedback = await db.Feedback
            .Where(row => db.ExampleFeedback.Any(source => source.FeedbackId == row.Id
                && db.Examples.Any(example => example.Id == source.ExampleId && example.TurnId == turn.Id)))
            .GroupBy(row => row.Metric).Select(group => new { group.Key, Count = group.Count() }).ToListAsync(cancellation);
        List<RunRow> runs = await db.Runs.AsNoTracking().Where(row => row.TurnId == turn.Id).OrderBy(row => row.Created)
            .ToListAsync(cancellation);
        var report = new TurnReport(
            turn, dataset,
            [.. feedback.Select(row => (row.Key, row.Count)).OrderByDescending(row => row.Count)],
            [.. runs.Select(run => new ReportedRun(run.Name, run.Model ?? "", TrainingLog.Read(Path.Combine(store.Home.Runs, run.Name))))],
            champion, candidate, decision, now);
        AtomicFile.WriteText(Path.Combine(folder, "turn.md"), TurnMarkdown.Write(report));
        string html = Path.Combine(folder, "turn.html");
        AtomicFile.WriteText(html, TurnHtml.Write(report));
        return html;
    }
}
