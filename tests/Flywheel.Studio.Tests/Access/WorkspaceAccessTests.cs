using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Chat;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Sharing;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Tests.Access;

/// <summary>What is in a workspace, nobody outside gets to see, by no endpoint and no page, though the rows bear their own name and they
/// know every id.</summary>
public sealed partial class WorkspaceAccessTests(RoleTests.Reached reached) : IClassFixture<RoleTests.Reached>
{
    private const string Password = "plum lantern quay", Marker = "Zanzibarium";

    private readonly TestServer _server = reached.Server;

    private Workspaces Spaces => Service<Workspaces>();

    [Fact]
    public async Task EveryEndpointAndPage_WithIdsOfAnotherWorkspace_ShowsNothing()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner, "ann"), cy = await JoinAsync(AccountRole.Guest, "cy"),
            dan = await JoinAsync(AccountRole.Editor, "dan");
        foreach (string id in new[] { "acme", "blue" }) await Spaces.CreateAsync(id, id);
        AccountRow account = await Service<Accounts>().GetAsync("cy");
        await Spaces.PutAsync("blue", account.Id, AccountRole.Editor);
        IReadOnlyList<string> ids = await FillAsync("acme", account.User);
        await FillAsync("acme", (await Service<Accounts>().GetAsync("dan")).User);

        int tried = 0;
        foreach (RouteEndpoint endpoint in Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            string route = endpoint.RoutePattern.RawText!.TrimStart('/');
            if (route.Split('/')[0] is "sign-in" or "sign-out" or "join" or "account" or "s" or "_blazor" or "health" or "_framework"
                or "not-found" || endpoint.RoutePattern.Parameters.Any(parameter => parameter.IsCatchAll)) continue;
            foreach (string method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
            {
                if (method is not ("GET" or "DELETE")) continue;
                // A route that takes UUIDs alone is not there for anything else.
                foreach (string id in endpoint.RoutePattern.Parameters.Count == 0 ? [""] : ids.Where(id => Fits(route, id)))
                {
                    string path =
                        "/" + Parameter()
                            .Replace(route,
                                match => match.Value.Contains("int", StringComparison.Ordinal) || match.Value is "{number}" or "{format}"
                                    ? "1" : id);
                    if (endpoint.RoutePattern.Parameters.Count == 0) path += "?user=&limit=100&source=en&target=de&text=word&person=x";
                    foreach ((Browser who, string where) in endpoint.RoutePattern.Parameters.Count == 0
                        ? new[] { (cy, "/w/blue"), (dan, "") } : [(cy, "/w/blue")])
                    {
                        using var request = new HttpRequestMessage(new HttpMethod(method), where + path);
                        // to its end: an answer that never ends would be one of another's
                        using HttpResponseMessage response = await who.Http.SendAsync(request);
                        string text = route == "metrics" ? "" : await response.Content.ReadAsStringAsync();
                        Assert.False(text.Contains(Marker, StringComparison.Ordinal),
                            $"{method} {where}{path} answered {response.StatusCode} {text}");
                        if (path.StartsWith("/v1/", StringComparison.Ordinal) && endpoint.RoutePattern.Parameters.Count > 0)
                            Assert.True(response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Forbidden
                                or HttpStatusCode.BadRequest, $"{method} {where}{path} answered {response.StatusCode} {text}");
                        tried++;
                    }
                }
            }
        }
        Assert.True(tried > 150, $"{tried} calls");
        foreach (string path in new[] { "/write", "/v1/models", "/v1/workspaces", "/" })
        {
            Assert.Equal(HttpStatusCode.NotFound, (await cy.Http.GetAsync($"/w/acme{path}")).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await dan.Http.GetAsync($"/w/acme{path}")).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await owner.Http.GetAsync($"/w/nowhere{path}")).StatusCode);
        }
        Assert.Equal("/w/blue/write", (await cy.Http.GetAsync("/write")).Headers.Location!.OriginalString); // a guest of the home
        Assert.Equal(HttpStatusCode.Forbidden, (await cy.Http.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await cy.Http.GetAsync("/w/blue/loop/reports/1")).StatusCode);

        // And nothing of it is gone: who is let in sees it there.
        using HttpClient secret = Secret();
        Assert.Contains(Marker, await secret.GetStringAsync("/w/acme/v1/chat/completions"), StringComparison.Ordinal);
        Assert.DoesNotContain(Marker, await secret.GetStringAsync("/v1/chat/completions"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await secret.GetAsync("/w/nowhere/v1/models")).StatusCode);
        await Spaces.PutAsync("acme", account.Id, AccountRole.Viewer);
        Assert.Contains(Marker, await cy.Http.GetStringAsync("/w/acme/v1/translate/glossary?source=en&target=de"),
            StringComparison.Ordinal);
        Assert.Contains("<base href=\"/w/acme/\"", await cy.Http.GetStringAsync("/w/acme/write"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await cy.Http.GetAsync("/w/acme/_content/Flywheel.Studio/shell.css")).StatusCode);
        foreach (RouteEndpoint endpoint in Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            string route = endpoint.RoutePattern.RawText!.TrimStart('/');
            if (route.Split('/')[0] is "sign-in" or "sign-out" or "join" or "account" or "s" or "_blazor" or "health" or ""
                || endpoint.RoutePattern.Parameters.Any(parameter => parameter.IsCatchAll)) continue;
            foreach (string method in (endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Where(method =>
                method is not ("GET" or "HEAD" or "OPTIONS")))
            {
                using var request = new HttpRequestMessage(new HttpMethod(method),
                    "/w/acme/" + Parameter().Replace(route, $"{Guid.Empty}"))
                    { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
                using HttpResponseMessage response = await cy.Http.SendAsync(request);
                Assert.True(response.StatusCode == HttpStatusCode.Forbidden,
                    $"{method} {route} answered a viewer of the workspace {response.StatusCode}");
            }
        }
    }

    /// <summary>A report has texts of those whom a turn learnt from: of a workspace's own it is for owners alone.</summary>
    [Fact]
    public async Task Report_OfAWorkspacesOwnTurn_IsNotForWhoIsInTheDefaultOne()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner, "ute"), editor = await JoinAsync(AccountRole.Editor, "rob");
        await using (FlywheelDb db = Service<FlywheelStore>().AllTables())
        {
            foreach ((int number, string workspace) in new[] { (901, WorkspaceRow.Default), (902, "acme") })
                db.Turns.Add(new TurnRow { Id = Guid.NewGuid(), Number = number, Started = DateTimeOffset.UtcNow,
                    Ended = DateTimeOffset.UtcNow, State = TurnState.Rejected, Champion = "c", Recipe = "", Workspace = workspace });
            await db.SaveChangesAsync();
        }
        foreach (int number in new[] { 901, 902 })
        {
            string folder = Directory.CreateDirectory(Path.Combine(_server.Home.Runs, $"turn-{number:0000}")).FullName;
            await File.WriteAllTextAsync(Path.Combine(folder, "turn.html"), "<p>A report.</p>");
        }
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound),
            ((await editor.Http.GetAsync("/loop/reports/901")).StatusCode, (await editor.Http.GetAsync("/loop/reports/902")).StatusCode));
        Assert.Equal(HttpStatusCode.OK, (await owner.Http.GetAsync("/loop/reports/902")).StatusCode);
    }

    [Fact]
    public async Task Keys_OfAWorkspace_OpenItAloneAndWhileItIsOpen()
    {
        using Browser owner = await JoinAsync(AccountRole.Owner, "olga"), ben = await JoinAsync(AccountRole.Guest, "ben");
        JsonNode made = await PostAsync(owner, "/v1/workspaces", new() { ["name"] = "Legal & Co" });
        Assert.Equal(("legal-co", false), ((string)made["id"]!, (bool)made["trains_shared_model"]!));
        await PostAsync(owner, "/v1/workspaces/legal-co/members", new() { ["person"] = "ben", ["role"] = "editor" });
        string key =
            (string)(await PostAsync(ben, "/w/legal-co/v1/keys",
                new() { ["name"] = "ben's", ["scopes"] = new JsonArray("inference", "feedback") }))["key"]!;
        using var program = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(_server.Server.Url) };
        program.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        JsonObject ask = TestServer.Chat("Zanzibar?");
        ask["store"] = true;
        string answer =
            (string)JsonNode.Parse(await (await program.PostAsJsonAsync("/v1/chat/completions", ask)).Content.ReadAsStringAsync())!["id"]!;
        Assert.Equal(HttpStatusCode.OK, (await program.GetAsync($"/v1/chat/completions/{answer}")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await program.GetAsync($"/w/legal-co/v1/chat/completions/{answer}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await program.GetAsync("/w/acme-x/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await owner.Http.GetAsync($"/v1/chat/completions/{answer}")).StatusCode);
        using HttpClient secret = Secret();
        Assert.Equal(HttpStatusCode.NotFound, (await secret.GetAsync($"/v1/chat/completions/{answer}")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await secret.GetAsync($"/w/legal-co/v1/chat/completions/{answer}")).StatusCode);
        Guid generation;
        await using (FlywheelDb db = Service<FlywheelStore>().AllTables())
        {
            Generation row = db.Generations.Where(one => one.Workspace == "legal-co").AsEnumerable().Single();
            generation = row.Id;
        }
        Assert.Equal(HttpStatusCode.OK,
            (await program.PostAsJsonAsync("/feedback",
                new JsonObject { ["inference_id"] = $"{generation}", ["metric_name"] = "keep", ["value"] = true })).StatusCode);
        Assert.Equal("legal-co", Assert.Single(await Service<FlywheelStore>().FeedbackAsync(generation)).Workspace);

        await PostAsync(owner, "/v1/workspaces/legal-co", new() { ["archived"] = true });
        Assert.Equal(HttpStatusCode.Unauthorized, (await program.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await owner.Http.GetAsync("/w/legal-co/v1/models")).StatusCode);
        await PostAsync(owner, "/v1/workspaces/legal-co",
            new() { ["archived"] = false, ["name"] = "Legal", ["trains_shared_model"] = true });
        Assert.Equal(HttpStatusCode.OK, (await program.GetAsync("/v1/models")).StatusCode);
        using (HttpResponseMessage removed =
            await owner.Http.DeleteAsync("/v1/workspaces/legal-co/members/ben")) Assert.Equal(HttpStatusCode.OK, removed.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await program.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await ben.Http.GetAsync("/w/legal-co/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden,
            (await ben.Http.PostAsJsonAsync("/v1/workspaces", new JsonObject { ["name"] = "mine" })).StatusCode);
        Assert.Equal(["member", "workspace-changed", "workspace-changed", "member", "workspace-made"],
            (await Service<FlywheelStore>().AuditAsync(100)).Where(row => row.About.StartsWith("legal-co", StringComparison.Ordinal))
                .Select(row => row.Act));
        foreach ((string path, JsonObject body, int status, string says) in new (string, JsonObject, int, string)[]
        {
            ("/v1/workspaces", new() { ["name"] = "x", ["id"] = "../x" }, 400, "a-z"),
            ("/v1/workspaces", new() { ["name"] = "x", ["id"] = "legal-co" }, 400, "already"),
            ("/v1/workspaces", new() { ["name"] = "" }, 400, "name"),
            ("/v1/workspaces/nowhere", new() { ["name"] = "x" }, 404, "nowhere"),
            ("/v1/workspaces/default", new() { ["archived"] = true }, 400, "default"),
            ("/v1/workspaces/legal-co/members", new() { ["person"] = "nobody", ["role"] = "editor" }, 400, "nobody"),
            ("/v1/workspaces/legal-co/members", new() { ["person"] = "ben", ["role"] = "owner" }, 400, "owner"),
        })
        {
            using HttpResponseMessage refused = await owner.Http.PostAsJsonAsync(path, body);
            Assert.Equal(status, (int)refused.StatusCode);
            Assert.Contains(says, (string)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["message"]!,
                StringComparison.Ordinal);
        }
    }

    /// <summary>A link is for whoever has it, whether they are in its workspace, in none or in another one.</summary>
    [Fact]
    public async Task ShareLink_OnThePageOfAWorkspace_OpensForColleaguesOutsideIt()
    {
        using Browser ola = await JoinAsync(AccountRole.Owner, "ola"), eve = await JoinAsync(AccountRole.Editor, "eve"),
            nobody = new(_server.Server.Url, apart: true);
        await Spaces.CreateAsync("shares", "shares");
        await ShareAsync((await Service<Accounts>().GetAsync("ola")).User);
        string link =
            System.Net.WebUtility.HtmlDecode(Regex.Match(await ola.Http.GetStringAsync("/w/shares/write/shares"),
                "value=\"(http[^\"]*/s/[^\"]+)\"").Groups[1].Value);
        Assert.StartsWith(_server.Server.Url, link, StringComparison.Ordinal);
        foreach (Browser who in new[] { ola, eve, nobody })
            Assert.Contains(Marker, await who.Http.GetStringAsync(link), StringComparison.Ordinal);

        async Task ShareAsync(string user)
        {
            Actor.Is(user, workspace: "shares");
            var id = Guid.CreateVersion7();
            await Service<Documents>().PutAsync(id, user, Briefs.App, Shares.Kind, Marker, new ShareBody
            {
                Brief = Guid.NewGuid(), Set = Guid.NewGuid(), Name = Marker, Kind = "tagline", Expires = DateTimeOffset.UtcNow.AddDays(1),
                Drafts = [new(Guid.NewGuid(), "one"), new(Guid.NewGuid(), "two")],
                Token = System.Buffers.Text.Base64Url.EncodeToString([.. id.ToByteArray(), .. new byte[32]]),
            }.ToJson());
        }
    }

    private HttpClient Secret()
    {
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(_server.Server.Url) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret.Read(_server.Home));
        return http;
    }

    private T Service<T>() where T : notnull => _server.Service<T>();

    /// <summary>Rows of every kind, with a person's own name.</summary>
    /// <returns>Their ids.</returns>
    private async Task<IReadOnlyList<string>> FillAsync(string workspace, string user)
    {
        Actor.Is(user, workspace: workspace);
        var store = Service<FlywheelStore>();
        var pair = new LanguagePair(workspace, "en", "de");
        List<Guid> ids = [];
        foreach ((string app, string kind) in new[] { ("write", "brief"), ("write", "text"), ("write", "bulk"), ("translate", "document"),
            ("voice", "project"), ("learn", "files") })
            ids.Add((await Service<Documents>().PutAsync(Guid.NewGuid(), user, app, kind, Marker,
                $$"""{"Name": "{{Marker}}", "text": "{{Marker}}"}""")).Id);
        ids.Add((await Service<Chats>().AddAsync(null, user, null, Role.User, Marker)).Conversation);
        ids.Add((await Service<Glossary>().PutAsync(pair, user, new TermInput(Marker + user, Marker))).Id);
        await Service<TranslationMemory>().AddAsync(pair, user, "word", Marker);
        ids.Add((await Service<JobQueue>().EnqueueAsync("nothing", $$"""{"name": "{{Marker}}"}""", user)).Id);
        var group = Guid.CreateVersion7();
        await store.RecordAsync(new Generation
        {
            Id = group, Group = group, Time = DateTimeOffset.UtcNow, App = Marker, User = user, Owner = user, ModelHash = "m",
            FinishReason = FinishReason.Stop,
            Payload = new() { Conversation = new([Message.User(Marker)]), Text = Marker, PromptTokens = [1], Tokens = [1], Logprobs = [0],
                SamplerLogprobs = [0], Sampler = new(), Stop = [] },
        });
        await store.AddFeedbackAsync(new FeedbackInput(group, Metrics.Comment, Marker, user));
        await store.KeepAnswerAsync(new StoredAnswer { Id = group, Kind = StoredAnswer.Chat, Time = DateTimeOffset.UtcNow, User = user,
            Model = Marker, Input = $$"""[{"role": "user", "content": "{{Marker}}"}]""",
            Answer = $$"""{"id": "chatcmpl-{{group:N}}", "model": "{{Marker}}", "created": 1}""" });
        var response = Guid.CreateVersion7();
        await store.KeepAnswerAsync(new StoredAnswer { Id = response, Kind = StoredAnswer.Response, Time = DateTimeOffset.UtcNow,
            User = user, Model = Marker, Input = "[]", Answer = $$"""{"id": "resp_{{response:N}}", "output": "{{Marker}}"}""" });
        UploadedFile file = await Service<UploadedFiles>().AddAsync(async stream =>
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(Marker));
            return ($"{Marker}.jsonl", UploadedFiles.FineTune);
        }, user);
        return [.. ids.Append(group).Select(id => $"{id}"), file.Id, $"chatcmpl-{group:N}", $"resp_{response:N}", $"ftjob-{ids[^1]:N}",
            $"dub_{ids[^1]:N}"];
    }

    private async Task<Browser> JoinAsync(AccountRole role, string name)
    {
        (_, string token) = await Service<Accounts>().InviteAsync(role);
        var browser = new Browser(_server.Server.Url, apart: true);
        using HttpResponseMessage joined = await browser.JoinAsync(Join.PathOf(token), name, name, Password);
        Assert.Equal(HttpStatusCode.Redirect, joined.StatusCode);
        return browser;
    }

    private static async Task<JsonNode> PostAsync(Browser browser, string path, JsonObject body)
    {
        using HttpResponseMessage response = await browser.Http.PostAsJsonAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>Of pages' routes, which take UUIDs alone, the documents and the chat; of the API's, whatever has the form of an id
    /// there.</summary>
    private static bool Fits(string route, string id) => route.StartsWith("v1/", StringComparison.Ordinal)
        ? route.Contains("files", StringComparison.Ordinal) == id.StartsWith("file-", StringComparison.Ordinal) : Guid.TryParse(id, out _);

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
