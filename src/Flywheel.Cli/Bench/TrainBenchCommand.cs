using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli.Bench;

/// <summary><c>flywheel bench train</c>: our training step against a plain TorchSharp program. <c>flywheel bench optimizers</c>: Muon
/// against AdamW.</summary>
internal static class TrainBenchCommand
{
    public static Command Train()
    {
        var only = new Option<string[]>("--only") { Description = $"What to measure: {string.Join(", ", TrainingBenchmark.Contenders)}",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [TrainingBenchmark.Plain, TrainingBenchmark.PlainMicro, TrainingBenchmark.Ours,
                TrainingBenchmark.Products] };
        var rounds = new Option<int>("--rounds") { Description = "Alternating rounds that the medians are of",
            DefaultValueFactory = _ => 3 };
        var steps = new Option<int>("--steps") { Description = "Timed optimiser steps a round", DefaultValueFactory = _ => 2 };
        var threads = new Option<int>("--threads") { Description = "Threads of each process",
            DefaultValueFactory = _ => Environment.ProcessorCount };
        var child = new Option<string?>("--child") { Hidden = true };
        var command = new Command("train",
            "Tokens/s of a training step of 13.8 M parameters against a plain TorchSharp program, in processes that take turns.\nExample: ./flywheel bench train --rounds 3") { only, rounds, steps, threads, child };
        command.SetAction((parse, cancellation) => Task.Run(() =>
        {
            (int perRound, int numThreads) = (parse.GetValue(steps), parse.GetValue(threads));
            if (parse.GetValue(rounds) < 1 || perRound < 1 || numThreads < 1)
                throw new FlywheelException("--rounds, --steps and --threads: expected at least 1");
            if (parse.GetValue(child) is { } contender)
            {
                Console.WriteLine(JsonSerializer.Serialize(TrainingBenchmark.Run(contender, perRound, numThreads)));
                return;
            }
            string[] contenders = parse.GetValue(only)!;
            if (contenders.FirstOrDefault(name => !TrainingBenchmark.Contenders.Contains(name)) is { } unknown)
                throw new FlywheelException($"--only is '{unknown}'{NearestName.Hint(unknown, [.. TrainingBenchmark.Contenders])}");
            var figures = contenders.ToDictionary(name => name, _ => new List<TrainingFigures>());
            for (int round = 0; round < parse.GetValue(rounds); round++)
                foreach (string name in contenders) figures[name].Add(Measure(name, perRound, numThreads, cancellation));
            Print(figures);
        }, CancellationToken.None));
        return command;
    }

    /// <summary>In a process of its own: a plain program's has nothing set, ours what the launcher sets.</summary>
    private static TrainingFigures Measure(string contender, int steps, int threads, CancellationToken cancellation)
    {
        string[] arguments = [typeof(TrainBenchCommand).Assembly.Location, "bench", "train", "--child", contender, "--steps", $"{steps}",
            "--threads", $"{threads}"];
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true,
            Environment = { ["OMP_WAIT_POLICY"] = "passive" } };
        if (contender.StartsWith(TrainingBenchmark.Plain, StringComparison.Ordinal))
            start.Environment.Remove("OMP_WAIT_POLICY");
        using Process process = Process.Start(start)!;
        using CancellationTokenRegistration stop = cancellation.Register(process.Kill);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancellation.ThrowIfCancellationRequested();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<TrainingFigures>(output)! : throw new FlywheelException(
                $"the process that measures '{contender}' ended with code {process.ExitCode}: {output}");
    }

    private static void Print(Dictionary<string, List<TrainingFigures>> figures)
    {
        double Seconds(string name) => TrainingBenchmark.Median(figures[name].SelectMany(run => run.Seconds));
        double Best(string name) => figures[name].SelectMany(run => run.Seconds).Min();
        bool hasPlain = figures.ContainsKey(TrainingBenchmark.Plain);
        Table table =
            new Table()
                .Title($"{TrainingBenchmark.Shape.NumParameters / 1e6:F1} M parameters, {TrainingBenchmark.TokensPerStep} tokens a step; medians (best)")
            .AddColumns("what", "tokens/s", "against plain", "GFLOP/s", "optimiser's part", "most memory", "last loss");
        foreach ((string name, List<TrainingFigures> runs) in figures)
        {
            double seconds = Seconds(name);
            if (name == TrainingBenchmark.Products)
            {
                table.AddRow(name, "", "",
                    $"{TrainingBenchmark.ProductFlops / seconds / 1e9:F0} ({TrainingBenchmark.ProductFlops / Best(name) / 1e9:F0})", "", "",
                    "");
                continue;
            }
            table.AddRow(name, $"{TrainingBenchmark.TokensPerStep / seconds:N0} ({TrainingBenchmark.TokensPerStep / Best(name):N0})",
                hasPlain ? $"{Seconds(TrainingBenchmark.Plain) / seconds:F2}x" : "",
                $"{TrainingBenchmark.FlopsPerStep / seconds / 1e9:F0}",
                $"{TrainingBenchmark.Median(runs.Select(run => run.OptimizerSeconds)) / seconds:P1}",
                $"{runs.Max(run => run.PeakBytes) / 1e9:F2} GB", $"{runs[^1].Loss:F4}");
        }
        AnsiConsole.Write(table);
    }

    public static Command Optimizers()
    {
        var recipe = new Argument<string>("recipe") { Description = "Recipe of a pretraining from random weights",
            DefaultValueFactory = _ => Path.Combine("recipes", "optimizers.yaml") };
        var seeds = new Option<int>("--seeds") { Description = "Runs of each optimiser", DefaultValueFactory = _ => 5 };
        var threads = new Option<int>("--threads") { Description = "Threads of each run", DefaultValueFactory = _ => 1 };
        var figure = new Option<string?>("--figure") { Description = "Picture of the curves (.svg or .png)" };
        var command = new Command("optimizers",
            "Muon against AdamW: learning rates from a small grid, then steps to the same held-out loss over several seeds. Stopped and started again, it goes on.\nExample: ./flywheel bench optimizers recipes/optimizers.yaml --figure docs/optimizers.svg") { recipe, seeds, threads, figure };
        command.SetAction((parse, cancellation) =>
            Task.Run(() =>
                Run(parse.GetValue(recipe)!, parse.GetValue(seeds), parse.GetValue(threads), parse.GetValue(figure), cancellation),
                CancellationToken.None));
        return command;
    }

    private static void Run(string recipe, int seeds, int threads, string? figure, CancellationToken cancellation)
    {
        if (seeds < 1) throw new FlywheelException($"--seeds is {seeds}, expected at least 1");
        if (threads < 1) throw new FlywheelException($"--threads is {threads}, expected at least 1");
        var study = new OptimizerStudy(new RecipeRunner(new FlywheelHome()) { NumThreads = threads }, recipe) { Said = Console.WriteLine };
        OptimizerCurves adam = study.AdamW(seeds, cancellation), muon = study.Muon(adam, seeds, cancellation);
        double target = adam.Final.Average();
        Table table = new Table().Title($"Steps to AdamW's mean last loss, {target:F4}")
            .AddColumns("optimiser", "learning rates", "last losses, mean and each", "steps, mean and each");
        foreach (OptimizerCurves curves in new[] { adam, muon })
        {
            IReadOnlyList<double?> steps = curves.StepsTo(target);
            table.AddRow(curves.Optimizer, Markup.Escape(string.Join(", ", curves.Rates)),
                $"{curves.Final.Average():F4} ({string.Join(' ', curves.Final.Select(loss => $"{loss:F3}"))})",
                $"{(steps.All(step => step is not null) ? $"{steps.Average():F0}" : "not all reach it")} ({string.Join(' ', steps.Select(step => step is { } at ? $"{at:F0}" : "-"))})");
        }
        AnsiConsole.Write(table);
        if (figure is not null) OptimizerStudy.Draw(adam, muon, $"{Path.GetFileNameWithoutExtension(recipe)}: {seeds} seeds", figure);
    }
}
