using Flywheel.Data;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>What training again gave.</summary>
/// <param name="Wanted">Hash of the model that was to be rebuilt.</param>
/// <param name="Got">Hash of what came of it.</param>
/// <param name="Notes">In what this differs from then: program, machine, ranks.</param>
public sealed record RebuiltModel(string Wanted, string Got, IReadOnlyList<string> Notes)
{
    public bool IsEqual => Wanted == Got;
}

/// <summary>
/// Trains a model again from what its run left: recipe, base, tokenised data, number of threads. On the same kind of machine the result
/// has the same hash, and so is the proof of where the weights come from.
/// </summary>
public sealed class Rebuild(FlywheelStore store, TimeProvider? time = null)
{
    private readonly TimeProvider time = time ?? TimeProvider.System;

    /// <summary>Said in words what is being done.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>Told of every step, with the recipe's name.</summary>
    public Action<string, TrainingProgress> Trained { get; init; } = (_, _) => { };

    /// <param name="wanted">The beginning of a model's hash, or its name where one model has it.</param>
    /// <param name="cancellation">Stops after a checkpoint; the same call goes on from there.</param>
    /// <exception cref="FlywheelException">No model is meant, or something is missing: all that is, by name.</exception>
    public async Task<RebuiltModel> RunAsync(string wanted, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        List<ModelRow> rows = await db.Models.AsNoTracking().ToListAsync(cancellation);
        List<ModelRow> found =
            [.. rows.Where(row => wanted.Length >= 6 && row.Hash.StartsWith(wanted, StringComparison.OrdinalIgnoreCase))];
        if (found.Count == 0) found = [.. rows.Where(row => row.Name == wanted)];
        return found switch
        {
            [var one] => (await OnAsync(one, null, cancellation)).Result,
            [] => throw new FlywheelException(
                $"'{wanted}' names no model of {store.Home.Path}, expected one of {string.Join(", ", rows.OrderByDescending(row => row.Created).Take(5).Select(row => row.ShortHash))}"),
            _ => throw new FlywheelException(
                $"'{wanted}' names {found.Count} models: {string.Join(", ", found.Select(row => row.ShortHash))}"),
        };
    }

    /// <summary>Trains a model's run again, on its own base or on the one that stands in its place.</summary>
    /// <param name="row">The model.</param>
    /// <param name="onto">Another base; null for its own.</param>
    /// <param name="cancellation">Stops after a checkpoint.</param>
    /// <returns>Besides the result the folder of what was made; null where it equals a model that is there.</returns>
    internal async Task<(RebuiltModel Result, TrainedModel? Made)> OnAsync(ModelRow row, ModelFolder? onto, CancellationToken cancellation)
    {
        string? name = await RunOfAsync(row, cancellation);
        string folder = Path.Combine(store.Home.Runs, name ?? "");
        if (name is null)
            throw new FlywheelException($"{row.Name} {row.ShortHash} was not trained in {store.Home.Path}: there is no run to do again");
        if (RunIdentity.Read(folder) is not { } identity || !File.Exists(Path.Combine(folder, "recipe.yaml")))
            throw new FlywheelException(
                $"{row.Name} {row.ShortHash} cannot be rebuilt: missing is the folder of its run, {folder}, with recipe.yaml and run.json");
        Recipe recipe = RecipeFile.Load(Path.Combine(folder, "recipe.yaml"));
        Experiment? experiment = Experiment.Read(folder);

        List<string> missing = [];
        ModelFolder? parent = onto ?? (identity.Base is { } hash ? await BaseAsync(hash, missing, cancellation) : null);
        ModelFolder? own = identity.Base is null && Directory.Exists(store.FolderOf(row)) ? ModelFolder.Open(store.FolderOf(row)) : null;
        if (identity.Base is null && own is null) missing.Add($"its tokenizer, which lay in {store.FolderOf(row)}");
        Tokenizer? tokenizer = parent?.Tokenizer ?? own?.Tokenizer;
        string? data = tokenizer is null
            ? null : DataOf(recipe, folder, identity, experiment, tokenizer, (parent?.Config ?? own!.Config).MaxPositions, parent, missing);
        if (missing.Count > 0)
            throw new FlywheelException(
                $"{row.Name} {row.ShortHash} cannot be rebuilt: missing {(missing.Count == 1 ? "is" : "are")} {string.Join("; ", missing)}");

        string scratch = Path.Combine(store.Home.Cache, "rebuild", $"{name}-{parent?.ShortHash}");
        string? validation = experiment?.ValidationDataset is { } tested ? Path.Combine(store.Home.Datasets, tested) : null;
        Say($"Training {recipe.Name} again with {identity.NumThreads} threads.");
        var job = new TrainingJob
        {
            Recipe = recipe, RunFolder = Path.Combine(scratch, name), Base = parent, Config = own?.Config, Tokenizer = own?.Tokenizer,
            TrainData = data!, ValidationData = Directory.Exists(validation) ? validation : null,
            ModelsFolder = Directory.CreateDirectory(Path.Combine(scratch, "models")).FullName, Tasks = TaskCatalog.Of(recipe, folder),
            Codec = own is null ? null : PictureCodec.FileOf(own),
            Words = WordsOf(recipe, folder, parent),
            NumThreads = identity.NumThreads, Time = time,
        };
        TrainedModel made = await Task.Run(() => TrainingRun.Run(job, progress => Trained(recipe.Name, progress), cancellation),
            cancellation);
        if (made.Adapter is { } adapter && (onto is not null ? IsMerged(row) : adapter.Hash != row.Hash))
            made = new(adapter.Merge(parent!, job.ModelsFolder, TensorType.F32), null);
        var result = new RebuiltModel(row.Hash, made.Hash, [.. Differences(experiment)]);
        TrainedModel? kept = onto is not null || (result.IsEqual && !Directory.Exists(store.FolderOf(row)))
            ? Keep(made, onto is null ? store.FolderOf(row) : Path.Combine(store.Home.Models, made.Hash[..12])) : null;
        Directory.Delete(scratch, recursive: true);
        return (result, kept);
    }

    /// <summary>Puts a rebuilt model where it belongs.</summary>
    private static TrainedModel Keep(TrainedModel made, string path)
    {
        if (!Directory.Exists(path)) Directory.Move(made.Path, path);
        return TrainedModel.Open(path);
    }

    private bool IsMerged(ModelRow row) => !Directory.Exists(store.FolderOf(row)) || !AdapterFolder.IsAdapter(store.FolderOf(row));

    private async Task<string?> RunOfAsync(ModelRow row, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        return await db.Runs.Where(run => run.Model == row.Hash).OrderByDescending(run => run.Created).Select(run => run.Name)
            .FirstOrDefaultAsync(cancellation) ?? row.Run;
    }

    /// <summary>The base, rebuilt first where it is not there any more.</summary>
    private async Task<ModelFolder?> BaseAsync(string hash, List<string> missing, CancellationToken cancellation)
    {
        ModelRow? row = await store.FindModelAsync(hash, cancellation);
        if (row is not null && Directory.Exists(store.FolderOf(row))) return ModelFolder.Open(store.FolderOf(row));
        string what = $"its base {hash[..12]}";
        if (row is null)
        {
            missing.Add($"{what}, which this home does not know");
            return null;
        }
        try
        {
            Say($"Its base {row.ShortHash} is not there and is rebuilt first.");
            (RebuiltModel result, TrainedModel? made) = await OnAsync(row, null, cancellation);
            if (made?.Model is { } model) return model;
            missing.Add($"{what}, which came out as {result.Got[..12]} when it was rebuilt");
        }
        catch (FlywheelException e)
        {
            missing.Add($"{what} ({e.Message})");
        }
        return null;
    }

    /// <summary>The tokenised data, tokenised again where it is not there any more.</summary>
    private string? DataOf(Recipe recipe, string folder, RunIdentity identity, Experiment? experiment, Tokenizer tokenizer, int context,
        ModelFolder? parent,
        List<string> missing)
    {
        string path = Path.Combine(store.Home.Datasets, experiment?.Dataset ?? identity.Dataset[..16]);
        if (Directory.Exists(path)) return path;
        try
        {
            string again = DatasetBuilder.Build(recipe, folder, store.Home, tokenizer, context, parent: parent).TrainPath;
            using TokenDataset data = TokenDataset.Open(again);
            if (data.Manifest.Hash == identity.Dataset) return again;
            missing.Add(
                $"its tokenised data {path} (tokenised again from its sources it is other data, {data.Manifest.Hash[..12]}: they have changed)");
        }
        catch (FlywheelException e)
        {
            missing.Add($"its tokenised data {path} (and its sources cannot be read: {e.Message})");
        }
        return null;
    }

    /// <summary>What the manifest says beside the weights; none where the sources are not there any more.</summary>
    private IReadOnlyList<string> WordsOf(Recipe recipe, string folder, ModelFolder? parent)
    {
        try
        {
            return RecipeRunner.WordsOf(recipe, folder, parent, DataCollection.Collect(recipe, folder, store.Home));
        }
        catch (FlywheelException)
        {
            return [];
        }
    }

    private static IEnumerable<string> Differences(Experiment? then)
    {
        if (then is null) yield break;
        if (then.Revision != Experiment.ThisRevision)
            yield return $"it was made by the program {then.Revision}, this is {Experiment.ThisRevision}";
        if (then.Machine != Experiment.ThisMachine()) yield return $"it was made on {then.Machine}, this is {Experiment.ThisMachine()}";
        if (then.NumRanks > 1) yield return $"it was made by {then.NumRanks} ranks, this is one";
    }
}
