using System.Numerics;

namespace Flywheel.Model;

/// <summary>
/// A position of Connect Four as seen by the side to move: 7 columns of 6 places, the first of four stones in a row wins, a full board is a
/// draw (Allis 1988, Tromp). Each column is 7 bits, the lowest place first, and the bit above its places stays free, so that shifts do not
/// run from one column into the next.
/// </summary>
/// <param name="Own">Stones of the side to move.</param>
/// <param name="Stones">Stones of both.</param>
public readonly record struct ConnectFour(ulong Own, ulong Stones)
{
    public const int NumColumns = 7, NumRows = 6, NumPlaces = NumColumns * NumRows;

    /// <summary>States of one column: every height with every pattern of the two sides.</summary>
    public const int NumColumnStates = (1 << (NumRows + 1)) - 1;

    private const int Bits = NumRows + 1;

    private const ulong BottomRow = 0x40810204081; // the lowest place of each column

    public static ConnectFour Empty => default;

    /// <summary>What every state of a column is called, by its number: its stones from below, x of the side to move and o of the other; an
    /// empty one is e.</summary>
    public static IReadOnlyList<string> ColumnNames { get; } = [.. Enumerable.Range(0, NumColumnStates).Select(NameOf)];

    private static readonly Dictionary<string, int> s_states =
        ColumnNames.Index().ToDictionary(state => state.Item, state => state.Index, StringComparer.Ordinal);

    /// <summary>Stones on the board.</summary>
    public int NumPlies => BitOperations.PopCount(Stones);

    /// <summary>The side that began the game is to move.</summary>
    public bool IsFirstToMove => NumPlies % 2 == 0;

    /// <summary>Stones of the side that has just moved.</summary>
    public ulong Other => Own ^ Stones;

    public bool IsFull => NumPlies == NumPlaces;

    /// <summary>The side that has just moved has four in a row.</summary>
    public bool IsLost => HasFour(Other);

    public bool IsOver => IsFull || IsLost;

    /// <summary>The same position seen in a mirror: columns from right to left.</summary>
    public ConnectFour Mirrored => new(Mirror(Own), Mirror(Stones));

    /// <summary>One number for each position.</summary>
    public ulong Key => Own + Stones + BottomRow;

    /// <summary>The same for a position and its mirror image.</summary>
    public ulong SymmetricKey => Math.Min(Key, Mirrored.Key);

    /// <summary>Whether there is room in a column, from 0 on the left; the game may be over all the same.</summary>
    public bool HasRoom(int column) => (Stones & Top(column)) == 0;

    /// <summary>After a stone in a column with room, seen by the other side.</summary>
    public ConnectFour Play(int column) => new(Other, Stones | Stones + Bottom(column));

    /// <summary>Whether a stone in a column with room makes four.</summary>
    public bool Wins(int column) => HasFour(Own | Stones + Bottom(column) & Column(column));

    /// <summary>Columns that may be played; none when the game is over.</summary>
    public IReadOnlyList<int> Moves()
    {
        if (IsOver) return [];
        ConnectFour position = this;
        return [.. Enumerable.Range(0, NumColumns).Where(position.HasRoom)];
    }

    /// <summary>Stones in a column.</summary>
    public int Height(int column) => BitOperations.PopCount(Stones & Column(column));

    /// <summary>Whether the stone at a place, from 0 at the bottom, is one of the side to move; null where there is none.</summary>
    public bool? IsMine(int column, int row) =>
        (1UL << column * Bits + row) is var place && (Stones & place) == 0 ? null : (Own & place) != 0;

    /// <summary>Number of a column's state in <see cref="ColumnNames"/>.</summary>
    public int StateOf(int column)
    {
        int height = Height(column);
        return (1 << height) - 1 + (int)(Own >> column * Bits & (1UL << height) - 1);
    }

    /// <summary>States of the columns with spaces between, as a model reads them: tokens of <c>connect-four-column</c>.</summary>
    public override string ToString()
    {
        ConnectFour position = this;
        return string.Join(' ', Enumerable.Range(0, NumColumns).Select(column => ColumnNames[position.StateOf(column)]));
    }

    /// <summary>Reads <see cref="ToString"/>.</summary>
    /// <param name="text">Seven columns.</param>
    /// <param name="what">Begins the message about a wrong one, such as <c>field 'position'</c>.</param>
    /// <exception cref="FlywheelException">No position that a game can come to, or the game is over in it.</exception>
    public static ConnectFour Parse(string text, string what)
    {
        string[] columns = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (columns.Length != NumColumns)
            throw new FlywheelException($"{what} has {columns.Length} columns, expected {NumColumns}, such as {Empty.Play(3)}");
        (ulong own, ulong stones) = (0, 0);
        for (int column = 0; column < NumColumns; column++)
        {
            if (!s_states.TryGetValue(columns[column], out int state))
                throw new FlywheelException(
                    $"{what} has '{columns[column]}' as column {column}, expected its stones from below: up to {NumRows} of x (the side to move) and o (the other), or e");
            int height = BitOperations.Log2((uint)state + 1);
            own |= (ulong)(state + 1 - (1 << height)) << column * Bits;
            stones |= (1UL << height) - 1 << column * Bits;
        }
        var position = new ConnectFour(own, stones);
        (int mine, int theirs) = (BitOperations.PopCount(own), BitOperations.PopCount(position.Other));
        if (theirs - mine is not (0 or 1))
            throw new FlywheelException(
                $"{what} has {mine} stones of the side to move (x) and {theirs} of the other (o), expected as many of both, or one more of the other: with these stones the other side is to move, or neither");
        if (HasFour(own))
            throw new FlywheelException(
                $"{what} has four in a row of the side to move (x), expected a game that goes on: it would have ended with that stone");
        if (position.IsLost)
            throw new FlywheelException(
                $"{what} has four in a row of the other side (o), expected a game that goes on: this one is lost for the side to move");
        if (position.IsFull) throw new FlywheelException($"{what} has no free place, expected a game that goes on: this one is drawn");
        if (!position.IsReachable())
            throw new FlywheelException(
                $"{what} is '{position}', which no game comes to: there is no order in which the two sides, in turn, could have put these stones on each other");
        return position;
    }

    /// <summary>The position after moves from the empty board.</summary>
    /// <param name="moves">Columns from 0 to 6 with white space between.</param>
    /// <param name="what">Begins the message about a wrong one, such as <c>field 'history'</c>.</param>
    /// <exception cref="FlywheelException">A move that the rules do not allow, or the game is over after them.</exception>
    public static ConnectFour After(string moves, string what)
    {
        ConnectFour position = Empty;
        string[] columns = moves.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < columns.Length; i++)
        {
            if (columns[i].Length != 1 || columns[i][0] is < '0' or >= (char)('0' + NumColumns))
                throw new FlywheelException(
                    $"{what} has '{columns[i]}' as move {i + 1}, expected a column from 0 (left) to {NumColumns - 1} (right)");
            int column = columns[i][0] - '0';
            if (position.IsOver)
                throw new FlywheelException(
                    $"{what} goes on with '{column}' as move {i + 1}, expected no more: the game was {(position.IsLost ? "won" : "drawn")} with move {i}");
            if (!position.HasRoom(column))
                throw new FlywheelException($"{what} plays column {column} as move {i + 1}, expected another: that column is full");
            position = position.Play(column);
        }
        if (position.IsOver)
            throw new FlywheelException(
                $"{what} ends with a game that is {(position.IsLost ? "won" : "drawn")} after {columns.Length} moves, expected one that goes on");
        return position;
    }

    /// <summary>
    /// Whether stones can be taken off one by one, of the two sides in turn, until none is left. No part of a position without four in a
    /// row
    /// has one, so an order of stones is a game.
    /// </summary>
    private bool IsReachable()
    {
        var seen = new HashSet<ulong> { Stones };
        var open = new Stack<ulong>([Stones]);
        ulong first = IsFirstToMove ? Own : Other;
        while (open.TryPop(out ulong stones))
        {
            if (stones == 0) return true;
            bool firstMovedLast = BitOperations.PopCount(stones) % 2 == 1;
            for (int column = 0; column < NumColumns; column++)
            {
                ulong inColumn = stones & Column(column);
                if (inColumn == 0) continue;
                ulong top = 1UL << BitOperations.Log2(inColumn);
                if ((first & top) != 0 == firstMovedLast && seen.Add(stones ^ top)) open.Push(stones ^ top);
            }
        }
        return false;
    }

    private static bool HasFour(ulong stones)
    {
        foreach (int step in (ReadOnlySpan<int>)[Bits, 1, Bits - 1, Bits + 1]) // across, up, and the two diagonals
        {
            ulong pairs = stones & stones >> step;
            if ((pairs & pairs >> 2 * step) != 0) return true;
        }
        return false;
    }

    private static ulong Mirror(ulong stones)
    {
        ulong mirrored = 0;
        for (int column = 0; column < NumColumns; column++)
            mirrored |= (stones >> column * Bits & (1UL << Bits) - 1) << (NumColumns - 1 - column) * Bits;
        return mirrored;
    }

    private static ulong Bottom(int column) => 1UL << column * Bits;

    private static ulong Top(int column) => 1UL << column * Bits + NumRows - 1;

    private static ulong Column(int column) => (1UL << NumRows) - 1 << column * Bits;

    private static string NameOf(int state)
    {
        int height = BitOperations.Log2((uint)state + 1), own = state + 1 - (1 << height);
        return height == 0 ? "e" : string.Concat(Enumerable.Range(0, height).Select(row => (own >> row & 1) == 1 ? 'x' : 'o'));
    }
}
