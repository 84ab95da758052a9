using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page of a game: plays to the end with mouse and keys, looks at games that the model played, in both languages,
/// on a phone and in the dark.</summary>
public sealed class GamePageTests : IAsyncLifetime
{
    private const string Recipe = """
        name: mini
        task: connect-four
        tokenizer: {vocab: 272, reserve: [connect-four, connect-four-column, value]}
        model: {hidden: 32, intermediate: 64, layers: 1, heads: 1, kv_heads: 1, head_dim: 32, context: 64}
        play: {games: 4, simulations: 4}
        train: {objective: soft-targets, steps: 2, batch_tokens: 512, micro_tokens: 512}
        gate: {simulations: 2, max_pairs: 8}
        measure: {pairs: 1, positions: 4, simulations: 4}
        """;

    private readonly TempFolder _folder = new();
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartPlayedAsync(_folder, "connect-four", Recipe);

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Game_PlayedToItsEnd_IsRecordedAndRatedByTheReferee()
    {
        IPage page = await _studio.OpenAsync("/tasks/connect-four");
        await Assertions.Expect(page.Locator(".game-state").First).ToHaveTextAsync("Your move");
        await page.Keyboard.PressAsync("4"); // the first move by key
        await Assertions.Expect(page.Locator(".game .game-drop").Nth(3).Locator("i.one")).ToHaveCountAsync(1);
        ILocator state = page.Locator(".game-state").First,
            open = page.Locator(".game-grid.open .game-drop:not([aria-disabled=true])");
        for (int move = 0; move < 21; move++)
        {
            await Assertions.Expect(state).Not.ToHaveTextAsync("The model thinks…");
            if (await state.TextContentAsync() != "Your move") break;
            int stones = await page.Locator(".game .game-drop i:is(.one, .two)").CountAsync();
            await open.First.ClickAsync();
            await Assertions.Expect(page.Locator(".game .game-drop i:is(.one, .two)")).Not.ToHaveCountAsync(stones);
        }
        await Assertions.Expect(state).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("You have won|The model has won|Drawn"));
        await StudioBrowser.CheckAsync(page, "a game that is over");

        string[] last = [.. await page.Locator(".game .game-drop").AllTextContentsAsync()];
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(state).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("You have won|The model has won|Drawn"));
        Assert.Equal(last, await page.Locator(".game .game-drop").AllTextContentsAsync());

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using FlywheelDb db = store.Tables();
        int moves = await db.Generations.CountAsync(row => row.App == "tasks/connect-four");
        Assert.True(moves >= 3, $"{moves} moves of the model");
        Assert.Equal(moves, await db.Feedback.CountAsync(row => row.Source == FeedbackSource.Referee && row.Metric == Metrics.Rating));

        await page.GetByRole(AriaRole.Button, new() { Name = "New game, it begins" }).ClickAsync();
        await Assertions.Expect(page.Locator(".game .game-drop i.one")).ToHaveCountAsync(1);
        await Assertions.Expect(state).ToHaveTextAsync("Your move");
    }

    [Fact]
    public async Task Replay_OfARecordedGame_StepsThroughItAndTheCurveIsThere()
    {
        (int code, string output) = await ServerProcess.RunAsync(_studio.Home, "play", "--turns", "1", "--threads", "1", "--recipe",
            _folder["mini.yaml"]);
        Assert.True(code == 0, output);
        IPage page = await _studio.OpenAsync("/tasks/connect-four", width: 390, language: "zh-CN", dark: true);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "自我对弈的棋局" })).ToBeVisibleAsync();
        ILocator replay = page.Locator(".replay"), stones = replay.Locator(".game-drop i:is(.one, .two)");
        await replay.GetByRole(AriaRole.Button, new() { Name = "回到开头" }).ClickAsync();
        await Assertions.Expect(stones).ToHaveCountAsync(0);
        await page.Keyboard.PressAsync("ArrowRight");
        await Assertions.Expect(stones).ToHaveCountAsync(1);
        await replay.GetByRole(AriaRole.Button, new() { Name = "到结尾" }).ClickAsync();
        await Assertions.Expect(replay.Locator(".game-ply, p.small").Last).ToHaveTextAsync("棋局结束。");
        await Assertions.Expect(page.Locator("svg.game-curve polyline").First).ToBeAttachedAsync();
        await StudioBrowser.CheckAsync(page, "a replay on a phone in the dark");
    }
}
