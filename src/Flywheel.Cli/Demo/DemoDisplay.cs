using Flywheel.Loop;
using Spectre.Console;

namespace Flywheel.Cli.Demo;

/// <summary>What the person in front sees: a line a stage with its progress, then one table.</summary>
internal sealed class DemoDisplay
{
    private readonly IAnsiConsole console;

    public DemoDisplay(IAnsiConsole console)
    {
        this.console = console;
        // A file or a pipe has no width: lines stay whole.
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = 1000;
    }


    /// <summary>Variants shown side by side at the end.</summary>
    private const int NumSamples = 6;

    public void Say(string line) => console.MarkupLineInterpolated($"{line}");

    /// <summary>Shows how many of <paramref name="total"/> are done while the work runs.</summary>
    public async Task<T> WatchAsync<T>(string what, int total, Func<Action<int>, Task<T>> work)
    {
        if (!console.Profile.Capabilities.Interactive)
        {
            T quiet = await work(_ => { });
            Say($"{what}: {total} prompts");
            return quiet;
        }
        return await console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
        {
            ProgressTask bar = context.AddTask(Markup.Escape(what), maxValue: total);
            return await work(done => bar.Value = Math.Max(bar.Value, done));
        });
    }

    public void Show(DemoResult result)
    {
        var table =
            Table().Title(
                Markup.Escape($"Taste '{result.Taste.Name}' on {result.Before.Prompts.Count} unseen prompts of unseen simulated users"))
            .AddColumns("", "before", "after", "difference (95% interval)");
        foreach (int column in (int[])[1, 2, 3]) table.Columns[column].RightAligned();
        table.AddRow("[bold]texts accepted as they are[/]", Percent(result.RateBefore), Percent(result.RateAfter),
            $"[bold]{Points(result.Rise)}[/]");
        table.AddRow("prompts with an accepted text", Percent(result.AnyBefore), Percent(result.AnyAfter), Points(result.AnyRise));
        table.AddRow("distinct texts", $"{result.Before.Distinct:P0}", $"{result.After.Distinct:P0}", "");
        table.AddRow("distinct word pairs", $"{result.Before.DistinctPairs:P0}", $"{result.After.DistinctPairs:P0}", "");
        table.AddRow("texts with a word of their brief", $"{result.Before.About:P0}", $"{result.After.About:P0}", "");
        table.AddRow("words in a text", $"{result.Before.Words:F1}", $"{result.After.Words:F1}", "");
        table.AddRow("model", result.Before.ModelHash[..8], result.After.ModelHash[..8], "");
        console.Write(table);

        var samples = Table().Title("The same prompts and seeds").AddColumns("name", "before", "after");
        int step = Math.Max(1, result.Before.Prompts.Count / NumSamples);
        for (int i = 0; i < result.Before.Prompts.Count && i < step * NumSamples; i += step)
            samples.AddRow(Markup.Escape(result.Before.Prompts[i].Brief.Name), Marked(result.Before.Prompts[i]),
                Marked(result.After.Prompts[i]));
        console.Write(samples);
        ActCounts acts = result.Acts;
        Say($"Users saw {acts.Shown} texts: kept {acts.Kept}, edited {acts.Edited}, discarded {acts.Discarded}, passed over {acts.Silent}.");
        Say($"Time: measured {result.Before.Seconds:F0} s and {result.After.Seconds:F0} s, users {result.ActSeconds:F0} s, turn {result.Turn.Seconds:F0} s, in all {result.Seconds / 60:F1} minutes.");
    }

    public void Show(DemoSeries series)
    {
        var table =
            Table().Title(
                Markup.Escape(
                    $"Turns in a row, taste '{series.Taste.Name}', on {series.Turns[0].Before.Prompts.Count} unseen prompts of unseen simulated users"))
            .AddColumns("turn", "feedback of", "kept, edited, discarded", "accepted before", "after", "difference (95% interval)",
                "with a word of their brief", "verdict", "seconds");
        foreach ((int index, SeriesTurn turn) in series.Turns.Index())
            table.AddRow($"{index + 1}", turn.Taste == "coin" ? "people who toss a coin" : "people of the taste",
                $"{turn.Acts.Kept}, {turn.Acts.Edited}, {turn.Acts.Discarded}",
                $"{turn.Before.Rate * 100:F1}%", $"{turn.After.Rate * 100:F1}%", Points(turn.Rise), $"{turn.After.About:P0}",
                turn.Promoted ? "promoted" : turn.Asked ? "a person was asked" : "not promoted", $"{turn.Seconds:F0}");
        console.Write(table);
        Say($"In all {series.Seconds / 60:F1} minutes.");
    }

    /// <summary>Boxes for a person, Markdown for a file or a pipe.</summary>
    private Table Table() => new Table().Border(console.Profile.Out.IsTerminal ? TableBorder.Rounded : TableBorder.Markdown);

    private static string Marked(MeasuredPrompt prompt) => Markup.Escape($"{(prompt.Accepted[0] ? "✓" : "✗")} {prompt.Texts[0]}");

    private static string Percent(Interval rate) =>
        $"{rate.Estimate * 100:F1}% ({Math.Max(0, rate.Low) * 100:F0} to {Math.Min(1, rate.High) * 100:F0})";

    private static string Points(Interval difference) =>
        $"{difference.Estimate * 100:+0.0;-0.0} points ({difference.Low * 100:+0.0;-0.0} to {difference.High * 100:+0.0;-0.0})";
}
