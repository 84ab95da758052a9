namespace Flywheel.Model;

/// <summary>
/// What the rules of Connect Four say to the fields of a task that has them (<c>game: connect-four</c> in its file): which position they
/// mean, and which answers are legal. The model is shown the position alone, which is all that counts; a history leads to one.
/// </summary>
public static class GameTask
{
    public const string ConnectFour = "connect-four";

    /// <summary>Names of its fields: moves from the empty board; the position; whose turn it is.</summary>
    public const string History = "history", Position = "position", ToMove = "to_move";

    /// <summary>Values of <see cref="ToMove"/>: the side that began the game, and the other.</summary>
    public const string First = "first", Second = "second";

    /// <summary>What the model reads, and what it answers with: groups of <see cref="ReservedTokens"/>.</summary>
    public const string ColumnTokens = "connect-four-column", MoveTokens = "connect-four", ValueTokens = "value";

    /// <summary>The fields that a task of a game must have, with their modalities.</summary>
    public static IReadOnlyDictionary<string, string> Fields { get; } = new Dictionary<string, string>
    {
        [History] = MoveTokens, [Position] = ColumnTokens, [ToMove] = TaskField.Text,
    };

    /// <summary>Whether a field is part of what the model is asked.</summary>
    public static bool IsShown(string field) => field == Position;

    /// <summary>Checks the fields against each other and fills in what follows from them.</summary>
    /// <exception cref="FlywheelException">The rules do not allow it; the message begins with the field.</exception>
    public static Dictionary<string, string> Read(IReadOnlyDictionary<string, string> values)
    {
        (string history, string given, string toMove) = (values[History], values[Position], values[ToMove]);
        ConnectFour position = given.Length > 0 && history.Length == 0 ? Model.ConnectFour.Parse(given, $"field '{Position}'") : Model.ConnectFour.After(history, $"field '{History}'");
        if (given.Length > 0 && given != $"{position}")
            throw new FlywheelException($"field '{Position}' is '{given}', expected '{position}', to which the history leads, or only one of the two");
        string side = position.IsFirstToMove ? First : Second;
        if (toMove.Length > 0 && toMove != side)
            throw new FlywheelException($"field '{ToMove}' is '{toMove}', expected '{side}': after {position.NumPlies} moves the side that {(position.IsFirstToMove ? "began" : "did not begin")} is to move");
        return new Dictionary<string, string>(values) { [Position] = $"{position}", [ToMove] = side };
    }

    /// <summary>The position that checked fields mean.</summary>
    public static ConnectFour PositionOf(IReadOnlyDictionary<string, string> values) => Model.ConnectFour.Parse(values[Position], $"field '{Position}'");

    /// <summary>Symbols of the legal moves.</summary>
    public static IReadOnlyList<string> Moves(IReadOnlyDictionary<string, string> values) => [.. PositionOf(values).Moves().Select(column => $"{column}")];
}
