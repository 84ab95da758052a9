using Flywheel.Loop.Jobs;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>The dubbing jobs of people and their folders: one that was stopped or deleted leaves nothing behind.</summary>
internal sealed class Dubs(JobQueue queue, DubFolders folders)
{
    private const int MaxJobs = 200;

    /// <summary>A person's dubs of a project with their payloads, the latest first; those that were deleted are none.</summary>
    public Task<IReadOnlyList<JobRow>> OfAsync(string person, string workspace, Guid project) =>
        OfAsync(person, workspace, project, MaxJobs);

    private async Task<IReadOnlyList<JobRow>> OfAsync(string person, string workspace, Guid project, int maxJobs)
    {
        var jobs = new List<JobRow>();
        foreach (JobRow row in await queue.ListAsync(workspace, person, DubJob.Kind, maxJobs))
        {
            if (folders.TryDocumentOf(row.Id, out Guid? document) && document != project) continue;
            JobRow job;
            try
            {
                job = await queue.FindAsync(row.Id);
            }
            catch (FlywheelException)
            {
                continue; // another window has just deleted it
            }
            if (folders.DocumentOf(job) == project && !IsDeleted(job)) jobs.Add(job);
        }
        return jobs;
    }

    /// <summary>What was finished once and has no folder any more: as dubs were deleted that are still in the record.</summary>
    public bool IsDeleted(JobRow job)
    {
        Clear(job);
        return job.State is JobState.Done && !Directory.Exists(folders.Of(job.Id));
    }

    /// <summary>Ends a dub that waits or runs. Its folder goes with it: at once, or when its worker has stopped.</summary>
    /// <exception cref="FlywheelException">It has ended.</exception>
    public async Task CancelAsync(Guid job)
    {
        await queue.CancelAsync(job);
        if (await queue.FindStateAsync(job) is { } now) Clear(now);
    }

    /// <summary>Takes a dub away with its files and what was ordered. One that runs ends; what its worker writes meanwhile that takes away
    /// itself.</summary>
    public async Task DeleteAsync(JobRow job)
    {
        await queue.DeleteAsync(job.Id);
        folders.Delete(job.Id);
    }

    /// <summary>Ends what waits or runs of a project.</summary>
    public async Task StopAsync(string person, string workspace, Guid project)
    {
        foreach (JobRow job in await OfAsync(person, workspace, project))
            if (job.State is JobState.Queued or JobState.Running or JobState.Paused)
                try
                {
                    await CancelAsync(job.Id);
                }
                catch (FlywheelException)
                {
                    // it has just ended
                }
    }

    /// <summary>Takes every dub of a project away.</summary>
    public async Task DeleteOfAsync(string person, string workspace, Guid project)
    {
        foreach (JobRow job in await OfAsync(person, workspace, project, int.MaxValue)) await DeleteAsync(job);
    }

    /// <summary>A job that is cancelled has no worker any more: what it made goes.</summary>
    public void Clear(JobRow job)
    {
        if (job.State == JobState.Cancelled) folders.Delete(job.Id);
    }
}
