using System.CommandLine;
using Flywheel.Data;
using FlywheelStore = Flywheel.Loop.FlywheelStore;
using Flywheel.Loop.Reviews;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel data RECIPE</c>, <c>flywheel data show ROW</c>: what a recipe's sources give, and what was dropped and
/// why.</summary>
internal static class DataCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "Recipe file" };
        var sample = new Option<int>("--sample") { Description = "Print this many random training examples" };
        var seed = new Option<int>("--seed") { Description = "Of the random choice", DefaultValueFactory = _ => 1 };
        var refresh = new Option<bool>("--refresh") { Description = "Fetch again what was fetched before" };
        var command = new Command("data",
            "Read, clean, deduplicate and split a recipe's data, and report on it.\nExample: ./flywheel data recipes/packages.yaml --sample 5") { recipe, sample, seed, refresh, Show() };
        command.SetAction(parse => Run(parse.GetValue(recipe)!, parse.GetValue(sample), parse.GetValue(seed), parse.GetValue(refresh)));
        return command;
    }

    /// <summary><c>flywheel data show ROW</c>: what became of what a person did, and why.</summary>
    private static Command Show()
    {
        var row = new Argument<string>("ROW") { Description = "Id of a feedback, a generation or an example, or its first six characters" };
        var show = new Command("show",
            "What became of what a person did, and why: which turn learnt from it or left it out, what reviewers said, what comes next.\nExample: ./flywheel data show 0199f1c2") { row };
        show.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            foreach (string line in await RowFate.ExplainAsync(store, parse.GetValue(row)!, cancellation)) Console.WriteLine(line);
        });
        return show;
    }

    private static void Run(string path, int sample, int seed, bool refresh)
    {
        (DataCollection collection, BuiltData? built) = new RecipeRunner(new FlywheelHome()) { Status = Say }.Data(path, refresh);
        if (built is null) Say("its base is a recipe: tokens are counted when that has been trained");
        else
        {
            Say($"train {built.TrainPath}");
            Say($"validation {built.ValidationPath ?? "none"}");
        }
        Show(collection.Report);
        Example[] examples = [.. collection.Items(Split.Train).SelectMany(item => item.Examples)];
        var random = new Random(seed);
        for (int i = 0; i < sample; i++)
            Console.WriteLine("\n---\n" + string.Join("\n\n>>> ", examples[random.Next(examples.Length)].Identity));
    }

    /// <summary>Tables for a person, Markdown for a file or a pipe.</summary>
    private static void Show(DataReport report)
    {
        if (Console.IsOutputRedirected)
        {
            Console.Write(report.ToMarkdown());
            return;
        }
        foreach (SourceReport source in report.Sources) AnsiConsole.Write(Describe(source));
        if (report.Splits.Count > 0) AnsiConsole.Write(Describe(report.Splits));
        else Console.WriteLine(string.Join(", ", report.Items.Select(split => $"{split.Key}: {split.Value:N0} items")));
    }

    private static void Say(string line) => Console.Error.WriteLine(line);

    private static Table Describe(SourceReport source)
    {
        Table table =
            new Table()
                .Title(Markup.Escape($"{source.Name}: kept {source.Kept:N0} of {source.Read:N0} items as {source.Examples:N0} examples"))
            .Caption(Markup.Escape(source.Origin)).AddColumns("dropped", "count", "example");
        foreach ((string reason, Drop drop) in source.Drops.OrderByDescending(drop => drop.Value.Count))
            table.AddRow(Markup.Escape(reason), $"{drop.Count:N0}", Markup.Escape(drop.Example));
        return table;
    }

    private static Table Describe(IReadOnlyDictionary<string, SplitReport> splits)
    {
        Table table = new Table().AddColumns("split", "documents", "tokens", "learnt", "characters a token", "5 %", "50 %", "95 %",
            "longest");
        foreach ((string name, SplitReport split) in splits)
            table.AddRow(name, $"{split.Documents:N0}", $"{split.Tokens:N0}", $"{split.Targets:N0}", $"{split.CharsPerToken:F2}",
                $"{split.Length05}", $"{split.Length50}", $"{split.Length95}", $"{split.LengthMax}");
        return table;
    }
}
