using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// Takes a person out again: out of the record, out of the datasets of turns, out of the models that were trained with their acts. What
/// the others did stays as it is recorded, and everything that followed from it is done again as if the person had never acted: curation,
/// training with the same recipe and seed, release. A row of the ledger says that it was done and to which models, not to whom.
/// </summary>
/// <remarks>
/// First it is written down what is to be done; then the rows go, in one transaction; then turns are curated and models trained again, each
/// step in the record; the old weights go last. Killed anywhere, the same call goes on.
/// </remarks>
public sealed class Forget(FlywheelStore store, TurnProgress? progress = null, TimeProvider? time = null)
{
    /// <summary>Name of the secret under which people are hashed in the ledger.</summary>
    private const string Secret = "forget";

    private readonly TurnProgress progress = progress ?? new();
    private readonly TimeProvider time = time ?? TimeProvider.System;

    /// <summary>Makes the running server serve a model, by its hash and with a reason; null finds the server of the home and asks
    /// it.</summary>
    public Func<string, string, Task>? Swap { get; init; }

    /// <summary>What the ledger calls a person: HMAC-SHA256 under a secret of this record.</summary>
    public static async Task<string> HashOfAsync(FlywheelStore store, string person, CancellationToken cancellation = default) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(await store.SecretAsync(Secret, cancellation), Encoding.UTF8.GetBytes(person)));

    /// <summary>Every row of the ledger, newest first.</summary>
    public static async Task<IReadOnlyList<DeletionRow>> LedgerAsync(FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Deletions.AsNoTracking().OrderByDescending(row => row.Began).ToListAsync(cancellation);
    }

    /// <summary>What forgetting a person would do; nothing is done.</summary>
    public async Task<ForgetPreview> PreviewAsync(string person, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        ForgetPlan plan = await PlanAsync(db, Checked(person), cancellation);
        string? champion = (await store.ChampionAsync(cancellation))?.Hash;
        return new(await new PersonRows(db, person).CountAsync(cancellation),
            [.. plan.Models.Where(model => model.Learnt).Select(model => model.Hash)],
            [.. plan.Turns.Select(turn => turn.Number)], plan.Models.Any(model => model.Hash == champion));
    }

    /// <param name="person">As requests and feedback name them, or as the user of a key.</param>
    /// <param name="cancellation">Stops after a step; the same call goes on.</param>
    /// <returns>The row of the ledger.</returns>
    /// <exception cref="FlywheelException">Nothing is recorded under that name, a turn runs, or the server does not take the rebuilt
    /// model.</exception>
    public async Task<DeletionRow> RunAsync(string person, CancellationToken cancellation = default)
    {
        string hash = await HashOfAsync(store, Checked(person), cancellation);
        await using IAsyncDisposable _ = await store.LockTurnsAsync(cancellation);
        DeletionRow row = await BeginAsync(person, hash, cancellation);
        await RemoveRowsAsync(person, cancellation);
        ForgottenFiles.DeleteUploads(store.Home, person);
        var again = new TurnsAgain(store, progress, time);
        ForgetPlan plan = JsonSerializer.Deserialize<ForgetPlan>(row.Plan!, JsonText.Compact)!;
        Dictionary<string, ForgottenModel> done =
            JsonSerializer.Deserialize<ForgottenModel[]>(row.Models, JsonText.Compact)!.ToDictionary(model => model.Before);
        Dictionary<string, bool> learnt = plan.Models.ToDictionary(model => model.Hash, model => model.Learnt);

        foreach (PlannedTurn turn in plan.Turns)
        {
            ForgottenModel? replaced = done.GetValueOrDefault(turn.Champion);
            string champion = replaced?.After ?? turn.Champion;
            // Of the others, too, something is missing: what the remainder gives would be another model than theirs.
            bool differs = turn.IsIncomplete ? champion != turn.Champion || turn.Made.Any(made => learnt.GetValueOrDefault(made))
                : await again.CurateAsync(turn, champion, cancellation);
            if (!differs && replaced is not { After: null }) continue;
            string? why = replaced is { After: null } ? $"retired: model {turn.Champion[..12]}, from which it was trained, was"
                : turn.IsIncomplete ? "retired: texts it learnt from were removed by retention"
                : Wanted(plan, turn) ? null : "retired: it was never released";
            await NoteAsync(why is null
                ? await again.TrainAsync(turn, champion, cancellation) : await again.RetireAsync(turn, why, cancellation));
        }
        foreach (PlannedModel model in plan.Models.Where(model => !model.OfTurn && !done.ContainsKey(model.Hash)))
            await NoteAsync(
                [await again.TrainOnAsync(model, model.Parent is { } parent ? done.GetValueOrDefault(parent) : null, cancellation)]);

        foreach (PlannedModel adapter in plan.Models.Where(model => model.Merged is not null && !done.ContainsKey(model.Hash)))
            if (done.TryGetValue(adapter.Merged!, out ForgottenModel? merged))
                await NoteAsync([(adapter.Hash, merged.After is { } after && await store.FindModelAsync(after, cancellation) is { } made
                    ? AdapterOf(made) : null, merged.How)]);

        await ReleaseAsync(plan, done, cancellation);
        await ForgottenFiles.DeleteAsync(store, plan, done, cancellation);
        await store.Database.CompactAsync(progress.Say, cancellation);
        return await FinishAsync(row.Id, cancellation);

        async Task NoteAsync(IEnumerable<(string Before, string? After, string How)> made)
        {
            foreach ((string before, string? after,
                string how) in made) done[before] = new(before, after, learnt.GetValueOrDefault(before), how);
            await UpdateAsync(row.Id, deletion => deletion.Models = JsonSerializer.Serialize(done.Values, JsonText.Compact), cancellation);
        }
    }

    /// <summary>A candidate that was never released, and from which nothing was made, need not be there again.</summary>
    private static bool Wanted(ForgetPlan plan, PlannedTurn turn) => turn.Released
        || plan.Models.Any(model => !model.OfTurn && turn.Made.Contains(model.Parent))
        || plan.Turns.Any(later => later.Champion == turn.Candidate);

    private static string Checked(string person) => person.Length > 0 && person.Trim() == person ? person
        : throw new FlywheelException($"--user is '{person}', expected the name of a person without blanks around it");

    private async Task<DeletionRow> BeginAsync(string person, string hash, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Deletions.AsNoTracking().SingleOrDefaultAsync(row => row.Person == hash && row.Finished == null,
            cancellation) is { } begun) return begun;
        if (await db.Deletions.AnyAsync(row => row.Finished == null, cancellation))
            throw new FlywheelException("the forgetting of another person was interrupted: run that again first, with the same --user");
        SortedDictionary<string, int> counts = await new PersonRows(db, person).CountAsync(cancellation);
        if (counts.Values.Sum() == 0)
            throw new FlywheelException(
                $"nothing is recorded of '{person}'{((await db.Deletions.AnyAsync(row => row.Person == hash, cancellation)) ? ": they were forgotten before" : "")}; "
                + $"the people are {string.Join(", ", await NamesAsync(db, cancellation))}");
        await new PersonRows(db, person).CheckOwnerStaysAsync(cancellation);
        // A turn that is under way would end with what it had begun with.
        foreach (TurnRow turn in await db.Turns.Where(row => row.Ended == null).ToListAsync(cancellation))
            (turn.State, turn.Ended, turn.Reason) = (TurnState.Rejected, time.GetUtcNow(),
                "given up, because a person was forgotten while it ran");
        await db.SaveChangesAsync(cancellation);
        ForgetPlan plan = await PlanAsync(db, person, cancellation);
        var row = new DeletionRow
        {
            Id = Guid.CreateVersion7(time.GetUtcNow()), Person = hash, Began = time.GetUtcNow(),
            Counts = JsonSerializer.Serialize(counts, JsonText.Compact), Plan = JsonSerializer.Serialize(plan, JsonText.Compact),
        };
        db.Deletions.Add(row);
        db.Audit.Add(AuditAct.Row(AuditAct.Forget, row.Began, about: hash[..12]));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return row;
    }

    private static async Task<IEnumerable<string>> NamesAsync(FlywheelDb db, CancellationToken cancellation) =>
        (await db.Generations.Select(row => row.User).Distinct().Take(6).ToListAsync(cancellation)).Where(name => name.Length > 0)
            .Select(name => $"'{name}'");

    private async Task RemoveRowsAsync(string person, CancellationToken cancellation)
    {
        progress.Say("Removing what is recorded of them.");
        await using FlywheelDb db = store.AllTables();
        await store.Database.OverwriteDeletedAsync(db, cancellation);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        await new PersonRows(db, person).DeleteAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Every turn from the first that had rows of the person, and every model that came of one of them.</summary>
    private async Task<ForgetPlan> PlanAsync(FlywheelDb db, string person, CancellationToken cancellation)
    {
        var rows = new PersonRows(db, person);
        HashSet<Guid> touched = [], taught = [];
        foreach (IQueryable<ExampleRow> theirs in new[] { rows.Examples, rows.Reviewed, rows.MadeOfShown })
        {
            touched.UnionWith(await theirs.Select(row => row.TurnId).Distinct().ToListAsync(cancellation));
            taught.UnionWith(await theirs.Where(row => row.DropReason == null && row.Split == Split.Train).Select(row => row.TurnId)
                .Distinct()
                .ToListAsync(cancellation));
        }
        List<TurnRow> turns = await db.Turns.AsNoTracking().OrderBy(row => row.Number).ToListAsync(cancellation);
        HashSet<Guid> incomplete = [.. await Retention.Incomplete(db).Select(turn => turn.Id).ToListAsync(cancellation)];
        List<RunRow> runs = await db.Runs.AsNoTracking().ToListAsync(cancellation);
        HashSet<string> released = [.. await db.Releases.Select(row => row.ModelHash).Distinct().ToListAsync(cancellation),
            .. await db.WorkspaceReleases.Where(row => row.ModelHash != null).Select(row => row.ModelHash!).ToListAsync(cancellation)];
        List<PlannedTurn> planned =
            [.. turns.SkipWhile(turn => !touched.Contains(turn.Id)).Select(turn => new PlannedTurn(turn.Id, turn.Number, turn.Dataset,
            turn.Champion, turn.Candidate, turn.Candidate is { } made && released.Contains(made), [.. RunsOf(turn).Select(run => run.Name)],
            [.. RunsOf(turn).Select(run => run.Model).OfType<string>()],
            RunsOf(turn).Select(run => RunIdentity.Read(Path.Combine(store.Home.Runs, run.Name))?.NumThreads)
                .FirstOrDefault(threads => threads is not null)
                ?? Math.Max(1, Environment.ProcessorCount), incomplete.Contains(turn.Id)))];
        return new(planned, ModelsOf(await db.Models.AsNoTracking().OrderBy(row => row.Created).ToListAsync(cancellation)));

        IEnumerable<RunRow> RunsOf(TurnRow turn) => runs.Where(run => run.TurnId == turn.Id).OrderBy(run => run.Created);

        List<PlannedModel> ModelsOf(List<ModelRow> known)
        {
            HashSet<Guid> ids = [.. planned.Select(turn => turn.Id)];
            HashSet<string> ofTurns =
                [.. runs.Where(run => run.TurnId is { } id && ids.Contains(id)).Select(run => run.Model).OfType<string>()];
            HashSet<string> learnt =
                [.. runs.Where(run => run.TurnId is { } id && taught.Contains(id)).Select(run => run.Model).OfType<string>()];
            HashSet<string> all = [.. ofTurns];
            for (bool more = true; more;)
            {
                more = false;
                foreach (ModelRow row in known.Where(row => row.Parent is not null))
                {
                    if (all.Contains(row.Parent!)) more |= all.Add(row.Hash);
                    if (learnt.Contains(row.Parent!)) more |= learnt.Add(row.Hash);
                }
            }
            Dictionary<string, string> adapters = known.Where(row => ofTurns.Contains(row.Hash))
                .Select(row => (row.Hash, Adapter: AdapterOf(row))).Where(made => made.Adapter is not null)
                .DistinctBy(made => made.Adapter).ToDictionary(made => made.Adapter!, made => made.Hash);
            return [.. known.Where(row => all.Contains(row.Hash) || adapters.ContainsKey(row.Hash))
                .Select(row => adapters.TryGetValue(row.Hash, out string? merged)
                    ? new PlannedModel(row.Hash, row.Path, row.Parent, learnt.Contains(merged), true, merged)
                    : new PlannedModel(row.Hash, row.Path, row.Parent, learnt.Contains(row.Hash), ofTurns.Contains(row.Hash)))];
        }
    }

    /// <summary>Of a model that a turn made by merging: the adapter, which lies beside it and holds what it learnt.</summary>
    private string? AdapterOf(ModelRow model) => Directory.Exists(store.FolderOf(model))
        && !AdapterFolder.IsAdapter(store.FolderOf(model)) ? ModelFolder.Open(store.FolderOf(model)).Manifest.Adapter : null;

    /// <summary>Releases name what stands in the place of each model now, and the server serves it.</summary>
    private async Task ReleaseAsync(ForgetPlan plan, Dictionary<string, ForgottenModel> done, CancellationToken cancellation)
    {
        string? before = (await store.ChampionAsync(cancellation))?.Hash;
        await using (FlywheelDb db = store.AllTables())
        {
            await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
            foreach (ForgottenModel model in done.Values.Where(model => model.After != model.Before))
            {
                IQueryable<ReleaseRow> releases = db.Releases.Where(row => row.ModelHash == model.Before);
                if (model.After is { } after)
                    await releases.ExecuteUpdateAsync(row => row.SetProperty(release => release.ModelHash, after), cancellation);
                else await releases.ExecuteDeleteAsync(cancellation);
                await db.WorkspaceReleases.Where(row => row.ModelHash == model.Before)
                    .ExecuteUpdateAsync(row => row.SetProperty(release => release.ModelHash, model.After), cancellation);
            }
            await transaction.CommitAsync(cancellation);
        }
        string? now = (await store.ChampionAsync(cancellation))?.Hash;
        bool replaced = done.Values.Any(model => model.After == now && model.Before != model.After);
        if (now is null || (now == before && !replaced)) return;
        const string reason = "rebuilt, because a person was forgotten";
        progress.Say($"Serving {now[..12]}.");
        if (Swap is not null) await Swap(now, reason);
        else await ServerPromotion.ReleaseAsync(store.Home, now, reason, () => Task.CompletedTask, cancellation: cancellation);
    }

    private async Task<DeletionRow> FinishAsync(Guid id, CancellationToken cancellation)
    {
        DateTimeOffset now = time.GetUtcNow();
        await UpdateAsync(id, row => (row.Finished, row.Plan) = (now, null), cancellation);
        await using FlywheelDb db = store.AllTables();
        return await db.Deletions.AsNoTracking().SingleAsync(row => row.Id == id, cancellation);
    }

    private async Task UpdateAsync(Guid id, Action<DeletionRow> change, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        change(await db.Deletions.SingleAsync(row => row.Id == id, cancellation));
        await db.SaveChangesAsync(cancellation);
    }
}
