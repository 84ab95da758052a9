using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Turns;

/// <summary>
/// Runs a turn of the loop inside the server, one at a time, and tells how far it is. It belongs to the server, not to the page; a turn
/// that the server's end interrupts is gone on with by the next one.
/// </summary>
internal sealed class Teacher(FlywheelStore store, StudioOptions options, TimeProvider time, ILogger<Teacher> log) : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly Lock _lock = new();
    private TeachProgress? _progress;

    /// <summary>A turn began, moved or ended.</summary>
    public event Action? Changed;

    /// <summary>The turn that runs, or how the last one of this server ended; null when none ran yet.</summary>
    public TeachProgress? Progress => Volatile.Read(ref _progress);

    public bool IsRunning => Progress is { IsRunning: true };

    /// <summary>Why there can be no turn on this server at all; null when there can.</summary>
    public string? Fault => options.TurnRecipe is null ? "recipes/turn.yaml was not found above this program" : null;

    /// <summary>What a turn would learn from now.</summary>
    /// <exception cref="FlywheelException">The recipe is wrong, or there is no champion.</exception>
    public Task<TurnPreview> PreviewAsync() => Task.Run(() => new TurnRunner(store, time: time).PreviewAsync(Recipe(), Folder));

    /// <summary>Begins a turn, or goes on with one that was interrupted; does nothing while one runs.</summary>
    /// <exception cref="FlywheelException">The recipe is wrong.</exception>
    public void Start()
    {
        TurnRecipe recipe = Recipe();
        TeachProgress progress;
        lock (_lock)
        {
            if (IsRunning) return;
            _progress = progress = new TeachProgress(time.GetUtcNow());
        }
        progress.Running = Task.Run(() => RunAsync(progress, recipe));
        Changed?.Invoke();
    }

    /// <summary>Each turn, the latest first.</summary>
    public async Task<IReadOnlyList<TurnRow>> TurnsAsync()
    {
        await using FlywheelDb db = store.Tables();
        return await db.Turns.AsNoTracking().OrderByDescending(turn => turn.Number).Take(100).ToListAsync();
    }

    /// <summary>What the gate measured in a turn.</summary>
    public async Task<IReadOnlyList<EvaluationRow>> EvaluationsAsync(Guid turn)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Evaluations.AsNoTracking().Where(row => row.TurnId == turn).OrderBy(row => row.Id).ToListAsync();
    }

    /// <summary>What a turn learnt from whom, and what it left out: who, of what kind, how many, why not.</summary>
    public async Task<IReadOnlyList<(string User, ExampleKind Kind, Split? Split, string? Drop, int Count)>> LearntAsync(Guid turn)
    {
        await using FlywheelDb db = store.Tables();
        var groups = await db.Examples.AsNoTracking().Where(row => row.TurnId == turn).GroupBy(row => new { row.User, row.Kind, row.Split, row.DropReason })
            .Select(group => new { group.Key, Count = group.Count() }).ToListAsync();
        return [.. groups.Select(group => (group.Key.User, group.Key.Kind, group.Key.Split, group.Key.DropReason, group.Count)).OrderByDescending(row => row.Count)];
    }

    private string Folder => Path.GetDirectoryName(Path.GetFullPath(options.TurnRecipe!))!;

    private TurnRecipe Recipe() => options.TurnRecipe is { } path ? RecipeFile.LoadTurn(path, []) : throw new FlywheelException(Fault!);

    private async Task RunAsync(TeachProgress progress, TurnRecipe recipe)
    {
        var told = new TurnProgress
        {
            Say = text => Tell(() => progress.Say(text)),
            Trained = (name, trained) =>
            {
                if (trained.Note is { } note) Tell(() => progress.Say(note));
                if (trained.Line is { } line) Tell(() => progress.Move(name, line.Step, trained.NumSteps));
            },
            Examined = (who, done, of) => Tell(() => progress.Move(who, done, of)),
        };
        try
        {
            TurnOutcome outcome = await new TurnRunner(store, told, time).RunAsync(recipe, Folder, cancellation: _end.Token);
            progress.End(outcome.Turn.Number, null, interrupted: false);
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            progress.End(null, null, interrupted: true);
        }
        catch (FlywheelException e)
        {
            progress.End(null, e.Message, interrupted: false);
        }
        catch (Exception e)
        {
            log.LogError(e, "A turn failed");
            progress.End(null, "the server's log says why", interrupted: false);
        }
        Changed?.Invoke();

        void Tell(Action tell)
        {
            tell();
            Changed?.Invoke();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        if (Progress is { } progress) await progress.Running;
        _end.Dispose();
    }
}

/// <summary>How far a turn is.</summary>
internal sealed class TeachProgress(DateTimeOffset started)
{
    private readonly Lock _lock = new();
    private readonly List<TeachStep> _steps = [];

    public DateTimeOffset Started => started;

    public Task Running { get; set; } = Task.CompletedTask;

    public bool IsRunning { get; private set; } = true;

    /// <summary>The last thing that the turn said.</summary>
    public string Said { get; private set; } = "";

    /// <summary>Number of the turn that came to its end.</summary>
    public int? Turn { get; private set; }

    /// <summary>Why it came to none.</summary>
    public string? Fault { get; private set; }

    /// <summary>The server ended; the next turn goes on from here.</summary>
    public bool Interrupted { get; private set; }

    public IReadOnlyList<TeachStep> Steps
    {
        get
        {
            lock (_lock) return [.. _steps];
        }
    }

    public void Say(string text) => Said = text;

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

    public void End(int? turn, string? fault, bool interrupted) => (Turn, Fault, Interrupted, IsRunning) = (turn, fault, interrupted, false);
}

/// <param name="Name">A training pass or an examination.</param>
internal sealed record TeachStep(string Name, int Done, int Of)
{
    public double Share => (double)Done / Of;
}
