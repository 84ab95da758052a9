using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Rollouts;

/// <summary>Rollouts in the record: begun, stepped and ended in one transaction each, by whoever comes first.</summary>
public static class RolloutStore
{
    /// <summary>Newest first.</summary>
    public static async Task<IReadOnlyList<RolloutRow>> RolloutsAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Rollouts.AsNoTracking().OrderByDescending(row => row.Id).ToListAsync(cancellation);
    }

    /// <summary>The last one, whether it runs or not; null before the first.</summary>
    public static async Task<RolloutRow?> LastRolloutAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Rollouts.AsNoTracking().OrderByDescending(row => row.Id).FirstOrDefaultAsync(cancellation);
    }

    /// <summary>The upstream that answers in the champion's place: it won the last rollout, and no model was released since. Null: the
    /// champion answers itself.</summary>
    public static async Task<string?> AnsweringUpstreamAsync(this FlywheelStore store, CancellationToken cancellation = default)
    {
        if (await store.LastRolloutAsync(cancellation) is not { State: not RolloutState.Running, Ended: { } ended } last) return null;
        if (!last.Winner.StartsWith(Upstream.Prefix, StringComparison.Ordinal)) return null;
        await using FlywheelDb db = store.Tables();
        return await db.Releases.AnyAsync(release => release.Time > ended, cancellation) ? null : last.Winner;
    }

    /// <summary>Begins a rollout. Both models are known, and the caller knows that both can answer.</summary>
    /// <exception cref="FlywheelException">Another runs, or both are the same.</exception>
    public static async Task<RolloutRow> StartRolloutAsync(this FlywheelStore store, string champion, string candidate, double share, RolloutDecider decider,
        DateTimeOffset now, CancellationToken cancellation = default)
    {
        if (champion == candidate) throw new FlywheelException($"field 'candidate' is the model that serves already; a rollout compares two");
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Rollouts.AsNoTracking().FirstOrDefaultAsync(row => row.State == RolloutState.Running, cancellation) is { } other)
            throw new FlywheelException($"rollout {other.Id} runs; stop it before another begins (./flywheel rollout stop)");
        string hash = champion.StartsWith(Upstream.Prefix, StringComparison.Ordinal) ? "" : champion;
        string? upstream = hash.Length == 0 ? champion[Upstream.Prefix.Length..] : null;
        List<double> latencies = await db.Generations.Where(row => row.ModelHash == hash && row.Upstream == upstream && row.FinishReason != Engine.FinishReason.Cancelled)
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
        await using FlywheelDb db = store.Tables();
        return await db.Rollouts.Where(row => row.Id == id && row.State == RolloutState.Running).ExecuteUpdateAsync(row => row
            .SetProperty(rollout => rollout.Share, share).SetProperty(rollout => rollout.StepStarted, now)
            .SetProperty(rollout => rollout.Reason, reason), cancellation) == 1;
    }

    /// <summary>Ends a rollout that runs. False, and nothing is done, when it does not.</summary>
    public static async Task<bool> EndRolloutAsync(this FlywheelStore store, long id, RolloutState state, string reason, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Rollouts.Where(row => row.Id == id && row.State == RolloutState.Running).ExecuteUpdateAsync(row => row
            .SetProperty(rollout => rollout.State, state).SetProperty(rollout => rollout.Ended, (DateTimeOffset?)now)
            .SetProperty(rollout => rollout.Reason, reason), cancellation) == 1;
    }
}
