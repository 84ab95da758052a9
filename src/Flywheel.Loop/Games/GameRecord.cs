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
        byte[] hash =
            SHA256.HashData(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{task} {championHash} {seed} {turn} {index}")));
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }

    /// <summary>Which of some games are recorded already; no other is looked at.</summary>
    public static async Task<HashSet<Guid>> RecordedAsync(FlywheelStore store, IReadOnlyCollection<Guid> games,
        CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return [.. await db.Generations.Where(row => games.Contains(row.Group)).Select(row => row.Group).Distinct()
            .ToListAsync(cancellation)];
    }

    public static async Task SaveAsync(FlywheelStore store, TaskFolder task, GameModel model, PlayRecipe recipe, PlayedGame game,
        TimeProvider time, CancellationToken cancellation)
    {
        DateTimeOffset now = time.GetUtcNow();
        Guid group = IdOf(task.Name, model.Folder.Hash, recipe.Seed, game.Turn, game.Index);
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        foreach ((int ply, SearchedMove move) in game.Moves.Index())
        {
            Conversation asked = task.Ask(GameTask.FieldsOf(move.Position));
            Message user =
                asked.Messages[^1]
                    with { Fields = new Dictionary<string, string>
                        { ["search"] = SearchJson(model.Game, recipe, game, move).ToJsonString(JsonText.Compact) } };
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
                    Text = model.Game.Symbol(move.Move),
                    PromptTokens = prompt,
                    Tokens = [model.MoveToken(move.Move)],
                    Logprobs = [move.LogProb],
                    SamplerLogprobs = [move.DrawnLogProb],
                    Sampler = new SamplerOptions { Temperature = move.History.Count < recipe.Play.DrawnPlies ? 1 : 0,
                        Seed = (ulong)SelfPlay.SeedOf(recipe.Seed, 1, game.Turn, game.Index) },
                    MaxTokens = 1,
                },
            };
            var rating = new FeedbackInput(generation.Id, Metrics.Rating, JsonValue.Create((game.ResultFor(move) + 1) / 2.0), RefereeUser,
                new JsonObject
            {
                ["game"] = $"{group}", ["ply"] = move.History.Count.ToString(CultureInfo.InvariantCulture),
            });
            db.Generations.Add(generation);
            db.Feedback.Add(new Feedback
            {
                Id = Guid.CreateVersion7(now), Time = now, GenerationId = generation.Id, Metric = rating.Metric, Value = rating.Value,
                User = rating.User, Tags = rating.Tags,
                Source = FeedbackSource.Referee,
            });
        }
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Games of turns, in the order of turn and index, with the generation and the feedback of each move.</summary>
    /// <param name="store">The record.</param>
    /// <param name="task">With a game.</param>
    /// <param name="turns">Numbers of the turns.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<IReadOnlyList<RecordedGame>> ReadAsync(FlywheelStore store, TaskFolder task, IReadOnlySet<int> turns,
        CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        int oldest = turns.Min();
        long before = await db.Turns.Where(turn => turn.Number < oldest).MaxAsync(turn => (long?)turn.FeedbackThrough, cancellation) ?? 0;
        List<RecordedRow> rows = await RowsSince(db, task.Name, before).ToListAsync(cancellation);
        Game game = GameTasks.GameOf(task);
        var games = new List<RecordedGame>();
        foreach (var group in rows.Where(row => row.User == SelfPlayUser).GroupBy(row => row.Group))
        {
            var moves = new List<RecordedMove>();
            (int turn, int index, int result, int next) = (0, 0, 0, 0);
            foreach (RecordedRow row in group.OrderBy(row => row.Choice))
            {
                JsonNode search = SearchOf(row.Conversation!);
                (turn, index) = (search["turn"]!.GetValue<int>(), search["game"]!.GetValue<int>());
                if (!turns.Contains(turn)) break;
                // Move by move, where none is missing: a game from its start for each move would take the square of its length.
                bool follows = moves.Count > 0 && row.Choice == next;
                IReadOnlyList<int> history = follows ? [.. moves[^1].Move.History, moves[^1].Move.Move] : HistoryOf(game, search);
                GamePosition position = follows ? moves[^1].Move.Position.Play(history[^1]) : game.After(history);
                next = row.Choice + 1;
                double share = double.Parse(row.Value, CultureInfo.InvariantCulture);
                result = (int)Math.Round(2 * share - 1) * (position.IsFirstToMove ? 1 : -1);
                moves.Add(new RecordedMove(row.Id, row.Feedback,
                    new SearchedMove(position, history, MovesOf(game, search), Read<int>(search, "visits"), Read<double>(search, "shares"),
                        Read<double>(search, "targets"), Read<double>(search, "values"),
                    search["value"]!.GetValue<double>(), game.FindMove(row.Text)!.Value, 0, 0)));
            }
            if (moves.Count > 0)
                games.Add(new RecordedGame(group.Key, group.First().ModelHash,
                    new PlayedGame(turn, index, [.. moves.Select(move => move.Move)], result), moves));
        }
        return [.. games.OrderBy(game => game.Game.Turn).ThenBy(game => game.Game.Index)];
    }

    /// <summary>
    /// Moves that the referee judged after a place in the feedback, which is where a turn had read to: games of later turns stand behind
    /// it. Who
    /// asked is not a condition, although a few games of people come along: by the index of users every game ever played would be read.
    /// </summary>
    internal static IQueryable<RecordedRow> RowsSince(FlywheelDb db, string task, long before, long through = long.MaxValue)
    {
        string app = Generation.TaskApp + task;
        return from feedback in db.Feedback.AsNoTracking()
               where feedback.Sequence > before && feedback.Sequence <= through && feedback.Source == FeedbackSource.Referee
               join generation in db.Generations.AsNoTracking() on feedback.GenerationId equals generation.Id
               where generation.App == app && generation.Payload != null
               select new RecordedRow
               {
                   Id = generation.Id, Group = generation.Group, Choice = generation.Choice, User = generation.User,
                   ModelHash = generation.ModelHash, Conversation = generation.Payload!.Conversation,
                   Text = generation.Payload.Text, Feedback = feedback.Id, Value = feedback.Value,
               };
    }

    internal sealed class RecordedRow
    {
        public required Guid Id { get; init; }

        public required Guid Group { get; init; }

        public required int Choice { get; init; }

        public required string User { get; init; }

        public required string ModelHash { get; init; }

        public required Conversation? Conversation { get; init; }

        public required string Text { get; init; }

        public required Guid Feedback { get; init; }

        public required string Value { get; init; }
    }

    /// <summary>What the search found, as the request of a recorded move says it.</summary>
    internal static JsonNode SearchOf(Conversation conversation) => JsonNode.Parse(conversation.Messages[^1].Fields["search"])!;

    /// <summary>Moves before a recorded one; the first records wrote columns of Connect Four without spaces.</summary>
    internal static IReadOnlyList<int> HistoryOf(Game game, JsonNode search)
    {
        string history = search["history"]!.GetValue<string>();
        IEnumerable<string> symbols = history.Contains(' ', StringComparison.Ordinal) || game is not ConnectFourGame
            ? history.Split(' ', StringSplitOptions.RemoveEmptyEntries) : history.Select(column => $"{column}");
        return [.. symbols.Select(symbol => game.FindMove(symbol)!.Value)];
    }

    /// <summary>The moves that a search weighed, in the order of its figures; the first records had every column of Connect Four.</summary>
    internal static IReadOnlyList<int> MovesOf(Game game, JsonNode search) => search["moves"]?.GetValue<string>() is { } moves
        ? [.. moves.Split(' ').Select(symbol => game.FindMove(symbol)!.Value)] : [.. Enumerable.Range(0, ConnectFour.NumColumns)];

    private static T[] Read<T>(JsonNode search, string name) => search[name]!.Deserialize<T[]>()!;

    private static JsonObject SearchJson(Game rules, PlayRecipe recipe, PlayedGame game, SearchedMove move) => new()
    {
        ["turn"] = game.Turn,
        ["game"] = game.Index,
        ["history"] = rules.Spell(move.History),
        ["moves"] = rules.Spell(move.Moves),
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
