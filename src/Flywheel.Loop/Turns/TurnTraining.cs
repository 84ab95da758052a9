using Flywheel.Loop.Runs;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>The training passes of a turn, each a run of its own, one after another from the champion.</summary>
internal sealed class TurnTraining(FlywheelHome home, TurnProgress progress, TimeProvider time)
{
    /// <summary>Threads that new runs train with; results may depend on them.</summary>
    public int NumThreads { get; init; } = Math.Max(1, Environment.ProcessorCount);

    /// <param name="number">Of the turn.</param>
    /// <param name="dataset">Hash of what it curated.</param>
    /// <param name="champion">From which it starts.</param>
    /// <param name="recipe">Its passes.</param>
    /// <param name="made">Told of each pass that is done: its run, from which model, and what came of it.</param>
    /// <param name="cancellation">Stops after a checkpoint; the same call goes on from there.</param>
    /// <returns>The candidate; the champion itself where no pass had anything to learn.</returns>
    public async Task<ModelFolder> RunAsync(int number, string dataset, ModelFolder champion, TurnRecipe recipe,
        Func<string, string, ModelFolder, Task> made, CancellationToken cancellation)
    {
        string folder = Path.Combine(home.Datasets, CuratedDataset.FolderName(dataset));
        ModelFolder model = champion;
        foreach (StageRecipe stage in recipe.Stages)
        {
            ExampleKind kind = KindOf(stage);
            string examples = Path.Combine(folder, kind.ToString().ToLowerInvariant());
            if (new FileInfo(Path.Combine(examples, "train.jsonl")) is not { Exists: true, Length: > 0 })
            {
                progress.Say($"No {kind.ToString().ToLowerInvariant()} examples: that pass is left out.");
                continue;
            }
            var pass = new Recipe
            {
                Name = $"turn-{number:0000}-{stage.Train.Objective}",
                Base = model.Path,
                Seed = recipe.Seed,
                Data = [new SourceRecipe { Source = "dataset", Path = examples }, .. ReplayOf(kind, folder), .. stage.Data],
                Train = stage.Train,
            };
            progress.Say($"Training: {stage.Train.Objective}.");
            var runner = new RecipeRunner(home) { Progress = progress.Trained, Time = time, NumThreads = NumThreads };
            string from = model.Hash;
            FinishedRun run = await Task.Run(() => runner.Run(pass, folder, cancellation), cancellation);
            model = run.Whole(home.Models);
            await made(Path.GetFileName(run.RunFolder), from, model);
        }
        return model;
    }

    /// <summary>A pass that learns texts learns old ones again.</summary>
    private static IEnumerable<SourceRecipe> ReplayOf(ExampleKind kind, string dataset)
    {
        string folder = Path.Combine(dataset, Replay.FolderName);
        return kind == ExampleKind.Supervised && Directory.Exists(folder) ? [new SourceRecipe { Source = "dataset", Path = folder }] : [];
    }

    /// <summary>Which examples an objective learns from.</summary>
    public static ExampleKind KindOf(StageRecipe stage)
    {
        DocumentForm form = Objective.Named(stage.Train.Objective).Form;
        return form == DocumentForm.Pairs ? ExampleKind.Preference
            : form == DocumentForm.Judged ? ExampleKind.Judged
            : form == DocumentForm.Sampled ? ExampleKind.Sampled
            : ExampleKind.Supervised;
    }
}
