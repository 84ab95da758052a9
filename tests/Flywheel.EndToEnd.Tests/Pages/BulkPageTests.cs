using System.Text;
using Flywheel.Loop;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person with a table of briefs: from the file to the file with texts in it, also over the death of the server.</summary>
public sealed class BulkPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Table_FromFileToFile_IsMappedWrittenChosenAndExported()
    {
        IPage page = await _studio.OpenAsync("/write");
        await page.GetByRole(AriaRole.Link, new() { Name = "Bulk" }).ClickAsync();
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Many briefs at once");
        await StudioBrowser.LiveAsync(page);
        await StudioBrowser.CheckAsync(page, "before a table");
        await OpenTableAsync(page, "spring.csv",
            "\uFEFFArticle;Selling points;Code\r\nLanternfish <b>;sorts photos|works offline;=1+1\r\n;no name;7\r\nQuill;keeps every version;8\r\n");
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("spring.csv");
        await Assertions.Expect(page.GetByLabel("Article")).ToHaveValueAsync("name");
        await Assertions.Expect(page.GetByLabel("Selling points")).ToHaveValueAsync("facts");
        await Assertions.Expect(page.Locator(".preview")).ToHaveCountAsync(2);
        await Assertions.Expect(page.Locator(".bad-rows li")).ToHaveTextAsync("Line 3 Give it a name.");
        await page.GetByLabel("Code").SelectOptionAsync("audience");
        await Assertions.Expect(page.Locator(".preview").First).ToContainTextAsync("For =1+1");
        await page.GetByLabel("Code").SelectOptionAsync("");
        await Assertions.Expect(page.Locator(".preview").First).Not.ToContainTextAsync("=1+1");
        await page.GetByLabel("Drafts a row").SelectOptionAsync("2");
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Write 2 rows, 4 drafts" })).ToBeEnabledAsync();
        await StudioBrowser.CheckAsync(page, "a table before it is written");
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.GetByLabel("Drafts a row")).ToHaveValueAsync("2");

        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".verdict.done")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".bulk-progress")).ToContainTextAsync("2 of 2 rows written · 1 left out");
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(4);
        await Assertions.Expect(page.Locator(".results tbody tr")).ToHaveCountAsync(3);
        await page.Keyboard.PressAsync("j");
        await Assertions.Expect(page.Locator(".draft").Nth(0)).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("k");
        await Assertions.Expect(page.Locator(".draft.kept")).ToHaveCountAsync(1);
        await page.Keyboard.PressAsync("j");
        await Assertions.Expect(page.Locator(".draft").Nth(1)).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("d");
        await Assertions.Expect(page.Locator(".draft.discarded")).ToHaveCountAsync(1);
        await page.Keyboard.PressAsync("j");
        await Assertions.Expect(page.Locator(".draft").Nth(2)).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("e");
        await Assertions.Expect(page.GetByLabel("Your text")).ToBeFocusedAsync(); // with the cursor at its end
        await page.GetByLabel("Your text").FillAsync("+Quill, as you wrote it.");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".draft.edited")).ToContainTextAsync("+Quill, as you wrote it.");
        await StudioBrowser.CheckAsync(page, "a table that is written");

        IDownload download =
            await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Download CSV" }).ClickAsync());
        Assert.Equal("spring-drafts.csv", download.SuggestedFilename);
        string csv = await File.ReadAllTextAsync(await download.PathAsync());
        Assert.Contains("\"Article\";\"Selling points\";\"Code\";\"chosen\";\"draft 1\";\"draft 2\";\"problem\"", csv,
            StringComparison.Ordinal);
        Assert.Contains("\"'=1+1\"", csv, StringComparison.Ordinal);
        Assert.True(csv.Contains("\"Quill\";\"keeps every version\";\"8\";\"'+Quill, as you wrote it.\"", StringComparison.Ordinal), csv);
        Assert.Contains("\"Give it a name.\"", csv, StringComparison.Ordinal);

        await page.GetByRole(AriaRole.Link, new() { Name = "Library" }).ClickAsync();
        await Assertions.Expect(page.Locator(".entries li")).ToHaveCountAsync(2); // what was kept, as from any brief
        await Assertions.Expect(page.Locator(".entries")).ToContainTextAsync("+Quill, as you wrote it.");
        await page.GotoAsync(_studio.Server.Url + "/write/bulk");
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".entries")).ToContainTextAsync("2 of 2 rows written");
        await StudioBrowser.CheckAsync(page, "the list of tables");
    }

    [Fact]
    public async Task Table_ServerKilled_GoesOnAndWritesNoRowTwice()
    {
        await _studio.MoveToProcessAsync();
        const int NumRows = 30;
        _studio.Expected = _ => true; // a killed server's page complains
        IPage page = await _studio.OpenAsync("/write/bulk");
        await OpenTableAsync(page, "many.tsv",
            "name\tkind\n" + string.Concat(Enumerable.Range(1, NumRows).Select(i => $"Product {i}\tdescription\n")));
        await page.GetByLabel("Drafts a row").SelectOptionAsync("1");
        await page.GetByRole(AriaRole.Button, new() { Name = $"Write {NumRows} rows, {NumRows} drafts" }).ClickAsync();
        await Assertions.Expect(page.Locator(".results .draft.ready").First).ToBeVisibleAsync();
        await _studio.CrashAndRestartAsync();
        string address = page.Url;
        await page.GotoAsync(address);
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".verdict.done")).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await Assertions.Expect(page.Locator(".bulk-progress")).ToContainTextAsync($"{NumRows} of {NumRows} rows written");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new(_studio.Home));
        Generation[] whole = [.. (await store.RecentGenerationsAsync(1000)).Where(generation => generation.App == "write")];
        // Each row has been asked for once, but for the one that was in the making.
        string[] asked = [.. whole.Select(generation => generation.Payload!.Conversation!.Messages[^1].Text).Order(StringComparer.Ordinal)];
        Assert.Equal(NumRows, asked.Distinct().Count());
        Assert.InRange(asked.Length, NumRows, NumRows + 1);
    }

    [Theory]
    [InlineData("big.csv", 50_000, "The file has 50000 rows; up to 5000 are taken. Split it.")]
    [InlineData("empty.csv", 0, "The file has only one row, which names the columns. Each further row is a brief.")]
    public async Task Table_Unusable_IsRefusedInWords(string name, int rows, string expected)
    {
        IPage page = await _studio.OpenAsync("/write/bulk");
        await OpenTableAsync(page, name, "name\n" + string.Concat(Enumerable.Range(0, rows).Select(i => $"p{i}\n")));
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync(expected);
    }

    [Fact]
    public async Task Table_OnAPhoneInChineseAndDark_FitsAndIsAccessible()
    {
        IPage page = await _studio.OpenAsync("/write/bulk", width: 390, language: "zh-CN", dark: true);
        await OpenTableAsync(page, "春季.csv", "产品名称,卖点1,卖点2,类型\n灯笼鱼,整理照片,离线可用,广告词\n羽毛笔,保存每个版本,,标语\n");
        await Assertions.Expect(page.GetByLabel("卖点2")).ToHaveValueAsync("facts");
        await Assertions.Expect(page.Locator(".bad-rows li")).ToContainTextAsync("“广告词”不是此模型能写的文案类型。");
        await StudioBrowser.CheckAsync(page, "columns on a phone");
        await page.GetByRole(AriaRole.Button, new() { Name = "撰写 1 行，共 3 份草稿" }).ClickAsync();
        await Assertions.Expect(page.Locator(".verdict.done")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".draft.ready")).ToHaveCountAsync(3);
        await StudioBrowser.CheckAsync(page, "drafts on a phone");
    }

    private static async Task OpenTableAsync(IPage page, string name, string text)
    {
        await StudioBrowser.ChooseAsync(page.Locator("#bulk-file"),
            new FilePayload { Name = name, MimeType = "text/csv", Buffer = Encoding.UTF8.GetBytes(text) });
    }
}
