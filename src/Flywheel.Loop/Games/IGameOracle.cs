using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Knows the best moves of a position: a solver, or a program that plays far better than what is measured by it.</summary>
internal interface IGameOracle
{
    string Name { get; }

    /// <summary>Plies after which it answers in a moment: the fewest and the most.</summary>
    (int Fewest, int Most) Plies { get; }

    /// <summary>Moves that are as good as any.</summary>
    /// <param name="position">Not over.</param>
    IReadOnlyList<int> BestMoves(GamePosition position);
}

/// <summary>Who a champion of each game is measured against.</summary>
internal static class GameOracles
{
    /// <summary>Of Stockfish as an opponent, and as the judge of held-out positions.</summary>
    public const int OpponentNodes = 10, JudgeNodes = 5_000;

    /// <summary>The oracle of a game's held-out positions.</summary>
    /// <exception cref="FlywheelException">It is a program that is not installed.</exception>
    public static IGameOracle For(Game game) => game switch
    {
        ConnectFourGame => new ConnectFourSolver(),
        OthelloGame => new OthelloSolver(),
        _ => Stockfish.Of(JudgeNodes),
    };

    /// <summary>Fixed opponents, each with the number of random moves before its games; those that are not installed are left
    /// out.</summary>
    public static IReadOnlyList<(IGamePlayer Player, int Opening)> OpponentsOf(Game game, Action<string> say)
    {
        var opponents = new List<(IGamePlayer, int)> { (RulePlayer.Random, 2), (RulePlayer.OnePly, 4) };
        // it needs minutes for the first moves of a game
        if (game is ConnectFourGame) opponents.Add((RulePlayer.Of(new ConnectFourSolver(20)), 14));
        if (game is ChessGame && Stockfish.Path is null) say($"There is no match against Stockfish: {Stockfish.Missing}");
        else if (game is ChessGame) opponents.Add((RulePlayer.Of(Stockfish.Of(OpponentNodes)), 4));
        return opponents;
    }
}
