using System.Net;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary>A key for a cookie: what the form takes, what the cookie is like and how long it opens anything.</summary>
public sealed partial class SignInTests : IAsyncLifetime
{
    private TestServer _server = null!;
    private FlywheelStore _store = null!;
    private ApiKeys _keys = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"], Proxies = ["127.0.0.1"] });
        _store = await _server.OpenStoreAsync();
        _keys = new ApiKeys(_store, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Page_WithoutACookie_LeadsToTheSignInPageAndBack()
    {
        using HttpClient browser = Browser();
        using HttpResponseMessage asked = await browser.GetAsync("/write?x=1");
        Assert.Equal((HttpStatusCode.Redirect, "/sign-in?return=%2Fwrite%3Fx%3D1"), (asked.StatusCode, $"{asked.Headers.Location}"));
        using HttpResponseMessage entered = await EnterAsync(browser, _server.Server.FirstKey!, "/write?x=1");
        Assert.Equal((HttpStatusCode.Redirect, "/write?x=1"), (entered.StatusCode, $"{entered.Headers.Location}"));
        string cookie = entered.Headers.GetValues("Set-Cookie")
            .Single(value => value.StartsWith("flywheel_key=", StringComparison.Ordinal));
        Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("; secure", cookie, StringComparison.OrdinalIgnoreCase); // plain http: it would never come back
        Assert.DoesNotContain(_server.Server.FirstKey!, WebUtility.UrlDecode(cookie), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/write")).StatusCode);
        Assert.Contains("first", await browser.GetStringAsync("/sign-in"), StringComparison.Ordinal);

        await _keys.RevokeAsync((await _keys.ListAsync())[0].Name);
        Assert.Equal(HttpStatusCode.Redirect, (await browser.GetAsync("/write")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.PostAsync("/_blazor/negotiate?negotiateVersion=1", null)).StatusCode);
    }

    [Fact]
    public async Task Form_ThatCannotBeRead_IsRefusedLikeOneFromElsewhere()
    {
        using HttpClient browser = Browser();
        foreach (string form in new[] { "key=%00", "key=a%ff%fe", "__RequestVerificationToken=%00&key=x" })
        {
            using HttpResponseMessage entered = await browser.PostAsync("/sign-in",
                new StringContent(form, System.Text.Encoding.ASCII, "application/x-www-form-urlencoded"));
            Assert.Equal(HttpStatusCode.Unauthorized, entered.StatusCode);
            using HttpResponseMessage left = await browser.PostAsync("/sign-out",
                new StringContent(form, System.Text.Encoding.ASCII, "application/x-www-form-urlencoded"));
            Assert.Equal(HttpStatusCode.Redirect, left.StatusCode);
        }
    }

    [Fact]
    public async Task Cookie_BehindTls_NeverLeavesTls()
    {
        using HttpClient browser = Browser();
        browser.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");
        browser.DefaultRequestHeaders.Add("X-Forwarded-For", "198.51.100.7");
        browser.DefaultRequestHeaders.Host = "studio.example.com";
        using HttpResponseMessage entered = await EnterAsync(browser, _server.Server.FirstKey!, "/");
        Assert.Contains("; secure",
            entered.Headers.GetValues("Set-Cookie").Single(value => value.StartsWith("flywheel_key=", StringComparison.Ordinal)),
            StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Enter_WhatOpensNoPages_SaysWhy()
    {
        (_, string narrow) = await _keys.CreateAsync("narrow", [Scopes.Inference]);
        (_, string dead) = await _keys.CreateAsync("dead", [Scopes.Inference, Scopes.Feedback]);
        await _keys.RevokeAsync("dead");
        foreach ((string key, string says) in new[] { ("wrong", "not known"), ("", "not known"), (new string('x', 100_000), "not known"),
            (narrow, "needs the scopes"), (dead, "revoked"), (AdminSecret.Read(_server.Home), "Make a key") })
        {
            using HttpClient browser = Browser();
            using HttpResponseMessage refused = await EnterAsync(browser, key, "/");
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.Contains(says, await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.Redirect, (await browser.GetAsync("/write")).StatusCode);
        }
    }

    [Fact]
    public async Task Enter_WithoutTheFormsToken_GivesNoCookie()
    {
        using HttpClient browser = Browser();
        await browser.GetAsync("/sign-in");
        using HttpResponseMessage refused = await browser.PostAsync("/sign-in",
            new FormUrlEncodedContent([new("key", _server.Server.FirstKey)]));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Contains("once more", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Redirect, (await browser.GetAsync("/write")).StatusCode);
    }

    [Theory]
    [InlineData("//evil.example")]
    [InlineData("/\\evil.example")]
    [InlineData("https://evil.example")]
    [InlineData("/\t/evil.example")]
    [InlineData("evil")]
    [InlineData("")]
    public async Task Return_ToElsewhere_LeadsToTheStart(string target)
    {
        using HttpClient browser = Browser();
        using HttpResponseMessage entered = await EnterAsync(browser, _server.Server.FirstKey!, target);
        Assert.Equal((HttpStatusCode.Redirect, "/"), (entered.StatusCode, $"{entered.Headers.Location}"));
    }

    [Fact]
    public async Task SignOut_WithTheFormsToken_TakesTheCookieAway()
    {
        using HttpClient browser = Browser();
        await EnterAsync(browser, _server.Server.FirstKey!, "/");
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/write")).StatusCode);
        string page = await browser.GetStringAsync("/sign-in");
        await browser.PostAsync("/sign-out",
            new FormUrlEncodedContent([new("__RequestVerificationToken", Token().Match(page).Groups[1].Value)]));
        Assert.Equal(HttpStatusCode.Redirect, (await browser.GetAsync("/write")).StatusCode);
    }

    /// <summary>A link from elsewhere comes without the strict cookie; the page's own refresh brings it.</summary>
    [Fact]
    public async Task Page_LinkedFromElsewhere_AsksOnceMoreBeforeItAsksForAKey()
    {
        using HttpClient browser = Browser();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/write");
        request.Headers.Add("Sec-Fetch-Site", "cross-site");
        request.Headers.Add("Sec-Fetch-Mode", "navigate");
        using HttpResponseMessage response = await browser.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        string text = await response.Content.ReadAsStringAsync();
        Assert.Contains("http-equiv=\"refresh\"", text, StringComparison.Ordinal);
        Assert.True(text.Length < 200, text);
    }

    private HttpClient Browser()
    {
        var browser = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false,
            CookieContainer = new CookieContainer() }) { BaseAddress = new Uri(_server.Server.Url) };
        browser.DefaultRequestHeaders.Accept.ParseAdd("text/html");
        return browser;
    }

    private static async Task<HttpResponseMessage> EnterAsync(HttpClient browser, string key, string target)
    {
        string page = await browser.GetStringAsync($"/sign-in?return={Uri.EscapeDataString(target)}");
        string action = WebUtility.HtmlDecode(Action().Match(page).Groups[1].Value), token = Token().Match(page).Groups[1].Value;
        return await browser.PostAsync(action, new FormUrlEncodedContent([new("key", key), new("__RequestVerificationToken", token)]));
    }

    [GeneratedRegex("action=\"([^\"]+)\"")]
    private static partial Regex Action();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
