using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel turn</c>: one revolution; ends with 0 when the candidate was promoted, 1 when it was rejected.</summary>
internal static class TurnCommand
{
    public static Command Create()
    {
        var recipe = new Option<string?>("--recipe") { Description = "Recipe of the turn; recipes/turn.yaml when not given" };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe, such as gate.regression_margin=0.1", DefaultValueFactory = _ => [] };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be learnt from; write nothing" };
        var force = new Option<bool>("--force") { Description = "Promote even if the gate rejects; the release and the report say so" };
        var command = new Command("turn", "Curate the feedback since the last turn, train a candidate, test it against the champion, promote or reject it. A turn that was stopped is gone on with.\nExample: flywheel turn") { recipe, set, dryRun, force };
        command.SetAction((parse, cancellation) => RunAsync(parse.GetValue(recipe) ?? FindRecipe(), parse.GetValue(set)!, parse.GetValue(dryRun), parse.GetValue(force), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string path, string[] overrides, bool dryRun, bool force, CancellationToken cancellation)
    {
        TurnRecipe recipe = RecipeFile.LoadTurn(path, overrides);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (dryRun)
        {
            CuratedDataset preview = await new TurnRunner(store).PreviewAsync(recipe, folder, cancellation);
            AnsiConsole.WriteLine($"A turn now would be {preview.Summary} Nothing was written.");
            WriteDrops(preview);
            return 0;
        }
        if (force) AnsiConsole.MarkupLine("[yellow]--force: the candidate will be promoted whatever the gate says.[/]");

        TurnOutcome outcome;
        if (Console.IsOutputRedirected) outcome = await new TurnRunner(store, PlainProgress()).RunAsync(recipe, folder, force, cancellation);
        else
            outcome = await AnsiConsole.Progress().Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
                .StartAsync(context => new TurnRunner(store, LiveProgress(context)).RunAsync(recipe, folder, force, cancellation));

        WriteDrops(outcome.Dataset);
        WriteGate(outcome.Decision);
        string verdict = outcome.Promoted ? "[green]promoted[/]" : "[red]rejected[/]";
        AnsiConsole.MarkupLine($"Turn {outcome.Turn.Number}: candidate {outcome.Turn.Candidate![..12]} {verdict}: {Markup.Escape(outcome.Turn.Reason!)}");
        AnsiConsole.WriteLine($"Report: {outcome.Report}");
        return outcome.Promoted ? 0 : ExitCodes.Rejected;
    }

    private static TurnProgress PlainProgress()
    {
        string last = "";
        void Tenth(string name, int done, int of, string also = "")
        {
            string line = $"{name}: {10 * done / of}0%";
            if (last == line) return;
            last = line;
            Console.WriteLine(line + also);
        }
        return new()
        {
            Say = Console.WriteLine,
            Trained = (name, progress) =>
            {
                if (progress.Note is { } note) Console.WriteLine(note);
                if (progress.Line is { Loss: not null } line) Tenth(name, line.Step, progress.NumSteps, $", loss {line.Loss:F3}");
            },
            Examined = (who, done, of) => Tenth($"examining the {who}", done, of),
        };
    }

    private static TurnProgress LiveProgress(ProgressContext context)
    {
        Dictionary<string, ProgressTask> bars = [];
        void Move(string name, string text, int done, int of)
        {
            lock (bars)
            {
                if (!bars.TryGetValue(name, out ProgressTask? bar)) bars[name] = bar = context.AddTask(name, maxValue: of);
                bar.Description = Markup.Escape(text);
                bar.Value = Math.Max(bar.Value, done);
            }
        }
        return new()
        {
            Say = text => AnsiConsole.MarkupLineInterpolated($"{text}"),
            Trained = (name, progress) =>
            {
                if (progress.Note is { } note) AnsiConsole.MarkupLineInterpolated($"[yellow]{note}[/]");
                if (progress.Line is { Loss: not null } line) Move(name, $"{name}: loss {line.Loss:F3}", line.Step, progress.NumSteps);
            },
            Examined = (who, done, of) => Move(who, $"examining the {who}", done, of),
        };
    }

    private static void WriteDrops(CuratedDataset dataset)
    {
        if (dataset.Drops.Count == 0) return;
        Table table = new Table().AddColumn("not used, because").AddColumn(new TableColumn("rows").RightAligned());
        foreach ((string reason, int count) in dataset.Drops) table.AddRow(Markup.Escape(reason), $"{count}");
        AnsiConsole.Write(table);
    }

    private static void WriteGate(GateDecision decision)
    {
        var table = new Table().AddColumns("gate", "champion", "candidate", "improvement [[95% interval]]", "must be above", "verdict");
        foreach (RuleResult rule in decision.Rules)
        {
            table.AddRow(
                Markup.Escape($"{rule.Name} ({rule.Unit})\n{rule.Basis}"), $"{rule.Champion:0.000}", $"{rule.Candidate:0.000}",
                rule.IsPoint ? $"{rule.Improvement.Estimate:0.000}" : Markup.Escape($"{rule.Improvement}"),
                rule.Passed is null ? "" : $"{rule.Threshold:0.###}",
                rule.Passed switch { true => "[green]pass[/]", false => "[red]FAIL[/]", null => "[grey]told only[/]" });
        }
        AnsiConsole.Write(table);
    }

    /// <summary>recipes/turn.yaml of the project that this program was built in.</summary>
    private static string FindRecipe()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string recipe = Path.Combine(folder.FullName, "recipes", "turn.yaml");
            if (File.Exists(recipe)) return recipe;
        }
        throw new FlywheelException("recipes/turn.yaml was not found above this program; give the recipe with --recipe FILE");
    }
}
