using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Apps;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>An owner makes a workspace for a team and puts somebody in; what is written in one is not there in the other; what was taken
/// along elsewhere comes in.</summary>
public sealed class WorkspacePageTests : IAsyncLifetime
{
    private const string Password = "plum lantern quay";

    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Workspace_MadeAndFilled_IsSeenByWhoIsInItAlone()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        var accounts = new Accounts(store, TimeProvider.System);
        IPage ann = await JoinAsync("Ann", AccountRole.Owner), ben = await JoinAsync("Ben", AccountRole.Editor),
            eve = await JoinAsync("Eve", AccountRole.Editor);

        // Made, and somebody put in, on the page.
        await ann.GotoAsync(_studio.Server.Url + "/console/workspaces");
        await StudioBrowser.LiveAsync(ann);
        await ann.GetByLabel("Name of a new workspace").FillAsync("Copy team");
        await ann.GetByRole(AriaRole.Button, new() { Name = "Make the workspace" }).ClickAsync();
        ILocator card = ann.Locator("section.space-card", new() { HasText = "Copy team" });
        await card.GetByLabel("Put somebody into Copy team").SelectOptionAsync(new SelectOptionValue { Label = "Ben (ben)" });
        await Assertions.Expect(card.Locator("li")).ToHaveCountAsync(2);
        await Assertions.Expect(card).ToContainTextAsync("The model that all share answers here");
        await StudioBrowser.CheckAsync(ann, "workspaces");

        // Ben writes in it, and chooses where he is in the bar; to Eve it is not there.
        await ben.GotoAsync(_studio.Server.Url + "/w/copy-team/write");
        await StudioBrowser.LiveAsync(ben);
        await ben.GetByLabel("Name", new() { Exact = true }).FillAsync("Lanternfish");
        await ben.GetByLabel("Name", new() { Exact = true }).BlurAsync();
        await Assertions.Expect(ben).ToHaveURLAsync(new Regex("/w/copy-team/write/[0-9a-f-]{36}$")); // it is on disk
        await BriefsAsync(ben, "/w/copy-team");
        await Assertions.Expect(ben.GetByText("Lanternfish").First).ToBeVisibleAsync();
        await ben.GetByLabel("Workspace", new() { Exact = true }).SelectOptionAsync(new SelectOptionValue { Label = "Default" });
        await Assertions.Expect(ben).ToHaveURLAsync(new Regex("^[^/]+//[^/]+/(?!w/)"));
        await BriefsAsync(ben, "");
        await Assertions.Expect(ben.GetByText("Lanternfish")).ToHaveCountAsync(0);
        Assert.Equal(404, (await eve.GotoAsync(_studio.Server.Url + "/w/copy-team/write"))!.Status);

        // Loop is there the workspace's own, for owners; to others it says whose it is.
        await card.GetByRole(AriaRole.Link, new() { Name = "Loop of Copy team" }).ClickAsync();
        await Assertions.Expect(ann).ToHaveURLAsync(new Regex("/w/copy-team/loop$"));
        await StudioBrowser.LiveAsync(ann);
        await Assertions.Expect(ann.Locator("section[aria-labelledby=champions] li")).ToContainTextAsync("The model that all share");
        await Assertions.Expect(ann.Locator("section[aria-labelledby=champions] .verdict")).ToHaveTextAsync("serves now");
        await StudioBrowser.CheckAsync(ann, "loop of a workspace");
        await ann.GotoAsync(_studio.Server.Url + "/w/copy-team/loop/review");
        await StudioBrowser.LiveAsync(ann);
        await Assertions.Expect(ann.Locator(".where-loop")).ToContainTextAsync("the model that all share learns nothing from it");
        await StudioBrowser.CheckAsync(ann, "review in a workspace");
        await ben.GotoAsync(_studio.Server.Url + "/w/copy-team/loop");
        await StudioBrowser.LiveAsync(ben);
        await Assertions.Expect(ben.Locator("main")).ToContainTextAsync("belongs to the whole home");

        // What Ben has, Eve imports on her account's page.
        using var zip = new MemoryStream();
        await new Archives(store, TimeProvider.System).ExportAsync((await accounts.GetAsync("ben")).User, zip);
        await eve.GotoAsync(_studio.Server.Url + "/account");
        await eve.GetByLabel("File", new() { Exact = true })
            .SetInputFilesAsync(new FilePayload { Name = "ben.zip", MimeType = "application/zip", Buffer = zip.ToArray() });
        await StudioBrowser.CheckAsync(eve, "account");
        await eve.GetByRole(AriaRole.Button, new() { Name = "Import" }).ClickAsync();
        await Assertions.Expect(eve.GetByRole(AriaRole.Status)).ToContainTextAsync("Documents:");
        await StudioBrowser.CheckAsync(eve, "imported");
        await BriefsAsync(eve, "");
        await Assertions.Expect(eve.GetByText("Lanternfish").First).ToBeVisibleAsync();

        async Task BriefsAsync(IPage page, string workspace)
        {
            await page.GotoAsync($"{_studio.Server.Url}{workspace}/write/library");
            await StudioBrowser.LiveAsync(page);
            ILocator tab = page.Locator(".tabs button").Nth(1);
            await tab.ClickAsync();
            await Assertions.Expect(tab).ToHaveAttributeAsync("aria-pressed", "true");
        }

        async Task<IPage> JoinAsync(string name, AccountRole role)
        {
            (_, string token) = await accounts.InviteAsync(role);
            IPage page = await (await _studio.NewPersonAsync()).NewPageAsync();
            page.SetDefaultTimeout(60_000);
            await page.GotoAsync(_studio.Server.Url + "/join/" + token);
            await page.Locator("input[name=name]").FillAsync(name.ToLowerInvariant());
            await page.Locator("input[name=display]").FillAsync(name);
            await page.Locator("input[name=password]").FillAsync(Password);
            await page.Locator("input[name=again]").FillAsync(Password);
            await page.Locator("main form button").First.ClickAsync();
            await StudioBrowser.LiveAsync(page);
            return page;
        }
    }
}
