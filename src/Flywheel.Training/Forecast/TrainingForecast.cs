using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>What a run will take on this machine, found by <see cref="TrainingPilot"/>.</summary>
public sealed record TrainingForecast
{
    public required int Steps { get; init; }

    /// <summary>Input tokens of all steps.</summary>
    public required long Tokens { get; init; }

    /// <summary>Of steps alone, over all ranks.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Loading, reference, steps, evaluations and the stops for checkpoints.</summary>
    public required double Seconds { get; init; }

    /// <summary>Most memory that a process holds; of several ranks, the one with most.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>Of it, what the process held before it began: the program itself.</summary>
    public long ProgramBytes { get; init; }

    public int NumRanks { get; init; } = 1;

    /// <summary>
    /// The same for a run in this process, which may hold more or less than the pilot's did before it began.
    /// </summary>
    public TrainingForecast Here()
    {
        long here = ProcessMemory.Resident;
        return this with { MemoryBytes = MemoryBytes - ProgramBytes + here, ProgramBytes = here };
    }
}

/// <summary>How much a run has to do, read from its data.</summary>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="Tokens">Their input tokens, from some of them.</param>
/// <param name="ForwardTokens">Tokens of evaluations, and of the reference where the objective needs one.</param>
public readonly record struct TrainingWork(int Steps, long Tokens, long ForwardTokens)
{
    private const int MostLooked = 64;

    public static TrainingWork Of(TrainingJob job)
    {
        using TokenDataset train = TokenDataset.Open(job.TrainData);
        using TokenDataset? validation = job.ValidationData is { } path ? TokenDataset.Open(path) : null;
        TrainRecipe recipe = job.Recipe.Train;
        return Of(recipe, new DataOrder(train, recipe, job.Recipe.Seed, (job.Base?.Config ?? job.Config!).MaxPositions), train, validation);
    }

    internal static TrainingWork Of(TrainRecipe recipe, DataOrder order, TokenDataset train, TokenDataset? validation)
    {
        int numLooked = Math.Min(MostLooked, order.NumSteps);
        double each = Enumerable.Range(0, numLooked)
            .Average(i => (double)Trainer.NumInputs(order.Step((int)((long)i * order.NumSteps / numLooked))));
        long forward = 0, held = validation?.Manifest.NumTokens ?? 0;
        if (validation is not null)
            forward += held + (order.NumSteps - 1) / recipe.EvaluateEvery * Math.Min(held, TrainingRun.EvaluationTokens);
        if (Objective.Named(recipe.Objective).NeedsReference) forward += train.Manifest.NumTokens + held;
        return new TrainingWork(order.NumSteps, (long)(each * order.NumSteps), forward);
    }
}
