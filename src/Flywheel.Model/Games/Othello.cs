using System.Numerics;

namespace Flywheel.Model;

/// <summary>Othello: a disc is put where it encloses some of the other side, which are turned; who cannot passes; most discs win.</summary>
/// <remarks>Squares are a1 (top left) to h8, as the World Othello Federation writes them; black begins.</remarks>
public sealed class OthelloGame : Game
{
    public const string Id = "othello";

    /// <summary>The move of who has none.</summary>
    public const string Pass = "pass";

    /// <summary>What the model reads: a disc on its square, x of the side to move and o of the other.</summary>
    public static IReadOnlyList<string> DiscNames { get; } = [.. from side in "ox" from square in Squares.Names select $"{side}{square}"];

    internal static readonly int[] SquareOf =
        [.. Squares.ByFile.Where(square => square is not ("d4" or "d5" or "e4" or "e5")).Select(Squares.Find)], MoveOf = Moves();

    public override string Name => Id;

    public override GamePosition Start { get; } = new OthelloPosition(Squares.Bits("e4", "d5"), Squares.Bits("d4", "e5"), isBlack: true);

    public override string MoveTokens => "othello";

    public override string PositionTokens => "othello-disc";

    public override int NumTypicalPlies => 58;

    public override (string First, string Second) Sides => ("black", "white");

    public override int NumSymmetries => 8;

    internal static int PassMove => SquareOf.Length;

    public override bool IsPass(int move) => move == PassMove;

    public override int Transform(int move, int symmetry) => move == PassMove ? move : MoveOf[Squares.Transform(SquareOf[move], symmetry)];

    public override GamePosition Read(string text, string what)
    {
        string[] parts = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        const string form = "64 squares from a1, b1 to h8 (X black, O white, - empty), a space and who is to move (X or O)";
        if (parts.Length != 2 || parts[0].Length != 64)
            throw new FlywheelException($"{what} is '{Short(text)}', expected {form}, such as '{Start}'");
        (ulong black, ulong white) = (0, 0);
        foreach ((int square, char disc) in parts[0].Index())
            switch (disc)
            {
                case 'X' or 'x' or '*': black |= 1UL << square; break;
                case 'O' or 'o': white |= 1UL << square; break;
                case '-' or '.': break;
                default: throw new FlywheelException(
                    $"{what} has '{disc}' on {Squares.Names[square]}, expected X (black), O (white) or - (empty)");
            }
        bool isBlack = parts[1] switch { "X" or "x" or "*" => true, "O" or "o" => false,
            var other => throw new FlywheelException($"{what} ends with '{other}', expected X (black) or O (white), who is to move") };
        ulong middle = Squares.Bits("d4", "d5", "e4", "e5"), all = black | white;
        if ((middle & ~all) != 0)
            throw new FlywheelException(
                $"{what} has nothing on {Squares.Names[BitOperations.TrailingZeroCount(middle & ~all)]}, expected a disc on d4, d5, e4 and e5: they are there from the start, and no disc is taken away");
        ulong joined = middle;
        for (ulong before = 0; joined != before;)
        {
            before = joined;
            foreach (int direction in Enumerable.Range(0, 8)) joined |= OthelloPosition.Shift(joined, direction) & all;
        }
        if (joined != all)
            throw new FlywheelException(
                $"{what} has a disc on {Squares.Names[BitOperations.TrailingZeroCount(all & ~joined)]} that no row of discs joins to the middle, which no game comes to: each disc was put beside another");
        var position = isBlack ? new OthelloPosition(black, white, isBlack) : new OthelloPosition(white, black, isBlack);
        return !position.IsOver
            ? position : throw new FlywheelException(
                $"{what} has no move for either side, expected a game that goes on: this one is over with {BitOperations.PopCount(black)} black and {BitOperations.PopCount(white)} white discs");
    }

    public override IReadOnlyList<int> ReadMoves(string text, string what) =>
        GameHistory.Read(this, text, what, "a square such as d3, or pass",
        (position, word) => position.Moves[0] == PassMove ? "pass: there is no move" : word is Pass
            ? "a move: who can move must" : "a square where a disc encloses some of the other side");

    /// <summary>Turns as many discs as it can.</summary>
    public override IReadOnlyList<int> OnePly(GamePosition position) => position.Best(((OthelloPosition)position).NumTurned);

    private static int[] Moves()
    {
        int[] moves = new int[64];
        Array.Fill(moves, -1);
        foreach ((int move, int square) in SquareOf.Index()) moves[square] = move;
        return moves;
    }

    private static string Short(string text) => text.Length <= 80 ? text : $"{text[..80]}…";
}

/// <param name="own">Discs of the side to move, a bit each: a1, b1 to h8.</param>
/// <param name="other">Of the other.</param>
/// <param name="isBlack">Black is to move.</param>
public sealed class OthelloPosition(ulong own, ulong other, bool isBlack) : GamePosition
{
    private const ulong NotFirstFile = 0xFEFEFEFEFEFEFEFE, NotLastFile = 0x7F7F7F7F7F7F7F7F;

    private readonly ulong _moves = Placements(own, other);

    public ulong Own => own;

    public ulong Other => other;

    public override Game Game => Game.All[OthelloGame.Id];

    public override bool IsFirstToMove => isBlack;

    /// <summary>Discs that were put; passes leave no trace.</summary>
    public override int NumPlies => BitOperations.PopCount(own | other) - 4;

    public int NumEmpty => 60 - NumPlies;

    public override int? Result =>
        _moves != 0 || Placements(other, own) != 0 ? null : Math.Sign(BitOperations.PopCount(own) - BitOperations.PopCount(other));

    public override GamePosition Play(int move)
    {
        if (move == OthelloGame.PassMove) return new OthelloPosition(other, own, !isBlack);
        int square = OthelloGame.SquareOf[move];
        ulong turned = Turned(square);
        return new OthelloPosition(other & ~turned, own | turned | 1UL << square, !isBlack);
    }

    /// <summary>Discs that a move turns.</summary>
    public int NumTurned(int move) => move == OthelloGame.PassMove ? 0 : BitOperations.PopCount(Turned(OthelloGame.SquareOf[move]));

    /// <summary>
    /// The discs, each with its square: first the other side's and then the own, which so have seen all that they enclose when the model
    /// reads them.
    /// </summary>
    public override IReadOnlyList<int> Tokens => [.. Squares.Of(other), .. Squares.Of(own).Select(square => 64 + square)];

    public override ulong Key => Mix(Mix(own) + other);

    public override GamePosition Transformed(int symmetry) =>
        symmetry == 0 ? this : new OthelloPosition(Transform(own, symmetry), Transform(other, symmetry), isBlack);

    public override Board Board => new(8, string.Concat(Enumerable.Range(0, 64).Select(square => Disc(square, 'X', 'o', ' '))));

    public override string ToString() =>
        $"{string.Concat(Enumerable.Range(0, 64).Select(square => Disc(square, 'X', 'O', '-')))} {(isBlack ? 'X' : 'O')}";

    protected override IReadOnlyList<int> FindMoves() =>
        _moves == 0 ? [OthelloGame.PassMove] : [.. Squares.Of(_moves).Select(square => OthelloGame.MoveOf[square])];

    private char Disc(int square, char black, char white, char none) =>
        (own >> square & 1, other >> square & 1) switch { (1, _) => isBlack ? black : white, (_, 1) => isBlack ? white : black, _ => none };

    private static ulong Transform(ulong discs, int symmetry) =>
        Squares.Of(discs).Aggregate(0UL, (all, square) => all | 1UL << Squares.Transform(square, symmetry));

    /// <summary>Squares where a disc turns some.</summary>
    public static ulong Placements(ulong own, ulong other)
    {
        ulong found = 0, empty = ~(own | other);
        for (int direction = 0; direction < 8; direction++)
        {
            ulong line = Shift(own, direction) & other;
            for (int i = 0; i < 5; i++) line |= Shift(line, direction) & other;
            found |= Shift(line, direction) & empty;
        }
        return found;
    }

    private ulong Turned(int square) => Turned(own, other, square);

    /// <summary>Discs that one on a square turns.</summary>
    public static ulong Turned(ulong own, ulong other, int square)
    {
        ulong turned = 0;
        for (int direction = 0; direction < 8; direction++)
        {
            ulong line = 0, at = Shift(1UL << square, direction);
            for (; (at & other) != 0; at = Shift(at, direction)) line |= at;
            if ((at & own) != 0) turned |= line;
        }
        return turned;
    }

    /// <summary>Discs moved one square in one of the eight directions; what leaves the board is gone.</summary>
    internal static ulong Shift(ulong discs, int direction) => direction switch
    {
        0 => discs << 1 & NotFirstFile,
        1 => discs >> 1 & NotLastFile,
        2 => discs << 8,
        3 => discs >> 8,
        4 => discs << 9 & NotFirstFile,
        5 => discs >> 9 & NotLastFile,
        6 => discs << 7 & NotLastFile,
        _ => discs >> 7 & NotFirstFile,
    };
}
