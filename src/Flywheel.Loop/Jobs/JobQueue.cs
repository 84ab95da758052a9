using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Jobs;

/// <summary>
/// Work that survives its process, in the record: whoever asks puts it in, workers of any process claim it, one at a time. Every
/// change is one conditional update, which only one of several can win.
/// </summary>
public sealed class JobQueue(FlywheelStore store, TimeProvider? time = null)
{
    /// <summary>The wait after the first failure; it doubles with each further one, up to an hour.</summary>
    private static readonly TimeSpan s_firstRetry = TimeSpan.FromSeconds(5);

    private readonly TimeProvider _time = time ?? TimeProvider.System;

    private DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>Puts a job in; completes when it is on disk. What it generates counts against the limit of the key by which it is asked
    /// for.</summary>
    /// <param name="kind">Name of the handler that does it.</param>
    /// <param name="input">JSON: what is to be done.</param>
    /// <param name="user">Who asks.</param>
    /// <param name="workspace">Where; null: where whoever asks is.</param>
    /// <param name="maxAttempts">Failures after which it is given up.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<JobRow> EnqueueAsync(
        string kind, string input, string user = "", string? workspace = null, int maxAttempts = 3,
            CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        DateTimeOffset now = Now;
        if (Actor.LimitedKey is { } key && !JobRow.OfTheHome.Contains(kind)) input = JobPayload.AtCostOf(key, input);
        var job = new JobRow
        {
            Id = Guid.CreateVersion7(now), Kind = kind,
            Workspace = JobRow.OfTheHome.Contains(kind) ? WorkspaceRow.Default : workspace ?? Actor.Here, User = user,
            MaxAttempts = maxAttempts,
            NotBefore = now, Created = now, Updated = now, Payload = new JobPayload { Input = input },
        };
        await using FlywheelDb db = store.Tables();
        db.Jobs.Add(job);
        await db.SaveChangesAsync(cancellation);
        return job;
    }

    /// <summary>A job with its payload.</summary>
    /// <exception cref="FlywheelException">There is none with that id.</exception>
    public async Task<JobRow> FindAsync(Guid id, CancellationToken cancellation = default) =>
        await TryFindAsync(id, cancellation) ?? throw new FlywheelException($"there is no job {id} here");

    /// <summary>The same; null when there is none with that id.</summary>
    public async Task<JobRow?> TryFindAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Jobs.AsNoTracking().Include(job => job.Payload).SingleOrDefaultAsync(job => job.Id == id, cancellation);
    }

    /// <summary>A job without its payload, which may be large; null when there is none with that id.</summary>
    public async Task<JobRow?> FindStateAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Jobs.AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, cancellation);
    }

    /// <summary>The latest jobs without their payloads, newest first: of a workspace, or (null) all that whoever asks gets to
    /// see.</summary>
    public async Task<IReadOnlyList<JobRow>> ListAsync(
        string? workspace = null, string? user = null, string? kind = null, int count = 100, JobState? state = null,
            CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Jobs.AsNoTracking()
            .Where(job => (workspace == null || job.Workspace == workspace) && (user == null || job.User == user)
                && (kind == null || job.Kind == kind)
                && (state == null || job.State == state))
            .OrderByDescending(job => job.Created).ThenByDescending(job => job.Id).Take(count).ToListAsync(cancellation);
    }

    /// <summary>Takes the next job that waits, or whose worker has not been heard of since its claim ran out.</summary>
    /// <param name="worker">Name of who takes it, unlike every other worker's.</param>
    /// <param name="kinds">What the worker can do.</param>
    /// <param name="lease">How long it is the worker's unless that says more.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The job with its payload; null when there is nothing to do.</returns>
    public async Task<JobRow?> ClaimAsync(string worker, IReadOnlyCollection<string> kinds, TimeSpan lease,
        CancellationToken cancellation = default)
    {
        while (true)
        {
            DateTimeOffset now = Now, until = now + lease;
            await using FlywheelDb db = store.Tables();
            JobRow? next = await db.Jobs.AsNoTracking()
                .Where(job => kinds.Contains(job.Kind) && ((job.State == JobState.Queued && job.NotBefore <= now)
                    || (job.State == JobState.Running && job.ClaimedUntil < now)))
                .OrderBy(job => job.NotBefore).ThenBy(job => job.Id).FirstOrDefaultAsync(cancellation);
            if (next is null) return null;
            // The same row as it was seen, or somebody else was quicker.
            IQueryable<JobRow> asSeen = db.Jobs.Where(job => job.Id == next.Id && job.State == next.State
                && job.ClaimedUntil == next.ClaimedUntil && job.Wish == next.Wish);
            (JobState State, string Message)? end = next.State != JobState.Running ? null
                : next.Wish == JobWish.Cancel ? (JobState.Cancelled, next.Message)
                : next.Wish == JobWish.Pause ? (JobState.Paused, next.Message)
                : next.Attempts >= next.MaxAttempts
                    ? (JobState.Failed, $"its worker {next.ClaimedBy} died {next.Attempts} times while it ran")
                : null;
            if (end is { } ended)
            {
                DateTimeOffset? finished = ended.State == JobState.Paused ? null : now;
                await asSeen.ExecuteUpdateAsync(job =>
                    job.SetProperty(row => row.State, ended.State).SetProperty(row => row.Message, ended.Message)
                    .SetProperty(row => row.Wish, (JobWish?)null).SetProperty(row => row.ClaimedUntil, (DateTimeOffset?)null)
                    .SetProperty(row => row.Updated, now).SetProperty(row => row.Finished, finished), cancellation);
                continue;
            }
            int won = await asSeen.ExecuteUpdateAsync(job =>
                job.SetProperty(row => row.State, JobState.Running).SetProperty(row => row.ClaimedBy, worker)
                .SetProperty(row => row.ClaimedUntil, until).SetProperty(row => row.Attempts, row => row.Attempts + 1)
                .SetProperty(row => row.Updated, now), cancellation);
            if (won == 1) return await FindAsync(next.Id, cancellation);
        }
    }

    /// <summary>The claim of a worker that is known to be dead ends now instead of by itself.</summary>
    /// <param name="job">As it was seen: what has changed since stays.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task GiveUpAsync(JobRow job, CancellationToken cancellation = default)
    {
        DateTimeOffset past = Now - TimeSpan.FromTicks(1);
        await using FlywheelDb db = store.Tables();
        await Mine(db, job.Id, job.ClaimedBy ?? "").Where(row => row.ClaimedUntil == job.ClaimedUntil)
            .ExecuteUpdateAsync(rows => rows.SetProperty(row => row.ClaimedUntil, past), cancellation);
    }

    /// <summary>A worker says how far its job is; the claim is renewed.</summary>
    /// <param name="job">What it has claimed.</param>
    /// <param name="worker">Who it is.</param>
    /// <param name="lease">From now on.</param>
    /// <param name="progress">0 to 1; null leaves it.</param>
    /// <param name="message">In words; null leaves it.</param>
    /// <param name="checkpoint">From where it can be gone on with; null leaves it. Written together with the progress.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>What somebody asked of the job meanwhile.</returns>
    /// <exception cref="JobLostException">The claim ran out and the job is somebody else's, or ended.</exception>
    public async Task<JobWish?> ReportAsync(
        Guid job, string worker, TimeSpan lease, double? progress = null, string? message = null, string? checkpoint = null,
            CancellationToken cancellation = default)
    {
        DateTimeOffset now = Now, until = now + lease;
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        int mine = await Mine(db, job, worker)
            .ExecuteUpdateAsync(rows => rows.SetProperty(row => row.ClaimedUntil, until).SetProperty(row => row.Updated, now)
            .SetProperty(row => row.Progress, row => progress ?? row.Progress)
                .SetProperty(row => row.Message, row => message ?? row.Message), cancellation);
        if (mine == 0) throw new JobLostException(job, worker);
        if (checkpoint is not null)
            await db.Set<JobPayload>().Where(row => row.JobId == job)
                .ExecuteUpdateAsync(rows => rows.SetProperty(row => row.Checkpoint, checkpoint), cancellation);
        JobWish? wish = await db.Jobs.Where(row => row.Id == job).Select(row => row.Wish).SingleAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return wish;
    }

    /// <summary>What somebody asked of a job that its worker has not obeyed yet.</summary>
    public async Task<JobWish?> WishAsync(Guid job, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Jobs.Where(row => row.Id == job).Select(row => row.Wish).SingleOrDefaultAsync(cancellation);
    }

    /// <summary>The job is done.</summary>
    /// <exception cref="JobLostException">It is this worker's no longer.</exception>
    public Task CompleteAsync(Guid job, string worker, string? result = null, CancellationToken cancellation = default) =>
        EndAsync(job, worker, JobState.Done, null, result, cancellation);

    /// <summary>The job failed; it is tried again later unless it has failed too often or would fail again alike.</summary>
    /// <exception cref="JobLostException">It is this worker's no longer.</exception>
    public async Task FailAsync(JobRow job, string worker, string message, bool retry, CancellationToken cancellation = default)
    {
        if (!retry || job.Attempts >= job.MaxAttempts)
        {
            await EndAsync(job.Id, worker, JobState.Failed, message, null, cancellation);
            return;
        }
        double wait = Math.Min(3600, s_firstRetry.TotalSeconds * Math.Pow(2, job.Attempts - 1));
        await BackAsync(job.Id, worker, JobState.Queued, message, Now + TimeSpan.FromSeconds(wait), attempts: job.Attempts, cancellation);
    }

    /// <summary>The worker stops, not the job: it is queued again at once and this begin does not count.</summary>
    /// <exception cref="JobLostException">It is this worker's no longer.</exception>
    public Task ReleaseAsync(JobRow job, string worker, CancellationToken cancellation = default) =>
        BackAsync(job.Id, worker, JobState.Queued, null, Now, Math.Max(0, job.Attempts - 1), cancellation);

    /// <summary>The job goes on from its checkpoint at a time; this begin does not count.</summary>
    /// <exception cref="JobLostException">It is this worker's no longer.</exception>
    public Task PostponeAsync(JobRow job, string worker, string message, DateTimeOffset until, CancellationToken cancellation = default) =>
        BackAsync(job.Id, worker, JobState.Queued, message, until, Math.Max(0, job.Attempts - 1), cancellation);

    /// <summary>Whether the key at whose cost is acted has tokens left today.</summary>
    /// <exception cref="KeyLimitException">It has not.</exception>
    internal async Task CheckLimitAsync(CancellationToken cancellation)
    {
        if (Actor.LimitedKey is { } key && await new ApiKeys(store, _time).FindTokensUsedUpAsync(key, cancellation) is { } reached)
            throw new KeyLimitException(reached);
    }

    /// <summary>The worker has stopped a job as it was asked to.</summary>
    /// <exception cref="JobLostException">It is this worker's no longer.</exception>
    public Task ObeyAsync(JobRow job, string worker, JobWish wish, CancellationToken cancellation = default) => wish == JobWish.Cancel
        ? EndAsync(job.Id, worker, JobState.Cancelled, null, null, cancellation)
        : BackAsync(job.Id, worker, JobState.Paused, null, Now, Math.Max(0, job.Attempts - 1), cancellation);

    /// <summary>Stops a job for a while: at once if it waits, else when its worker next says how far it is.</summary>
    /// <exception cref="FlywheelException">It has ended.</exception>
    public Task PauseAsync(Guid job, CancellationToken cancellation = default) =>
        AskAsync(job, JobWish.Pause, JobState.Paused, cancellation);

    /// <summary>Ends a job.</summary>
    /// <exception cref="FlywheelException">It has ended.</exception>
    public Task CancelAsync(Guid job, CancellationToken cancellation = default) =>
        AskAsync(job, JobWish.Cancel, JobState.Cancelled, cancellation);

    /// <summary>Takes a job out of the record, with what it was asked and what came of it. A worker that has it hears soon that it is
    /// lost.</summary>
    public async Task DeleteAsync(Guid job, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (!await db.Jobs.AnyAsync(row => row.Id == job, cancellation)) return; // deleted already, or another workspace's
        await db.Set<JobPayload>().Where(row => row.JobId == job).ExecuteDeleteAsync(cancellation);
        await db.Jobs.Where(row => row.Id == job).ExecuteDeleteAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Goes on with a paused job from its checkpoint, or tries one again that failed or was cancelled.</summary>
    /// <exception cref="FlywheelException">It runs, waits or is done.</exception>
    public async Task ResumeAsync(Guid job, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        DateTimeOffset now = Now;
        await using FlywheelDb db = store.Tables();
        int changed = await db.Jobs.Where(row => row.Id == job
            && (row.State == JobState.Paused || row.State == JobState.Failed || row.State == JobState.Cancelled))
            .ExecuteUpdateAsync(rows =>
                rows.SetProperty(row => row.State, JobState.Queued).SetProperty(row => row.Attempts, 0)
                .SetProperty(row => row.NotBefore, now)
                .SetProperty(row => row.Wish, (JobWish?)null).SetProperty(row => row.Finished, (DateTimeOffset?)null)
                    .SetProperty(row => row.Updated, now), cancellation);
        // A pause that its worker has not seen yet is taken back.
        if (changed == 0)
            changed = await db.Jobs.Where(row => row.Id == job && row.State == JobState.Running && row.Wish == JobWish.Pause)
                .ExecuteUpdateAsync(rows =>
                    rows.SetProperty(row => row.Wish, (JobWish?)null).SetProperty(row => row.Updated, now), cancellation);
        if (changed == 0)
            throw new FlywheelException(
                $"job {job} is {await StateAsync(db, job, cancellation)}, expected one that is paused, failed or cancelled");
    }

    private static IQueryable<JobRow> Mine(FlywheelDb db, Guid job, string worker) =>
        db.Jobs.Where(row => row.Id == job && row.State == JobState.Running && row.ClaimedBy == worker);

    private async Task EndAsync(Guid job, string worker, JobState state, string? message, string? result, CancellationToken cancellation)
    {
        DateTimeOffset now = Now;
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        int mine = await Mine(db, job, worker)
            .ExecuteUpdateAsync(rows => rows.SetProperty(row => row.State, state).SetProperty(row => row.Wish, (JobWish?)null)
            .SetProperty(row => row.Progress, row => state == JobState.Done ? 1 : row.Progress)
                .SetProperty(row => row.Message, row => message ?? row.Message)
            .SetProperty(row => row.ClaimedUntil, (DateTimeOffset?)null).SetProperty(row => row.Updated, now)
            .SetProperty(row => row.Finished, (DateTimeOffset?)now), cancellation);
        if (mine == 0) throw new JobLostException(job, worker);
        if (result is not null)
            await db.Set<JobPayload>().Where(row => row.JobId == job)
                .ExecuteUpdateAsync(rows => rows.SetProperty(row => row.Result, result), cancellation);
        await transaction.CommitAsync(cancellation);
    }

    private async Task BackAsync(Guid job, string worker, JobState state, string? message, DateTimeOffset notBefore, int attempts,
        CancellationToken cancellation)
    {
        DateTimeOffset now = Now;
        await using FlywheelDb db = store.Tables();
        // A pause or an end that was asked for in this moment must not be lost: a queued job takes it as its state.
        int mine = await Mine(db, job, worker).ExecuteUpdateAsync(rows => rows
            .SetProperty(row => row.State, row => row.Wish == JobWish.Cancel ? JobState.Cancelled : row.Wish == JobWish.Pause
                ? JobState.Paused : state)
            .SetProperty(row => row.Finished, row => row.Wish == JobWish.Cancel ? (DateTimeOffset?)now : null)
            .SetProperty(row => row.Wish, (JobWish?)null).SetProperty(row => row.Message, row => message ?? row.Message)
            .SetProperty(row => row.NotBefore, notBefore).SetProperty(row => row.Attempts, attempts)
            .SetProperty(row => row.ClaimedUntil, (DateTimeOffset?)null).SetProperty(row => row.Updated, now), cancellation);
        if (mine == 0) throw new JobLostException(job, worker);
    }

    private async Task AskAsync(Guid job, JobWish wish, JobState state, CancellationToken cancellation)
    {
        Actor.Demand(Scopes.Inference);
        DateTimeOffset now = Now;
        DateTimeOffset? finished = state == JobState.Cancelled ? now : null;
        await using FlywheelDb db = store.Tables();
        int changed = await db.Jobs.Where(row => row.Id == job && row.State == JobState.Running)
            .ExecuteUpdateAsync(rows =>
                rows.SetProperty(row => row.Wish, (JobWish?)wish).SetProperty(row => row.Updated, now), cancellation);
        if (changed == 0)
            changed = await db.Jobs.Where(row => row.Id == job && (row.State == JobState.Queued || row.State == JobState.Paused))
                .ExecuteUpdateAsync(rows =>
                    rows.SetProperty(row => row.State, state).SetProperty(row => row.Finished, finished)
                    .SetProperty(row => row.Updated, now), cancellation);
        // Between the two a worker may have begun it, or put it back.
        if (changed == 0 && await StateAsync(db, job, cancellation) is "running" or "queued") await AskAsync(job, wish, state,
            cancellation);
        else if (changed == 0)
            throw new FlywheelException($"job {job} is {await StateAsync(db, job, cancellation)}, expected one that waits or runs");
    }

    private static async Task<string> StateAsync(FlywheelDb db, Guid job, CancellationToken cancellation)
    {
        JobState? state = await db.Jobs.Where(row => row.Id == job).Select(row => (JobState?)row.State).SingleOrDefaultAsync(cancellation);
        return state?.ToString().ToLowerInvariant() ?? throw new FlywheelException($"there is no job {job} here");
    }
}

/// <summary>A job that a worker thought to have is no longer its own: its claim ran out, or the job was ended.</summary>
public sealed class JobLostException(Guid job, string worker) : Exception($"job {job} is no longer worker {worker}'s");
