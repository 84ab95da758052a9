using System.Globalization;
using System.Net;
using System.Text;

namespace Flywheel.Loop;

/// <summary>The report of a turn as one page that needs nothing else: it can be mailed or printed.</summary>
internal static class TurnHtml
{
    /// <summary>Samples shown before the fold.</summary>
    private const int FirstSamples = 4;

    public static string Write(TurnReport report)
    {
        var page = new StringBuilder();
        page.Append(
            $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Turn {report.Turn.Number}: {report.Verdict.ToLowerInvariant()}</title>\n<style>{Style}</style>\n</head>\n<body>\n<main>\n");
        Header(page, report);
        GateTable(page, report);
        Compared(page, report);
        Samples(page, report);
        page.Append("<div class=\"columns\">\n");
        Data(page, report);
        Training(page, report);
        page.Append("</div>\n");
        Lineage(page, report);
        page.Append("</main>\n</body>\n</html>\n");
        return page.ToString();
    }

    private static void Header(StringBuilder page, TurnReport report)
    {
        TurnRow turn = report.Turn;
        page.Append($"<header>\n<p class=\"eyebrow\">Flywheel · {turn.Started:d MMMM yyyy, HH:mm} UTC</p>\n");
        page.Append($"<h1>Turn {turn.Number} <span class=\"badge {report.Verdict.ToLowerInvariant()}\">{report.Verdict}</span></h1>\n");
        page.Append($"<p class=\"lead\">{Lead(report)}</p>\n<dl class=\"cards\">\n");
        RuleResult first = report.Decision.Rules.First(rule => rule.Threshold == 0); // what was to rise
        string digits = FormatOf(first) == "0%" ? "0%" : "0.00";
        bool lower = first.Unit == "nats a token";
        Card(page, Capital(first.Name), $"{first.Champion.ToString(digits)} → {first.Candidate.ToString(digits)}",
            $"{first.Unit}, {(lower ? "lower" : "higher")} is better");
        if (report.Decision.Rules.FirstOrDefault(rule => rule.Unit == "share" && rule.Passed is null) is { } apart)
            Card(page, "Preferences told apart", $"{apart.Champion:0%} → {apart.Candidate:0%}", "held-out pairs, higher is better");
        if (report.Dataset.IsOfFewPeople) Card(page, "Learnt from", $"{report.Dataset.NumPrompts(Split.Train)} prompts",
            $"tested on {report.Dataset.NumPrompts(Split.HeldOut)} others");
        else Card(page, "Learnt from", $"{report.Dataset.NumPeople(Split.Train)} people",
            $"tested on {report.Dataset.NumPeople(Split.HeldOut)} others");
        Card(page, "Took", report.Took.TotalHours >= 1 ? $"{report.Took:h\\:mm} h" : report.Took.TotalMinutes >= 1
            ? $"{report.Took:m\\:ss} min" : $"{report.Took.TotalSeconds:0} s", $"{report.NumFeedback} feedback");
        page.Append("</dl>\n</header>\n");
    }

    private static void Card(StringBuilder page, string name, string value, string note) =>
        page.Append($"<div><dt>{Text(name)}</dt><dd>{Text(value)}</dd><dd class=\"note\">{Text(note)}</dd></div>\n");

    private static string Lead(TurnReport report)
    {
        string candidate = $"<code>{TurnReport.Short(report.Turn.Candidate!)}</code>",
            champion = $"<code>{TurnReport.Short(report.Turn.Champion)}</code>";
        if (report.Turn.State == TurnState.Promoted
            && report.Decision.Passed)
            return $"The candidate {candidate} is {(report.Decision.Asks != AskWhy.Nobody ? $"what a person preferred to {champion}" : $"better than {champion} for people it never saw")}, and no worse elsewhere. It now answers.";
        if (report.Turn.State == TurnState.Waiting)
            return $"The candidate {candidate} passed what can be checked without a person. It waits for one: <code>./flywheel turn --accept {report.Turn.Number}</code> promotes it, "
                + $"<code>--refuse {report.Turn.Number}</code> does not; until then {champion} goes on answering.";
        if (report.Turn.State == TurnState.Promoted)
            return $"The gate rejected {candidate}, but it was <strong>forced</strong> past it and now answers in the place of {champion}.";
        IEnumerable<string> failed = report.Decision.Rules.Where(rule => rule.Passed == false).Select(rule => rule.Because);
        string why = report.Decision.Passed ? report.Turn.Reason! : string.Join("; ", failed);
        return $"The candidate {candidate} was not promoted; {champion} goes on answering. {Text(char.ToUpperInvariant(why[0]) + why[1..])}.";
    }

    private static void GateTable(StringBuilder page, TurnReport report)
    {
        page.Append(
            "<section>\n<h2>Gate</h2>\n<p class=\"hint\">Improvement of the candidate over the champion, item by item, with its interval. To pass, the whole bar must lie right of the dashed line; the thin line is no change.</p>\n");
        page.Append(
            "<div class=\"scroll\"><table class=\"gate\">\n<thead><tr><th>Measure</th><th class=\"number\">Champion</th><th class=\"number\">Candidate</th><th>Improvement</th><th class=\"number\">Interval</th><th></th></tr></thead>\n<tbody>\n");
        foreach (RuleResult rule in report.Decision.Rules)
        {
            string verdict = rule.Passed switch { true => "<span class=\"verdict good\">✓ pass</span>", false =>
                "<span class=\"verdict bad\">✕ fail</span>", null => "<span class=\"verdict told\">told only</span>" };
            string format = FormatOf(rule);
            page.Append(
                $"<tr><td><strong>{Text(Capital(rule.Name))}</strong><br><span class=\"note\">{Text(rule.Unit)} · {Text(rule.Basis)}</span></td>");
            page.Append(
                $"<td class=\"number\">{rule.Champion.ToString(format)}</td><td class=\"number\">{rule.Candidate.ToString(format)}</td>");
            page.Append(rule.IsPoint
                ? $"<td class=\"note\">{(rule.Passed is null || rule.Threshold <= 0 ? "no change" : $"at least {rule.Threshold.ToString(format)} needed")}</td><td></td>"
                : $"<td>{TurnCharts.Interval(rule)}</td><td class=\"number\">{Signed(rule.Improvement.Estimate)}<br><span class=\"note\">{Signed(rule.Improvement.Low)} to {Signed(rule.Improvement.High)} at {rule.Level.ToString("0.##%", CultureInfo.InvariantCulture)}</span></td>");
            page.Append($"<td>{verdict}</td></tr>\n");
        }
        page.Append("</tbody>\n</table></div>\n");
        foreach (string ground in report.Grounds) page.Append($"<p class=\"hint\">{Text(ground)}</p>\n");
        if (report.Limits is { } limits) page.Append($"<p class=\"hint\">{Text(limits)}</p>\n");
        page.Append("</section>\n");
    }

    /// <summary>Pairs of drafts with what the judge preferred.</summary>
    private static void Compared(StringBuilder page, TurnReport report)
    {
        if (report.Decision.Examples.Count == 0) return;
        page.Append(
            "<section>\n<h2>Drafts compared</h2>\n<p class=\"hint\">Examples of what the judge preferred, without knowing which model wrote it; the same seed for both.</p>\n");
        foreach (DraftExample example in report.Decision.Examples)
        {
            page.Append($"<article class=\"sample\">\n<pre class=\"prompt\">{Text(example.Prompt)}</pre>\n<div class=\"answers\">\n");
            foreach ((string who, string text, int wins) in new[] { ("Champion", example.Champion, -1), ("Candidate", example.Candidate,
                1) })
            {
                string mark = example.Outcome == wins ? " <span class=\"verdict good\">✓ preferred</span>" : "";
                page.Append($"<div class=\"answer {who.ToLowerInvariant()}\"><h3>{who}{mark}</h3><p>{Text(text)}</p></div>\n");
            }
            page.Append("</div>\n</article>\n");
        }
        page.Append("</section>\n");
    }

    private static void Samples(StringBuilder page, TurnReport report)
    {
        List<(Answer Before, Answer After)> samples = [.. report.Samples];
        page.Append(
            $"<section>\n<h2>Before and after</h2>\n<p class=\"hint\">{(report.Dataset.IsOfFewPeople ? "Prompts" : "Prompts of people")} that were not learnt from; the same seed for both.</p>\n");
        foreach ((Answer, Answer) sample in samples.Take(FirstSamples)) Sample(page, sample.Item1, sample.Item2);
        if (samples.Count > FirstSamples)
        {
            page.Append($"<details><summary>{samples.Count - FirstSamples} more</summary>\n");
            foreach ((Answer, Answer) sample in samples.Skip(FirstSamples)) Sample(page, sample.Item1, sample.Item2);
            page.Append("</details>\n");
        }
        page.Append("</section>\n");
    }

    private static void Sample(StringBuilder page, Answer before, Answer after)
    {
        page.Append($"<article class=\"sample\">\n<pre class=\"prompt\">{Text(before.Prompt)}</pre>\n<div class=\"answers\">\n");
        foreach ((string who, Answer answer) in new[] { ("Champion", before), ("Candidate", after) })
        {
            string fault = answer.Fault is null ? "" : $" <span class=\"verdict bad\">{Text(answer.Fault)}</span>";
            page.Append($"<div class=\"answer {who.ToLowerInvariant()}\"><h3>{who}{fault}</h3><p>{Text(answer.Text.Trim())}</p></div>\n");
        }
        page.Append("</div>\n</article>\n");
    }

    private static void Data(StringBuilder page, TurnReport report)
    {
        CuratedDataset dataset = report.Dataset;
        page.Append("<section>\n<h2>Data</h2>\n");
        if (dataset.Retirement.Text is { Length: > 0 } retirement) page.Append($"<p>Held out: {Text(retirement)}.</p>\n");
        foreach (string warning in dataset.Warnings) page.Append($"<p class=\"warning\">{Text(warning)}.</p>\n");
        page.Append("<table class=\"funnel\">\n");
        List<(string Name, int Count, string Kind)> rows =
        [
            .. report.Feedback.Select(row => ($"feedback: {row.Metric}", row.Count, "in")),
            ("texts to learn", dataset.Of(ExampleKind.Supervised, Split.Train).Count(), "kept"),
            ("preferences to learn", dataset.Of(ExampleKind.Preference, Split.Train).Count(), "kept"),
            ("texts held out", dataset.Of(ExampleKind.Supervised, Split.HeldOut).Count(), "held"),
            ("preferences held out", dataset.Of(ExampleKind.Preference, Split.HeldOut).Count(), "held"),
            .. dataset.Drops.Select(drop => (drop.Reason, drop.Count, "dropped")),
        ];
        int most = Math.Max(1, rows.Max(row => row.Count));
        string last = "in";
        foreach ((string name, int count, string kind) in rows)
        {
            if (kind != last && kind == "dropped") page.Append("<tr class=\"heading\"><td colspan=\"3\">dropped, and why</td></tr>\n");
            last = kind;
            page.Append(
                $"<tr class=\"{kind}\"><td>{Text(name)}</td><td class=\"number\">{count}</td><td class=\"bar\"><i style=\"width:{100.0 * count / most:0.0}%\"></i></td></tr>\n");
        }
        page.Append("</table>\n</section>\n");
    }

    private static void Training(StringBuilder page, TurnReport report)
    {
        page.Append("<section>\n<h2>Training</h2>\n");
        foreach (ReportedRun run in report.Runs)
        {
            if (run.Losses.Count == 0) continue;
            page.Append(
                $"<figure>\n<figcaption><strong>{Text(run.Name)}</strong><span class=\"note\">loss {run.FromTo}</span></figcaption>\n{TurnCharts.Curve(run)}\n</figure>\n");
        }
        page.Append("</section>\n");
    }

    private static void Lineage(StringBuilder page, TurnReport report)
    {
        TurnRow turn = report.Turn;
        page.Append("<section>\n<h2>Lineage</h2>\n<dl class=\"lineage\">\n");
        void Row(string name, string value) => page.Append($"<dt>{name}</dt><dd><code>{Text(value)}</code></dd>\n");
        Row("Turn", turn.Id.ToString());
        Row("Champion", turn.Champion);
        Row("Dataset", turn.Dataset!);
        foreach (ReportedRun run in report.Runs) Row("Run", run.Name);
        Row("Candidate", turn.Candidate!);
        page.Append(
            $"</dl>\n<p class=\"hint\"><code>./flywheel lineage {TurnReport.Short(turn.Candidate!)}</code> walks from here to each person's feedback.</p>\n</section>\n");
    }

    private static string FormatOf(RuleResult rule) => rule.Unit.StartsWith("share", StringComparison.Ordinal) ? "0%" : "0.000";

    /// <summary>With a minus as wide as the plus.</summary>
    private static string Signed(double value) => Interval.Signed(value).Replace('-', '\u2212');

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private const string Style = """

        :root { color-scheme: light dark; --ink: #1b1f24; --soft: #667080; --line: #e3e7ec; --paper: #ffffff; --wash: #f5f7f9; --good: #16794c; --good-wash: #e2f4ea; --bad: #b3261e; --bad-wash: #fbe9e7; --accent: #2f5bd3; --accent-wash: #e8eefc; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #98a2b0; --line: #2b323b; --paper: #14181d; --wash: #1b2027; --good: #5fce97; --good-wash: #15301f; --bad: #ff8a80; --bad-wash: #3a1917; --accent: #8fb0ff; --accent-wash: #1c2740; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
            "Noto Sans", "DejaVu Sans", sans-serif; }
        main { max-width: 1040px; margin: 0 auto; padding: 48px 28px 72px; }
        h1 { font-size: 40px; line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 12px; display: flex; gap: 16px; align-items: center; flex-wrap: wrap; }
        h2 { font-size: 20px; letter-spacing: -0.01em; margin: 0 0 6px; }
        h3 { font-size: 12px; font-weight: 600; color: var(--soft); margin: 0 0 4px; }
        section { margin-top: 48px; min-width: 0; }
        code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.88em; }
        .eyebrow, .hint, .note { color: var(--soft); }
        .eyebrow { margin: 0 0 4px; font-size: 13px; }
        .hint { margin: 0 0 16px; font-size: 14px; }
        .note { font-size: 13px; }
        .lead { font-size: 18px; max-width: 46em; margin: 0 0 28px; }
        .badge { font-size: 15px; font-weight: 600; letter-spacing: 0; padding: 5px 14px; border-radius: 999px; }
        .badge.promoted { background: var(--good-wash); color: var(--good); }
        .badge.waiting { background: var(--accent-wash); color: var(--accent); }
        .warning { color: var(--bad); }
        .badge.rejected { background: var(--bad-wash); color: var(--bad); }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 0; }
        .cards > div { background: var(--wash); border-radius: 12px; padding: 16px 18px; }
        .cards dt { font-size: 13px; color: var(--soft); }
        .cards dd { margin: 2px 0 0; font-size: 24px; font-weight: 600; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
        .cards dd.note { font-size: 13px; font-weight: 400; letter-spacing: 0; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; }
        .gate th { text-align: left; font-size: 12px; font-weight: 600; color: var(--soft); padding: 0 12px 8px 0; border-bottom: 1px solid var(--line); }
        .gate td { padding: 12px 12px 12px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
        .gate td:first-child { min-width: 230px; }
        .gate th.number, .gate td.number, .funnel td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .gate th.number, .gate td.number { padding-right: 20px; }
        .verdict { font-size: 13px; font-weight: 600; white-space: nowrap; }
        .verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); } .verdict.told { color: var(--soft); font-weight: 400; }
        svg { display: block; width: 100%; height: auto; }
        .interval { width: 260px; min-width: 180px; }
        .interval line { stroke: var(--line); stroke-width: 1; }
        .interval .zero { stroke: var(--soft); }
        .interval .threshold { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
        .interval .range { stroke-width: 7; stroke-linecap: round; opacity: 0.35; }
        .interval.good .range { stroke: var(--good); } .interval.good .point { fill: var(--good); }
        .interval.bad .range { stroke: var(--bad); } .interval.bad .point { fill: var(--bad); }
        .interval.told .range { stroke: var(--soft); } .interval.told .point { fill: var(--soft); }
        .sample { border: 1px solid var(--line); border-radius: 12px; overflow: hidden; margin-bottom: 14px; }
        .prompt { margin: 0; padding: 12px 18px; background: var(--wash); white-space: pre-wrap; color: var(--soft); }
        .answers { display: grid; grid-template-columns: 1fr 1fr; }
        .answer { padding: 14px 18px; min-width: 0; }
        .answer p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
        .answer.candidate { border-left: 1px solid var(--line); }
        .answer.candidate h3 { color: var(--accent); }
        summary { cursor: pointer; color: var(--accent); padding: 6px 0 16px; }
        .columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 48px; }
        .funnel { margin-top: 12px; }
        .funnel td { padding: 4px 0; font-size: 14px; }
        .funnel td.number { padding: 0 14px 0 10px; }
        .funnel .bar { width: 34%; }
        .funnel .bar i { display: block; height: 8px; border-radius: 4px; background: var(--soft); min-width: 2px; }
        .funnel .kept i { background: var(--accent); } .funnel .held i { background: var(--good); } .funnel .dropped i { background: var(--line); }
        .funnel .dropped td { color: var(--soft); }
        .funnel .heading td { padding-top: 14px; font-size: 12px; font-weight: 600; color: var(--soft); }
        figure { margin: 12px 0 24px; }
        figcaption { display: flex; justify-content: space-between; gap: 12px; font-size: 14px; margin-bottom: 4px; }
        .curve .grid { stroke: var(--line); } .curve .tick { fill: var(--soft); font-size: 11px; }
        .curve polyline { fill: none; stroke: var(--accent); stroke-linejoin: round; }
        .curve .raw { opacity: 0.25; } .curve .mean { stroke-width: 2; }
        .lineage { display: grid; grid-template-columns: 100px 1fr; gap: 4px 12px; margin: 12px 0 16px; }
        .lineage dt { color: var(--soft); } .lineage dd { margin: 0; overflow-wrap: anywhere; }
        @media (max-width: 720px) { main { padding: 28px 16px; } .columns,
            .answers { grid-template-columns: 1fr; } .answer.candidate { border-left: 0; border-top: 1px solid var(--line); } h1 { font-size: 32px; } }
        @media print { main { max-width: none; padding: 0; } .sample, figure { break-inside: avoid; } }

        """;
}
