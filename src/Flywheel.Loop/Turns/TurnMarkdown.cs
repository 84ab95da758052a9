using System.Globalization;
using System.Text;

namespace Flywheel.Loop;

/// <summary>The report of a turn for terminals, diffs and other programs.</summary>
internal static class TurnMarkdown
{
    public static string Write(TurnReport report)
    {
        TurnRow turn = report.Turn;
        var text = new StringBuilder();
        text.Append($"# Turn {turn.Number}: {report.Verdict.ToLowerInvariant()}\n\n{Html(turn.Reason ?? "")}\n\n");
        text.Append(
            $"Champion {TurnReport.Short(turn.Champion)}, candidate {TurnReport.Short(turn.Candidate!)}. Began {turn.Started:yyyy-MM-dd HH:mm} UTC, took {report.Took:h\\:mm\\:ss}.\n");

        text.Append(
            "\n## Gate\n\n| measure | rests on | champion | candidate | improvement (interval) | must be above | verdict |\n|---|---|---:|---:|---:|---:|---|\n");
        foreach (RuleResult rule in report.Decision.Rules)
            text.Append(
                $"| {rule.Name} ({rule.Unit}) | {Line(rule.Basis)} | {rule.Champion:0.000} | {rule.Candidate:0.000} | {Improvement(rule)} | {Threshold(rule)} | {Verdict(rule)} |\n");

        foreach (string ground in report.Grounds) text.Append($"\n{Line(ground)}\n");
        if (report.Limits is { } limits) text.Append($"\n{Line(limits)}\n");
        if (turn.State == TurnState.Waiting)
            text.Append($"\n`./flywheel turn --accept {turn.Number}` promotes the candidate, `--refuse {turn.Number}` does not.\n");

        if (report.Decision.Examples.Count > 0)
            text.Append(
                $"\n## Drafts compared\n\nOf {TurnReport.Short(turn.Champion)} and {TurnReport.Short(turn.Candidate!)}, with the same seeds.\n\n| asked | champion | candidate | preferred |\n|---|---|---|---|\n");
        foreach (DraftExample example in report.Decision.Examples)
            text.Append(
                $"| {Line(example.Prompt)} | {Line(example.Champion)} | {Line(example.Candidate)} | {example.Outcome switch { > 0 => "candidate", < 0 => "champion", _ => "tie" }} |\n");

        text.Append(
            $"\n## Data\n\n{report.NumFeedback} feedback ({string.Join(", ", report.Feedback.Select(row => $"{row.Count} {row.Metric}"))}): {Html(report.Dataset.Summary)}\n");
        if (report.Dataset.Retirement.Text is { Length: > 0 } retirement) text.Append($"\nHeld out: {Line(retirement)}.\n");
        foreach (string warning in report.Dataset.Warnings) text.Append($"\n**Warning:** {Line(warning)}.\n");
        if (report.Dataset.Drops.Count > 0)
        {
            text.Append("\n| dropped because | rows |\n|---|---:|\n");
            foreach ((string reason, int count) in report.Dataset.Drops) text.Append($"| {Html(reason)} | {count} |\n");
        }

        text.Append("\n## Training\n\n| run | steps | loss | model |\n|---|---:|---:|---|\n");
        foreach (ReportedRun run in report.Runs)
            text.Append($"| {run.Name} | {run.Losses.Count} | {run.FromTo} | {TurnReport.Short(run.Model)} |\n");

        text.Append(
            $"\n## Before and after, on {(report.Dataset.IsOfFewPeople ? "prompts" : "prompts of people")} that were not learnt from\n");
        foreach ((Answer before, Answer after) in report.Samples.Take(8))
            text.Append($"\n{Quote(before.Prompt)}\n\n| champion | candidate |\n|---|---|\n| {Cell(before)} | {Cell(after)} |\n");

        text.Append($"\n## Lineage\n\n- turn {turn.Id}\n- dataset {turn.Dataset}\n");
        foreach (ReportedRun run in report.Runs) text.Append($"- run {run.Name}\n");
        text.Append(
            $"- candidate {turn.Candidate}\n- champion {turn.Champion}\n\n`./flywheel lineage {TurnReport.Short(turn.Candidate!)}` walks from here to each feedback.\n");
        return text.ToString();
    }

    private static string Improvement(RuleResult rule) => rule.IsPoint
        ? $"{rule.Improvement.Estimate:0.000}"
        : string.Create(CultureInfo.InvariantCulture, $"{rule.Improvement} at {rule.Level:0.##%}");

    private static string Threshold(RuleResult rule) => rule.Passed is null ? "" : $"{rule.Threshold:0.###}";

    private static string Verdict(RuleResult rule) => rule.Passed switch { true => "pass", false => "FAIL", null => "told only" };

    private static string Quote(string text) => "> " + Plain(text).Replace("\n", "\n> ", StringComparison.Ordinal);

    private static string Cell(Answer answer) =>
        Line(answer.Text) + (answer.Fault is null ? "" : $" *({Line(answer.Fault)})*");

    /// <summary>In a table's cell or after a bullet, where a line break would end it.</summary>
    internal static string Line(string text) => Plain(text).Replace("\n", "<br>", StringComparison.Ordinal);

    /// <summary>People's texts are shown as they are: nothing in them is markup, neither HTML nor Markdown (CommonMark 0.31, 2.4: any
    /// punctuation may be escaped).</summary>
    private static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char c in Html(text.ReplaceLineEndings("\n")))
        {
            if (c is '\\' or '`' or '*' or '_' or '[' or ']' or '|' or '#' or '!' or '~' or '$') plain.Append('\\');
            plain.Append(char.IsControl(c) && c != '\n' ? ' ' : c);
        }
        return plain.ToString();
    }

    private static string Html(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal);
}
