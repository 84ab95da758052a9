using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Builder;

namespace Flywheel.Studio;

/// <summary>Forgetting a person, for administrators: what it would do, the job that does it, the ledger that proves it.</summary>
internal static class DeletionEndpoints
{
    public const string Path = "/v1/deletions";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, LedgerAsync);
        app.MapPost(Path, BeginAsync);
        app.MapGet($"{Path}/preview", PreviewAsync);
        app.MapGet($"{Path}/jobs/{{id}}", JobAsync);
    }

    /// <summary><c>GET /v1/deletions</c>: newest first; with <c>?user=ID</c> only those of that person, whom no row names.</summary>
    private static async Task LedgerAsync(HttpContext http, FlywheelStore store)
    {
        string? person = http.Request.Query["user"].Count > 0 ? await Forget.HashOfAsync(store, UserOf(http), http.RequestAborted) : null;
        IReadOnlyList<DeletionRow> rows = await Forget.LedgerAsync(store, http.RequestAborted);
        await Answers.Json(http,
            new() { ["deletions"] = new JsonArray([.. rows.Where(row => person is null || row.Person == person).Select(ToJson)]) });
    }

    /// <summary><c>GET /v1/deletions/preview?user=ID</c>: what would be removed and trained again; nothing is done.</summary>
    private static async Task PreviewAsync(HttpContext http, FlywheelStore store)
    {
        ForgetPreview preview =
            await new Forget(store).PreviewAsync(await PersonName.ResolveAsync(store, UserOf(http), "field 'user'", http.RequestAborted),
                http.RequestAborted);
        await Answers.Json(http, new()
        {
            ["counts"] = new JsonObject(preview.Counts.Select(count => KeyValuePair.Create<string, JsonNode?>(count.Key, count.Value))),
            ["models"] = new JsonArray([.. preview.Models.Select(model => JsonValue.Create(model))]),
            ["turns"] = new JsonArray([.. preview.Turns.Select(turn => JsonValue.Create(turn))]),
            ["champion"] = preview.Champion,
        });
    }

    /// <summary><c>POST /v1/deletions {"user": ID}</c>: answered when the job is on disk.</summary>
    private static async Task BeginAsync(HttpContext http, FlywheelStore store, ForgetJob forget)
    {
        RequestBody body = await RequestBody.ReadAsync(http, bindUser: false);
        string person = await PersonName.ResolveAsync(store, body.RequiredText("user"), "field 'user'", http.RequestAborted);
        await Answers.Json(http, ToJson(await forget.EnqueueAsync(person, Access.Caller.UserOf(http.User) ?? "", http.RequestAborted)));
    }

    /// <summary><c>GET /v1/deletions/jobs/ID</c>: how far it is.</summary>
    private static async Task JobAsync(HttpContext http, string id, JobQueue queue)
    {
        JobRow job = await queue.FindAsync(Guid.TryParse(id, out Guid known) ? known
            : throw ApiException.BadField("id", $"'{id}' is no id of a job, expected a UUID"), http.RequestAborted);
        if (job.Kind != ForgetJob.Kind) throw ApiException.BadField("id", $"job {id} forgets nobody: it is a job of the kind {job.Kind}");
        await Answers.Json(http, ToJson(job));
    }

    private static string UserOf(HttpContext http) => http.Request.Query["user"].ToString() is { Length: > 0 } user ? user
        : throw ApiException.BadField("user", "'user' is missing, expected the name of a person");

    private static JsonObject ToJson(JobRow job) => new()
    {
        ["job"] = job.Id.ToString(), ["state"] = job.State.ToString().ToLowerInvariant(), ["message"] = job.Message,
        ["deletion"] = job.Payload?.Result is { } result ? JsonNode.Parse(result)!["deletion"]?.DeepClone() : null,
    };

    private static JsonObject ToJson(DeletionRow row) => new()
    {
        ["id"] = row.Id.ToString(),
        ["person"] = row.Person,
        ["began"] = row.Began.ToUnixTimeSeconds(),
        ["finished"] = row.Finished?.ToUnixTimeSeconds(),
        ["counts"] = JsonNode.Parse(row.Counts),
        ["models"] = JsonNode.Parse(row.Models),
    };
}
