using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Games;

/// <summary>A recorded game of self-play, as a list shows it.</summary>
/// <param name="Id">Group of its generations.</param>
/// <param name="Turn">Number of the turn that learnt from it first.</param>
/// <param name="Index">Which of that turn's games, from 0.</param>
/// <param name="Result">1 when the side that began has won, -1 when the other, 0 of a draw.</param>
public sealed record ArchivedGame(Guid Id, int Turn, int Index, int Result);

/// <summary>A move of such a game.</summary>
/// <param name="Move">Played.</param>
/// <param name="Shares">What the search gave each move; null of a random move of the opening.</param>
/// <param name="Value">Expected result for the side that moved, from -1 to 1; null of such a move.</param>
public sealed record ArchivedMove(int Move, IReadOnlyDictionary<int, double>? Shares, double? Value);

/// <summary>Games of self-play in the record of a home, to be looked at.</summary>
public static class GameArchive
{
    /// <summary>Turns with recorded games of a task, the newest first; a teacher's games are in no record.</summary>
    public static async Task<IReadOnlyList<int>> TurnsAsync(FlywheelStore store, string task, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        var turns = await db.Turns.AsNoTracking().OrderByDescending(row => row.Number)
            .Select(row => new { row.Number, row.Recipe, row.FeedbackThrough }).ToListAsync(cancellation);
        var found = new List<int>();
        // Games behind what the last turn learnt from are those of the next.
        if (await HasAsync(turns.Count == 0 ? 0 : turns[0].FeedbackThrough, long.MaxValue))
            found.Add(turns.Count == 0 ? 1 : turns[0].Number + 1);
        foreach ((int place, var turn) in turns.Index())
            if (PlayRecipe.IsOne(turn.Recipe) && turn.Recipe.Split('\n').Contains($"task: {task}")
                && await HasAsync(place + 1 < turns.Count ? turns[place + 1].FeedbackThrough : 0, turn.FeedbackThrough))
                found.Add(turn.Number);
        return found;

        Task<bool> HasAsync(long before, long through) =>
            GameRecord.RowsSince(db, task, before, through).AnyAsync(row => row.User == GameRecord.SelfPlayUser, cancellation);
    }

    /// <summary>The games that a turn learnt from first.</summary>
    public static async Task<IReadOnlyList<ArchivedGame>> ListAsync(FlywheelStore store, TaskFolder task, int turn,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        Game game = GameTasks.GameOf(task);
        long before = await db.Turns.Where(row => row.Number < turn).MaxAsync(row => (long?)row.FeedbackThrough, cancellation) ?? 0;
        long through = await db.Turns.Where(row => row.Number == turn).MaxAsync(row => (long?)row.FeedbackThrough, cancellation)
            ?? long.MaxValue;
        var rows = await GameRecord.RowsSince(db, task.Name, before, through).Where(row => row.Choice == 0).ToListAsync(cancellation);
        return [.. rows.Where(row => row.User == GameRecord.SelfPlayUser).Select(row =>
        {
            JsonNode search = GameRecord.SearchOf(row.Conversation!);
            int forMover = (int)Math.Round(2 * double.Parse(row.Value, CultureInfo.InvariantCulture) - 1);
            return new ArchivedGame(row.Group, search["turn"]!.GetValue<int>(), search["game"]!.GetValue<int>(),
                game.After(GameRecord.HistoryOf(game, search)).IsFirstToMove ? forMover : -forMover);
        }).OrderBy(one => one.Index)];
    }

    /// <summary>The moves of a game from the start; none when there is no such game.</summary>
    public static async Task<IReadOnlyList<ArchivedMove>> ReadAsync(FlywheelStore store, TaskFolder task, Guid id,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        Game game = GameTasks.GameOf(task);
        var rows = await db.Generations.AsNoTracking()
            .Where(row => row.Group == id && row.User == GameRecord.SelfPlayUser && row.Payload != null).OrderBy(row => row.Choice)
            .Select(row => new { row.Payload!.Conversation, row.Payload.Text }).ToListAsync(cancellation);
        var moves = new List<ArchivedMove>();
        foreach (var row in rows)
        {
            JsonNode search = GameRecord.SearchOf(row.Conversation!);
            if (moves.Count == 0) moves.AddRange(GameRecord.HistoryOf(game, search).Select(move => new ArchivedMove(move, null, null)));
            moves.Add(new ArchivedMove(game.FindMove(row.Text)!.Value,
                GameRecord.MovesOf(game, search).Zip(search["shares"]!.AsArray())
                    .ToDictionary(pair => pair.First, pair => pair.Second!.GetValue<double>()), search["value"]!.GetValue<double>()));
        }
        return moves;
    }
}
