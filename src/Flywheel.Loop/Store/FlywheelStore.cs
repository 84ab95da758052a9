using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// The record of a home: what was served, what people did about it, and the models that came of it. Many callers and
/// several processes may use it at once.
/// </summary>
public sealed class FlywheelStore : IAsyncDisposable
{
    private readonly RecordWriter writer;
    private readonly TimeProvider time;

    private FlywheelStore(FlywheelHome home, IRecordDatabase database, TimeProvider time)
    {
        (Home, Database, this.time) = (home, database, time);
        writer = new RecordWriter(database);
    }

    public FlywheelHome Home { get; }

    /// <summary>Servers of other machines may use the same record: what one of them changes is not told to the others.</summary>
    public bool IsShared => Database.IsShared;

    /// <summary>Where it lies, for people.</summary>
    public string Name => Database is PostgresDatabase postgres ? postgres.Name : Home.Path;

    internal IRecordDatabase Database { get; }

    /// <summary>Opens the home's database, or the one of the server that it names, made or brought up to date if needed.</summary>
    /// <exception cref="FlywheelException">It is no database of ours, is of a newer Flywheel, or cannot be reached or written.</exception>
    public static async Task<FlywheelStore> OpenAsync(FlywheelHome home, TimeProvider? time = null,
        CancellationToken cancellation = default)
    {
        try
        {
            Directory.CreateDirectory(home.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"cannot make the home {home.Path}: {e.Message}", e);
        }
        IRecordDatabase database = home.Server is { } server ? new PostgresDatabase(server) : new SqliteDatabase(home.Database);
        await database.PrepareAsync(cancellation);
        if (database is PostgresDatabase shared) shared.NoteIn(home);
        return new FlywheelStore(home, database, time ?? TimeProvider.System);
    }

    /// <summary>The tables, with the rows that whoever acts gets to see (<see cref="Actor.Workspace"/>); the caller disposes.</summary>
    public FlywheelDb Tables()
    {
        FlywheelDb db = Database.Open();
        db.Workspace = Actor.Workspace;
        return db;
    }

    /// <summary>The tables with the rows of every workspace, for what looks after all of the home: turns, rollouts, forgetting. The caller
    /// disposes.</summary>
    public FlywheelDb AllTables() => Database.Open();

    /// <summary>One turn at a time on a record; of a killed one the lock falls by itself.</summary>
    /// <exception cref="FlywheelException">Another one runs.</exception>
    public async Task<IAsyncDisposable> LockTurnsAsync(CancellationToken cancellation = default) =>
        await Database.TryLockAsync("turn", cancellation)
            ?? throw new FlywheelException($"a turn already runs on {(IsShared ? "this record" : Home.Path)}; wait for it to end");

    /// <summary>Completes when the generation is on disk.</summary>
    public Task RecordAsync(Generation generation, CancellationToken cancellation = default)
    {
        if (generation.Payload is null != (generation.Store == StoreLevel.Counts))
            throw new ArgumentException("a generation is recorded with its payload, or as counts only without one", nameof(generation));
        if (generation.Payload is { } payload
            && (payload.Tokens.Length != payload.Logprobs.Length || payload.Tokens.Length != payload.SamplerLogprobs.Length))
            throw new ArgumentException(
                $"{payload.Tokens.Length} tokens with {payload.Logprobs.Length} log-probabilities and {payload.SamplerLogprobs.Length} of the sampler", nameof(generation));
        return writer.WriteAsync(generation, cancellation);
    }

    /// <summary>Completes when the feedback is on disk. The same again with a user's idempotency key gives the same id and stores
    /// nothing.</summary>
    /// <exception cref="FlywheelException">It is about an answer that was not to be stored.</exception>
    /// <exception cref="IdempotencyConflictException">The user's key was used for other feedback.</exception>
    public async Task<FeedbackReceipt> AddFeedbackAsync(FeedbackInput input, CancellationToken cancellation = default) =>
        (await AddAllFeedbackAsync([input], cancellation))[0];

    /// <summary>The same of several, which are stored all or, where one is not taken, none.</summary>
    public async Task<IReadOnlyList<FeedbackReceipt>> AddAllFeedbackAsync(IReadOnlyList<FeedbackInput> inputs,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Feedback);
        foreach (FeedbackInput input in inputs) await CheckStoredAsync(input, cancellation);
        DateTimeOffset now = time.GetUtcNow();
        return await writer.WriteAsync([.. inputs.Select(input => new Feedback
        {
            Id = Guid.CreateVersion7(now),
            Time = now,
            GenerationId = input.GenerationId,
            Metric = input.Metric,
            Value = input.Value,
            User = input.User,
            Tags = input.Tags,
            IdempotencyKey = input.IdempotencyKey,
            Owner = input.Owner,
            Workspace = input.Workspace,
            Source = input.Source,
        })], cancellation);
    }

    /// <summary>The same for what is made and checked here.</summary>
    internal Task<IReadOnlyList<FeedbackReceipt>> AddAsync(IReadOnlyList<Feedback> feedback, CancellationToken cancellation) =>
        writer.WriteAsync(feedback, cancellation);

    /// <summary>
    /// Refuses feedback about an answer of which only counts are kept, from which nothing could be learnt, and a demonstration that is no
    /// answer of the kind that was asked for.
    /// </summary>
    /// <exception cref="FlywheelException">It is such feedback.</exception>
    public async Task CheckStoredAsync(FeedbackInput input, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        if (await db.Generations.AnyAsync(row => row.Id == input.GenerationId && row.Payload == null, cancellation))
            throw new FlywheelException(
                $"field 'inference_id' is '{input.GenerationId}', an answer of which only counts are kept because it was asked for with store: false (or deleted): feedback needs one whose text is stored");
        if (input.Metric != Metrics.Demonstration) return;
        Conversation? asked = await db.Generations.Where(row => row.Id == input.GenerationId).Select(row => row.Payload!.Conversation)
            .FirstOrDefaultAsync(cancellation);
        if (asked?.AnswerModality is { } modality)
            _ = new SymbolsPart(modality, JsonNode.Parse(input.Value)!.GetValue<string>(), "field 'value'");
    }

    /// <summary>32 random bytes that only this record knows, by what they are for; made when they are first asked for.</summary>
    public async Task<byte[]> SecretAsync(string name, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation); // two who ask at once get the same
        if (await db.Secrets.AsNoTracking().SingleOrDefaultAsync(row => row.Name == name, cancellation) is { } known) return known.Value;
        var made = new SecretRow { Name = name, Value = RandomNumberGenerator.GetBytes(32), Created = time.GetUtcNow() };
        db.Secrets.Add(made);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return made.Value;
    }

    /// <summary>A run that was no part of a turn, and what it made, for <c>lineage</c>. The same run again is recorded once.</summary>
    public async Task RecordRunAsync(FinishedRun run, CancellationToken cancellation = default)
    {
        if (run.Result.Model is { } model) await RegisterModelAsync(model, cancellation: cancellation);
        else await RegisterAdapterAsync(run.Result.Adapter!, cancellation);
        string name = Path.GetFileName(run.RunFolder);
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Runs.AnyAsync(row => row.Name == name, cancellation)) return;
        db.Runs.Add(new RunRow
        {
            Name = name,
            Dataset = Path.GetFileName(run.Data.TrainPath),
            Base = run.Base?.Hash,
            Model = run.Result.Model?.Hash ?? run.Result.Adapter!.Hash,
            Created = time.GetUtcNow(),
        });
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>A generation with its payload, or null.</summary>
    public async Task<Generation?> FindGenerationAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Generations.AsNoTracking().Include(row => row.Payload).SingleOrDefaultAsync(row => row.Id == id, cancellation);
    }

    /// <summary>The latest generations with their payloads, newest first.</summary>
    public async Task<IReadOnlyList<Generation>> RecentGenerationsAsync(int count, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Generations.AsNoTracking().Include(row => row.Payload).OrderByDescending(row => row.Time)
            .ThenByDescending(row => row.Id).Take(count).ToListAsync(cancellation);
    }

    /// <summary>Keeps an answer for its client; completes when it is on disk. Its generations are recorded already.</summary>
    public async Task KeepAnswerAsync(StoredAnswer answer, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        db.Answers.Add(answer);
        await db.SaveChangesAsync(cancellation);
    }

    /// <summary>An answer that was kept, or null.</summary>
    public async Task<StoredAnswer?> FindAnswerAsync(Guid id, string kind, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Answers.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id && row.Kind == kind, cancellation);
    }

    /// <summary>Answers of a kind that were kept, oldest first.</summary>
    /// <param name="kind">One of <see cref="StoredAnswer"/>'s.</param>
    /// <param name="model">Of that model alone; null of all.</param>
    public async IAsyncEnumerable<StoredAnswer> AnswersAsync(string kind, string? model,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        await foreach (StoredAnswer answer in db.Answers.AsNoTracking()
            .Where(row => row.Kind == kind && (model == null || row.Model == model)).OrderBy(row => row.Sequence).AsAsyncEnumerable()
            .WithCancellation(cancellation))
            yield return answer;
    }

    /// <summary>Forgets an answer: what was asked and said is gone, also from the record of its generations, of which counts
    /// stay.</summary>
    public async Task ForgetAnswerAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        await db.Set<GenerationPayload>()
            .Where(row => db.Generations.Any(generation => generation.Id == row.GenerationId && generation.Group == id))
            .ExecuteDeleteAsync(cancellation);
        await db.Generations.Where(row => row.Group == id)
            .ExecuteUpdateAsync(row => row.SetProperty(generation => generation.Store, StoreLevel.Counts), cancellation);
        await db.Answers.Where(row => row.Id == id).ExecuteDeleteAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>All feedback about a generation, in the order in which it came.</summary>
    public async Task<IReadOnlyList<Feedback>> FeedbackAsync(Guid generationId, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Feedback.AsNoTracking().Where(row => row.GenerationId == generationId).OrderBy(row => row.Sequence)
            .ToListAsync(cancellation);
    }

    /// <summary>Makes a model folder known. Where it was known already, its path is brought up to date.</summary>
    /// <param name="curatedDataset">Hash of the turn's dataset that it was trained on, if any.</param>
    public Task RegisterModelAsync(ModelFolder model, string? curatedDataset = null, CancellationToken cancellation = default) =>
        RegisterAsync(model.Path, model.Manifest, model.Config.NumParameters, curatedDataset, cancellation);

    /// <summary>The same for an adapter, whose parent is its base: generations name it too.</summary>
    public Task RegisterAdapterAsync(AdapterFolder adapter, CancellationToken cancellation = default) =>
        RegisterAsync(adapter.Path,
            adapter.Manifest with { Hash = adapter.Hash, Parent = adapter.Config.BaseHash ?? adapter.Manifest.Parent },
            adapter.Manifest.NumParameters, null, cancellation);

    private async Task RegisterAsync(string folder, ModelManifest manifest, long numParameters, string? curatedDataset,
        CancellationToken cancellation)
    {
        string path = IsShared ? Path.GetFullPath(folder) : Path.GetRelativePath(Home.Path, Path.GetFullPath(folder));
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Models.SingleOrDefaultAsync(row => row.Hash == manifest.Hash, cancellation) is { } known) known.Path = path;
        else
            db.Models.Add(new ModelRow
            {
                Hash = manifest.Hash,
                Name = manifest.Name,
                Path = path,
                Parent = manifest.Parent,
                Run = manifest.Run,
                Dataset = curatedDataset,
                Created = manifest.Created,
                NumParameters = numParameters,
            });
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>A known model by its hash.</summary>
    public async Task<ModelRow?> FindModelAsync(string hash, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Models.AsNoTracking().SingleOrDefaultAsync(row => row.Hash == hash, cancellation);
    }

    /// <summary>Every known model, newest first.</summary>
    public async Task<IReadOnlyList<ModelRow>> ModelsAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Models.AsNoTracking().OrderByDescending(row => row.Created).ToListAsync(cancellation);
    }

    /// <summary>Full path of a known model's folder. What another server registered may lie elsewhere there, and be a copy in this
    /// home.</summary>
    public string FolderOf(ModelRow model)
    {
        string folder = Path.GetFullPath(model.Path, Home.Path), own = Path.Combine(Home.Path, "models", model.ShortHash);
        return !Directory.Exists(folder) && Directory.Exists(own) ? own : folder;
    }

    /// <summary>The model that was released last: what a server serves, now and at the next start. Null in a new home.</summary>
    public async Task<ModelRow?> ChampionAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        string? hash = await db.Releases.OrderByDescending(row => row.Id).Select(row => row.ModelHash).FirstOrDefaultAsync(cancellation);
        return hash is null ? null : await db.Models.AsNoTracking().SingleAsync(row => row.Hash == hash, cancellation);
    }

    /// <summary>Makes a registered model the champion. Completes when that is on disk; a running server is not told.</summary>
    /// <exception cref="FlywheelException">The model is not registered.</exception>
    public async Task ReleaseAsync(string modelHash, string reason, Guid? turn = null, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (!await db.Models.AnyAsync(row => row.Hash == modelHash, cancellation))
            throw new FlywheelException($"model {modelHash} is not known here, expected one that is registered");
        ReleaseRow? last = await db.Releases.OrderByDescending(row => row.Id).FirstOrDefaultAsync(cancellation);
        // Where an upstream answers in its place, the champion of before is released anew.
        if (last?.ModelHash == modelHash && await Rollouts.RolloutStore.UpstreamInPlaceAsync(db, cancellation) is null)
        {
            // The server wrote the release when it swapped; the turn that asked for it adds its name.
            if (turn is null || last.TurnId is not null) return;
            (last.TurnId, last.Reason) = (turn, reason);
        }
        else await AddReleaseAsync(db, new ReleaseRow { Time = time.GetUtcNow(), ModelHash = modelHash, TurnId = turn, Reason = reason },
            cancellation);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Makes a registered model the champion in place of the one that the caller knows. False, and nothing is done, when there is
    /// another by now.</summary>
    /// <param name="champion">Hash of the champion as the caller saw it; null when there was none.</param>
    /// <param name="modelHash">The next one.</param>
    /// <param name="reason">Why.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<bool> ReleaseOverAsync(string? champion, string modelHash, string reason, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        string? now = await db.Releases.OrderByDescending(row => row.Id).Select(row => row.ModelHash).FirstOrDefaultAsync(cancellation);
        if (now != champion) return false;
        if (now == modelHash) return true;
        await AddReleaseAsync(db, new ReleaseRow { Time = time.GetUtcNow(), ModelHash = modelHash, Reason = reason }, cancellation);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>Adds a release, and who made it to the audit; the caller saves both.</summary>
    internal static async Task AddReleaseAsync(FlywheelDb db, ReleaseRow release, CancellationToken cancellation)
    {
        bool again = await db.Releases.AnyAsync(row => row.ModelHash == release.ModelHash, cancellation);
        db.Releases.Add(release);
        db.Audit.Add(AuditAct.Row(again ? AuditAct.Rollback : AuditAct.Promote, release.Time,
            about: release.ModelHash[..Math.Min(12, release.ModelHash.Length)]));
    }

    /// <summary>Adds to the audit what whoever acts does now.</summary>
    /// <param name="act">One of <see cref="AuditAct"/>.</param>
    /// <param name="whom">The user to whom.</param>
    /// <param name="about">To what; no names of people.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task NoteAsync(string act, string whom = "", string about = "", CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        db.Audit.Add(AuditAct.Row(act, time.GetUtcNow(), whom, about));
        await db.SaveChangesAsync(cancellation);
    }

    /// <summary>The audit, newest first.</summary>
    /// <param name="count">At most so many.</param>
    /// <param name="before">Only what lies before the row of this id.</param>
    /// <param name="act">Only this; null for all.</param>
    /// <param name="user">Only what this user did, or what was done to them.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task<IReadOnlyList<AuditRow>> AuditAsync(int count, long? before = null, string? act = null, string? user = null,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Audit.AsNoTracking()
            .Where(row => (before == null || row.Id < before) && (act == null || row.Act == act)
                && (user == null || row.Who == user || row.Whom == user))
            .OrderByDescending(row => row.Id).Take(count).ToListAsync(cancellation);
    }

    /// <summary>Every release, newest first.</summary>
    public async Task<IReadOnlyList<ReleaseRow>> ReleasesAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return await db.Releases.AsNoTracking().OrderByDescending(row => row.Id).ToListAsync(cancellation);
    }

    /// <summary>
    /// The model that answers in a workspace: its own, while that is an adapter on the champion, else the champion. Null in a new home.
    /// </summary>
    public async Task<ModelRow?> ChampionOfAsync(string workspace, CancellationToken cancellation = default)
    {
        ModelRow? shared = await ChampionAsync(cancellation);
        if (shared is null || workspace == WorkspaceRow.Default) return shared;
        string? hash = await WorkspaceReleasesAsync(workspace, cancellation) is [var last, ..] ? last.ModelHash : null;
        ModelRow? own = hash is null ? null : await FindModelAsync(hash, cancellation);
        return own?.Parent == shared.Hash ? own : shared;
    }

    /// <summary>Makes a registered model the one that answers in a workspace, and there alone. Completes when that is on disk; a server
    /// that runs finds it there.</summary>
    /// <param name="workspace">Not the default one, which is answered by the champion.</param>
    /// <param name="modelHash">Base and adapter as one model; null: the champion answers there, too.</param>
    /// <param name="reason">Why.</param>
    /// <param name="turn">The turn that promoted it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The model is not registered, or there is no such workspace.</exception>
    public async Task ReleaseInAsync(string workspace, string? modelHash, string reason, Guid? turn = null,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (workspace == WorkspaceRow.Default || !await db.Workspaces.AnyAsync(row => row.Id == workspace, cancellation))
            throw new FlywheelException($"the workspace is '{workspace}', expected one besides '{WorkspaceRow.Default}' that is there");
        if (modelHash is not null && !await db.Models.AnyAsync(row => row.Hash == modelHash, cancellation))
            throw new FlywheelException($"model {modelHash} is not known here, expected one that is registered");
        WorkspaceReleaseRow? last = await db.WorkspaceReleases.Where(row => row.Workspace == workspace).OrderByDescending(row => row.Id)
            .FirstOrDefaultAsync(cancellation);
        if (last is null ? modelHash is null : last.ModelHash == modelHash) return;
        bool again = modelHash is null
            || await db.WorkspaceReleases.AnyAsync(row => row.Workspace == workspace && row.ModelHash == modelHash, cancellation);
        DateTimeOffset now = time.GetUtcNow();
        db.WorkspaceReleases.Add(new WorkspaceReleaseRow { Workspace = workspace, Time = now, ModelHash = modelHash, TurnId = turn,
            Reason = reason });
        db.Audit.Add(AuditAct.Row(again ? AuditAct.Rollback : AuditAct.Promote, now,
            about: $"{modelHash?[..12] ?? "the shared model"} in {workspace}"));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>The last release of each workspace's own.</summary>
    public async Task<IReadOnlyList<WorkspaceReleaseRow>> LastInWorkspacesAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = AllTables();
        return await db.WorkspaceReleases.AsNoTracking()
            .Where(row => row.Id == db.WorkspaceReleases.Where(other => other.Workspace == row.Workspace).Max(other => other.Id))
            .ToListAsync(cancellation);
    }

    /// <summary>Models and adapters that turns of workspaces' own have made: whose each is. They are nobody else's to ask.</summary>
    public async Task<IReadOnlyDictionary<string, string>> OwnModelsAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = AllTables();
        var made = await db.Runs.Where(run => run.Model != null)
            .Join(db.Turns.Where(turn => turn.Workspace != WorkspaceRow.Default), run => run.TurnId, turn => turn.Id,
                (run, turn) => new { Model = run.Model!, turn.Workspace }).ToListAsync(cancellation);
        return made.DistinctBy(one => one.Model).ToDictionary(one => one.Model, one => one.Workspace);
    }

    /// <summary>Releases of a workspace's own, newest first.</summary>
    public async Task<IReadOnlyList<WorkspaceReleaseRow>> WorkspaceReleasesAsync(string workspace, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = AllTables();
        return await db.WorkspaceReleases.AsNoTracking().Where(row => row.Workspace == workspace).OrderByDescending(row => row.Id)
            .ToListAsync(cancellation);
    }

    /// <summary>How much is in the record of what was served here.</summary>
    public async Task<StoreCounts> CountAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = Tables();
        return new(await db.Served.LongCountAsync(cancellation),
            await db.Feedback.LongCountAsync(row => !db.Generations.Any(about => about.Id == row.GenerationId && about.Origin != null),
                cancellation),
            await db.Turns.CountAsync(cancellation));
    }

    /// <summary>Ends after everything that was handed in is on disk.</summary>
    public async ValueTask DisposeAsync()
    {
        await writer.DisposeAsync();
        Database.Dispose();
    }
}

/// <summary>How much is in the record.</summary>
public sealed record StoreCounts(long Generations, long Feedback, int Turns);
