using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Everything that one run needs; the same job in the same folder resumes where it stopped.</summary>
public sealed record TrainingJob
{
    public required Recipe Recipe { get; init; }

    /// <summary>Takes log, checkpoints, curve and result; created when missing.</summary>
    public required string RunFolder { get; init; }

    /// <summary>What to start from; null starts from random weights of <see cref="Config"/>.</summary>
    public ModelFolder? Base { get; init; }

    /// <summary>Shape and tokenizer of a model from random weights.</summary>
    public ModelConfig? Config { get; init; }

    public Tokenizer? Tokenizer { get; init; }

    /// <summary>Folder of a tokenised dataset.</summary>
    public required string TrainData { get; init; }

    public string? ValidationData { get; init; }

    /// <summary>The file of the codec that made its pictures tokens, which goes with the model; null keeps the base's.</summary>
    public string? Codec { get; init; }

    /// <summary>Tasks whose data it learns from, for the model's manifest.</summary>
    public IReadOnlyList<string> Tasks { get; init; } = [];

    /// <summary>Words that its texts teach beside those of a task's list, for the model's manifest.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>The finished model appears here.</summary>
    public required string ModelsFolder { get; init; }

    /// <summary>Threads of a new run; a resumed run keeps its own, since results depend on them.</summary>
    public int NumThreads { get; init; } = Math.Max(1, Environment.ProcessorCount);

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>What a run tells while it goes.</summary>
/// <param name="Line">The newest line of the log.</param>
/// <param name="NumSteps">Optimiser steps in all.</param>
/// <param name="Remaining">Expected time to the end.</param>
/// <param name="Note">Something to say in words, such as a damaged checkpoint.</param>
public sealed record TrainingProgress(LogLine? Line, int NumSteps, TimeSpan? Remaining, string? Note = null);

/// <summary>How a finished run ended; result.json in its folder.</summary>
public sealed record TrainingResult
{
    public required string Model { get; init; }

    public required string ModelPath { get; init; }

    public required int Steps { get; init; }

    public required long Tokens { get; init; }

    /// <summary>From loading to the last evaluation, over all restarts.</summary>
    public required double Seconds { get; init; }

    /// <summary>Most resident memory of a process (of several ranks: the one with most) since the last start; null in older runs.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>Of the last step.</summary>
    public required double Loss { get; init; }

    public double? ValidationLoss { get; init; }

    public double? ValidationAccuracy { get; init; }

    /// <summary>The result of a finished run, or null.</summary>
    public static TrainingResult? Read(string runFolder)
    {
        string path = Path.Combine(runFolder, "result.json");
        return File.Exists(path) ? JsonSerializer.Deserialize<TrainingResult>(File.ReadAllText(path), JsonText.Compact) : null;
    }
}

/// <summary>What decides a run's bits; run.json in its folder. A folder with another identity is refused.</summary>
public sealed record RunIdentity
{
    public string? Base { get; init; }

    public required string Tokenizer { get; init; }

    public required string Dataset { get; init; }

    public required string Recipe { get; init; }

    public required int NumThreads { get; init; }

    public static RunIdentity? Read(string runFolder)
    {
        string path = Path.Combine(runFolder, "run.json");
        return File.Exists(path) ? JsonSerializer.Deserialize<RunIdentity>(File.ReadAllText(path), JsonText.Compact) : null;
    }
}
