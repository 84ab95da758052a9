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
    private static readonly PlanRequest Defaults = new() { FlopsPerSecond = 1, MemoryBytes = 1 };

    public static Command Create()
    {
        var recipe = new Argument<string?>("recipe") { Description = "Recipe to forecast on this machine", Arity = ArgumentArity.ZeroOrOne };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe", DefaultValueFactory = _ => [] };
        var money = Size("--money", "Money for everything: gives the largest model that it pays for");
        var hours = Size("--hours", "Hours from start to end: gives the largest model that they allow");
        var parameters = Size("--params", "Size of the model, such as 124m or 1.3b: gives time and money");
        var gpu = new Option<string?>("--gpu") { Description = $"Accelerator: {string.Join(", ", Accelerator.Known.Select(known => known.Name))}; without it, this machine is measured" };
        var count = new Option<int>("--count") { Description = "Accelerators", DefaultValueFactory = _ => 1 };
        var utilization = new Option<double>("--utilization") { Description = "Part of an accelerator's peak that training reaches", DefaultValueFactory = _ => 0.4 };
        var price = new Option<double>("--price") { Description = "Price of one accelerator (or this machine) for an hour" };
        var perParameter = new Option<double>("--tokens-per-param") { Description = "Tokens a parameter", DefaultValueFactory = _ => Defaults.TokensPerParameter };
        var law = new Option<string?>("--law") { Description = "Folder of 'flywheel scaling': its law decides between parameters and tokens" };
        var context = new Option<int>("--context") { Description = "Tokens of a sequence", DefaultValueFactory = _ => Defaults.Context };
        var vocab = new Option<int>("--vocab") { Description = "Vocabulary; 0 grows it with the model" };
        var failures = new Option<double>("--hours-between-failures") { Description = "Of one accelerator, on average", DefaultValueFactory = _ => Math.Round(Defaults.HoursBetweenFailures) };
        var checkpoint = new Option<double?>("--checkpoint-seconds") { Description = "Seconds that a checkpoint holds the work up; without it, all state at 1 GB/s" };
        var restart = new Option<double>("--restart-seconds") { Description = "From a failure until work goes on", DefaultValueFactory = _ => Defaults.RestartSeconds };
        var labels = new Option<double>("--label-share") { Description = "Part of the money for labels, 0 to 1" };
        var people = new Option<double>("--people-share") { Description = "Part of the money for people, 0 to 1" };
        var perLabel = new Option<double>("--price-per-label") { Description = "Price of one label", DefaultValueFactory = _ => Defaults.PricePerLabel };
        var command = new Command("plan", "What a run takes before it starts: time, memory, money, checkpoints, failures.\nExample: flywheel plan --gpu h100 --count 8 --price 2.5 --money 2000")
        {
            recipe, set, money, hours, parameters, gpu, count, utilization, price, perParameter, law, context, vocab, failures, checkpoint, restart, labels, people, perLabel,
        };
        command.SetAction((parse, cancellation) => Task.Run(() =>
        {
            if (parse.GetValue(recipe) is { } path)
            {
                Forecast(path, parse.GetValue(set)!, parse.GetValue(price), cancellation);
                return;
            }
            Accelerator? accelerator = parse.GetValue(gpu) is { } name
                ? Accelerator.Known.FirstOrDefault(known => known.Name == name) ?? throw new FlywheelException($"--gpu '{name}' is not known{NearestName.Hint(name, [.. Accelerator.Known.Select(known => known.Name)])}")
                : null;
            if (parse.GetValue(utilization) is not (> 0 and <= 1) and var part) throw new FlywheelException($"--utilization is {part}, expected a number above 0 and at most 1");
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
            Print(request, accelerator?.Name ?? "this machine", TrainingPlan.For(request));
        }, CancellationToken.None));
        return command;
    }

    /// <summary>A number with an optional k, m, b or t behind it.</summary>
    private static Option<double?> Size(string name, string description) => new(name) { Description = description, CustomParser = result => Number(name, result) };

    private static double? Number(string name, ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        double unit = char.ToLowerInvariant(text[^1]) switch { 'k' => 1e3, 'm' => 1e6, 'b' => 1e9, 't' => 1e12, _ => 1 };
        if (double.TryParse(unit > 1 ? text[..^1] : text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)) return number * unit;
        result.AddError($"{name} is '{text}', expected a number such as 24, 2.5k, 124m or 1.3b");
        return null;
    }

    private static void Forecast(string path, string[] overrides, double price, CancellationToken cancellation)
    {
        TrainingForecast forecast = new RecipeRunner(new FlywheelHome()) { Status = Console.WriteLine, Pilot = RankCommand.Pilot }.Forecast(path, overrides, cancellation);
        Table table = new Table().Title(Markup.Escape($"{path} on this machine")).HideHeaders().AddColumns("", "")
            .AddRow("steps, tokens", $"{forecast.Steps:N0}, {forecast.Tokens:N0}")
            .AddRow("speed", $"{forecast.TokensPerSecond:N0} tokens/s")
            .AddRow("time", Amounts.Duration(forecast.Seconds))
            .AddRow("most memory", $"{forecast.MemoryBytes / 1e9:F2} GB of {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:F1}");
        if (price > 0) table.AddRow("money", $"{forecast.Seconds / 3600 * price:N2}");
        AnsiConsole.Write(table);
    }

    private static void Print(PlanRequest request, string hardware, TrainingPlan plan)
    {
        CheckpointPlan checkpoints = plan.Checkpoints;
        ModelConfig shape = plan.Shape;
        Table table = new Table().Title(Markup.Escape($"{request.Count} x {hardware}, {Amounts.Rounded(request.FlopsPerSecond * request.Count)} operations a second in training")).HideHeaders().AddColumns("", "")
            .AddRow("parameters", Amounts.Rounded(shape.NumParameters))
            .AddRow("shape", $"hidden {shape.HiddenSize}, intermediate {shape.IntermediateSize}, layers {shape.NumLayers}, heads {shape.NumHeads}, kv_heads {shape.NumKvHeads}, head_dim {shape.HeadDim}, vocab {shape.VocabSize}")
            .AddRow("tokens", $"{Amounts.Rounded(plan.Tokens)}, {plan.Tokens / shape.NumParameters:N1} a parameter")
            .AddRow("operations", Amounts.Rounded(plan.Flops));
        if (plan.ExpectedLoss is { } loss) table.AddRow("expected held-out loss", $"{loss:F3} nats a token");
        table.AddRow("time", Amounts.Duration(checkpoints.TotalSeconds));
        if (request.PricePerHour > 0) table.AddRow("money for training", $"{plan.Money:N0}");
        if (plan.LabelMoney > 0) table.AddRow("money for labels", $"{plan.LabelMoney:N0}: {plan.NumLabels:N0} labels");
        if (plan.PeopleMoney > 0) table.AddRow("money for people", $"{plan.PeopleMoney:N0}");
        table.AddEmptyRow()
            .AddRow("checkpoint every", Amounts.Duration(checkpoints.IntervalSeconds))
            .AddRow("expected restarts", $"{checkpoints.Restarts:G3}")
            .AddRow("work lost to failures", $"{Amounts.Duration(checkpoints.LostSeconds)}, {checkpoints.Efficiency:P1} of the time is work that counts")
            .AddEmptyRow();
        foreach ((string name, long bytes) in plan.Memory.Parts) table.AddRow($"memory: {name}", $"{bytes / 1e9:F2} GB");
        table.AddRow("memory of one", $"{plan.Memory.Total / 1e9:F2} of {plan.MemoryAvailable / 1e9:F1} GB{(plan.Fits ? "" : ": does not fit")}");
        AnsiConsole.Write(table);
    }
}
