namespace Flywheel.Model;

/// <summary>
/// What a model reads of a chess position: its pieces, each with its square, and nothing else. x is the side to move and o the other; P is
/// a pawn that moves up the board and p one that moves down; C is a rook with which its king may castle; E a pawn that may be taken en
/// passant. First come the other side's pieces and then the own, those that others can stand in the way of last: so each own piece has
/// seen what its moves depend on.
/// </summary>
internal static class ChessTokens
{
    private const string Order = "KPpNBRCQ";

    private static readonly string[] s_corners = ["a1", "h1", "a8", "h8"];

    public static readonly string[] Names = [.. from side in "ox" from letter in Order from square in SquaresFor(letter)
        select $"{side}{letter}{square}",
        .. Squares.Names.Where(square => square[1] is '4' or '5').Select(square => $"oE{square}")];

    private static readonly Dictionary<string, int> s_places =
        Names.Index().ToDictionary(name => name.Item, name => name.Index, StringComparer.Ordinal);

    public static IReadOnlyList<int> Of(ChessPosition position)
    {
        var found = new List<(int Rank, int Square, int Place)>();
        for (int square = 0; square < 64; square++)
        {
            (int kind, bool isWhite) = position[square];
            if (kind == 0) continue;
            bool isOwn = isWhite == position.IsFirstToMove;
            char letter = kind == ChessMoves.Pawn && !isWhite ? 'p' : ChessMoves.Letters[kind];
            if (ChessPosition.Castles.Any(castle => castle.Rook == square && (position.Castling & castle.Right) != 0)) letter = 'C';
            if (position.Passing >= 0 && square == position.Passing + (position.IsFirstToMove ? -8 : 8)) letter = 'E';
            found.Add(((isOwn ? 100 : 0) + Order.IndexOf(letter, StringComparison.Ordinal), square,
                s_places[$"{(isOwn ? 'x' : 'o')}{letter}{Squares.Names[square]}"]));
        }
        return [.. found.OrderBy(piece => piece.Rank).ThenBy(piece => piece.Square).Select(piece => piece.Place)];
    }

    private static IEnumerable<string> SquaresFor(char letter) => letter switch
    {
        'P' or 'p' => Squares.Names.Where(square => square[1] is not ('1' or '8')),
        'C' => s_corners,
        _ => Squares.Names,
    };
}
