using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>A kind of job that this server does. Register one as a singleton, and put jobs in by <see cref="JobQueue"/>.</summary>
/// <param name="Name">As jobs name it.</param>
/// <param name="Handler">Does it.</param>
/// <param name="Line">Kinds in one line are done one at a time, other lines beside them.</param>
internal sealed record JobKind(string Name, JobHandler Handler, string Line);

/// <summary>
/// Does the record's jobs beside the requests, as long as the server runs; what runs at its end goes on at the next start.
/// </summary>
internal sealed class JobService(JobQueue queue, IEnumerable<JobKind> kinds, ServerEnding ending, ILogger<JobService> log)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        JobWorker[] workers =
            [.. kinds.GroupBy(kind => kind.Line)
                .Select(line => new JobWorker(queue, line.ToDictionary(kind => kind.Name, kind => kind.Handler, StringComparer.Ordinal))
        {
            Failed = Say,
        })];
        try
        {
            // What a killed server of this machine had begun need not wait until its claim runs out.
            foreach (JobRow left in (await queue.ListAsync(state: JobState.Running, cancellation: stoppingToken)).Where(job =>
                JobWorker.IsDead(job.ClaimedBy))) await queue.GiveUpAsync(left, stoppingToken);
        }
        catch (Exception e) when (StoreFaults.Of(e) is not null)
        {
            Say("giving up what a killed server had begun", e); // it waits until the claim runs out
        }
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, ending.Begun);
        await Task.WhenAll(workers.Select(worker => worker.RunAsync(stop.Token)));
    }

    // The log counts what fails for want of the database by its exception.
    private void Say(string what, Exception e)
    {
        if (StoreFaults.Of(e) is not null) log.LogWarning(e, "{What} failed", what);
        else log.LogWarning("{What} failed: {Message}", what, e.GetBaseException().Message);
    }
}
