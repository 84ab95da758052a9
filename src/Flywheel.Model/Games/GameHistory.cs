namespace Flywheel.Model;

/// <summary>Reads the moves of a game, each by the rules.</summary>
internal static class GameHistory
{
    /// <param name="game">Whose start they begin at.</param>
    /// <param name="text">Moves with white space between.</param>
    /// <param name="what">Begins messages.</param>
    /// <param name="form">What a move looks like.</param>
    /// <param name="legal">What would have been legal in place of a word, for the message.</param>
    public static IReadOnlyList<int> Read(Game game, string text, string what, string form,
        Func<GamePosition, string, string> legal)
    {
        var moves = new List<int>();
        GamePosition position = game.Start;
        foreach (string word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            if (position.IsOver)
                throw new FlywheelException(
                    $"{what} goes on with '{word}' as move {moves.Count + 1}, expected no more: the game was {End(position)} with move {moves.Count}");
            if (game.FindMove(position, word) is not { } move)
                throw new FlywheelException($"{what} has '{word}' as move {moves.Count + 1}, expected {form}");
            if (!position.Moves.Contains(move))
                throw new FlywheelException(
                    $"{what} plays {word} as move {moves.Count + 1}, where {position.Side} is to move; expected {legal(position, word)}");
            moves.Add(move);
            position = position.Play(move);
        }
        if (position.IsOver)
            throw new FlywheelException(
                $"{what} ends with a game that is {End(position)} after {moves.Count} moves, expected one that goes on");
        return moves;
    }

    private static string End(GamePosition position) => position.Result == 0 ? "drawn" : "won";
}
