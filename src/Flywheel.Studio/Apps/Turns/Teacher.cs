using System.Text.Json;
using System.Text.Json.Serialization;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Turns;

/// <summary>
/// Runs turns of the loop inside the server, one at a time, each as a job of the record: it tells how far it is, outlives a reload and the
/// server, and can be stopped. What a stopped turn has done is not done again by the next.
/// </summary>
internal sealed class Teacher(FlywheelStore store, StudioOptions options, JobQueue queue, TimeProvider time) : IDisposable
{
    public const string Job = "teach";

    /// <summary>Steps come by the hundred; the record takes the last of each moment.</summary>
    private readonly SemaphoreSlim _starting = new(1, 1);

    /// <summary>How the latest turn that was begun from a page stands; null when none was.</summary>
    public async Task<TeachProgress?> ProgressAsync() =>
        (await queue.ListAsync(kind: Job, count: 1)) is [var latest] ? TeachProgress.Of(await queue.FindAsync(latest.Id)) : null;

    /// <summary>Why there can be no turn on this server at all; null when there can.</summary>
    public string? Fault => options.TurnRecipe is null ? "recipes/turn.yaml was not found above this program" : null;

    /// <summary>What a turn would learn from now.</summary>
    /// <param name="workspace">Whose turn.</param>
    /// <exception cref="FlywheelException">The recipe is wrong, or there is no champion.</exception>
    public Task<TurnPreview> PreviewAsync(string workspace = WorkspaceRow.Default) =>
        Task.Run(() => new TurnRunner(store, time: time) { Workspace = workspace }.PreviewAsync(Recipe(workspace), Folder));

    /// <summary>Begins a turn, or goes on with one that was stopped; does nothing while one runs or waits to run.</summary>
    /// <param name="person">Who asks.</param>
    /// <param name="workspace">Whose turn: that of the model that all share, or of a workspace's own.</param>
    /// <exception cref="FlywheelException">The recipe is wrong, or a turn of another workspace runs.</exception>
    public async Task StartAsync(string person, string workspace = WorkspaceRow.Default)
    {
        DemandHome();
        Recipe(workspace);
        await _starting.WaitAsync();
        try
        {
            TeachProgress? latest = await ProgressAsync();
            if (latest is { IsMoving: true } && latest.Workspace != workspace)
                throw new FlywheelException($"a turn of the workspace '{latest.Workspace}' runs; begin another when it has ended");
            if (latest is { State: JobState.Paused } && latest.Workspace == workspace) await queue.ResumeAsync(latest.Id);
            else if (latest is not { IsMoving: true })
                await queue.EnqueueAsync(Job, JsonSerializer.Serialize(new TeachInput(workspace), JsonText.Compact), person);
        }
        finally
        {
            _starting.Release();
        }
    }

    /// <summary>Stops the turn that runs after its next checkpoint.</summary>
    /// <exception cref="FlywheelException">It has ended.</exception>
    public async Task StopAsync()
    {
        DemandHome();
        if (await ProgressAsync() is { IsMoving: true } running) await queue.CancelAsync(running.Id);
    }

    /// <summary>The model is the home's: who is in another workspace only, does not teach it.</summary>
    private static void DemandHome()
    {
        if (Actor.Workspace is not (null or WorkspaceRow.Default)) Actor.Demand(Scopes.Admin);
    }

    /// <summary>The handler of the job.</summary>
    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        var steps = new TeachSteps();
        string said = "";
        var told = new TurnProgress
        {
            Say = text => Volatile.Write(ref said, text),
            Trained = (name, trained) =>
            {
                if (trained.Note is { } note) Volatile.Write(ref said, note);
                if (trained.Line is { } line) steps.Move(name, line.Step, trained.NumSteps);
            },
            Examined = steps.Move,
        };
        string workspace = TeachInput.Of(job.Input).Workspace;
        Task<TurnOutcome> running = Task.Run(() => new TurnRunner(store, told, time) { Workspace = workspace }
            .RunAsync(Recipe(workspace), Folder, cancellation: cancellation), CancellationToken.None);
        TurnOutcome outcome = await job.ReportWhileAsync(running, () => (steps.Share, Volatile.Read(ref said), steps.ToJson()), time);
        await job.ReportAsync(1, said, steps.ToJson());
        return JsonSerializer.Serialize(new { turn = outcome.Turn.Number }, JsonText.Compact);
    }

    /// <summary>Each turn of a workspace, the latest first.</summary>
    public async Task<IReadOnlyList<TurnRow>> TurnsAsync(string workspace = WorkspaceRow.Default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Turns.AsNoTracking().Where(turn => turn.Workspace == workspace).OrderByDescending(turn => turn.Number)
            .Take(100).ToListAsync();
    }

    /// <summary>What the gate measured in a turn.</summary>
    public async Task<IReadOnlyList<EvaluationRow>> EvaluationsAsync(Guid turn)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Evaluations.AsNoTracking().Where(row => row.TurnId == turn).OrderBy(row => row.Id).ToListAsync();
    }

    /// <summary>What a turn learnt from whom, and what it left out: who, of what kind, how many, why not.</summary>
    public async Task<IReadOnlyList<(string User, ExampleKind Kind, Split? Split, string? Drop, int Count)>> LearntAsync(Guid turn)
    {
        await using FlywheelDb db = store.AllTables();
        var groups = await db.Examples.AsNoTracking().Where(row => row.TurnId == turn)
            .GroupBy(row => new { row.User, row.Kind, row.Split, row.DropReason })
            .Select(group => new { group.Key, Count = group.Count() }).ToListAsync();
        return [.. groups.Select(group => (group.Key.User, group.Key.Kind, group.Key.Split, group.Key.DropReason, group.Count))
            .OrderByDescending(row => row.Count)];
    }

    private string Folder => Path.GetDirectoryName(Path.GetFullPath(options.TurnRecipe!))!;

    /// <summary>That of workspaces lies beside it.</summary>
    private TurnRecipe Recipe(string workspace) => options.TurnRecipe is { } path
        ? RecipeFile.LoadTurn(workspace == WorkspaceRow.Default ? path : Path.Combine(Folder, TurnRunner.RecipeOf(workspace)), [])
        : throw new FlywheelException(Fault!);

    public void Dispose() => _starting.Dispose();
}

/// <summary>What the job of a turn is to do.</summary>
/// <param name="Workspace">Whose turn.</param>
internal sealed record TeachInput(string Workspace = WorkspaceRow.Default)
{
    public static TeachInput Of(string json) => JsonSerializer.Deserialize<TeachInput>(json, JsonText.Compact)!;
}

/// <summary>How far a turn is, as its job says.</summary>
/// <param name="Id">Of the job.</param>
/// <param name="Workspace">Whose turn.</param>
/// <param name="Started">When it was asked for.</param>
/// <param name="Said">The last thing that the turn said; of one that failed, why.</param>
/// <param name="Steps">Passes and examinations, in the order in which they began.</param>
internal sealed record TeachProgress(Guid Id, string Workspace, JobState State, DateTimeOffset Started, string Said,
    IReadOnlyList<TeachStep> Steps)
{
    /// <summary>It runs, or will by itself.</summary>
    public bool IsMoving => State is JobState.Queued or JobState.Running;

    /// <summary>Why it came to no end.</summary>
    public string? Fault => State == JobState.Failed ? Said : null;

    public static TeachProgress Of(JobRow job) =>
        new(job.Id, TeachInput.Of(job.Payload!.Input).Workspace, job.State, job.Created, job.Message,
            job.Payload.Checkpoint is { } steps ? JsonSerializer.Deserialize<List<TeachStep>>(steps, JsonText.Compact)! : []);
}

/// <summary>Passes and examinations of a turn as they move.</summary>
internal sealed class TeachSteps
{
    private readonly Lock _lock = new();
    private readonly List<TeachStep> _steps = [];

    public void Move(string name, int done, int of)
    {
        lock (_lock)
        {
            int known = _steps.FindIndex(step => step.Name == name);
            var step = new TeachStep(name, Math.Min(done, of), Math.Max(1, of));
            if (known < 0) _steps.Add(step);
            else if (_steps[known].Done <= step.Done) _steps[known] = step;
        }
    }

    /// <summary>Of the steps that have begun, as if each were as long; those to come are not known.</summary>
    public double Share
    {
        get
        {
            lock (_lock) return _steps.Count == 0 ? 0 : Math.Min(0.99, _steps.Sum(step => step.Share) / Math.Max(4, _steps.Count));
        }
    }

    public string ToJson()
    {
        lock (_lock) return JsonSerializer.Serialize(_steps, JsonText.Compact);
    }
}

/// <param name="Name">A training pass or an examination.</param>
internal sealed record TeachStep(string Name, int Done, int Of)
{
    [JsonIgnore]
    public double Share => (double)Done / Of;
}
