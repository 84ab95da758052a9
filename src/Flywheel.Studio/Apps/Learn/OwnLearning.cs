using System.Text.Json;
using Flywheel.Data;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Learn;

/// <summary>Files of a person's own, from what was read of them to a model that can be served or thrown away.</summary>
internal sealed class OwnLearning(Documents documents, FlywheelStore store, JobQueue queue, ModelHost host, ModelSwitch models,
    TimeProvider time) : IDisposable
{
    public const string App = "learn", Kind = "files", Job = "learn";

    private const int NumSamples = 3;

    private readonly SemaphoreSlim _starting = new(1, 1);

    /// <summary>Cleans what files gave, and keeps it as a data set.</summary>
    /// <exception cref="LearnException">There is nothing in them, or more than is taken.</exception>
    public async Task<Document> CreateAsync(string person, string name, OwnFiles files)
    {
        if (files.Texts.Count == 0)
            throw files.Unread is [var first, ..] ? new LearnException("learn.nothing-because", first.File,
                first.Why) : new LearnException("learn.nothing");
        if (files.Texts.Count > OwnTexts.Max) throw new LearnException("learn.too-many", files.Texts.Count, OwnTexts.Max);
        ModelFolder model = host.Current.Folder;
        ChatTemplate template = host.Current.Template;
        (IReadOnlyList<OwnItem> items, SourceReport report) =
            OwnTexts.Clean(files.Texts, conversation => template.Document(conversation).Tokens.Length <= model.Config.MaxPositions);
        Guid id = Guid.CreateVersion7(time.GetUtcNow());
        string dataset = $"own-{id:N}";
        bool enough = items.Count >= OwnTexts.Min;
        if (enough) OwnTexts.Write(Path.Combine(store.Home.Datasets, dataset), items, report);
        OwnItem[] learnt = [.. items.Where(item => !item.HeldOut)];
        var body = new LearnBody
        {
            NumFiles = files.NumRead,
            NumTexts = files.Texts.Count,
            NumPassages = report.Read,
            NumTrain = learnt.Length,
            NumHeldOut = items.Count - learnt.Length,
            Drops = [.. report.Drops.OrderByDescending(drop => drop.Value.Count)
                .Select(drop => new LeftOut(drop.Key, drop.Value.Count, drop.Value.Example))],
            Unread = [.. files.Unread],
            Samples =
                [.. learnt.Where((_, i) => i % Math.Max(1, learnt.Length / NumSamples) == 0).Take(NumSamples)
                    .Select(item => new AskedText(item.Conversation.Messages[0].Text, item.Conversation.Messages[^1].Text))],
            Dataset = enough ? dataset : null,
        };
        return await documents.PutAsync(id, person, App, Kind, name.Length <= 80 ? name : name[..80], body.ToJson());
    }

    public async Task<(Document Document, LearnBody Body)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: Kind, Deleted: null } document
            ? document.Readable(LearnBody.Parse) : null;

    /// <summary>A person's own files with the jobs that learn from them, and those that cannot be read any more.</summary>
    public async Task<(IReadOnlyList<(Document Document, LearnBody Body, JobRow? Job)> Whole, IReadOnlyList<Damaged> Damaged)> ListAsync(
        string person)
    {
        Dictionary<Guid, JobRow> jobs = (await queue.ListAsync(user: person, kind: Job, count: 1000)).ToDictionary(job => job.Id);
        var (whole, damaged) = (await documents.ListAsync(person, App, Kind)).Sorted(LearnBody.Parse);
        return ([.. whole.Select(one => (one.Document, one.Body, one.Body.Job is { } job ? jobs.GetValueOrDefault(job) : null))], damaged);
    }

    public async Task<JobRow?> JobAsync(LearnBody body) => body.Job is { } job ? await queue.FindAsync(job) : null;

    /// <summary>Begins to learn on the model that serves now; does nothing when that was begun before.</summary>
    /// <exception cref="LearnException">Too little is left of the files.</exception>
    public async Task StartAsync(Guid id, string person)
    {
        await _starting.WaitAsync();
        try
        {
            if (await FindAsync(id, person) is not var (_, body)) throw new LearnException("learn.gone");
            if (body.Job is not null) return;
            if (body.Dataset is null) throw new LearnException("learn.too-few", body.NumTrain + body.NumHeldOut, OwnTexts.Min);
            string learner = host.Current.Hash;
            await ChangeAsync(id, person, now => now with { Base = learner });
            JobRow job = await queue.EnqueueAsync(Job, JsonSerializer.Serialize(new { learn = id }, JsonText.Compact), person);
            await ChangeAsync(id, person, now => now with { Job = job.Id });
        }
        finally
        {
            _starting.Release();
        }
    }

    public Task ChangeAsync(Guid id, string person, Func<LearnBody, LearnBody> change) => documents.ChangeAsync(id, person, document =>
    {
        document.Body = change(LearnBody.Parse(document.Body)).ToJson();
        return true;
    });

    /// <summary>What was learnt answers from now on, for everybody.</summary>
    public Task ServeAsync(LearnBody body, string person) =>
        models.ServeAsync(body.Result!.Model, $"served by {person}, who taught it with files of their own");

    /// <summary>The model and its adapter are deleted.</summary>
    /// <exception cref="LearnException">It serves, or has served: then answers of it are in the record.</exception>
    public async Task ThrowAwayAsync(Guid id, string person)
    {
        if (await FindAsync(id, person) is not var (_, body) || body.Result is not { } result) throw new LearnException("learn.gone");
        if ((await store.ReleasesAsync()).Any(release => release.ModelHash == result.Model)) throw new LearnException("learn.has-served");
        var catalog = new ModelCatalog(store.Home);
        foreach (CatalogEntry entry in catalog.List()
            .Where(entry => entry.Manifest.Hash == result.Model || entry.Manifest.Hash == result.Adapter))
            if (entry.Path != ModelCatalog.Starter) Directory.Delete(entry.Path, recursive: true);
        await ChangeAsync(id, person, now => now with { ThrownAway = true });
    }

    /// <summary>Into the bin; a job that still learns is ended.</summary>
    public async Task DeleteAsync(Guid id, string person, bool deleted = true)
    {
        if (deleted && await FindAsync(id, person) is var (_, body)
            && await JobAsync(body) is { State: JobState.Queued or JobState.Running or JobState.Paused } job)
            await queue.CancelAsync(job.Id);
        await documents.DeleteAsync(id, person, deleted);
    }

    public void Dispose() => _starting.Dispose();
}
