using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>FEN (Forsyth-Edwards), UCI and SAN (standard algebraic notation) of chess.</summary>
internal static partial class ChessNotation
{
    /// <summary>A piece's letter: a capital of white, a small one of black, a space of none.</summary>
    public static char Letter((int Kind, bool IsWhite) piece) =>
        piece.IsWhite ? ChessMoves.Letters[piece.Kind] : char.ToLowerInvariant(ChessMoves.Letters[piece.Kind]);

    public static string ToFen(ChessPosition position)
    {
        var fen = new StringBuilder();
        for (int rank = 7; rank >= 0; rank--)
        {
            int empty = 0;
            for (int file = 0; file < 8; file++)
            {
                char letter = Letter(position[8 * rank + file]);
                if (letter != ' ' && empty > 0) (fen, empty) = (fen.Append(empty), 0);
                if (letter == ' ') empty++;
                else fen.Append(letter);
            }
            if (empty > 0) fen.Append(empty);
            if (rank > 0) fen.Append('/');
        }
        string castling =
            string.Concat(ChessPosition.Castles.Index().Where(castle => (position.Castling & castle.Item.Right) != 0)
                .Select(castle => "KQkq"[castle.Index]));
        return string.Create(CultureInfo.InvariantCulture,
            $"{fen} {(position.IsFirstToMove ? 'w' : 'b')} {(castling.Length > 0 ? castling : "-")} {(position.Passing < 0 ? "-" : Squares.Names[position.Passing])} {position.Quiet} {position.Number}");
    }

    /// <exception cref="FlywheelException">No FEN, or a position that no game comes to as far as can be seen.</exception>
    public static ChessPosition FromFen(string text, string what)
    {
        string[] parts = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length is < 4 or > 6)
            throw Wrong($"has {parts.Length} parts",
                "4 to 6 of FEN: pieces, w or b, castling, en passant, and the counts of plies without capture and of moves");
        byte[] squares = Pieces(parts[0]);
        if (parts[1] is not ("w" or "b")) throw Wrong($"has '{parts[1]}' as the side to move", "w or b");
        bool isWhite = parts[1] == "w";
        int castling = CastlingOf(parts[2], squares), passing = PassingOf(parts[3], squares, isWhite);
        int quiet = Count(4, 0, "plies without capture or pawn's move"), number = Count(5, 1, "the move");
        var position = new ChessPosition(squares, isWhite, castling, passing, quiet, number);
        if (position.IsImpossibleCheck)
            throw Wrong($"has the king of {(isWhite ? "black" : "white")} in check",
                $"a position in which {(isWhite ? "white" : "black")} can be to move: the king would be taken");
        if (position.NumCheckers() > 2)
            throw Wrong($"has {position.NumCheckers()} pieces giving check", "at most two, which is all that one move can open");
        return position;

        FlywheelException Wrong(string wrong, string expected) => new($"{what} {wrong}, expected {expected}");

        byte[] Pieces(string field)
        {
            string[] ranks = field.Split('/');
            if (ranks.Length != 8) throw Wrong($"has {ranks.Length} ranks", "8 with / between, the eighth first");
            byte[] read = new byte[64];
            foreach ((int i, string rank) in ranks.Index())
            {
                int file = 0;
                foreach (char c in rank)
                {
                    int kind = ChessMoves.Letters.IndexOf(char.ToUpperInvariant(c), StringComparison.Ordinal);
                    if (c is not (>= '1' and <= '8') && kind < 1)
                        throw Wrong($"has '{c}' in rank {8 - i}", "pieces (PNBRQK white, pnbrqk black) and counts of empty squares");
                    if (kind >= 1 && file < 8) read[8 * (7 - i) + file] = (byte)(kind | (char.IsAsciiLetterLower(c) ? 8 : 0));
                    file += kind >= 1 ? 1 : c - '0';
                }
                if (file != 8) throw Wrong($"has {file} squares in rank {8 - i}", "8");
            }
            foreach ((string side, int black) in new[] { ("white", 0), ("black", 8) })
            {
                int[] counts = [.. Enumerable.Range(0, 7).Select(kind => kind == 0 ? 0 : read.Count(piece => piece == (kind | black)))];
                if (counts[ChessMoves.King] != 1) throw Wrong($"has {counts[ChessMoves.King]} kings of {side}", "one");
                int promoted = Math.Max(0, counts[ChessMoves.Knight] - 2) + Math.Max(0, counts[ChessMoves.Bishop] - 2)
                    + Math.Max(0, counts[ChessMoves.Rook] - 2) + Math.Max(0, counts[ChessMoves.Queen] - 1);
                if (counts[ChessMoves.Pawn] + promoted > 8)
                    throw Wrong($"has {counts[ChessMoves.Pawn]} pawns of {side} and {promoted} pieces that must have been pawns",
                        "at most 8 together");
            }
            int edge = Enumerable.Range(0, 64).FirstOrDefault(square => square / 8 is 0 or 7 && (read[square] & 7) == ChessMoves.Pawn, -1);
            return edge < 0 ? read : throw Wrong($"has a pawn on {Squares.Names[edge]}", "pawns on ranks 2 to 7");
        }

        int CastlingOf(string field, byte[] board)
        {
            if (field == "-") return 0;
            int rights = 0;
            foreach (char c in field)
            {
                int i = "KQkq".IndexOf(c, StringComparison.Ordinal);
                if (i < 0) throw Wrong($"has '{field}' as castling", "some of KQkq, or -");
                (int right, int king, int rook) = ChessPosition.Castles[i];
                int black = i < 2 ? 0 : 8;
                if (board[king] != (ChessMoves.King | black) || board[rook] != (ChessMoves.Rook | black))
                    throw Wrong($"lets '{c}' castle",
                        $"a king on {Squares.Names[king]} and a rook on {Squares.Names[rook]} for that, which have not moved");
                rights |= right;
            }
            return rights;
        }

        int PassingOf(string field, byte[] board, bool white)
        {
            if (field == "-") return -1;
            int square = Squares.Find(field), forward = white ? 8 : -8;
            if (square < 0 || square / 8 != (white ? 5 : 2))
                throw Wrong($"has '{field}' as the square of en passant",
                    $"- or one on rank {(white ? 6 : 3)}, because {(white ? "white" : "black")} is to move");
            if (board[square - forward] != (ChessMoves.Pawn | (white ? 8 : 0)) || board[square] != 0 || board[square + forward] != 0)
                throw Wrong($"has '{field}' as the square of en passant",
                    $"a pawn that has just gone over it, on {Squares.Names[square - forward]}, with nothing behind");
            return square;
        }

        int Count(int part, int least, string of)
        {
            if (parts.Length <= part) return least;
            return int.TryParse(parts[part], NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count >= least
                && count < 10_000 ? count : throw Wrong($"has '{parts[part]}' as the count of {of}", $"a number from {least}");
        }
    }

    /// <summary>A move in SAN: with as much of the square from which as tells it from others, and + or #.</summary>
    public static string San(ChessPosition position, int move)
    {
        var after = (ChessPosition)position.Play(move);
        return Plain(position, move) + (!after.IsCheck ? "" : after.Result == -1 ? "#" : "+");
    }

    private static string Plain(ChessPosition position, int move)
    {
        (int from, int to, int promotion) = ChessMoves.All[move];
        int kind = position[from].Kind;
        if (kind == ChessMoves.King && Math.Abs(to - from) == 2) return to > from ? "O-O" : "O-O-O";
        bool captures = position[to].Kind != 0 || kind == ChessMoves.Pawn && from % 8 != to % 8;
        string origin = kind == ChessMoves.Pawn && captures ? Squares.Names[from][..1] : "";
        if (kind != ChessMoves.Pawn)
        {
            int[] others =
                [.. position.Moves.Select(other => ChessMoves.All[other])
                    .Where(other => other.To == to && other.From != from && position[other.From].Kind == kind)
                    .Select(other => (int)other.From)];
            origin = others.Length == 0 ? "" : others.All(other => other % 8 != from % 8)
                ? Squares.Names[from][..1] : others.All(other => other / 8 != from / 8) ? Squares.Names[from][1..] : Squares.Names[from];
        }
        return $"{(kind == ChessMoves.Pawn ? "" : ChessMoves.Letters[kind])}{origin}{(captures ? "x" : "")}{Squares.Names[to]}{(promotion == 0 ? "" : $"={ChessMoves.Letters[promotion]}")}";
    }

    /// <summary>The move of a word in UCI or SAN; -1 where it is one that the rules do not allow there, null where it is none.</summary>
    public static int? Find(ChessPosition position, string word)
    {
        int? uci = position.Game.FindMove(word.ToLowerInvariant());
        // A capital is a piece's: B2d4 is the bishop's move from the second rank, and only where there is none it is b2d4.
        if (!Form().IsMatch(word) || uci is not null && !char.IsAsciiLetterUpper(word[0])) return uci;
        string plain = word.TrimEnd('+', '#', '!', '?').Replace('0', 'O').Replace("=", "", StringComparison.Ordinal);
        int[] found = [.. position.Moves.Where(legal => Plain(position, legal).Replace("=", "", StringComparison.Ordinal) == plain)];
        return found.Length == 1 ? found[0] : uci ?? -1;
    }

    [GeneratedRegex(@"^([KQRBN]?[a-h]?[1-8]?x?[a-h][1-8](=?[QRBN])?|[O0]-[O0](-[O0])?)[+#]?[!?]*$")]
    private static partial Regex Form();
}
