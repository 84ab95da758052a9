namespace Flywheel.Model;

/// <summary>Every move that chess can have, and where pieces go on an empty board. Squares are a1 = 0, b1 to h8 = 63.</summary>
internal static class ChessMoves
{
    /// <summary>Letters of pieces by their number from 1; capitals as a king's side in FEN.</summary>
    public const string Letters = " PNBRQK";

    public const int Pawn = 1, Knight = 2, Bishop = 3, Rook = 4, Queen = 5, King = 6;

    /// <summary>In each of eight directions, the squares from each square to the edge: first the four of rooks and then those of
    /// bishops.</summary>
    public static readonly int[][][] Rays =
        [.. new (int File, int Rank)[] { (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1) }
        .Select(step => Enumerable.Range(0, 64).Select(square => Walk(square, step.File, step.Rank).ToArray()).ToArray())];

    public static readonly int[][] KnightSteps =
        [.. Enumerable.Range(0, 64)
            .Select(square => new (int File, int Rank)[] { (1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2) }
        .SelectMany(step => Walk(square, step.File, step.Rank).Take(1)).ToArray())];

    public static readonly int[][] KingSteps =
        [.. Enumerable.Range(0, 64)
            .Select(square => Rays.Select(ray => ray[square]).Where(ray => ray.Length > 0).Select(ray => ray[0]).ToArray())];

    /// <summary>Of each move: where from, where to, and what a pawn becomes (0 of any other move).</summary>
    public static readonly (byte From, byte To, byte Promotion)[] All = [.. Enumerate()];

    /// <summary>As UCI writes them, such as e2e4 and e7e8q: 1,968.</summary>
    public static readonly string[] Names =
        [.. All.Select(move =>
            $"{Squares.Names[move.From]}{Squares.Names[move.To]}{(move.Promotion == 0 ? "" : char.ToLowerInvariant(Letters[move.Promotion]))}")];

    private static readonly Dictionary<int, int> s_numbers =
        All.Index().ToDictionary(move => Code(move.Item.From, move.Item.To, move.Item.Promotion), move => move.Index);

    public static int Find(int from, int to, int promotion = 0) => s_numbers[Code(from, to, promotion)];

    private static int Code(int from, int to, int promotion) => (promotion * 64 + from) * 64 + to;

    private static IEnumerable<int> Walk(int square, int fileStep, int rankStep)
    {
        for (int file = square % 8 + fileStep, rank = square / 8 + rankStep; file is >= 0 and < 8 && rank is >= 0 and < 8; file += fileStep,
            rank += rankStep) yield return 8 * rank + file;
    }

    private static IEnumerable<(byte, byte, byte)> Enumerate()
    {
        int[] squares = [.. Squares.ByFile.Select(Squares.Find)];
        foreach (int from in squares)
            foreach (int to in squares)
                if (KnightSteps[from].Contains(to) || Rays.Any(ray => ray[from].Contains(to))) yield return ((byte)from, (byte)to, 0);
        foreach (int from in squares.Where(square => square / 8 is 1 or 6))
            foreach (int to in squares.Where(to => to / 8 == (from / 8 == 6 ? 7 : 0) && Math.Abs(to % 8 - from % 8) <= 1))
                foreach (int piece in (int[])[Queen, Rook, Bishop, Knight]) yield return ((byte)from, (byte)to, (byte)piece);
    }
}
