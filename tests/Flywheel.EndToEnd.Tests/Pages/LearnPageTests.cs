using System.IO.Compression;
using System.Text;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person teaches the model their own texts: a real training of a tiny model, from files to a model that serves or is
/// gone.</summary>
public sealed class LearnPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Learn_FilesToAModel_IsComparedAndServedOnlyWhenAsked()
    {
        IPage page = await _studio.OpenAsync("/loop");
        await page.GetByRole(AriaRole.Link, new() { Name = "Learn from my files" }).ClickAsync();
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Learn from my files");
        await StudioBrowser.CheckAsync(page, "before files");
        await OpenAsync(page, File("mill <b>.zip", Archive(60)), File("again.txt", Encoding.UTF8.GetBytes(TextOf(7))),
            File("photo.jpg", [1, 2]));
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("mill <b> and 2 more");
        await Assertions.Expect(page.Locator(".figures")).ToContainTextAsync("61");
        await Assertions.Expect(page.GetByText("Seen before, word for word")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".rows")).ToContainTextAsync("photo.jpg");
        await Assertions.Expect(page.Locator(".samples tbody tr")).ToHaveCountAsync(3);
        await StudioBrowser.CheckAsync(page, "what was read");
        ModelRow champion = await ChampionAsync();

        await page.GetByRole(AriaRole.Button, new() { Name = "Let it learn" }).ClickAsync();
        await Assertions.Expect(page.Locator(".verdict.done")).ToBeVisibleAsync(new() { Timeout = 180_000 });
        await Assertions.Expect(page.Locator(".meter h2")).ToContainTextAsync("of 6 held-out ones are likelier now");
        await Assertions.Expect(page.Locator(".side-by-side").First.Locator("tbody tr")).Not.ToHaveCountAsync(0);
        Assert.Equal(champion.Hash, (await ChampionAsync()).Hash);
        await StudioBrowser.CheckAsync(page, "before and after");

        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await page.GetByRole(AriaRole.Button, new() { Name = "Serve it" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Serve it now?" }).ClickAsync();
        await Assertions.Expect(page.Locator(".meter .verdict.promoted")).ToBeVisibleAsync();
        ModelRow learnt = await ChampionAsync();
        Assert.Equal("mill-b-and-2-more", learnt.Name);
        Assert.Equal(learnt.Name,
            (string)(await _studio.Server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 1 }))["model"]!);
        Assert.Equal(champion.Hash, ModelFolder.Open(Path.Combine(_studio.Home, "models", learnt.Hash[..12])).Manifest.Parent);
    }

    [Fact]
    public async Task Learn_ServerKilledInTheMiddle_GoesOnAndWhatItMadeCanBeThrownAway()
    {
        await _studio.MoveToProcessAsync();
        _studio.Expected = _ => true; // a killed server's page complains
        IPage page = await _studio.OpenAsync("/loop/learn");
        await OpenAsync(page, File("mill.zip", Archive(200)));
        await page.GetByRole(AriaRole.Button, new() { Name = "Let it learn" }).ClickAsync();
        await Assertions.Expect(page.Locator("h1 + .verdict")).ToHaveClassAsync(new System.Text.RegularExpressions.Regex("running|done"));
        string address = page.Url;
        await _studio.CrashAndRestartAsync();
        await page.GotoAsync(address);
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".verdict.done")).ToBeVisibleAsync(new() { Timeout = 180_000 });
        string[] models = Directory.GetDirectories(Path.Combine(_studio.Home, "models"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Throw it away" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Throw it away for good?" }).ClickAsync();
        await Assertions.Expect(page.Locator(".verdict.done")).ToHaveTextAsync("thrown away");
        Assert.Equal(models.Length - 2, Directory.GetDirectories(Path.Combine(_studio.Home, "models")).Length); // model and adapter
    }

    [Fact]
    public async Task Learn_TooFewTextsOnAPhoneInChinese_IsSaidAndAccessible()
    {
        IPage page = await _studio.OpenAsync("/loop/learn", width: 390, language: "zh-CN", dark: true);
        await OpenAsync(page, File("few.zip", Archive(8)));
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("只剩 8 段；至少需要 50 段才能学习。请打开更多文件。");
        await StudioBrowser.CheckAsync(page, "too few on a phone");
        await page.GotoAsync(_studio.Server.Url + "/loop/learn");
        await StudioBrowser.LiveAsync(page);
        await StudioBrowser.CheckAsync(page, "the list on a phone");
        await OpenAsync(page, File("bomb.zip", Bomb()));
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("bomb.zip 中有一部分解压后超过其大小的 200 倍，不予打开。");
    }

    private async Task<ModelRow> ChampionAsync()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new(_studio.Home));
        return (await store.ChampionAsync())!;
    }

    private static string TextOf(int i) =>
        $"Mill {i}\n\nMill {i} grinds rye in week {i * 7 % 52}. It weighs {i * 31 + 5} stones and turns {i * i % 91} times an hour, as its miller number {i * 13 % 67} says.";

    private static byte[] Archive(int count) =>
        Zip(Enumerable.Range(0, count).Select(i => ($"texts/{i}.txt", Encoding.UTF8.GetBytes(TextOf(i)))));

    private static byte[] Bomb() => Zip([("zeros.txt", new byte[8 << 20])]);

    private static byte[] Zip(IEnumerable<(string Name, byte[] Content)> entries)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
            foreach ((string name, byte[] content) in entries)
            {
                using Stream entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
        return stream.ToArray();
    }

    private static FilePayload File(string name, byte[] content) =>
        new() { Name = name, MimeType = "application/octet-stream", Buffer = content };

    private static Task OpenAsync(IPage page, params FilePayload[] files) => StudioBrowser.ChooseAsync(page.Locator("#own-files"), files);
}
