using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>An administrator at the console: brings a model in, serves it, sees what was used and said.</summary>
public sealed class ConsolePageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Models_OneBroughtIn_IsListedAndServes()
    {
        string path = TinyModel.Create(_studio.Models, seed: 7, context: 1024).Path;
        IPage page = await _studio.OpenAsync("/console");
        await page.GetByLabel("Folder, file or hf:owner/name").FillAsync(path);
        await page.GetByLabel("Name (optional)").FillAsync("brought <b>in</b>");
        await page.GetByRole(AriaRole.Button, new() { Name = "Bring it in" }).ClickAsync();
        await Assertions.Expect(page.Locator(".jobs .verdict.done")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".models")).ToContainTextAsync("brought <b>in</b>");
        await StudioBrowser.CheckAsync(page, "models with a job");
        await page.GetByRole(AriaRole.Button, new() { Name = "Serve brought <b>in</b>" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Serve it now?" }).ClickAsync();
        ILocator row = page.Locator(".models tr", new() { HasText = "brought" });
        await Assertions.Expect(row).ToContainTextAsync("serves now");
        Assert.Equal("brought <b>in</b>",
            (string)(await _studio.Server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 1 }))["model"]!);
        await row.GetByRole(AriaRole.Link).ClickAsync();
        await Assertions.Expect(page.Locator("main .head h1")).ToHaveTextAsync("brought <b>in</b>");
        await Assertions.Expect(page.Locator(".trace").First).ToContainTextAsync("model");
        await StudioBrowser.CheckAsync(page, "a model");
    }

    [Fact]
    public async Task Feedback_OnAnAnswer_IsListedFoundAndTraced()
    {
        string id =
            (string)(await _studio.Server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 3,
                    ["user"] = "ann" }))["choices"]![0]!["generation_id"]!;
        await _studio.Server.PostAsync("/feedback",
            new() { ["inference_id"] = id, ["metric_name"] = "comment", ["value"] = "<script>alert(1)</script> is odd", ["user"] = "ann" });
        await _studio.Server.PostAsync("/feedback",
            new() { ["inference_id"] = id, ["metric_name"] = "keep", ["value"] = true, ["user"] = "ann" });
        IPage page = await _studio.OpenAsync("/console/feedback");
        await Assertions.Expect(page.Locator(".acts > li")).ToHaveCountAsync(2);
        await page.GetByLabel("Search feedback, texts and people").FillAsync("is odd");
        await Assertions.Expect(page.Locator(".acts > li")).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Button, new() { Name = "What became of it" }).ClickAsync();
        await Assertions.Expect(page.Locator(".trace")).ToContainTextAsync("generation");
        await StudioBrowser.CheckAsync(page, "feedback");
        await page.GotoAsync(_studio.Server.Url + "/console/usage");
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".figures")).ToContainTextAsync("100%");
        await Assertions.Expect(page.Locator(".use").Nth(1)).ToContainTextAsync("ann");
        await StudioBrowser.CheckAsync(page, "usage");
    }

    [Fact]
    public async Task People_OneForgotten_IsGoneAndInTheLedgerWithoutAName()
    {
        foreach (string user in new[] { "ann", "bo <b>b</b>" })
            await _studio.Server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 2, ["user"] = user });
        IPage page = await _studio.OpenAsync("/console/people");
        await Assertions.Expect(page.Locator(".people")).ToContainTextAsync("bo <b>b</b>");
        await page.GetByRole(AriaRole.Button, new() { Name = "Forget ann", Exact = true }).ClickAsync();
        ILocator asks = page.GetByRole(AriaRole.Group, new() { Name = "Forget ann" });
        await Assertions.Expect(asks).ToContainTextAsync("Removed for good: 1 texts.");
        await Assertions.Expect(asks).ToContainTextAsync("No model was trained with their acts.");
        await StudioBrowser.CheckAsync(page, "asked whether to forget");
        await page.GetByRole(AriaRole.Button, new() { Name = "Leave it" }).ClickAsync();
        await Assertions.Expect(asks).ToHaveCountAsync(0);
        await page.GetByRole(AriaRole.Button, new() { Name = "Forget ann", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Forget ann for good" }).ClickAsync();
        await Assertions.Expect(page.Locator(".jobs .verdict.done")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".people")).Not.ToContainTextAsync("ann");
        await Assertions.Expect(page.Locator(".people")).ToContainTextAsync("bo <b>b</b>");
        await Assertions.Expect(page.GetByRole(AriaRole.Region, new() { Name = "Ledger" })).ToContainTextAsync("1 texts");
        await StudioBrowser.CheckAsync(page, "the ledger");
    }
}
