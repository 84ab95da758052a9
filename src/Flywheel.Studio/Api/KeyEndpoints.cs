using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio;

/// <summary><c>/v1/keys</c>: keys of the API, an owner's view of all of them and everybody's of their own.</summary>
internal static class KeyEndpoints
{
    public const string Path = "/v1/keys";

    /// <summary>Ten years.</summary>
    public const int MaxDays = 3650;

    public const int MaxRequests = 1_000_000_000;

    public const long MaxTokens = 1_000_000_000_000;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, ListAsync);
        app.MapPost(Path, CreateAsync);
        app.MapDelete($"{Path}/{{id}}", RevokeAsync);
    }

    private static async Task ListAsync(HttpContext http, KeyDesk desk, ApiKeys keys)
    {
        IReadOnlyList<KeyRow> rows = await desk.ListAsync(KeyHolder.Of(http), http.RequestAborted);
        IReadOnlyDictionary<Guid, KeyUseRow> uses = await keys.UsesAsync(http.RequestAborted);
        await Answers.Json(http, new() { ["object"] = "list",
            ["data"] = new JsonArray([.. rows.Select(row => ToJson(keys, row, uses.GetValueOrDefault(row.Id)))]) });
    }

    /// <summary><c>POST /v1/keys {"name", "scopes", "user"?, "days"?, "requests_per_day"?, "tokens_per_day"?}</c>: the key is in this
    /// answer and nowhere else.</summary>
    private static async Task CreateAsync(HttpContext http, KeyDesk desk, ApiKeys keys, TimeProvider time)
    {
        KeyHolder holder = KeyHolder.Of(http);
        RequestBody body = await RequestBody.ReadAsync(http, bindUser: false);
        GenerationFields.RefuseUnknownBut(body, "name", "scopes", "user", "days", "requests_per_day", "tokens_per_day");
        // Whoever has found a key must not be able to make others of it, which would stay when it is revoked.
        if (Caller.KeyOf(http.User) is not null && !holder.IsOwner)
            throw new ApiException(403,
                $"the key '{http.User.Identity?.Name}' makes no other keys; expected an account that signed in, or a key with the scope '{Scopes.Admin}'", code: "insufficient_scope", type: "permission_error");
        string name = body.RequiredText("name");
        IReadOnlyList<string> scopes = body.Texts("scopes", Scopes.All.Count);
        (KeyRow row, string key) = await desk.CreateAsync(holder,
            new NewKey(name, scopes.Count > 0 ? scopes : throw ApiException.BadField("scopes",
            $"'scopes' is missing, expected one or more of {string.Join(", ", Scopes.All)}", "missing_required_parameter"))
        {
            User = body.Text("user") ?? holder.User,
            Expires = body.Count("days", 1, MaxDays) is { } days ? time.GetUtcNow().AddDays(days) : null,
            MaxRequests = body.Count("requests_per_day", 1, MaxRequests),
            MaxTokens = body.Integer("tokens_per_day", 1, MaxTokens),
        }, http.RequestAborted);
        JsonObject answer = ToJson(keys, row, null);
        answer["key"] = key;
        http.Response.Headers.CacheControl = "no-store";
        await Answers.Json(http, answer);
    }

    private static async Task RevokeAsync(HttpContext http, string id, KeyDesk desk)
    {
        if (!Guid.TryParse(id, out Guid known) || await desk.RevokeAsync(KeyHolder.Of(http), known, http.RequestAborted) is null)
            throw new ApiException(404,
                $"there is no key with the id '{(id.Length <= 80 ? id : id[..77] + "...")}' that you could revoke; GET {Path} lists them",
                "id", "not_found");
        await Answers.Json(http, new() { ["id"] = known.ToString(), ["revoked"] = true });
    }

    private static JsonObject ToJson(ApiKeys keys, KeyRow row, KeyUseRow? use) => new()
    {
        ["id"] = row.Id.ToString(), ["object"] = "key", ["name"] = row.Name, ["user"] = row.User, ["workspace"] = row.Workspace,
        ["scopes"] = new JsonArray([.. row.Scopes.Split(' ').Select(scope => (JsonNode)scope)]),
        ["state"] = row.Revoked is not null ? "revoked" : keys.WhyDead(row) is not null ? "expired" : "valid",
        ["made_by"] = row.By, ["created"] = row.Created.ToUnixTimeSeconds(), ["expires"] = row.Expires?.ToUnixTimeSeconds(),
        ["revoked"] = row.Revoked?.ToUnixTimeSeconds(), ["last_used"] = row.LastUsed?.ToUnixTimeSeconds(),
        ["requests_per_day"] = row.MaxRequests, ["tokens_per_day"] = row.MaxTokens,
        ["requests_today"] = row.IsLimited ? use?.Requests ?? 0 : null, ["tokens_today"] = row.IsLimited ? use?.Tokens ?? 0 : null,
    };
}
