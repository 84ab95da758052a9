using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Flywheel.Loop.Planning;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary>
/// <c>flywheel plan</c>: what a run takes before it starts. Of a recipe: measured here. Of a budget or a size: parameters,
/// tokens, days, money, checkpoints, failures and memory, on this machine or on rented accelerators.
/// </summary>
internal static class PlanCommand
{
    private const string ThisMachine = "this machine";

    private static readonly PlanRequest Defaults = new() { FlopsPerSecond = 1, MemoryBytes = 1 };

    public static Command Create()
    {
        var recipe = new Argument<string?>("recipe") { Description = "Recipe to forecast on this machine",
            Arity = ArgumentArity.ZeroOrOne };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe", DefaultValueFactory = _ => [] };
        var ranks = new Option<int>("--ranks") { Description = "Processes that the recipe is to be trained by, as of train" };
        var launcher = new Option<string?>("--launcher") { Description = "What starts them, as of train" };
        var threads = new Option<int?>("--threads") { Description = "Threads of each, as of train" };
        var money = Size("--money", "Money for everything: gives the largest model that it pays for");
        var hours = Size("--hours", "Hours from start to end: gives the largest model that they allow");
        var parameters = Size("--params", "Size of the model, such as 124m or 1.3b: gives time and money");
        var gpu =
            new Option<string?>("--gpu") { Description =
                $"Accelerator: {string.Join(", ", Accelerator.Known.Select(known => known.Name))}; without it, this machine is measured. A plan only: train runs on processors, CUDA is not wired up yet" };
        var count = new Option<int>("--count") { Description = "Accelerators", DefaultValueFactory = _ => 1 };
        var utilization = new Option<double>("--utilization") { Description = "Part of an accelerator's peak that training reaches",
            DefaultValueFactory = _ => 0.4 };
        var price = new Option<double>("--price") { Description = "Price of one accelerator (or this machine) for an hour" };
        var perParameter = new Option<double>("--tokens-per-param") { Description = "Tokens a parameter",
            DefaultValueFactory = _ => Defaults.TokensPerParameter };
        var law =
            new Option<string?>("--law") { Description = "Folder of './flywheel scaling': its law decides between parameters and tokens" };
        var context = new Option<int>("--context") { Description = "Tokens of a sequence", DefaultValueFactory = _ => Defaults.Context };
        var vocab = new Option<int>("--vocab") { Description = "Vocabulary; 0 grows it with the model" };
        var failures = new Option<double>("--hours-between-failures") { Description = "Of one accelerator, on average",
            DefaultValueFactory = _ => Math.Round(Defaults.HoursBetweenFailures) };
        var checkpoint = new Option<double?>("--checkpoint-seconds")
            { Description = "Seconds that a checkpoint holds the work up; without it, all state at 1 GB/s" };
        var restart = new Option<double>("--restart-seconds") { Description = "From a failure until work goes on",
            DefaultValueFactory = _ => Defaults.RestartSeconds };
        var labels = new Option<double>("--label-share") { Description = "Part of the money for labels, 0 to 1" };
        var people = new Option<double>("--people-share") { Description = "Part of the money for people, 0 to 1" };
        var perLabel = new Option<double>("--price-per-label") { Description = "Price of one label",
            DefaultValueFactory = _ => Defaults.PricePerLabel };
        var command = new Command("plan",
            "What a run takes before it starts: time, memory, money, checkpoints, failures.\nExample: ./flywheel plan --gpu h100 --count 8 --price 2.5 --money 2000")
        {
            recipe, set, ranks, launcher, threads, money, hours, parameters, gpu, count, utilization, price, perParameter, law, context,
            vocab, failures, checkpoint, restart, labels, people, perLabel,
        };
        command.SetAction((parse, cancellation) => Task.Run(() =>
        {
            if (parse.GetValue(recipe) is { } path)
            {
                foreach (Option option in new Option[] { money, hours, parameters, gpu, law })
                    if (parse.GetResult(option) is not null)
                        throw new FlywheelException(
                            $"{option.Name} is given with a recipe, expected one or the other: a recipe says itself how large its run is");
                (Func<TrainingJob, CancellationToken, TrainingForecast> pilot, int numThreads) =
                    TrainCommand.Pilot(parse.GetValue(ranks), parse.GetValue(launcher), parse.GetValue(threads));
                var runner = new RecipeRunner(new FlywheelHome()) { Status = Console.WriteLine, Pilot = pilot, NumThreads = numThreads };
                Forecast(runner, path, parse.GetValue(set)!, parse.GetValue(price), cancellation);
                return;
            }
            foreach (Option option in new Option[] { set, ranks, launcher, threads })
                if (parse.GetResult(option) is { Implicit: false }) throw new FlywheelException($"{option.Name} is given without a recipe");
            Accelerator? accelerator = parse.GetValue(gpu) is { } name
                ? Accelerator.Known.FirstOrDefault(known => known.Name == name)
                    ?? throw new FlywheelException(
                        $"--gpu '{name}' is not known{NearestName.Hint(name, [.. Accelerator.Known.Select(known => known.Name)])}")
                : null;
            if (parse.GetValue(utilization) is not (> 0 and <= 1) and var part)
                throw new FlywheelException($"--utilization is {part}, expected a number above 0 and at most 1");
            var request = new PlanRequest
            {
                FlopsPerSecond = (accelerator?.PeakFlops ?? 0) * parse.GetValue(utilization),
                MemoryBytes = accelerator?.MemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
                MixedPrecision = accelerator is not null,
                Count = parse.GetValue(count),
                PricePerHour = parse.GetValue(price),
                Money = parse.GetValue(money),
                Hours = parse.GetValue(hours),
                Parameters = parse.GetValue(parameters),
                TokensPerParameter = parse.GetValue(perParameter),
                Law = parse.GetValue(law) is { } folder ? ScalingResult.Read(folder).Law : null,
                Context = parse.GetValue(context),
                Vocab = parse.GetValue(vocab),
                HoursBetweenFailures = parse.GetValue(failures),
                CheckpointSeconds = parse.GetValue(checkpoint),
                RestartSeconds = parse.GetValue(restart),
                LabelShare = parse.GetValue(labels),
                PeopleShare = parse.GetValue(people),
                PricePerLabel = parse.GetValue(perLabel),
            };
            request.Validate();
            if (accelerator is null)
            {
                Console.WriteLine("measuring what training reaches on this machine");
                request = request with { FlopsPerSecond = MachineSpeed.Measure(cancellation) };
            }
            Print(request, accelerator?.Name ?? ThisMachine, TrainingPlan.For(request));
        }, CancellationToken.None));
        return command;
    }

    /// <summary>A number with an optional k, m, b or t behind it.</summary>
    private static Option<double?> Size(string name, string description) =>
        new(name) { Description = description, CustomParser = result => Number(name, result) };

    private static double? Number(string name, ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        double unit = char.ToLowerInvariant(text[^1]) switch { 'k' => 1e3, 'm' => 1e6, 'b' => 1e9, 't' => 1e12, _ => 1 };
        if (double.TryParse(unit > 1 ? text[..^1] : text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number)) return number * unit;
        result.AddError($"{name} is '{text}', expected a number such as 24, 2.5k, 124m or 1.3b");
        return null;
    }

    private static void Forecast(RecipeRunner runner, string path, string[] overrides, double price, CancellationToken cancellation)
    {
        IReadOnlyList<(string Recipe, TrainingForecast Forecast)> chain = runner.Forecast(path, overrides, cancellation);
        string[] names = ["recipe", "steps", "tokens", "tokens/s", "time", "most memory"];
        Table table = new();
        foreach (string name in price > 0 ? names.Append("money") : names)
            table.AddColumn(name, column => column.Alignment = name == "recipe" ? Justify.Left : Justify.Right);
        foreach ((string recipe, TrainingForecast forecast) in chain)
            Row(recipe, $"{forecast.Steps:N0}", $"{forecast.Tokens:N0}", $"{forecast.TokensPerSecond:N0}", forecast.Seconds,
                forecast.MemoryBytes);
        if (chain.Count > 1)
            Row("together", "", $"{chain.Sum(each => each.Forecast.Tokens):N0}", "", chain.Sum(each => each.Forecast.Seconds),
                chain.Max(each => each.Forecast.MemoryBytes));
        AnsiConsole.Write(table);
        int ranks = chain[^1].Forecast.NumRanks;
        Console.WriteLine(
            $"{(ranks > 1 ? $"Memory is that of each of {ranks} ranks" : "Memory is that of the process")}; this machine has {Amounts.Memory(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)}, and {Amounts.Memory(TrainingMemory.Available())} are free.");

        void Row(string recipe, string steps, string tokens, string pace, double seconds, long memory)
        {
            string[] cells = [Markup.Escape(recipe), steps, tokens, pace, Amounts.Duration(seconds), Amounts.Memory(memory)];
            table.AddRow(price > 0 ? [.. cells, Amounts.Money(seconds / 3600 * price)] : cells);
        }
    }

    private static void Print(PlanRequest request, string hardware, TrainingPlan plan)
    {
        CheckpointPlan checkpoints = plan.Checkpoints;
        ModelConfig shape = plan.Shape;
        Console.WriteLine(
            $"{(hardware == ThisMachine ? ThisMachine : $"{request.Count} x {hardware}")}: {Amounts.Rounded(request.FlopsPerSecond * request.Count)} operations a second in training");
        Table table = new Table().HideHeaders().AddColumns("", "")
            .AddRow("parameters", Amounts.Rounded(shape.NumParameters))
            .AddRow("shape",
                $"hidden {shape.HiddenSize}, intermediate {shape.IntermediateSize}, layers {shape.NumLayers}, heads {shape.NumHeads}, kv_heads {shape.NumKvHeads}, head_dim {shape.HeadDim}, vocab {shape.VocabSize}")
            .AddRow("tokens", $"{Amounts.Rounded(plan.Tokens)}, {plan.Tokens / shape.NumParameters:N1} a parameter")
            .AddRow("operations", Amounts.Rounded(plan.Flops));
        if (plan.ExpectedLoss is { } loss) table.AddRow("expected held-out loss", $"{loss:F3} nats a token");
        table.AddRow("time", Amounts.Duration(checkpoints.TotalSeconds));
        if (request.PricePerHour > 0) table.AddRow("money for training", Amounts.Money(plan.Money));
        if (plan.LabelMoney > 0) table.AddRow("money for labels", $"{Amounts.Money(plan.LabelMoney)}, which pays for {plan.NumLabels:N0}");
        if (plan.PeopleMoney > 0) table.AddRow("money for people", Amounts.Money(plan.PeopleMoney));
        table.AddEmptyRow()
            .AddRow("checkpoint every", Amounts.Duration(checkpoints.IntervalSeconds))
            .AddRow("expected restarts", checkpoints.Restarts < 0.01 ? "less than 0.01" : $"{checkpoints.Restarts:N2}")
            .AddRow("work lost to failures", Amounts.Duration(checkpoints.LostSeconds))
            .AddRow("time that counts", $"{100 * checkpoints.Efficiency:F1}%, the rest goes to checkpoints, lost work and restarts")
            .AddEmptyRow();
        foreach ((string name, long bytes) in plan.Memory.Parts) table.AddRow($"memory: {name}", Amounts.Memory(bytes));
        table.AddRow(request.Count > 1 ? "memory of each" : "memory in all",
            $"{Amounts.Memory(plan.Memory.Total)} of {Amounts.Memory(plan.MemoryAvailable)}{(plan.Fits ? "" : ": [red]does not fit[/]")}");
        AnsiConsole.Write(table);
        if (hardware != ThisMachine)
            Console.WriteLine(
                "This is arithmetic from data sheets: './flywheel train' runs on processors, training on accelerators (CUDA) is not wired up yet.");
        if (!plan.Fits)
            Console.WriteLine(
                "Weights and gradients lie on each accelerator as a whole, only the optimiser's state is shared out: take a smaller model, or one with more memory.");
    }
}
