using Flywheel.Voice;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Voice who marks a part of a line, with nothing but the keys.</summary>
public sealed class VoicePartTests : IAsyncLifetime
{
    private const string Text = "Call 555 0199 now.";

    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync()
    {
        if (!new FliteEngine().Program.IsInstalled) Assert.Skip("flite is not installed (Debian: apt-get install flite)");
        _studio = await StudioBrowser.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Part_MarkedByKeys_SoundsOtherwiseAndTheTextStaysClean()
    {
        // an outline that is asked for of a sound that the line no longer has
        _studio.Expected = complaint => complaint.Contains("/peaks/", StringComparison.Ordinal);
        IPage page = await _studio.OpenAsync("/voice");
        await page.Locator("#script-text").FillAsync($"{Text}\nThe museum closes at five.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Render 2 lines" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(2);
        double before = (await ExportAsync()).Lines[0].Takes[0].Seconds;

        ILocator line = page.Locator(".vline").First, text = page.GetByLabel("Text of line 1");
        await line.GetByRole(AriaRole.Button, new() { Name = "Settings of line 1" }).FocusAsync();
        await page.Keyboard.PressAsync("s");
        await Assertions.Expect(line.Locator(".part")).ToBeVisibleAsync();

        // Without a selection nothing is marked, and the page says why.
        await text.FocusAsync();
        await page.Keyboard.PressAsync("End");
        await ChooseAsync("strong", "telephone number");
        await Assertions.Expect(line.Locator(".part [role=status]")).ToContainTextAsync("Nothing is selected");

        await text.FocusAsync();
        await page.Keyboard.PressAsync("Home");
        for (int i = 0; i < "Call ".Length; i++) await page.Keyboard.PressAsync("ArrowRight");
        for (int i = 0; i < "555 0199 ".Length; i++) await page.Keyboard.PressAsync("Shift+ArrowRight");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(line.Locator(".marks li")).ToHaveCountAsync(1);
        await Assertions.Expect(line.Locator(".marks li")).ToContainTextAsync("strong · telephone number");
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        VoiceLine marked = (await ExportAsync()).Lines[0];
        Assert.Equal(Text, marked.Text);
        Assert.Equal([new TextMark(5, 8) { Emphasis = "strong", SayAs = "telephone" }], marked.Marks);
        Assert.DoesNotContain("strong", await (await page.APIRequest.GetAsync(Export("srt"))).TextAsync(), StringComparison.Ordinal);
        await page.GetByRole(AriaRole.Button, new() { Name = "Render 1 line" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(2);
        VoiceTake[] takes = [.. (await ExportAsync()).Lines[0].Takes];
        Assert.True(takes[0].Seconds > before + .5, $"{takes[0].Seconds} s, digit by digit and slower, against {before} s");

        // To the take without the mark and back.
        await line.GetByRole(AriaRole.Button, new() { Name = "Use take 2" }).ClickAsync();
        await Assertions.Expect(line.Locator(".marks li")).ToHaveCountAsync(0);
        Assert.Empty((await ExportAsync()).Lines[0].Marks);
        await line.GetByRole(AriaRole.Button, new() { Name = "Use take 2" }).ClickAsync();
        await Assertions.Expect(line.Locator(".marks li")).ToHaveCountAsync(1);

        // An edit before it moves the mark with its words, and undo brings both back. Then its mark is taken away.
        await text.FocusAsync();
        await page.Keyboard.PressAsync("Home");
        await page.Keyboard.TypeAsync("Please: ");
        await page.Keyboard.PressAsync("Tab");
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        Assert.Equal(13, Assert.Single((await ExportAsync()).Lines[0].Marks).Start);
        await StudioBrowser.CheckAsync(page, "a line with a marked part");
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(text).ToHaveValueAsync(Text);
        Assert.Equal(marked.Marks, (await ExportAsync()).Lines[0].Marks);
        await line.GetByRole(AriaRole.Button, new() { Name = "Say “555 0199” as the rest of the line" }).ClickAsync();
        await Assertions.Expect(line.Locator(".marks li")).ToHaveCountAsync(0);
        Assert.Empty((await ExportAsync()).Lines[0].Marks);

        async Task ChooseAsync(string level, string kind)
        {
            await page.Keyboard.PressAsync("Control+e");
            await page.Keyboard.TypeAsync(level);
            await page.Keyboard.PressAsync("Tab");
            await page.Keyboard.TypeAsync(kind);
            await page.Keyboard.PressAsync("Tab");
            await page.Keyboard.PressAsync("Enter");
        }

        string Export(string format) => $"{_studio.Server.Url}/voice/export/{page.Url.Split('/')[^1]}/{format}";

        async Task<VoiceProject> ExportAsync() =>
            VoiceProject.Parse(await (await page.APIRequest.GetAsync(Export("json"))).TextAsync(), "export");
    }
}
