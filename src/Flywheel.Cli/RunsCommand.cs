using System.CommandLine;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel runs</c>: what was trained in this home, how far, side by side, and which is the best.</summary>
internal static class RunsCommand
{
    public static Command Create()
    {
        var command = new Command("runs", "List training runs: state, steps, loss, time against forecast.\nExample: ./flywheel runs")
            { Compare(), Best() };
        command.SetAction(_ => List(new FlywheelHome()));
        return command;
    }

    private static Command Compare()
    {
        var names = new Argument<string[]>("runs") { Description = "Names of runs, or their beginnings", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--out") { Description = "Picture of all curves, .svg or .png",
            DefaultValueFactory = _ => "compare.svg" };
        var command = new Command("compare",
            "Where recipes differ, how the runs ended, and all curves in one plot.\nExample: ./flywheel runs compare packages-1a2b packages-3c4d --out curves.png") { names, output };
        command.SetAction(parse =>
        {
            var home = new FlywheelHome();
            RunFolder[] runs = [.. parse.GetValue(names)!.Select(name => RunFolder.Find(home, name))];
            var table = new Table().AddColumn("");
            foreach (RunFolder run in runs) table.AddColumn(Markup.Escape(run.Name));
            foreach ((string field,
                string[] values) in RunComparison.Differences(runs)) table.AddRow([Markup.Escape(field), .. values.Select(Markup.Escape)]);
            if (table.Rows.Count == 0) table.AddRow(["recipe", .. runs.Select(_ => "the same")]);
            table.AddEmptyRow();
            foreach ((string what,
                Func<RunFolder, string> value) in Facts) table.AddRow([what, .. runs.Select(value).Select(Markup.Escape)]);
            AnsiConsole.Write(table);
            string path = Path.GetFullPath(parse.GetValue(output)!);
            RunComparison.Draw([.. runs.Select(run => (run.Name, run))], path, "Runs compared");
            Console.WriteLine($"curves: {path}");
            if (runs.Select(run => run.Experiment?.ValidationDataset).Distinct().Count() > 1)
                Console.WriteLine("note: these runs were tested on different held-out data, so their held-out losses do not compare");
        });
        return command;
    }

    private static (string What, Func<RunFolder, string> Value)[] Facts =>
    [
        ("state", State),
        ("parameters", run => run.Experiment is { } experiment ? $"{experiment.NumParameters:N0}" : "-"),
        ("steps, tokens", run => run.LastStep is { } last ? $"{last.Step:N0}, {last.Tokens:N0}" : "-"),
        ("loss", run => run.LastStep is { } last ? $"{last.Loss:F4}" : "-"),
        ("held-out loss", run => run.ValidationLoss is { } loss ? $"{loss:F4}" : "-"),
        ("time, forecast",
            run => $"{Amounts.Duration(run.Seconds)}, {(run.Experiment?.Forecast is { } forecast ? Amounts.Duration(forecast.Seconds) : "-")}"),
        ("memory, forecast",
            run => $"{Amounts.Memory(run.Result?.PeakMemoryBytes)}, {Amounts.Memory(run.Experiment?.Forecast?.MemoryBytes)}"),
        ("thread hours", run => $"{run.ThreadHours:F3}"),
        ("seed", run => $"{run.Experiment?.Seed}"),
        ("revision", run => Short(run.Experiment?.Revision)),
        ("data", run => run.Experiment?.Dataset[..12] ?? "-"),
        ("machine", run => run.Experiment?.Machine ?? "-"),
        ("model", run => run.Result?.Model[..12] ?? "-"),
    ];

    private static Command Best()
    {
        var command = new Command("best",
            "The finished run with the least held-out loss, for each held-out data.\nExample: ./flywheel runs best");
        command.SetAction(_ =>
        {
            IReadOnlyList<RunFolder> best = RunComparison.Best(RunFolder.All(new FlywheelHome()));
            if (best.Count == 0) Console.WriteLine("no run has finished with a held-out loss yet");
            else AnsiConsole.Write(Rows(best));
        });
        return command;
    }

    private static void List(FlywheelHome home)
    {
        IReadOnlyList<RunFolder> runs = RunFolder.All(home);
        if (runs.Count == 0) Console.WriteLine($"no runs in {home.Runs}; start one with: ./flywheel train recipes/packages.yaml");
        else AnsiConsole.Write(Rows(runs));
    }

    private static Table Rows(IReadOnlyList<RunFolder> runs)
    {
        Table table = new Table().AddColumns("run", "state");
        foreach (string name in new[] { "parameters", "steps", "loss", "held-out", "time", "forecast", "thread hours" })
            table.AddColumn(name, column => column.RightAligned());
        table.AddColumn("model");
        foreach (RunFolder run in runs)
            table.AddRow(Markup.Escape(run.Name), State(run),
                run.Experiment is { } experiment ? $"{experiment.NumParameters / 1e6:G3} M" : "-", run.Steps,
                run.LastStep is { } last ? $"{last.Loss:F4}" : "-", run.ValidationLoss is { } loss ? $"{loss:F4}" : "-",
                Amounts.Duration(run.Seconds),
                run.Experiment?.Forecast is { } forecast ? Amounts.Duration(forecast.Seconds) : "-", $"{run.ThreadHours:F3}",
                run.Result?.Model[..12] ?? "-");
        return table;
    }

    internal static string AgainstForecast(string outcome, string? forecast) =>
        forecast is null ? outcome : $"{outcome} (forecast: {forecast})";

    /// <summary>Version and the beginning of the commit.</summary>
    private static string Short(string? revision) =>
        revision is null
            ? "-" : revision[..Math.Min(revision.Length,
                revision.IndexOf('+', StringComparison.Ordinal) is var plus and >= 0 ? plus + 11 : 20)];

    private static string State(RunFolder run) => run.Result is not null ? "finished" : run.IsRunning ? "running" : "stopped";
}
