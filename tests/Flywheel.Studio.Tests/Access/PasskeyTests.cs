using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Access;

/// <summary>Passkeys against a device of software, which also does what no device should. (That real browsers get on with it, a page test
/// shows.)</summary>
public sealed class PasskeyTests(RoleTests.Reached reached) : IClassFixture<RoleTests.Reached>
{
    private const string Password = "plum lantern quay";

    private readonly TestServer _server = reached.Server;

    /// <summary>Browsers know no passkeys at a number.</summary>
    private string Origin => _server.Server.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);

    [Fact]
    public async Task Passkey_AddedNamedAndRemoved_SignsInWhileItIsThere()
    {
        (Browser ann, string name) = await JoinAsync();
        using Browser browser = ann;
        var device = new SoftwareAuthenticator();
        Assert.Equal("/account?done=passkey-added", await AddAsync(ann, device, "laptop <b>"));
        Assert.Contains("laptop &lt;b&gt;", await ann.Http.GetStringAsync("/account"), StringComparison.Ordinal);

        using var elsewhere = new Browser(Origin, apart: true);
        Assert.Equal((HttpStatusCode.Redirect, "/console/usage"), await ShowAsync(elsewhere, device, target: "/console/usage"));
        Assert.Contains(name, await elsewhere.Http.GetStringAsync("/account"), StringComparison.Ordinal);
        AccountRow account = await _server.Service<Accounts>().GetAsync(name);
        PasskeyRow row = Assert.Single(await _server.Service<Accounts>().PasskeysAsync(account.Id));
        Assert.Equal((1, "internal", true), (row.SignCount, row.Transports, row.LastUsed is not null));

        Assert.Equal("/account?done=passkey-name", await ChangeAsync(ann, "name", ("passkey", row.Id), ("passkey-name", "blue key")));
        Assert.Equal("blue key", Assert.Single(await _server.Service<Accounts>().PasskeysAsync(account.Id)).Name);
        Assert.Equal((HttpStatusCode.Redirect, "/"), await ShowAsync(elsewhere, device)); // under whatever name
        Assert.Equal("blue key", Assert.Single(await _server.Service<Accounts>().PasskeysAsync(account.Id)).Name);
        Assert.Equal("/account?done=passkey-removed", await ChangeAsync(ann, "remove", ("passkey", row.Id)));
        using var later = new Browser(Origin, apart: true);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ShowAsync(later, device)).Status);
        Assert.Equal(["passkey-removed", "passkey-added"],
            (await _server.Service<FlywheelStore>().AuditAsync(50, user: account.User))
                .Where(entry => entry.Act.StartsWith("passkey", StringComparison.Ordinal)).Select(entry => entry.Act));
    }

    [Fact]
    public async Task Passkey_WhatNoDeviceShouldDo_OpensNothing()
    {
        (Browser ann, string name) = await JoinAsync();
        (Browser eve, string other) = await JoinAsync();
        using Browser first = ann, second = eve, nobody = new(Origin, apart: true), late = new(Origin, apart: true);
        var device = new SoftwareAuthenticator();
        Assert.Null(await AddAsync(ann, device, "x", password: "wrong words here"));
        Assert.Null(await AddAsync(ann, device, "x", origin: "http://evil.example"));
        Assert.Null(await AddAsync(ann, device, ""));
        Assert.Null(await AddAsync(ann, new SoftwareAuthenticator { Verifies = false }, "x"));
        JsonNode asked = await OptionsAsync(ann, Password);
        Assert.Null(await SendAsync(eve, device.Make(asked, Origin), "x")); // to what somebody else's browser was asked
        await OptionsAsync(eve, Password);
        Assert.Null(await SendAsync(eve, device.Make(asked, Origin), "x")); // and not to what it was asked itself
        string answer = device.Make(asked, Origin);
        Assert.Equal("/account?done=passkey-added", await SendAsync(ann, answer, "mine"));
        Assert.Null(await SendAsync(ann, answer, "again"));

        Assert.Equal(HttpStatusCode.Redirect, (await ShowAsync(nobody, device)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ShowAsync(nobody, device, origin: "http://evil.example")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await ShowAsync(nobody, device, change: credential => credential["response"]!["signature"] = "AAAA")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await ShowAsync(nobody, device, change: credential => credential["response"]!["userHandle"] = "bm9ib2R5")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await ShowAsync(nobody, device, change: credential => credential["response"] = null)).Status);
        device.Verifies = false;
        Assert.Equal(HttpStatusCode.Unauthorized, (await ShowAsync(nobody, device)).Status);
        device.Verifies = true;
        Assert.Equal(HttpStatusCode.Redirect, (await ShowAsync(nobody, device)).Status);
        device.Count = 0;
        Assert.Equal(HttpStatusCode.Unauthorized, (await ShowAsync(nobody, device)).Status); // a copy, which has counted less far
        device.Count = 100;
        JsonNode once = await SignInOptionsAsync(late);
        string signed = device.Show(once, Origin);
        Assert.Equal(HttpStatusCode.Redirect, (await EnterAsync(late, signed)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await EnterAsync(late, signed)).Status);

        AccountRow account = await _server.Service<Accounts>().GetAsync(name);
        string id = Assert.Single(await _server.Service<Accounts>().PasskeysAsync(account.Id)).Id;
        Assert.Null(await ChangeAsync(eve, "remove", ("passkey", id)));
        Assert.Null(await ChangeAsync(eve, "name", ("passkey", id), ("passkey-name", "eve's")));
        Assert.Null(await ChangeAsync(ann, "name", ("passkey", id), ("passkey-name", "a\u202e")));
        using (HttpResponseMessage forged = await ann.SendAsync("/account", "/account/passkeys/remove", withToken: false,
            ("passkey", id))) Assert.Equal(HttpStatusCode.BadRequest, forged.StatusCode);
        Assert.Equal("mine", Assert.Single(await _server.Service<Accounts>().PasskeysAsync(account.Id)).Name);

        await _server.Service<Accounts>().DisableAsync(account.Id);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ShowAsync(late, device)).Status);
        await new Forget(_server.Service<FlywheelStore>()).RunAsync(account.User);
        await using FlywheelDb db = _server.Service<FlywheelStore>().Tables();
        Assert.False(await db.Passkeys.AnyAsync(row => row.Id == id));
        Assert.Equal(other, (await _server.Service<Accounts>().GetAsync(other)).Name);
    }

    private async Task<(Browser Browser, string Name)> JoinAsync()
    {
        if (!await _server.Service<Accounts>().AnyAsync())
            await _server.Service<Accounts>().AcceptAsync((await _server.Service<Accounts>().InviteAsync(AccountRole.Owner)).Token, "owner",
                "Owner", Password);
        (_, string token) = await _server.Service<Accounts>().InviteAsync(AccountRole.Editor);
        var browser = new Browser(Origin, apart: true);
        string name = $"p{reached.NumPeople++}";
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf(token), name, $"Person {name}", Password);
        Assert.Equal(HttpStatusCode.Redirect, joined.StatusCode);
        return (browser, name);
    }

    private static async Task<JsonNode> OptionsAsync(Browser browser, string password)
    {
        using HttpResponseMessage response = await browser.SendAsync("/account", "/account/passkeys/options", true, ("old", password));
        string text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(text)! : throw new HttpRequestException((string)JsonNode.Parse(text)!["problem"]!);
    }

    /// <returns>Where it leads; null: it was refused.</returns>
    private async Task<string?> AddAsync(Browser browser, SoftwareAuthenticator device, string name, string password = Password,
        string? origin = null)
    {
        JsonNode options;
        try
        {
            options = await OptionsAsync(browser, password);
        }
        catch (HttpRequestException e)
        {
            Assert.StartsWith("That is not your password", e.Message, StringComparison.Ordinal);
            return null;
        }
        return await SendAsync(browser, device.Make(options, origin ?? Origin), name);
    }

    private static Task<string?> SendAsync(Browser browser, string credential, string name) =>
        PostAsync(browser, "/account/passkeys", ("credential", credential), ("passkey-name", name));

    private static Task<string?> ChangeAsync(Browser browser, string what, params (string, string)[] fields) =>
        PostAsync(browser, $"/account/passkeys/{what}", fields);

    private static async Task<string?> PostAsync(Browser browser, string path, params (string, string)[] fields)
    {
        using HttpResponseMessage response = await browser.SendAsync("/account", path, true, fields);
        if (response.StatusCode == HttpStatusCode.Redirect) return response.Headers.Location!.OriginalString;
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Matches("id=\"problem\"[^>]*>[^<]", await response.Content.ReadAsStringAsync());
        return null;
    }

    private static async Task<JsonNode> SignInOptionsAsync(Browser browser)
    {
        using HttpResponseMessage response = await browser.SendAsync("/sign-in", "/sign-in/passkey/options");
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
    }

    private async Task<(HttpStatusCode Status, string? To)> ShowAsync(Browser browser, SoftwareAuthenticator device, string target = "/",
        string? origin = null, Action<JsonObject>? change = null)
    {
        JsonObject credential = JsonNode.Parse(device.Show(await SignInOptionsAsync(browser), origin ?? Origin))!.AsObject();
        change?.Invoke(credential);
        return await EnterAsync(browser, credential.ToJsonString(), target);
    }

    private static async Task<(HttpStatusCode Status, string? To)> EnterAsync(Browser browser, string credential, string target = "/")
    {
        using HttpResponseMessage response = await browser.SendAsync("/sign-in", $"/sign-in/passkey?return={Uri.EscapeDataString(target)}",
            true, ("credential", credential));
        if (response.StatusCode == HttpStatusCode.Unauthorized)
            Assert.Contains("This passkey opens nothing here", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        return (response.StatusCode, response.Headers.Location?.OriginalString);
    }
}
