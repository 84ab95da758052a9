using System.CommandLine;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel sweep RECIPE</c>: which values of some fields train best, within a budget of minutes.</summary>
internal static class SweepCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "Recipe file" };
        var over = new Option<string[]>("--over")
            { Description = "A field and its values, such as train.learning_rate=1e-3,3e-3; several make all combinations",
                Required = true };
        var budget = new Option<double>("--budget") { Description = "Minutes of training in all", Required = true };
        var command = new Command("sweep",
            "Try values of recipe fields by successive halving: short runs of all, longer ones of the best third. Stopped, the same command resumes it.\nExample: ./flywheel sweep recipes/packages.yaml --over train.learning_rate=1e-3,3e-3,1e-2 --budget 20") { recipe, over, budget };
        command.SetAction((parse, cancellation) =>
            Task.Run(() => Run(parse.GetValue(recipe)!, parse.GetValue(over)!, parse.GetValue(budget), cancellation),
                CancellationToken.None));
        return command;
    }

    /// <summary>So that a forecast has steps to measure, whatever the recipe says.</summary>
    internal static readonly string[] LongRun = ["train.epochs=0", "train.steps=1000"];

    private static void Run(string recipe, string[] over, double budget, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        var sweep = new Sweep(recipe, over, budget);
        var runner = new RecipeRunner(home) { Status = Console.WriteLine, Pilot = RankCommand.Pilot };
        Console.WriteLine(
            $"{sweep.NumCombinations} combinations in {sweep.NumRungs} {(sweep.NumRungs == 1 ? "rung" : "rungs")}, the first of {sweep.InRung(0)} runs, the last of {sweep.InRung(sweep.NumRungs - 1)}");
        string[] first = [.. over.Select(text => text.Split(',')[0]), .. LongRun];
        string folder = SweepFolder.Of(home, sweep);
        (double rate, bool isKept) = Pace.Of(folder, () => runner.Forecast(recipe, first, cancellation)[^1].Forecast.TokensPerSecond);
        if (isKept) Console.WriteLine($"resuming the sweep in {folder}");
        var quiet = new RecipeRunner(home);
        SweepResult result = sweep.Run(overrides =>
        {
            FinishedRun run = quiet.Run(recipe, overrides, cancellation);
            return (Path.GetFileName(run.RunFolder), TrainingResult.Read(run.RunFolder)!);
        }, rate, attempt => Console.WriteLine(attempt.InWords));
        SweepFolder.Write(home, folder, result);
        AnsiConsole.Write(new Table().HideHeaders().AddColumns("", "")
            .AddRow("best", Markup.Escape(string.Join(' ', result.Winner.Overrides)))
            .AddRow("held-out loss", $"{result.Winner.Loss:F4}")
            .AddRow("time", $"{Amounts.Duration(result.Tries.Sum(attempt => attempt.Seconds))} of {Amounts.Duration(budget * 60)}")
            .AddRow("report", Markup.Escape(Path.Combine(folder, "report.md"))));
        Console.WriteLine(
            $"train it in full: ./flywheel train {recipe} {string.Join(' ', result.Winner.Overrides.Select(text => $"--set {text}"))}");
    }
}
