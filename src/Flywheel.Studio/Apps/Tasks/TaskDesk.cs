using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Games;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>Asks the served model about a task's fields, for the API and the page alike; what it answers is recorded like everything.</summary>
internal sealed class TaskDesk(Generator generator, FlywheelStore store)
{
    public TaskCatalog Catalog { get; } = new(store.Home);

    /// <summary>Begins an answer.</summary>
    /// <param name="task">The task.</param>
    /// <param name="values">Checked.</param>
    /// <param name="change">What the request wants otherwise.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The model cannot be asked this.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public GenerationGroup Start(TaskFolder task, IReadOnlyDictionary<string, string> values, Func<ServedModel, GenerationOrder, GenerationOrder> change, CancellationToken cancellation) =>
        generator.Start(model =>
        {
            TaskAsk ask = TaskAsk.For(task, values, model.Folder, model.Defaults);
            return change(model, new GenerationOrder
            {
                Conversation = ask.Conversation,
                Prompts = [ask.Prompt],
                MaxTokens = ask.MaxTokens,
                Sampler = ask.Sampler with { Seed = generator.DrawSeed() },
                App = Generation.TaskApp + task.Name,
            });
        }, cancellation);

    /// <summary>How a game's champions became better, turn by turn.</summary>
    public GameCurve CurveOf(TaskFolder task) => GameCurve.Read(store.Home, task.Name);

    /// <summary>What was measured of the served model; null when nothing was.</summary>
    public TaskEvaluation? EvaluationOf(TaskFolder task, ServedModel model) => TaskEvaluation.Read(store.Home, task.Name, model.Hash);
}
