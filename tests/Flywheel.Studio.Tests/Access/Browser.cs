using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Flywheel.Studio.Tests.Access;

/// <summary>What a browser does with the pages that are drawn by the server alone: cookies, forms and their tokens.</summary>
internal sealed partial class Browser : IDisposable
{
    private readonly HttpClient _http;

    private static int s_networks;

    /// <param name="url">The server's.</param>
    /// <param name="apart">It comes from an address of its own, whose forms are not counted with others'.</param>
    public Browser(string url, bool apart = false)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, CookieContainer = Cookies };
        if (apart)
        {
            var own = new IPEndPoint(new IPAddress([127, 1, (byte)Interlocked.Increment(ref s_networks), 1]), 0);
            handler.ConnectCallback = async (context, cancellation) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                socket.Bind(own);
                await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }
        _http = new HttpClient(handler) { BaseAddress = new Uri(url) };
        _http.DefaultRequestHeaders.Accept.ParseAdd("text/html");
    }

    public HttpClient Http => _http;

    public CookieContainer Cookies { get; } = new();

    public void Dispose() => _http.Dispose();

    /// <summary>Opens a page and sends a form as if from it.</summary>
    /// <param name="page">The page with the form.</param>
    /// <param name="to">Where the form goes.</param>
    /// <param name="withToken">Whether the page's token is sent along.</param>
    /// <param name="fields">What was typed.</param>
    public async Task<HttpResponseMessage> SendAsync(string page, string to, bool withToken = true,
        params (string Name, string Value)[] fields)
    {
        string html = await _http.GetStringAsync(page);
        List<KeyValuePair<string, string>> form = [.. fields.Select(field => KeyValuePair.Create(field.Name, field.Value))];
        if (withToken) form.Add(new("__RequestVerificationToken", Token().Match(html).Groups[1].Value));
        return await _http.PostAsync(to, new FormUrlEncodedContent(form));
    }

    /// <summary>Sends a form with a file, as if from a page; without one, as a program would.</summary>
    public async Task<HttpResponseMessage> UploadAsync(string? page, string to, string name, byte[] file,
        params (string Name, string Value)[] fields)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(file), "file", name } };
        foreach ((string field, string value) in fields) form.Add(new StringContent(value), field);
        if (page is not null)
            form.Add(new StringContent(Token().Match(await _http.GetStringAsync(page)).Groups[1].Value), "__RequestVerificationToken");
        return await _http.PostAsync(to, form);
    }

    public Task<HttpResponseMessage> SignInAsync(string name, string password, string target = "/") =>
        SendAsync($"/sign-in?return={Uri.EscapeDataString(target)}", $"/sign-in?return={Uri.EscapeDataString(target)}", true,
            ("name", name), ("password", password));

    public Task<HttpResponseMessage> JoinAsync(string link, string name, string display, string password) =>
        SendAsync(link, link, true, ("name", name), ("display", display), ("password", password), ("again", password));

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
