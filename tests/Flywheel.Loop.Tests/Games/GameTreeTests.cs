using Flywheel.Loop.Games;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Games;

/// <summary>The search with a model that knows nothing: what it then finds comes from the rules.</summary>
public sealed class GameTreeTests
{
    private static readonly SearchSettings s_long = new(20_000, 1.6);

    [Theory]
    [InlineData("2 3 2 3 2 3 6", 3)] // wins at once
    [InlineData("3 2 3 2 3", 3)] // the one move that prevents a loss
    [InlineData("3 0 2 0", 1)] // three in a row with both ends free, or 4
    public void Shares_TacticalPositions_GoToTheMove(string history, int expected)
    {
        GameTree tree = Search(ConnectFour.After(history, "moves"), new SearchSettings(800, 1.6));
        double[] shares = Columns(tree, tree.Shares());
        Assert.True(shares[expected] == shares.Max() || (history == "3 0 2 0" && shares[4] == shares.Max()), string.Join(' ', shares));
    }

    /// <summary>Where the end is near the search comes to know the result, which is the solver's; so are the moves that it
    /// leaves.</summary>
    [Fact]
    public void Value_LatePositions_IsTheSolvers()
    {
        var random = new Random(5);
        var solver = new ConnectFourSolver(16);
        (int proven, int searched) = (0, 0);
        while (searched < 40)
        {
            ConnectFour position = ConnectFourSolverTests.RandomPosition(random, 26 + searched % 12);
            if (position.IsOver) continue;
            searched++;
            GameTree tree = Search(position, s_long);
            if (tree.Value is not (1 or 0 or -1)) continue;
            proven++;
            Assert.Equal(solver.Outcome(position), tree.Value);
            IReadOnlyList<int> best = solver.BestMoves(position);
            Assert.All(Columns(tree, tree.Shares()).Index().Where(share => share.Item > 0), share => Assert.Contains(share.Index, best));
        }
        Assert.True(proven > 20, $"{proven} were proven");
    }

    [Fact]
    public void Shares_AnyPosition_AreOfLegalMovesAndOne()
    {
        var random = new Random(6);
        for (int i = 0; i < 60; i++)
        {
            ConnectFour position = ConnectFourSolverTests.RandomPosition(random, i % 40);
            if (position.IsOver) continue;
            var tree = new GameTree(new ConnectFourPosition(position), new SearchSettings(2 + i, 1.6));
            Run(tree, random, noise: true);
            double[] shares = Columns(tree, tree.Shares());
            Assert.Equal(1, shares.Sum(), 1e-9);
            Assert.All(Enumerable.Range(0, 7), column => Assert.True(shares[column] == 0 || position.HasRoom(column)));
            double[] targets = Columns(tree, tree.Targets(8));
            Assert.Equal(1, targets.Sum(), 1e-9);
            Assert.All(Enumerable.Range(0, 7), column => Assert.True(targets[column] == 0 || position.HasRoom(column)));
            Assert.All(tree.MoveValues, value => Assert.InRange(value, -1, 1));
            Assert.InRange(tree.Visits.Sum(), 1, 3 + i);
        }
    }

    /// <summary>Systematic draws: each move comes as often as its share says, and two of a half each both come.</summary>
    [Fact]
    public void Draw_ManyOffsets_ComeAsOftenAsTheSharesSay()
    {
        double[] shares = [0.05, 0, 0.5, 0.25, 0.2, 0, 0];
        double[] sums = new double[7];
        for (int i = 0; i < 1000; i++)
        {
            int[] counts = GameDataset.Draw(shares, (i + 0.5) / 1000);
            Assert.Equal(2, counts.Sum());
            for (int column = 0; column < 7; column++) sums[column] += counts[column] / 2000.0;
        }
        Assert.All(shares.Zip(sums), pair => Assert.Equal(pair.First, pair.Second, 2e-3));
        Assert.Equal([1, 1, 0, 0, 0, 0, 0], GameDataset.Draw([0.5, 0.5, 0, 0, 0, 0, 0], 0.3));
    }

    /// <summary>Records from when there was one game alone: columns without spaces, and figures of all seven.</summary>
    [Fact]
    public void HistoryOf_RecordsOfBothForms_AreTheSameMoves()
    {
        Game game = Game.All["connect-four"];
        foreach (string search in (string[])["""{"history": "3325"}""", """{"history": "3 3 2 5", "moves": "0 1 2 3 4 5 6"}"""])
        {
            Assert.Equal([3, 3, 2, 5], GameRecord.HistoryOf(game, System.Text.Json.Nodes.JsonNode.Parse(search)!));
            Assert.Equal([0, 1, 2, 3, 4, 5, 6], GameRecord.MovesOf(game, System.Text.Json.Nodes.JsonNode.Parse(search)!));
        }
        Assert.Equal(["d3", "pass"],
            GameRecord.HistoryOf(Game.All["othello"], System.Text.Json.Nodes.JsonNode.Parse("""{"history": "d3 pass"}""")!)
                .Select(Game.All["othello"].Symbol));
    }

    /// <summary>Figures of legal moves as those of columns, [7].</summary>
    private static double[] Columns(GameTree tree, double[] figures)
    {
        double[] columns = new double[7];
        foreach ((int place, int column) in tree.Position.Moves.Index()) columns[column] = figures[place];
        return columns;
    }

    private static GameTree Search(ConnectFour position, SearchSettings settings)
    {
        var tree = new GameTree(new ConnectFourPosition(position), settings);
        Run(tree, new Random(1), noise: false);
        return tree;
    }

    private static void Run(GameTree tree, Random random, bool noise)
    {
        while (!tree.IsDone)
        {
            if (noise && tree.Evaluation is not null && !tree.HasNoise) tree.AddNoise(random, 0.25, 1);
            if (tree.Descend() is { } leaf) tree.Evaluated(Ignorant(leaf));
        }
    }

    private static Flywheel.Loop.Games.Evaluation Ignorant(GamePosition position)
    {
        float[] policy = [.. position.Moves.Select(_ => 1f / position.Moves.Count)];
        return new Flywheel.Loop.Games.Evaluation([.. policy.Select(share => MathF.Log(share))], policy, 0, true);
    }
}
