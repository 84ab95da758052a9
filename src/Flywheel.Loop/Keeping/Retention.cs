using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

/// <summary>A turn whose rows are older than the record is to keep texts.</summary>
/// <param name="Turn">Its number.</param>
/// <param name="Model">Hash of what it trained.</param>
/// <param name="Answers">Answers of requests that it looked at.</param>
public sealed record HeldTurn(int Turn, string Model, int Answers);

/// <summary>What is too old, and what becomes of it.</summary>
/// <param name="Answers">Answers of which only counts stay.</param>
/// <param name="Feedback">Feedback about them, and about answers that never came.</param>
/// <param name="Open">Of that, what no turn has looked at: nothing will be learnt from it.</param>
/// <param name="StoredAnswers">Answers kept for their clients.</param>
/// <param name="Held">What a released model's lineage needs: kept, or (when it is asked for) gone with the rest.</param>
/// <param name="NotRebuilt">Hashes of models that can no longer be curated or rebuilt again.</param>
public sealed record RetentionResult(int Answers, int Feedback, int Open, int StoredAnswers, IReadOnlyList<HeldTurn> Held,
    IReadOnlyList<string> NotRebuilt);

/// <summary>
/// Takes texts out of the record once they are older than their application keeps them: what was asked and answered, token by token, what
/// people said about it, answers kept for clients. Counts of each answer stay, as after <c>store: false</c>; so do the rows that say which
/// people were learnt from and which were tested on.
/// </summary>
/// <remarks>
/// Held is what the turns of released models, and of those from which they were made, have looked at: with it such a turn can be curated
/// and trained again, which is how a person is forgotten (<see cref="Forget"/>) and a model proven (<see cref="Rebuild"/>).
/// </remarks>
public sealed class Retention(FlywheelStore store, TimeProvider? time = null)
{
    private const int Batch = 500;

    private readonly TimeProvider time = time ?? TimeProvider.System;

    public Action<string> Say { get; init; } = _ => { };

    /// <summary>
    /// Nobody waits for it, and it comes again soon: the tables are not rewritten, which others would have to wait for each time, and what
    /// is held is not counted.
    /// </summary>
    public bool InBackground { get; init; }

    /// <summary>What <see cref="RunAsync"/> would do; nothing is done.</summary>
    public async Task<RetentionResult> PreviewAsync(IReadOnlyList<RetentionRule> rules, bool alsoTaught = false,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await FindAsync(db, rules, alsoTaught, await TurnsAsync(db, cancellation), cancellation);
    }

    /// <param name="rules">One for each application; one without a name is for all others.</param>
    /// <param name="alsoTaught">What released models have learnt goes, too, with the datasets made of it.</param>
    /// <param name="cancellation">Stops after a batch; the same call goes on.</param>
    /// <exception cref="FlywheelException">A turn runs.</exception>
    public async Task<RetentionResult> RunAsync(IReadOnlyList<RetentionRule> rules, bool alsoTaught = false,
        CancellationToken cancellation = default)
    {
        await using IAsyncDisposable _ = await store.LockTurnsAsync(cancellation);
        await using FlywheelDb db = store.AllTables();
        Turns turns = await TurnsAsync(db, cancellation);
        RetentionResult result = await FindAsync(db, rules, alsoTaught, turns, cancellation);
        await store.Database.OverwriteDeletedAsync(db, cancellation);
        foreach ((RetentionRule rule, DateTimeOffset before) in Ages(rules))
        {
            while (await Old(db, rules, rule, before, alsoTaught ? turns.Unfinished : turns.Held).OrderBy(row => row.Time).Take(Batch)
                .Select(row => new { row.Id, row.Group }).ToListAsync(cancellation) is { Count: > 0 } rows)
            {
                Guid[] ids = [.. rows.Select(row => row.Id)], groups = [.. rows.Select(row => row.Group).Distinct()];
                await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
                await db.Feedback.Where(row => ids.Contains(row.GenerationId)).ExecuteDeleteAsync(cancellation);
                await db.Answers.Where(row => groups.Contains(row.Id)).ExecuteDeleteAsync(cancellation);
                await db.Set<PromptExample>().Where(row => ids.Contains(row.GenerationId)).ExecuteDeleteAsync(cancellation);
                await db.Set<GenerationPayload>().Where(row => ids.Contains(row.GenerationId)).ExecuteDeleteAsync(cancellation);
                await db.Generations.Where(row => ids.Contains(row.Id))
                    .ExecuteUpdateAsync(row => row.SetProperty(generation => generation.Store, StoreLevel.Counts), cancellation);
                await transaction.CommitAsync(cancellation);
            }
            if (rule.App.Length == 0) await Orphans(db, before).ExecuteDeleteAsync(cancellation);
        }
        // Also where nothing was too old now: an earlier call may have been stopped before it came here.
        await DeleteFilesAsync(db, turns, await TouchedAsync(db, alsoTaught ? turns.Unfinished : turns.Held, cancellation), cancellation);
        if (!InBackground) await store.Database.CompactAsync(Say, cancellation);
        return result;
    }

    /// <summary>Turns that have learnt from feedback that is not there any more. When a person is forgotten their sources go,
    /// too.</summary>
    internal static IQueryable<TurnRow> Incomplete(FlywheelDb db) => db.Turns.AsNoTracking().Where(turn => turn.Ended != null
        && db.Examples.Any(example => example.TurnId == turn.Id
            && db.ExampleFeedback.Any(source => source.ExampleId == example.Id && !db.Feedback.Any(row => row.Id == source.FeedbackId))));

    /// <summary>Ids of ended turns that have lost texts: their datasets hold these still.</summary>
    /// <param name="db">The record.</param>
    /// <param name="kept">Ids of turns whose texts are not removed.</param>
    /// <param name="cancellation">Ends it.</param>
    private static async Task<HashSet<Guid>> TouchedAsync(FlywheelDb db, Guid[] kept, CancellationToken cancellation)
    {
        HashSet<Guid> touched = [.. await Incomplete(db).Select(turn => turn.Id).ToListAsync(cancellation)];
        // A text that lost against another need not have feedback of its own.
        touched.UnionWith(await db.Examples.Where(row => row.RejectedId != null && !kept.Contains(row.TurnId)
            && db.Generations.Any(generation => generation.Id == row.RejectedId && generation.Store == StoreLevel.Counts))
            .Select(row => row.TurnId).Distinct().ToListAsync(cancellation));
        return touched;
    }

    /// <param name="All">Every turn.</param>
    /// <param name="Held">Ids of those that a released model needs, and of those that are not ended.</param>
    /// <param name="Unfinished">Ids of those that are not ended.</param>
    private sealed record Turns(IReadOnlyList<TurnRow> All, Guid[] Held, Guid[] Unfinished);

    private static async Task<Turns> TurnsAsync(FlywheelDb db, CancellationToken cancellation)
    {
        List<TurnRow> turns = await db.Turns.AsNoTracking().OrderBy(turn => turn.Number).ToListAsync(cancellation);
        Dictionary<string, string?> parents = await db.Models.AsNoTracking()
            .ToDictionaryAsync(model => model.Hash, model => model.Parent, cancellation);
        HashSet<string> needed = [];
        foreach (string released in await db.Releases.Select(release => release.ModelHash)
            .Union(db.WorkspaceReleases.Where(release => release.ModelHash != null).Select(release => release.ModelHash!))
            .ToListAsync(cancellation))
            for (string? hash = released; hash is not null && needed.Add(hash);) hash = parents.GetValueOrDefault(hash);
        return new(turns,
            [.. turns.Where(turn => turn.Ended is null || (turn.Candidate is { } made && needed.Contains(made))).Select(turn => turn.Id)],
            [.. turns.Where(turn => turn.Ended is null).Select(turn => turn.Id)]);
    }

    private IEnumerable<(RetentionRule Rule, DateTimeOffset Before)> Ages(IReadOnlyList<RetentionRule> rules) =>
        rules.Select(rule => (rule, time.GetUtcNow().AddDays(-rule.Days)));

    /// <summary>Answers with texts that a rule is about, and that no held turn has looked at, nor at another answer to the same
    /// request.</summary>
    private static IQueryable<Generation> Old(FlywheelDb db, IReadOnlyList<RetentionRule> rules, RetentionRule rule, DateTimeOffset before,
        Guid[] held) =>
        All(db, rules, rule, before).Where(row => !db.Generations.Any(other => other.Group == row.Group
            && db.Examples.Any(example => held.Contains(example.TurnId)
                && (example.GenerationId == other.Id || example.RejectedId == other.Id))));

    private static IQueryable<Generation> All(FlywheelDb db, IReadOnlyList<RetentionRule> rules, RetentionRule rule, DateTimeOffset before)
    {
        string[] others = [.. rules.Select(each => each.App).Where(app => app.Length > 0)];
        IQueryable<Generation> old = db.Generations.AsNoTracking().Where(row => row.Time < before && row.Store == StoreLevel.Full);
        return rule.App.Length > 0 ? old.Where(row => row.App == rule.App) : old.Where(row => !others.Contains(row.App));
    }

    private static IQueryable<Feedback> Orphans(FlywheelDb db, DateTimeOffset before) =>
        db.Feedback.Where(row => row.Time < before && !db.Generations.Any(generation => generation.Id == row.GenerationId));

    private async Task<RetentionResult> FindAsync(FlywheelDb db, IReadOnlyList<RetentionRule> rules, bool alsoTaught, Turns turns,
        CancellationToken cancellation)
    {
        int answers = 0, feedback = 0, open = 0, stored = 0;
        Dictionary<Guid, int> held = [];
        foreach ((RetentionRule rule, DateTimeOffset before) in Ages(rules))
        {
            IQueryable<Generation> old = Old(db, rules, rule, before, alsoTaught ? turns.Unfinished : turns.Held);
            IQueryable<Feedback> said = db.Feedback.Where(row => old.Any(generation => generation.Id == row.GenerationId));
            answers += await old.CountAsync(cancellation);
            feedback += await said.CountAsync(cancellation);
            open += await said.CountAsync(row => row.Metric != Metrics.Review
                && !db.ExampleFeedback.Any(source => source.FeedbackId == row.Id), cancellation);
            stored += await db.Answers.CountAsync(row => old.Any(generation => generation.Group == row.Id), cancellation);
            if (rule.App.Length == 0) feedback += await Orphans(db, before).CountAsync(cancellation);
            foreach (Guid turn in InBackground ? [] : turns.Held)
            {
                int count = await All(db, rules, rule, before).CountAsync(row => db.Generations.Any(other => other.Group == row.Group
                    && db.Examples.Any(example => example.TurnId == turn
                        && (example.GenerationId == other.Id || example.RejectedId == other.Id))), cancellation);
                if (count > 0) held[turn] = held.GetValueOrDefault(turn) + count;
            }
        }
        List<HeldTurn> named =
            [.. turns.All.Where(turn => held.ContainsKey(turn.Id))
                .Select(turn => new HeldTurn(turn.Number, turn.Candidate ?? "", held[turn.Id]))];
        HashSet<int> unfinished = [.. turns.All.Where(turn => turn.Ended is null).Select(turn => turn.Number)];
        return new(answers, feedback, open, stored, named,
            alsoTaught
                ? [.. named.Where(turn => turn.Model.Length > 0 && !unfinished.Contains(turn.Turn)).Select(turn => turn.Model)
                    .Distinct()] : []);
    }

    /// <summary>Datasets and reports of turns hold the same texts; they go with the rows, unless a turn that keeps its rows has the
    /// same.</summary>
    private async Task DeleteFilesAsync(FlywheelDb db, Turns turns, HashSet<Guid> touched, CancellationToken cancellation)
    {
        FlywheelHome home = store.Home;
        HashSet<string> kept = [.. turns.All.Where(turn => !touched.Contains(turn.Id)).Select(turn => turn.Dataset).OfType<string>()];
        List<RunRow> runs = await db.Runs.AsNoTracking().ToListAsync(cancellation);
        string[] theirs = [.. runs.Where(run => run.TurnId is { } turn && touched.Contains(turn)).Select(run => run.Name)];
        HashSet<string> data = [.. theirs.SelectMany(run => ForgottenFiles.DataOf(Path.Combine(home.Runs, run)))];
        data.ExceptWith(Directory.EnumerateDirectories(home.Runs).Where(folder => !theirs.Contains(Path.GetFileName(folder)))
            .SelectMany(ForgottenFiles.DataOf));
        foreach (string dataset in data) ForgottenFiles.Delete(Path.Combine(home.Datasets, dataset));
        foreach (TurnRow turn in turns.All.Where(turn => touched.Contains(turn.Id)))
        {
            ForgottenFiles.Delete(Path.Combine(home.Runs, $"turn-{turn.Number:0000}"));
            if (turn.Dataset is { } dataset && !kept.Contains(dataset))
                ForgottenFiles.Delete(Path.Combine(home.Datasets, CuratedDataset.FolderName(dataset)));
        }
    }
}
