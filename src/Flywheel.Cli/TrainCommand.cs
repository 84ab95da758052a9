using System.CommandLine;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel train RECIPE</c>: from a recipe to a model; started again, it resumes where it stopped.</summary>
internal static class TrainCommand
{
    /// <summary>Seconds between lines when nobody watches a terminal.</summary>
    private const double PlainSeconds = 10;

    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "Recipe file" };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe, such as train.steps=100",
            DefaultValueFactory = _ => [] };
        var ranks =
            new Option<int>("--ranks") { Description =
                "Train with so many processes over MPI, watched: when one is lost, all start again from the newest checkpoint" };
        var launcher = new Option<string?>("--launcher")
            { Description = "What starts the ranks, such as 'mpirun --hostfile hosts'; default: srun inside a Slurm job, else mpirun" };
        var threads = new Option<int?>("--threads")
            { Description =
                "Threads of a new run, in each rank; the weights' bits may depend on them in a LoRA and in bfloat16. Default: the machine's cores, shared by the ranks" };
        var command = new Command("train",
            "Train a model from a recipe. Ctrl-C writes a checkpoint; the same command resumes from it.\nExample: ./flywheel train recipes/packages.yaml --set train.learning_rate=3e-4") { recipe, set, ranks, launcher, threads };
        command.SetAction((parse, cancellation) =>
            Task.Run(() =>
                Run(parse.GetValue(recipe)!, parse.GetValue(set)!, parse.GetValue(ranks), parse.GetValue(launcher), parse.GetValue(threads),
                    cancellation), CancellationToken.None));
        return command;
    }

    private static int Run(string recipe, string[] overrides, int ranks, string? launcher, int? threads, CancellationToken cancellation)
    {
        (Supervisor? supervisor, int numThreads) = Watched(ranks, launcher, threads);
        if (supervisor is not null)
        {
            Train(recipe, overrides, ranks, numThreads, supervisor.Run, supervisor.Forecast, cancellation);
            return 0;
        }
        using ICollectives world = World.Join();
        if (world.Size == 1)
        {
            Train(recipe, overrides, 1, numThreads, TrainingRun.Run, RankCommand.Pilot, cancellation);
            return 0;
        }
        try
        {
            if (world.Rank > 0) SharedTraining.Follow(world, progress => Console.Error.WriteLine(progress.Note), cancellation);
            else
            {
                Train(recipe, overrides, world.Size, numThreads,
                    (job, progress, cancel) => SharedTraining.Lead(world, job, progress, cancel), null, cancellation);
                SharedTraining.End(world);
            }
            return 0;
        }
        catch (FlywheelException e)
        {
            return RankCommand.Fail(world, e, error => Console.Error.WriteLine($"error: {error}"));
        }
    }

    /// <summary>What several ranks are started and watched by, null of one process; and the threads of each.</summary>
    private static (Supervisor? Supervisor, int NumThreads) Watched(int ranks, string? launcher, int? threads)
    {
        if (threads < 1) throw new FlywheelException($"--threads is {threads}, expected 1 or more");
        if (ranks < 0) throw new FlywheelException($"--ranks is {ranks}, expected 1 or more");
        if (launcher is not null && ranks == 0) throw new FlywheelException("--launcher is given without --ranks");
        int numThreads = threads ?? Math.Max(1, Environment.ProcessorCount / Math.Max(1, ranks));
        return (ranks == 0 ? null : new Supervisor { Launcher = RankLauncher.Command(ranks, launcher),
            RankCommand = RankCommand.CommandLine(), Note = Console.Error.WriteLine }, numThreads);
    }

    /// <summary>What forecasts such a training, and the threads of each rank.</summary>
    internal static (Func<TrainingJob, CancellationToken, TrainingForecast> Pilot, int NumThreads) Pilot(int ranks, string? launcher,
        int? threads)
    {
        (Supervisor? supervisor, int numThreads) = Watched(ranks, launcher, threads);
        return (supervisor is null ? RankCommand.Pilot : supervisor.Forecast, numThreads);
    }

    private static void Train(string recipe, string[] overrides, int ranks, int threads,
        Func<TrainingJob, Action<TrainingProgress>, CancellationToken, TrainedModel> train,
        Func<TrainingJob, CancellationToken, TrainingForecast>? pilot, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        FinishedRun? run = null;
        if (Console.IsOutputRedirected) run = Start(new PlainReport());
        else
        {
            AnsiConsole.Progress()
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
                .Start(context => run = Start(new LiveReport(context)));
        }
        RecordAsync(home, run!, cancellation).GetAwaiter().GetResult();
        TrainingResult result = TrainingResult.Read(run!.RunFolder)!;
        TrainingForecast? forecast = Experiment.Read(run.RunFolder)?.Forecast;
        AnsiConsole.Write(new Table().HideHeaders().AddColumns("", "")
            .AddRow(run.Result.Adapter is null ? "model" : "adapter", Markup.Escape(result.ModelPath))
            .AddRow("run", Markup.Escape(run.RunFolder))
            .AddRow("curve", Markup.Escape(Path.Combine(run.RunFolder, "curve.svg")))
            .AddRow("steps, tokens", $"{result.Steps:N0}, {result.Tokens:N0}")
            .AddRow("loss", $"{result.Loss:F4}")
            .AddRow("validation loss", result.ValidationLoss is { } loss ? $"{loss:F4}" : "-")
            .AddRow("time",
                RunsCommand.AgainstForecast(Amounts.Duration(result.Seconds), forecast is null ? null : Amounts.Duration(forecast.Seconds)))
            .AddRow("most memory",
                RunsCommand.AgainstForecast(Amounts.Memory(result.PeakMemoryBytes),
                    forecast is null ? null : Amounts.Memory(forecast.MemoryBytes))));

        static async Task RecordAsync(FlywheelHome home, FinishedRun run, CancellationToken cancellation)
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
            await store.RecordRunAsync(run, cancellation);
        }

        FinishedRun Start(IReport report) =>
            new RecipeRunner(home) { Status = report.Status, Progress = report.Progress, NumThreads = threads, NumRanks = ranks,
                Train = train, Pilot = pilot }.Run(recipe, overrides, cancellation);
    }

    private static string Describe(string recipe, TrainingProgress progress, double? validation)
    {
        LogLine line = progress.Line!;
        string text = string.Create(CultureInfo.InvariantCulture, $"{recipe} step {line.Step}/{progress.NumSteps} loss {line.Loss:F3}");
        if (line.Accuracy is { } accuracy) text += $" accuracy {accuracy:P0}";
        if (validation is { } loss) text += $" validation {loss:F3}";
        return text + $" {line.TokensPerSecond:N0} tokens/s, {Amounts.Duration(progress.Remaining?.TotalSeconds ?? 0)} left";
    }

    private interface IReport
    {
        void Status(string text);

        void Progress(string recipe, TrainingProgress progress);
    }

    /// <summary>Lines for a file or a pipe.</summary>
    private sealed class PlainReport : IReport
    {
        private long _lastLine;
        private double? _validation;

        public void Status(string text) => Console.WriteLine(text);

        public void Progress(string recipe, TrainingProgress progress)
        {
            if (progress.Note is { } note) Console.WriteLine(note);
            if (progress.Line is not { } line) return;
            if (line.ValidationLoss is { } loss) Console.WriteLine($"{recipe} step {line.Step} validation loss {_validation = loss:F4}");
            else if (line.Step == progress.NumSteps || TimeProvider.System.GetElapsedTime(_lastLine).TotalSeconds >= PlainSeconds)
            {
                _lastLine = TimeProvider.System.GetTimestamp();
                Console.WriteLine(Describe(recipe, progress, _validation));
            }
        }
    }

    /// <summary>One moving bar for each recipe of the chain.</summary>
    private sealed class LiveReport(ProgressContext context) : IReport
    {
        private readonly Dictionary<string, ProgressTask> _bars = [];
        private double? _validation;

        public void Status(string text) => AnsiConsole.MarkupLineInterpolated($"[grey]{text}[/]");

        public void Progress(string recipe, TrainingProgress progress)
        {
            if (progress.Note is { } note) AnsiConsole.MarkupLineInterpolated($"[yellow]{note}[/]");
            if (progress.Line is not { } line) return;
            _validation = line.ValidationLoss ?? _validation;
            if (line.Loss is null) return;
            if (!_bars.TryGetValue(recipe, out ProgressTask? bar))
                _bars[recipe] = bar = context.AddTask(Markup.Escape(recipe), maxValue: progress.NumSteps);
            bar.Description = Markup.Escape(Describe(recipe, progress, _validation));
            bar.Value = line.Step;
        }
    }
}
