using System.Threading.Channels;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// The one writer of the request path. What arrives while a transaction is being synced goes into the next one together
/// (group commit), so the price of a sync is shared; each caller is answered only after its own transaction is on disk.
/// </summary>
internal sealed class RecordWriter : IAsyncDisposable
{
    private const int MaxBatch = 256;

    private readonly Channel<Entry> queue = Channel.CreateBounded<Entry>(4096);
    private readonly IRecordDatabase database;
    private readonly Task loop;

    public RecordWriter(IRecordDatabase database)
    {
        this.database = database;
        loop = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public async Task WriteAsync(Generation generation, CancellationToken cancellation)
    {
        var entry = new Entry(generation, []);
        await queue.Writer.WriteAsync(entry, cancellation);
        await entry.Done.Task.WaitAsync(cancellation);
    }

    /// <summary>All of these, in this order and one after another, or none.</summary>
    /// <returns>Of each the id, or that of the earlier one that it repeats.</returns>
    /// <exception cref="IdempotencyConflictException">A user's key was used for other feedback.</exception>
    public async Task<IReadOnlyList<FeedbackReceipt>> WriteAsync(IReadOnlyList<Feedback> feedback, CancellationToken cancellation)
    {
        var entry = new Entry(null, feedback);
        await queue.Writer.WriteAsync(entry, cancellation);
        return await entry.Done.Task.WaitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        queue.Writer.TryComplete();
        await loop;
    }

    // SQLite is synchronous at heart, and there is one transaction at a time: the writer is one blocking thread.
    private void Run()
    {
        var batch = new List<Entry>();
        while (queue.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && queue.Reader.TryRead(out Entry? entry)) batch.Add(entry);
            try
            {
                Commit(batch);
            }
            catch (Exception e) when (StoreFaults.Of(e) is not null)
            {
                foreach (Entry entry in batch) entry.Done.TrySetException(e); // none is at fault, and none will fare better alone
            }
            catch (Exception) when (batch.Count > 1)
            {
                // One bad row must not fail its neighbours: each alone, so that only its own caller hears of it.
                foreach (Entry entry in batch) CommitAlone(entry);
            }
            catch (Exception e)
            {
                batch[0].Done.TrySetException(e);
            }
        }
    }

    private void CommitAlone(Entry entry)
    {
        try
        {
            Commit([entry]);
        }
        catch (Exception e)
        {
            entry.Done.TrySetException(e);
        }
    }

    private void Commit(List<Entry> batch)
    {
        // Feedback is numbered, and checked against what is there; generations have ids of their own.
        using FlywheelDb db = database.Open(inOrder: batch.Exists(entry => entry.Feedback.Count > 0));
        var receipts = new List<FeedbackReceipt>[batch.Count];
        var conflicts = new IdempotencyConflictException?[batch.Count];
        using (var transaction = db.Database.BeginTransaction())
        {
            db.Generations.AddRange(batch.Select(entry => entry.Generation).OfType<Generation>());
            Dictionary<(string, string, string, string), Feedback> seen = Seen(db, batch);
            HashSet<Guid> generations = Recorded(db, batch);
            for (int i = 0; i < batch.Count; i++)
            {
                receipts[i] = [];
                List<Feedback> added = [];
                foreach (Feedback feedback in batch[i].Feedback)
                {
                    Feedback stored = feedback;
                    if (feedback.IdempotencyKey is null || seen.TryAdd(KeyOf(feedback), feedback)) added.Add(feedback);
                    else stored = seen[KeyOf(feedback)];
                    if (Differs(stored, feedback) is { } field)
                        conflicts[i] ??= new(
                            $"field 'idempotency_key' is '{feedback.IdempotencyKey}', which this user's feedback {stored.Id} had with another {field}; "
                            + "expected a key of its own for other feedback. Nothing was stored");
                    receipts[i].Add(new(stored.Id, Orphan: !generations.Contains(feedback.GenerationId)));
                }
                if (conflicts[i] is null) db.Feedback.AddRange(added);
                else foreach (Feedback unstored in added.Where(row => row.IdempotencyKey is not null)) seen.Remove(KeyOf(unstored));
            }
            db.SaveChanges();
            transaction.Commit();
        }
        for (int i = 0; i < batch.Count; i++)
        {
            if (conflicts[i] is { } conflict) batch[i].Done.TrySetException(conflict);
            else batch[i].Done.TrySetResult(receipts[i]);
        }
    }

    /// <summary>A key is its user's own.</summary>
    private static (string, string, string, string) KeyOf(Feedback row) => (row.IdempotencyKey!, row.User, row.Owner, row.Workspace);

    private static Dictionary<(string, string, string, string), Feedback> Seen(FlywheelDb db, List<Entry> batch)
    {
        return batch.SelectMany(entry => entry.Feedback).Select(row => row.IdempotencyKey).OfType<string>().Distinct().Chunk(MaxBatch)
            .SelectMany(keys => db.Feedback.AsNoTracking().Where(row => keys.Contains(row.IdempotencyKey!))).ToDictionary(KeyOf);
    }

    /// <summary>The field in which a repeated feedback is another; null when it is the same.</summary>
    private static string? Differs(Feedback first, Feedback again) =>
        first.GenerationId != again.GenerationId ? "inference_id"
        : first.Metric != again.Metric ? "metric_name"
        : first.Value != again.Value ? "value"
        : first.Tags != again.Tags ? "tags"
        : first.Source != again.Source ? "source"
        : null;

    private static HashSet<Guid> Recorded(FlywheelDb db, List<Entry> batch)
    {
        HashSet<Guid> recorded = [.. batch.SelectMany(entry => entry.Feedback).Select(row => row.GenerationId).Distinct().Chunk(MaxBatch)
            .SelectMany(ids => db.Generations.Where(row => ids.Contains(row.Id)).Select(row => row.Id))];
        recorded.UnionWith(batch.Select(entry => entry.Generation?.Id).OfType<Guid>());
        return recorded;
    }

    private sealed record Entry(Generation? Generation, IReadOnlyList<Feedback> Feedback)
    {
        public TaskCompletionSource<IReadOnlyList<FeedbackReceipt>> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
