using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;

namespace Flywheel.Studio.Tests.Access;

/// <summary>Keys by the API: who makes, sees and revokes which, and what their limits let through.</summary>
public sealed class KeyEndpointTests(RoleTests.Reached reached) : IClassFixture<RoleTests.Reached>
{
    private const string Password = "plum lantern quay";

    private readonly TestServer _server = reached.Server;

    [Fact]
    public async Task Keys_MadeByAMember_AreTheirsAndOpenNoMoreThanThey()
    {
        using Browser ann = await JoinAsync(AccountRole.Owner), ben = await JoinAsync(AccountRole.Editor),
            cy = await JoinAsync(AccountRole.Editor);
        JsonNode mine = await PostAsync(ben.Http,
            new() { ["name"] = "ben's laptop", ["scopes"] = new JsonArray("inference", "feedback"), ["days"] = 2 });
        Assert.StartsWith(ApiKeys.Prefix, (string)mine["key"]!, StringComparison.Ordinal);
        await RefusedAsync(ben.Http, HttpStatusCode.Forbidden, "'admin'", new() { ["name"] = "more", ["scopes"] = new JsonArray("admin") });
        await RefusedAsync(ben.Http, HttpStatusCode.Forbidden, "'admin'",
            new() { ["name"] = "another's", ["scopes"] = new JsonArray("inference"), ["user"] = "somebody" });
        await RefusedAsync(ben.Http, HttpStatusCode.Forbidden, "'admin'",
            new() { ["name"] = "nobody's", ["scopes"] = new JsonArray("inference"), ["user"] = "" });

        using HttpClient program = With((string)mine["key"]!);
        Assert.Equal(HttpStatusCode.OK, (await program.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);
        await RefusedAsync(program, HttpStatusCode.Forbidden, "makes no other keys",
            new() { ["name"] = "child", ["scopes"] = new JsonArray("inference") });
        Assert.Equal([(string)mine["id"]!], Ids(await ListAsync(program)));
        Assert.Equal(Ids(await ListAsync(ben.Http)), Ids(await ListAsync(program)));
        Assert.Empty(Ids(await ListAsync(cy.Http)));
        JsonNode seen = (await ListAsync(ann.Http)).AsArray().Single(key => (string)key!["id"]! == (string)mine["id"]!)!;
        Assert.DoesNotContain("key", seen.AsObject());
        Assert.Equal(("valid", true), ((string)seen["state"]!, seen["last_used"] is not null));

        Assert.Equal(HttpStatusCode.NotFound, (await cy.Http.DeleteAsync($"/v1/keys/{mine["id"]}")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await ann.Http.DeleteAsync($"/v1/keys/{mine["id"]}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await ben.Http.DeleteAsync($"/v1/keys/{mine["id"]}")).StatusCode); // it is revoked already
        Assert.Equal(HttpStatusCode.Unauthorized, (await program.GetAsync("/v1/models")).StatusCode);
        Assert.Equal("revoked", (string)(await ListAsync(ben.Http))[0]!["state"]!);
        Assert.Equal(["key-revoked", "key-made"],
            (await _server.Service<FlywheelStore>().AuditAsync(10)).Where(row => row.About == "ben's laptop").Select(row => row.Act));

        foreach ((JsonObject body, string says) in new (JsonObject, string)[]
        {
            (new() { ["scopes"] = new JsonArray("inference") }, "'name'"), (new() { ["name"] = "x" }, "'scopes'"),
            (new() { ["name"] = "x", ["scopes"] = new JsonArray("all") }, "inference, feedback, admin, read"),
            (new() { ["name"] = "x", ["scopes"] = new JsonArray("read"), ["days"] = 0 }, "'days'"),
            (new() { ["name"] = "x", ["scopes"] = new JsonArray("read"), ["requests_per_day"] = 0 }, "'requests_per_day'"),
            (new() { ["name"] = "x", ["scopes"] = new JsonArray("read"), ["tokens_per_day"] = "many" }, "'tokens_per_day'"),
            (new() { ["name"] = " x", ["scopes"] = new JsonArray("read") }, "name"), (new() { ["nam"] = "x" }, "'nam'"),
        }) await RefusedAsync(ann.Http, HttpStatusCode.BadRequest, says, body);
    }

    [Fact]
    public async Task Limits_UsedUp_Answer429UntilMidnight()
    {
        using HttpClient admin = With(await File.ReadAllTextAsync(Path.Combine(_server.Home.Path, "admin.secret")));
        JsonNode calls =
            await PostAsync(admin, new() { ["name"] = "two calls", ["scopes"] = new JsonArray("inference", "feedback"),
                ["requests_per_day"] = 2 });
        using HttpClient program = With((string)calls["key"]!);
        for (int i = 0; i < 2; i++)
            Assert.Equal(HttpStatusCode.OK, (await program.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);
        using (HttpResponseMessage refused = await program.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat()))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(0), TimeSpan.FromDays(1));
            JsonNode error = JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!;
            Assert.Equal("insufficient_quota", (string)error["code"]!);
            Assert.Matches("'two calls' has used its 2 calls of today; it goes on at .* 00:00 UTC", (string)error["message"]!);
        }
        Assert.Equal(HttpStatusCode.OK, (await program.GetAsync("/v1/models")).StatusCode); // looking costs nothing
        Assert.Equal(2, (int)(await ListAsync(admin)).AsArray().Single(key => (string)key!["name"]! == "two calls")!["requests_today"]!);

        JsonNode tokens = await PostAsync(admin,
            new() { ["name"] = "few tokens", ["scopes"] = new JsonArray("inference"), ["tokens_per_day"] = 1 });
        using HttpClient other = With((string)tokens["key"]!);
        JsonNode answer =
            JsonNode.Parse(await (await other.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).Content.ReadAsStringAsync())!;
        Assert.Equal((long)answer["usage"]!["total_tokens"]!,
            (long)(await ListAsync(admin)).AsArray().Single(key => (string)key!["name"]! == "few tokens")!["tokens_today"]!);
        Assert.Equal(HttpStatusCode.TooManyRequests, (await other.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);

        // What only reads counts, too.
        JsonNode read =
            await PostAsync(admin, new() { ["name"] = "reads", ["scopes"] = new JsonArray("inference"), ["tokens_per_day"] = 1 });
        using HttpClient reader = With((string)read["key"]!);
        JsonNode vectors =
            JsonNode.Parse(
                await (await reader.PostAsJsonAsync("/v1/embeddings",
                    new JsonObject { ["model"] = "flywheel", ["input"] = "the wheel" })).Content.ReadAsStringAsync())!;
        Assert.Equal((long)vectors["usage"]!["total_tokens"]!, await TokensAsync("reads"));

        using var person = new Browser(_server.Server.Url); // what is done on pages is not counted, so such a key opens none
        using HttpResponseMessage page = await person.SendAsync("/sign-in", "/sign-in", true, ("key", (string)calls["key"]!));
        Assert.Equal(HttpStatusCode.Unauthorized, page.StatusCode);
        Assert.Contains("daily limit", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private async Task<long> TokensAsync(string name)
    {
        KeyRow key = (await _server.Service<ApiKeys>().ListAsync()).Single(row => row.Name == name);
        return (await _server.Service<ApiKeys>().UsesAsync())[key.Id].Tokens;
    }

    /// <summary>Nobody in particular, who may ask the model of a machine without accounts, makes no keys there.</summary>
    [Fact]
    public async Task Nobody_OnThisMachine_MakesNoKeyByTheApi()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var nobody = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(server.Server.Url) };
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await nobody.PostAsJsonAsync("/v1/keys", new JsonObject { ["name"] = "x", ["scopes"] = new JsonArray("admin") })).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.GetAsync("/v1/keys")).StatusCode);
        Assert.Empty(await server.Service<ApiKeys>().ListAsync());
    }

    private async Task<Browser> JoinAsync(AccountRole role)
    {
        (_, string token) = await _server.Service<Accounts>().InviteAsync(role);
        var browser = new Browser(_server.Server.Url);
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf(token), $"k{reached.NumPeople++}", $"The {role}", Password);
        Assert.Equal(HttpStatusCode.Redirect, joined.StatusCode);
        return browser;
    }

    private HttpClient With(string key)
    {
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(_server.Server.Url) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Trim());
        return http;
    }

    private static async Task<JsonNode> ListAsync(HttpClient http) => (await http.GetFromJsonAsync<JsonNode>("/v1/keys"))!["data"]!;

    private static string[] Ids(JsonNode keys) => [.. keys.AsArray().Select(key => (string)key!["id"]!)];

    private static async Task<JsonNode> PostAsync(HttpClient http, JsonObject body)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("/v1/keys", body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        Assert.True(response.Headers.CacheControl!.NoStore);
        return JsonNode.Parse(text)!;
    }

    private static async Task RefusedAsync(HttpClient http, HttpStatusCode status, string says, JsonObject body)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("/v1/keys", body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, text);
        Assert.Contains(says, (string)JsonNode.Parse(text)!["error"]!["message"]!, StringComparison.Ordinal);
    }
}
