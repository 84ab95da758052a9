using System.CommandLine;
using System.Globalization;
using Flywheel.Loop.Planning;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel scaling RECIPE</c>: small runs, and the law that follows from them.</summary>
internal static class ScalingCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "Recipe of a pretraining from random weights" };
        var budget = new Option<double>("--budget") { Description = "Minutes of training in all", Required = true };
        var command = new Command("scaling",
            "Train small models of several sizes and lengths and fit loss against parameters and tokens.\nExample: ./flywheel scaling recipes/packages.yaml --budget 60") { recipe, budget };
        command.SetAction((parse, cancellation) =>
            Task.Run(() => Run(parse.GetValue(recipe)!, parse.GetValue(budget), cancellation), CancellationToken.None));
        return command;
    }

    private static void Run(string path, double budget, CancellationToken cancellation)
    {
        if (!(budget > 0 && double.IsFinite(budget))) throw new FlywheelException($"--budget is {budget}, expected minutes above 0");
        var home = new FlywheelHome();
        var study = new ScalingStudy(path);
        Recipe recipe = RecipeFile.Load(path);
        ShapeRecipe shape = recipe.Model!;
        string folder = Path.Combine(home.Runs, $"scaling-{recipe.Name}-{budget.ToString("0.###", CultureInfo.InvariantCulture)}-minutes");
        (double rate, bool isKept) = Pace.Of(folder,
            () => new RecipeRunner(home) { Status = Console.WriteLine, Pilot = RankCommand.Pilot }.Forecast(path, SweepCommand.LongRun,
                cancellation)[^1].Forecast.TokensPerSecond);
        if (isKept) Console.WriteLine($"resuming the study in {folder}");
        double flopsPerSecond = rate * ModelShape.TrainingFlops(shape.ToConfig(recipe.Tokenizer!.Vocab), shape.Context);
        List<FinishedRun> runs = [];
        var quiet = new RecipeRunner(home);
        foreach (IReadOnlyList<string> overrides in study.Plan(budget * 60, flopsPerSecond))
        {
            FinishedRun run = quiet.Run(path, overrides, cancellation);
            TrainingResult done = TrainingResult.Read(run.RunFolder)!;
            runs.Add(run);
            Console.WriteLine(
                $"{runs.Count} of {study.NumRuns}: {run.Result.Manifest.NumParameters / 1e6:G3} M parameters, {done.Tokens / 1e6:G3} M tokens, held-out loss {done.ValidationLoss:F4}, {Amounts.Duration(done.Seconds)}");
        }
        ScalingResult result = study.Fit(runs);
        result.Write(folder);
        ScalingLaw law = result.Law;
        AnsiConsole.Write(new Table().HideHeaders().AddColumns("", "")
            .AddRow("law", $"loss = {law.E:F3} + {law.A:G4} / N^{law.Alpha:F3} + {law.B:G4} / D^{law.Beta:F3}")
            .AddRow("its error on these runs",
                $"{result.Points.Average(point => Math.Abs(law.Loss(point.Parameters, point.Tokens) / point.Loss - 1)) * 100:F2}% on average")
            .AddRow("data",
                $"{result.DataTokens:N0} tokens{(result.Points.Max(point => point.Tokens) > result.DataTokens ? "; longer runs saw some twice" : "")}")
            .AddRow("plot", Markup.Escape(Path.Combine(folder, "scaling.svg"))));
        if (!law.IsDetermined)
            Console.WriteLine(
                "note: these runs are too short, or too alike, to tell how far the loss would fall; the law holds between them at best. Give more minutes.");
        Console.WriteLine($"use it: ./flywheel plan --hours 8 --law {folder}");
    }
}
