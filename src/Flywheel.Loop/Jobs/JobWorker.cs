using Flywheel.Model;

namespace Flywheel.Loop.Jobs;

/// <summary>Does one kind of job.</summary>
/// <param name="job">What there is to do; say there how far it is.</param>
/// <param name="cancellation">Fires when the job is to be paused or ended, when the worker stops, or when the claim is lost.</param>
/// <returns>JSON of what came of it, or null. A <see cref="KeyLimitException"/> puts the job off, any other <see cref="FlywheelException"/>
/// fails it for good; the rest is tried again, and once the
/// cancellation has fired is no failure.</returns>
public delegate Task<string?> JobHandler(JobContext job, CancellationToken cancellation);

/// <summary>A job in the hands of its handler.</summary>
public sealed class JobContext
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(500);

    private readonly JobRow _row;
    private readonly Func<double?, string?, string?, Task> _report;
    private readonly Func<CancellationToken, Task> _checkLimit;

    internal JobContext(JobRow row, Func<double?, string?, string?, Task> report, Func<CancellationToken, Task> checkLimit) =>
        (_row, _report, _checkLimit, Checkpoint) = (row, report, checkLimit, row.Payload!.Checkpoint);

    public Guid Id => _row.Id;

    public string User => _row.User;

    public string Workspace => _row.Workspace;

    /// <summary>JSON: what is to be done.</summary>
    public string Input => _row.Payload!.Input;

    /// <summary>What the last <see cref="ReportAsync"/> noted, also before a restart; null at the beginning.</summary>
    public string? Checkpoint { get; private set; }

    /// <summary>1, 2, ...: how often it was begun, clean stops not counted.</summary>
    public int Attempt => _row.Attempts;

    /// <summary>Says how far the job is. Completes when that is on disk.</summary>
    /// <param name="progress">0 to 1.</param>
    /// <param name="message">In words.</param>
    /// <param name="checkpoint">From where another worker can go on; null leaves it.</param>
    /// <exception cref="JobLostException">The job is another worker's: what this one does now counts no more.</exception>
    public async Task ReportAsync(double progress, string? message = null, string? checkpoint = null)
    {
        await _report(progress, message, checkpoint);
        Checkpoint = checkpoint ?? Checkpoint;
    }

    /// <summary>Called before each part of the job that generates.</summary>
    /// <exception cref="KeyLimitException">The key at whose cost it is has no tokens left today; let through, it puts the job off until it
    /// has.</exception>
    public Task CheckLimitAsync(CancellationToken cancellation) => _checkLimit(cancellation);

    /// <summary>Says twice a second how far a work is that goes on beside it, until it ends.</summary>
    /// <param name="work">Ends when the handler's cancellation fires, too.</param>
    /// <param name="latest">Progress, words and checkpoint as of now; said when they are others than before. Null: nothing to say
    /// yet.</param>
    /// <param name="time">Measures the pauses.</param>
    /// <returns>What comes of the work.</returns>
    public async Task<T> ReportWhileAsync<T>(Task<T> work, Func<(double Progress, string? Message, string? Checkpoint)?> latest,
        TimeProvider time)
    {
        (double, string?, string?)? told = null;
        try
        {
            while (await Task.WhenAny(work, Task.Delay(s_pause, time, CancellationToken.None)) != work)
                if (latest() is { } now && now != told)
                {
                    told = now;
                    await ReportAsync(now.Progress, now.Message, now.Checkpoint);
                }
        }
        catch (JobLostException)
        {
            await work.ContinueWith(_ => { }, TaskScheduler.Default); // it was stopped, too: two must not do one work
            throw;
        }
        return await work;
    }
}

/// <summary>
/// Does jobs as they come: claims one, runs its handler, renews the claim meanwhile, writes down how it ended. Any number of workers of
/// any number of processes may share a record.
/// </summary>
/// <param name="queue">Where jobs come from.</param>
/// <param name="handlers">By kind; only these kinds are claimed.</param>
public sealed class JobWorker(JobQueue queue, IReadOnlyDictionary<string, JobHandler> handlers)
{
    /// <summary>Unlike that of any other worker.</summary>
    public string Name { get; init; } = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid().ToString("N")[..8]}";

    /// <summary>Whether a worker was of a process of this machine that has ended. Of another machine's nothing is known.</summary>
    public static bool IsDead(string? worker)
    {
        if (worker?.Split('/') is not [var machine, var process, _] || machine != Environment.MachineName
            || !int.TryParse(process, out int id)) return false;
        try
        {
            using var found = System.Diagnostics.Process.GetProcessById(id);
            return found.HasExited;
        }
        catch (ArgumentException)
        {
            return true;
        }
    }

    /// <summary>A dead worker's job waits so long for another.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the record is asked when nothing is to do.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Jobs at a time.</summary>
    public int NumAtOnce { get; init; } = 1;

    /// <summary>Told of what failed and of what the record did not take.</summary>
    public Action<string, Exception> Failed { get; init; } = (_, _) => { };

    /// <summary>Works until cancelled. Jobs that run then are stopped, and queued again from their checkpoints.</summary>
    public Task RunAsync(CancellationToken cancellation) =>
        Task.WhenAll(Enumerable.Range(0, NumAtOnce).Select(_ => LoopAsync(cancellation)));

    private async Task LoopAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                // Not to be cancelled: a claim that was made and not heard of would hold the job until it runs out.
                if (await queue.ClaimAsync(Name, [.. handlers.Keys], Lease, CancellationToken.None) is { } job)
                    await DoAsync(job, cancellation);
                else await Task.Delay(Poll, cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Failed("the queue of jobs", e); // a full disk, say: the job's claim runs out and it is done again
                await Task.Delay(Poll, CancellationToken.None);
            }
        }
    }

    private async Task DoAsync(JobRow job, CancellationToken stop)
    {
        using var halt = CancellationTokenSource.CreateLinkedTokenSource(stop);
        JobWish? wish = null;
        async Task Report(double? progress, string? message, string? checkpoint)
        {
            try
            {
                if (await queue.ReportAsync(job.Id, Name, Lease, progress, message, checkpoint,
                    CancellationToken.None) is not { } asked) return;
                wish = asked;
                await halt.CancelAsync();
            }
            catch (JobLostException)
            {
                await halt.CancelAsync();
                throw;
            }
        }

        // Its own rows it reaches in any workspace. The handler sees what whoever asked for it sees.
        // what it promotes or forgets, whoever asked for it does
        Actor.Is(job.User.Length > 0 ? job.User : Actor.Name, workspace: job.IsOfTheHome ? null : job.Workspace,
            limitedKey: job.Payload!.FindLimitedKey());
        using var ended = new CancellationTokenSource();
        Task renewing = RenewAsync(() => Report(null, null, null), job, ended.Token);
        Func<Task> settle;
        try
        {
            string? result = await handlers[job.Kind](new JobContext(job, Report, queue.CheckLimitAsync), halt.Token);
            settle = () => queue.CompleteAsync(job.Id, Name, result, CancellationToken.None);
        }
        catch (KeyLimitException e)
        {
            settle = () => queue.PostponeAsync(job, Name, e.Message, e.Until, CancellationToken.None);
        }
        // A handler that was told to stop may end by whatever it was doing, such as by a stream that was closed under it. What only a
        // person
        // can mend has failed all the same.
        catch (Exception e) when (halt.IsCancellationRequested && e is not (FlywheelException or JobLostException))
        {
            if (e is not OperationCanceledException) Failed($"stopping job {job.Id} ({job.Kind})", e);
            settle = wish is { } asked ? () => queue.ObeyAsync(job, Name, asked, CancellationToken.None)
                : () => queue.ReleaseAsync(job, Name, CancellationToken.None);
        }
        catch (JobLostException)
        {
            settle = () => Task.CompletedTask;
        }
        catch (Exception e)
        {
            Failed($"job {job.Id} ({job.Kind})", e);
            settle = () => queue.FailAsync(job, Name, e.Message, retry: e is not FlywheelException, CancellationToken.None);
        }
        await ended.CancelAsync();
        await renewing;
        try
        {
            await settle();
        }
        catch (JobLostException)
        {
            // Another worker does it again, or somebody ended it: its row says what counts.
        }
    }

    /// <summary>Renews the claim of a handler that has long nothing to say, and hears soon what is asked of its job.</summary>
    private async Task RenewAsync(Func<Task> renew, JobRow job, CancellationToken ended)
    {
        TimeSpan pause = TimeSpan.FromTicks(Math.Min(Lease.Ticks / 3, Poll.Ticks));
        for (int round = 1; ; round++)
        {
            try
            {
                await Task.Delay(pause, ended);
                bool due = round * pause.Ticks % (Lease.Ticks / 3) < pause.Ticks; // a write each third of the lease, a read in between
                if (due || await queue.WishAsync(job.Id, ended) is not null) await renew();
            }
            catch (OperationCanceledException) when (ended.IsCancellationRequested)
            {
                return;
            }
            catch (JobLostException)
            {
                return;
            }
            catch (Exception e)
            {
                Failed($"renewing the claim of job {job.Id}", e); // tried again in a moment
            }
        }
    }
}
