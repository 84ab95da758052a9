using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests.Games;

/// <summary>The rules against published counts and against a board that is written without any cleverness.</summary>
public sealed class ConnectFourTests
{
    private static readonly Game s_game = Game.All["connect-four"];

    /// <summary>Move sequences by length: 7 to the power of it until a column can be full (7 moves) and a game won (8 moves).</summary>
    [Fact]
    public void Play_AllGames_AreAsManyAsThePlainBoardAndArithmeticSay()
    {
        long[] counts = new long[9], plain = new long[8];
        Count(ConnectFour.Empty, 0);
        CountPlain(new PlainBoard(), 0);
        Assert.Equal([1, 7, 49, 343, 2401, 16807, 117649, 823536, 5673234], counts);
        Assert.Equal(counts[..8], plain);

        void Count(ConnectFour position, int depth)
        {
            counts[depth]++;
            if (depth == counts.Length - 1) return;
            if (depth == counts.Length - 2)
            {
                counts[^1] += position.Moves().Count; // the last ply need not be played
                return;
            }
            foreach (int column in position.Moves()) Count(position.Play(column), depth + 1);
        }

        void CountPlain(PlainBoard board, int depth)
        {
            plain[depth]++;
            if (depth == plain.Length - 1 || board.Winner != 0) return;
            for (int column = 0; column < 7; column++)
            {
                if (!board.TryPlay(column)) continue;
                CountPlain(board, depth + 1);
                board.Undo();
            }
        }
    }

    /// <summary>OEIS A212693: distinct positions after n moves.</summary>
    [Fact]
    public void Play_DistinctPositions_AreAsManyAsPublished()
    {
        HashSet<ConnectFour> positions = [ConnectFour.Empty];
        foreach (int expected in (int[])[1, 7, 49, 238, 1120, 4263, 16422, 54859, 184275])
        {
            Assert.Equal(expected, positions.Count);
            Assert.Equal(expected, positions.Select(position => position.Key).Distinct().Count());
            positions = [.. positions.SelectMany(position => position.Moves().Select(position.Play))];
        }
    }

    [Fact]
    public void Play_RandomGames_AreAsOnThePlainBoard() => Gen.Int[0, 6].Array[1, 60].Sample(moves =>
    {
        (ConnectFour position, var board) = (ConnectFour.Empty, new PlainBoard());
        foreach (int column in moves)
        {
            Assert.Equal(board.Winner != 0, position.IsLost);
            if (position.IsOver) break;
            bool hasRoom = position.HasRoom(column), wins = hasRoom && position.Wins(column);
            Assert.Equal(hasRoom, board.TryPlay(column));
            if (!hasRoom) continue;
            position = position.Play(column);
            Assert.Equal((board.Winner != 0, board.NumStones), (wins, position.NumPlies));
            Assert.Equal(board.Columns(), position.ToString());
            Assert.Equal(position, position.Mirrored.Mirrored);
            Assert.Equal((position.Mirrored.IsLost, position.Mirrored.SymmetricKey), (position.IsLost, position.SymmetricKey));
            if (!position.IsOver) Assert.Equal(position, ConnectFour.Parse(position.ToString(), "position"));
        }
    }, seed: "0000Games0001", iter: 400);

    /// <summary>Any seven columns are either refused or read as what they say.</summary>
    [Fact]
    public void Parse_AnyColumns_RoundTripOrAreRefused() => Gen.Int[0, 126].Array[7].Sample(states =>
    {
        string text = string.Join(' ', states.Select(state => ConnectFour.ColumnNames[state]));
        try
        {
            Assert.Equal(text, ConnectFour.Parse(text, "field 'position'").ToString());
        }
        catch (FlywheelException e)
        {
            Assert.StartsWith("field 'position'", e.Message, StringComparison.Ordinal);
        }
    }, seed: "0000Games0002", iter: 2000);

    [Theory]
    [InlineData("e e e x e e", "field 'position' has 6 columns, expected 7, such as e e e o e e e")]
    [InlineData("e e e z e e e", "field 'position' has 'z' as column 3, expected its stones from below")]
    [InlineData("e e e xoxoxox e e e", "field 'position' has 'xoxoxox' as column 3")]
    [InlineData("e e e x e e e", "field 'position' has 1 stones of the side to move (x) and 0 of the other (o)")]
    [InlineData("e e e oo o e e", "field 'position' has 0 stones of the side to move (x) and 3 of the other (o)")]
    [InlineData("o o o xo x x x", "field 'position' has four in a row of the side to move (x)")]
    [InlineData("x x x oooo e e e", "field 'position' has four in a row of the other side (o)")]
    [InlineData("ox e e e e e e", "field 'position' is 'ox e e e e e e', which no game comes to")]
    public void Parse_NoPositionOfAGame_IsRefusedByName(string text, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => ConnectFour.Parse(text, "field 'position'")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("3 7", "field 'history' has '7' as move 2, expected a column from 0 (left) to 6 (right)")]
    [InlineData("3 x", "field 'history' has 'x' as move 2")]
    [InlineData("3 3 3 3 3 3 3", "field 'history' plays column 3 as move 7, expected another: that column is full")]
    [InlineData("3 0 3 0 3 0 3 0", "field 'history' goes on with '0' as move 8, expected no more: the game was won with move 7")]
    [InlineData("3 0 3 0 3 0 3", "field 'history' ends with a game that is won after 7 moves")]
    public void After_ImpossibleHistory_IsRefusedByName(string moves, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => ConnectFour.After(moves, "field 'history'")).Message,
            StringComparison.Ordinal);

    private static IReadOnlyDictionary<string, string> Fields(string history, string position, string toMove) =>
        new Dictionary<string, string> { [GameTask.History] = history, [GameTask.Position] = position, [GameTask.ToMove] = toMove };

    [Fact]
    public void Read_HistoryOrPosition_GiveTheSameFields()
    {
        Dictionary<string, string> read = GameTask.Read(s_game, Fields("3 3 2", "", ""));
        Assert.Equal(("e e o ox e e e", "second"), (read["position"], read["to_move"]));
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6"], GameTask.Moves(s_game, read));
        Assert.Equal(read["position"], GameTask.Read(s_game, Fields("", read["position"], "second"))["position"]);
        Assert.Equal("e e e e e e e", GameTask.Read(s_game, Fields("", "", ""))["position"]);
        Assert.Equal(["0", "1", "2", "4", "5", "6"], GameTask.Moves(s_game, GameTask.Read(s_game, Fields("3 3 3 3 3 3", "", ""))));
    }

    [Theory]
    [InlineData("3", "", "first", "field 'to_move' is 'first', expected 'second', which is to move after this history")]
    [InlineData("", "e e e o e e e", "first", "field 'to_move' is 'first', expected 'second'")]
    [InlineData("3", "e e e e o e e", "",
        "field 'position' is 'e e e e o e e', expected 'e e e o e e e', to which the history leads, or only one of the two")]
    public void Read_FieldsThatContradict_AreRefusedByName(string history, string position, string toMove, string expected) =>
        Assert.StartsWith(expected,
            Assert.Throws<FlywheelException>(() => GameTask.Read(s_game, Fields(history, position, toMove))).Message,
            StringComparison.Ordinal);

    /// <summary>A board as a child would keep it.</summary>
    private sealed class PlainBoard
    {
        private readonly int[,] _stones = new int[7, 6];
        private readonly List<int> _columns = [];

        public int NumStones => _columns.Count;

        public int Winner { get; private set; }

        public bool TryPlay(int column)
        {
            for (int row = 0; row < 6; row++)
            {
                if (_stones[column, row] != 0) continue;
                _stones[column, row] = _columns.Count % 2 + 1;
                _columns.Add(column);
                Winner = FindWinner();
                return true;
            }
            return false;
        }

        public void Undo()
        {
            int column = _columns[^1];
            for (int row = 5; row >= 0; row--)
            {
                if (_stones[column, row] == 0) continue;
                _stones[column, row] = 0;
                break;
            }
            _columns.RemoveAt(_columns.Count - 1);
            Winner = 0;
        }

        public string Columns()
        {
            int mover = _columns.Count % 2 + 1;
            return string.Join(' ', Enumerable.Range(0, 7).Select(column =>
            {
                string stones =
                    string.Concat(Enumerable.Range(0, 6).Select(row => _stones[column, row]).Where(stone => stone != 0)
                        .Select(stone => stone == mover ? 'x' : 'o'));
                return stones.Length > 0 ? stones : "e";
            }));
        }

        private int FindWinner()
        {
            for (int column = 0; column < 7; column++)
                for (int row = 0; row < 6; row++)
                    foreach ((int dc, int dr) in ((int, int)[])[(1, 0), (0, 1), (1, 1), (1, -1)])
                    {
                        int side = _stones[column, row];
                        if (side != 0
                            && Enumerable.Range(1, 3)
                                .All(i => column + i * dc < 7 && row + i * dr is >= 0 and < 6
                                    && _stones[column + i * dc, row + i * dr] == side)) return side;
                    }
            return 0;
        }
    }
}
