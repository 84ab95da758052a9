using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Translation;
using Flywheel.Studio.Access;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Chat;
using Flywheel.Studio.Apps.Console;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Tests.Access;

/// <summary>What each role opens, at every endpoint and behind the pages.</summary>
public sealed class RoleTests(RoleTests.Reached reached) : IClassFixture<RoleTests.Reached>
{
    private const string Password = "plum lantern quay";

    private readonly TestServer _server = reached.Server;
    private readonly Accounts _accounts = reached.Server.Service<Accounts>();

    /// <summary>One server, which others reach, for every test: each has people of its own.</summary>
    public sealed class Reached : IAsyncLifetime
    {
        internal TestServer Server { get; private set; } = null!;

        internal int NumPeople { get; set; }

        public async ValueTask InitializeAsync() =>
            Server = await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"] });

        public ValueTask DisposeAsync() => Server.DisposeAsync();
    }

    [Fact]
    public async Task Roles_EachKindOfRoute_OpenWhatTheTableSays()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner), editor = await JoinAsync(AccountRole.Editor),
            reviewer = await JoinAsync(AccountRole.Reviewer), viewer = await JoinAsync(AccountRole.Viewer);
        (string Method, string Path, AccountRole From)[] routes =
        [
            ("GET", "/v1/keys", AccountRole.Viewer), ("POST", "/v1/keys", AccountRole.Editor), ("DELETE", "/v1/keys/x", AccountRole.Editor),
            ("GET", "/v1/models", AccountRole.Viewer), ("GET", "/write", AccountRole.Viewer), ("GET", "/loop", AccountRole.Viewer),
            ("GET", "/v1/rollouts/drafts", AccountRole.Viewer), ("GET", "/metrics", AccountRole.Viewer),
            ("POST", "/_blazor/negotiate?negotiateVersion=1", AccountRole.Viewer),
            ("GET", "/v1/translate/glossary?source_language=en&target_language=de", AccountRole.Viewer),
            ("POST", "/feedback", AccountRole.Reviewer),
            ("POST", "/v1/chat/completions", AccountRole.Editor), ("POST", "/v1/tasks/arithmetic", AccountRole.Editor),
            ("POST", "/v1/translate/glossary", AccountRole.Editor), ("POST", "/v1/write/bulk", AccountRole.Editor),
            ("POST", "/v1/fine_tuning/jobs", AccountRole.Editor), ("DELETE", "/v1/files/file-x", AccountRole.Editor),
            ("POST", "/write", AccountRole.Editor),
            ("GET", "/admin/status", AccountRole.Owner), ("POST", "/admin/promote", AccountRole.Owner),
            ("GET", "/v1/people", AccountRole.Owner), ("POST", "/v1/people/invitations", AccountRole.Owner),
            ("GET", "/v1/audit", AccountRole.Owner),
            ("GET", "/v1/deletions", AccountRole.Owner), ("POST", "/v1/deletions", AccountRole.Owner),
            ("GET", "/v1/rollouts", AccountRole.Owner), ("POST", "/v1/rollouts", AccountRole.Owner),
        ];
        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.OK),
            ((await viewer.Http.GetAsync("/loop/review/export")).StatusCode,
                (await reviewer.Http.GetAsync("/loop/review/export")).StatusCode));
        // a refusal is no export
        Assert.Single(await _server.Service<FlywheelStore>().AuditAsync(100, act: AuditAct.Export), row => row.About == "reviews");
        foreach ((AccountRole role, Browser browser) in new[] { (AccountRole.Viewer, viewer), (AccountRole.Reviewer, reviewer),
            (AccountRole.Editor, editor), (AccountRole.Owner, owner) })
        {
            foreach ((string method, string path, AccountRole from) in routes)
            {
                using HttpResponseMessage response = await SendAsync(browser, method, path);
                bool refused = response.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized;
                Assert.True(refused == role < from, $"{method} {path} answered the {role} {response.StatusCode}");
                if (refused && path.StartsWith("/v1", StringComparison.Ordinal))
                    await AccessTests.AssertRefusedAsync(response, path, 403, "insufficient_scope", $"the role '{Roles.NameOf(role)}'");
            }
        }
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(0, (await store.CountAsync()).Feedback);
    }

    /// <summary>Not a list that somebody must keep: whatever the server maps, and does something, a viewer may not call.</summary>
    [Fact]
    public async Task Viewer_EveryEndpointThatDoesSomething_IsRefused()
    {
        await JoinAsync(AccountRole.Owner);
        using Browser viewer = await JoinAsync(AccountRole.Viewer);
        int tried = 0;
        foreach (RouteEndpoint endpoint in _server.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            string route = endpoint.RoutePattern.RawText!.TrimStart('/');
            // a person's own way in and out, and the pages' connection
            if (route.Split('/')[0] is "sign-in" or "sign-out" or "join" or "account" or "s" or "_blazor" or "health" or "") continue;
            if (endpoint.RoutePattern.Parameters.Any(parameter => parameter.IsCatchAll)) continue; // files of the pages
            string path =
                "/" + System.Text.RegularExpressions.Regex.Replace(route, @"\{[^}]*\}",
                    match => match.Value.Contains("guid", StringComparison.Ordinal) || match.Value.Contains("id", StringComparison.Ordinal)
                        ? $"{Guid.Empty}" : "1");
            foreach (string method in (endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Where(method =>
                method is not ("GET" or "HEAD" or "OPTIONS")))
            {
                using HttpResponseMessage response = await SendAsync(viewer, method, path);
                Assert.True(response.StatusCode == HttpStatusCode.Forbidden, $"{method} {path} answered a viewer {response.StatusCode}");
                tried++;
            }
        }
        Assert.True(tried > 50, $"{tried} endpoints");
    }

    /// <summary>A page's connection carries everything that is done there; who may only look is refused where it would be done.</summary>
    [Fact]
    public async Task Viewer_WhateverAPageCouldDo_IsRefusedAndRecordsNothing()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner, "dora");
        AccountRow row = await _accounts.GetAsync("dora");
        var pair = new LanguagePair(WorkspaceRow.Default, "en", "de");
        string user = row.User;
        (string What, AccountRole From, Func<Task> Act)[] acts =
        [
            ("document", AccountRole.Editor, () => Service<Documents>().PutAsync(Guid.NewGuid(), user, "write", "brief", "", "{}")),
            ("new document", AccountRole.Editor, () => Service<Documents>().AddAsync(Guid.NewGuid(), user, "write", "brief", "", "{}")),
            ("change", AccountRole.Editor, () => Service<Documents>().ChangeAsync(Guid.NewGuid(), user, _ => true)),
            ("delete", AccountRole.Editor, () => Service<Documents>().DeleteAsync(Guid.NewGuid(), user)),
            ("chat", AccountRole.Editor, () => Service<Chats>().AddAsync(null, user, null, Model.Role.User, "hello")),
            ("memory", AccountRole.Editor, () => Service<TranslationMemory>().AddAsync(pair, user, "a", "b")),
            ("memory import", AccountRole.Editor,
                () => Service<TranslationMemory>().ImportAsync(pair, user, new MemoryStream("<tmx/>"u8.ToArray()))),
            ("memory delete", AccountRole.Editor, () => Service<TranslationMemory>().DeleteAsync(pair.Workspace, Guid.NewGuid())),
            ("glossary", AccountRole.Editor, () => Service<Glossary>().PutAsync(pair, user, new TermInput("a", "b"))),
            ("term delete", AccountRole.Editor, () => Service<Glossary>().DeleteAsync(pair.Workspace, Guid.NewGuid())),
            ("job", AccountRole.Editor, () => Service<JobQueue>().EnqueueAsync("nothing", "{}", user)),
            ("generation", AccountRole.Editor,
                () => Task.FromResult(Service<Generator>().Start(_ => throw new NotSupportedException(), CancellationToken.None))),
            ("feedback", AccountRole.Reviewer,
                () => Service<FlywheelStore>().AddFeedbackAsync(new FeedbackInput(Guid.NewGuid(), Metrics.Keep, true, user))),
            ("import", AccountRole.Owner, () => Service<ImportJob>().EnqueueAsync("nowhere", "", user)),
            ("serve", AccountRole.Owner, () => Service<ModelSwitch>().ServeAsync("nothing", "")),
            ("rollout", AccountRole.Owner, () => Service<RolloutHost>().StopAsync("")),
            ("forget", AccountRole.Owner, () => Service<ForgetJob>().EnqueueAsync("nobody")),
            ("invite", AccountRole.Owner, () => _accounts.InviteAsync(AccountRole.Owner)),
            ("promote oneself", AccountRole.Owner, () => _accounts.SetRoleAsync(row.Id, AccountRole.Owner)),
            ("reset", AccountRole.Owner, () => _accounts.ResetAsync(row.Id)),
            ("disable", AccountRole.Owner, () => _accounts.DisableAsync(row.Id)),
            ("enable", AccountRole.Owner, () => _accounts.EnableAsync(row.Id)),
        ];
        foreach (AccountRole role in new[] { AccountRole.Viewer, AccountRole.Reviewer, AccountRole.Editor })
            foreach ((string what, AccountRole from, Func<Task> act) in acts.Where(act => role < act.From))
            {
                Exception? refused = await As(role, act);
                Assert.True(refused is NotAllowedException, $"{what} by a {role}: {refused}");
            }
        Assert.IsNotType<NotAllowedException>(await As(AccountRole.Editor, acts[0].Act)); // and it is the role that refuses
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        Assert.Equal((1, 0, 0, 0), (db.Documents.Count(document => document.User == user), db.Conversations.Count(), db.Feedback.Count(),
            db.Jobs.Count()));

        async Task<Exception?> As(AccountRole role, Func<Task> act) => await Record.ExceptionAsync(async () =>
        {
            Actor.Is(user, Roles.ScopesOf(role)); // for this call alone
            await act();
        });
    }

    [Fact]
    public async Task PeopleAndAudit_ByTheApi_SayWhoDidWhat()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner, "ann");
        JsonNode link = await PostAsync(owner, "/v1/people/invitations",
            new() { ["role"] = "reviewer", ["name"] = "Ben <b>", ["days"] = 2 });
        string path = new Uri((string)link["url"]!).AbsolutePath;
        Assert.StartsWith(_server.Server.Url, (string)link["url"]!, StringComparison.Ordinal);
        Assert.DoesNotContain("url", (await GetAsync(owner, "/v1/people"))["invitations"]![0]!.AsObject());
        using var ben = new Browser(_server.Server.Url);
        Assert.Equal(HttpStatusCode.Redirect, (await ben.JoinAsync(path, "ben", "Ben", Password)).StatusCode);
        string id = $"{(await _accounts.GetAsync("ben")).Id}";
        Assert.Equal("editor", (string)(await PostAsync(owner, $"/v1/people/{id}", new() { ["role"] = "editor" }))["role"]!);
        // at once, in the session that is open
        Assert.Equal(HttpStatusCode.OK, (await ben.Http.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);
        Assert.NotNull((await PostAsync(owner, $"/v1/people/{id}/reset", []))["url"]);
        Assert.True((bool)(await PostAsync(owner, $"/v1/people/{id}", new() { ["disabled"] = true }))["disabled"]!);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ben.Http.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);

        JsonArray audit = (await GetAsync(owner, "/v1/audit?limit=1000"))["data"]!.AsArray();
        Assert.Equal(["disable", "reset-link", "role", "sign-in", "join", "invite", "sign-in", "join"],
            audit.Select(entry => (string)entry!["act"]!).Take(8));
        Assert.Equal(["ann", "ann", "ann", "ben", "ben", "ann", "ann", "ann"], audit.Select(entry => (string?)entry!["name"]).Take(8));
        Assert.Equal("ben", (string)audit[2]!["whom_name"]!);
        Assert.DoesNotContain("Ben", audit.ToJsonString(), StringComparison.Ordinal);
        Assert.All((await GetAsync(owner, "/v1/audit?act=join"))["data"]!.AsArray(), entry => Assert.Equal("join", (string)entry!["act"]!));
        JsonNode page = await GetAsync(owner, $"/v1/audit?who=ben&limit=2");
        Assert.Equal(("disable", true), ((string)page["data"]![0]!["act"]!, (bool)page["has_more"]!));
        Assert.Equal("role",
            (string)(await GetAsync(owner, $"/v1/audit?who=ben&limit=2&before={page["data"]![1]!["id"]}"))["data"]![0]!["act"]!);

        foreach ((string to, JsonObject body, string says) in new (string, JsonObject, string)[]
        {
            ("/v1/people/invitations", new() { ["role"] = "king" }, "expected one of viewer, reviewer, editor, owner"),
            ("/v1/people/invitations", new() { ["role"] = "viewer", ["days"] = 0 }, "'days'"),
            ("/v1/people/invitations", new() { ["role"] = "viewer", ["name"] = "a\u0000" }, "label"),
            ("/v1/people/invitations", new() { ["rule"] = "viewer" }, "'rule'"), ($"/v1/people/{id}", [], "'role' and 'disabled'"),
            ("/v1/people/x", new() { ["role"] = "viewer" }, "expected a UUID"),
            ($"/v1/people/{Guid.Empty}", new() { ["role"] = "viewer" }, "no account"),
        })
        {
            using HttpResponseMessage refused = await owner.Http.PostAsJsonAsync(to, body);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains(says, (string)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["message"]!,
                StringComparison.Ordinal);
        }
    }

    /// <summary>On loopback nobody is asked, until somebody has an account; then what the first had made there is still theirs.</summary>
    [Fact]
    public async Task ThisMachine_UntilAndSinceTheFirstAccount()
    {
        await using TestServer server = await TestServer.StartAsync();
        Assert.Null(server.Server.FirstLink);
        using Browser browser = new(server.Server.Url), another = new(server.Server.Url);
        using HttpResponseMessage visit = await browser.Http.GetAsync("/write");
        Assert.Equal(HttpStatusCode.OK, visit.StatusCode);
        string person = visit.Headers.GetValues("Set-Cookie")
            .Single(value => value.StartsWith("flywheel_person=", StringComparison.Ordinal)).Split('=', ';')[1];
        var accounts = server.Service<Accounts>();
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf((await accounts.InviteFirstAsync())!), "ann", "Ann",
            Password);
        Assert.Equal(HttpStatusCode.Redirect, joined.StatusCode);
        Assert.Equal(person, (await accounts.GetAsync("ann")).User);
        Assert.Equal(HttpStatusCode.OK, (await browser.Http.GetAsync("/write")).StatusCode);
        Assert.Equal(HttpStatusCode.Redirect, (await another.Http.GetAsync("/write")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await another.Http.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat())).StatusCode);
        // the home's secret, as the command line has it
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/admin/status")).StatusCode);

        // Their name as a visitor, which others may learn, is theirs alone now: with it a key of nobody's is somebody new.
        Assert.Contains(joined.Headers.GetValues("Set-Cookie"),
            value => value.StartsWith("flywheel_person=; expires=", StringComparison.Ordinal));
        await using FlywheelStore store = await server.OpenStoreAsync();
        (_, string key) = await new ApiKeys(store, TimeProvider.System).CreateAsync("app", [Scopes.Inference, Scopes.Feedback]);
        using (HttpResponseMessage entered = await another.SendAsync("/sign-in", "/sign-in", true,
            ("key", key))) Assert.Equal(HttpStatusCode.Redirect, entered.StatusCode);
        another.Cookies.Add(new Uri(server.Server.Url), new Cookie("flywheel_person", person));
        using (HttpResponseMessage claimed = await another.Http.GetAsync("/write"))
        {
            string set = claimed.Headers.GetValues("Set-Cookie")
                .Single(value => value.StartsWith("flywheel_person=person-", StringComparison.Ordinal));
            Assert.DoesNotContain(person, set, StringComparison.Ordinal);
            Assert.DoesNotContain(person, await claimed.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        await new Forget(store).RunAsync(person);
        await server.Service<ForgetJob>().Removed();
        using Browser later = new(server.Server.Url);
        Assert.Equal(HttpStatusCode.OK, (await later.Http.GetAsync("/write")).StatusCode); // nobody has an account
    }

    private T Service<T>() where T : notnull => _server.Service<T>();

    private async Task<Browser> JoinAsync(AccountRole role, string? name = null)
    {
        (_, string token) = await _accounts.InviteAsync(role);
        var browser = new Browser(_server.Server.Url);
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf(token), name ?? $"{Roles.NameOf(role)}{reached.NumPeople++}",
            name ?? $"The {role}", Password);
        Assert.True(joined.StatusCode == HttpStatusCode.Redirect, await joined.Content.ReadAsStringAsync());
        return browser;
    }

    private static Task<HttpResponseMessage> SendAsync(Browser browser, string method, string path)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method != "GET") request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        return browser.Http.SendAsync(request);
    }

    private static async Task<JsonNode> GetAsync(Browser browser, string path) => (await browser.Http.GetFromJsonAsync<JsonNode>(path))!;

    private static async Task<JsonNode> PostAsync(Browser browser, string path, JsonObject body)
    {
        using HttpResponseMessage response = await browser.Http.PostAsJsonAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }
}
