using Flywheel.Loop;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>
/// Takes away what stands in no project: a take that was removed in the sitting in which it was recorded is in no version, so nothing that
/// is deleted
/// for good leads to it. And what a server that was killed left unfinished.
/// </summary>
internal sealed class VoiceSweep(FlywheelStore store, Recordings recordings, DubFolders folders, TimeProvider time, ILogger<VoiceSweep> log)
    : BackgroundService
{
    private static readonly TimeSpan s_first = TimeSpan.FromMinutes(2), s_pause = TimeSpan.FromHours(6);

    /// <summary>What is younger may be on its way into a project, or be undone.</summary>
    private static readonly TimeSpan s_age = TimeSpan.FromDays(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (TimeSpan wait = s_first; ; wait = s_pause)
            {
                await Task.Delay(wait, time, stoppingToken);
                try
                {
                    if (await SweepAsync(stoppingToken) is > 0 and var count)
                        log.LogInformation("{Count} recordings and dubs that no project holds were removed", count);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    log.LogError(e, "Recordings that no project holds stay for now");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // the server ends
        }
    }

    /// <returns>How many were taken away.</returns>
    internal async Task<int> SweepAsync(CancellationToken cancellation)
    {
        DateTimeOffset before = time.GetUtcNow() - s_age;
        var named = new HashSet<string>(StringComparer.Ordinal);
        await using FlywheelDb db = store.Tables();
        // Of everybody, in every workspace; what was ordered, too, since a dub is spoken from it.
        await foreach (string body in db.DocumentVersions.IgnoreQueryFilters().AsNoTracking()
            .Where(row => db.Documents.IgnoreQueryFilters().Any(owner => owner.Id == row.DocumentId && owner.App == VoiceProjects.App))
            .Select(row => row.Body).AsAsyncEnumerable().WithCancellation(cancellation))
            named.UnionWith(VoiceProjects.HashesIn(body));
        await foreach (string order in db.Jobs.IgnoreQueryFilters().AsNoTracking().Where(job => job.Kind == DubJob.Kind)
            .Select(job => job.Payload!.Input).AsAsyncEnumerable().WithCancellation(cancellation))
            named.UnionWith(VoiceProjects.HashesIn(order));
        HashSet<Guid> jobs =
            [.. await db.Jobs.IgnoreQueryFilters().Where(job => job.Kind == DubJob.Kind).Select(job => job.Id).ToListAsync(cancellation)];
        return recordings.Sweep(named, before) + folders.Sweep(jobs, before);
    }
}
