using System.Text.Json.Nodes;
using Flywheel.Loop.Jobs;
using Flywheel.Model;

namespace Flywheel.Studio.OpenAI;

/// <summary>What a fine-tuning job was asked for, as its row keeps it.</summary>
internal sealed record FineTuneInput
{
    public const string Supervised = Flywheel.Model.Supervised.Id, Dpo = "dpo";

    /// <summary>As the request named it.</summary>
    public required string Model { get; init; }

    /// <summary>Content hash of that model.</summary>
    public required string Base { get; init; }

    /// <summary>Name of the adapter that comes of it.</summary>
    public required string Name { get; init; }

    public string? Suffix { get; init; }

    public required string TrainingFile { get; init; }

    public string? ValidationFile { get; init; }

    /// <summary><see cref="Supervised"/> or <see cref="Dpo"/>.</summary>
    public required string Method { get; init; }

    /// <summary>Passes over the data; null is found out from it.</summary>
    public int? Epochs { get; init; }

    /// <summary>Examples in a step; null is found out from the data.</summary>
    public int? BatchSize { get; init; }

    /// <summary>Of the learning rate that the method has by itself; null is 1.</summary>
    public double? LearningRateMultiplier { get; init; }

    /// <summary>DPO's; null is 0.1.</summary>
    public double? Beta { get; init; }

    public required int Seed { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

/// <summary>What a fine-tuning job has found out so far; its checkpoint, and at its end its result.</summary>
internal sealed record FineTuneState
{
    public int? Epochs { get; init; }

    public int? BatchSize { get; init; }

    public double? LearningRateMultiplier { get; init; }

    /// <summary>Content hash of the adapter.</summary>
    public string? Adapter { get; init; }

    public long? TrainedTokens { get; init; }

    public int? Steps { get; init; }

    public double? Loss { get; init; }

    public double? ValidationLoss { get; init; }

    public string? ResultFile { get; init; }

    /// <summary>The field whose file is to blame for a failure.</summary>
    public string? FaultIn { get; init; }
}
