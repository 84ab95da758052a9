using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person with a key at a server that asks for one.</summary>
public sealed class SignInPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync()
    {
        _studio = await StudioBrowser.StartProcessAsync("--host", "studio.example.com");
        _studio.Expected = complaint => complaint.Contains("401", StringComparison.Ordinal)
            || complaint.Contains("WebSocket", StringComparison.OrdinalIgnoreCase);
    }

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Person_WithTheirKey_WritesUntilItIsRevoked()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        var keys = new ApiKeys(store, TimeProvider.System);
        (_, string key) = await keys.CreateAsync("laptop", [Scopes.Inference, Scopes.Feedback], "ann");
        IPage page = await VisitAsync("/write");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        await EnterAsync(page, "fw_wrong");
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("not known here");
        await EnterAsync(page, key);
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/write$"));

        await page.GetByLabel("Name", new() { Exact = true }).FillAsync("Lanternfish");
        await page.GetByLabel("Facts").FillAsync("organizes photos");
        await page.GetByRole(AriaRole.Button, new() { Name = "Write", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3, new() { Timeout = 60_000 });
        await page.Locator(".draft").Nth(0).GetByRole(AriaRole.Button, new() { Name = "Keep" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.kept")).ToHaveCountAsync(1);
        Assert.All(await store.RecentGenerationsAsync(9), generation => Assert.Equal("ann", generation.User));

        await keys.RevokeAsync("laptop");
        await page.Locator(".draft").Nth(1).GetByRole(AriaRole.Button, new() { Name = "Keep" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync(new() { Timeout = 60_000 });
        Assert.Equal(1, (await store.CountAsync()).Feedback);
    }

    /// <summary>A link in a message: the strict cookie does not come along at first, and the person need not enter the key again.</summary>
    [Fact]
    public async Task Link_FromElsewhere_OpensThePageOfWhoIsSignedIn()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        (_, string key) = await new ApiKeys(store, TimeProvider.System).CreateAsync("laptop", [Scopes.Inference, Scopes.Feedback]);
        IPage page = await VisitAsync("/write");
        await EnterAsync(page, key);
        await StudioBrowser.LiveAsync(page);
        await using Elsewhere mail = await Elsewhere.StartAsync($"<a href='{_studio.Server.Url}/write'>Look at this</a>");
        await page.GotoAsync($"http://mail.example:{mail.Port}/");
        await page.GetByRole(AriaRole.Link).ClickAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/write$"));
    }

    [Theory]
    [InlineData("en", false, 1440, "Sign in")]
    [InlineData("zh-CN", true, 390, "登录")]
    [InlineData("en", true, 390, "Sign in")]
    public async Task SignIn_EachLanguageColourAndWidth_IsAccessibleAndFits(string language, bool dark, int width, string title)
    {
        IPage page = await VisitAsync("/write", language, dark, width);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = title })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator("#key")).ToBeFocusedAsync();
        await StudioBrowser.CheckAsync(page, $"sign-in {language} {width}");
        await EnterAsync(page, "fw_wrong");
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, $"sign-in refused {language} {width}");
    }

    private async Task<IPage> VisitAsync(string address, string language = "en", bool dark = false, int width = 1440)
    {
        IPage page = await (await _studio.NewPersonAsync(width, language, dark)).NewPageAsync();
        page.SetDefaultTimeout(60_000);
        await page.GotoAsync(_studio.Server.Url + address);
        return page;
    }

    private static async Task EnterAsync(IPage page, string key)
    {
        await page.Locator("#key").FillAsync(key);
        await page.Locator("#key").PressAsync("Enter");
    }
}
