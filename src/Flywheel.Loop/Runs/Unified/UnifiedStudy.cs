using System.Text.Json;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop.Planning;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Runs;

/// <summary>
/// One model for all tasks against specialists, on the same tokens of each task, with one vocabulary and one schedule. Every stage is kept
/// in the
/// study's folder and used again: the portions of data, the vocabulary, each run (which resumes from its checkpoint), each arm's answers.
/// </summary>
public sealed class UnifiedStudy
{
    /// <summary>Texts of each task that the vocabulary is learnt from.</summary>
    private const int TextsOfVocabulary = 4000;

    private readonly UnifiedRecipe _recipe;
    private readonly UnifiedScale _scale;
    private readonly FlywheelHome _home;
    private readonly string _recipes;
    private readonly Dictionary<string, TaskFolder> _tasks;

    /// <param name="path">The experiment's recipe; tasks are those of the catalog.</param>
    /// <param name="scale">How large.</param>
    /// <param name="home">Runs and models go there.</param>
    /// <exception cref="FlywheelException">The recipe is not valid, or a task is not there or lacks the metric.</exception>
    public UnifiedStudy(string path, UnifiedScale scale, FlywheelHome home)
    {
        (_recipe, _scale, _home, _recipes) = (UnifiedRecipe.Load(path), scale, home, Path.GetDirectoryName(Path.GetFullPath(path))!);
        var catalog = new TaskCatalog(home);
        _tasks = _recipe.Tasks.ToDictionary(task => task.Task, task => catalog.Find(task.Task));
        foreach (UnifiedTask task in _recipe.Tasks)
            if (!_tasks[task.Task].Description.Metrics.Contains(task.Metric))
                throw new FlywheelException(
                    $"{path}: the task '{task.Task}' is not measured by '{task.Metric}', expected {NearestName.List([.. _tasks[task.Task].Description.Metrics])}");
        Folder = Directory.CreateDirectory(Path.Combine(home.Runs, $"{_recipe.Name}-{scale.Name}")).FullName;
    }

    /// <summary>Of the study.</summary>
    public string Folder { get; }

    public int NumThreads { get; init; } = 1;

    /// <summary>Told what is done.</summary>
    public Action<string>? Say { get; init; }

    /// <summary>Told of every step of training, with the run's name.</summary>
    public Action<string, Training.TrainingProgress>? Progress { get; init; }

    /// <summary>Told of the table as it grows.</summary>
    public Action<UnifiedResult>? Found { get; init; }

    /// <summary>Trains and asks what is not there yet.</summary>
    /// <exception cref="FlywheelException">Data is missing, or an arm cannot be trained.</exception>
    public async Task<UnifiedResult> RunAsync(CancellationToken cancellation)
    {
        (Tokenizer tokenizer, IReadOnlyList<UnifiedPortion> portions) = Prepare();
        var runner = new RecipeRunner(_home) { NumThreads = NumThreads, Progress = Progress };
        Dictionary<string, TaskItem[]> items = _tasks.ToDictionary(task => task.Key,
            task => TaskExam.Chosen(TaskItems.HeldOut(task.Value, _home), _scale.Items));
        var result = new UnifiedResult(_recipe, _scale, portions, [.. items.Select(pair => (pair.Key, pair.Value))]);
        foreach (UnifiedTask task in _recipe.Tasks)
            if (await AnswersAsync(result, UnifiedArm.Classical, task.Task, 0, "",
                () => Task.FromResult(Classical(task.Task, items[task.Task]))) is { } said)
                result.Add(UnifiedArm.Classical, task.Task, 0, said, 0, 0);
        for (int seed = 1; seed <= _scale.Seeds; seed++)
        {
            await TrainAsync(UnifiedArm.One, _recipe.Tasks, _scale.Parameters, seed);
            foreach (UnifiedTask task in _recipe.Tasks) await TrainAsync(UnifiedArm.Specialist, [task], _scale.Parameters, seed);
            foreach (UnifiedTask task in _recipe.Tasks)
                await TrainAsync(UnifiedArm.SmallSpecialist, [task], _scale.Parameters / _recipe.Tasks.Count, seed);
        }
        return result;

        async Task TrainAsync(UnifiedArm arm, IReadOnlyList<UnifiedTask> tasks, double parameters, int seed)
        {
            Recipe recipe = RecipeOf(arm, tasks, parameters, seed, tokenizer, portions);
            Say?.Invoke($"{recipe.Name}, seed {seed}");
            FinishedRun run = runner.Run(recipe, _recipes, cancellation);
            ModelFolder model = run.Whole(_home.Models);
            foreach (UnifiedTask task in tasks)
                if (await AnswersAsync(result, arm, task.Task, seed, model.Hash,
                    async () =>
                        await TaskExam.AnswerAsync(_tasks[task.Task], model, items[task.Task], new EngineOptions { Threads = NumThreads },
                            null, cancellation)) is { } said)
                    result.Add(arm, task.Task, seed, said, model.Config.NumParameters,
                        Training.TrainingResult.Read(run.RunFolder)!.Seconds);
            result.Write(Folder);
            Found?.Invoke(result);
        }
    }

    /// <summary>What an arm trains by: a recipe like any other, which could be run alone.</summary>
    internal Recipe RecipeOf(UnifiedArm arm, IReadOnlyList<UnifiedTask> tasks, double parameters, int seed, Tokenizer tokenizer,
        IReadOnlyList<UnifiedPortion> portions)
    {
        ModelConfig shape = ModelShape.For(parameters, _recipe.Context, tokenizer.VocabSize);
        string name =
            $"{_recipe.Name}-{_scale.Name}-{arm switch { UnifiedArm.One => "one", UnifiedArm.Specialist => "specialist", _ => "small" }}{(tasks.Count == 1 ? $"-{tasks[0].Task}" : "")}";
        return new Recipe
        {
            Name = name,
            Seed = seed,
            IntendedUse = "One arm of the experiment on one model for many tasks (docs/unified.md).",
            Tokenizer = _recipe.Tokenizer with { File = Path.Combine(Folder, "tokenizer.json") },
            Model = new ShapeRecipe
            {
                Hidden = shape.HiddenSize,
                Intermediate = shape.IntermediateSize,
                Layers = shape.NumLayers,
                Heads = shape.NumHeads,
                KvHeads = shape.NumKvHeads,
                HeadDim = shape.HeadDim,
                Context = _recipe.Context,
            },
            Data = [.. tasks.Select(task =>
            {
                UnifiedPortion portion = portions.First(one => one.Task == task.Task);
                return new SourceRecipe { Source = "task", Path = Path.GetRelativePath(_recipes, _tasks[task.Task].Path),
                    Share = portion.Share < 1 ? portion.Share : null, Repeat = portion.Repeat };
            })],
            Train = _recipe.Train,
        };
    }

    /// <summary>The vocabulary of all tasks (a task that the recipe got later takes the one that is there), and the part of each task's
    /// items that has the wanted tokens in it.</summary>
    private (Tokenizer, IReadOnlyList<UnifiedPortion>) Prepare()
    {
        string vocabulary = Path.Combine(Folder, "tokenizer.json"), file = Path.Combine(Folder, "portions.json");
        UnifiedPortion[] kept = File.Exists(vocabulary) && File.Exists(file)
            ? JsonSerializer.Deserialize<UnifiedPortion[]>(Utf8File.ReadText(file), JsonText.Compact) ?? [] : [];
        UnifiedTask[] missing = [.. _recipe.Tasks.Where(task => kept.All(portion => portion.Task != task.Task))];
        if (missing.Length == 0) return (Tokenizer.Load(vocabulary), kept);
        Say?.Invoke($"reading the data of {string.Join(", ", missing.Select(task => task.Task))}");
        Dictionary<string, SourceItem[]> items =
            missing.ToDictionary(task => task.Task, task => (SourceItem[])[.. TaskItems.Conversations(_tasks[task.Task], seed: 1, _home)
            .Where(item => item.Split == Data.Split.Train).OrderBy(item => StableHash.ShareOf(item.Id))]);
        Tokenizer tokenizer = File.Exists(vocabulary)
            ? Tokenizer.Load(vocabulary) : Tokenizer.Train(
                items.Values.SelectMany(list => list.Take(TextsOfVocabulary)).SelectMany(item => item.Examples)
                    .SelectMany(example => example.Texts),
            _recipe.Tokenizer.Vocab, [.. _recipe.Tokenizer.Reserve.SelectMany(name => ReservedTokens.Groups[name])]);
        if (!File.Exists(vocabulary)) tokenizer.Save(vocabulary);
        UnifiedPortion[] portions = [.. kept,
            .. items.Select(pair => Portion(pair.Key, pair.Value, new ChatTemplate(tokenizer), _scale.Tokens, _recipe.Context))];
        AtomicFile.WriteText(file, JsonSerializer.Serialize(portions, JsonText.Indented) + "\n");
        return (tokenizer, portions);
    }

    /// <summary>The smallest share, with the fewest repetitions, whose documents have so many tokens.</summary>
    /// <param name="task">Its name.</param>
    /// <param name="items">Ascending by <see cref="StableHash.ShareOf"/>.</param>
    /// <param name="template">Of the vocabulary.</param>
    /// <param name="wanted">Tokens.</param>
    /// <param name="context">Longer documents are left out of training, so they do not count.</param>
    internal static UnifiedPortion Portion(string task, IReadOnlyList<SourceItem> items, ChatTemplate template, long wanted, int context)
    {
        int[] lengths =
            [.. items.Select(item =>
                item.Examples.OfType<ConversationExample>()
                    .Sum(example => template.Document(example.Conversation).Tokens.Length is var length && length <= context
                        ? length : 0))];
        long all = lengths.Sum(length => (long)length);
        if (all == 0) throw new FlywheelException($"the task '{task}' has no training documents of at most {context} tokens");
        int repeat = (int)Math.Max(1, (wanted + all - 1) / all);
        long tokens = 0;
        int count = 0;
        while (count < items.Count && tokens * repeat < wanted) tokens += lengths[count++];
        return new UnifiedPortion(task, count < items.Count ? StableHash.ShareOf(items[count].Id) : 1, repeat, tokens * repeat, count);
    }

    /// <summary>What an arm says to a task's items: from the file that it left, or anew.</summary>
    private async Task<IReadOnlyList<string>?> AnswersAsync(UnifiedResult result, UnifiedArm arm, string task, int seed, string model,
        Func<Task<IReadOnlyList<string>?>> ask)
    {
        string file = Path.Combine(Directory.CreateDirectory(Path.Combine(Folder, "answers")).FullName,
            $"{arm.ToString().ToLowerInvariant()}-{task}{(seed > 0 ? $"-{seed}" : "")}.json");
        IReadOnlyList<string> ids = result.ItemsOf(task);
        if (File.Exists(file) && JsonSerializer.Deserialize<Answers>(Utf8File.ReadText(file), JsonText.Compact) is { } kept
            && kept.Model == model && kept.Items.SequenceEqual(ids)) return kept.Outputs;
        if (await ask() is not { } said) return null;
        AtomicFile.WriteText(file, JsonSerializer.Serialize(new Answers(model, ids, said), JsonText.Indented) + "\n");
        return said;
    }

    private sealed record Answers(string Model, IReadOnlyList<string> Items, IReadOnlyList<string> Outputs);

    /// <summary>Null where the task names none, or its program is not on this machine.</summary>
    private IReadOnlyList<string>? Classical(string task, TaskItem[] items)
    {
        if (_tasks[task].Description.Baseline is null) return null;
        Say?.Invoke($"the baseline of {task}");
        try
        {
            return TaskExam.Baseline(_tasks[task], items, _home);
        }
        catch (FlywheelException e) when (e.InnerException is System.ComponentModel.Win32Exception)
        {
            Say?.Invoke(e.Message);
            return null;
        }
    }
}
