using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>What every page has: addresses, languages, colours, keys.</summary>
public sealed class ShellTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Address_Unknown_Has404AndAPageThatLeadsOn()
    {
        _studio.Expected = complaint => complaint.Contains("status of 404", StringComparison.Ordinal);
        IPage page = await _studio.OpenAsync("/nothing/here");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "There is no such page" })).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "not found");
        await page.GetByRole(AriaRole.Link, new() { Name = "Go to Write" }).ClickAsync();
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/write"));

        using var asBrowser = new HttpRequestMessage(HttpMethod.Get, "/nothing") { Headers = { { "accept", "text/html" } } };
        Assert.Equal(404, (int)(await _studio.Server.Http.SendAsync(asBrowser)).StatusCode);
        string program = await (await _studio.Server.Http.GetAsync(new Uri("/v1/nothing", UriKind.Relative))).Content.ReadAsStringAsync();
        Assert.StartsWith("{\"error\"", program, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Language_OfTheBrowserThenSwitched_StaysAsChosen()
    {
        IPage page = await _studio.OpenAsync("/", language: "zh-CN");
        await Assertions.Expect(page.Locator("html")).ToHaveAttributeAsync("lang", "zh-CN");
        await Assertions.Expect(page.Locator(".apps")).ToContainTextAsync("写作");
        await page.GetByRole(AriaRole.Button, new() { Name = "English" }).ClickAsync();
        await Assertions.Expect(page.Locator("html")).ToHaveAttributeAsync("lang", "en");
        await StudioBrowser.LiveAsync(page);
        await page.ReloadAsync();
        await Assertions.Expect(page.Locator(".apps")).ToContainTextAsync("Write");
    }

    [Fact]
    public async Task Colours_OfTheSystemThenSwitched_StayAsChosen()
    {
        IPage page = await _studio.OpenAsync(dark: true);
        await Assertions.Expect(page.Locator(".studio.dark")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Light colours" }).ClickAsync();
        await Assertions.Expect(page.Locator(".studio.light")).ToBeVisibleAsync();
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".studio.light")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Keys_QuestionMark_ListsWhatThePageCanDo()
    {
        IPage page = await _studio.OpenAsync();
        await page.Locator("main h1").First.FocusAsync();
        await page.Keyboard.PressAsync("?");
        ILocator list = page.Locator("#shortcuts");
        await Assertions.Expect(list).ToBeVisibleAsync();
        await Assertions.Expect(list).ToContainTextAsync("Keyboard shortcuts");
        await Assertions.Expect(list).ToContainTextAsync("Dark colours");
        await StudioBrowser.CheckAsync(page, "shortcuts");
        await page.Keyboard.PressAsync("Escape");
        await page.Keyboard.PressAsync("g");
        await page.Keyboard.PressAsync("d");
        await Assertions.Expect(page.Locator(".studio.dark")).ToBeVisibleAsync();
    }

    /// <summary>In one test, since starting a server and a browser for each address took longer than looking at them.</summary>
    [Fact]
    public async Task Pages_EachLanguageColourAndWidth_AreAccessibleAndFit()
    {
        string[] addresses =
        [
            "/write", "/write/library", "/write/voice", "/chat", "/tasks", "/tasks/copywriting", "/voice", "/translate", "/translate/new",
            "/translate/library", "/translate/memory",
            "/translate/glossary", "/loop", "/console", "/console/usage", "/console/feedback", "/console/runs", "/console/jobs",
        ];
        // Each page in both languages, colours and widths; in which of them together, in turn.
        (string, bool, int)[] views = [("en", false, 1440), ("zh-CN", false, 1440), ("zh-CN", true, 390), ("en", true, 390)];
        foreach ((int turn, (string language, bool dark, int width)) in views.Index())
        {
            IBrowserContext person = await _studio.NewPersonAsync(width, language, dark);
            foreach (string address in addresses.Where((_, at) => at % 2 == turn % 2))
            {
                IPage page = await _studio.OpenAsync(person, address);
                await StudioBrowser.CheckAsync(page, $"{address} {language} {(dark ? "dark" : "light")} {width}");
                await page.CloseAsync();
            }
            await person.CloseAsync();
        }
    }
}
