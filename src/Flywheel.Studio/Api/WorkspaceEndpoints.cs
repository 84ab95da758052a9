using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio;

/// <summary><c>/v1/workspaces</c>: where the caller is and could be; for owners, who is in which.</summary>
internal static class WorkspaceEndpoints
{
    public const string Path = "/v1/workspaces";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, ListAsync);
        app.MapPost(Path, CreateAsync);
        app.MapPost($"{Path}/{{id}}", ChangeAsync);
        app.MapPost($"{Path}/{{id}}/model", ServeAsync);
        app.MapPost($"{Path}/{{id}}/members", PutAsync);
        app.MapDelete($"{Path}/{{id}}/members/{{person}}", RemoveAsync);
    }

    private static async Task ListAsync(HttpContext http, Workspaces workspaces, Accounts accounts)
    {
        bool owner = Caller.May(http.User, Scopes.Admin);
        IReadOnlyList<WorkspaceRow> rows = owner ? await workspaces.ListAsync(http.RequestAborted)
            : Caller.AccountOf(http.User) is { } id && await accounts.FindAsync(id, http.RequestAborted) is { } account
            ? await workspaces.OfAsync(account, http.RequestAborted)
            : await workspaces.FindAsync(Caller.WorkspaceOf(http.User), http.RequestAborted) is { } own ? [own] : [];
        var data = new JsonArray();
        foreach (WorkspaceRow row in rows) data.Add(owner ? await WithMembersAsync(http, workspaces, row) : ToJson(http, row));
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = data });
    }

    /// <summary><c>POST /v1/workspaces {"name", "id"?}</c></summary>
    private static async Task CreateAsync(HttpContext http, Workspaces workspaces)
    {
        RequestBody body = await ReadAsync(http, "name", "id");
        await Answers.Json(http,
            await WithMembersAsync(http, workspaces,
                await workspaces.CreateAsync(body.Text("id"), body.RequiredText("name"), http.RequestAborted)));
    }

    /// <summary><c>POST /v1/workspaces/ID {"name"?, "archived"?, "trains_shared_model"?}</c></summary>
    private static async Task ChangeAsync(HttpContext http, string id, Workspaces workspaces)
    {
        RequestBody body = await ReadAsync(http, "name", "archived", "trains_shared_model");
        WorkspaceRow row =
            await workspaces.ChangeAsync(id, body.Text("name"), body.Flag("archived"), body.Flag("trains_shared_model"),
                http.RequestAborted) ?? throw Missing(id);
        await Answers.Json(http, await WithMembersAsync(http, workspaces, row));
    }

    /// <summary><c>POST /v1/workspaces/ID/model {"to"?}</c>: an earlier model of the workspace's own answers there again, or the one that
    /// all share.</summary>
    private static async Task ServeAsync(HttpContext http, string id, Workspaces workspaces, FlywheelStore store, OwnModels own)
    {
        RequestBody body = await ReadAsync(http, "to");
        WorkspaceRow row = await workspaces.FindAsync(id, http.RequestAborted) ?? throw Missing(id);
        await Rollback.RunInAsync(store, id, body.Text("to"), $"rolled back by {Actor.Name}", http.RequestAborted);
        await own.FollowAsync(http.RequestAborted);
        await Answers.Json(http, await WithMembersAsync(http, workspaces, row));
    }

    /// <summary><c>POST /v1/workspaces/ID/members {"person", "role"}</c></summary>
    private static async Task PutAsync(HttpContext http, string id, Workspaces workspaces, Accounts accounts)
    {
        RequestBody body = await ReadAsync(http, "person", "role");
        WorkspaceRow row = await workspaces.FindAsync(id, http.RequestAborted) ?? throw Missing(id);
        AccountRow account = await accounts.GetAsync(body.RequiredText("person"), http.RequestAborted);
        await workspaces.PutAsync(id, account.Id, Roles.Parse(body.RequiredText("role")), http.RequestAborted);
        await Answers.Json(http, await WithMembersAsync(http, workspaces, row));
    }

    private static async Task RemoveAsync(HttpContext http, string id, string person, Workspaces workspaces, Accounts accounts)
    {
        WorkspaceRow row = await workspaces.FindAsync(id, http.RequestAborted) ?? throw Missing(id);
        await workspaces.PutAsync(id, (await accounts.GetAsync(person, http.RequestAborted)).Id, null, http.RequestAborted);
        await Answers.Json(http, await WithMembersAsync(http, workspaces, row));
    }

    private static async Task<RequestBody> ReadAsync(HttpContext http, params string[] known)
    {
        RequestBody body = await RequestBody.ReadAsync(http, bindUser: false);
        GenerationFields.RefuseUnknownBut(body, known);
        return body;
    }

    public static ApiException Missing(string id) =>
        new(404, $"there is no workspace with the id '{(id.Length <= 80 ? id : id[..77] + "...")}'; GET {Path} lists them", "id",
            "not_found");

    private static async Task<JsonObject> WithMembersAsync(HttpContext http, Workspaces workspaces, WorkspaceRow row)
    {
        JsonObject json = ToJson(http, row);
        json["members"] = new JsonArray([.. (await workspaces.MembersAsync(row.Id, http.RequestAborted)).Select(member => new JsonObject
        {
            ["id"] = member.Account.Id.ToString(), ["name"] = member.Account.Name, ["display_name"] = member.Account.DisplayName,
            ["role"] = Roles.NameOf(member.Role),
        })]);
        return json;
    }

    private static JsonObject ToJson(HttpContext http, WorkspaceRow row) => new()
    {
        ["id"] = row.Id, ["object"] = "workspace", ["name"] = row.Name,
        ["url"] = $"{http.Request.Scheme}://{http.Request.Host}{WorkspaceAddress.PathOf(row.Id)}",
        ["created"] = row.Created.ToUnixTimeSeconds(), ["archived"] = row.Archived is not null, ["trains_shared_model"] = row.TrainsShared,
        ["model_hash"] = http.RequestServices.GetRequiredService<ModelHost>().Current.OwnIn(row.Id)?.Whole.Hash,
    };
}
