using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel rollout</c>: part of the people get a candidate, until it is clear which model they accept more.</summary>
internal static class RolloutCommand
{
    public static Command Create()
    {
        var command = new Command("rollout",
            "Give part of the people another model and find out which one they accept more: it steps up, is promoted or rolled back by itself (docs/rollout.md).\nExample: ./flywheel rollout start MODEL --share 5")
        {
            Start(), Status(), Step(),
            Watched("keep", "Keep the release that is watched: you have looked, and it stays.\nExample: ./flywheel rollout keep"),
            Watched("take-back",
                "Take the release that is watched back: the model before it answers again.\nExample: ./flywheel rollout take-back"),
                End("stop", "End the rollout: the champion serves everybody.\nExample: ./flywheel rollout stop"),
            End("promote", "End the rollout: the candidate becomes the champion.\nExample: ./flywheel rollout promote"),
        };
        command.SetAction((_, cancellation) => StatusAsync(cancellation));
        return command;
    }

    private static Command Start()
    {
        var candidate = new Argument<string>("candidate")
            { Description = $"{ModelCatalog.Names}, or an upstream of the home's {Upstreams.FileName}" };
        var champion = new Option<string?>("--champion")
            { Description = "An upstream that answers so far, instead of the model that serves" };
        var share = new Option<double>("--share") { Description = $"Percent of people for the candidate at first: {Steps}",
            DefaultValueFactory = _ => 1 };
        var decide = new Option<string>("--decide")
            { Description = "What decides: acceptance (of what people got), or drafts (which of two they choose; takes fewer people)",
                DefaultValueFactory = _ => "acceptance" };
        var command = new Command("start",
            "Load a candidate beside the model that serves, and split requests between them.\nExample: ./flywheel rollout start 3f2a91c07d4e --share 5") { candidate, champion, share, decide };
        command.SetAction(async (parse, cancellation) =>
        {
            double percent = parse.GetValue(share);
            RolloutRow.CheckShare(percent);
            var body = new JsonObject { ["candidate"] = parse.GetValue(candidate), ["share"] = percent,
                ["decide"] = parse.GetValue(decide) };
            if (parse.GetValue(champion) is { } upstream) body["champion"] = upstream;
            await AskAsync("", body, "a rollout needs a server that holds both models", cancellation);
            await StatusAsync(cancellation);
        });
        return command;
    }

    private static Command Status()
    {
        var command = new Command("status",
            "Where the rollout stands, with the interval of the difference.\nExample: ./flywheel rollout status");
        command.SetAction((_, cancellation) => StatusAsync(cancellation));
        return command;
    }

    private static Command Step()
    {
        var share = new Argument<double>("share") { Description = $"Percent of people for the candidate: {Steps}" };
        var command = new Command("step", "Give the candidate another share by hand.\nExample: ./flywheel rollout step 10") { share };
        command.SetAction(async (parse, cancellation) =>
        {
            double percent = parse.GetValue(share);
            RolloutRow.CheckShare(percent);
            await AskAsync($"/{await RunningAsync(cancellation)}/step", new() { ["share"] = percent },
                "the share is the server's to change", cancellation);
            await StatusAsync(cancellation);
        });
        return command;
    }

    private static Command End(string verb, string description)
    {
        var reason = new Option<string?>("--reason") { Description = "What the record says" };
        var command = new Command(verb, description) { reason };
        command.SetAction(async (parse, cancellation) =>
        {
            long id = await RunningAsync(cancellation);
            var body = new JsonObject();
            if (parse.GetValue(reason) is { } why) body["reason"] = why;
            if (verb == "stop" && RunningServer.Find(new FlywheelHome()) is null)
            {
                await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
                await store.EndRolloutAsync(id, RolloutState.Stopped, parse.GetValue(reason) ?? "stopped by hand",
                    TimeProvider.System.GetUtcNow(), cancellation);
            }
            else await AskAsync($"/{id}/{verb}", body, "the swap is the server's to make", cancellation);
            await StatusAsync(cancellation);
        });
        return command;
    }

    private static Command Watched(string verb, string description)
    {
        var command = new Command(verb, description);
        command.SetAction(async (_, cancellation) =>
        {
            if (verb == "take-back")
                await AskAsync("/watch", new() { ["decision"] = "take_back" }, "the swap is the server's to make", cancellation);
            else
            {
                await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
                await ReleaseWatch.KeepAsync(store, TimeProvider.System.GetUtcNow(), cancellation);
            }
            await StatusAsync(cancellation);
        });
        return command;
    }

    /// <summary>The release that is watched, in a line or two; nothing where none is.</summary>
    private static async Task ShowWatchAsync(FlywheelStore store, CancellationToken cancellation)
    {
        if (await store.ReleasesAsync(cancellation) is [{ Reason: var last } release, ..]
            && last.StartsWith(ReleaseWatch.TakenBack, StringComparison.Ordinal))
            Console.WriteLine($"Release {release.Id}, {release.Time:yyyy-MM-dd HH:mm} UTC: {last}.");
        if (await ReleaseWatch.ReadAsync(store, TimeProvider.System.GetUtcNow(), cancellation: cancellation) is not { } watch) return;
        WatchTracker seen = watch.Seen;
        string Percent(double? share) => share is { } known ? string.Create(CultureInfo.InvariantCulture, $"{known:0.0%}") : "nothing";
        Console.WriteLine(
            $"Watched until {watch.Until:yyyy-MM-dd}: {await NameAsync(store, watch.Release.ModelHash)}, released {watch.Release.Time:yyyy-MM-dd HH:mm} UTC in place of {await NameAsync(store, watch.Former)}. "
            + (seen.NumPeople == 0
                ? $"Nobody counts yet: a person does after {RolloutTracker.PerPerson} judged answers, or a day after the first."
                : $"Accepted: {Percent(seen.Acceptance)} a person ({seen.NumPeople} people, {seen.NumOwn} compared with themselves), before {Percent(seen.AcceptanceBefore)} ({seen.NumPeopleBefore}); changed by {Percent(seen.Change)}, by {Percent(seen.AtMost)} at most."));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Failed: {seen.After.NumFailed} of {seen.After.Count} answers, before {seen.Before.NumFailed} of {seen.Before.Count}. Slow: {seen.After.NumSlow}, before {seen.Before.NumSlow}. Mean length: {seen.After.MeanTokens:0} tokens, before {seen.Before.MeanTokens:0}."));
        if (watch.Verdict.Move == WatchMove.Ask)
            Console.WriteLine($"Look at it: {watch.Verdict.Reason}. ./flywheel rollout take-back, or ./flywheel rollout keep.");
        if (watch.Verdict.Move == WatchMove.TakeBack) Console.WriteLine($"It is taken back by the server: {watch.Verdict.Reason}.");
    }

    private static string Steps => string.Join(", ", RolloutRow.Steps.Select(step => (step * 100).ToString(CultureInfo.InvariantCulture)));

    private static async Task AskAsync(string path, JsonObject body, string why, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        RunningServer server = RunningServer.Find(home)
            ?? throw new FlywheelException($"no server runs on {home.Path}, and {why}; start one with ./flywheel up");
        await server.PostAsync($"/v1/rollouts{path}", body, cancellation);
    }

    private static async Task<long> RunningAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        return await store.LastRolloutAsync(cancellation) is { State: RolloutState.Running } row
            ? row.Id : throw new FlywheelException("no rollout runs");
    }

    private static async Task StatusAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        await ShowWatchAsync(store, cancellation);
        if (await store.LastRolloutAsync(cancellation) is not { } row)
        {
            Console.WriteLine("There was no rollout yet. ./flywheel rollout start MODEL begins one.");
            return;
        }
        RolloutTracker seen = await RolloutHistory.ReadAsync(store, row, row.Ended ?? TimeProvider.System.GetUtcNow(), cancellation);
        string state = row.State switch { RolloutState.RolledBack => "rolled back", var other => other.ToString().ToLowerInvariant() };
        Console.WriteLine(
            $"Rollout {row.Id}: {state}{(row.State == RolloutState.Running ? $" at {RolloutDecision.Percent(row.Share)}" : "")}, since {row.Started:yyyy-MM-dd HH:mm} UTC.{(row.Reason.Length == 0 ? "" : $" {char.ToUpperInvariant(row.Reason[0])}{row.Reason[1..]}.")}");
        Table table = new Table().AddColumns("", "model", "people", "answers", "failed", "slow", "judged by", "accepted", "mean time",
            "cost of an accepted text");
        table.AddRow(["champion", Markup.Escape(await NameAsync(store, row.Champion)), .. Cells(seen.Champion)]);
        table.AddRow(["candidate", Markup.Escape(await NameAsync(store, row.Candidate)), .. Cells(seen.Candidate)]);
        if (!AnsiConsole.Profile.Out.IsTerminal) AnsiConsole.Profile.Width = 200;
        AnsiConsole.Write(table);
        if (seen.Acceptance.Count > 0)
            Console.WriteLine(
                $"Acceptance, candidate less champion: {Points(seen.Acceptance.Interval(), 100)} points, in 95% at all times together ({seen.Acceptance.Count} people).");
        if (seen.Preferred.Count > 0)
            Console.WriteLine(
                $"Drafts compared, 1 all for the candidate, -1 all for the champion: {Points(seen.PreferenceInterval(), 1)} ({seen.Preferred.Count} people, {seen.NumPairs} choices).");
        if (row.State == RolloutState.Running && seen.Acceptance.Count == 0 && seen.Preferred.Count == 0)
            Console.WriteLine("Nobody counts yet: a person does after five judged answers, or a day after the first.");
    }

    private static IEnumerable<string> Cells(ArmCounts arm) =>
    [
        $"{arm.NumPeople}", $"{arm.NumAnswers}", $"{arm.NumFailed}", $"{arm.NumSlow}", $"{arm.NumObserved} people",
        arm.Acceptance?.ToString("0.0%", CultureInfo.InvariantCulture) ?? "",
        arm.NumAnswers == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{arm.MeanLatencyMs:0} ms"),
        arm.CostPerAccepted?.ToString("0.000000", CultureInfo.InvariantCulture) ?? "",
    ];

    private static string Points(Interval interval, double unit) =>
        string.Create(CultureInfo.InvariantCulture,
            $"{interval.Estimate * unit:+0.##;-0.##;0} [{interval.Low * unit:+0.##;-0.##;0}, {interval.High * unit:+0.##;-0.##;0}]");

    private static async Task<string> NameAsync(FlywheelStore store, string model) =>
        model.StartsWith(Upstream.Prefix, StringComparison.Ordinal)
            ? model : await store.FindModelAsync(model) is { Name.Length: > 0 } known ? $"{known.Name} {known.ShortHash}" : model[..12];
}
