using Bunit;
using Flywheel.Model;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>The board of squares: what it draws while the model thinks, and what it takes from the keyboard.</summary>
public sealed class GameSquaresTests : BunitContext
{
    private static readonly Game s_chess = Game.All["chess"];

    private readonly List<int> _chosen = [];

    private IRenderedComponent<GameSquares> Draw(string history, bool waits = false, string? thought = null, Game? game = null)
    {
        SetRendererInfo(new RendererInfo("Server", true));
        return Render<GameSquares>(parameters => parameters
            .AddCascadingValue(new Visit("ann", Strings.Of("en"), null, TimeSpan.Zero))
            .Add(one => one.Game, game ?? s_chess).Add(one => one.History, (game ?? s_chess).ReadMoves(history, "history"))
            .Add(one => one.Shares, thought is null ? null : new Dictionary<int, double> { [s_chess.FindMove(thought)!.Value] = 1 })
            .Add(one => one.Waits, waits)
            .Add(one => one.Choose, EventCallback.Factory.Create<int>(this, _chosen.Add)));
    }

    [Fact]
    public void Draw_ThoughtsOfThePositionBefore_AreNotShown()
    {
        Assert.Empty(Draw("", thought: "e1e8").FindAll(".game-candidates, .best")); // would take the king
        Assert.Equal("e4", Draw("", thought: "e2e4").Find(".game-candidates span").TextContent);
    }

    [Fact]
    public void Draw_WhileTheModelThinks_TakesNothingAwayThatMayHaveTheFocus()
    {
        IRenderedComponent<GameSquares> board = Draw("e4", waits: true);
        Assert.True(board.Find(".game-typed input").HasAttribute("readonly"));
        Assert.Empty(board.FindAll(".game-square[disabled], .game-typed [disabled], .game-square:not([aria-disabled])"));
        board.Find("[data-square=e7]").Click();
        board.Find(".game-typed input").Input("e5");
        board.Find("form").Submit();
        Assert.Empty(_chosen);
        Assert.Empty(board.FindAll(".game-square.from"));
        board = Draw("e4 e5");
        Assert.Empty(board.FindAll(".game-square[disabled]"));
        Assert.Equal(12, board.FindAll(".game-square:not([aria-disabled])").Count); // white's pieces that can move
    }

    [Theory]
    [InlineData("Qh4#", true), InlineData("D8H4", true), InlineData("2... Qh4", true), InlineData("Ke7 a3", false), InlineData("Qa5", false)]
    public void Typed_MoveOrNone_IsPlayedOrRefused(string typed, bool isMove)
    {
        IRenderedComponent<GameSquares> board = Draw("f3 e5 g4");
        board.Find(".game-typed input").Input(typed);
        board.Find("form").Submit();
        Assert.Equal(isMove ? [s_chess.FindMove("d8h4")!.Value] : [], _chosen);
        Assert.Equal(isMove ? "" : $"“{typed}” is no legal move here.", board.Find("#game-wrong").TextContent);
    }

    [Fact]
    public void Promotion_PawnOnTheLastRank_AsksWithTheFocusOnTheFirstAnswer()
    {
        IRenderedComponent<GameSquares> board = Draw("a4 b5 axb5 a6 bxa6 Bb7 a7 Bc6");
        board.Find("[data-square=a7]").Click();
        board.Find("[data-square=b8]").Click();
        Assert.Equal(4, board.FindAll(".game-promotions button").Count);
        JSInterop.VerifyFocusAsyncInvoke();
        board.Find(".game-promotions button").Click();
        Assert.Equal([s_chess.FindMove("a7b8q")!.Value], _chosen);
    }
}
