using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio;

/// <summary><c>/v1/rollouts</c>: begun, watched and ended by administrators; <c>/v1/rollouts/drafts</c> is for everybody.</summary>
internal static class RolloutEndpoints
{
    public const string Path = "/v1/rollouts", DraftsPath = "/v1/rollouts/drafts", WatchPath = "/v1/rollouts/watch";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, ListAsync);
        app.MapPost(Path, StartAsync);
        app.MapPost(DraftsPath, DraftsAsync);
        app.MapGet(WatchPath, WatchAsync);
        app.MapPost(WatchPath, DecideWatchAsync);
        app.MapGet($"{Path}/{{id:long}}", OneAsync);
        app.MapPost($"{Path}/{{id:long}}/step", StepAsync);
        app.MapPost($"{Path}/{{id:long}}/stop", StopAsync);
        app.MapPost($"{Path}/{{id:long}}/promote", PromoteAsync);
    }

    private static async Task ListAsync(HttpContext http, FlywheelStore store) => await Answers.Json(http, new()
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. (await store.RolloutsAsync(http.RequestAborted)).Select(row => Summary(row))]),
    });

    /// <summary>The release that is watched; <c>state</c> is <c>none</c> where nothing is.</summary>
    private static async Task WatchAsync(HttpContext http, ReleaseWatcher watcher) =>
        await Answers.Json(http, Watched(await watcher.SeenAsync(http.RequestAborted), watcher.Fault));

    /// <summary><c>{"decision": "keep" | "take_back", "user"?}</c>: a person has looked.</summary>
    private static async Task DecideWatchAsync(HttpContext http, ReleaseWatcher watcher)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "decision", "user");
        string decision = body.RequiredText("decision");
        if (decision is not ("keep" or "take_back")) throw RequestBody.Wrong("decision", decision, "keep or take_back");
        if (await watcher.SeenAsync(http.RequestAborted) is null)
            throw new ApiException(409,
                "no release is watched: none was made by a turn or a rollout in the last 14 days, or it was kept or taken back",
                code: "nothing_watched");
        if (decision == "keep") await watcher.KeepAsync();
        else await watcher.TakeBackAsync(Who(body));
        await WatchAsync(http, watcher);
    }

    private static JsonObject Watched(ReleaseWatch? watch, string? fault)
    {
        var answer = new JsonObject { ["object"] = "release.watch", ["state"] = "none" };
        if (watch is null) return answer;
        WatchTracker seen = watch.Seen;
        answer["state"] = watch.Verdict.Move switch { WatchMove.TakeBack => "taking_back", WatchMove.Ask => "asks", _ => "watching" };
        answer["reason"] = watch.Verdict.Reason;
        answer["fault"] = fault;
        (answer["model"], answer["former"]) = (watch.Release.ModelHash, watch.Former);
        (answer["since"], answer["until"]) = (watch.Release.Time.ToUnixTimeSeconds(), watch.Until.ToUnixTimeSeconds());
        (answer["people"], answer["people_compared_with_themselves"], answer["judged_answers"]) = (seen.NumPeople, seen.NumOwn,
            seen.NumJudged);
        (answer["acceptance"], answer["acceptance_before"], answer["acceptance_change"]) = (seen.Acceptance, seen.AcceptanceBefore,
            seen.Change);
        answer["acceptance_change_at_most"] = seen.NumPeople == 0 ? null : seen.AtMost;
        foreach ((string name, WatchedAnswers answers) in new[] { ("after", seen.After), ("before", seen.Before) })
            answer[name] = new JsonObject { ["answers"] = answers.Count, ["failed"] = answers.NumFailed, ["slow"] = answers.NumSlow,
                ["mean_tokens"] = Math.Round(answers.MeanTokens, 2) };
        return answer;
    }

    private static async Task OneAsync(HttpContext http, long id, FlywheelStore store, TimeProvider time) =>
        await ShowAsync(http, await FindAsync(http, id, store), store, time);

    /// <summary><c>{"candidate", "champion"?, "share"?, "decide"?}</c>: answered when requests are split.</summary>
    private static async Task StartAsync(HttpContext http, RolloutHost rollouts, FlywheelStore store, TimeProvider time)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "candidate", "champion", "share", "decide");
        RolloutDecider decider = body.Text("decide") switch
        {
            null or "acceptance" => RolloutDecider.Acceptance,
            "drafts" => RolloutDecider.Drafts,
            var other => throw RequestBody.Wrong("decide", other, "acceptance or drafts"),
        };
        double share = RolloutRow.CheckShare(body.Number("share", 0, 100) ?? RolloutRow.Steps[0] * 100);
        RolloutRow row = await rollouts.StartAsync(body.RequiredText("candidate"), body.Text("champion"), share, decider);
        await ShowAsync(http, row, store, time);
    }

    private static async Task StepAsync(HttpContext http, long id, RolloutHost rollouts, FlywheelStore store, TimeProvider time)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "share");
        if (body["share"] is null)
            throw ApiException.BadField("share", "field 'share' is missing, expected a number (percent)", "missing_required_parameter");
        await RunningAsync(http, id, store);
        await rollouts.StepAsync(RolloutRow.CheckShare(body.Number("share", 0, 100)!.Value), Who(body));
        await OneAsync(http, id, store, time);
    }

    private static async Task StopAsync(HttpContext http, long id, RolloutHost rollouts, FlywheelStore store, TimeProvider time)
    {
        (RequestBody body, string? reason) = await ReasonAsync(http);
        await RunningAsync(http, id, store);
        await rollouts.StopAsync(reason ?? $"stopped by {Who(body)}");
        await OneAsync(http, id, store, time);
    }

    private static async Task PromoteAsync(HttpContext http, long id, RolloutHost rollouts, FlywheelStore store, TimeProvider time)
    {
        (RequestBody body, string? reason) = await ReasonAsync(http);
        await RunningAsync(http, id, store);
        try
        {
            await rollouts.PromoteAsync(reason ?? $"promoted by {Who(body)}");
        }
        catch (FlywheelException)
        {
            await RunningAsync(http, id, store); // ended while the candidate was made ready: that is the answer
            throw;
        }
        await OneAsync(http, id, store, time);
    }

    /// <summary>A draft of each model for one request, in an order drawn by lot and without saying which is whose. Feedback on either, by
    /// its
    /// generation_id, is a choice between the two.</summary>
    private static async Task DraftsAsync(HttpContext http, Generator generator)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "messages", "user", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
            "seed", "store");
        body.Json["model"] = GenerationFields.AnyModel;
        GenerationGroup[] groups =
            generator.StartPair(model => Completions.ChatOrder(body, model, generator, 0, "messages"), http.RequestAborted)
            ?? throw new ApiException(409, "no rollout of two models of this server runs, so there are no drafts to compare",
                code: "no_rollout");
        try
        {
            await Task.WhenAll(groups.Select(async group =>
            {
                await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
            }));
            http.RequestAborted.ThrowIfCancellationRequested();
            if (groups.Any(group => group.Choices[0].FinishReason == Engine.FinishReason.Cancelled)) throw Answers.Stopping();
            await Answers.Json(http, new()
            {
                ["object"] = "rollout.drafts",
                ["created"] = groups[0].Arrived.ToUnixTimeSeconds(),
                ["choices"] = new JsonArray([.. groups.Select((group, place) => new JsonObject
                {
                    ["index"] = place,
                    ["generation_id"] = group.Choices[0].Id.ToString(),
                    ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = group.Choices[0].Text },
                    ["finish_reason"] = group.Choices[0].FinishReason?.ToString().ToLowerInvariant(),
                })]),
            });
        }
        finally
        {
            foreach (GenerationGroup group in groups) await group.DisposeAsync();
        }
    }

    private static async Task<(RequestBody Body, string? Reason)> ReasonAsync(HttpContext http)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "reason", "user");
        return (body, body.Text("reason", 1000));
    }

    private static string Who(RequestBody body) => body.Text("user", 200) is { Length: > 0 } user ? user : "hand";

    private static async Task<RolloutRow> FindAsync(HttpContext http, long id, FlywheelStore store) =>
        (await store.RolloutsAsync(http.RequestAborted)).FirstOrDefault(row => row.Id == id)
        ?? throw new ApiException(404, $"there is no rollout {id}", "id", "rollout_not_found");

    private static async Task RunningAsync(HttpContext http, long id, FlywheelStore store)
    {
        if (await FindAsync(http, id, store) is { State: not RolloutState.Running } ended)
            throw new ApiException(409, $"rollout {id} has ended: {ended.Reason}", "id", "rollout_ended");
    }

    private static async Task ShowAsync(HttpContext http, RolloutRow row, FlywheelStore store, TimeProvider time)
    {
        RolloutTracker seen = await RolloutHistory.ReadAsync(store, row, row.Ended ?? time.GetUtcNow(), http.RequestAborted);
        JsonObject answer = Summary(row);
        answer["champion_arm"] = Arm(seen.Champion);
        answer["candidate_arm"] = Arm(seen.Candidate);
        Interval difference = seen.Acceptance.Interval();
        answer["acceptance_difference"] = new JsonObject
        {
            ["estimate"] = difference.Estimate, ["low"] = difference.Low, ["high"] = difference.High, ["level"] = 0.95,
            ["people"] = seen.Acceptance.Count,
        };
        Interval preferred = seen.PreferenceInterval();
        answer["drafts"] = new JsonObject
        {
            ["estimate"] = preferred.Estimate, ["low"] = preferred.Low, ["high"] = preferred.High, ["level"] = 0.95,
            ["people"] = seen.Preferred.Count, ["choices"] = seen.NumPairs,
        };
        await Answers.Json(http, answer);
    }

    private static JsonObject Summary(RolloutRow row) => new()
    {
        ["object"] = "rollout",
        ["id"] = row.Id,
        ["champion"] = row.Champion,
        ["candidate"] = row.Candidate,
        ["decide"] = row.Decider.ToString().ToLowerInvariant(),
        ["share"] = Math.Round(row.Share * 100, 6),
        ["state"] = StateOf(row.State),
        ["started"] = row.Started.ToUnixTimeSeconds(),
        ["ended"] = row.Ended?.ToUnixTimeSeconds(),
        ["reason"] = row.Reason,
    };

    private static string StateOf(RolloutState state) =>
        state == RolloutState.RolledBack ? "rolled_back" : state.ToString().ToLowerInvariant();

    private static JsonObject Arm(ArmCounts arm) => new()
    {
        ["people"] = arm.NumPeople,
        ["answers"] = arm.NumAnswers,
        ["failed"] = arm.NumFailed,
        ["slow"] = arm.NumSlow,
        ["judged_people"] = arm.NumObserved,
        ["judged_answers"] = arm.NumJudged,
        ["acceptance"] = arm.Acceptance,
        ["mean_latency_ms"] = Math.Round(arm.MeanLatencyMs, 3),
        ["cost"] = arm.Cost,
        ["cost_per_accepted"] = arm.CostPerAccepted,
    };
}
