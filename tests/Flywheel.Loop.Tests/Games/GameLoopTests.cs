using System.Diagnostics;
using Flywheel.Engine;
using Flywheel.Loop.Games;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests.Games;

/// <summary>Games, turns and their record, by a model of a few thousand weights.</summary>
public sealed class GameLoopTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    internal static PlayRecipe Recipe(params string[] overrides) => PlayRecipe.Parse("""
        name: mini
        task: connect-four
        seed: 3
        tokenizer: {vocab: 272, reserve: [connect-four, connect-four-column, value]}
        model: {hidden: 32, intermediate: 64, layers: 1, heads: 1, kv_heads: 1, head_dim: 32, context: 64}
        play: {games: 8, simulations: 8, at_once: 5}
        train: {objective: soft-targets, epochs: 1, batch_tokens: 1024, micro_tokens: 1024, learning_rate: 3e-3, checkpoint_seconds: 0.1}
        gate: {simulations: 4, max_pairs: 8}
        measure: {pairs: 1, positions: 12, simulations: 6}
        """, "mini", overrides);

    [Fact]
    public async Task Turn_FromNoGamesAtAll_RecordsGamesResultsExamplesAndAModel()
    {
        await using FlywheelStore store = await OpenAsync("home");
        // any candidate will do
        GameTurnOutcome outcome = await new GameLoop(store,
            Recipe("gate.elo0=-600", "gate.elo1=-300", "gate.max_pairs=16")) { Threads = 1 }.TurnAsync();
        Assert.True(outcome.Promoted, outcome.Turn.Reason);
        Assert.Equal(outcome.Turn.Candidate, (await store.ChampionAsync())!.Hash);
        Assert.Equal(["connect-four"], ModelFolder.Open(store.FolderOf((await store.ChampionAsync())!)).Manifest.Tasks!);

        await using FlywheelDb db = store.Tables();
        Assert.Equal(8, await db.Generations.Select(row => row.Group).Distinct().CountAsync());
        Assert.Equal(await db.Generations.CountAsync(),
            await db.Feedback.CountAsync(row => row.Source == FeedbackSource.Referee && row.Metric == Metrics.Rating));
        Assert.Equal(await db.Examples.CountAsync(), await db.ExampleFeedback.CountAsync());
        Assert.Equal(TurnState.Promoted, (await db.Turns.SingleAsync()).State);

        // What is recorded is a game by the rules, with the result that it had, and moves that the search thought of.
        foreach (RecordedGame game in await GameRecord.ReadAsync(store, TaskOf(store), new HashSet<int> { 1 }, default))
        {
            GamePosition position = Game.All["connect-four"].Start;
            foreach (int move in game.Game.Plies)
            {
                Assert.Contains(move, position.Moves);
                position = position.Play(move);
            }
            Assert.Equal(position.Result * (position.IsFirstToMove ? 1 : -1), game.Game.Result);
            Assert.All(game.Game.Moves,
                move => Assert.True(move.Shares[move.Moves.ToList().IndexOf(move.Move)] > 0 && Math.Abs(move.Shares.Sum() - 1) < 1e-2));
        }

        // From a result to the model that learnt from it, and back.
        Feedback learnt = await db.Feedback.FirstAsync();
        Assert.Contains(outcome.Turn.Candidate!, $"{Flatten(await Lineage.TraceAsync(store, learnt.Id.ToString()))}");
        GameCurve curve = GameCurve.Read(store.Home, "connect-four");
        Assert.Equal([0, 1], curve.Measures.Select(measure => measure.Turn));
        Assert.Contains("<polyline", await File.ReadAllTextAsync(curve.Write(store.Home)));
    }

    /// <summary>Killed with SIGKILL again and again, in play, training and match, it ends with the same games, weights and curve as one
    /// that was left alone.</summary>
    [Fact]
    public async Task Turn_KilledManyTimes_EndsLikeOneThatWasNot()
    {
        await using (FlywheelStore left = await OpenAsync("left")) await PlayTurn(left);
        var random = new Random(2);
        for (int round = 0; round < 3; round++)
        {
            using Process child = Program.StartChild(nameof(GameLoopTests), _folder["killed"]);
            for (int line = random.Next(2, 5 + round); line > 0 && await child.StandardOutput.ReadLineAsync() is not null; line--) { }
            child.Kill();
            await child.WaitForExitAsync();
        }
        await using FlywheelStore killed = await OpenAsync("killed");
        if ((await killed.CountAsync()).Turns == 0
            || (await new TurnLedger(killed, TimeProvider.System).UnfinishedAsync(default)) is not null
            || !GameCurve.Has(killed.Home, "connect-four", 1)) await PlayTurn(killed);
        await using FlywheelStore again = await OpenAsync("left");
        Assert.Equal(await GamesAsync(again), await GamesAsync(killed));
        await using FlywheelDb a = again.Tables(), b = killed.Tables();
        Assert.Equal((await a.Turns.FirstAsync()).Candidate, (await b.Turns.FirstAsync()).Candidate);
        GameMeasure[] one = [.. GameCurve.Read(again.Home, "connect-four").Measures.Take(2)],
            other = [.. GameCurve.Read(killed.Home, "connect-four").Measures.Take(2)];
        Assert.Equal(one.Select(measure => measure.Positions), other.Select(measure => measure.Positions));
        Assert.Equal(one.Select(measure => string.Join(' ', measure.Gate?.Pairs ?? [])),
            other.Select(measure => string.Join(' ', measure.Gate?.Pairs ?? [])));
    }

    /// <summary>The child: says each line that the loop says.</summary>
    internal static async Task PlayOneTurn(string home)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(home));
        await PlayTurn(store);
    }

    private static Task PlayTurn(FlywheelStore store) => new GameLoop(store, Recipe())
    {
        Threads = 1,
        Say = text =>
        {
            Console.Out.Write(text + "\n");
            Console.Out.Flush();
        },
    }.TurnAsync();

    [Fact]
    public async Task Play_SameSeed_SameGamesWhateverIsBesideThem()
    {
        await using FlywheelStore one = await OpenAsync("one"), other = await OpenAsync("other"), third = await OpenAsync("third");
        await new GameLoop(one, Recipe()) { Threads = 1 }.PlayAsync(6);
        await new GameLoop(other, Recipe("play.at_once=1")) { Threads = 2 }.PlayAsync(3);
        Assert.Equal(3, await new GameLoop(other, Recipe("play.at_once=7")) { Threads = 2 }.PlayAsync(6)); // three were there
        Assert.Equal(0, await new GameLoop(other, Recipe()) { Threads = 1 }.PlayAsync(6));
        Assert.Equal(await GamesAsync(one), await GamesAsync(other));
        await new GameLoop(third, Recipe("seed=4")) { Threads = 1 }.PlayAsync(6);
        Assert.NotEqual(await GamesAsync(one), await GamesAsync(third));
    }

    /// <summary>Ten turns and ten thousand games later it is still the window that is read: games before it are not fetched, whatever is in
    /// them.</summary>
    [Fact]
    public async Task Read_GamesOfOlderTurns_AreNotLookedAt()
    {
        await using FlywheelStore store = await OpenAsync("home");
        await new GameLoop(store, Recipe("gate.max_pairs=2", "measure.positions=2")) { Threads = 1 }.TurnAsync();
        IReadOnlyList<RecordedGame> first = await GameRecord.ReadAsync(store, TaskOf(store), new HashSet<int> { 0, 1 }, default);
        await new GameLoop(store, Recipe()) { Threads = 1 }.PlayAsync(5);
        IReadOnlyList<RecordedGame> both = await GameRecord.ReadAsync(store, TaskOf(store), new HashSet<int> { 1, 2 }, default),
            second = await GameRecord.ReadAsync(store, TaskOf(store), new HashSet<int> { 2 }, default);
        Assert.Equal([8, 13, 5], new[] { first.Count, both.Count, second.Count });
        Assert.Equal(both.Select(game => game.Id), first.Concat(second).Select(game => game.Id));

        await using FlywheelDb db = store.AllTables();
        long through = (await db.Turns.SingleAsync()).FeedbackThrough;
        Assert.Equal(second.Sum(game => game.Moves.Count), await GameRecord.RowsSince(db, "connect-four", through).CountAsync());
        List<string> plan = [];
        await db.Database.OpenConnectionAsync();
        await using System.Data.Common.DbCommand command = db.Database.GetDbConnection().CreateCommand();
        string query = GameRecord.RowsSince(db, "connect-four", through).ToQueryString();
        command.CommandText = $"EXPLAIN QUERY PLAN {query[query.IndexOf("SELECT", StringComparison.Ordinal)..]}";
        await using (System.Data.Common.DbDataReader reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) plan.Add(reader.GetString(3));
        // from the feedback's place on, and of each its generation
        Assert.Contains("USING INTEGER PRIMARY KEY (rowid>?", plan[0], StringComparison.Ordinal);
        Assert.All(plan, step => Assert.StartsWith("SEARCH", step, StringComparison.Ordinal));
    }

    /// <summary>However the model feels, an answer is one legal move: by the task's own way, as API and page ask.</summary>
    [Fact]
    public async Task Ask_FullColumns_AnswersALegalMove()
    {
        await using FlywheelStore store = await OpenAsync("home");
        await new GameLoop(store, Recipe()) { Threads = 1 }.PlayAsync(1);
        ModelFolder model = ModelFolder.Open(store.FolderOf((await store.ChampionAsync())!));
        TaskFolder task = new TaskCatalog(store.Home).Find("connect-four");
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Threads = 1 });
        foreach (string history in (string[])["", "3 3 3 3 3 3", "0 0 0 0 0 0 1 1 1 1 1 1 2 2 2 2 2 2 4"])
        {
            IReadOnlyDictionary<string, string> values = task.Check(new Dictionary<string, string> { ["history"] = history });
            for (int seed = 0; seed < 4; seed++)
            {
                TaskAsk ask = TaskAsk.For(task, values, model, new SamplerOptions());
                string said = await (ask with { Sampler = ask.Sampler with { Temperature = 2 } }).AnswerAsync(engine, model.Tokenizer,
                    (ulong)seed, default);
                Assert.Contains(said, GameTask.Moves(task.Game!, values));
            }
        }
    }

    [Fact]
    public async Task Turn_UnfinishedTurnOfPeople_IsRefused()
    {
        await using FlywheelStore store = await OpenAsync("home");
        await using (FlywheelDb db = store.Tables())
        {
            db.Turns.Add(new TurnRow { Id = Guid.NewGuid(), Number = 1, Started = Given.Monday, Champion = Given.Champion,
                Recipe = "name: people\nstages: []\n" });
            await db.SaveChangesAsync();
        }
        Assert.StartsWith("turn 1 is one of people's feedback and is not ended",
            (await Assert.ThrowsAsync<FlywheelException>(() => new GameLoop(store, Recipe()).TurnAsync())).Message,
            StringComparison.Ordinal);
        Assert.StartsWith("turn 1 is not ended yet",
            (await Assert.ThrowsAsync<FlywheelException>(() => new GameLoop(store, Recipe()).PlayAsync(1))).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train.objective=policy", "field 'train.objective' is 'policy', expected 'soft-targets'")]
    [InlineData("play.simulations=1", "field 'play.simulations' is '1', expected at least 2")]
    [InlineData("gate.elo1=-5", "field 'gate.elo1' is '-5', expected more than elo0 0")]
    [InlineData("play.gams=3", "unknown field 'play.gams'")]
    public void Parse_WrongRecipe_NamesTheField(string change, string expected) =>
        Assert.Contains(expected.Replace("'1'", "1").Replace("'-5'", "-5"), Assert.Throws<FlywheelException>(() => Recipe(change)).Message);

    /// <summary>The committed positions: each answer is what the solver says, of those that it solves in a moment.</summary>
    [Fact]
    public void HeldOut_EveryLatePosition_IsAsTheSolverSays()
    {
        TaskFolder task = new TaskCatalog(new FlywheelHome(_folder["home"])).Find("connect-four");
        IReadOnlyList<Data.TaskItem> items = Data.TaskItems.HeldOut(task, new FlywheelHome(_folder["home"]));
        var solver = new ConnectFourSolver(18);
        int solved = 0;
        foreach (Data.TaskItem item in items)
        {
            ConnectFour position = Stones(task, item.Fields);
            if (position.NumPlies < 22) continue;
            IReadOnlyList<int> best = solver.BestMoves(position);
            Assert.Equal(item.Answer, string.Join(' ', best));
            Assert.True(best.Count < position.Moves().Count);
            solved++;
        }
        Assert.True(solved > 20, $"{solved} of {items.Count}");
        Assert.InRange(PositionExam.HeldOut(task, new FlywheelHome(_folder["home"]), new MeasureRecipe { Positions = 20 }).Count,
            items.Count, items.Count + 20);
        foreach (TaskExample example in task.Description.Examples.Where(example => example.Answer.Length > 0))
            Assert.Equal(example.Answer, string.Join(' ', solver.BestMoves(Stones(task, task.Check(example.Fields)))));
    }

    [Fact]
    public async Task Match_OnePlyAgainstRandom_IsWonAndTheSameAgain()
    {
        Game game = Game.All["connect-four"];
        MatchResult match = await GameMatch.PlayAsync(game, RulePlayer.OnePly, RulePlayer.Random, 40, 4, 9),
            again = await GameMatch.PlayAsync(game, RulePlayer.OnePly, RulePlayer.Random, 40, 4, 9);
        Assert.True(match.Score > 0.8, $"{match.Score}");
        Assert.Equal(match.Pairs, again.Pairs);
        MatchResult solved = await GameMatch.PlayAsync(game, RulePlayer.Of(new ConnectFourSolver(18)), RulePlayer.OnePly, 4, 20, 9);
        Assert.True(solved.Score >= 0.5, $"{solved.Score}"); // with both sides of each opening nobody does better than the solver
    }

    private static ConnectFour Stones(TaskFolder task, IReadOnlyDictionary<string, string> values) =>
        ((ConnectFourPosition)GameTask.PositionOf(task.Game!, values)).Stones;

    private static TaskFolder TaskOf(FlywheelStore store) => new TaskCatalog(store.Home).Find("connect-four");

    private async Task<FlywheelStore> OpenAsync(string home) => await FlywheelStore.OpenAsync(new FlywheelHome(_folder[home]));

    private static async Task<string[]> GamesAsync(FlywheelStore store) =>
        [.. (await GameRecord.ReadAsync(store, TaskOf(store), new HashSet<int> { 1 }, default))
        .Select(game =>
            $"{game.Id} {string.Join(' ', game.Game.Plies)} {game.Game.Result} {string.Join(' ', game.Game.Moves.SelectMany(move => move.Visits))}")];

    private static string Flatten(LineageNode node) => System.Text.Json.JsonSerializer.Serialize(node);
}
