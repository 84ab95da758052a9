using System.Text.Json.Nodes;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>Forgetting as a job: it outlives the process that does it, and a worker goes on where another died.</summary>
public sealed class ForgetJob(FlywheelStore store, JobQueue queue, TimeProvider time)
{
    public const string Kind = "forget";

    /// <summary>Makes the server serve a model, by its hash and with a reason.</summary>
    public Func<string, string, Task>? Swap { get; init; }

    /// <summary>Called when the record is without the person: what is in memory must be read again.</summary>
    public Func<Task> Removed { get; init; } = () => Task.CompletedTask;

    /// <summary>Told what a person waits to hear.</summary>
    public TurnProgress Progress { get; init; } = new();

    /// <summary>Asks for it. A job for the same person that has not ended is that one.</summary>
    /// <param name="person">Who is to be forgotten.</param>
    /// <param name="by">Who asks; empty when the command line does.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">They are the only owner, and others have an account.</exception>
    public async Task<JobRow> EnqueueAsync(string person, string by = "", CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        string input = new JsonObject { ["user"] = person }.ToJsonString(JsonText.Compact);
        await using FlywheelDb db = store.AllTables();
        await new PersonRows(db, person).CheckOwnerStaysAsync(cancellation);
        JobRow? open = await db.Jobs.AsNoTracking().FirstOrDefaultAsync(job => job.Kind == Kind && job.Payload!.Input == input
            && (job.State == JobState.Queued || job.State == JobState.Running || job.State == JobState.Failed
                || job.State == JobState.Paused), cancellation);
        if (open is { State: JobState.Failed or JobState.Paused }) await queue.ResumeAsync(open.Id, cancellation);
        return open ?? await queue.EnqueueAsync(Kind, input, by, cancellation: cancellation);
    }

    /// <summary>The handler.</summary>
    /// <returns>JSON: the id of the ledger's row.</returns>
    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        string person = (string?)JsonNode.Parse(job.Input)?["user"] ?? throw new FlywheelException("the job does not say whom to forget");
        var said = new TurnProgress
        {
            Say = text =>
            {
                Progress.Say(text);
                job.ReportAsync(0.5, text).GetAwaiter().GetResult();
            },
            Trained = Progress.Trained,
        };
        DeletionRow row = await new Forget(store, said, time) { Swap = Swap }.RunAsync(person, cancellation);
        await Removed();
        await UnnameAsync(job.Id, person, cancellation);
        await job.ReportAsync(1, "");
        return new JsonObject { ["deletion"] = row.Id.ToString() }.ToJsonString(JsonText.Compact);
    }

    /// <summary>The job itself must not keep who it was.</summary>
    private async Task UnnameAsync(Guid id, string person, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        await store.Database.OverwriteDeletedAsync(db, cancellation);
        await db.Jobs.Where(row => row.User == person).ExecuteUpdateAsync(row => row.SetProperty(job => job.User, ""), cancellation);
        await db.Set<JobPayload>().Where(row => row.JobId == id)
            .ExecuteUpdateAsync(row => row.SetProperty(payload => payload.Input, "{}"), cancellation);
        await store.Database.EmptyLogAsync(Progress.Say, cancellation);
    }
}
