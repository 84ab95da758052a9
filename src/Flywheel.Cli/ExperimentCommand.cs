using System.CommandLine;
using Flywheel.Loop.Runs;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel experiment</c>: claims that are tested by training.</summary>
internal static class ExperimentCommand
{
    public static Command Create() =>
        new("experiment",
            "Claims that are tested by training small models.\nExample: ./flywheel experiment unified --size 600k --tokens 600k")
            { Unified() };

    private static Command Unified()
    {
        var recipe = new Option<string>("--recipe") { Description = "Tasks, metrics and margins",
            DefaultValueFactory = _ => "recipes/experiments/unified.yaml" };
        var size = new Option<string>("--size") { Description = "Parameters of the one model and of each specialist of its size",
            DefaultValueFactory = _ => "1.2M" };
        var tokens = new Option<string>("--tokens") { Description = "Tokens that each task is trained on, in every arm",
            DefaultValueFactory = _ => "3M" };
        var seeds = new Option<int>("--seeds") { Description = "Repetitions with other weights and another order; more can be added later",
            DefaultValueFactory = _ => 3 };
        var items = new Option<int>("--items") { Description = "Held-out items of a task that are asked, at most",
            DefaultValueFactory = _ => 500 };
        var threads = new Option<int>("--threads") { Description = "Of training and engine; 0 takes all cores" };
        var command = new Command("unified",
            "One model for all tasks against specialists of the same size and of a share of it on the same tokens of each task, and against classical baselines of all its items. What was interrupted is gone on with.\nExample: ./flywheel experiment unified --size 600k --tokens 600k --seeds 1") { recipe, size, tokens, seeds, items, threads };
        command.SetAction((parse, cancellation) => Task.Run(() => RunAsync(parse.GetValue(recipe)!, new UnifiedScale(
            Amounts.ParseShort(parse.GetValue(size)!, "--size"), (long)Amounts.ParseShort(parse.GetValue(tokens)!, "--tokens"),
            AtLeast(1, parse.GetValue(seeds), "--seeds"), AtLeast(2, parse.GetValue(items), "--items")),
            AtLeast(0, parse.GetValue(threads), "--threads"), cancellation), CancellationToken.None));
        return command;
    }

    private static int AtLeast(int least, int value, string option) =>
        value >= least ? value : throw new FlywheelException($"{option} is {value}, expected at least {least}");

    private static async Task RunAsync(string recipe, UnifiedScale scale, int threads, CancellationToken cancellation)
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        void Say(string text) => Console.WriteLine($"{System.Diagnostics.Stopwatch.GetElapsedTime(started):hh\\:mm\\:ss} {text}");
        var study = new UnifiedStudy(recipe, scale, new FlywheelHome()) { NumThreads = threads == 0 ? Environment.ProcessorCount : threads,
            Say = Say, Found = result => Say(result.Conclusion()) };
        Say(study.Folder);
        UnifiedResult result = await study.RunAsync(cancellation);
        result.Write(study.Folder);
        Console.WriteLine(result.ToMarkdown());
    }
}
