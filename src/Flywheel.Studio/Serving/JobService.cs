using Flywheel.Loop.Jobs;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>A kind of job that this server does. Register one as a singleton, and put jobs in by <see cref="JobQueue"/>.</summary>
internal sealed record JobKind(string Name, JobHandler Handler);

/// <summary>
/// Does the record's jobs beside the requests, as long as the server runs; what runs at its end goes on at the next start.
/// </summary>
internal sealed class JobService(JobQueue queue, IEnumerable<JobKind> kinds, ILogger<JobService> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Dictionary<string, JobHandler> handlers = kinds.ToDictionary(kind => kind.Name, kind => kind.Handler, StringComparer.Ordinal);
        if (handlers.Count == 0) return Task.CompletedTask;
        var worker = new JobWorker(queue, handlers) { Failed = (what, e) => log.LogWarning("{What} failed: {Message}", what, e.Message) };
        return worker.RunAsync(stoppingToken);
    }
}
