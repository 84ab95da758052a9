using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;
using OpenAI;
using OpenAI.Chat;

namespace Flywheel.Studio.Tests;

/// <summary>Keys at a server that listens beyond loopback.</summary>
public sealed class KeyTests : IAsyncLifetime
{
    private TestServer _server = null!;
    private FlywheelStore _store = null!;
    private ApiKeys _keys = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync(options: options => options with { Url = "http://0.0.0.0:0" });
        _store = await _server.OpenStoreAsync();
        _keys = new ApiKeys(_store, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task AnotherAddress_WithoutAKey_IsRefusedWithTheFirstOneServedWithARevokedOneRefusedAtOnce()
    {
        var away = new UriBuilder(_server.Server.Url) { Host = $"{Network.OwnAddress()}" }.Uri;
        string key = _server.Server.FirstKey!;
        foreach (Uri address in new[] { away, new Uri(_server.Server.Url) })
        {
            using HttpResponseMessage none = await SendAsync("GET", "/v1/models", null, address);
            await AccessTests.AssertRefusedAsync(none, "/v1/models", 401, "invalid_api_key", "keys create");
            Assert.Equal("Bearer realm=\"flywheel\"", $"{none.Headers.WwwAuthenticate.Single()}");
            using HttpResponseMessage wrong = await SendAsync("GET", "/v1/models", key[..^1] + (key[^1] == 'A' ? 'B' : 'A'), address);
            await AccessTests.AssertRefusedAsync(wrong, "/v1/models", 401, "invalid_api_key", "not known");
            Assert.Contains("error=\"invalid_token\"", $"{wrong.Headers.WwwAuthenticate.Single()}", StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.OK, (await SendAsync("GET", "/v1/models", key, address)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await SendAsync("GET", "/health", null, address)).StatusCode);
        }
        KeyRow first = Assert.Single(await _keys.ListAsync());
        Assert.Equal("inference feedback", first.Scopes);
        Assert.NotNull(first.LastUsed);

        await _keys.RevokeAsync(first.Name);
        await AccessTests.AssertRefusedAsync(await SendAsync("GET", "/v1/models", key, away), "/v1/models", 401, "invalid_api_key",
            "was revoked");
    }

    [Fact]
    public async Task FirstKey_OfAHome_IsMadeOnce()
    {
        Assert.StartsWith(ApiKeys.Prefix, _server.Server.FirstKey, StringComparison.Ordinal);
        await _server.Server.DisposeAsync();
        await _keys.RevokeAsync((await _keys.ListAsync())[0].Name);
        await using StudioServer again =
            await StudioServer.StartAsync(new StudioOptions { Home = _server.Home, Url = "http://0.0.0.0:0",
                Engine = new() { Threads = 1 } });
        Assert.Null(again.FirstKey);
        Assert.Single(await _keys.ListAsync());
        await again.DisposeAsync();
        await using (FlywheelDb db = _store.Tables()) await db.Keys.ExecuteDeleteAsync();
        var accounts = new Accounts(_store, TimeProvider.System);
        await accounts.AcceptAsync((await accounts.InviteFirstAsync())!, "ann", "Ann", "plum lantern quay");
        await using StudioServer people =
            await StudioServer.StartAsync(new StudioOptions { Home = _server.Home, Url = "http://127.0.0.1:0",
                Engine = new() { Threads = 1 } });
        Assert.Equal((true, null), (people.NeedsKey, people.FirstKey)); // who has an account makes the keys that they want
        Assert.Empty(await _keys.ListAsync());
    }

    /// <summary>Each set of scopes against each kind of route.</summary>
    [Fact]
    public async Task Scopes_AnySet_OpenWhatTheyNameAndNothingElse()
    {
        (string Method, string Path, string[] Needed)[] routes =
        [
            ("GET", "/v1/models", [Scopes.Inference]), ("POST", "/v1/chat/completions", [Scopes.Inference]),
            ("POST", "/v1/completions", [Scopes.Inference]), ("POST", "/v1/embeddings", [Scopes.Inference]),
            ("POST", "/feedback", [Scopes.Feedback]), ("GET", "/admin/status", [Scopes.Admin]), ("POST", "/admin/promote", [Scopes.Admin]),
            ("DELETE", "/admin/adapters/x", [Scopes.Admin]),
            ("POST", "/_blazor/negotiate?negotiateVersion=1", [Scopes.Inference, Scopes.Feedback]),
            ("GET", "/write", [Scopes.Inference, Scopes.Feedback]), ("GET", "/health", []),
        ];
        for (int set = 1; set < 8; set++)
        {
            string[] scopes = [.. Scopes.All.Where((_, i) => (set & (1 << i)) != 0)];
            (_, string key) = await _keys.CreateAsync($"set {set}", scopes);
            foreach ((string method, string path, string[] needed) in routes)
            {
                using HttpResponseMessage response = await SendAsync(method, path, key);
                if (needed.All(scopes.Contains))
                    Assert.True(response.StatusCode is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden),
                        $"{path} with {string.Join(' ', scopes)} answered {response.StatusCode}");
                else
                {
                    await AccessTests.AssertRefusedAsync(response, path, 403, "insufficient_scope", $"which needs the scope '{needed[0]}'");
                    Assert.Contains($"scope=\"{string.Join(' ', needed)}\"", $"{response.Headers.WwwAuthenticate.Single()}",
                        StringComparison.Ordinal);
                }
            }
        }
        Assert.Equal((0, 0), ((await _store.CountAsync()).Generations, (await _store.CountAsync()).Feedback));
    }

    [Fact]
    public async Task Key_OfAPerson_SpeaksForThemAlone()
    {
        (_, string key) = await _keys.CreateAsync("laptop", [Scopes.Inference, Scopes.Feedback], "ann");
        JsonObject chat = TestServer.Chat();
        JsonNode answer = await JsonAsync(await SendAsync("POST", "/v1/chat/completions", key, body: chat));
        chat["user"] = "ann";
        await JsonAsync(await SendAsync("POST", "/v1/chat/completions", key, body: chat));
        var keep = new JsonObject { ["inference_id"] = (string)answer["choices"]![0]!["generation_id"]!, ["metric_name"] = "keep",
            ["value"] = true };
        await JsonAsync(await SendAsync("POST", "/feedback", key, body: keep));

        foreach (JsonNode? other in new JsonNode?[] { "ben", "", "Ann", 7, new JsonArray() })
            foreach ((string path, JsonObject body) in new[] { ("/v1/chat/completions", chat), ("/feedback", keep),
                ("/v1/embeddings", new JsonObject { ["model"] = "flywheel", ["input"] = "x" }) })
            {
                body["user"] = other?.DeepClone();
                using HttpResponseMessage refused = await SendAsync("POST", path, key, body: body);
                await AccessTests.AssertRefusedAsync(refused, path, 403, "user_mismatch", "the key is that of 'ann'");
            }

        IReadOnlyList<Generation> generations = await _store.RecentGenerationsAsync(10);
        Assert.Equal(2, generations.Count);
        Assert.All(generations, generation => Assert.Equal(("ann", "ann"), (generation.User, generation.Owner)));
        Feedback feedback = Assert.Single(await _store.FeedbackAsync(Guid.Parse((string)keep["inference_id"]!)));
        Assert.Equal(("ann", "ann"), (feedback.User, feedback.Owner));
    }

    [Fact]
    public async Task Key_OfAnApplication_NamesItsUsersItself()
    {
        JsonObject chat = TestServer.Chat();
        chat["user"] = "ben";
        await JsonAsync(await SendAsync("POST", "/v1/chat/completions", _server.Server.FirstKey, body: chat));
        Generation generation = Assert.Single(await _store.RecentGenerationsAsync(10));
        Assert.Equal(("ben", ""), (generation.User, generation.Owner));
    }

    [Fact]
    public async Task Key_Expired_IsRefused()
    {
        var past = new Clock(DateTimeOffset.UtcNow.AddDays(-2));
        (_, string key) = await new ApiKeys(_store, past).CreateAsync("old", Scopes.All, expires: DateTimeOffset.UtcNow.AddDays(-1));
        await AccessTests.AssertRefusedAsync(await SendAsync("GET", "/v1/models", key), "/v1/models", 401, "invalid_api_key", "expired");
    }

    [Fact]
    public async Task Authorization_AnyText_OpensNothing()
    {
        string key = _server.Server.FirstKey!;
        string[] near = ["Bearer", "Bearer ", $"Basic {key}", $"bearer{key}", key, $"Bearer {key} {key}",
            $"Bearer {key.ToLowerInvariant()}", $"Bearer  {key}x", $"Bearer \"{key}\"", $"Token {key}", $"Bearer {key},Bearer {key}"];
        await Gen.OneOf(Gen.OneOf([.. near.Select(Gen.Const)]), Gen.String[Gen.Char[' ', '~'], 0, 80],
            Gen.String[Gen.Char[' ', '~'], 0, 60].Select(text => $"Bearer {text}")).SampleAsync(async header =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
            request.Headers.TryAddWithoutValidation("Authorization", header);
            using HttpResponseMessage response = await _server.Http.SendAsync(request);
            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"'{header}' answered {response.StatusCode}");
        }, iter: 200, threads: 2);
    }

    /// <summary>OpenAI's own client, as programs use it.</summary>
    [Fact]
    public async Task OpenAIClient_WithAndWithoutAKey_IsServedAndIsToldWhatIsWrong()
    {
        ChatClient Client(string key) =>
            new("flywheel", new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(_server.Server.Url + "/v1") });
        ChatCompletion answer = await Client(_server.Server.FirstKey!)
            .CompleteChatAsync([new UserChatMessage("Write a tagline.")], new ChatCompletionOptions { MaxOutputTokenCount = 4 });
        Assert.NotNull(answer.Id);
        var refused =
            await Assert.ThrowsAsync<ClientResultException>(() =>
                Client("sk-wrong").CompleteChatAsync([new UserChatMessage("Write a tagline.")]));
        Assert.Equal(401, refused.Status);
        Assert.Contains("invalid_api_key", refused.Message, StringComparison.Ordinal);
    }

    internal sealed class Clock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }

    private Task<HttpResponseMessage> SendAsync(string method, string path, string? key, Uri? server = null, JsonObject? body = null)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), new Uri(server ?? new Uri(_server.Server.Url), path));
        if (method == "POST") request.Content = new StringContent(body?.ToJsonString() ?? "{}", Encoding.UTF8, "application/json");
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        return s_anybody.SendAsync(request);
    }

    private static readonly HttpClient s_anybody =
        new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false });

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage response)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }
}
