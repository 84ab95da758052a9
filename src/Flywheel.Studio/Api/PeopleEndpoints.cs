using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio;

/// <summary>People and what they did, for owners.</summary>
internal static class PeopleEndpoints
{
    public const string Path = "/v1/people", AuditPath = "/v1/audit";

    private const int MaxRows = 1000;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, ListAsync);
        app.MapPost($"{Path}/invitations", InviteAsync);
        app.MapDelete($"{Path}/invitations/{{id}}", UninviteAsync);
        app.MapPost($"{Path}/{{id}}", ChangeAsync);
        app.MapPost($"{Path}/{{id}}/reset", ResetAsync);
        app.MapGet(AuditPath, AuditAsync);
    }

    /// <summary><c>GET /v1/people</c>: accounts, and invitations that can still be used.</summary>
    private static async Task ListAsync(HttpContext http, Accounts accounts) => await Answers.Json(http, new()
    {
        ["people"] = new JsonArray([.. (await accounts.ListAsync(http.RequestAborted)).Select(ToJson)]),
        ["invitations"] = new JsonArray([.. (await accounts.InvitationsAsync(http.RequestAborted)).Select(row => ToJson(row))]),
    });

    /// <summary><c>POST /v1/people/invitations {"role", "name"?, "days"?}</c>: the link is in this answer and nowhere else.</summary>
    private static async Task InviteAsync(HttpContext http, Accounts accounts)
    {
        RequestBody body = await ReadAsync(http, "role", "name", "days");
        AccountRole role = Roles.Parse(body.RequiredText("role"));
        int days = body.Count("days", 1, 30) ?? (int)Accounts.InvitationLives.TotalDays;
        (InvitationRow row, string token) = await accounts.InviteAsync(role, body.Text("name")?.Trim() ?? "", TimeSpan.FromDays(days),
            http.RequestAborted);
        await Answers.Json(http, ToJson(row, LinkOf(http, token)));
    }

    /// <summary><c>DELETE /v1/people/invitations/ID</c></summary>
    private static async Task UninviteAsync(HttpContext http, string id, Accounts accounts)
    {
        Guid known = IdOf(id);
        await accounts.RevokeInvitationAsync(known, http.RequestAborted);
        await Answers.Json(http, new() { ["id"] = known.ToString(), ["deleted"] = true });
    }

    /// <summary><c>POST /v1/people/ID {"role"?, "disabled"?}</c></summary>
    private static async Task ChangeAsync(HttpContext http, string id, Accounts accounts)
    {
        RequestBody body = await ReadAsync(http, "role", "disabled");
        Guid known = IdOf(id);
        AccountRole? role = body.Text("role") is { } text ? Roles.Parse(text) : null;
        bool? disabled = body.Flag("disabled");
        if (role is null && disabled is null)
            throw ApiException.BadField("role", "'role' and 'disabled' are missing, expected one of them or both",
                "missing_required_parameter");
        await Answers.Json(http, ToJson(await accounts.SetAsync(known, role, disabled, http.RequestAborted)));
    }

    /// <summary><c>POST /v1/people/ID/reset</c>: a link by which they choose a new password.</summary>
    private static async Task ResetAsync(HttpContext http, string id, Accounts accounts)
    {
        (InvitationRow row, string token) = await accounts.ResetAsync(IdOf(id), http.RequestAborted);
        await Answers.Json(http, ToJson(row, LinkOf(http, token)));
    }

    /// <summary><c>GET /v1/audit</c>: newest first; <c>?act=</c>, <c>?who=</c>, <c>?before=ID</c>, <c>?limit=</c>.</summary>
    private static async Task AuditAsync(HttpContext http, FlywheelStore store, Accounts accounts)
    {
        string? Query(string name) => http.Request.Query[name].ToString() is { Length: > 0 } text ? text : null;
        string? act = Query("act");
        if (act is not null && !AuditAct.All.Contains(act))
            throw ApiException.BadField("act", $"query parameter 'act' is '{act}', expected one of {string.Join(", ", AuditAct.All)}");
        int limit = Number("limit", 1, MaxRows) is { } count ? (int)count : 100;
        string? who = Query("who") is { } named
            ? (await accounts.ListAsync(http.RequestAborted)).FirstOrDefault(row =>
                string.Equals(row.Name, named, StringComparison.OrdinalIgnoreCase))?.User ?? named : null;
        IReadOnlyList<AuditRow> rows = await store.AuditAsync(limit + 1, Number("before", 0, long.MaxValue), act, who, http.RequestAborted);
        Dictionary<string, string> names = (await accounts.ListAsync(http.RequestAborted)).ToDictionary(row => row.User, row => row.Name);
        await Answers.Json(http, new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. rows.Take(limit).Select(row => new JsonObject
            {
                ["id"] = row.Id, ["time"] = row.Time.ToUnixTimeSeconds(), ["act"] = row.Act, ["who"] = row.Who,
                ["name"] = names.GetValueOrDefault(row.Who),
                ["whom"] = row.Whom.Length > 0 ? row.Whom : null, ["whom_name"] = names.GetValueOrDefault(row.Whom), ["about"] = row.About,
            })]),
            ["has_more"] = rows.Count > limit,
        });

        long? Number(string name, long min, long max) => Query(name) is not { } text ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number >= min && number <= max
            ? number
            : throw ApiException.BadField(name, $"query parameter '{name}' is '{text}', expected an integer from {min} to {max}");
    }

    private static async Task<RequestBody> ReadAsync(HttpContext http, params string[] known)
    {
        RequestBody body = await RequestBody.ReadAsync(http, bindUser: false);
        GenerationFields.RefuseUnknownBut(body, known);
        return body;
    }

    private static Guid IdOf(string id) =>
        Guid.TryParse(id, out Guid known)
            ? known : throw ApiException.BadField("id", $"'{id}' is no id, expected a UUID as GET {Path} lists them");

    private static string LinkOf(HttpContext http, string token) => $"{http.Request.Scheme}://{http.Request.Host}{Join.PathOf(token)}";

    private static JsonObject ToJson(AccountRow row) => new()
    {
        ["id"] = row.Id.ToString(), ["name"] = row.Name, ["display_name"] = row.DisplayName, ["user"] = row.User,
        ["role"] = Roles.NameOf(row.Role),
        ["created"] = row.Created.ToUnixTimeSeconds(), ["last_sign_in"] = row.LastSignIn?.ToUnixTimeSeconds(),
        ["disabled"] = row.Disabled is not null,
    };

    private static JsonObject ToJson(InvitationRow row, string? url = null)
    {
        var json = new JsonObject
        {
            ["id"] = row.Id.ToString(), ["role"] = Roles.NameOf(row.Role), ["name"] = row.Label, ["account"] = row.AccountId?.ToString(),
            ["created"] = row.Created.ToUnixTimeSeconds(), ["expires"] = row.Expires.ToUnixTimeSeconds(),
        };
        if (url is not null) json["url"] = url;
        return json;
    }
}
