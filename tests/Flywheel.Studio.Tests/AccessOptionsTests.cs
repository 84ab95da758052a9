using System.Net;
using System.Net.Http.Headers;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;

namespace Flywheel.Studio.Tests;

/// <summary>What can be said about who gets in: names, proxies, other origins, nobody needs a key.</summary>
public sealed class AccessOptionsTests
{
    [Theory]
    [InlineData("http://0.0.0.0:5005", "http://127.0.0.1:5005", false)]
    [InlineData("http://[::]:5005", "http://[::1]:5005", false)]
    [InlineData("http://192.0.2.2:80", "http://192.0.2.2:80", false)]
    [InlineData("http://[2001:db8::1]:1", "http://[2001:db8::1]:1", false)]
    [InlineData("http://127.0.0.1:0", "http://127.0.0.1:0", true)]
    [InlineData("http://127.0.0.2:7", "http://127.0.0.2:7", true)]
    [InlineData("http://[::1]:7/", "http://[::1]:7", true)]
    [InlineData("http://localhost:7", "http://localhost:7", true)]
    public void ListenAddress_Published_IsOneThatThisMachineCanCall(string url, string local, bool loopback)
    {
        ListenAddress address = ListenAddress.Parse(url);
        Assert.Equal((local, loopback), (address.LocalUrl, address.IsLoopback));
    }

    [Theory]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("http://[::]:0")]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("http://[::1]:0")]
    public async Task Server_AnyAddress_PublishesOneThatAnswers(string url)
    {
        await using TestServer server = await TestServer.StartAsync(options: options => options with { Url = url });
        RunningServer running = RunningServer.Find(server.Home)!;
        using var http = new HttpClient { BaseAddress = new Uri(running.Url) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret.Read(running.Home));
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/admin/status")).StatusCode);
    }

    [Theory]
    [InlineData("http://localhost:0", "--url")]
    [InlineData("http://user@127.0.0.1:5005", "--url")]
    [InlineData("https://127.0.0.1:5005", "--url")]
    [InlineData("http://127.0.0.1:5005/x", "--url")]
    public void Url_NotReadable_IsNamed(string url, string says) => AssertRefused(options => options with { Url = url }, says);

    [Theory]
    [InlineData("https://studio.example.com")]
    [InlineData("studio.example.com:80")]
    [InlineData("*")]
    [InlineData("")]
    public void Host_NotReadable_IsNamed(string host) => AssertRefused(options => options with { Hosts = [host] }, "--host");

    [Theory]
    [InlineData("proxy.example.com")]
    [InlineData("10.0.0.0/64")]
    [InlineData("")]
    public void Proxy_NotReadable_IsNamed(string proxy) => AssertRefused(options => options with { Proxies = [proxy] }, "--proxy");

    [Theory]
    [InlineData("app.example.com")]
    [InlineData("*")]
    [InlineData("https://app.example.com/path")]
    [InlineData("null")]
    [InlineData("ftp://app.example.com")]
    public void Cors_NotReadable_IsNamed(string origin) => AssertRefused(options => options with { CorsOrigins = [origin] }, "--cors");

    [Fact]
    public async Task Host_Named_IsOursAndAsksForAKey()
    {
        await using TestServer server = await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"] });
        foreach ((string? key, int status) in new[] { (null, 401), (server.Server.FirstKey, 200) })
            foreach (string host in new[] { "studio.example.com", "STUDIO.example.com:8443", "127.0.0.1" })
                Assert.Equal(status, (int)(await SendAsync(server, HttpMethod.Get, "/v1/models", key, ("Host", host))).StatusCode);
        Assert.Equal(403,
            (int)(await SendAsync(server, HttpMethod.Get, "/v1/models", server.Server.FirstKey, ("Host", "other.example.com"))).StatusCode);
    }

    /// <summary>Only a proxy that the server was told of says that the browser came by https.</summary>
    [Theory]
    [InlineData("127.0.0.1", 200)]
    [InlineData("127.0.0.0/8", 200)]
    [InlineData("192.0.2.1", 403)]
    public async Task Forwarded_Headers_AreBelievedOfConfiguredProxiesAlone(string proxy, int status)
    {
        await using TestServer server =
            await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"], Proxies = [proxy] });
        using HttpResponseMessage response = await SendAsync(server, HttpMethod.Get, "/v1/models", server.Server.FirstKey,
            ("Host", "studio.example.com"), ("Origin", "https://studio.example.com"), ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-For", "198.51.100.7"));
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task Forwarded_Host_IsHeldAgainstTheNamesToo()
    {
        await using TestServer server = await TestServer.StartAsync(options: options => options with { Proxies = ["127.0.0.1"] });
        using HttpResponseMessage response = await SendAsync(server, HttpMethod.Get, "/v1/models", server.Server.FirstKey,
            ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-For", "198.51.100.7"));
        await AccessTests.AssertRefusedAsync(response, "/v1/models", 403, "unknown_host", "evil.example");
    }

    [Fact]
    public async Task NoAuth_Said_AsksForNoKeyButForTheSecret()
    {
        await using TestServer server =
            await TestServer.StartAsync(options: options => options with { Url = "http://0.0.0.0:0", NoAuth = true });
        Assert.Null(server.Server.FirstKey);
        Assert.Equal(200,
            (int)(await SendAsync(server, HttpMethod.Get, "/v1/models", null, ("X-Forwarded-For", "198.51.100.7"))).StatusCode);
        using var anybody = new HttpClient { BaseAddress = new Uri(server.Server.Url) };
        Assert.Equal(HttpStatusCode.Unauthorized, (await anybody.GetAsync("/admin/status")).StatusCode);
    }

    /// <summary>A key that was revoked is refused also where none is asked for: whoever shows it means to be known by it.</summary>
    [Fact]
    public async Task OpenServer_RevokedKey_IsRefused()
    {
        await using TestServer server = await TestServer.StartAsync();
        await using FlywheelStore store = await server.OpenStoreAsync();
        var keys = new ApiKeys(store, TimeProvider.System);
        (_, string key) = await keys.CreateAsync("laptop", [Scopes.Inference]);
        Assert.Equal(200, (int)(await SendAsync(server, HttpMethod.Get, "/v1/models", key)).StatusCode);
        Assert.Equal(403, (int)(await SendAsync(server, HttpMethod.Post, "/feedback", key)).StatusCode);
        await keys.RevokeAsync("laptop");
        Assert.Equal(401, (int)(await SendAsync(server, HttpMethod.Get, "/v1/models", key)).StatusCode);
    }

    /// <summary>As a browser does it: asks before it sends (Fetch standard, CORS-preflight), then reads what it may.</summary>
    [Fact]
    public async Task Cors_ListedOrigin_MayCallTheApiAndNothingElse()
    {
        const string App = "https://app.example.com";
        await using TestServer server =
            await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"], CorsOrigins = [App] });
        foreach ((string origin, string path, bool allowed) in new[] { (App, "/v1/chat/completions", true), (App, "/feedback", true),
            (App, "/admin/promote", false), (App, "/_blazor/negotiate", false), (App, "/write", false),
            ("https://evil.example", "/v1/chat/completions", false), ("http://app.example.com", "/feedback", false) })
        {
            using HttpResponseMessage preflight = await SendAsync(server, HttpMethod.Options, path, null, ("Origin", origin),
                ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type"));
            Assert.Equal(allowed ? HttpStatusCode.NoContent : HttpStatusCode.Forbidden, preflight.StatusCode);
            Assert.Equal(allowed ? [origin] : [], Values(preflight, "Access-Control-Allow-Origin"));
            Assert.Empty(Values(preflight, "Access-Control-Allow-Credentials")); // no cookie comes along
        }
        using HttpResponseMessage served = await SendAsync(server, HttpMethod.Get, "/v1/models", server.Server.FirstKey, ("Origin", App));
        Assert.Equal((HttpStatusCode.OK, App), (served.StatusCode, Values(served, "Access-Control-Allow-Origin").Single()));
        using HttpResponseMessage refused = await SendAsync(server, HttpMethod.Get, "/v1/models", null, ("Origin", App));
        // so that the page can read why
        Assert.Equal((HttpStatusCode.Unauthorized, App), (refused.StatusCode, Values(refused, "Access-Control-Allow-Origin").Single()));
    }

    private static string[] Values(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out IEnumerable<string>? values) ? [.. values] : [];

    private static void AssertRefused(Func<StudioOptions, StudioOptions> options, string says) =>
        Assert.Contains(says,
            Assert.Throws<FlywheelException>(() =>
                new AccessRules(options(new StudioOptions { Home = new FlywheelHome("unused") }))).Message, StringComparison.Ordinal);

    private static async Task<HttpResponseMessage> SendAsync(TestServer server, HttpMethod method, string path, string? key,
        params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (method == HttpMethod.Post) request.Content = new StringContent("{}", null, "application/json");
        if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        foreach ((string name, string value) in headers) Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        return await server.Http.SendAsync(request);
    }
}
