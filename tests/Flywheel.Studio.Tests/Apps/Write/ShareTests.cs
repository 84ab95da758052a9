using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Sharing;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>Links on which outsiders choose between drafts: what they open, and all that they do not, on a server that asks everybody else
/// for a key.</summary>
public sealed partial class ShareTests(ShareTests.Fixture studio) : IClassFixture<ShareTests.Fixture>
{
    private static readonly string[] Texts = ["Write <b>your</b> novel, one scene at a time", "The editor that keeps every version",
        "Count words by chapter"];

    private readonly TestServer _server = studio.Server;
    private readonly IServiceProvider _services = studio.Services;
    private readonly Guid _brief = studio.Brief;

    [Fact]
    public async Task Choice_OfAnOutsiderWithoutAKey_IsTheirsAndASecondOneReplacesIt()
    {
        JsonObject share = await CreateAsync();
        using HttpClient guest = Outsider();
        string address = new Uri((string)share["url"]!).PathAndQuery;
        string page = await guest.GetStringAsync(address);
        foreach (string text in Texts) Assert.Contains(WebUtility.HtmlEncode(text), page);
        Assert.Contains("Quill", page);
        Assert.DoesNotContain("secret launch", page);
        Assert.DoesNotContain((string)share["drafts"]![0]!["generation_id"]!, page);

        string thanks = await ChooseAsync(guest, address, page, Texts[1], "It promises <script>something</script>.");
        Assert.Contains("your choice is recorded", thanks);
        Assert.DoesNotContain("<script>", thanks);
        await ChooseAsync(guest, address, page, Texts[0], "");
        JsonObject state = await _server.GetAsync($"/v1/shares/{share["id"]}?user=ann");
        Assert.Equal(1, (int)state["people"]!);
        Assert.Equal([1, 0, 0], state["drafts"]!.AsArray().Select(draft => (int)draft!["chosen"]!));

        using HttpClient second = Outsider();
        await ChooseAsync(second, address, await second.GetStringAsync(address), null, "All are long.");
        state = await _server.GetAsync($"/v1/shares/{share["id"]}?user=ann");
        Assert.Equal((2, 1), ((int)state["people"]!, (int)state["none"]!));
        Assert.Equal("All are long.", (string)Assert.Single(state["reasons"]!.AsArray())!["text"]!);

        await using FlywheelStore store = await _server.OpenStoreAsync();
        Feedback[] rows =
            [.. (await store.FeedbackAsync(Guid.Parse((string)state["drafts"]![0]!["generation_id"]!))).Where(row =>
                row.Tags.Contains((string)share["id"]!, StringComparison.Ordinal))];
        // first, second thought, the other person
        Assert.Equal(["discard", "keep", "discard"], rows.Where(row => row.Metric != "comment").Select(row => row.Metric));
        Assert.Equal(2, rows.Select(row => row.User).Distinct().Count());
        Assert.All(rows, row => Assert.StartsWith("guest-", row.User));
    }

    [Fact]
    public async Task Drafts_ThatTheOwnerEdited_AreNotShared()
    {
        var briefs = _services.GetRequiredService<Briefs>();
        foreach (int edited in new[] { 1, 2 })
        {
            Guid brief = await briefs.CreateAsync(Guid.CreateVersion7(), "ann", new BriefFields());
            await briefs.AddSetAsync(brief, "ann", new DraftSet
            {
                Id = Guid.CreateVersion7(), Time = DateTimeOffset.UtcNow, Kind = "tagline", Model = "0000",
                Fields = new BriefFields { Name = "Quill" },
                Drafts = [.. Texts.Select((text, index) => new Draft
                {
                    Generation = Guid.CreateVersion7(), Written = text, State = index < edited ? DraftState.Edited : DraftState.Ready,
                    Text = index < edited ? $"ann's own {index}" : text,
                })],
            });
            (HttpStatusCode status, JsonObject share) =
                await _server.TryPostAsync("/v1/shares", new JsonObject { ["brief"] = brief.ToString(), ["user"] = "ann" }.ToJsonString());
            Assert.Equal(edited == 1 ? HttpStatusCode.OK : HttpStatusCode.BadRequest, status);
            if (edited == 1) Assert.Equal(Texts[1..], share["drafts"]!.AsArray().Select(draft => (string)draft!["text"]!));
        }
    }

    [Fact]
    public async Task Page_ThatFailsForTheDatabase_LogsNoToken()
    {
        var log = new Lines();
        var http = new DefaultHttpContext();
        http.Request.Path = "/s/secret-token";
        http.Response.Body = new MemoryStream();
        await ErrorAnswers.Middleware(http, _ => throw new SqliteException("database or disk is full", 13), log);
        Assert.Equal(507, http.Response.StatusCode);
        Assert.Contains("/s/", Assert.Single(log.Written));
        Assert.DoesNotContain("secret-token", log.Written[0]);
    }

    private sealed class Lines : ILogger
    {
        public List<string> Written { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            Written.Add(formatter(state, exception));
    }

    [Fact]
    public async Task Token_WrongExpiredOrRevoked_OpensNothingAndLooksAlike()
    {
        JsonObject share = await CreateAsync(), old = await CreateAsync();
        string token = TokenOf(share);
        var documents = _services.GetRequiredService<Flywheel.Studio.Apps.Documents>();
        await documents.ChangeAsync(Guid.Parse((string)old["id"]!), "ann", document =>
        {
            document.Body = (ShareBody.Parse(document.Body) with { Expires = DateTimeOffset.UtcNow.AddSeconds(-1) }).ToJson();
            return true;
        });
        using HttpResponseMessage revoked = await _server.Http.DeleteAsync($"/v1/shares/{share["id"]}?user=ann");
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);
        char other = token[^1] == 'A' ? 'B' : 'A';
        List<string> pages = [];
        using HttpClient guest = Outsider();
        foreach (string tried in new[] { token, TokenOf(old), token[..^2] + other + token[^1], "x", new string('A', token.Length),
            $"{_brief}" })
        {
            using HttpResponseMessage answer = await guest.GetAsync($"/s/{tried}");
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            pages.Add(await answer.Content.ReadAsStringAsync());
            using HttpResponseMessage posted = await guest.PostAsync($"/s/{tried}", new FormUrlEncodedContent([new("choice", "0")]));
            Assert.Equal(HttpStatusCode.NotFound, posted.StatusCode);
        }
        Assert.Single(pages.Distinct());
        Assert.Contains("This link opens nothing", pages[0]);
        Assert.Equal(["revoked", "expired"],
            new[] { share, old }.Select(one => (string)_server.GetAsync($"/v1/shares/{one["id"]}?user=ann").Result["state"]!));
    }

    [Fact]
    public async Task Link_Opened_OpensNoOtherDoor()
    {
        JsonObject share = await CreateAsync();
        string token = TokenOf(share);
        using HttpClient guest = Outsider();
        await guest.GetStringAsync($"/s/{token}"); // with what it was given there
        foreach (string path in new[] { "/v1/models", "/v1/shares", $"/v1/shares/{share["id"]}", "/v1/write/bulk", "/feedback",
            "/admin/status", "/metrics" })
        {
            using HttpResponseMessage answer = await guest.GetAsync(path);
            Assert.True(answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.MethodNotAllowed, $"{path} {answer.StatusCode}");
            using var withToken = new HttpRequestMessage(HttpMethod.Get, path);
            withToken.Headers.Authorization = new("Bearer", token);
            using HttpResponseMessage with = await guest.SendAsync(withToken);
            Assert.True(with.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.MethodNotAllowed, $"{path} {with.StatusCode}");
        }
        foreach (string path in new[] { "/write", $"/write/{_brief}", "/write/shares", "/console", $"/s/{token}/../../write",
            $"/s/{token}/write", "/s" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Accept.ParseAdd("text/html");
            using HttpResponseMessage answer = await guest.SendAsync(request);
            Assert.True(answer.StatusCode is HttpStatusCode.NotFound || answer.RequestMessage!.RequestUri!.AbsolutePath == "/sign-in",
                $"{path} {answer.StatusCode} {answer.RequestMessage!.RequestUri}");
        }
        using HttpResponseMessage socket = await guest.PostAsync("/_blazor/negotiate?negotiateVersion=1", null);
        Assert.Equal(HttpStatusCode.Unauthorized, socket.StatusCode);
    }

    [Fact]
    public async Task Choice_WithoutTheFormsTokenOrOutsideTheDrafts_IsNotRecorded()
    {
        JsonObject share = await CreateAsync();
        string address = $"/s/{TokenOf(share)}";
        using HttpClient guest = Outsider();
        string page = await guest.GetStringAsync(address);
        foreach (string choice in new[] { "3", "-1", "999999999999", "", "x\0" })
        {
            using HttpResponseMessage answer = await PostAsync(guest, address, page, choice, "");
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }
        using HttpResponseMessage forged = await guest.PostAsync(address, new FormUrlEncodedContent([new("choice", "0")]));
        Assert.Equal(HttpStatusCode.BadRequest, forged.StatusCode);
        using HttpResponseMessage wordy = await PostAsync(guest, address, page, "0", new string('x', Shares.MaxReason + 1));
        Assert.Equal(HttpStatusCode.BadRequest, wordy.StatusCode);
        using HttpClient stranger = Outsider(); // another person's form, without their cookies
        using HttpResponseMessage stolen = await PostAsync(stranger, address, page, "0", "");
        Assert.Equal(HttpStatusCode.BadRequest, stolen.StatusCode);
        Assert.Equal(0, (int)(await _server.GetAsync($"/v1/shares/{share["id"]}?user=ann"))["people"]!);
    }

    [Fact]
    public async Task Shares_OfAnotherPersonOrWithoutDrafts_AreRefused()
    {
        JsonObject share = await CreateAsync();
        using HttpResponseMessage theirs = await _server.Http.GetAsync($"/v1/shares/{share["id"]}?user=bob");
        Assert.Equal(HttpStatusCode.NotFound, theirs.StatusCode);
        Assert.Empty((await _server.GetAsync("/v1/shares?user=bob"))["data"]!.AsArray());
        (HttpStatusCode status, JsonObject body) = await _server.TryPostAsync("/v1/shares", $$"""{"brief": "{{_brief}}", "user": "bob"}""");
        Assert.Equal((HttpStatusCode.BadRequest, "brief"), (status, (string?)body["error"]!["param"]));
        (status, body) = await _server.TryPostAsync("/v1/shares", $$"""{"brief": "{{_brief}}", "user": "ann", "days": 400}""");
        Assert.Equal((HttpStatusCode.BadRequest, "days"), (status, (string?)body["error"]!["param"]));
        Guid empty = await _services.GetRequiredService<Briefs>().CreateAsync(Guid.CreateVersion7(), "ann", new BriefFields());
        (status, _) = await _server.TryPostAsync("/v1/shares", $$"""{"brief": "{{empty}}", "user": "ann"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
    }

    [Fact]
    public async Task Calls_FromOneAddress_AreTooManyAtSomeTimeAndSayWhen()
    {
        using HttpClient guest = Outsider();
        HttpStatusCode last = HttpStatusCode.OK;
        for (int i = 0; i <= 2 * GuestPages.MaxCalls && last != HttpStatusCode.TooManyRequests; i++) // two windows at most
        {
            using HttpResponseMessage answer = await guest.GetAsync("/s/wrong");
            if ((last = answer.StatusCode) == HttpStatusCode.TooManyRequests)
                Assert.Equal(TimeSpan.FromMinutes(1), answer.Headers.RetryAfter?.Delta);
        }
        Assert.Equal(HttpStatusCode.TooManyRequests, last);
    }

    [Fact]
    public void Order_OfDifferentPeople_PutsEveryDraftFirstAboutAsOften()
    {
        var share = new ShareBody
        {
            Brief = Guid.Empty, Set = Guid.Empty, Token = "t", Expires = default, Name = "",
            Drafts = [.. Enumerable.Range(1, 3).Select(i => new SharedDraft(new Guid(i, 0, 0, new byte[8]), $"{i}"))],
        };
        int[] first = [.. Enumerable.Range(0, 3000).GroupBy(person => share.For($"guest-{person}")[0].Text).Select(group => group.Count())];
        Assert.Equal(3, first.Length);
        Assert.All(first, count => Assert.InRange(count, 880, 1120));
        Assert.Equal(share.For("guest-1"), share.For("guest-1"));
    }

    private async Task<JsonObject> CreateAsync() =>
        await _server.PostAsync("/v1/shares", new() { ["brief"] = _brief.ToString(), ["user"] = "ann" });

    private static string TokenOf(JsonObject share) => ((string)share["url"]!).Split('/')[^1];

    private HttpClient Outsider() => studio.NewOutsider();

    private static async Task<string> ChooseAsync(HttpClient guest, string address, string page, string? text, string why)
    {
        string choice = text is null
            ? "none" : Choices().Matches(page).Single(match => WebUtility.HtmlDecode(match.Groups[2].Value) == text).Groups[1].Value;
        using HttpResponseMessage answer = await PostAsync(guest, address, page, choice, why);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync();
    }

    private static async Task<HttpResponseMessage> PostAsync(HttpClient guest, string address, string page, string choice, string why)
    {
        Match token = Hidden().Match(page);
        return await guest.PostAsync(address,
            new FormUrlEncodedContent([new(token.Groups[1].Value, token.Groups[2].Value), new("choice", choice), new("why", why)]));
    }

    [GeneratedRegex("<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]+)\"")]
    private static partial Regex Hidden();

    [GeneratedRegex("name=\"choice\" value=\"(\\d+)\"[^>]*><span>([^<]*)</span>")]
    private static partial Regex Choices();

    /// <summary>One server with a brief whose drafts can be shared.</summary>
    public sealed class Fixture : IAsyncLifetime
    {
        private static int s_addresses = 1;

        internal TestServer Server { get; private set; } = null!;

        internal IServiceProvider Services { get; private set; } = null!;

        internal Guid Brief { get; private set; }

        public async ValueTask InitializeAsync()
        {
            Server = await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"] });
            Server.Http.DefaultRequestHeaders.Authorization = new("Bearer", Server.Server.FirstKey);
            Services =
                ((WebApplication)typeof(StudioServer).GetField("_app",
                    BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(Server.Server)!).Services;
            var briefs = Services.GetRequiredService<Briefs>();
            Brief = await briefs.CreateAsync(Guid.CreateVersion7(), "ann", new BriefFields());
            var fields = new BriefFields { Name = "Quill", What = "Text editor", Facts = "a secret launch in May", Audience = "novelists" };
            await briefs.AddSetAsync(Brief, "ann", new DraftSet
            {
                Id = Guid.CreateVersion7(), Time = DateTimeOffset.UtcNow, Kind = "tagline", Model = "0000", Fields = fields,
                Drafts = [
                    .. Texts.Select(text => new Draft { Generation = Guid.CreateVersion7(), State = DraftState.Ready, Written = text,
                        Text = text })],
            });
        }

        public ValueTask DisposeAsync() => Server.DisposeAsync();

        /// <summary>Another person: own cookies, own address (all of 127.0.0.0/8 is this machine's), so that nobody uses up another's
        /// calls.</summary>
        internal HttpClient NewOutsider()
        {
            var from = new IPEndPoint(new IPAddress([127, 0, 1, (byte)Interlocked.Increment(ref s_addresses)]), 0);
            return new(new SocketsHttpHandler
            {
                CookieContainer = new CookieContainer(),
                ConnectCallback = async (context, cancellation) =>
                {
                    var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                    socket.Bind(from);
                    await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            }) { BaseAddress = new Uri(Server.Server.Url) };
        }
    }
}
