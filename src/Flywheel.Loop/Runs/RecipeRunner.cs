using System.Security.Cryptography;
using System.Text;
using Flywheel.Data;
using Flywheel.Loop.Planning;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Runs;

/// <summary>What a recipe's run made.</summary>
/// <param name="Result">The finished model, or an adapter for its base.</param>
/// <param name="Base">What it started from; null for random weights.</param>
/// <param name="RunFolder">Log, curve, recipe and result.</param>
/// <param name="Data">The tokenised data and its report.</param>
public sealed record FinishedRun(TrainedModel Result, ModelFolder? Base, string RunFolder, BuiltData Data)
{
    /// <summary>The finished model; an adapter is merged into its base first.</summary>
    /// <param name="models">Folder of models, which a merged one is written to.</param>
    public ModelFolder Whole(string models) => Result.Model ?? Result.Adapter!.Merge(Base!, models, TensorType.F32);
}

/// <summary>
/// From a recipe to a model: resolves the base (running its recipe first if need be), builds the data, learns the tokenizer
/// when there is no base, trains. A run is named by its recipe and the hash of what decides its bits, so the same recipe
/// on the same data resumes where it stopped, and a finished one is used again.
/// </summary>
public sealed class RecipeRunner(FlywheelHome home)
{
    /// <summary>Said in words what is being done, such as reading a source.</summary>
    public Action<string>? Status { get; init; }

    /// <summary>Told of every step, with the recipe's name.</summary>
    public Action<string, TrainingProgress>? Progress { get; init; }

    /// <summary>What trains a job: this process, or something that starts several.</summary>
    public Func<TrainingJob, Action<TrainingProgress>, CancellationToken, TrainedModel> Train { get; init; } = TrainingRun.Run;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Finds out what a new run will take before its first step; null leaves it.</summary>
    public Func<TrainingJob, CancellationToken, TrainingForecast>? Pilot { get; init; }

    /// <summary>Of each rank.</summary>
    public int NumThreads { get; init; } = Math.Max(1, Environment.ProcessorCount);

    /// <summary>Processes that <see cref="Train"/> starts.</summary>
    public int NumRanks { get; init; } = 1;

    /// <param name="path">A YAML file; its relative paths start at its folder.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>; a base's recipe does not see them.</param>
    /// <param name="cancellation">Ends the run after a checkpoint; the same call resumes from it.</param>
    /// <exception cref="FlywheelException">The recipe, its base or its data is not usable.</exception>
    public FinishedRun Run(string path, IReadOnlyList<string> overrides, CancellationToken cancellation = default) =>
        Run(RecipeFile.Load(path, overrides), Path.GetDirectoryName(Path.GetFullPath(path))!, cancellation);

    /// <param name="recipe">What to train.</param>
    /// <param name="folder">Where its relative paths start.</param>
    /// <param name="cancellation">Ends the run after a checkpoint.</param>
    public FinishedRun Run(Recipe recipe, string folder, CancellationToken cancellation = default) => Run(recipe, folder, [], cancellation);

    /// <summary>
    /// What a recipe would take here, without training it, and before it what each recipe takes that its base is still to be trained by.
    /// </summary>
    /// <exception cref="FlywheelException">The recipe, its base or its data is not usable.</exception>
    public IReadOnlyList<(string Recipe, TrainingForecast Forecast)> Forecast(string path, IReadOnlyList<string> overrides,
        CancellationToken cancellation = default)
    {
        List<(string, TrainingForecast)> chain = [];
        string standIns = Path.Combine(home.Cache, $"stand-ins-{Guid.NewGuid():N}");
        try
        {
            Add(Prepare(RecipeFile.Load(path, overrides), Path.GetDirectoryName(Path.GetFullPath(path))!, [], Base).Job);
            return chain;
        }
        finally
        {
            if (Directory.Exists(standIns)) Directory.Delete(standIns, recursive: true);
        }

        void Add(TrainingJob job) => chain.Add((job.Recipe.Name, Forecast(job, cancellation)));

        // Time and memory do not depend on what the weights are.
        ModelFolder Base(string file, IReadOnlyList<string> above)
        {
            (TrainingJob job, BuiltData data) = Prepare(RecipeFile.Load(file), Path.GetDirectoryName(file)!, above, Base);
            if (TrainingResult.Read(job.RunFolder) is { } done && Directory.Exists(done.ModelPath))
                return new FinishedRun(TrainedModel.Open(done.ModelPath), job.Base, job.RunFolder, data).Whole(home.Models);
            Add(job);
            ModelConfig config = (job.Base?.Config ?? job.Config)!;
            Dictionary<string, long[]> shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
            var random = new Random(1);
            return ModelFolder.Create(standIns, config, (job.Base?.Tokenizer ?? job.Tokenizer)!, TensorType.F32, Values,
                new ModelManifest { Name = job.Recipe.Name, Created = Time.GetUtcNow() }, job.Base);

            float[] Values(string name)
            {
                float[] values = new float[shapes[name].Aggregate(1L, (product, size) => product * size)];
                for (int i = 0; i < values.Length; i++) values[i] = shapes[name].Length == 1 ? 1 : 0.04f * (random.NextSingle() - 0.5f);
                return values;
            }
        }
    }

    private TrainingForecast Forecast(TrainingJob job, CancellationToken cancellation)
    {
        Status?.Invoke($"measuring the first steps of {job.Recipe.Name}");
        string folder = Path.Combine(home.Cache, $"pilot-{Path.GetFileName(job.RunFolder)}");
        try
        {
            return (Pilot ?? TrainingPilot.Run)(job with { RunFolder = Directory.CreateDirectory(folder).FullName }, cancellation);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private FinishedRun Run(Recipe recipe, string folder, IReadOnlyList<string> above, CancellationToken cancellation)
    {
        (TrainingJob job, BuiltData data) = Prepare(recipe, folder, above,
            (file, aboveIt) => Run(RecipeFile.Load(file), Path.GetDirectoryName(file)!, aboveIt, cancellation).Whole(home.Models));
        ProcessMemory.Release(); // what reading the data has left behind
        if (Experiment.Read(job.RunFolder) is null) Begin(job, cancellation);
        TrainedModel result = Train(job, progress => Progress?.Invoke(recipe.Name, progress), cancellation);
        return new FinishedRun(result, job.Base, job.RunFolder, data);
    }

    /// <param name="recipe">What to train.</param>
    /// <param name="folder">Where its relative paths start.</param>
    /// <param name="above">Recipes that this one is a base of.</param>
    /// <param name="trained">The model of a recipe that is this one's base, from its file and the recipes above it.</param>
    private (TrainingJob Job, BuiltData Data) Prepare(Recipe recipe, string folder, IReadOnlyList<string> above,
        Func<string, IReadOnlyList<string>, ModelFolder> trained)
    {
        ModelFolder? parent = recipe.Base is { } name ? ResolveBase(name, recipe, folder, above, trained) : null;
        Tokenizer tokenizer;
        ModelConfig config;
        DataCollection collection = DataCollection.Collect(recipe, folder, home, Status);
        if (parent is not null) (tokenizer, config) = (parent.Tokenizer, parent.Config);
        else (tokenizer, config) = Fresh(recipe, collection);
        BuiltData data = DatasetBuilder.Tokenise(collection, recipe, home, tokenizer, config.MaxPositions, Status, parent);
        foreach (SourceReport source in collection.Report.Sources)
            Status?.Invoke($"{source.Name}: kept {source.Kept:N0} of {source.Read:N0} items as {source.Examples:N0} examples");
        foreach ((string split, SplitReport counts) in collection.Report.Splits)
            Status?.Invoke($"{split}: {counts.Documents:N0} documents, {counts.Tokens:N0} tokens, {counts.Targets:N0} of them learnt");
        return (new TrainingJob
        {
            Recipe = recipe,
            RunFolder = Path.Combine(home.Runs, $"{recipe.Name}-{Identity(recipe, parent, tokenizer, data)}"),
            Base = parent,
            Config = parent is null ? config : null,
            Tokenizer = parent is null ? tokenizer : null,
            TrainData = data.TrainPath,
            ValidationData = data.ValidationPath,
            ModelsFolder = home.Models,
            Codec = collection.Codec,
            Tasks = TaskCatalog.Of(recipe, folder),
            Words = WordsOf(recipe, folder, parent, collection),
            NumThreads = NumThreads,
            Time = Time,
        }, data);
    }

    /// <summary>Words that people's texts teach a model that was trained for copywriting; what is only replayed teaches none.</summary>
    internal static IReadOnlyList<string> WordsOf(Recipe recipe, string folder, ModelFolder? parent, DataCollection collection) =>
        parent?.Manifest.Tasks?.Contains(DraftWords.Task) == true && !TaskCatalog.Of(recipe, folder).Contains(DraftWords.Task)
            ? Learnt(collection) : [];

    private static IReadOnlyList<string> Learnt(DataCollection collection) => DraftWords.Learnt(collection
        .Items(Flywheel.Data.Split.Train, source => Path.GetFileName(source.Origin) != Replay.FolderName).SelectMany(item => item.Examples)
        .Select(example => example switch
    {
        ConversationExample { Conversation: var text } => text,
        PairExample { Preferred: var text } => text,
        JudgedExample { Liked: true, Conversation: var text } => text,
        _ => null,
    }).OfType<Conversation>());

    private void Begin(TrainingJob job, CancellationToken cancellation)
    {
        ModelConfig config = (job.Base?.Config ?? job.Config)!;
        TrainingForecast? forecast = Pilot is not null && IsWorthIt(job, config) ? Forecast(job, cancellation) : null;
        if (forecast is not null) Status?.Invoke(Say(forecast));
        new Experiment
        {
            Recipe = job.Recipe.Name,
            Seed = job.Recipe.Seed,
            Revision = Experiment.ThisRevision,
            Dataset = Path.GetFileName(job.TrainData),
            ValidationDataset = Path.GetFileName(job.ValidationData),
            Base = job.Base?.Hash,
            NumParameters = config.NumParameters,
            Started = Time.GetUtcNow(),
            Machine = Experiment.ThisMachine(),
            NumThreads = job.NumThreads,
            NumRanks = NumRanks,
            Forecast = forecast,
        }.Write(job.RunFolder);
    }

    private static string Say(TrainingForecast forecast) =>
        $"{forecast.Steps:N0} steps, {forecast.Tokens:N0} tokens: about {Amounts.Duration(forecast.Seconds)} at {forecast.TokensPerSecond:N0} tokens/s, "
        + $"{Amounts.Memory(forecast.MemoryBytes)} of memory{(forecast.NumRanks > 1 ? $" in each of {forecast.NumRanks} ranks" : "")}";

    /// <summary>
    /// What a recipe's sources give, without training: tokenised for a new model and for one that starts from a model; of a recipe
    /// that starts from another recipe the items only, since its tokenizer comes with that one's model.
    /// </summary>
    /// <param name="path">The recipe.</param>
    /// <param name="refresh">Fetch again what was fetched before.</param>
    /// <param name="model">Tokenise for this one, in the place of the recipe's base.</param>
    /// <exception cref="FlywheelException">The recipe, its base or its data is not usable.</exception>
    public (DataCollection Collection, BuiltData? Built) Data(string path, bool refresh = false, ModelFolder? model = null)
    {
        Recipe recipe = RecipeFile.Load(path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        bool startsFromRecipe = model is null && recipe.Base is { } name && File.Exists(Path.Combine(folder, name));
        ModelFolder? parent = model ?? (recipe.Base is { } from && !startsFromRecipe
            ? ResolveBase(from, recipe, folder, [], (_, _) => throw new InvalidOperationException("no recipe")) : null);
        DataCollection collection = DataCollection.Collect(recipe, folder, home, Status, refresh);
        if (startsFromRecipe) return (collection, null);
        (Tokenizer tokenizer, ModelConfig config) = parent is null ? Fresh(recipe, collection) : (parent.Tokenizer, parent.Config);
        return (collection, DatasetBuilder.Tokenise(collection, recipe, home, tokenizer, config.MaxPositions, Status, parent));
    }

    /// <summary>False of a run that would be over before it is known how long it takes.</summary>
    private static bool IsWorthIt(TrainingJob job, ModelConfig config)
    {
        const double fastFlopsPerSecond = 2e11, leastSeconds = 10;
        TrainingWork work = TrainingWork.Of(job);
        return work.Steps >= 2
            && (work.Tokens + work.ForwardTokens / 3)
                * ModelShape.TrainingFlops(config, Math.Min(config.MaxPositions, job.Recipe.Train.MicroTokens))
                >= leastSeconds * fastFlopsPerSecond;
    }

    /// <summary>A folder or a recipe beside this one (a recipe is run first), or what the catalog calls by that name. An adapter is merged
    /// into its own base.</summary>
    private ModelFolder ResolveBase(string name, Recipe recipe, string folder, IReadOnlyList<string> above,
        Func<string, IReadOnlyList<string>, ModelFolder> trained)
    {
        string path = Path.GetFullPath(Path.Combine(folder, name));
        if (File.Exists(path))
        {
            if (above.Contains(path))
                throw new FlywheelException(
                    $"recipe '{recipe.Name}': base '{name}' leads back to itself: {string.Join(" -> ", [.. above, path])}");
            return trained(path, [.. above, path]);
        }
        var catalog = new ModelCatalog(home);
        TrainedModel found = TrainedModel.Open(Directory.Exists(path) ? path : Find());
        return found.Model is { } model
            ? catalog.Keep(model, Time.GetUtcNow()) : found.Adapter!.Merge(catalog.BaseOf(found.Adapter), home.Models, TensorType.F32);

        string Find()
        {
            try
            {
                return catalog.Find(name);
            }
            catch (FlywheelException e)
            {
                throw new FlywheelException($"recipe '{recipe.Name}': field 'base' is '{name}', and {path} is no recipe: {e.Message}", e);
            }
        }
    }

    private (Tokenizer, ModelConfig) Fresh(Recipe recipe, DataCollection collection)
    {
        ShapeRecipe shape =
            recipe.Model
                ?? throw new FlywheelException(
                    $"recipe '{recipe.Name}': neither 'base' nor 'model' is given, expected a base to start from or a shape for random weights");
        TokenizerRecipe wanted = recipe.Tokenizer
            ?? throw new FlywheelException(
                $"recipe '{recipe.Name}': field 'tokenizer' is missing, expected tokenizer.vocab when there is no base");
        Tokenizer tokenizer = collection.LearnTokenizer(wanted, Status);
        return (tokenizer,
            shape.ToConfig(tokenizer.VocabSize)
                with { EosTokenIds = [tokenizer.SpecialTokens[Tokenizer.MessageEnd], tokenizer.SpecialTokens[Tokenizer.EndOfText]] });
    }

    /// <summary>Hash of everything that decides the weights; the evaluation's rhythm and the checkpoints' do not.</summary>
    private static string Identity(Recipe recipe, ModelFolder? parent, Tokenizer tokenizer, BuiltData data)
    {
        string dataset = Path.GetFileName(data.TrainPath);
        string text = $"{parent?.Hash}\n{tokenizer.Hash}\n{dataset}\n{RecipeFile.ToYaml(recipe.WithoutCard())}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..10];
    }
}
