using Flywheel.Loop.Games;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Games;

/// <summary>The solver against a search without any of its devices, and against what is published about the empty board.</summary>
public sealed class ConnectFourSolverTests
{
    [Fact]
    public void Solve_LatePositions_EqualPlainNegamax()
    {
        var solver = new ConnectFourSolver(16); // so small that entries are overwritten
        var random = new Random(7);
        int compared = 0;
        while (compared < 60)
        {
            ConnectFour position = RandomPosition(random, 27 + compared % 12);
            if (position.IsOver) continue;
            int expected = Plain(position, []);
            Assert.Equal(expected, solver.Solve(position));
            Assert.Equal(Math.Sign(expected), solver.Outcome(position));
            int?[] outcomes =
                [.. Enumerable.Range(0, 7)
                    .Select(column => position.HasRoom(column) ? (int?)-Math.Sign(Plain(position.Play(column), [])) : null)];
            Assert.Equal(outcomes, solver.Outcomes(position));
            compared++;
        }
    }

    [Theory]
    [InlineData("3 0 3 0 3 1", 18)] // wins with the fourth stone, the soonest that there is
    [InlineData("2 3 2 3 2 3 6", 18)] // so does the other side, with its own
    [InlineData("3 0 2 0", 18)] // so does three in a row with both ends free
    public void Solve_WonPositions_CountStonesToTheEnd(string moves, int expected) =>
    Assert.Equal(expected, new ConnectFourSolver(18).Solve(ConnectFour.After(moves, "moves")));

    [Fact]
    public void Solve_PositionAndMirrorImage_AreWorthTheSame()
    {
        var solver = new ConnectFourSolver(18);
        var random = new Random(11);
        for (int i = 0; i < 40; i++)
        {
            ConnectFour position = RandomPosition(random, 18 + i % 12);
            if (!position.IsOver) Assert.Equal(solver.Solve(position), solver.Solve(position.Mirrored));
        }
    }

    /// <summary>Allis and Allen 1988: the first player wins in the middle, draws beside it and loses further out. Minutes:
    /// FLYWHEEL_SLOW=1.</summary>
    [Fact]
    public void Solve_EmptyBoard_IsWonInTheMiddle()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("FLYWHEEL_SLOW") == "1", "takes minutes; set FLYWHEEL_SLOW=1");
        var solver = new ConnectFourSolver(24);
        Assert.Equal([-1, -1, 0, 1, 0, -1, -1], solver.Outcomes(ConnectFour.Empty));
    }

    internal static ConnectFour RandomPosition(Random random, int plies)
    {
        ConnectFour position = ConnectFour.Empty;
        while (position.NumPlies < plies && !position.IsOver)
        {
            IReadOnlyList<int> moves = position.Moves();
            position = position.Play(moves[random.Next(moves.Count)]);
        }
        return position;
    }

    /// <summary>Score as the solver's, by trying everything.</summary>
    private static int Plain(ConnectFour position, Dictionary<ulong, int> known)
    {
        if (position.IsLost) return -((ConnectFour.NumPlaces + 2 - position.NumPlies) / 2);
        if (position.IsFull) return 0;
        if (known.TryGetValue(position.Key, out int score)) return score;
        score = position.Moves().Max(column => -Plain(position.Play(column), known));
        return known[position.Key] = score;
    }
}
