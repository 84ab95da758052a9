namespace Flywheel.Model;

/// <summary>
/// A file that says what to train: base, data, objective, shape, schedule, budget, seed. Read by
/// <see cref="RecipeFile"/> from YAML, saved with every run that it made. Every field has one meaning and, where it can,
/// a default.
/// </summary>
public sealed record Recipe
{
    public required string Name { get; init; }

    /// <summary>
    /// What the run starts from: nothing (random weights), a model folder, a model hash, or another recipe's path,
    /// which is then run first.
    /// </summary>
    public string? Base { get; init; }

    public int Seed { get; init; } = 1;

    /// <summary>Only without a base: the vocabulary is learnt from the recipe's own data.</summary>
    public TokenizerRecipe? Tokenizer { get; init; }

    /// <summary>Only without a base.</summary>
    public ShapeRecipe? Model { get; init; }

    /// <summary>Sources and their share.</summary>
    public IReadOnlyList<SourceRecipe> Data { get; init; } = [];

    public required TrainRecipe Train { get; init; }
}

public sealed record TokenizerRecipe
{
    /// <summary>Ids in all: special tokens, 256 bytes and merges.</summary>
    public required int Vocab { get; init; }
}

/// <summary>The model's shape in the Qwen3 layout; see <see cref="ModelConfig"/> for the meaning of each size.</summary>
public sealed record ShapeRecipe
{
    public required int Hidden { get; init; }

    public required int Intermediate { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KvHeads { get; init; }

    public required int HeadDim { get; init; }

    /// <summary>Longest document in tokens; longer ones are split (pretraining) or dropped (fine-tuning).</summary>
    public required int Context { get; init; }

    public float RopeTheta { get; init; } = 10_000f;

    public bool TieEmbeddings { get; init; } = true;
}

/// <summary>One source of data.</summary>
public sealed record SourceRecipe
{
    /// <summary>
    /// <c>appstream</c> (application metadata of a Debian release), <c>packages</c> (package descriptions),
    /// <c>jsonl</c> (conversations or preference pairs), <c>text</c> (files or folders of plain text), <c>dataset</c>
    /// (a dataset that a turn curated).
    /// </summary>
    public required string Source { get; init; }

    /// <summary>File or folder, for jsonl, text and dataset; relative to the recipe.</summary>
    public string? Path { get; init; }

    /// <summary><c>text</c>: documents to continue; <c>copy</c>: copywriting briefs with the text as the answer.</summary>
    public string As { get; init; } = "text";

    /// <summary>For packages: only those with this debtag, such as <c>role::program</c>.</summary>
    public string? Tag { get; init; }

    /// <summary>Times that the source is seen in one epoch; as copy, each time with other facts in the brief.</summary>
    public int Repeat { get; init; } = 1;

    /// <summary>Keep at most so many items; 0 keeps all.</summary>
    public int Limit { get; init; }
}

/// <summary>How to train.</summary>
public sealed record TrainRecipe
{
    /// <summary><c>next-token</c>, <c>supervised</c> (loss on the assistant's tokens) or <c>preference</c> (DPO).</summary>
    public required string Objective { get; init; }

    /// <summary>Passes over the data; give this or <see cref="Steps"/>.</summary>
    public double Epochs { get; init; }

    /// <summary>Optimiser steps.</summary>
    public int Steps { get; init; }

    /// <summary>Tokens in one optimiser step, over all micro-batches.</summary>
    public int BatchTokens { get; init; } = 8192;

    /// <summary>Tokens that go through the model at once.</summary>
    public int MicroTokens { get; init; } = 2048;

    /// <summary>Peak learning rate of AdamW.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Share of steps that warm up linearly.</summary>
    public double Warmup { get; init; } = 0.02;

    /// <summary>Share of steps at the end that decay linearly to <see cref="FinalRate"/> times the peak.</summary>
    public double Warmdown { get; init; } = 0.6;

    public double FinalRate { get; init; } = 0.05;

    public double WeightDecay { get; init; } = 0.1;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.95;

    /// <summary>Largest norm of the gradient; 0 leaves it.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>DPO's beta: how dearly moving away from the reference is paid (Rafailov 2023, arXiv 2305.18290).</summary>
    public double DpoBeta { get; init; } = 0.1;

    /// <summary>Weight of the supervised loss on the preferred answer, added to DPO's.</summary>
    public double DpoSupervised { get; init; }

    /// <summary>Seconds between checkpoints.</summary>
    public double CheckpointSeconds { get; init; } = 60;

    /// <summary>Optimiser steps between evaluations on the validation split.</summary>
    public int EvaluateEvery { get; init; } = 100;

    /// <summary>Type of the finished model's weights: <c>float32</c> or <c>bfloat16</c>.</summary>
    public string Save { get; init; } = "float32";
}
