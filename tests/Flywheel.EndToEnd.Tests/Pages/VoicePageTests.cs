using Flywheel.Voice;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Voice: a script becomes lines, lines sound, a word is mended, all of it is exported.</summary>
public sealed class VoicePageTests : IAsyncLifetime
{
    private const string Script = "ANNA: Welcome to the harbour museum.\nBEN: The <b>SQL</b> is kept downstairs.\nThe museum closes at five.";

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
    public async Task Script_FromFirstLettersToExport_SoundsAndLosesNothing()
    {
        IPage page = await _studio.OpenAsync("/voice");
        await page.Locator("#script-text").FillAsync(Script);
        await page.Locator("#script-text").BlurAsync();
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator("#script-text")).ToHaveValueAsync(Script);
        await page.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(3);
        await Assertions.Expect(page.GetByLabel("Role of line 2")).ToHaveValueAsync("BEN");

        await page.GetByRole(AriaRole.Button, new() { Name = "Render 3 lines" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(3);
        await StudioBrowser.CheckAsync(page, "a rendered project");
        await page.GetByRole(AriaRole.Button, new() { Name = "Play line 1" }).ClickAsync();
        await page.WaitForFunctionAsync("document.getElementById('sound').duration > 0.5");

        // A word is mended: the line that holds it changes, and no other.
        await page.GetByRole(AriaRole.Textbox, new() { Name = "Word" }).FillAsync("SQL");
        await page.GetByRole(AriaRole.Textbox, new() { Name = "Said as" }).FillAsync("sequel");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        await Assertions.Expect(page.Locator(".vline.stale textarea")).ToHaveValueAsync("The <b>SQL</b> is kept downstairs.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(0);

        // An edit is on disk when the field is left, and a crash takes nothing.
        ILocator last = page.GetByLabel("Text of line 3");
        await last.FillAsync("The museum closes at six.");
        await last.BlurAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        _studio.Expected = complaint => complaint.StartsWith("console: ", StringComparison.Ordinal); // the connection that breaks
        await _studio.CrashAndRestartAsync();
        IPage again = await _studio.OpenAsync(page.Context, new Uri(page.Url).PathAndQuery);
        await Assertions.Expect(again.GetByLabel("Text of line 3")).ToHaveValueAsync("The museum closes at six.");
        await Assertions.Expect(again.Locator("svg.wave")).ToHaveCountAsync(2); // the rest was rendered before

        // How it sounded before can still be heard.
        ILocator third = again.Locator(".vline").Nth(2);
        await third.Locator(".sound button.play").ClickAsync();
        await Assertions.Expect(again.Locator("svg.wave")).ToHaveCountAsync(3);
        await third.Locator(".row-acts button").First.ClickAsync();
        await Assertions.Expect(third.Locator(".takes li")).ToHaveCountAsync(2);
        await third.Locator(".takes button.play").Nth(1).ClickAsync();
        await again.WaitForFunctionAsync("document.getElementById('sound').src.includes('?take=') && document.getElementById('sound').duration > 0.3");

        byte[] wav = await (await again.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{again.Url.Split('/')[^1]}/wav")).BodyAsync();
        Assert.Equal("RIFF"u8, wav.AsSpan(0, 4));
        Assert.InRange(wav.Length / 2 / 24_000.0, 3, 20);
        string srt = await (await again.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{again.Url.Split('/')[^1]}/srt")).TextAsync();
        Assert.Equal(3, Srt.Parse(srt, "export").Count);
    }

    [Fact]
    public async Task Words_OfTheTeamAndADub_AreThereForEveryProject()
    {
        IPage page = await _studio.OpenAsync("/voice/dictionary");
        await page.Locator("#word").FillAsync("quay");
        await page.Locator("#said").FillAsync("/kiː/");
        await page.Locator("#language").FillAsync("en");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(1);
        await Assertions.Expect(page.Locator("#word")).ToBeFocusedAsync();
        await StudioBrowser.CheckAsync(page, "the team's words");
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(0);
        await StudioBrowser.ChooseAsync(page.Locator("input[type=file]"), new FilePayload { Name = "words.csv", MimeType = "text/csv", Buffer = "word,language,respelling\nquay,en,key\n"u8.ToArray() });
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(1);
        Assert.Equal("word,language,voice,ipa,respelling\nquay,en,,,key\n", await (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/words/team.csv")).TextAsync());

        IPage project = await _studio.OpenAsync(page.Context, "/voice");
        await project.Locator("#script-text").FillAsync("ANNA: The quay is closed.");
        await project.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(project.Locator(".vline")).ToHaveCountAsync(1);
        await project.GetByRole(AriaRole.Button, new() { Name = "Start", Exact = true }).ClickAsync();
        await Assertions.Expect(project.Locator(".dubs li[data-state=done]")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(project, "a dubbed project");
        byte[] wav = await (await project.APIRequest.GetAsync(_studio.Server.Url + "/" + await project.Locator(".dubs a").First.GetAttributeAsync("href"))).BodyAsync();
        Assert.Equal("RIFF"u8, wav.AsSpan(0, 4));
        await project.GetByRole(AriaRole.Link, new() { Name = "Quality" }).ClickAsync();
        await Assertions.Expect(project.Locator("table.quality tbody tr")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(project, "the quality of dubs");
    }

    [Fact]
    public async Task Sound_OfAnothersProject_IsNotFound()
    {
        IPage page = await _studio.OpenAsync("/voice");
        await page.Locator("#script-text").FillAsync("Mine alone.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(1);
        string id = page.Url.Split('/')[^1];
        IBrowserContext other = await _studio.NewPersonAsync();
        foreach (string address in new[] { $"/voice/sound/{id}/1", $"/voice/export/{id}/wav", $"/voice/export/{id}/json" })
            Assert.Equal(404, (await other.APIRequest.GetAsync(_studio.Server.Url + address)).Status);
        Assert.Equal(404, (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{id}/exe")).Status);
        Assert.Equal(404, (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/sound/{id}/2")).Status);
    }

    [Fact]
    public async Task File_ThatIsBroken_IsRefusedWithItsLine()
    {
        IPage page = await _studio.OpenAsync("/voice");
        await StudioBrowser.ChooseAsync(page.Locator("input[type=file]"), new FilePayload { Name = "film.srt", MimeType = "text/plain", Buffer = "1\n00:00:01,000 -> 00:00:02,000\nHello\n"u8.ToArray() });
        await Assertions.Expect(page.Locator(".problem")).ToContainTextAsync("film.srt: line 2");
        await StudioBrowser.ChooseAsync(page.Locator("input[type=file]"), new FilePayload { Name = "latin.txt", MimeType = "text/plain", Buffer = [0x43, 0x61, 0x66, 0xE9] });
        await Assertions.Expect(page.Locator(".problem")).ToContainTextAsync("latin.txt:1: is not UTF-8");
    }
}
