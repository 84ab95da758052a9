using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A team in two browsers: the owner comes by the first link, invites a viewer, makes them an editor, keeps them out.</summary>
public sealed partial class AccountPageTests : IAsyncLifetime
{
    private const string Password = "plum lantern quay";

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
    public async Task Team_FromTheFirstLinkToADisabledAccount_WorksInTwoBrowsers()
    {
        for (int attempt = 0; !Link().IsMatch(_studio.Process.Output); attempt++)
        {
            Assert.True(attempt < 600, $"no link was printed: {_studio.Process.Output}");
            await Task.Delay(50);
        }
        IPage ann = await VisitAsync(Link().Match(_studio.Process.Output).Value);
        await JoinAsync(ann, "ann", "Ann Lee <img src=x onerror=alert(1)>");
        await ann.GotoAsync($"{_studio.Server.Url}/console/people");
        await StudioBrowser.LiveAsync(ann);
        await ann.GetByLabel("Whom do you invite?").FillAsync("Ben");
        await ann.GetByLabel("Role", new() { Exact = true }).SelectOptionAsync("Viewer");
        await ann.GetByRole(AriaRole.Button, new() { Name = "Make a link" }).ClickAsync();
        ILocator link = ann.GetByLabel("Link", new() { Exact = true });
        await Assertions.Expect(link).ToHaveValueAsync(Link());
        await StudioBrowser.CheckAsync(ann, "people");

        IPage ben = await VisitAsync(new Uri(await link.InputValueAsync()).AbsolutePath, "zh-CN", dark: true, width: 390);
        await StudioBrowser.CheckAsync(ben, "join");
        await JoinAsync(ben, "ben", "Ben");
        await StudioBrowser.CheckAsync(ben, "viewer's pages");
        ILocator write = ben.Locator("main button.primary").First, product = ben.Locator("main input:not([type=radio])").First;
        await Assertions.Expect(ben.Locator(".looks")).ToBeVisibleAsync();
        await Assertions.Expect(write).ToBeDisabledAsync();

        // What the page closes a viewer may open again in their own browser; the server refuses all the same.
        await ben.EvaluateAsync("document.querySelector('fieldset.looking').disabled = false");
        await product.FillAsync("Lanternfish");
        await ben.Keyboard.PressAsync("Tab");
        await Assertions.Expect(ben.Locator("main .problem").First).ToBeVisibleAsync();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using (FlywheelDb db = store.Tables()) Assert.Empty(db.Documents);

        // The owner gives another role; the open page is drawn anew at the next thing that is done there.
        await ben.GotoAsync($"{_studio.Server.Url}/console/usage");
        await StudioBrowser.LiveAsync(ben);
        await ann.GetByLabel("Role of Ben").SelectOptionAsync("Editor");
        await Assertions.Expect(ann.GetByLabel("Role of Ben")).ToHaveValueAsync("Editor");
        await ben.Locator("nav.apps a[href=write]").ClickAsync();
        await Assertions.Expect(ben.Locator(".looks")).ToHaveCountAsync(0);
        await ben.GotoAsync($"{_studio.Server.Url}/write");
        await StudioBrowser.LiveAsync(ben);
        await product.FillAsync("Lanternfish");
        await ben.Keyboard.PressAsync("Tab");
        await Assertions.Expect(ben).ToHaveURLAsync(new Regex("/write/"));

        await ann.GetByRole(AriaRole.Button, new() { Name = "Disable Ben", Exact = true }).ClickAsync();
        await ann.GetByRole(AriaRole.Button, new() { Name = "Sign Ben out and keep them out" }).ClickAsync();
        await Assertions.Expect(ann.Locator("tr.off")).ToHaveCountAsync(1);
        await ben.Locator("main button:not([disabled])").First.ClickAsync();
        await Assertions.Expect(ben.Locator("#password")).ToBeVisibleAsync();

        await ann.GotoAsync($"{_studio.Server.Url}/console/audit");
        await StudioBrowser.LiveAsync(ann);
        await Assertions.Expect(ann.Locator(".audit tbody tr").First).ToContainTextAsync("disabled");
        await StudioBrowser.CheckAsync(ann, "audit");
        await ann.Locator("a.who").ClickAsync();
        await Assertions.Expect(ann.GetByRole(AriaRole.Heading, new() { Name = "Ann Lee <img src=x onerror=alert(1)>" }))
            .ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(ann, "account");
        await ann.GetByRole(AriaRole.Button, new() { Name = "Sign out", Exact = true }).ClickAsync();
        await Assertions.Expect(ann.Locator("#name")).ToBeFocusedAsync();
        await StudioBrowser.CheckAsync(ann, "sign-in with accounts");
        await PasskeyAsync(ann);
        await KeyAsync(ann);
    }

    /// <summary>With Chromium's own authenticator, at a name: at a number browsers have no passkeys, which the page says.</summary>
    private async Task PasskeyAsync(IPage ann)
    {
        await ann.Locator("#name").FillAsync("ann");
        await ann.Locator("#password").FillAsync(Password);
        await ann.Locator("#password").PressAsync("Enter");
        await StudioBrowser.LiveAsync(ann);
        await ann.GotoAsync($"{_studio.Server.Url}/account");
        await Assertions.Expect(ann.Locator("[data-passkeys]")).ToContainTextAsync("not at a bare IP address");
        await Assertions.Expect(ann.Locator("#passkey-new")).ToBeHiddenAsync();

        string named = _studio.Server.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
        await ann.GotoAsync($"{named}/sign-in");
        await ann.Locator("#name").FillAsync("ann");
        await ann.Locator("#password").FillAsync(Password);
        await ann.Locator("#password").PressAsync("Enter");
        await StudioBrowser.LiveAsync(ann);
        ICDPSession device = await ann.Context.NewCDPSessionAsync(ann);
        await device.SendAsync("WebAuthn.enable");
        await device.SendAsync("WebAuthn.addVirtualAuthenticator", new()
        {
            ["options"] = new { protocol = "ctap2", transport = "internal", hasResidentKey = true, hasUserVerification = true,
                isUserVerified = true, automaticPresenceSimulation = true },
        });
        await ann.GotoAsync($"{named}/account");
        await ann.Locator("#passkey-name").FillAsync("Laptop");
        await ann.Locator("#passkey-old").FillAsync("not the password");
        await ann.Locator("#passkey-new button").ClickAsync();
        await Assertions.Expect(ann.Locator("#passkey-new .problem")).ToContainTextAsync("not your password");
        await ann.Locator("#passkey-old").FillAsync(Password);
        await ann.Locator("#passkey-new button").ClickAsync();
        await Assertions.Expect(ann.Locator(".passkey-row")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(ann, "passkeys");
        await ann.GetByRole(AriaRole.Button, new() { Name = "Sign out", Exact = true }).ClickAsync();
        await ann.GetByRole(AriaRole.Button, new() { Name = "Sign in with a passkey" }).ClickAsync();
        await StudioBrowser.LiveAsync(ann);
        await Assertions.Expect(ann.Locator("a.who")).ToHaveAttributeAsync("aria-label", new Regex("Ann Lee"));
    }

    /// <summary>A key is made on the page, opens what it says, and opens nothing once it is revoked there.</summary>
    private static async Task KeyAsync(IPage ann)
    {
        await ann.Locator("nav.apps a[href=console]").ClickAsync();
        await ann.Locator("nav.sub a[href='console/keys']").ClickAsync();
        await ann.GetByLabel("What is it for?").FillAsync("Shop <b>");
        await ann.GetByLabel("Whose is it?").SelectOptionAsync("program");
        await ann.GetByLabel("Calls").FillAsync("2");
        await ann.GetByRole(AriaRole.Button, new() { Name = "Make the key" }).ClickAsync();
        string key = await ann.GetByLabel("Key", new() { Exact = true }).InputValueAsync();
        await Assertions.Expect(ann.Locator(".made code")).ToContainTextAsync($"Bearer {key}");
        await StudioBrowser.CheckAsync(ann, "keys");

        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        string example = await ann.Locator(".made code").InnerTextAsync();
        string address = Address().Match(example).Value, body = Body().Match(example).Groups[1].Value;
        using (HttpResponseMessage answer = await http.PostAsync(address,
            new StringContent(body, System.Text.Encoding.UTF8, "application/json"))) Assert.Equal(System.Net.HttpStatusCode.OK,
                answer.StatusCode);
        await ann.ReloadAsync();
        await StudioBrowser.LiveAsync(ann);
        ILocator row = ann.Locator(".key-list tr").Filter(new() { HasText = "Shop <b>" });
        await Assertions.Expect(row).ToContainTextAsync("1 of 2 calls");
        await Assertions.Expect(ann.Locator(".made")).ToHaveCountAsync(0);
        await ann.GetByRole(AriaRole.Button, new() { Name = "Revoke the key Shop <b>" }).ClickAsync();
        await ann.GetByRole(AriaRole.Button, new() { Name = "Make Shop <b> open nothing" }).ClickAsync();
        await Assertions.Expect(row).ToHaveCountAsync(0);
        using HttpResponseMessage refused = await http.PostAsync(address,
            new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    private async Task<IPage> VisitAsync(string path, string language = "en", bool dark = false, int width = 1440)
    {
        IPage page = await (await _studio.NewPersonAsync(width, language, dark)).NewPageAsync();
        page.SetDefaultTimeout(60_000);
        page.Dialog += (_, dialog) => Assert.Fail($"a script ran: {dialog.Message}");
        await page.GotoAsync(_studio.Server.Url + path);
        return page;
    }

    private static async Task JoinAsync(IPage page, string name, string display)
    {
        await page.Locator("#display").FillAsync(display);
        await page.Locator("#name").FillAsync(name);
        await page.Locator("#password").FillAsync(Password);
        await page.Locator("#again").FillAsync(Password);
        await page.Locator("#again").PressAsync("Enter");
        await StudioBrowser.LiveAsync(page);
    }

    [GeneratedRegex("/join/[A-Za-z0-9_-]{43}")]
    private static partial Regex Link();

    [GeneratedRegex("http://[^ ]+")]
    private static partial Regex Address();

    [GeneratedRegex("-d '([^']+)'")]
    private static partial Regex Body();
}
