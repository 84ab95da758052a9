using Flywheel.Data;
using Flywheel.Loop.Games;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Games;

/// <summary>Othello and chess through the loop that Connect Four has, and against programs from outside.</summary>
public sealed class BoardGameTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static PlayRecipe Recipe(string game, params string[] overrides) => PlayRecipe.Parse($$"""
        name: mini
        task: {{game}}
        seed: 3
        tokenizer: {vocab: 272, reserve: [{{Game.All[game].MoveTokens}}, {{Game.All[game].PositionTokens}}, value]}
        model: {hidden: 32, intermediate: 64, layers: 1, heads: 1, kv_heads: 1, head_dim: 32, context: 96}
        play: {games: 3, simulations: 3, at_once: 3}
        train: {objective: soft-targets, steps: 3, batch_tokens: 1024, micro_tokens: 1024, learning_rate: 3e-3}
        gate: {simulations: 2, max_pairs: 2}
        measure: {pairs: 1, positions: 6, simulations: 3}
        """, "mini", overrides);

    /// <summary>A turn of Othello by playing itself, and one of chess by a teacher's games: recorded or not, learnt, matched and
    /// measured.</summary>
    [Theory]
    [InlineData("othello", "play.games=3", 3)]
    [InlineData("chess", "play.teacher=one-ply", 0)]
    public async Task Turn_FromNoGames_LearnsAndIsMeasured(string name, string how, int recorded)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        GameTurnOutcome outcome = await new GameLoop(store, Recipe(name, how, "play.games=3")) { Threads = 1 }.TurnAsync();
        Assert.NotNull(outcome.Turn.Candidate);
        TaskFolder task = new TaskCatalog(store.Home).Find(name);
        IReadOnlyList<RecordedGame> games = await GameRecord.ReadAsync(store, task, new HashSet<int> { 1 }, default);
        Assert.Equal(recorded, games.Count);
        Assert.Equal(recorded > 0 ? [1] : [], await GameArchive.TurnsAsync(store, name)); // a teacher's games are not to be looked at
        foreach (RecordedGame game in games)
        {
            Assert.Equal(game.Game.Result, Game.All[name].After(game.Game.Plies) is var end
                ? end.Result * (end.IsFirstToMove ? 1 : -1) : null);
            IReadOnlyList<ArchivedMove> shown = await GameArchive.ReadAsync(store, task, game.Id);
            Assert.Equal(game.Game.Plies, shown.Select(move => move.Move));
            Assert.Contains(game.Id,
                (await GameArchive.ListAsync(store, task, 1)).Where(one => one.Result == game.Game.Result).Select(one => one.Id));
        }
        Assert.Equal(["random", "one-ply"],
            outcome.Measure.Matches.Concat(GameCurve.Read(store.Home, name).Measures[0].Matches).Select(match => match.Second).Distinct()
                .Take(2));
    }

    /// <summary>Who cannot play is said to be missing before anything is made.</summary>
    [Fact]
    public async Task Turn_TeacherWhoDoesNotPlayTheGame_IsRefusedBeforeAModelIsMade()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        string message = (await Assert.ThrowsAsync<FlywheelException>(() =>
            new GameLoop(store, Recipe("othello", "play.teacher=stockfish")) { Threads = 1 }.TurnAsync())).Message;
        Assert.StartsWith("field 'play.teacher' is 'stockfish', expected one-ply or random", message, StringComparison.Ordinal);
        Assert.Null(await store.ChampionAsync());
    }

    /// <summary>The committed positions of Othello: each answer is what plain search without any device says.</summary>
    [Fact]
    public void HeldOut_LateOthello_IsAsPlainNegamaxSays()
    {
        TaskFolder task = new TaskCatalog(new FlywheelHome(_folder["home"])).Find("othello");
        int compared = 0;
        foreach (TaskItem item in TaskItems.HeldOut(task, new FlywheelHome(_folder["home"])))
        {
            var position = (OthelloPosition)GameTask.PositionOf(task.Game!, item.Fields);
            if (position.NumEmpty > 7 || compared == 25) continue;
            compared++;
            int[] worth = [.. position.Moves.Select(move => -Plain(position.Play(move)))];
            Assert.Equal(item.Answer, task.Game!.Spell(position.Moves.Where((_, i) => worth[i] == worth.Max())));
            Assert.True(worth.Min() < worth.Max());
        }
        Assert.True(compared > 10, $"{compared}");

        static int Plain(GamePosition position) => position.Result ?? position.Moves.Max(move => -Plain(position.Play(move)));
    }

    /// <summary>Positions of random games, and the standard ones: the moves that Stockfish finds, and as many lines after each.</summary>
    [Fact]
    public void Chess_RandomPositions_HaveTheMovesThatStockfishFinds()
    {
        Assert.SkipWhen(Stockfish.Path is null, Stockfish.Missing);
        Game game = Game.All["chess"];
        Stockfish stockfish = Stockfish.Of(GameOracles.OpponentNodes);
        foreach (GamePosition position in PositionExam.Unseen(game, 60))
        {
            IReadOnlyDictionary<string, long> theirs = stockfish.Perft($"{position}", 2);
            Assert.Equal(theirs.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}: {pair.Value}"),
                position.Moves.Select(move => (Name: game.Symbol(move), After: position.Play(move)))
                    .OrderBy(one => one.Name, StringComparer.Ordinal)
                    // Their counts go on where a game is drawn by fifty moves or by what is left.
                    .Select(one => $"{one.Name}: {(one.After.IsOver ? theirs[one.Name] : one.After.Moves.Count)}"));
        }
        Assert.Contains(stockfish.BestMoves(game.Read("6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1", "fen"))[0],
            game.OnePly(game.Read("6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1", "fen")));
    }
}
