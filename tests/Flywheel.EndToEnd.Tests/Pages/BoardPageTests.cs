using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>Boards of Othello and chess by one model that knows the moves of both: with the mouse, the keyboard and typed moves, in both
/// languages, on a phone and in the dark.</summary>
public sealed class BoardPageTests : IAsyncLifetime
{
    private const string Recipe = """
        name: mini
        task: othello
        tokenizer: {vocab: 272, reserve: [othello, othello-disc, chess-move, chess-piece, value]}
        model: {hidden: 32, intermediate: 64, layers: 1, heads: 1, kv_heads: 1, head_dim: 32, context: 96}
        play: {games: 1, simulations: 2}
        train: {objective: soft-targets, steps: 2, batch_tokens: 512, micro_tokens: 512}
        """;

    private readonly TempFolder _folder = new();
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartPlayedAsync(_folder, "othello", Recipe);

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Boards_OfOthelloAndChess_ArePlayedByMouseKeyboardAndTypedMoves()
    {
        IPage page = await _studio.OpenAsync("/tasks/othello");
        ILocator state = page.Locator(".game-state").First, discs = page.Locator(".game-squares i");
        await Assertions.Expect(state).ToHaveTextAsync("Your move");
        await Assertions.Expect(discs).ToHaveCountAsync(4);
        await Assertions.Expect(page.Locator(".game-square:not([aria-disabled=true])")).ToHaveCountAsync(4);
        await Assertions.Expect(page.Locator(".game-square-share")).ToHaveCountAsync(4);
        await page.Locator("[data-square=d3]").ClickAsync();
        await Assertions.Expect(discs).ToHaveCountAsync(6); // the person's and the model's
        await Assertions.Expect(state).ToHaveTextAsync("Your move");
        await page.GetByLabel("Type a move").FillAsync("a1");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("#game-wrong")).ToHaveTextAsync("“a1” is no legal move here.");
        string legal = (await page.Locator(".game-square:not([aria-disabled=true])").First.GetAttributeAsync("data-square"))!;
        await page.GetByLabel("Type a move").FillAsync(legal);
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(discs).ToHaveCountAsync(8);
        await Assertions.Expect(state).ToHaveTextAsync("Your move");
        await StudioBrowser.CheckAsync(page, "a board of Othello");
        // The field has kept the cursor through the model's turn.
        legal = (await page.Locator(".game-square:not([aria-disabled=true])").First.GetAttributeAsync("data-square"))!;
        await page.Keyboard.TypeAsync(legal);
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(discs).ToHaveCountAsync(10);
        await page.GetByRole(AriaRole.Button, new() { Name = "Take back" }).ClickAsync();
        await Assertions.Expect(discs).ToHaveCountAsync(8);
        await page.GetByRole(AriaRole.Button, new() { Name = "New game, it begins" }).ClickAsync();
        await Assertions.Expect(discs).ToHaveCountAsync(5);
        await page.GetByRole(AriaRole.Button, new() { Name = "Take back" }).ClickAsync();
        await Assertions.Expect(discs).ToHaveCountAsync(8); // the game that went on

        page = await _studio.OpenAsync("/tasks/chess", width: 390, language: "zh-CN", dark: true);
        state = page.Locator(".game-state").First;
        await Assertions.Expect(state).ToHaveTextAsync("轮到你了");
        await page.Locator("[data-square=e2]").ClickAsync();
        await Assertions.Expect(page.Locator(".game-square.target")).ToHaveCountAsync(2);
        await page.Locator("[data-square=e4]").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("[data-square=e4] i.one")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".game-square.last i.two")).ToHaveCountAsync(1); // the model's answer
        await Assertions.Expect(state).ToHaveTextAsync("轮到你了");
        await page.GetByLabel("输入一手棋").FillAsync("Nf3");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("[data-square=f3] i.one")).ToBeVisibleAsync();
        await Assertions.Expect(state).ToHaveTextAsync("轮到你了");
        await Assertions.Expect(page.Locator(".game-candidates li").First).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "a board of chess on a phone in the dark");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using FlywheelDb db = store.Tables();
        Assert.Equal((4, 2), (await db.Generations.CountAsync(row => row.App == "tasks/othello"),
            await db.Generations.CountAsync(row => row.App == "tasks/chess")));
    }
}
