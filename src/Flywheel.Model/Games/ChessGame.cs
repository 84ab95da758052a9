using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>Chess: moves are UCI's for the model (<c>e2e4</c>), and UCI's or SAN (<c>Nf3</c>) from people; positions are FEN.</summary>
public sealed partial class ChessGame : Game
{
    public const string Id = "chess";

    private static readonly int[] s_values = [0, 1, 3, 3, 5, 9, 0];

    /// <summary>What the model reads, and every move by its number.</summary>
    public static IReadOnlyList<string> PieceNames => ChessTokens.Names;

    public static IReadOnlyList<string> MoveNames => ChessMoves.Names;

    public override string Name => Id;

    public override GamePosition Start { get; } =
        ChessNotation.FromFen("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "start");

    public override string MoveTokens => "chess-move";

    public override string PositionTokens => "chess-piece";

    public override int NumTypicalPlies => 100;

    public override (string First, string Second) Sides => ("white", "black");

    public override GamePosition Read(string text, string what)
    {
        ChessPosition position = ChessNotation.FromFen(text, what);
        return !position.IsOver
            ? position : throw new FlywheelException(
                $"{what} is '{text}', expected a game that goes on: this one is over, {(position.Result == 0 ? "drawn" : "by checkmate")}");
    }

    /// <remarks>Numbers of moves (<c>1.</c>) may stand between.</remarks>
    public override IReadOnlyList<int> ReadMoves(string text, string what) =>
        GameHistory.Read(this, Numbers().Replace(text, " "), what, "a move such as e2e4 or Nf3",
        (position, _) =>
            $"one of {string.Join(", ", position.Moves.Take(8).Select(position.Spell))}{(position.Moves.Count > 8 ? $" and {position.Moves.Count - 8} more" : "")}");

    public override int? FindMove(GamePosition position, string text) =>
        ChessNotation.Find((ChessPosition)position, Numbers().Replace(text, " ").Trim());

    /// <remarks>The counts at the end of FEN may be left out.</remarks>
    public override bool Says(string text, GamePosition read, GamePosition position)
    {
        int given = Parts(text).Length;
        return Parts($"{read}").Take(given).SequenceEqual(Parts($"{position}").Take(given));

        static string[] Parts(string fen) => fen.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Mates, or else takes or promotes to what is worth most.</summary>
    public override IReadOnlyList<int> OnePly(GamePosition position)
    {
        var one = (ChessPosition)position;
        return position.Best(move =>
        {
            (int _, int to, int promotion) = ChessMoves.All[move];
            return one.Play(move).Result == -1 ? 100 : s_values[one[to].Kind] + s_values[promotion];
        });
    }

    [GeneratedRegex(@"(?<!\S)\d+\.+")]
    private static partial Regex Numbers();
}
