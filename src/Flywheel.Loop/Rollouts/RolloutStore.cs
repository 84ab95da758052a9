using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Rollouts;

/// <summary>Rollouts in the record: begun, stepped and ended in one transaction each, by whoever comes first.</summary>
public static class RolloutStore
{
    /// <summary>Newest first.</summary>
    public static async Task<IReadOnlyList<RolloutRow>> RolloutsAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Rollouts.AsNoTracking().OrderByDescending(row => row.Id).ToListAsync(cancellation);
    }

    /// <summary>The last one, whether it runs or not; null before the first.</summary>
    public static async Task<RolloutRow?> LastRolloutAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Rollouts.AsNoTracking().OrderByDescending(row => row.Id).FirstOrDefaultAsync(cancellation);
    }

    /// <summary>The upstream that answers in the champion's place: it won the last rollout, and no model was released since that began.
    /// Null:
    /// the champion answers itself, or a rollout runs.</summary>
    public static async Task<string?> AnsweringUpstreamAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await UpstreamInPlaceAsync(db, cancellation) is { State: not RolloutState.Running } last ? last.Winner : null;
    }

    /// <summary>The last rollout, where an upstream answers by it in the champion's place: it won, or is the champion of the one that runs,
    /// and
    /// no model was released since that began. Else null.</summary>
    internal static async Task<RolloutRow?> UpstreamInPlaceAsync(FlywheelDb db, CancellationToken cancellation)
    {
        RolloutRow? last = await db.Rollouts.AsNoTracking().OrderByDescending(row => row.Id).FirstOrDefaultAsync(cancellation);
        if (last is null || !last.Winner.StartsWith(Upstream.Prefix, StringComparison.Ordinal)) return null;
        return await db.Releases.AnyAsync(release => release.Time > last.Started, cancellation) ? null : last;
    }

    /// <summary>Begins a rollout. Both models are known, and the caller knows that both can answer.</summary>
    /// <exception cref="FlywheelException">Another runs, or both are the same.</exception>
    public static async Task<RolloutRow> StartRolloutAsync(this FlywheelStore store, string champion, string candidate, double share,
        RolloutDecider decider,
        DateTimeOffset now, CancellationToken cancellation = default)
    {
        if (champion == candidate)
            throw new FlywheelException($"field 'candidate' is the model that serves already; a rollout compares two");
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Rollouts.AsNoTracking().FirstOrDefaultAsync(row => row.State == RolloutState.Running, cancellation) is { } other)
            throw new FlywheelException($"rollout {other.Id} runs; stop it before another begins (./flywheel rollout stop)");
        string hash = champion.StartsWith(Upstream.Prefix, StringComparison.Ordinal) ? "" : champion;
        string? upstream = hash.Length == 0 ? champion[Upstream.Prefix.Length..] : null;
        List<double> latencies =
            await db.Served
                .Where(row => row.ModelHash == hash && row.Upstream == upstream && row.FinishReason != Engine.FinishReason.Cancelled)
            .OrderByDescending(row => row.Time).Select(row => row.LatencyMs).Take(500).ToListAsync(cancellation);
        var made = new RolloutRow
        {
            Champion = champion, Candidate = candidate, Decider = decider, Share = share, Started = now, StepStarted = now,
            SlowMs = RolloutHistory.SlowOf(latencies), Reason = $"begun at {RolloutDecision.Percent(share)}",
        };
        db.Rollouts.Add(made);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return made;
    }

    /// <summary>Another share for a rollout that runs. False, and nothing is done, when it does not.</summary>
    public static async Task<bool> StepRolloutAsync(this FlywheelStore store, long id, double share, string reason, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Rollouts.Where(row => row.Id == id && row.State == RolloutState.Running).ExecuteUpdateAsync(row => row
            .SetProperty(rollout => rollout.Share, share).SetProperty(rollout => rollout.StepStarted, now)
            .SetProperty(rollout => rollout.Reason, reason), cancellation) == 1;
    }

    /// <summary>Another reason for a rollout that runs: why what was to happen did not. False, and nothing is done, when it does not
    /// run.</summary>
    public static async Task<bool> NoteRolloutAsync(this FlywheelStore store, long id, string reason,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Rollouts.Where(row => row.Id == id && row.State == RolloutState.Running)
            .ExecuteUpdateAsync(row => row.SetProperty(rollout => rollout.Reason, reason), cancellation) == 1;
    }

    /// <summary>Ends a rollout that runs with its candidate, a registered model, as the champion: both at once, or neither.</summary>
    /// <exception cref="FlywheelException">It does not run any more.</exception>
    public static async Task PromoteRolloutAsync(this FlywheelStore store, long id, string reason, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        RolloutRow row = await db.Rollouts.SingleOrDefaultAsync(one => one.Id == id && one.State == RolloutState.Running, cancellation)
            ?? throw new FlywheelException($"rollout {id} has ended meanwhile, so its candidate is not promoted");
        (row.State, row.Ended, row.Reason) = (RolloutState.Promoted, now, reason);
        string? last = await db.Releases.OrderByDescending(release => release.Id).Select(release => release.ModelHash)
            .FirstOrDefaultAsync(cancellation);
        string why = $"rollout {id}: {reason}";
        if (last != row.Candidate)
            await FlywheelStore.AddReleaseAsync(db, new ReleaseRow { Time = now, ModelHash = row.Candidate,
                Reason = why[..Math.Min(1000, why.Length)] }, cancellation);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Ends a rollout that runs. False, and nothing is done, when it does not.</summary>
    public static async Task<bool> EndRolloutAsync(this FlywheelStore store, long id, RolloutState state, string reason, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Rollouts.Where(row => row.Id == id && row.State == RolloutState.Running).ExecuteUpdateAsync(row => row
            .SetProperty(rollout => rollout.State, state).SetProperty(rollout => rollout.Ended, (DateTimeOffset?)now)
            .SetProperty(rollout => rollout.Reason, reason), cancellation) == 1;
    }
}
