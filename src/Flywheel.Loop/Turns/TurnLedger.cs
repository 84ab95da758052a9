using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>Writes what a turn has done, each step in one transaction: a killed turn has done a step or has not.</summary>
internal sealed class TurnLedger(FlywheelStore store, TimeProvider time)
{
    /// <summary>The turn that was not ended, or null.</summary>
    public async Task<TurnRow?> UnfinishedAsync(CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Turns.AsNoTracking().Where(turn => turn.Ended == null).SingleOrDefaultAsync(cancellation);
    }

    /// <summary>The latest turn of a workspace, or null.</summary>
    public async Task<TurnRow?> LastAsync(string workspace, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Turns.AsNoTracking().Where(turn => turn.Workspace == workspace).OrderByDescending(turn => turn.Number)
            .FirstOrDefaultAsync(cancellation);
    }

    /// <summary>Number of a turn that begins now; turns of all workspaces are counted together.</summary>
    public async Task<int> NextNumberAsync(CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return await NextNumberAsync(db, cancellation);
    }

    private static async Task<int> NextNumberAsync(FlywheelDb db, CancellationToken cancellation) =>
        (await db.Turns.MaxAsync(row => (int?)row.Number, cancellation) ?? 0) + 1;

    /// <summary>Begins a turn with what curation made of the feedback.</summary>
    public async Task<TurnRow> BeginAsync(ModelRow champion, string recipe, CuratedDataset dataset, FeedbackIntake intake,
        CancellationToken cancellation, string workspace = WorkspaceRow.Default)
    {
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        DateTimeOffset now = time.GetUtcNow();
        var turn = new TurnRow
        {
            Id = Guid.CreateVersion7(now),
            Number = await NextNumberAsync(db, cancellation),
            Started = now,
            Workspace = workspace,
            State = TurnState.Training,
            Champion = champion.Hash,
            Recipe = recipe,
            FeedbackThrough = intake.Through,
            Dataset = dataset.Hash,
        };
        db.Turns.Add(turn);
        if (!await db.Datasets.AnyAsync(row => row.Hash == dataset.Hash, cancellation))
            db.Datasets.Add(RowOf(turn.Id, dataset, now));
        db.Examples.AddRange(RowsOf(turn.Id, dataset));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return turn;
    }

    internal static DatasetRow RowOf(Guid turn, CuratedDataset dataset, DateTimeOffset now) => new()
    {
        Hash = dataset.Hash,
        TurnId = turn,
        NumTrain = dataset.Rows.Count(row => row.Drop is null && row.Split == Split.Train),
        NumHeldOut = dataset.Rows.Count(row => row.Drop is null && row.Split == Split.HeldOut),
        Created = now,
    };

    /// <summary>What curation made of feedback, as rows of the record.</summary>
    internal static IEnumerable<ExampleRow> RowsOf(Guid turn, CuratedDataset dataset) =>
        dataset.Rows.Where(row => !DropReasons.Waits(row.Drop)).Select(row => new ExampleRow
    {
        TurnId = turn,
        Hash = row.Prompt is null ? null : CuratedDataset.HashOf(row),
        Kind = row.Kind,
        Split = row.Split,
        User = row.User,
        Owner = row.Owner,
        Workspace = row.Workspace,
        Source = row.Source,
        PromptHash = row.PromptHash,
        GenerationId = row.GenerationId,
        RejectedId = row.RejectedId,
        DropReason = row.Drop,
        Sources = [.. row.FeedbackIds.Distinct().Select(id => new ExampleFeedback { FeedbackId = id })],
    });

    /// <summary>A training pass made a model.</summary>
    public async Task TrainedAsync(TurnRow turn, string run, string from, ModelFolder model, CancellationToken cancellation)
    {
        await store.RegisterModelAsync(model, turn.Dataset, cancellation);
        await RegisterAdapterAsync(store, model, cancellation);
        await using FlywheelDb db = store.AllTables();
        if (await db.Runs.AnyAsync(row => row.Name == run, cancellation)) return;
        db.Runs.Add(new RunRow { Name = run, TurnId = turn.Id, Dataset = turn.Dataset!, Base = from, Model = model.Hash,
            Created = time.GetUtcNow() });
        await db.SaveChangesAsync(cancellation);
    }

    /// <summary>Where a pass trained an adapter, which is merged in the model, it is known by itself, too: it may be served, and be
    /// forgotten.</summary>
    internal static async Task RegisterAdapterAsync(FlywheelStore store, ModelFolder model, CancellationToken cancellation)
    {
        if (model.Manifest.Adapter is { } adapter && Path.Combine(store.Home.Models, adapter[..12]) is var folder
            && AdapterFolder.IsAdapter(folder))
            await store.RegisterAdapterAsync(AdapterFolder.Open(folder), cancellation);
    }

    /// <summary>
    /// Hash of the model that a turn's passes start from: its champion; in a turn of a workspace's own the model that all share, which is
    /// beneath that champion or is it.
    /// </summary>
    internal static async Task<string> LearnerOfAsync(FlywheelStore store, string workspace, string champion,
        CancellationToken cancellation)
    {
        if (workspace == WorkspaceRow.Default) return champion;
        await using FlywheelDb db = store.AllTables();
        return await db.Runs.Where(run => run.Model == champion
            && db.Turns.Any(turn => turn.Id == run.TurnId && turn.Workspace == workspace)).Select(run => run.Base)
            .FirstOrDefaultAsync(cancellation) ?? champion;
    }

    public Task HasCandidateAsync(TurnRow turn, string candidate, CancellationToken cancellation) => UpdateAsync(turn, row =>
    {
        row.Candidate = candidate;
        row.State = TurnState.Evaluating;
    }, cancellation);

    /// <summary>The gate has spoken.</summary>
    public Task DecidedAsync(TurnRow turn, GateDecision decision, TurnState next, string reason, CancellationToken cancellation) =>
        UpdateAsync(turn, row =>
    {
        row.State = next;
        row.Reason = reason;
        if (next == TurnState.Rejected) row.Ended = time.GetUtcNow();
    }, cancellation, db => db.Evaluations.AddRange(decision.Rules.Select(rule => new EvaluationRow
    {
        TurnId = turn.Id,
        Champion = turn.Champion,
        Candidate = turn.Candidate!,
        Rule = rule.Name,
        ChampionValue = rule.Champion,
        CandidateValue = rule.Candidate,
        Observed = rule.Improvement.Estimate,
        Low = rule.Improvement.Low,
        High = rule.Improvement.High,
        Threshold = rule.Threshold,
        Passed = rule.Passed,
    })));

    /// <summary>
    /// The first release of a champion, which the promoted turns that led to it began from (itself where no turn made it), and the kinds of
    /// the frozen set that these turns taught. What a person has released since, such as a better model that was imported, is a first
    /// release of its
    /// own: it is not measured by an older one.
    /// </summary>
    public async Task<(string Hash, IReadOnlySet<string> Taught)> FirstReleaseAsync(string champion, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        // A turn of which forgetting left nothing to learn has its champion in its candidate's place: it leads nowhere.
        var promoted = await db.Turns
            .Where(turn => turn.State == TurnState.Promoted && turn.Candidate != null && turn.Candidate != turn.Champion)
            .OrderBy(turn => turn.Number).Select(turn => new { turn.Candidate, turn.Champion, turn.Dataset }).ToListAsync(cancellation);
        HashSet<string> seen = [], taught = [];
        while (seen.Add(champion) && promoted.FindLast(turn => turn.Candidate == champion) is { } made)
        {
            champion = made.Champion;
            if (made.Dataset is { } dataset)
                taught.UnionWith(FrozenSet.TaughtBy(Path.Combine(store.Home.Datasets, CuratedDataset.FolderName(dataset))));
        }
        return (champion, taught);
    }

    /// <summary>
    /// Which look at these held-out people a turn is, since its champion was released: 1, and one more for each turn before it that tried
    /// a candidate against the same champion on any of them, and did not promote it.
    /// </summary>
    /// <param name="champion">Its hash.</param>
    /// <param name="people">Held out in the turn.</param>
    /// <param name="before">Number of the turn.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<int> LookAsync(string champion, IReadOnlySet<string> people, int before, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        List<Guid> tried =
            await db.Turns.Where(turn => turn.Champion == champion && turn.Number < before && turn.State == TurnState.Rejected
            && db.Evaluations.Any(row => row.TurnId == turn.Id)).Select(turn => turn.Id).ToListAsync(cancellation);
        var asked = await db.Examples.Where(row => tried.Contains(row.TurnId) && row.Split == Split.HeldOut && row.DropReason == null)
            .Select(row => new { row.TurnId, row.User, row.Owner }).Distinct().ToListAsync(cancellation);
        return 1 + asked.Where(row => people.Contains(CuratedExample.PersonOf(row.User, row.Owner))).Select(row => row.TurnId).Distinct()
            .Count();
    }

    /// <exception cref="FlywheelException">There is no such turn.</exception>
    public async Task<TurnRow> NumberAsync(int number, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Turns.AsNoTracking().SingleOrDefaultAsync(turn => turn.Number == number, cancellation)
            ?? throw new FlywheelException($"there is no turn {number} in {store.Home.Path}");
    }

    /// <summary>The turn that waits for a person's answer.</summary>
    /// <param name="id">Its number or id, or the beginning of its candidate's hash.</param>
    /// <param name="orUnfinished">A turn that has not come so far will do, too.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">No such turn waits.</exception>
    public async Task<TurnRow> WaitingAsync(string id, bool orUnfinished, CancellationToken cancellation)
    {
        TurnRow? turn = await UnfinishedAsync(cancellation);
        bool named = turn is not null && (id == $"{turn.Number}" || id == turn.Id.ToString()
            || (id.Length >= 6 && turn.Candidate is { } candidate && candidate.StartsWith(id, StringComparison.OrdinalIgnoreCase)));
        if (named && (orUnfinished || turn is { State: TurnState.Waiting or TurnState.Promoting })) return turn!;
        string now = turn is { State: TurnState.Waiting } ? $"turn {turn.Number} with candidate {turn.Candidate![..12]} does"
            : turn is null ? "none does" : $"turn {turn.Number} is not there yet ({turn.State.ToString().ToLowerInvariant()})";
        throw new FlywheelException($"no turn '{id}' waits for an answer: {now}");
    }

    /// <summary>A person said yes.</summary>
    public Task AcceptedAsync(TurnRow turn, string reason, CancellationToken cancellation) => UpdateAsync(turn, row =>
    {
        row.State = TurnState.Promoting;
        row.Reason = reason;
    }, cancellation);

    /// <summary>The candidate was not promoted, for a reason beside the gate.</summary>
    public Task RejectedAsync(TurnRow turn, string reason, CancellationToken cancellation) => UpdateAsync(turn, row =>
    {
        row.State = TurnState.Rejected;
        row.Reason = reason;
        row.Ended = time.GetUtcNow();
    }, cancellation);

    /// <summary>The candidate is the champion: said in the history of releases and in the turn.</summary>
    public async Task PromotedAsync(TurnRow turn, CancellationToken cancellation)
    {
        string reason = $"turn {turn.Number}: {turn.Reason}";
        if (turn.Workspace == WorkspaceRow.Default) await store.ReleaseAsync(turn.Candidate!, reason, turn.Id, cancellation);
        else await store.ReleaseInAsync(turn.Workspace, turn.Candidate!, reason, turn.Id, cancellation);
        await UpdateAsync(turn, row =>
        {
            row.State = TurnState.Promoted;
            row.Ended = time.GetUtcNow();
        }, cancellation);
    }

    private async Task UpdateAsync(TurnRow turn, Action<TurnRow> change, CancellationToken cancellation, Action<FlywheelDb>? also = null)
    {
        await using FlywheelDb db = store.AllTables();
        TurnRow row = await db.Turns.SingleAsync(stored => stored.Id == turn.Id, cancellation);
        change(row);
        also?.Invoke(db);
        await db.SaveChangesAsync(cancellation);
        change(turn);
    }
}
