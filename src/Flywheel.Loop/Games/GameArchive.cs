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
/// <param name="Column">Played.</param>
/// <param name="Shares">What the search gave each column, [7]; null of a random move of the opening.</param>
/// <param name="Value">Expected result for the side that moved, from -1 to 1; null of such a move.</param>
public sealed record ArchivedMove(int Column, IReadOnlyList<double>? Shares, double? Value);

/// <summary>Games of self-play in the record of a home, to be looked at.</summary>
public static class GameArchive
{
    /// <summary>Every game of a task, the newest turn first.</summary>
    public static async Task<IReadOnlyList<ArchivedGame>> ListAsync(FlywheelStore store, string task, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        string app = Generation.TaskApp + task;
        var rows = await (from generation in db.Generations.AsNoTracking()
                          where generation.App == app && generation.User == GameRecord.SelfPlayUser && generation.Choice == 0 && generation.Payload != null
                          join feedback in db.Feedback.AsNoTracking() on generation.Id equals feedback.GenerationId
                          where feedback.Source == FeedbackSource.Referee
                          select new { generation.Group, generation.Payload!.Conversation, feedback.Value }).ToListAsync(cancellation);
        return [.. rows.Select(row =>
        {
            JsonNode search = SearchOf(row.Conversation!);
            int forMover = (int)Math.Round(2 * double.Parse(row.Value, CultureInfo.InvariantCulture) - 1);
            return new ArchivedGame(row.Group, search["turn"]!.GetValue<int>(), search["game"]!.GetValue<int>(), search["history"]!.GetValue<string>().Length % 2 == 0 ? forMover : -forMover);
        }).OrderByDescending(game => game.Turn).ThenBy(game => game.Index)];
    }

    /// <summary>The moves of a game from the empty board; none when there is no such game.</summary>
    public static async Task<IReadOnlyList<ArchivedMove>> ReadAsync(FlywheelStore store, Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        var rows = await db.Generations.AsNoTracking().Where(row => row.Group == id && row.User == GameRecord.SelfPlayUser && row.Payload != null).OrderBy(row => row.Choice)
            .Select(row => new { row.Payload!.Conversation, row.Payload.Text }).ToListAsync(cancellation);
        var moves = new List<ArchivedMove>();
        foreach (var row in rows)
        {
            JsonNode search = SearchOf(row.Conversation!);
            if (moves.Count == 0) moves.AddRange(search["history"]!.GetValue<string>().Select(column => new ArchivedMove(column - '0', null, null)));
            moves.Add(new ArchivedMove(int.Parse(row.Text, CultureInfo.InvariantCulture), [.. search["shares"]!.AsArray().Select(share => share!.GetValue<double>())], search["value"]!.GetValue<double>()));
        }
        return moves;
    }

    private static JsonNode SearchOf(Conversation conversation) => JsonNode.Parse(conversation.Messages[^1].Fields["search"])!;
}
