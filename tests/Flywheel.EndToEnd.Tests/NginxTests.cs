using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The server behind a real nginx, on the configuration of docs/deploy.md word for word but for ports and files.</summary>
public sealed partial class NginxTests : IAsyncLifetime
{
    private const string Name = "studio.example.com", Nginx = "/usr/sbin/nginx";

    private readonly TempFolder _folder = new();
    private readonly int _port = Network.FreePort(), _barePort = Network.FreePort();
    private X509Certificate2 _certificate = null!;
    private ServerProcess _server = null!;
    private Process _nginx = null!;
    private string _key = "";

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Nginx)) Assert.Skip($"{Nginx} is not installed (Debian: apt-get install nginx)");
        ModelFolder model = TinyModel.Create(_folder["models"], context: 2048);
        _server = await ServerProcess.StartAsync(_folder["home"], "--model", model.Path, "--host", Name, "--proxy", "127.0.0.1");
        _key = await DoorsTests.FirstKeyAsync(_server);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={Name}", key, HashAlgorithmName.SHA256);
        _certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(_folder["tls.crt"], _certificate.ExportCertificatePem());
        File.WriteAllText(_folder["tls.key"], key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(_folder["nginx.conf"], $$"""
            pid nginx.pid;
            error_log stderr warn;
            events {}
            http {
                access_log off;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                {{Documented()}}
                # A proxy that says nothing of itself: to the server it looks like a program of this machine.
                server { listen 127.0.0.1:{{_barePort}}; location / { proxy_pass {{_server.Url}}; } }
            }
            """);
        _nginx = Process.Start(new ProcessStartInfo(Nginx, ["-p", _folder.Path, "-c", _folder["nginx.conf"], "-g", "daemon off;"]))!;
        for (int attempt = 0; !await AnswersAsync(_barePort); attempt++)
        {
            Assert.False(_nginx.HasExited || attempt > 600, "nginx does not answer");
            await Task.Delay(50);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_nginx is not null)
        {
            await Tool.RunAsync("kill", ["-QUIT", $"{_nginx.Id}"], ".");
            if (!_nginx.WaitForExit(10_000)) _nginx.Kill(entireProcessTree: true);
            _nginx.Dispose();
        }
        if (_server is not null) await _server.DisposeAsync();
        _certificate?.Dispose();
        _folder.Dispose();
    }

    /// <summary>Proven without a clock: the stream is left after its first events, and the record says that it was not over then.</summary>
    [Fact]
    public async Task Stream_ThroughNginx_ArrivesAsItIsWrittenAndEndsWhenItIsLeft()
    {
        JsonObject bias = [];
        foreach (int end in TinyModel.Create(_folder["models"], context: 2048).Config.EosTokenIds) bias[$"{end}"] = -100;
        using HttpClient http = Client();
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions"))
        {
            var body = new JsonObject { ["model"] = "flywheel", ["stream"] = true, ["n"] = 16, ["max_tokens"] = 1900, ["logit_bias"] = bias,
                ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Write." }) };
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
            for (int events = 0; events < 40;)
                if ((await lines.ReadLineAsync())!.StartsWith("data: {", StringComparison.Ordinal)) events++;
        }
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        for (int attempt = 0; (await store.CountAsync()).Generations < 16; attempt++)
        {
            Assert.True(attempt < 1200, "the generations were not recorded");
            await Task.Delay(50);
        }
        Assert.All(await store.RecentGenerationsAsync(16), generation =>
        {
            Assert.Equal(FinishReason.Cancelled, generation.FinishReason);
            Assert.InRange(generation.NumTokens, 0, 1899);
        });
    }

    [Fact]
    public async Task Key_ThroughNginx_IsNeededAndServes()
    {
        using HttpClient http = Client();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/v1/models")).StatusCode);
        http.DefaultRequestHeaders.Authorization = null;
        using HttpResponseMessage none = await http.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.Unauthorized, none.StatusCode);
        Assert.Equal("Bearer", none.Headers.WwwAuthenticate.Single().Scheme);
        http.DefaultRequestHeaders.Host = "evil.example";
        Assert.Equal(HttpStatusCode.Forbidden, (await http.GetAsync("/v1/models")).StatusCode);
    }

    /// <summary>What comes from loopback is not the administrator by that; nor is a client that says that it comes from there.</summary>
    [Fact]
    public async Task Admin_ThroughNginx_NeedsTheSecretWithAndWithoutForwardedHeaders()
    {
        using HttpClient documented = Client(), bare = new() { BaseAddress = new Uri($"http://127.0.0.1:{_barePort}") };
        bare.DefaultRequestHeaders.Authorization = documented.DefaultRequestHeaders.Authorization;
        foreach (HttpClient http in new[] { documented, bare })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await http.GetAsync("/admin/status")).StatusCode); // a key without that scope
            http.DefaultRequestHeaders.Authorization = null;
            http.DefaultRequestHeaders.Add("X-Forwarded-For", "127.0.0.1");
            Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/admin/status")).StatusCode);
            using var promote = new StringContent("{\"model\": \"x\"}", Encoding.UTF8, "application/json");
            Assert.Equal(HttpStatusCode.Unauthorized, (await http.PostAsync("/admin/promote", promote)).StatusCode);
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer",
                AdminSecret.Read(new FlywheelHome(_folder["home"])));
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/admin/status")).StatusCode);
        }
    }

    /// <summary>As a page does it: signs in over TLS, then talks over its WebSocket (SignalR's handshake, both ways).</summary>
    [Fact]
    public async Task Page_ThroughNginx_SignsInAndItsConnectionStands()
    {
        using SocketsHttpHandler handler = Handler();
        using var http = new HttpClient(handler, disposeHandler: false) { BaseAddress = new Uri($"https://{Name}:{_port}") };
        string form = await http.GetStringAsync("/sign-in");
        using HttpResponseMessage entered = await http.PostAsync("/sign-in",
            new FormUrlEncodedContent([new("key", _key), new("__RequestVerificationToken", Token().Match(form).Groups[1].Value)]));
        string cookie = entered.Headers.GetValues("Set-Cookie")
            .Single(value => value.StartsWith("flywheel_key=", StringComparison.Ordinal));
        foreach (string attribute in new[] { "secure", "httponly", "samesite=strict" })
            Assert.Contains("; " + attribute, cookie, StringComparison.OrdinalIgnoreCase);

        JsonNode negotiated =
            JsonNode.Parse(await (await http.PostAsync("/_blazor/negotiate?negotiateVersion=1", null)).Content.ReadAsStringAsync())!;
        var address = new Uri($"wss://{Name}:{_port}/_blazor?id={(string)negotiated["connectionToken"]!}");
        using (var foreign = new ClientWebSocket())
        {
            foreign.Options.SetRequestHeader("Origin", "https://evil.example");
            using var invoker = new HttpMessageInvoker(handler, disposeHandler: false);
            await Assert.ThrowsAsync<WebSocketException>(() => foreign.ConnectAsync(address, invoker, CancellationToken.None));
        }
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Origin", $"https://{Name}:{_port}");
        using (var invoker = new HttpMessageInvoker(handler,
            disposeHandler: false)) await socket.ConnectAsync(address, invoker, CancellationToken.None);
        await socket.SendAsync(Encoding.UTF8.GetBytes("{\"protocol\":\"blazorpack\",\"version\":1}\u001e"), WebSocketMessageType.Text, true,
            CancellationToken.None);
        byte[] answer = new byte[64];
        WebSocketReceiveResult received = await socket.ReceiveAsync(answer, CancellationToken.None);
        Assert.Equal("{}\u001e", Encoding.UTF8.GetString(answer, 0, received.Count));
    }

    /// <summary>The example of the documentation, with this test's ports and files.</summary>
    private string Documented()
    {
        string text = Example().Match(File.ReadAllText(Path.Combine(TestFiles.Root, "docs", "deploy.md"))).Groups[1].Value;
        foreach ((string theirs, string ours) in new[]
        {
            ("listen 443 ssl;", $"listen 127.0.0.1:{_port} ssl;"), ($"/etc/ssl/{Name}.crt", _folder["tls.crt"]),
            ($"/etc/ssl/{Name}.key", _folder["tls.key"]), ("http://127.0.0.1:5005", _server.Url),
        })
        {
            Assert.Contains(theirs, text, StringComparison.Ordinal);
            text = text.Replace(theirs, ours, StringComparison.Ordinal);
        }
        return text;
    }

    private HttpClient Client()
    {
        var http = new HttpClient(Handler()) { BaseAddress = new Uri($"https://{Name}:{_port}") };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _key);
        return http;
    }

    /// <summary>Finds the name at loopback, and knows our certificate.</summary>
    private SocketsHttpHandler Handler() => new()
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        CookieContainer = new CookieContainer(),
        ConnectCallback = async (context, cancellation) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions =
            { RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                certificate is not null && certificate.GetCertHashString() == _certificate.GetCertHashString() },
    };

    private static async Task<bool> AnswersAsync(int port)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    [GeneratedRegex("```nginx\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
