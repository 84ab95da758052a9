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
    /// What the run starts from: nothing (random weights), another recipe's path, which is then run first, or a model as
    /// <see cref="ModelCatalog"/> names it.
    /// </summary>
    public string? Base { get; init; }

    /// <summary>What the model is for: for its card.</summary>
    public string? IntendedUse { get; init; }

    /// <summary>Licence of the weights, for the card; the base's when it is not given.</summary>
    public string? Licence { get; init; }

    public int Seed { get; init; } = 1;

    /// <summary>Only without a base: the vocabulary is learnt from the recipe's own data.</summary>
    public TokenizerRecipe? Tokenizer { get; init; }

    /// <summary>Only without a base.</summary>
    public ShapeRecipe? Model { get; init; }

    /// <summary>Sources and their share.</summary>
    public IReadOnlyList<SourceRecipe> Data { get; init; } = [];

    public required TrainRecipe Train { get; init; }

    /// <summary>What decides the weights: the recipe without what its card says.</summary>
    public Recipe WithoutCard() => this with { IntendedUse = null, Licence = null };

    /// <exception cref="FlywheelException">A value is out of range or fields contradict each other; the field is named.</exception>
    public void Validate(string source) => Validate(_ => source);

    /// <param name="where">Names the place of a field, such as file and line.</param>
    internal void Validate(Func<string, string> where)
    {
        var check = new RecipeCheck(where);
        check.That(Name.Length > 0 && Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && Name[0] != '.', "name", Name,
            "letters, digits, '-', '_' and '.', as it names a folder");
        if (Base is null)
        {
            check.State(Tokenizer is not null, "tokenizer", "missing", "one, because there is no base");
            check.State(Model is not null, "model", "missing", "one, because there is no base");
            check.State(!Objective.All.Any(objective => objective.Name == Train.Objective && objective.NeedsBase), "base", "missing",
                $"one, because objective '{Train.Objective}' starts from a model");
            check.State(Train.Lora is null, "base", "missing", "one, because train.lora adapts a model");
        }
        else
        {
            check.That(Base.Length > 0, "base", Base, "a recipe, or a model's folder, name or hash");
            check.State(Tokenizer is null, "tokenizer", "given", "none, because the base has one");
            check.State(Model is null, "model", "given", "none, because the base has its shape");
        }
        check.State(Data.Count > 0, "data", "empty", "at least one source");
        for (int i = 0; i < Data.Count; i++) Data[i].Validate(check, $"data[{i}]");
        Tokenizer?.Validate(check);
        Model?.Validate(check);
        Train.Validate(check);
    }
}

/// <summary>Says what is wrong with a recipe, and where.</summary>
/// <param name="where">Names the place of a field, such as file and line.</param>
internal sealed class RecipeCheck(Func<string, string> where)
{
    public void That(bool holds, string field, object value, string expected) =>
        State(holds, field, value is string text ? $"'{text}'" : $"{value}", expected);

    /// <summary>For what has no value to show: a field that is missing, given or empty.</summary>
    public void State(bool holds, string field, string state, string expected)
    {
        if (!holds) throw new FlywheelException($"{where(field)}: field '{field}' is {state}, expected {expected}");
    }

    public void OneOf(string field, string value, IReadOnlyCollection<string> valid) =>
        That(valid.Contains(value), field, value, NearestName.List(valid));

    public void AtLeast(int least, string field, int value) => That(value >= least, field, value, $"at least {least}");

    /// <summary>A share, from 0 to 1.</summary>
    public void Share(string field, double value) => That(value is >= 0 and <= 1, field, value, "a number from 0 to 1");

    public void Positive(string field, double value) => That(value > 0 && double.IsFinite(value), field, value, "a number above 0");

    public void NotNegative(string field, double value) => That(value >= 0 && double.IsFinite(value), field, value, "0 or a number above");
}

public sealed record TokenizerRecipe
{
    /// <summary>Ids of text: special tokens, 256 bytes and merges.</summary>
    public required int Vocab { get; init; }

    /// <summary>Ids that follow, set aside for what is not text: names of <see cref="ReservedTokens.Groups"/>.</summary>
    public IReadOnlyList<string> Reserve { get; init; } = [];

    /// <summary>A tokenizer.json to take as it is, so that several models have one vocabulary; null learns one.</summary>
    public string? File { get; init; }

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(Flywheel.Model.Tokenizer.MinVocabSize, "tokenizer.vocab", Vocab);
        for (int i = 0; i < Reserve.Count; i++)
        {
            check.OneOf($"tokenizer.reserve[{i}]", Reserve[i], [.. ReservedTokens.Groups.Keys]);
            check.That(!Reserve.Take(i).Contains(Reserve[i]), $"tokenizer.reserve[{i}]", Reserve[i], "each name once");
        }
    }
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

    /// <param name="vocab">Ids of the tokenizer.</param>
    public ModelConfig ToConfig(int vocab) => new()
    {
        HiddenSize = Hidden,
        IntermediateSize = Intermediate,
        NumLayers = Layers,
        NumHeads = Heads,
        NumKvHeads = KvHeads,
        HeadDim = HeadDim,
        VocabSize = vocab,
        MaxPositions = Context,
        RopeTheta = RopeTheta,
        TieEmbeddings = TieEmbeddings,
    };

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(1, "model.hidden", Hidden);
        check.AtLeast(1, "model.intermediate", Intermediate);
        check.AtLeast(1, "model.layers", Layers);
        check.AtLeast(1, "model.kv_heads", KvHeads);
        check.AtLeast(1, "model.heads", Heads);
        check.That(Heads % KvHeads == 0, "model.heads", Heads, $"a multiple of kv_heads {KvHeads}");
        check.That(HeadDim > 0 && HeadDim % 2 == 0, "model.head_dim", HeadDim, "an even number above 0");
        check.AtLeast(2, "model.context", Context);
        check.Positive("model.rope_theta", RopeTheta);
    }
}

/// <summary>One source of data.</summary>
public sealed record SourceRecipe
{
    /// <summary>
    /// <c>appstream</c> (application metadata of a Debian release), <c>packages</c> (package descriptions),
    /// <c>jsonl</c> (conversations or preference pairs), <c>text</c> (files or folders of plain text), <c>dataset</c>
    /// (a folder that a turn curated: train.jsonl and heldout.jsonl), <c>grammar</c> (copy composed from a grammar's sentences),
    /// <c>task</c> (the folder of a task, by its task.yaml),
    /// <c>schema-guided-dialogue</c>, <c>rnnlg</c>, <c>inside-airbnb</c>, <c>persona-chat</c>, <c>masc</c> (named data sets; docs/data.md).
    /// </summary>
    public required string Source { get; init; }

    /// <summary>File or folder, for jsonl, text, dataset, grammar and task; relative to the recipe.</summary>
    public string? Path { get; init; }

    /// <summary><c>text</c>: documents to continue; <c>copy</c>: copywriting briefs with the text as the answer; <c>chat</c>:
    /// conversations.</summary>
    public string As { get; init; } = "text";

    /// <summary>For packages: only those with this debtag, such as <c>role::program</c>.</summary>
    public string? Tag { get; init; }

    /// <summary>Times that the source is seen in one epoch; as copy, each time with other facts in the brief.</summary>
    public int Repeat { get; init; } = 1;

    /// <summary>Keep at most so many items; 0 keeps all.</summary>
    public int Limit { get; init; }

    /// <summary>Keep this share of the items, chosen by their ids and not by their order; null keeps all.</summary>
    public double? Share { get; init; }

    /// <summary>Of a grammar: false leaves its word lists as they are; else they are lengthened from the corpora archive, which must be
    /// there.</summary>
    public bool? Corpora { get; init; }

    /// <summary>Texts that share this share of their five-word stretches with an earlier one are dropped; null keeps all that are not
    /// equal.</summary>
    public double? NearDuplicates { get; init; }

    /// <summary>What each source can be read as.</summary>
    private static readonly Dictionary<string, string[]> Forms = new()
    {
        ["appstream"] = ["text", "copy"], ["packages"] = ["text", "copy"], ["jsonl"] = ["text", "copy"], ["text"] = ["text", "copy"],
        ["dataset"] = ["text", "copy"], ["grammar"] = ["copy"],
        ["schema-guided-dialogue"] = ["copy", "chat"], ["rnnlg"] = ["copy"], ["inside-airbnb"] = ["text", "copy"],
        ["persona-chat"] = ["chat"], ["masc"] = ["text"], ["task"] = ["text", "chat"],
    };

    /// <summary>Sources whose items are conversations of their own, which a task may name.</summary>
    internal static IEnumerable<string> Conversations =>
        Forms.Where(form => form.Value.Intersect(["copy", "chat"]).Any() && form.Key is not ("jsonl" or "dataset" or "text" or "task"))
            .Select(form => form.Key);

    internal void Validate(RecipeCheck check, string field)
    {
        check.OneOf($"{field}.source", Source, [.. Forms.Keys]);
        check.OneOf($"{field}.as", As, ["text", "copy", "chat"]);
        check.That(Forms[Source].Contains(As), $"{field}.as", As, $"{string.Join(" or ", Forms[Source])}, which {Source} can be read as");
        if (Source == "grammar") check.AtLeast(1, $"{field}.limit", Limit);
        if (Source is "jsonl" or "text" or "dataset" or "grammar" or "task")
            check.State(!string.IsNullOrEmpty(Path), $"{field}.path", "missing", $"a file or folder, because the source is {Source}");
        check.AtLeast(1, $"{field}.repeat", Repeat);
        check.AtLeast(0, $"{field}.limit", Limit);
        check.That(Share is null or (> 0 and <= 1), $"{field}.share", Share ?? 0, "a number above 0 and up to 1");
        check.That(NearDuplicates is null or (>= 0.5 and <= 1), $"{field}.near_duplicates", NearDuplicates ?? 0, "a number from 0.5 to 1");
    }
}

/// <summary>How to train.</summary>
public sealed record TrainRecipe
{
    public const string AdamW = "adamw", Muon = "muon", Trapezoid = "trapezoid", Cosine = "cosine";

    /// <summary>
    /// <c>next-token</c>, <c>supervised</c> (loss on the assistant's tokens), <c>preference</c> (DPO, on pairs), <c>kto</c> (on
    /// single answers that were liked or not), <c>policy</c> (on served answers with rewards, corrected by the recorded
    /// log-probabilities) or <c>soft-targets</c> (on answers with their shares of a distribution).
    /// </summary>
    public required string Objective { get; init; }

    /// <summary>Passes over the data; give this or <see cref="Steps"/>.</summary>
    public double Epochs { get; init; }

    /// <summary>Optimiser steps.</summary>
    public int Steps { get; init; }

    /// <summary>Tokens in one optimiser step, over all micro-batches.</summary>
    public int BatchTokens { get; init; } = 8192;

    /// <summary>Tokens that go through the model at once.</summary>
    public int MicroTokens { get; init; } = 2048;

    /// <summary><c>adamw</c> for all weights, or <c>muon</c> for hidden matrices and AdamW for the rest.</summary>
    public string Optimizer { get; init; } = AdamW;

    /// <summary>Peak learning rate of AdamW.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Peak learning rate of Muon.</summary>
    public double MuonLearningRate { get; init; } = 0.02;

    /// <summary><c>trapezoid</c>, or <c>cosine</c>, which has no use for <see cref="Warmdown"/>.</summary>
    public string Schedule { get; init; } = Trapezoid;

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

    /// <summary>
    /// Decay of an exponential moving average of the weights, which becomes the model: 0.99 averages about the last 100 steps;
    /// 0 takes the last weights.
    /// </summary>
    public double AverageDecay { get; init; }

    /// <summary>
    /// Weight of the mean squared logarithm of the softmax's denominator, which keeps logits from drifting (Chowdhery 2022, arXiv
    /// 2204.02311); 1e-4 is usual. The logged loss is without it.
    /// </summary>
    public double ZLoss { get; init; }

    /// <summary>Train low-rank adapters on a frozen base; the result is an adapter. Null trains all weights.</summary>
    public LoraRecipe? Lora { get; init; }

    /// <summary>
    /// Keep each layer's input only and compute the layer again on the way back: memory for long contexts, at a third more work,
    /// with the same gradients.
    /// </summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>DPO's and KTO's beta: how dearly moving away from the reference is paid (Rafailov 2023, arXiv 2305.18290).</summary>
    public double DpoBeta { get; init; } = 0.1;

    /// <summary>Weight of the supervised loss on the preferred answer, added to DPO's.</summary>
    public double DpoSupervised { get; init; }

    /// <summary>KTO's weight of answers that were liked; with unequal numbers, the rarer kind wants the larger weight.</summary>
    public double KtoDesirable { get; init; } = 1;

    /// <summary>KTO's weight of answers that were not.</summary>
    public double KtoUndesirable { get; init; } = 1;

    /// <summary>Policy training's largest importance weight of a token.</summary>
    public double ImportanceCap { get; init; } = 2;

    /// <summary>Seconds between checkpoints.</summary>
    public double CheckpointSeconds { get; init; } = 60;

    /// <summary>Checkpoints that are kept.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Optimiser steps between evaluations on the validation split.</summary>
    public int EvaluateEvery { get; init; } = 100;

    /// <summary>
    /// <c>float32</c>, or <c>bfloat16</c> for matrix products in mixed precision: faster where the processor has AVX512-BF16,
    /// far slower elsewhere.
    /// </summary>
    public string Precision { get; init; } = "float32";

    /// <summary>Type of the finished model's weights: <c>float32</c> or <c>bfloat16</c>.</summary>
    public string Save { get; init; } = "float32";

    internal void Validate(RecipeCheck check)
    {
        check.OneOf("train.objective", Objective, [.. Flywheel.Model.Objective.Names]);
        check.NotNegative("train.epochs", Epochs);
        check.AtLeast(0, "train.steps", Steps);
        check.That(Epochs > 0 || Steps > 0, "train.epochs", Epochs, "epochs or steps above 0");
        check.That(Epochs == 0 || Steps == 0, "train.steps", Steps, $"either epochs or steps, and epochs is {Epochs}");
        check.AtLeast(2, "train.micro_tokens", MicroTokens);
        check.That(BatchTokens >= MicroTokens, "train.batch_tokens", BatchTokens, $"at least micro_tokens {MicroTokens}");
        check.Positive("train.learning_rate", LearningRate);
        check.OneOf("train.optimizer", Optimizer, [AdamW, Muon]);
        check.Positive("train.muon_learning_rate", MuonLearningRate);
        check.OneOf("train.schedule", Schedule, [Trapezoid, Cosine]);
        check.Share("train.warmup", Warmup);
        check.Share("train.warmdown", Warmdown);
        check.That(Warmup + Warmdown <= 1, "train.warmdown", Warmdown, $"at most 1 together with warmup {Warmup}");
        check.Share("train.final_rate", FinalRate);
        check.NotNegative("train.weight_decay", WeightDecay);
        check.That(Beta1 is >= 0 and < 1, "train.beta1", Beta1, "a number from 0 to below 1");
        check.That(Beta2 is >= 0 and < 1, "train.beta2", Beta2, "a number from 0 to below 1");
        check.NotNegative("train.clip_norm", ClipNorm);
        check.That(AverageDecay is >= 0 and < 1, "train.average_decay", AverageDecay, "a number from 0 to below 1");
        check.Positive("train.dpo_beta", DpoBeta);
        check.NotNegative("train.dpo_supervised", DpoSupervised);
        check.NotNegative("train.z_loss", ZLoss);
        check.NotNegative("train.kto_desirable", KtoDesirable);
        check.NotNegative("train.kto_undesirable", KtoUndesirable);
        check.Positive("train.importance_cap", ImportanceCap);
        Lora?.Validate(check);
        check.That(Lora is null || Optimizer == AdamW, "train.optimizer", Optimizer,
            $"{AdamW}, because train.lora has no hidden matrices of its own");
        check.Positive("train.checkpoint_seconds", CheckpointSeconds);
        check.AtLeast(1, "train.keep_checkpoints", KeepCheckpoints);
        check.AtLeast(1, "train.evaluate_every", EvaluateEvery);
        check.OneOf("train.precision", Precision, ["float32", "bfloat16"]);
        check.OneOf("train.save", Save, ["float32", "bfloat16"]);
    }
}

/// <summary>Low-rank adapters; see <see cref="AdapterConfig"/>.</summary>
public sealed record LoraRecipe
{
    public int Rank { get; init; } = 16;

    public double Alpha { get; init; } = 32;

    /// <summary>Projections that are adapted.</summary>
    public IReadOnlyList<string> Targets { get; init; } = AdapterConfig.Modules;

    /// <summary>Scale by alpha / sqrt(rank) instead of alpha / rank.</summary>
    public bool Rslora { get; init; }

    /// <param name="baseHash">Of the model that is adapted.</param>
    public AdapterConfig ToConfig(string baseHash) =>
        new() { Rank = Rank, Alpha = Alpha, RsLora = Rslora, TargetModules = Targets, Base = baseHash };

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(1, "train.lora.rank", Rank);
        check.Positive("train.lora.alpha", Alpha);
        check.State(Targets.Count > 0, "train.lora.targets", "empty", $"some of {NearestName.List(AdapterConfig.Modules)}");
        for (int i = 0; i < Targets.Count; i++) check.OneOf($"train.lora.targets[{i}]", Targets[i], AdapterConfig.Modules);
        check.State(Targets.Distinct().Count() == Targets.Count, "train.lora.targets", "holding a name twice", "each once");
    }
}
