namespace Flywheel.Model.Tests.Games;

/// <summary>The rules of chess against the counts of move generators that the chess programming community publishes, and notation against
/// the Laws.</summary>
public sealed class ChessTests
{
    private const string Kiwipete = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1";

    private static readonly Game s_game = Game.All["chess"];

    [Theory]
    [InlineData("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", 20L, 400L, 8902L)]
    [InlineData(Kiwipete, 48L, 2039L, 97862L)]
    [InlineData("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", 14L, 191L, 2812L, 43238L)]
    [InlineData("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", 6L, 264L, 9467L)]
    [InlineData("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", 44L, 1486L, 62379L)]
    [InlineData("r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10", 46L, 2079L, 89890L)]
    public void Play_StandardPositions_HaveAsManyLinesAsPublished(string fen, params long[] expected) =>
        Assert.Equal(expected, Enumerable.Range(1, expected.Length).Select(depth => GameRules.Perft(s_game.Read(fen, "fen"), depth)));

    [Fact]
    public void MoveNames_AllMoves_AreAsManyAsUciCanWrite()
    {
        Assert.Equal(1968, ChessGame.MoveNames.Count);
        Assert.Equal(1968, ChessGame.MoveNames.Distinct().Count());
        Assert.Equal("d2d4", s_game.Symbol(s_game.FindMove("d2d4")!.Value));
    }

    [Theory]
    [InlineData("1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. O-O", "r1bqkbnr/1ppp1ppp/p1n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQ1RK1 b kq - 1 4")]
    [InlineData("e2e4 d7d5 e4e5 f7f5", "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3")] // can be taken en passant
    [InlineData("e4 a6 e5 f5 exf6", "rnbqkbnr/1pppp1pp/p4P2/8/8/8/PPPP1PPP/RNBQKBNR b KQkq - 0 3")]
    [InlineData("e4", "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1")] // nobody could take it
    [InlineData("a4 b5 axb5 a6 bxa6 Bb7 a7 Bc6 axb8=N", "rN1qkbnr/2pppppp/2b5/8/8/8/1PPPPPPP/RNBQKBNR b KQkq - 0 5")]
    public void ReadMoves_SanAndUci_LeadToTheFen(string moves, string fen) =>
    Assert.Equal(fen, s_game.After(s_game.ReadMoves(moves, "moves")).ToString());

    [Theory]
    [InlineData("1k6/8/8/8/8/8/8/R3K2R w KQ - 0 1", "e1g1", "O-O")]
    [InlineData("4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", "e1c1", "O-O-O")]
    [InlineData("4k3/8/8/8/8/8/4K3/R6R w - - 0 1", "a1d1", "Rad1")]
    [InlineData("4k3/8/8/7R/8/8/4K3/7R w - - 0 1", "h1h3", "R1h3")]
    [InlineData("8/k7/8/8/4Q2Q/8/8/K6Q w - - 0 1", "h4e1", "Qh4e1")] // another on its rank, and another on its file
    [InlineData("6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1", "a1a8", "Ra8#")]
    [InlineData("8/P6k/8/8/8/8/8/4K3 w - - 0 1", "a7a8n", "a8=N")]
    [InlineData("4k3/8/8/8/8/8/8/R3K3 w - - 0 1", "a1a8", "Ra8+")]
    public void Spell_MovesOfEachKind_IsSan(string fen, string uci, string san)
    {
        GamePosition position = s_game.Read(fen, "fen");
        Assert.Equal(san, position.Spell(s_game.FindMove(uci)!.Value));
    }

    [Theory]
    [InlineData("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", 0)] // stalemate
    [InlineData("7k/6Q1/6K1/8/8/8/8/8 b - - 0 1", -1)] // mate
    [InlineData("8/8/8/4k3/8/8/8/4K2N w - - 0 1", 0)]
    [InlineData("8/8/8/4k3/8/8/8/2B1KB2 w - - 0 1", null)] // bishops on squares of both colours can mate
    [InlineData("8/8/5b2/4k3/8/8/8/2B1K3 w - - 0 1", 0)] // bishops on squares of one colour cannot
    [InlineData("8/8/8/4k3/8/8/8/2NNK3 w - - 0 1", null)] // two knights can, with help
    [InlineData("8/8/8/4k3/8/8/8/R3K3 w - - 99 80", null)]
    [InlineData("8/8/8/4k3/8/8/8/R3K3 w - - 100 80", 0)] // fifty moves of each side
    [InlineData("R6k/8/6K1/8/8/8/8/8 b - - 100 80", -1)] // mate comes before
    public void Result_EndsOfGames_AreThoseOfTheLaws(string fen, int? expected)
    {
        if (expected is null) Assert.Null(s_game.Read(fen, "field 'position'").Result);
        else Assert.StartsWith(
            $"field 'position' is '{fen}', expected a game that goes on: this one is over, {(expected == 0 ? "drawn" : "by checkmate")}",
            Assert.Throws<FlywheelException>(() => s_game.Read(fen, "field 'position'")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Result_PositionForTheThirdTime_IsDrawn()
    {
        const string there = "Nf3 Nf6 Ng1 Ng8 ";
        GamePosition twice = s_game.After(s_game.ReadMoves(there + "Nf3 Nf6 Ng1", "moves"));
        Assert.Null(twice.Result);
        Assert.Equal(0, twice.Play(s_game.FindMove("f6g8")!.Value).Result); // the start, for the third time
        Assert.StartsWith("field 'history' ends with a game that is drawn after 8 moves",
            Assert.Throws<FlywheelException>(() => s_game.ReadMoves(there + there, "field 'history'")).Message, StringComparison.Ordinal);
        // Rights to castle that are gone make another position: the king has moved.
        Assert.Null(s_game.After(s_game.ReadMoves("e4 e5 Ke2 Ke7 Ke1 Ke8 Ke2 Ke7 Ke1 Ke8", "moves")).Result);
    }

    /// <summary>Where the pawn that stands beside is pinned, nothing can be taken en passant: the position is the one that comes again
    /// (Laws 9.2).</summary>
    [Fact]
    public void Result_DoubleStepBesideAPinnedPawn_IsTheFirstOfThree()
    {
        const string before = "3k4/8/8/8/3p4/8/4P3/3RK3 w - - 0 1", there = "d8c8 e1e2 c8d8 e2e1";
        GamePosition first = s_game.Read(before, "fen").Play(s_game.FindMove("e2e4")!.Value);
        Assert.Equal("3k4/8/8/8/3pP3/8/8/3RK3 b - - 0 1", $"{first}");
        Assert.Equal($"{first}", $"{s_game.Read("3k4/8/8/8/3pP3/8/8/3RK3 b - e3 0 1", "fen")}");
        GamePosition position = first;
        foreach (string move in $"{there} {there}".Split(' '))
        {
            Assert.Null(position.Result);
            position = position.Play(s_game.FindMove(move)!.Value);
        }
        Assert.Equal(0, position.Result);
    }

    /// <summary>Two bishops on one file are told apart by their rank, which reads like the square b2 but is none.</summary>
    [Fact]
    public void FindMove_BishopByItsRank_IsTheBishop()
    {
        GamePosition position = s_game.Read("4k3/8/5B2/8/8/8/1Q3B2/4K3 w - - 0 1", "fen");
        int bishop = s_game.FindMove("f2d4")!.Value;
        Assert.Equal("B2d4", position.Spell(bishop));
        Assert.Equal(bishop, s_game.FindMove(position, "B2d4"));
        Assert.Equal(s_game.FindMove("b2d4"), s_game.FindMove(position, "b2d4"));
        Assert.Equal(s_game.FindMove("b2b4"), s_game.FindMove(position, "B2b4")); // as a phone writes it
    }

    /// <summary>A move that ends the game is read in all the ways of any other.</summary>
    [Theory]
    [InlineData("Qh4#"), InlineData("Qh4"), InlineData("Qh4!"), InlineData("D8H4"), InlineData("2... Qh4#"), InlineData(" d8h4 ")]
    public void FindMove_MoveThatEndsTheGame_IsReadAsAnyOther(string typed) =>
        Assert.Equal(s_game.FindMove("d8h4"), s_game.FindMove(s_game.After(s_game.ReadMoves("f3 e5 g4", "moves")), typed));

    [Theory]
    [InlineData("Nf3 Nc6"), InlineData(""), InlineData("hello")]
    public void FindMove_NoMove_IsNone(string typed) => Assert.Null(s_game.FindMove(s_game.Start, typed));

    /// <summary>FEN may leave out its counts, which then say nothing against a history.</summary>
    [Theory]
    [InlineData("", true), InlineData(" 1", true), InlineData(" 1 2", true), InlineData(" 0", false), InlineData(" 1 3", false)]
    public void Read_FenWithAndWithoutCounts_IsComparedByWhatItSays(string counts, bool isSame)
    {
        var values = new Dictionary<string, string>
        {
            ["history"] = "1. e4 e5 2. Nf3", ["to_move"] = "",
            ["position"] = $"rnbqkbnr/pppp1ppp/8/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R b KQkq -{counts}",
        };
        if (isSame) Assert.EndsWith(" 1 2", GameTask.Read(s_game, values)["position"], StringComparison.Ordinal);
        else Assert.Throws<FlywheelException>(() => GameTask.Read(s_game, values));
    }

    [Fact]
    public void Tokens_RightsAndEnPassant_AreSeen()
    {
        IReadOnlyList<string> Seen(string fen) => [.. s_game.Read(fen, "fen").Tokens.Select(token => ChessGame.PieceNames[token])];
        Assert.Equal(["oEd5", "oKe8", "xKe1", "xPe5", "xRa1", "xCh1"], Seen("4k3/8/8/3pP3/8/8/8/R3K2R w K d6 0 1"));
        Assert.Equal(["oKe1", "oPe5", "oRa1", "oCh1", "xKe8", "xpd5"], Seen("4k3/8/8/3pP3/8/8/8/R3K2R b K - 0 1"));
    }

    [Theory]
    [InlineData("8/8 w - -", "field 'position' has 2 ranks, expected 8")]
    [InlineData("8/8/8/8/8/8/8/8", "field 'position' has 1 parts, expected 4 to 6 of FEN")]
    [InlineData("rnbqkbnr/ppppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "field 'position' has 9 squares in rank 7, expected 8")]
    [InlineData("rnbqkbnr/ppppxppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "field 'position' has 'x' in rank 7")]
    [InlineData("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1",
        "field 'position' has 'x' as the side to move, expected w or b")]
    [InlineData("rnbq1bnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQ - 0 1", "field 'position' has 0 kings of black, expected one")]
    [InlineData("4k3/8/8/8/8/8/8/P3K3 w - - 0 1", "field 'position' has a pawn on a1, expected pawns on ranks 2 to 7")]
    [InlineData("4k3/8/8/8/PPPPPPPP/P7/8/4K3 w - - 0 1", "field 'position' has 9 pawns of white")]
    [InlineData("4k3/8/8/8/QQ6/8/PPPPPPPP/4K3 w - - 0 1", "field 'position' has 8 pawns of white and 1 pieces that must have been pawns")]
    [InlineData("4k3/8/8/8/8/8/8/4K3 w K - 0 1", "field 'position' lets 'K' castle, expected a king on e1 and a rook on h1")]
    [InlineData("4k3/8/8/3pP3/8/8/8/4K3 w - d3 0 1",
        "field 'position' has 'd3' as the square of en passant, expected - or one on rank 6, because white is to move")]
    [InlineData("4k3/8/8/4P3/8/8/8/R3K3 w - d6 0 1",
        "field 'position' has 'd6' as the square of en passant, expected a pawn that has just gone over it, on d5")]
    [InlineData("4k3/8/8/8/8/8/8/R3K3 w - - x 1", "field 'position' has 'x' as the count of plies without capture")]
    [InlineData("4k3/8/8/8/8/8/8/4RK2 w - - 0 1",
        "field 'position' has the king of black in check, expected a position in which white can be to move")]
    [InlineData("4k3/8/5N2/8/B3R3/8/8/4K3 b - - 0 1", "field 'position' has 3 pieces giving check, expected at most two")]
    public void Read_ImpossiblePosition_IsRefusedByName(string fen, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => s_game.Read(fen, "field 'position'")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("e4 e5 Ke3", "field 'history' plays Ke3 as move 3, where white is to move; expected one of ")]
    [InlineData("e4 e2e4", "field 'history' plays e2e4 as move 2, where black is to move; expected one of ")]
    [InlineData("e4 hello", "field 'history' has 'hello' as move 2, expected a move such as e2e4 or Nf3")]
    [InlineData("f3 e5 g4 Qh4# a3", "field 'history' goes on with 'a3' as move 5, expected no more: the game was won with move 4")]
    [InlineData("e4 e5 Nf3 Nc6 O-O", "field 'history' plays O-O as move 5")]
    public void ReadMoves_IllegalMove_IsRefusedByName(string moves, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => s_game.ReadMoves(moves, "field 'history'")).Message,
            StringComparison.Ordinal);
}
