using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Games;

/// <summary>
/// Games in the record: each searched move is a generation, whose request says what the search found (<c>search</c> of the user's message),
/// and the game's result is the referee's rating of each. A game is written whole or not at all.
/// </summary>
internal static class GameRecord
{
    /// <summary>Who asked, and who judged.</summary>
    public const string SelfPlayUser = "self-play", RefereeUser = "referee";

    /// <summary>The game of a turn and index: <see cref="Generation.Group"/> of its moves.</summary>
    public static Guid IdOf(string task, string championHash, int seed, int turn, int index)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{task} {championHash} {seed} {turn} {index}")));
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }

    /// <summary>Which of some games are recorded already; no other is looked at.</summary>
    public static async Task<HashSet<Guid>> RecordedAsync(FlywheelStore store, IReadOnlyCollection<Guid> games, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return [.. await db.Generations.Where(row => games.Contains(row.Group)).Select(row => row.Group).Distinct().ToListAsync(cancellation)];
    }

    public static async Task SaveAsync(FlywheelStore store, TaskFolder task, GameModel model, PlayRecipe recipe, PlayedGame game, TimeProvider time, CancellationToken cancellation)
    {
        DateTimeOffset now = time.GetUtcNow();
        Guid group = IdOf(task.Name, model.Folder.Hash, recipe.Seed, game.Turn, game.Index);
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        foreach ((int ply, SearchedMove move) in game.Moves.Index())
        {
            Conversation asked = task.Ask(GameModel.FieldsOf(move.Position));
            Message user = asked.Messages[^1] with { Fields = new Dictionary<string, string> { ["search"] = SearchJson(recipe, game, move).ToJsonString(JsonText.Compact) } };
            int[] prompt = model.Prompt(move.Position);
            var generation = new Generation
            {
                Id = Guid.CreateVersion7(now),
                Group = group,
                Choice = ply,
                Time = now,
                App = Generation.TaskApp + task.Name,
                User = SelfPlayUser,
                ModelHash = model.Folder.Hash,
                FinishReason = FinishReason.Stop,
                NumPromptTokens = prompt.Length,
                NumTokens = 1,
                Payload = new GenerationPayload
                {
                    Conversation = asked with { Messages = [.. asked.Messages.SkipLast(1), user] },
                    Text = $"{move.Column}",
                    PromptTokens = prompt,
                    Tokens = [model.MoveToken(move.Column)],
                    Logprobs = [move.LogProb],
                    SamplerLogprobs = [move.DrawnLogProb],
                    Sampler = new SamplerOptions { Temperature = move.History.Count < recipe.Play.DrawnPlies ? 1 : 0, Seed = (ulong)SelfPlay.SeedOf(recipe.Seed, 1, game.Turn, game.Index) },
                    MaxTokens = 1,
                },
            };
            var rating = new FeedbackInput(generation.Id, Metrics.Rating, JsonValue.Create((game.ResultFor(move) + 1) / 2.0), RefereeUser, new JsonObject
            {
                ["game"] = $"{group}", ["ply"] = move.History.Count.ToString(CultureInfo.InvariantCulture),
            });
            db.Generations.Add(generation);
            db.Feedback.Add(new Feedback
            {
                Id = Guid.CreateVersion7(now), Time = now, GenerationId = generation.Id, Metric = rating.Metric, Value = rating.Value, User = rating.User, Tags = rating.Tags,
                Source = FeedbackSource.Referee,
            });
        }
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Games of turns, in the order of turn and index, with the generation and the feedback of each move.</summary>
    /// <param name="store">The record.</param>
    /// <param name="task">Name of the task.</param>
    /// <param name="turns">Numbers of the turns.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<IReadOnlyList<RecordedGame>> ReadAsync(FlywheelStore store, string task, IReadOnlySet<int> turns, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        int oldest = turns.Min();
        long before = await db.Turns.Where(turn => turn.Number < oldest).MaxAsync(turn => (long?)turn.FeedbackThrough, cancellation) ?? 0;
        List<RecordedRow> rows = await RowsSince(db, task, before).ToListAsync(cancellation);
        var games = new List<RecordedGame>();
        foreach (var group in rows.Where(row => row.User == SelfPlayUser).GroupBy(row => row.Group))
        {
            var moves = new List<RecordedMove>();
            (int turn, int index, int result) = (0, 0, 0);
            foreach (RecordedRow row in group.OrderBy(row => row.Choice))
            {
                JsonNode search = JsonNode.Parse(row.Conversation!.Messages[^1].Fields["search"])!;
                (turn, index) = (search["turn"]!.GetValue<int>(), search["game"]!.GetValue<int>());
                if (!turns.Contains(turn)) break;
                int[] history = [.. search["history"]!.GetValue<string>().Select(column => column - '0')];
                var position = ConnectFour.Empty;
                foreach (int column in history) position = position.Play(column);
                double share = double.Parse(row.Value, CultureInfo.InvariantCulture);
                result = (int)Math.Round(2 * share - 1) * (position.IsFirstToMove ? 1 : -1);
                moves.Add(new RecordedMove(row.Id, row.Feedback, new SearchedMove(position, history, Read<int>(search, "visits"), Read<double>(search, "shares"), Read<double>(search, "targets"), Read<double>(search, "values"),
                    search["value"]!.GetValue<double>(), int.Parse(row.Text, CultureInfo.InvariantCulture), 0, 0)));
            }
            if (moves.Count > 0) games.Add(new RecordedGame(group.Key, group.First().ModelHash, new PlayedGame(turn, index, [.. moves.Select(move => move.Move)], result), moves));
        }
        return [.. games.OrderBy(game => game.Game.Turn).ThenBy(game => game.Game.Index)];
    }

    /// <summary>
    /// Moves that the referee judged after a place in the feedback, which is where a turn had read to: games of later turns stand behind it. Who
    /// asked is not a condition, although a few games of people come along: by the index of users every game ever played would be read.
    /// </summary>
    internal static IQueryable<RecordedRow> RowsSince(FlywheelDb db, string task, long before)
    {
        string app = Generation.TaskApp + task;
        return from feedback in db.Feedback.AsNoTracking()
               where feedback.Sequence > before && feedback.Source == FeedbackSource.Referee
               join generation in db.Generations.AsNoTracking() on feedback.GenerationId equals generation.Id
               where generation.App == app && generation.Payload != null
               select new RecordedRow(generation.Id, generation.Group, generation.Choice, generation.User, generation.ModelHash, generation.Payload!.Conversation, generation.Payload.Text, feedback.Id, feedback.Value);
    }

    internal sealed record RecordedRow(Guid Id, Guid Group, int Choice, string User, string ModelHash, Conversation? Conversation, string Text, Guid Feedback, string Value);

    private static T[] Read<T>(JsonNode search, string name) => search[name]!.Deserialize<T[]>()!;

    private static JsonObject SearchJson(PlayRecipe recipe, PlayedGame game, SearchedMove move) => new()
    {
        ["turn"] = game.Turn,
        ["game"] = game.Index,
        ["history"] = string.Concat(move.History),
        ["simulations"] = recipe.Play.Simulations,
        ["visits"] = new JsonArray([.. move.Visits.Select(visits => JsonValue.Create(visits))]),
        ["shares"] = Rounded(move.Shares),
        ["targets"] = Rounded(move.Targets),
        ["values"] = Rounded(move.Values),
        ["value"] = Math.Round(move.Value, 4),
    };

    private static JsonArray Rounded(double[] values) => [.. values.Select(value => JsonValue.Create(Math.Round(value, 4)))];
}

/// <summary>A move as it was recorded.</summary>
internal sealed record RecordedMove(Guid Generation, Guid Feedback, SearchedMove Move);

/// <summary>A game as it was recorded.</summary>
/// <param name="Id">Group of its generations.</param>
/// <param name="Champion">Hash of the model that played both sides.</param>
/// <param name="Game">The game.</param>
/// <param name="Moves">Its searched moves, with where they are recorded.</param>
internal sealed record RecordedGame(Guid Id, string Champion, PlayedGame Game, IReadOnlyList<RecordedMove> Moves);
