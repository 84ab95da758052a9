using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Apps;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio;

/// <summary>What a person or a workspace has, out and in: <c>/v1/account/export</c>, <c>/v1/account/import</c>, and the same of a
/// workspace.</summary>
internal static class ArchiveEndpoints
{
    public const string AccountPath = "/v1/account", Export = "export", Zip = "application/zip";

    /// <summary>What the audit says of an export: never whose by name.</summary>
    public const string EverythingOfAPerson = "everything of a person", EverythingOfAWorkspace = "everything of a workspace";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet($"{AccountPath}/{Export}", ExportAsync).RequireRateLimiting(AccessSetup.Policy);
        app.MapPost($"{AccountPath}/import", ImportAsync).RequireRateLimiting(AccessSetup.Policy);
        app.MapGet($"{WorkspaceEndpoints.Path}/{{id}}/{Export}", ExportWorkspaceAsync)
            .Audited(EverythingOfAWorkspace);
        app.MapPost($"{WorkspaceEndpoints.Path}/{{id}}/import", ImportWorkspaceAsync);
    }

    private static async Task<IResult> ExportAsync(HttpContext http, FlywheelStore store, Archives archives)
    {
        string person = await PersonAsync(http, store, http.Request.Query["user"].ToString());
        // A key opens its own workspace; one that administers, and a person who signed in, see all of them.
        bool everywhere = Caller.KeyOf(http.User) is null || Caller.May(http.User, Scopes.Admin);
        return await WholeFile.AnswerAsync(http, store, Zip, "flywheel.zip", async zip =>
        {
            await (everywhere ? archives.ExportAsync(person, zip, http.RequestAborted)
                : archives.ExportAsync(person, Caller.WorkspaceOf(http.User), zip, http.RequestAborted));
            await store.NoteAsync(AuditAct.Export, person, EverythingOfAPerson, CancellationToken.None);
        });
    }

    private static Task ImportAsync(HttpContext http, FlywheelStore store, Archives archives) =>
        ImportIntoAsync(Caller.WorkspaceOf(http.User), http, store, archives);

    private static async Task<IResult> ExportWorkspaceAsync(HttpContext http, string id, FlywheelStore store, Workspaces workspaces,
        Archives archives)
    {
        if (await workspaces.FindAsync(id, http.RequestAborted) is not { } row) throw WorkspaceEndpoints.Missing(id);
        return await WholeFile.AnswerAsync(http, store, Zip, $"flywheel-{row.Id}.zip",
            zip => archives.ExportWorkspaceAsync(row.Id, zip, http.RequestAborted));
    }

    private static async Task ImportWorkspaceAsync(HttpContext http, string id, FlywheelStore store, Workspaces workspaces,
        Archives archives)
    {
        if (await workspaces.FindAsync(id, http.RequestAborted) is not { } row) throw WorkspaceEndpoints.Missing(id);
        await ImportIntoAsync(row.Id, http, store, archives);
    }

    private static async Task ImportIntoAsync(string workspace, HttpContext http, FlywheelStore store, Archives archives)
    {
        await using FileStream file = WholeFile.Temporary(store);
        UploadForm form = await UploadForm.ReadAsync(http, file, ArchiveFile.MaxBytes, ["may_teach", "user"]);
        file.Position = 0;
        var target = new ArchiveTarget(await PersonAsync(http, store, Text(form, "user")), workspace) { MayTeach = MayTeach(form) };
        await Answers.Json(http, ToJson(await archives.ImportAsync(file, form.FileName, target, http.RequestAborted), target));
    }

    /// <summary>Who calls; who administers may name somebody else.</summary>
    private static async Task<string> PersonAsync(HttpContext http, FlywheelStore store, string? named)
    {
        string? own = Caller.UserOf(http.User);
        if (named is not { Length: > 0 })
            return own
                ?? (!Caller.IsKnown(http.User) && Shell.Visitor.Identify(http, isNew: false) is var visitor && visitor != Actor.Visitor
                    ? visitor
                : throw ApiException.BadField("user", "field 'user' is missing: the key is nobody's, so say whose it is about",
                    "missing_required_parameter"));
        if (named == own) return own;
        if (Caller.IsKnown(http.User) ? !Caller.May(http.User, Scopes.Admin) : !Shell.Visitor.MayAdminister(http))
            throw new ApiException(403, "field 'user' names somebody else, which needs the scope 'admin'", "user", "insufficient_scope");
        return await PersonName.ResolveAsync(store, named, "field 'user'", http.RequestAborted);
    }

    private static string? Text(UploadForm form, string field) =>
        form.Texts.TryGetValue(field, out IReadOnlyList<string>? texts) ? texts[0] : null;

    private static bool MayTeach(UploadForm form) => Text(form, "may_teach") switch
    {
        null or "false" => false,
        "true" => true,
        var other =>
            throw ApiException.BadField("may_teach",
                $"field 'may_teach' is '{(other.Length <= 40 ? other : other[..40])}', expected true or false"),
    };

    private static JsonObject ToJson(IReadOnlyList<ArchiveCount> counts, ArchiveTarget target) => new()
    {
        ["object"] = "import", ["workspace"] = target.Workspace,
        ["counts"] = new JsonObject(counts.Select(count => KeyValuePair.Create<string, JsonNode?>(count.Name, new JsonObject
        {
            ["imported"] = count.Imported, ["renamed"] = count.Renamed, ["known"] = count.Known, ["stayed"] = count.Stayed,
            ["left_out"] = count.LeftOut, ["damaged"] = count.Damaged,
        }))),
    };
}
