using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;

namespace Flywheel.Studio.Tests.Access;

/// <summary>A team at a server that others can reach: from the first link to a session that ends.</summary>
public sealed class AccountPageTests : IAsyncLifetime
{
    private const string Password = "plum lantern quay", Evil = "<script>alert(1)</script>\"'&";

    private TestServer _server = null!;
    private Accounts _accounts = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync(options: options => options with { Hosts = ["studio.example.com"] });
        _accounts = _server.Service<Accounts>();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task FirstLink_Opened_MakesTheOwnerOnceAndSignsThemIn()
    {
        string link = _server.Server.FirstLink!;
        Assert.NotNull(_server.Server.FirstKey); // for programs, as before
        using Browser ann = NewBrowser(), ben = NewBrowser();
        using (HttpResponseMessage looked = await ben.Http.GetAsync(link)) // a preview of the link uses nothing up
        {
            Assert.Equal(HttpStatusCode.OK, looked.StatusCode);
            Assert.Equal("same-origin", looked.Headers.GetValues("Referrer-Policy").Single());
            Assert.True(looked.Headers.CacheControl!.NoStore);
        }
        using (HttpResponseMessage without = await ann.SendAsync(link, link, withToken: false, ("name", "ann"), ("display", "Ann"),
            ("password", Password), ("again", Password)))
            Assert.Equal(HttpStatusCode.BadRequest, without.StatusCode);
        using (HttpResponseMessage unlike = await ann.SendAsync(link, link, true, ("name", "ann"), ("display", "Ann"),
            ("password", Password), ("again", Password + "x")))
            Assert.Contains("not the same", await unlike.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.False(await _accounts.AnyAsync());

        using HttpResponseMessage joined = await ann.JoinAsync(link, "ann", Evil, Password);
        Assert.Equal((HttpStatusCode.Redirect, "/"), (joined.StatusCode, $"{joined.Headers.Location}"));
        string cookie = joined.Headers.GetValues("Set-Cookie").Single(value => value.StartsWith("flywheel_key=", StringComparison.Ordinal));
        Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        AccountRow owner = Assert.Single(await _accounts.ListAsync());
        Assert.Equal(AccountRole.Owner, owner.Role);

        // Their name is shown on every page, and never run.
        foreach (string page in new[] { "/write", "/account", "/sign-in", "/console/people" })
        {
            string html = await ann.Http.GetStringAsync(page);
            Assert.DoesNotContain("<script>alert", html, StringComparison.Ordinal);
            Assert.Contains("&lt;script&gt;alert(1)", html, StringComparison.Ordinal);
        }
        Assert.Equal(HttpStatusCode.OK, (await ann.Http.GetAsync("/v1/people")).StatusCode);

        using HttpResponseMessage replayed = await ben.Http.GetAsync(link);
        Assert.Equal(HttpStatusCode.NotFound, replayed.StatusCode);
        using HttpResponseMessage twice = await ben.SendAsync("/sign-in", link, true, ("name", "ben"), ("display", "Ben"),
            ("password", Password), ("again", Password));
        Assert.Equal(HttpStatusCode.NotFound, twice.StatusCode);
        Assert.Single(await _accounts.ListAsync());
        Assert.Equal(HttpStatusCode.Redirect, (await ben.Http.GetAsync("/write")).StatusCode);
    }

    [Fact]
    public async Task Session_OfWhoIsDisabledOrChangesThePassword_IsOver()
    {
        await JoinAsync("ann", AccountRole.Owner);
        using Browser desk = NewBrowser(), laptop = NewBrowser();
        AccountRow ben = await JoinAsync("ben", AccountRole.Editor, desk);
        Assert.Equal(HttpStatusCode.Redirect, (await laptop.SignInAsync("Ben", Password)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await laptop.Http.GetAsync("/write")).StatusCode);

        Assert.Equal("/account?done=password",
            $"{(await desk.SendAsync("/account", "/account/password", true, ("old", Password), ("password", "another long one"), ("again", "another long one"))).Headers.Location}");
        Assert.Equal(HttpStatusCode.Redirect, (await laptop.Http.GetAsync("/write")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await desk.Http.GetAsync("/write")).StatusCode); // the browser that changed it stays
        Assert.Equal(HttpStatusCode.Unauthorized, (await laptop.SignInAsync("ben", Password)).StatusCode);
        Assert.Equal(HttpStatusCode.Redirect, (await laptop.SignInAsync("ben", "another long one")).StatusCode);

        using (HttpResponseMessage without = await laptop.SendAsync("/account", "/account/sessions",
            withToken: false)) Assert.Equal(HttpStatusCode.BadRequest, without.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await desk.Http.GetAsync("/write")).StatusCode);
        (_, string key) = await new ApiKeys(_server.Service<FlywheelStore>(), TimeProvider.System).CreateAsync("ben's program",
            [Scopes.Inference], ben.User);
        await _accounts.DisableAsync(ben.Id);
        foreach (Browser browser in new[] { desk, laptop })
        {
            Assert.Equal(HttpStatusCode.Redirect, (await browser.Http.GetAsync("/write")).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized,
                (await browser.Http.PostAsync("/_blazor/negotiate?negotiateVersion=1", null)).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, (await browser.SignInAsync("ben", "another long one")).StatusCode);
        }
        using HttpClient program = new() { BaseAddress = new Uri(_server.Server.Url),
            DefaultRequestHeaders = { Authorization = new("Bearer", key) } };
        using HttpResponseMessage refused = await program.GetAsync("/v1/models");
        await AccessTests.AssertRefusedAsync(refused, "/v1/models", 401, "invalid_api_key", "is disabled");
    }

    [Fact]
    public async Task SignIn_WrongUnknownOrClosed_SaysTheSame()
    {
        await JoinAsync("ann", AccountRole.Owner);
        using Browser browser = NewBrowser();
        HashSet<string> said = [];
        foreach ((string name, string password) in new[] { ("ann", "some other words"), ("nobody", Password),
            ("' OR 1=1 --", "' OR 1=1 --"), ("ann", "some other words"), ("ann", "some other words"), ("ann", "some other words"),
            ("ann", "some other words"), ("ann", Password) })
        {
            using HttpResponseMessage refused = await browser.SignInAsync(name, password);
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            string html = await refused.Content.ReadAsStringAsync();
            Assert.DoesNotContain(password, html.Replace(WebUtility.HtmlEncode(name), "", StringComparison.Ordinal),
                StringComparison.Ordinal);
            said.Add(System.Text.RegularExpressions.Regex.Match(html, "role=\"alert\">([^<]+)<").Groups[1].Value);
        }
        Assert.Single(said);
    }

    [Fact]
    public async Task Forms_TooManyFromOneAddress_AreRefused()
    {
        using Browser browser = NewBrowser();
        // At once, so that the minute does not end between them however busy the machine is.
        HttpStatusCode[] answers = await Task.WhenAll(Enumerable.Range(0, AccessSetup.MaxForms + 5).Select(async _ =>
            (await browser.Http.PostAsync("/sign-in", new FormUrlEncodedContent([new("name", "ann"), new("password", "x")]))).StatusCode));
        int refused = answers.Count(status => status == HttpStatusCode.TooManyRequests);
        Assert.Equal(5, refused);
        Assert.Equal(HttpStatusCode.OK, (await browser.Http.GetAsync("/sign-in")).StatusCode); // looking is free
    }

    [Fact]
    public async Task SignIn_ReturnToElsewhere_LeadsToTheStart()
    {
        await JoinAsync("ann", AccountRole.Owner);
        foreach ((string target, string expected) in new[] { ("//evil.example", "/"), ("/\\evil.example", "/"),
            ("https://evil.example/write", "/"), ("javascript:alert(1)", "/"), ("/write?x=1", "/write?x=1") })
        {
            using Browser browser = NewBrowser();
            using HttpResponseMessage entered = await browser.SignInAsync("ann", Password, target);
            Assert.Equal((HttpStatusCode.Redirect, expected), (entered.StatusCode, $"{entered.Headers.Location}"));
        }
    }

    [Fact]
    public async Task Records_OfTwoPeople_AreKeptApartUnderTheirAccounts()
    {
        using Browser ann = NewBrowser(), ben = NewBrowser();
        AccountRow first = await JoinAsync("ann", AccountRole.Owner, ann), second = await JoinAsync("ben", AccountRole.Editor, ben);
        JsonObject chat = TestServer.Chat();
        chat["store"] = true;
        JsonNode mine = (await (await ann.Http.PostAsJsonAsync("/v1/chat/completions", chat)).Content.ReadFromJsonAsync<JsonNode>())!,
            theirs = (await (await ben.Http.PostAsJsonAsync("/v1/chat/completions", chat)).Content.ReadFromJsonAsync<JsonNode>())!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal([second.User, first.User], (await store.RecentGenerationsAsync(2)).Select(row => row.Owner));
        Assert.Equal(HttpStatusCode.OK, (await ann.Http.GetAsync($"/v1/chat/completions/{mine["id"]}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await ben.Http.GetAsync($"/v1/chat/completions/{mine["id"]}")).StatusCode);
        // not the owner's either
        Assert.Equal(HttpStatusCode.NotFound, (await ann.Http.GetAsync($"/v1/chat/completions/{theirs["id"]}")).StatusCode);
        chat["user"] = first.User;
        using HttpResponseMessage another = await ben.Http.PostAsJsonAsync("/v1/chat/completions", chat);
        await AccessTests.AssertRefusedAsync(another, "/v1/chat/completions", 403, "user_mismatch", "is that of");
    }

    /// <summary>What one took along becomes another's who imports it, on the page and by the API; whose role is to look does not get
    /// to.</summary>
    [Fact]
    public async Task Import_OnThePageAndByTheApi_BecomesWhoseItIsImportedBy()
    {
        using Browser ann = NewBrowser(), ben = NewBrowser(), eve = NewBrowser();
        AccountRow first = await JoinAsync("ann", AccountRole.Owner, ann), second = await JoinAsync("ben", AccountRole.Editor, ben);
        await JoinAsync("eve", AccountRole.Viewer, eve);
        await ann.Http.PostAsJsonAsync("/v1/chat/completions", TestServer.Chat());
        byte[] zip = await ann.Http.GetByteArrayAsync("/account/export");

        string html =
            await (await ben.UploadAsync("/account", "/account/import", "ann.zip", zip, ("teach", "yes"))).Content.ReadAsStringAsync();
        Assert.Contains("The file was imported.", html, StringComparison.Ordinal);
        Assert.Contains("1 imported, 1 of these under a new id", html, StringComparison.Ordinal);
        await using (FlywheelStore store = await _server.OpenStoreAsync())
        {
            IReadOnlyList<Generation> rows = await store.RecentGenerationsAsync(10);
            Assert.Equal([(first.User, true), (second.User, false)],
                rows.Select(row => (row.Owner.Length > 0 ? row.Owner : row.User, row.Origin is null)).OrderBy(row => !row.Item2));
            Assert.Equal(Consent.Given, rows.Single(row => row.Origin is not null).Consent);
        }
        using (HttpResponseMessage again = await ben.UploadAsync(null, "/v1/account/import", "ann.zip", zip))
            Assert.Equal(1, (int)(await again.Content.ReadFromJsonAsync<JsonNode>())!["counts"]!["generations"]!["known"]!);

        foreach ((HttpResponseMessage refused, HttpStatusCode status, string says) in new[]
        {
            (await ben.UploadAsync(null, "/account/import", "ann.zip", zip), HttpStatusCode.BadRequest, "form"),
            (await ben.UploadAsync("/account", "/account/import", "<i>evil.zip", "no zip"u8.ToArray()), HttpStatusCode.BadRequest,
                "&lt;i&gt;evil.zip: is no zip file"),
            (await ben.UploadAsync("/account", "/account/import", "ann.zip", zip, ("workspace", "nowhere")), HttpStatusCode.BadRequest,
                "You are not in that workspace"),
            (await eve.UploadAsync("/account", "/account/import", "ann.zip", zip), HttpStatusCode.BadRequest, "only editors and owners"),
            (await eve.UploadAsync(null, "/v1/account/import", "ann.zip", zip), HttpStatusCode.Forbidden, "insufficient_scope"),
            (await ben.UploadAsync(null, "/v1/account/import", "ann.zip", zip, ("user", "ann")), HttpStatusCode.Forbidden, "somebody else"),
            (await ben.UploadAsync(null, "/v1/account/import", "evil.zip", "no zip"u8.ToArray()), HttpStatusCode.BadRequest,
                "evil.zip: is no zip file"),
            (await ben.Http.GetAsync($"/v1/account/export?user={first.User}"), HttpStatusCode.Forbidden, "somebody else"),
            (await ben.Http.GetAsync("/v1/workspaces/default/export"), HttpStatusCode.Forbidden, "insufficient_scope"),
        })
        {
            Assert.Equal((status, true), (refused.StatusCode,
                (await refused.Content.ReadAsStringAsync()).Contains(says, StringComparison.Ordinal)));
            refused.Dispose();
        }
        Assert.DoesNotContain("id=\"import\"", await eve.Http.GetStringAsync("/account"), StringComparison.Ordinal);
        using HttpResponseMessage whole = await ann.Http.GetAsync("/v1/workspaces/default/export");
        Assert.Equal("application/zip", whole.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>A key opens its own workspace: what its owner has elsewhere, and who they are, is not in what it takes out. Whoever takes
    /// out another's things is in that person's audit.</summary>
    [Fact]
    public async Task Export_WithAKey_HoldsItsWorkspaceAlone()
    {
        using Browser ann = NewBrowser(), ben = NewBrowser();
        AccountRow first = await JoinAsync("ann", AccountRole.Owner, ann), second = await JoinAsync("ben", AccountRole.Editor, ben);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        var workspaces = new Workspaces(store, TimeProvider.System);
        WorkspaceRow acme = await workspaces.CreateAsync("acme", "Acme");
        await workspaces.PutAsync(acme.Id, second.Id, AccountRole.Editor);
        foreach (string workspace in new[] { WorkspaceRow.Default, acme.Id })
        {
            await using FlywheelDb db = store.AllTables();
            db.Documents.Add(new DocumentRow { Id = Guid.NewGuid(), User = second.User, App = "write", Kind = "brief",
                Title = $"of {workspace}", Workspace = workspace, Version = 1, Created = DateTimeOffset.UnixEpoch,
                Updated = DateTimeOffset.UnixEpoch });
            await db.SaveChangesAsync();
        }
        var keys = new ApiKeys(store, TimeProvider.System);
        (_, string key) = await keys.CreateAsync(new NewKey("bot", [Scopes.Inference]) { User = second.User, Workspace = acme.Id });
        (_, string admin) = await keys.CreateAsync(new NewKey("admin", [Scopes.Inference, Scopes.Admin])
            { User = first.User, Workspace = acme.Id });

        Dictionary<string, string> some = await FilesAsync("/v1/account/export", key),
            all = await FilesAsync("/v1/account/export?user=ben", admin);
        Assert.Contains("of acme", some["documents.jsonl"], StringComparison.Ordinal);
        Assert.DoesNotContain("of default", some["documents.jsonl"], StringComparison.Ordinal);
        Assert.Empty(some.Keys.Intersect(["account.jsonl", "keys.jsonl", "passkeys.jsonl", "audit.jsonl", "stored-answers.jsonl"]));
        Assert.Contains("of default", all["documents.jsonl"], StringComparison.Ordinal);
        Assert.Contains("bot", all["keys.jsonl"], StringComparison.Ordinal);

        await ann.Http.GetByteArrayAsync("/v1/account/export?user=ben");
        AuditRow noted = (await store.AuditAsync(1, act: AuditAct.Export))[0];
        Assert.Equal((second.User, "everything of a person"), (noted.Whom, noted.About));

        async Task<Dictionary<string, string>> FilesAsync(string path, string by)
        {
            using var client = new HttpClient { BaseAddress = new Uri(_server.Server.Url) };
            client.DefaultRequestHeaders.Authorization = new("Bearer", by);
            using var zip = new System.IO.Compression.ZipArchive(new MemoryStream(await client.GetByteArrayAsync(path)));
            return zip.Entries.ToDictionary(entry => entry.Name, entry => new StreamReader(entry.Open()).ReadToEnd());
        }
    }

    private Browser NewBrowser() => new(_server.Server.Url);

    private async Task<AccountRow> JoinAsync(string name, AccountRole role, Browser? browser = null)
    {
        (_, string token) = await _accounts.InviteAsync(role);
        if (browser is null)
        {
            AccountRow made = await _accounts.AcceptAsync(token, name, name, Password);
            _server.Service<AccessRules>().HasAccounts = true;
            return made;
        }
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf(token), name, name, Password);
        Assert.True(joined.StatusCode == HttpStatusCode.Redirect, await joined.Content.ReadAsStringAsync());
        return await _accounts.GetAsync(name);
    }
}
