using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Games;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>Asks the served model about a task's fields, for the API and the page alike; what it answers is recorded like
/// everything.</summary>
internal sealed class TaskDesk(Generator generator, FlywheelStore store)
{
    public TaskCatalog Catalog { get; } = new(store.Home);

    /// <summary>Begins an answer.</summary>
    /// <param name="task">The task.</param>
    /// <param name="values">Checked.</param>
    /// <param name="unit">Who asks, where a rollout may choose the model: empty when nobody says; null where the model that serves is
    /// meant.</param>
    /// <param name="change">What the request wants otherwise.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The model cannot be asked this.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public GenerationGroup Start(TaskFolder task, IReadOnlyDictionary<string, string> values,
        string? unit, Func<ServedModel, GenerationOrder, GenerationOrder> change, CancellationToken cancellation) =>
        generator.Start(model =>
        {
            TaskAsk ask = TaskAsk.For(task, values, model.FolderHere, model.Defaults);
            return change(model, new GenerationOrder
            {
                Conversation = ask.Conversation,
                Prompts = [ask.Prompt],
                MaxTokens = ask.MaxTokens,
                Sampler = ask.Sampler with { Seed = generator.DrawSeed() },
                App = Generation.TaskApp + task.Name,
                Adapter = model.OwnHere?.Adapter,
            });
        }, cancellation, unit, (champion, candidate) => FitsBoth(task, champion, candidate));

    /// <summary>Whether a question means the same to two models: both have its tokens, and see the same in the symbols of a
    /// picture.</summary>
    private static bool FitsBoth(TaskFolder task, ModelFolder champion, ModelFolder candidate) =>
        TaskAsk.Fault(task, champion) is null && TaskAsk.Fault(task, candidate) is null
        && (task.Description.Fields.All(field => field.WidgetOrDefault != TaskField.Picture)
            || PictureCodec.Of(champion)?.Hash == PictureCodec.Of(candidate)?.Hash);

    /// <summary>Why the served model cannot do the task's page; null when it can. A board shows what the model expects, too.</summary>
    public static string? FaultOf(TaskFolder task, ModelFolder model) =>
        TaskAsk.Fault(task, model) ?? (task.Description.Game is null ? null : GameAdvice.Fault(task, model));

    /// <summary>Models of this home that were trained for the task and can be asked.</summary>
    public IReadOnlyList<CatalogEntry> ModelsFor(TaskFolder task) =>
        [.. new ModelCatalog(store.Home).List()
            .Where(entry => !entry.IsAdapter && entry.Manifest.Tasks?.Contains(task.Name) == true && IsAble(entry, task))];

    /// <summary>
    /// Commands that make a model for the task from nothing, by a recipe that comes with the program; none where there is no such recipe. A
    /// game
    /// has a home of its own, whose champion it becomes.
    /// </summary>
    public static IReadOnlyList<string> CommandsFor(TaskFolder task)
    {
        if (TaskCatalog.Shipped is not { } tasks) return [];
        string recipes = Path.Combine(Path.GetDirectoryName(tasks)!, "recipes");
        if (task.Description.Game is not null)
            return !File.Exists(Path.Combine(recipes, $"{task.Name}.yaml")) ? []
                : [$"export FLYWHEEL_HOME=~/flywheel-{task.Name}", $"./flywheel play --task {task.Name} --turns 3",
                    "./flywheel up --port 5006"];
        return Directory.EnumerateFiles(recipes, "*.yaml").Order(StringComparer.Ordinal).FirstOrDefault(Makes) is { } found
            ? [$"./flywheel train recipes/{Path.GetFileName(found)}"] : [];

        bool Makes(string file)
        {
            try
            {
                Recipe recipe = RecipeFile.Load(file);
                return recipe.Base is null && recipe.Train.Objective == Supervised.Id
                    && TaskCatalog.Of(recipe, recipes).Contains(task.Name);
            }
            catch (FlywheelException)
            {
                return false; // of a turn, of play: a recipe of another kind
            }
        }
    }

    private static bool IsAble(CatalogEntry entry, TaskFolder task)
    {
        try
        {
            return FaultOf(task, ModelFolder.Open(entry.Path)) is null;
        }
        catch (FlywheelException)
        {
            return false; // no whole model; the Console says so
        }
    }

    /// <summary>How a game's champions became better, turn by turn.</summary>
    public GameCurve CurveOf(TaskFolder task) => GameCurve.Read(store.Home, task.Name);

    /// <summary>What was measured of the served model; null when nothing was.</summary>
    public TaskEvaluation? EvaluationOf(TaskFolder task, ServedModel model) => TaskEvaluation.Read(store.Home, task.Name, model.Hash);
}
