namespace Flywheel.Model;

/// <summary>
/// What the rules of a game say to the fields of a task that has them (<c>game: connect-four</c> in its file): which position they
/// mean, and which answers are legal. The model is shown the position alone, which is all that counts; a history leads to one.
/// </summary>
public static class GameTask
{
    /// <summary>Names of its fields: moves from the start; the position; whose turn it is.</summary>
    public const string History = "history", Position = "position", ToMove = "to_move";

    /// <summary>How the game is expected to end stands behind the move: a group of <see cref="ReservedTokens"/>.</summary>
    public const string ValueTokens = "value";

    /// <summary>The fields that a task of a game must have, with their modalities.</summary>
    public static IReadOnlyDictionary<string, string> Fields(Game game) => new Dictionary<string, string>
    {
        [History] = game.Modalities.History, [Position] = game.Modalities.Position, [ToMove] = TaskField.Text,
    };

    /// <summary>Checks the fields against each other and fills in what follows from them.</summary>
    /// <exception cref="FlywheelException">The rules do not allow it; the message begins with the field.</exception>
    public static Dictionary<string, string> Read(Game game, IReadOnlyDictionary<string, string> values)
    {
        (string history, string given, string toMove) = (values[History], values[Position], values[ToMove]);
        GamePosition? read = given.Length > 0 ? game.Read(given, $"field '{Position}'") : null;
        GamePosition position = history.Length == 0 && read is not null ? read : game.After(game.ReadMoves(history, $"field '{History}'"));
        if (read is not null && !game.Says(given, read, position))
            throw new FlywheelException(
                $"field '{Position}' is '{given}', expected '{position}', to which the history leads, or only one of the two");
        if (toMove.Length > 0 && toMove != position.Side)
            throw new FlywheelException(
                $"field '{ToMove}' is '{toMove}', expected '{position.Side}', which is to move {(history.Length > 0 ? "after this history" : "in this position")}");
        return new Dictionary<string, string>(values) { [Position] = $"{position}", [ToMove] = position.Side };
    }

    /// <summary>Fields that mean a position.</summary>
    public static Dictionary<string, string> FieldsOf(GamePosition position) =>
        new() { [History] = "", [Position] = $"{position}", [ToMove] = position.Side };

    /// <summary>The position that checked fields mean.</summary>
    public static GamePosition PositionOf(Game game, IReadOnlyDictionary<string, string> values) =>
        game.Read(values[Position], $"field '{Position}'");

    /// <summary>What the model is shown of checked fields.</summary>
    public static SymbolsPart Show(Game game, IReadOnlyDictionary<string, string> values)
    {
        string[] symbols = [.. ReservedTokens.Symbols(game.PositionTokens).Keys];
        return new SymbolsPart(game.PositionTokens, string.Join(' ', PositionOf(game, values).Tokens.Select(place => symbols[place])),
            $"field '{Position}'");
    }

    /// <summary>Symbols of the legal moves.</summary>
    public static IReadOnlyList<string> Moves(Game game, IReadOnlyDictionary<string, string> values) =>
        [.. PositionOf(game, values).Moves.Select(game.Symbol)];
}
