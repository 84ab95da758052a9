using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Turns;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio;

/// <summary>Turns of the loop, and the answer to one that asks a person whether its candidate may be promoted.</summary>
internal static class TurnEndpoints
{
    /// <summary><c>GET /admin/turns</c>: newest first.</summary>
    public static async Task ListAsync(HttpContext http, FlywheelStore store)
    {
        await using FlywheelDb db = store.Tables();
        List<TurnRow> turns = await db.Turns.AsNoTracking().OrderByDescending(turn => turn.Number).Take(100)
            .ToListAsync(http.RequestAborted);
        await Answers.Json(http, new() { ["turns"] = new JsonArray([.. turns.Select(ToJson)]) });
    }

    /// <summary><c>POST /admin/turns {"workspace"?, "user"?}</c>: begins a turn as a job, or goes on with one that was stopped.</summary>
    public static async Task StartAsync(HttpContext http, Teacher teacher, Workspaces workspaces)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "workspace", "user");
        string workspace = body.Text("workspace") ?? WorkspaceRow.Default;
        if (await workspaces.FindAsync(workspace, http.RequestAborted) is not { Archived: null })
            throw RequestBody.Wrong("workspace", workspace, $"the id of an open one; GET {WorkspaceEndpoints.Path} lists them");
        await teacher.StartAsync(body.Text("user", 200) ?? "", workspace);
        TeachProgress job = (await teacher.ProgressAsync())!;
        await Answers.Json(http, new()
        {
            ["job"] = job.Id.ToString(), ["workspace"] = job.Workspace, ["state"] = job.State.ToString().ToLowerInvariant(),
        });
    }

    /// <summary><c>GET /admin/turns/NUMBER</c>: with what champion and candidate wrote to each held-out prompt.</summary>
    public static async Task ShowAsync(HttpContext http, int number, FlywheelStore store)
    {
        (TurnRow turn, IReadOnlyList<(Answer Champion, Answer Candidate)> drafts) = await new TurnRunner(store)
            .SideBySideAsync(number, http.RequestAborted);
        JsonObject body = ToJson(turn);
        body["drafts"] = new JsonArray([.. drafts.Select(draft => new JsonObject
        {
            ["prompt"] = draft.Champion.Prompt, ["champion"] = draft.Champion.Text, ["candidate"] = draft.Candidate.Text,
        })]);
        await Answers.Json(http, body);
    }

    /// <summary>
    /// <c>POST /admin/turns/NUMBER {"accept": true or false, "user"?}</c>: answered when the candidate serves, or is refused.
    /// </summary>
    public static async Task AnswerAsync(HttpContext http, int number, ModelHost host, OwnModels own, FlywheelStore store)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        bool accept = body.Flag("accept") ?? throw ApiException.BadField("accept", "field 'accept' is missing, expected true or false");
        TurnRow turn = await new TurnRunner(store).AnswerAsync($"{number}", accept, body.Text("user", 200) ?? "", SwapAsync);
        await own.FollowAsync(http.RequestAborted);
        await Answers.Json(http, ToJson(turn));

        async Task SwapAsync(string hash, string reason)
        {
            ModelRow row = await store.FindModelAsync(hash)
                ?? throw new FlywheelException($"model {hash} is not known in {store.Home.Path}");
            ModelFolder folder = await Task.Run(() => ModelFolder.Open(store.FolderOf(row)));
            await host.PromoteAsync(folder, () => store.ReleaseAsync(folder.Hash, reason));
        }
    }

    private static JsonObject ToJson(TurnRow turn) => new()
    {
        ["number"] = turn.Number,
        ["id"] = turn.Id.ToString(),
        ["workspace"] = turn.Workspace,
        ["state"] = turn.State.ToString().ToLowerInvariant(),
        ["reason"] = turn.Reason,
        ["champion"] = turn.Champion,
        ["candidate"] = turn.Candidate,
        ["started"] = turn.Started.ToUnixTimeSeconds(),
        ["ended"] = turn.Ended?.ToUnixTimeSeconds(),
    };
}
