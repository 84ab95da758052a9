namespace Flywheel.Model;

/// <summary><see cref="ConnectFour"/> as a game among others; a move is a column from 0 on the left.</summary>
public sealed class ConnectFourGame : Game
{
    public const string Id = "connect-four";

    public override string Name => Id;

    public override GamePosition Start { get; } = new ConnectFourPosition(ConnectFour.Empty);

    public override string MoveTokens => "connect-four";

    public override string PositionTokens => "connect-four-column";

    public override int NumTypicalPlies => 32;

    public override (string First, string Second) Sides => ("first", "second");

    public override (string History, string Position) Modalities => (MoveTokens, PositionTokens);

    public override int NumSymmetries => 2;

    public override int Transform(int move, int symmetry) => symmetry == 1 ? ConnectFour.NumColumns - 1 - move : move;

    public override GamePosition Read(string text, string what) => new ConnectFourPosition(ConnectFour.Parse(text, what));

    public override IReadOnlyList<int> ReadMoves(string text, string what)
    {
        _ = ConnectFour.After(text, what);
        return [.. text.Where(char.IsAsciiDigit).Select(column => column - '0')];
    }

    /// <summary>Wins where it can at once, else prevents that the other side does.</summary>
    public override IReadOnlyList<int> OnePly(GamePosition position)
    {
        ConnectFour mine = ((ConnectFourPosition)position).Stones, theirs = new(mine.Other, mine.Stones);
        int[] wins = [.. position.Moves.Where(mine.Wins)], blocks = [.. position.Moves.Where(theirs.Wins)];
        return wins.Length > 0 ? wins : blocks.Length > 0 ? blocks : position.Moves;
    }
}

/// <param name="stones">Whose rules it keeps.</param>
public sealed class ConnectFourPosition(ConnectFour stones) : GamePosition
{
    public ConnectFour Stones => stones;

    public override Game Game => Game.All[ConnectFourGame.Id];

    public override bool IsFirstToMove => stones.IsFirstToMove;

    public override int NumPlies => stones.NumPlies;

    public override int? Result => stones.IsLost ? -1 : stones.IsFull ? 0 : null;

    public override GamePosition Play(int move) => new ConnectFourPosition(stones.Play(move));

    public override IReadOnlyList<int> Tokens => [.. Enumerable.Range(0, ConnectFour.NumColumns).Select(stones.StateOf)];

    public override ulong Key => stones.Key;

    public override GamePosition Transformed(int symmetry) => symmetry == 1 ? new ConnectFourPosition(stones.Mirrored) : this;

    public override Board Board => new(ConnectFour.NumColumns, string.Concat(
        from row in Enumerable.Range(0, ConnectFour.NumRows).Reverse() from column in Enumerable.Range(0, ConnectFour.NumColumns)
            select stones.IsMine(column, row) is not { } mine ? ' ' : mine == IsFirstToMove ? 'X' : 'o'));

    public override string ToString() => stones.ToString();

    protected override IReadOnlyList<int> FindMoves() => stones.Moves();
}
