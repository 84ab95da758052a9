using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Games;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel play</c>: a model learns a game from playing itself.</summary>
internal static class PlayCommand
{
    public static Command Create()
    {
        var task = new Option<string>("--task") { Description = "A task with a game", DefaultValueFactory = _ => ConnectFourGame.Id };
        var games =
            new Option<int?>("--games") { Description =
                "Only play: so many games of the champion against itself, from which the next turn learns" };
        var turns =
            new Option<int?>("--turns") { Description =
                "Turns, one after another: play, learn, match against the champion, promote or reject, measure" };
        var recipe = new Option<string?>("--recipe") { Description = "Recipe of play; recipes/TASK.yaml when not given" };
        var set = new Option<string[]>("--set") { Description = "Replace a field of the recipe, such as play.games=100",
            DefaultValueFactory = _ => [] };
        var threads = new Option<int>("--threads") { Description = "Of engine and training; 0 takes all cores" };
        var positions = new Option<string?>("--positions")
            { Description =
                "Only draw positions to measure on, with the best moves by a solver (of chess: Stockfish), and write them to this file (the task's held-out.jsonl)" };
        var command = new Command("play",
            "Learn a game from nothing: games are generations, results are the referee's feedback, releases are turns. What was interrupted is gone on with.\nExample: ./flywheel play --task connect-four --turns 10") { task, games, turns, recipe, set, threads, positions };
        command.SetAction((parse, cancellation) =>
            RunAsync(parse.GetValue(task)!, parse.GetValue(games), parse.GetValue(turns), parse.GetValue(recipe), parse.GetValue(set)!,
                parse.GetValue(threads), parse.GetValue(positions), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string task, int? games, int? turns, string? path, string[] overrides, int threads,
        string? positions, CancellationToken cancellation)
    {
        if (new object?[] { games, turns, positions }.Count(given => given is not null) != 1)
            throw new FlywheelException("expected one of --games, --turns and --positions");
        if ((games ?? turns) is < 1 and var few)
            throw new FlywheelException($"{(games is null ? "--turns" : "--games")} is {few}, expected at least 1");
        if (threads < 0) throw new FlywheelException($"--threads is {threads}, expected 0 (all cores) or more");
        PlayRecipe recipe = PlayRecipe.Load(path ?? FindRecipe(task), overrides);
        if (path is null || recipe.Task != task) recipe = recipe with { Task = task };
        var home = new FlywheelHome();
        if (positions is not null)
        {
            PositionFile.Write(new TaskCatalog(home).Find(task), positions, recipe.Measure.Positions, recipe.Seed);
            Console.WriteLine(positions);
            return 0;
        }
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        long started = Stopwatch.GetTimestamp();
        var loop = new GameLoop(store, recipe) { Threads = threads,
            Say = text => AnsiConsole.WriteLine($"{Stopwatch.GetElapsedTime(started):hh\\:mm\\:ss} {text}") };
        if (games is { } wanted)
        {
            int played = await loop.PlayAsync(wanted, cancellation);
            AnsiConsole.WriteLine($"{played} games were played; the next turn learns from them.");
            return 0;
        }
        for (int i = 0; i < turns; i++)
            Write(Game.All[new TaskCatalog(home).Find(task).Description.Game!], await loop.TurnAsync(cancellation));
        GameCurve curve = GameCurve.Read(store.Home, task);
        Write(curve);
        Console.WriteLine(curve.Write(store.Home));
        return 0;
    }

    private static void Write(Game game, GameTurnOutcome outcome)
    {
        PositionScore positions = outcome.Measure.Positions;
        AnsiConsole.MarkupLineInterpolated(
            $"Turn {outcome.Turn.Number}: candidate {outcome.Turn.Candidate![..12]} {(outcome.Promoted ? "promoted" : "rejected")}: {outcome.Turn.Reason}");
        AnsiConsole.WriteLine(
            $"  held-out positions: {Share(positions.Policy)} optimal alone, {Share(positions.Search)} with search, {Share(positions.Legal)} legal unasked; begins with {game.Symbol(outcome.Measure.EmptyBoard)}");
    }

    private static void Write(GameCurve curve)
    {
        string[] opponents = [.. curve.Measures.SelectMany(measure => measure.Matches).Select(match => match.Second).Distinct()];
        Table table =
            new Table().AddColumns(["turn", "champion", "Elo (one-ply = 0)", "optimal alone", "with search", "legal unasked",
                .. opponents]);
        foreach (GameMeasure measure in curve.Measures)
        {
            EloRating? rating = curve.RatingOf(measure);
            IReadOnlyList<MatchResult> matches = curve.Measures.First(one => one.Champion == measure.Champion).Matches;
            table.AddRow([$"{measure.Turn}", $"{measure.Champion[..12]}{(measure.Promoted || measure.Turn == 0 ? "" : " (kept)")}",
                rating is null
                    ? "" : Markup.Escape(string.Create(CultureInfo.InvariantCulture, $"{rating.Elo:0} [{rating.Low:0}, {rating.High:0}]")),
                Share(measure.Positions.Policy), Share(measure.Positions.Search), Share(measure.Positions.Legal),
                .. opponents.Select(name => matches.FirstOrDefault(match => match.Second == name) is { } match
                    ? string.Create(CultureInfo.InvariantCulture, $"{100 * match.Score:0}%") : "")]);
        }
        AnsiConsole.Write(table);
    }

    private static string Share(Interval share) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * share.Estimate:0.0}% ({100 * share.Low:0.0} to {100 * share.High:0.0})");

    private static string FindRecipe(string task) =>
        TaskCatalog.Shipped is { } tasks && Path.Combine(Path.GetDirectoryName(tasks)!, "recipes", $"{task}.yaml") is var file
            && File.Exists(file) ? file
        : throw new FlywheelException($"there is no recipe for the task '{task}'; name one with --recipe");
}
