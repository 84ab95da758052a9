using System.Net;
using System.Net.Http.Headers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary>Who gets in: by name, by origin, by secret, through proxies. One server on loopback, as anybody starts it.</summary>
public sealed class AccessTests(OneServer one) : IClassFixture<OneServer>
{
    private readonly TestServer _server = one.Server;

    /// <summary>Every kind of route: the API's, the pages', their files', the socket's, and what is not there.</summary>
    public static readonly (string Method, string Path)[] Routes =
    [
        ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"),
        ("POST", "/feedback"), ("GET", "/admin/status"), ("POST", "/admin/promote"),
        ("DELETE", "/admin/adapters/x"), ("GET", "/health"), ("GET", "/"), ("POST", "/_blazor/negotiate?negotiateVersion=1"),
        ("GET", "/_blazor"), ("GET", "/_content/Flywheel.Studio/studio.js"), ("GET", "/nowhere"),
    ];

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evil.example:5005")]
    [InlineData("localhost.evil.example")]
    [InlineData("127.0.0.1.evil.example")]
    [InlineData("192.0.2.77")] // an address that is not the one listened on
    [InlineData("[::2]")]
    public async Task Host_NotOurs_ReachesNothing(string host)
    {
        foreach ((string method, string path) in Routes)
        {
            using HttpResponseMessage response = await SendAsync(method, path, ("Host", host), secret: true);
            await AssertRefusedAsync(response, path, 403, "unknown_host", "--host");
        }
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("LOCALHOST:80")]
    [InlineData("127.0.0.1")]
    [InlineData("[::1]:5005")]
    public async Task Host_OfLoopback_IsOurs(string host)
    {
        using HttpResponseMessage response = await SendAsync("GET", "/v1/models", ("Host", host));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://evil.example")]
    [InlineData("null")]
    [InlineData("http://localhost:1")] // this machine, another program
    [InlineData("https://{self}")]
    [InlineData("http://{self}.evil.example")]
    [InlineData("http://user@{self}")]
    [InlineData("file://")]
    [InlineData("")]
    public async Task Origin_NotOurs_ReachesNothing(string origin)
    {
        foreach ((string method, string path) in Routes)
        {
            using HttpResponseMessage response = await SendAsync(method, path,
                ("Origin", origin.Replace("{self}", new Uri(_server.Server.Url).Authority)), secret: true);
            await AssertRefusedAsync(response, path, 403, "foreign_origin", "may not call");
            Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
        }
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal((0, 0), ((await store.CountAsync()).Generations, (await store.CountAsync()).Feedback));
    }

    [Fact]
    public async Task Origin_Ours_MayCall()
    {
        using HttpResponseMessage response = await SendAsync("GET", "/v1/models", ("Origin", _server.Server.Url));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    /// <summary>Pictures and scripts carry no Origin; a link that a person follows is no call.</summary>
    [Theory]
    [InlineData("cross-site", "no-cors", 403)]
    [InlineData("same-site", "no-cors", 403)]
    [InlineData("cross-site", "navigate", 200)]
    [InlineData("same-origin", "no-cors", 200)]
    [InlineData("none", "navigate", 200)]
    public async Task FetchMetadata_OfAnotherSite_IsHeeded(string site, string mode, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health");
        request.Headers.Add("Sec-Fetch-Site", site);
        request.Headers.Add("Sec-Fetch-Mode", mode);
        Assert.Equal(status, (int)(await _server.Http.SendAsync(request)).StatusCode);
    }

    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Host", "evil.example")]
    public async Task WebSocket_FromElsewhere_DoesNotOpen(string header, string value)
    {
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader(header, value);
        socket.Options.CollectHttpResponseDetails = true;
        await Assert.ThrowsAsync<WebSocketException>(() =>
            socket.ConnectAsync(new Uri(_server.Server.Url.Replace("http", "ws") + "/_blazor"), CancellationToken.None));
        Assert.Equal(HttpStatusCode.Forbidden, socket.HttpStatusCode);
    }

    /// <summary>Whoever comes from loopback may be a proxy; only the secret shows the administrator.</summary>
    [Theory]
    [InlineData(null, "needs a key and none was sent")]
    [InlineData("wrong", "the key is not known here")]
    public async Task Admin_WithoutTheSecret_IsRefused(string? key, string says)
    {
        foreach ((string method, string path) in Routes.Where(route => route.Path.StartsWith("/admin", StringComparison.Ordinal)))
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
            using var anybody = new HttpClient { BaseAddress = new Uri(_server.Server.Url) };
            using HttpResponseMessage response = await anybody.SendAsync(request);
            await AssertRefusedAsync(response, path, 401, "invalid_api_key", says);
            Assert.StartsWith("Bearer", response.Headers.WwwAuthenticate.Single().Scheme, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Secret_OfTheHome_IsForItsOwnerAloneAndStays()
    {
        await using TestServer server = await TestServer.StartAsync(); // which ends here
        string file = AdminSecret.FileOf(server.Home), secret = AdminSecret.Read(server.Home);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        // of cookies
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(Path.Combine(server.Home.Path, "keys")));
        Assert.Equal(43, secret.Length); // 256 bits
        using (var request = new HttpRequestMessage(HttpMethod.Get,
            "/admin/status") { Headers = { Authorization = new("Bearer", secret) } })
        {
            request.Headers.Add("X-Forwarded-For", "192.0.2.9");
            using HttpResponseMessage response = await server.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        await server.Server.DisposeAsync();
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        using RunningServer.Claim again = RunningServer.ClaimHome(server.Home);
        Assert.Equal(secret, again.Secret);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    /// <summary>Where nobody is asked for a key, a proxy that the server was not told of is not let in by that.</summary>
    [Theory]
    [InlineData("X-Forwarded-For", "192.0.2.9")]
    [InlineData("Forwarded", "for=192.0.2.9")]
    [InlineData("Via", "1.1 squid")]
    public async Task Proxy_NotConfigured_NeedsAKey(string header, string value)
    {
        using HttpResponseMessage response = await SendAsync("GET", "/v1/models", (header, value));
        await AssertRefusedAsync(response, "/v1/models", 401, "invalid_api_key", "--proxy");
    }

    [Fact]
    public async Task OpenServer_AnyKeyOfAClient_SaysNothing()
    {
        using HttpResponseMessage response = await SendAsync("GET", "/v1/models", ("Authorization", "Bearer sk-whatever"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string path, (string Name, string Value) header, bool secret = false)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method == "POST") request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        if (secret) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret.Read(_server.Home));
        Assert.True(request.Headers.TryAddWithoutValidation(header.Name, header.Value));
        return await _server.Http.SendAsync(request);
    }

    internal static async Task AssertRefusedAsync(HttpResponseMessage response, string path, int status, string code, string says)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, $"{path} answered {(int)response.StatusCode} {text}");
        Assert.Contains(says, text, StringComparison.Ordinal);
        if (!new[] { "/v1", "/feedback", "/admin", "/health" }.Any(root => path.StartsWith(root, StringComparison.Ordinal))) return;
        JsonNode error = JsonNode.Parse(text)!["error"]!;
        Assert.Equal(code, (string)error["code"]!);
        Assert.Equal(["message", "type", "param", "code"], error.AsObject().Select(field => field.Key));
    }
}
