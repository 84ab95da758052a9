namespace Flywheel.Model.Tests.Games;

/// <summary>The rules of Othello against published counts, and positions that are refused.</summary>
public sealed class OthelloTests
{
    private static readonly Game s_game = Game.All["othello"];

    /// <summary>Perft of Othello, a pass counting as a ply, as computer Othello publishes it.</summary>
    [Fact]
    public void Play_AllGames_AreAsManyAsPublished() =>
    Assert.Equal([1, 4, 12, 56, 244, 1396, 8200, 55092], Enumerable.Range(0, 8).Select(depth => GameRules.Perft(s_game.Start, depth)));

    [Fact]
    public void Start_BlackToMove_HasTheFourMovesOfTheRules()
    {
        Assert.Equal("---------------------------OX------XO--------------------------- X", s_game.Start.ToString());
        Assert.Equal(["c4", "d3", "e6", "f5"], s_game.Start.Moves.Select(s_game.Symbol).Order(StringComparer.Ordinal));
        Assert.Equal("-------------------X-------XX------XO--------------------------- O",
            s_game.After(s_game.ReadMoves("d3", "moves")).ToString());
    }

    /// <summary>The shortest game that there is: black has every disc after nine moves (published as the shortest win).</summary>
    [Fact]
    public void Play_ShortestGame_IsWonWithEveryDisc()
    {
        GamePosition position = s_game.Start;
        foreach (string symbol in "e6 f4 e3 f6 g5 d6 e7 f5 c5".Split(' '))
        {
            Assert.Contains(s_game.FindMove(symbol)!.Value, position.Moves);
            position = position.Play(s_game.FindMove(symbol)!.Value);
        }
        Assert.Equal((-1, false, 13), (position.Result, position.IsFirstToMove, $"{position}".Count(c => c == 'X')));
        Assert.StartsWith("field 'history' ends with a game that is won after 9 moves",
            Assert.Throws<FlywheelException>(() => s_game.ReadMoves("e6 f4 e3 f6 g5 d6 e7 f5 c5", "field 'history'")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Moves_NothingToEnclose_IsToPass()
    {
        GamePosition position = GameRules.Games(s_game, 40, seed: 4).SelectMany(game => game)
            .First(position => !position.IsOver && position.Moves.Select(s_game.Symbol).SequenceEqual(["pass"]));
        GamePosition after = position.Play(position.Moves[0]);
        Assert.Equal(($"{position}"[..64], !position.IsFirstToMove), ($"{after}"[..64], after.IsFirstToMove));
        Assert.DoesNotContain("pass", after.Moves.Select(s_game.Symbol));
    }

    [Theory]
    [InlineData("XO X", "field 'position' is 'XO X', expected 64 squares from a1")]
    [InlineData("---------------------------OZ------XO--------------------------- X",
        "field 'position' has 'Z' on e4, expected X (black), O (white) or - (empty)")]
    [InlineData("---------------------------OX------XO--------------------------- B",
        "field 'position' ends with 'B', expected X (black) or O (white)")]
    [InlineData("---------------------------OX------X---------------------------- X",
        "field 'position' has nothing on e5, expected a disc on d4, d5, e4 and e5")]
    [InlineData("X--------------------------OX------XO--------------------------- X",
        "field 'position' has a disc on a1 that no row of discs joins to the middle")]
    [InlineData("---------------------------XX------XX--------------------------- O",
        "field 'position' has no move for either side, expected a game that goes on: this one is over with 4 black and 0 white discs")]
    public void Read_ImpossiblePosition_IsRefusedByName(string text, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => s_game.Read(text, "field 'position'")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("d3 c3 a1",
        "field 'history' plays a1 as move 3, where black is to move; expected a square where a disc encloses some of the other side")]
    [InlineData("d3 pass", "field 'history' plays pass as move 2, where white is to move; expected a move: who can move must")]
    [InlineData("d3 z9", "field 'history' has 'z9' as move 2, expected a square such as d3, or pass")]
    [InlineData("d4", "field 'history' has 'd4' as move 1, expected a square such as d3, or pass")]
    public void ReadMoves_IllegalMove_IsRefusedByName(string moves, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => s_game.ReadMoves(moves, "field 'history'")).Message,
            StringComparison.Ordinal);
}
