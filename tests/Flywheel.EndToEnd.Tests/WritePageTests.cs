using System.Collections.Concurrent;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests;

/// <summary>A person at the page Write: a real browser, the real server, and what the record says afterwards.</summary>
public sealed class WritePageTests : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";

    private readonly TempFolder _folder = new();
    private readonly ConcurrentBag<string> _complaints = [];
    private ServerProcess _server = null!;
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium)) Assert.Skip($"{Chromium} is not installed (Debian: apt-get install chromium)");
        _server = await ServerProcess.StartAsync(_folder["home"], "--model", TinyModel.Create(_folder["models"], context: 1024).Path);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"] });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
        if (_server is not null) await _server.DisposeAsync();
        _folder.Dispose();
        Assert.Empty(_complaints);
    }

    [Fact]
    public async Task Write_KeepEditDiscardUndo_AreInTheRecord()
    {
        IPage page = await OpenAsync();
        await page.GetByLabel("Product name").FillAsync("Lanternfish");
        await page.GetByLabel("Facts").FillAsync("organizes photos\n- works offline\n");
        await page.GetByLabel("Categories").FillAsync("Graphics");
        await page.GetByLabel("Audience").FillAsync("photographers");
        await page.GetByRole(AriaRole.Button, new() { Name = "Write", Exact = true }).ClickAsync();
        ILocator drafts = page.Locator(".draft");
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3, new() { Timeout = 60_000 });

        await drafts.Nth(0).GetByRole(AriaRole.Button, new() { Name = "Keep" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.kept")).ToHaveCountAsync(1);
        await drafts.Nth(1).GetByRole(AriaRole.Button, new() { Name = "Edit" }).ClickAsync();
        await page.GetByLabel("Your text").FillAsync("Every photo, where you took it.");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".draft.edited")).ToContainTextAsync("Every photo, where you took it.");
        await drafts.Nth(2).FocusAsync();
        await page.Keyboard.PressAsync("d");
        await Assertions.Expect(page.Locator(".draft.discarded")).ToHaveCountAsync(1);
        await page.Keyboard.PressAsync("u");
        await Assertions.Expect(page.Locator(".draft.discarded")).ToHaveCountAsync(0);
        await drafts.Nth(2).GetByRole(AriaRole.Button, new() { Name = "Discard" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.discarded")).ToHaveCountAsync(1);
        await Assertions.Expect(page.Locator(".foot")).ToContainTextAsync("5 choices recorded");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        Generation[] generations = [.. (await store.RecentGenerationsAsync(3)).OrderBy(generation => generation.Choice)];
        Assert.Single(generations.Select(generation => generation.Group).Distinct());
        string user = Assert.Single(generations.Select(generation => generation.User).Distinct());
        Assert.StartsWith("person-", user, StringComparison.Ordinal);
        Assert.All(generations, generation => Assert.Equal("write", generation.App));
        // The model was asked exactly as it is taught.
        var brief = new Brief("Lanternfish", Brief.Tagline, ["organizes photos", "works offline"], ["Graphics"], "photographers");
        Assert.All(generations, generation => Assert.Equal(brief.ToConversation(), generation.Payload!.Conversation));
        string[][] metrics = [["keep"], ["demonstration"], ["discard", "retract", "discard"]];
        for (int i = 0; i < 3; i++)
        {
            IReadOnlyList<Feedback> feedback = await store.FeedbackAsync(generations[i].Id);
            Assert.Equal(metrics[i], feedback.Select(one => one.Metric));
            Assert.All(feedback, one => Assert.Equal(user, one.User));
        }
        Assert.Equal("Every photo, where you took it.", (await store.FeedbackAsync(generations[1].Id))[0].Text);
    }

    [Fact]
    public async Task Write_EmptyName_SaysSoInline()
    {
        IPage page = await OpenAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Write", Exact = true }).ClickAsync();
        await Assertions.Expect(page.GetByText("Give the product a name.")).ToBeVisibleAsync();
        Assert.Equal(0, await page.Locator(".draft").CountAsync());
    }

    [Fact]
    public async Task Write_VeryMuchPasted_IsCutAndThePageLives()
    {
        IPage page = await OpenAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Try an example" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3, new() { Timeout = 60_000 });
        await page.Locator(".draft").Nth(0).GetByRole(AriaRole.Button, new() { Name = "Edit" }).ClickAsync();
        await PasteAsync(page, "Your text");
        await page.GetByRole(AriaRole.Button, new() { Name = "Save" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.edited")).ToHaveCountAsync(1);
        await page.GetByLabel("Facts").FillAsync("");
        await PasteAsync(page, "Facts");
        await page.GetByRole(AriaRole.Button, new() { Name = "Write again" }).ClickAsync();
        await Assertions.Expect(page.GetByText("a fact has at most 200 characters")).ToBeVisibleAsync();

        static async Task PasteAsync(IPage page, string label)
        {
            await page.GetByLabel(label).FocusAsync();
            await page.Keyboard.InsertTextAsync(new string('轮', 60_000));
        }
    }

    [Fact]
    public async Task Page_ModelSwapped_ShowsTheNewOneAndWrites()
    {
        IPage page = await OpenAsync();
        ModelFolder next = TinyModel.Create(_folder["models"], seed: 2, context: 1024);
        await _server.PostAsync("/admin/promote", new() { ["model"] = next.Path });
        await Assertions.Expect(page.Locator(".foot")).ToContainTextAsync(next.ShortHash);
        await page.GetByRole(AriaRole.Button, new() { Name = "Try an example" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3, new() { Timeout = 60_000 });
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        Assert.All(await store.RecentGenerationsAsync(3), generation => Assert.Equal(next.Hash, generation.ModelHash));
    }

    [Fact]
    public async Task Interrupt_PagesOpen_DoNotHoldUpTheServer()
    {
        for (int i = 0; i < 3; i++) await OpenAsync();
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(0, await _server.InterruptAsync());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15), $"took {watch.Elapsed}; the time for running answers is 20 s, and none ran");
    }

    [Theory]
    [InlineData(1440)]
    [InlineData(420)]
    public async Task Page_AnyWidth_FitsWithoutSidewaysScrolling(int width)
    {
        IPage page = await OpenAsync(width);
        await page.GetByRole(AriaRole.Button, new() { Name = "Try an example" }).ClickAsync();
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3, new() { Timeout = 60_000 });
        Assert.Equal(width, await page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
    }

    private async Task<IPage> OpenAsync(int width = 1440)
    {
        IPage page = await _browser.NewPageAsync(new() { ViewportSize = new() { Width = width, Height = 900 } });
        page.PageError += (_, error) => _complaints.Add($"the page's script failed: {error}");
        // Nothing may come from another host: the Studio works without the internet.
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(_server.Url, StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal)) _complaints.Add($"the page asked for {request.Url}");
        };
        await page.GotoAsync(_server.Url);
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Write", Exact = true })).ToBeEnabledAsync(new() { Timeout = 60_000 });
        return page;
    }
}
