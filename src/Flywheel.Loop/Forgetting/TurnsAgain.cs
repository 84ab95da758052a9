using System.Text.Json;
using Flywheel.Model;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// Does turns again from what is still recorded of them: the same feedback less that of a person who was forgotten, the same recipe, the
/// same seed. What it gives is what would be there if that person had never acted.
/// </summary>
internal sealed class TurnsAgain(FlywheelStore store, TurnProgress progress, TimeProvider time)
{
    /// <summary>Curates a turn again; its rows and its folder are those of the others then.</summary>
    /// <param name="turn">The turn.</param>
    /// <param name="champion">Hash of the model that it starts from now.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Whether what it learns or starts from is not what it was.</returns>
    public async Task<bool> CurateAsync(PlannedTurn turn, string champion, CancellationToken cancellation)
    {
        if (turn.Dataset is null) return false;
        progress.Say($"Curating turn {turn.Number} again.");
        await using FlywheelDb db = store.AllTables();
        TurnRow row = await db.Turns.AsNoTracking().SingleAsync(known => known.Id == turn.Id, cancellation);
        TurnRecipe recipe = RecipeFile.ParseTurn(row.Recipe, $"recipe of turn {row.Number}");
        ModelFolder model = await OpenAsync(champion, cancellation);
        FeedbackIntake intake = await FeedbackReader.AgainAsync(db, row, TurnCuration.NeedsTokens(recipe), cancellation);
        CuratedDataset dataset = await TurnCuration.CurateAsync(store, recipe, model, intake, cancellation);
        ModelFolder learner = await OpenAsync(await TurnLedger.LearnerOfAsync(store, row.Workspace, champion, cancellation), cancellation);
        dataset = dataset.With(await Replay.DrawAsync(store, recipe, learner, row.Number, dataset, progress.Say, cancellation));
        // Also where its rows are the same: its report names who gave most.
        if (Directory.Exists(dataset.FolderIn(store.Home))) Directory.Delete(dataset.FolderIn(store.Home), recursive: true);
        dataset.Write(store.Home.Datasets);

        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        await db.ExampleFeedback.Where(source => db.Examples.Any(example => example.Id == source.ExampleId && example.TurnId == turn.Id))
            .ExecuteDeleteAsync(cancellation);
        await db.Examples.Where(example => example.TurnId == turn.Id).ExecuteDeleteAsync(cancellation);
        db.Examples.AddRange(TurnLedger.RowsOf(turn.Id, dataset));
        if (await db.Datasets.Where(known => known.Hash == dataset.Hash).ExecuteDeleteAsync(cancellation) >= 0)
            db.Datasets.Add(TurnLedger.RowOf(turn.Id, dataset, time.GetUtcNow()));
        await db.Turns.Where(known => known.Id == turn.Id)
            .ExecuteUpdateAsync(known => known.SetProperty(changed => changed.Dataset, dataset.Hash)
            .SetProperty(changed => changed.Champion, champion), cancellation);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return turn.Made.Count > 0 && (dataset.Hash != turn.Dataset || champion != turn.Champion);
    }

    /// <summary>Trains a turn's passes again.</summary>
    /// <returns>Of each model that they had made, what stands in its place.</returns>
    public async Task<IReadOnlyList<(string Before, string? After, string How)>> TrainAsync(PlannedTurn turn, string champion,
        CancellationToken cancellation)
    {
        TurnRow row;
        await using (FlywheelDb db = store.AllTables()) row =
            await db.Turns.AsNoTracking().SingleAsync(known => known.Id == turn.Id, cancellation);
        TurnRecipe recipe = RecipeFile.ParseTurn(row.Recipe, $"recipe of turn {row.Number}");
        List<(string Run, string From, ModelFolder Model)> passes = [];
        ModelFolder made;
        string learner = await TurnLedger.LearnerOfAsync(store, row.Workspace, champion, cancellation);
        try
        {
            made = await new TurnTraining(store.Home, progress, time) { NumThreads = turn.NumThreads }.RunAsync(turn.Number, row.Dataset!,
                await OpenAsync(learner, cancellation), recipe, (run, from, model) =>
                {
                    passes.Add((run, from, model));
                    return Task.CompletedTask;
                }, cancellation);
        }
        catch (FlywheelException e)
        {
            return await RetireAsync(turn, $"retired: it could not be trained again, because {e.Message}", cancellation);
        }
        foreach ((_, _, ModelFolder model) in passes)
        {
            await store.RegisterModelAsync(model, row.Dataset, cancellation);
            await TurnLedger.RegisterAdapterAsync(store, model, cancellation);
        }
        await ReplaceRunsAsync(turn, made.Hash, [.. passes.Select(pass => new RunRow
        {
            Name = pass.Run, TurnId = turn.Id, Dataset = row.Dataset!, Base = pass.From, Model = pass.Model.Hash,
            Created = time.GetUtcNow(),
        })], cancellation);
        string how = made.Hash == learner ? "nothing of others is left to learn: what it was trained from stands in its place"
            : $"rebuilt from {passes.Count} {(passes.Count == 1 ? "pass" : "passes")} without them";
        // The last pass made the candidate; those before it are steps on the way.
        return [.. turn.Made.Select((before, i) =>
            before == turn.Candidate ? (before, made.Hash, before == made.Hash ? "the same without them" : how)
            : i < passes.Count && passes.Count == turn.Made.Count
            ? (before, passes[i].Model.Hash, before == passes[i].Model.Hash ? "the same without them" : how)
            : (before, (string?)null, "retired: a step on the way to a model that is rebuilt"))];
    }

    /// <summary>A turn's models are not trained again.</summary>
    public async Task<IReadOnlyList<(string Before, string? After, string How)>> RetireAsync(PlannedTurn turn, string why,
        CancellationToken cancellation)
    {
        await ReplaceRunsAsync(turn, null, [], cancellation);
        return [.. turn.Made.Select(before => (before, (string?)null, why))];
    }

    private async Task ReplaceRunsAsync(PlannedTurn turn, string? candidate, List<RunRow> runs, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        await db.Runs.Where(run => run.TurnId == turn.Id).ExecuteDeleteAsync(cancellation);
        db.Runs.AddRange(runs);
        await db.Turns.Where(known => known.Id == turn.Id)
            .ExecuteUpdateAsync(known => known.SetProperty(changed => changed.Candidate, candidate), cancellation);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Trains a model that did not come of a turn again, on what stands in its base's place.</summary>
    /// <param name="model">The model.</param>
    /// <param name="onto">What became of its base; null where that is as it was.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<(string Before, string? After, string How)> TrainOnAsync(PlannedModel model, ForgottenModel? onto,
        CancellationToken cancellation)
    {
        if (onto is null || onto.After == onto.Before) return (model.Hash, model.Hash, "as it was: so is its base");
        if (onto.After is null) return (model.Hash, null, $"retired: its base {onto.Before[..12]} was");
        ModelRow? row = await store.FindModelAsync(model.Hash, cancellation);
        if (row is null) return (model.Hash, null, "retired: it is not known any more");
        try
        {
            ModelFolder parent = await OpenAsync(onto.After, cancellation);
            RequireOwnData(row);
            (RebuiltModel result, TrainedModel? made) = await new Rebuild(store, time) { Say = progress.Say, Trained = progress.Trained }
                .OnAsync(row, parent, cancellation);
            if (made!.Model is { } whole) await store.RegisterModelAsync(whole, cancellation: cancellation);
            else await store.RegisterAdapterAsync(made.Adapter!, cancellation);
            await using FlywheelDb db = store.AllTables();
            await db.Runs.Where(run => run.Model == model.Hash)
                .ExecuteUpdateAsync(run => run.SetProperty(changed => changed.Model, made.Hash)
                .SetProperty(changed => changed.Base, parent.Hash), cancellation);
            string file = Path.Combine(store.Home.Runs, row.Run!);
            AtomicFile.WriteText(Path.Combine(file, "run.json"),
                JsonSerializer.Serialize(RunIdentity.Read(file)! with { Base = parent.Hash }, JsonText.Indented));
            return (model.Hash, result.Got, "rebuilt on its rebuilt base");
        }
        catch (FlywheelException e)
        {
            return (model.Hash, null, $"retired: {e.Message}");
        }
    }

    /// <summary>A run by itself that read a turn's dataset has the person's texts in data of its own.</summary>
    private void RequireOwnData(ModelRow row)
    {
        string file = Path.Combine(store.Home.Runs, row.Run ?? "", "recipe.yaml");
        if (row.Run is null || !File.Exists(file)) return;
        if (RecipeFile.Load(file).Data.FirstOrDefault(source =>
            source.Path?.Contains("curated-", StringComparison.Ordinal) == true) is { } curated)
            throw new FlywheelException($"it was trained on {curated.Path}, which a turn had curated");
    }

    private async Task<ModelFolder> OpenAsync(string hash, CancellationToken cancellation)
    {
        ModelRow row = await store.FindModelAsync(hash, cancellation)
            ?? throw new FlywheelException($"model {hash} is not known in {store.Home.Path}");
        return ModelFolder.Open(store.FolderOf(row));
    }
}
