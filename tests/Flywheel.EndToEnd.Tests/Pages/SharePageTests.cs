using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>Drafts that others choose from: the owner makes a link, somebody without an account chooses on a phone, the owner sees it and
/// takes the link back.</summary>
public sealed class SharePageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Link_FromTheDraftsToAStrangersChoice_IsCountedAndTakenBack()
    {
        IPage owner = await _studio.OpenAsync("/write/new");
        await owner.GetByRole(AriaRole.Button, new() { Name = "Try an example" }).ClickAsync();
        await Assertions.Expect(owner.Locator(".cards").First.Locator(".draft.ready")).ToHaveCountAsync(3);
        await owner.GetByText("Ask others").ClickAsync();
        await owner.GetByRole(AriaRole.Button, new() { Name = "Make a link" }).ClickAsync();
        string link = await owner.GetByLabel("Link", new() { Exact = true }).InputValueAsync();
        await StudioBrowser.CheckAsync(owner, "drafts with a link");

        IBrowserContext stranger = await _studio.NewPersonAsync(390, "zh-CN", dark: true);
        IPage page = await stranger.NewPageAsync();
        await page.GotoAsync(link);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "你会选哪一个？" })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".choice").First).ToBeVisibleAsync();
        Assert.InRange(await page.Locator(".choice").CountAsync(), 3, 4); // drafts that read alike stand once, and "none of them" is one
        await StudioBrowser.CheckAsync(page, "what an outsider sees");
        await page.Keyboard.PressAsync("Tab"); // by keyboard alone
        await Assertions.Expect(page.Locator(".choice input").First).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Space");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.TypeAsync("读起来顺");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToHaveTextAsync("谢谢，你的选择已记录。还可以更改。");
        await Assertions.Expect(page.Locator(".choice input").First).ToBeCheckedAsync();

        await owner.GotoAsync(_studio.Server.Url + "/write/shares");
        await StudioBrowser.LiveAsync(owner);
        await Assertions.Expect(owner.GetByText("1 person has chosen")).ToBeVisibleAsync();
        await owner.GetByText("What they say").ClickAsync();
        await Assertions.Expect(owner.GetByText("读起来顺")).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(owner, "shared drafts");
        await owner.GetByRole(AriaRole.Button, new() { Name = "Take back" }).ClickAsync();
        await Assertions.Expect(owner.GetByLabel("Link", new() { Exact = true })).ToHaveCountAsync(0);
        Assert.Equal(404, (await page.GotoAsync(link))!.Status);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "这个链接打不开任何内容" })).ToBeVisibleAsync();
    }
}
