using System.CommandLine;
using Flywheel.Cli.Demo;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary>
/// <c>flywheel turn</c>: one revolution; ends with 0 when the candidate was promoted, 1 when it was rejected, 5 when it waits for an
/// answer.
/// </summary>
internal static class TurnCommand
{
    public static Command Create()
    {
        var recipe = new Option<string?>("--recipe")
            { Description = "Recipe of the turn; recipes/turn.yaml when not given, of a workspace's recipes/workspace.yaml" };
        var workspace = new Option<string>("--workspace")
        {
            Description = "A workspace of the home: learn from what is done there an adapter that answers there alone",
            DefaultValueFactory = _ => WorkspaceRow.Default,
        };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe, such as gate.regression_margin=0.1",
            DefaultValueFactory = _ => [] };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be learnt from; write nothing" };
        var force = new Option<bool>("--force") { Description = "Promote even if the gate rejects; the release and the report say so" };
        var accept = new Option<string?>("--accept")
            { Description = "Promote the candidate of a turn that waits for a person's answer; its number" };
        var refuse = new Option<string?>("--refuse") { Description = "Reject it; of a turn that cannot be gone on with: give it up" };
        var command = new Command("turn",
            "Curate the feedback since the last turn, train a candidate, test it against the champion, promote or reject it. "
            + "With fewer than six people a person compares the drafts and decides. A turn that was stopped is gone on with.\nExample: ./flywheel turn") { recipe, workspace, set, dryRun, force, accept, refuse };
        command.SetAction((parse, cancellation) => (parse.GetValue(accept), parse.GetValue(refuse)) switch
        {
            (null, null) => RunAsync(parse.GetValue(recipe)
                ?? FindRecipe(parse.GetValue(workspace)!), parse.GetValue(workspace)!, parse.GetValue(set)!, parse.GetValue(dryRun),
                parse.GetValue(force), cancellation),
            ({ } id, null) => AnswerAsync(id, accept: true, cancellation),
            (null, { } id) => AnswerAsync(id, accept: false, cancellation),
            _ => throw new FlywheelException("--accept and --refuse were both given, expected one of them"),
        });
        return command;
    }

    private static async Task<int> RunAsync(string path, string workspace, string[] overrides, bool dryRun, bool force,
        CancellationToken cancellation)
    {
        TurnRecipe recipe = RecipeFile.LoadTurn(path, overrides);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (dryRun)
        {
            TurnPreview preview = await Runner(store, workspace).PreviewAsync(recipe, folder, cancellation);
            WriteTable(preview.Dataset);
            WriteDrops(preview.Dataset);
            AnsiConsole.WriteLine(preview.Missing is { } missing
                ? $"No turn can begin yet: {missing}."
                : $"A turn now would be {preview.Dataset.Summary}{(preview.Dataset.IsOfFewPeople ? $" You would compare drafts and decide: there are fewer than {HoldOut.MinPeople} people." : "")}");
            if (preview.Power.People > 0) AnsiConsole.WriteLine($"Power: {preview.Power.Text}.");
            AnsiConsole.WriteLine("Nothing was begun.");
            return 0;
        }
        if (force) AnsiConsole.MarkupLine("[yellow]--force: the candidate will be promoted whatever the gate says.[/]");

        TurnOutcome outcome;
        if (Console.IsOutputRedirected) outcome = await Runner(store, workspace, PlainProgress())
            .RunAsync(recipe, folder, force, cancellation);
        else
            outcome = await AnsiConsole.Progress()
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn())
                .StartAsync(context => Runner(store, workspace, LiveProgress(context)).RunAsync(recipe, folder, force, cancellation));

        WriteDrops(outcome.Dataset);
        WriteGate(outcome.Decision);
        AnsiConsole.WriteLine(outcome.Decision.Power is { Length: > 0 } power
            ? $"{outcome.Decision.JudgedBy} {char.ToUpperInvariant(power[0])}{power[1..]}." : outcome.Decision.JudgedBy);
        if (outcome.Waits) return await AskAsync(store, outcome, cancellation);
        string verdict = outcome.Promoted ? "[green]promoted[/]" : "[red]rejected[/]";
        AnsiConsole.MarkupLine(
            $"Turn {outcome.Turn.Number}: candidate {outcome.Turn.Candidate![..12]} {verdict}: {Markup.Escape(outcome.Turn.Reason!)}");
        AnsiConsole.WriteLine($"Report: {outcome.Report}");
        return outcome.Promoted ? 0 : ExitCodes.Rejected;
    }

    /// <summary>
    /// Shows both drafts to each held-out prompt and asks; without a terminal the candidate goes on waiting, which is neither yes nor no.
    /// </summary>
    private static async Task<int> AskAsync(FlywheelStore store, TurnOutcome outcome, CancellationToken cancellation)
    {
        TurnRow turn = outcome.Turn;
        foreach ((Answer champion, Answer candidate) in outcome.SideBySide)
        {
            var table = new Table().AddColumns("now", "the candidate").Title(Markup.Escape(champion.Prompt));
            table.AddRow(Markup.Escape(champion.Text.Trim()), Markup.Escape(candidate.Text.Trim()));
            AnsiConsole.Write(table);
        }
        AnsiConsole.WriteLine($"Turn {turn.Number}: you decide, because {outcome.Decision.AskReason}. Report: {outcome.Report}");
        if (Console.IsInputRedirected || Console.IsOutputRedirected)
        {
            AnsiConsole.WriteLine(
                $"The candidate {turn.Candidate![..12]} waits: flywheel turn --accept {turn.Number} promotes it, flywheel turn --refuse {turn.Number} does not.");
            return ExitCodes.Waiting;
        }
        bool yes = await AnsiConsole.ConfirmAsync("Is the candidate better, and shall it answer from now on?", defaultValue: false,
            cancellation);
        return await AnswerAsync(store, $"{turn.Number}", yes, cancellation);
    }

    private static async Task<int> AnswerAsync(string id, bool accept, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        return await AnswerAsync(store, id, accept, cancellation);
    }

    private static async Task<int> AnswerAsync(FlywheelStore store, string id, bool accept, CancellationToken cancellation)
    {
        TurnRow turn = await new TurnRunner(store, PlainProgress())
            .AnswerAsync(id, accept, Environment.UserName, cancellation: cancellation);
        bool promoted = turn.State == TurnState.Promoted;
        AnsiConsole.MarkupLine(
            $"Turn {turn.Number}: candidate {turn.Candidate![..12]} {(promoted ? "[green]promoted[/]" : "[red]rejected[/]")}: {Markup.Escape(turn.Reason!)}");
        return promoted || !accept ? 0 : ExitCodes.Rejected;
    }

    /// <summary>It also knows the stated rules of the demo's simulated people.</summary>
    private static TurnRunner Runner(FlywheelStore store, string workspace, TurnProgress? progress = null) =>
        new(store, progress) { Workspace = workspace, StatedRules = [.. Taste.All.Select(taste => new TasteJudge(taste))] };

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

    /// <summary>What there is of each kind on either side; also when it is nothing.</summary>
    private static void WriteTable(CuratedDataset dataset)
    {
        Table table = new Table().AddColumn("").AddColumn(new TableColumn("to learn from").RightAligned())
            .AddColumn(new TableColumn("held out").RightAligned());
        foreach (ExampleKind kind in Enum.GetValues<ExampleKind>())
            table.AddRow($"{kind.ToString().ToLowerInvariant()} examples", $"{dataset.Of(kind, Split.Train).Count()}",
                $"{dataset.Of(kind, Split.HeldOut).Count()}");
        table.AddRow("people", $"{dataset.NumPeople(Split.Train)}", $"{dataset.NumPeople(Split.HeldOut)}");
        table.AddRow("prompts", $"{dataset.NumPrompts(Split.Train)}", $"{dataset.NumPrompts(Split.HeldOut)}");
        AnsiConsole.Write(table);
    }

    private static void WriteDrops(CuratedDataset dataset)
    {
        if (dataset.Retirement.Text is { Length: > 0 } retirement) AnsiConsole.WriteLine($"Held out: {retirement}.");
        foreach (string warning in dataset.Warnings) AnsiConsole.MarkupLineInterpolated($"[yellow]Warning:[/] {warning}.");
        if (dataset.Drops.Count == 0) return;
        Table table = new Table().AddColumn("not used, because").AddColumn(new TableColumn("rows").RightAligned());
        foreach ((string reason, int count) in dataset.Drops) table.AddRow(Markup.Escape(reason), $"{count}");
        AnsiConsole.Write(table);
    }

    private static void WriteGate(GateDecision decision)
    {
        var table = new Table().AddColumns("gate", "champion", "candidate", "improvement [[interval]]", "must be above", "verdict");
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

    private static string FindRecipe(string workspace)
    {
        string name = TurnRunner.RecipeOf(workspace);
        return TryFindRecipe(name)
            ?? throw new FlywheelException($"recipes/{name} was not found above this program; give the recipe with --recipe FILE");
    }

    /// <summary>A turn's recipe, in the folder recipes of the project that this program was built in, or null.</summary>
    internal static string? TryFindRecipe(string name = "turn.yaml")
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string recipe = Path.Combine(folder.FullName, "recipes", name);
            if (File.Exists(recipe)) return recipe;
        }
        return null;
    }
}
