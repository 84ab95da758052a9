// N tokens of a micro-batch, C channels, H query heads, K key/value heads, D head dim, F feed-forward width, V vocabulary.
using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// What one rank of a training holds at its fullest, in bytes, counted from the recipe alone: to refuse what cannot fit before
/// anything starts, and to plan for machines that are not there. <see cref="TrainingPilot"/> measures.
/// </summary>
public sealed record TrainingMemory
{
    /// <summary>How far the count may be from what a run takes.</summary>
    public const double Error = 0.1;

    /// <summary>The program, libtorch, .NET and its heap, as measured.</summary>
    private const long RuntimeBytes = 240L << 20;

    /// <summary>Full micro-batches, and those that a step ends with.</summary>
    private const int UsualRowCounts = 3, ProjectionsOfALayer = 4;

    /// <summary>The collector leaves arrays lie while there is room; under pressure it does not.</summary>
    private const long MaxLoadingBytes = 512L << 20;

    /// <summary>All weights.</summary>
    public required long Weights { get; init; }

    /// <summary>Of a backward pass, and the partial sums over micro-batches and ranks.</summary>
    public required long Gradients { get; init; }

    /// <summary>This rank's share of the optimiser's state; with half-precision weights, of their fp32 copy too.</summary>
    public required long Optimizer { get; init; }

    /// <summary>The copy of this rank's share from which a checkpoint is written.</summary>
    public required long Checkpoint { get; init; }

    /// <summary>What the forward and the backward pass of a micro-batch make (<see cref="Arena"/>).</summary>
    public required long Activations { get; init; }

    /// <summary>Arrays through which weights are read at the start and written at the end, as far as they are more than activations, which
    /// are not held then.</summary>
    public required long Loading { get; init; }

    /// <summary>What libtorch keeps compiled for products in bfloat16 (<see cref="HalfProducts"/>).</summary>
    public required long Kernels { get; init; }

    public long Runtime => RuntimeBytes;

    public IEnumerable<(string Name, long Bytes)> Parts => new[]
    {
        ("weights", Weights), ("gradients", Gradients), ("optimiser", Optimizer), ("checkpoint copy", Checkpoint),
        ("activations", Activations), ("loading", Loading), ("compiled products", Kernels), ("libraries", Runtime),
    }.Where(part => part.Item2 > 0);

    public long Total => Parts.Sum(part => part.Bytes);

    /// <param name="config">The model's shape.</param>
    /// <param name="recipe">Batch, optimiser, adapters.</param>
    /// <param name="numRanks">That share the training.</param>
    /// <param name="half">
    /// On an accelerator in bf16: weights, gradients and activations in two bytes; what is read, written and copied for a
    /// checkpoint lies in the host's memory.
    /// </param>
    public static TrainingMemory Estimate(ModelConfig config, TrainRecipe recipe, int numRanks = 1, bool half = false)
    {
        const long float32 = sizeof(float);
        long number = half ? 2 : float32, trained = config.NumParameters, matrices = 0;
        var shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        if (recipe.Lora is { } lora)
        {
            trained =
                shapes.Where(tensor => tensor.Value.Length == 2
                    && lora.Targets.Any(target => tensor.Key.EndsWith($".{target}.weight", StringComparison.Ordinal)))
                .Sum(tensor => lora.Rank * (tensor.Value[0] + tensor.Value[1]));
        }
        else if (recipe.Optimizer == TrainRecipe.Muon)
            matrices = shapes.Where(tensor => tensor.Key.EndsWith("_proj.weight", StringComparison.Ordinal))
                .Sum(tensor => tensor.Value[0] * tensor.Value[1]);
        int numMicros = (recipe.BatchTokens + recipe.MicroTokens - 1) / recipe.MicroTokens;
        long state = float32 * (matrices + 2 * (trained - matrices) + (recipe.AverageDecay > 0 ? trained : 0));
        bool inBfloat16 = recipe.Precision == "bfloat16" && !half;
        long activations = number * ActivationFloats(config, recipe);
        return new TrainingMemory
        {
            Weights = number * config.NumParameters,
            Gradients = number * trained * Enumerable.Range(0, numRanks).Max(rank => MicroTree.NumSums(numMicros, rank, numRanks))
                + number * trained / numRanks * Enumerable.Range(1, numRanks - 1)
                    .Sum(rank => MicroTree.Nodes(numMicros, rank, numRanks).Count),
            Optimizer = (state + (half ? float32 * trained : 0)) / numRanks,
            Checkpoint = half ? 0 : (float32 * trained + state) / numRanks,
            Activations = activations,
            Kernels = inBfloat16
                ? UsualRowCounts * ((recipe.Lora is null ? 3 : 2) * ProjectionsOfALayer + 2) * HalfProducts.KernelBytes : 0,
            Loading = half ? 0 : Math.Max(0, Math.Min(float32 * config.NumParameters, MaxLoadingBytes) - activations),
        };
    }

    /// <summary>What <see cref="DecoderModel.Learn(Batch, float[], float, float[])"/> holds at its fullest, every token
    /// predicted.</summary>
    private static long ActivationFloats(ModelConfig config, TrainRecipe recipe)
    {
        long n = recipe.MicroTokens, c = config.HiddenSize, f = config.IntermediateSize, layers = config.NumLayers;
        long heads = (long)config.NumHeads * config.HeadDim, qkv = (config.NumHeads + 2L * config.NumKvHeads) * config.HeadDim;
        bool learnsWeights = recipe.Lora is null;
        long layer = n * (qkv + config.NumHeads + heads + c + 2 * f), inputs = (layers + 1) * n * c; // DecoderLayer.Kept
        long kept = inputs + (recipe.GradientCheckpointing ? 1 : layers) * layer;
        long dTable = learnsWeights ? config.VocabSize * c : 0;
        // The output matrix's gradient and a chunk of logits beside the normalised rows and their gradient, once the layers are through;
        long head = dTable + Math.Min(n, OutputHead.ChunkRows) * config.VocabSize + 2 * n * c - (recipe.GradientCheckpointing ? layer : 0);
        // or the way back through a layer: the branch and its matrix's gradient, or the joint input's; a tied matrix's gradient waits for
        // the embedding's.
        long back = (config.TieEmbeddings ? dTable : 0)
            + Math.Max(n * f + (learnsWeights ? c * f : 0), n * c + (learnsWeights ? c * Math.Max(2 * f, qkv) : 0));
        long half = recipe.Precision == "bfloat16" ? (n * c + 2 * f * c + 6 * n * f) / 2 : 0; // factors and product of the largest
        return kept + Math.Max(head, back) + half;
    }

    /// <param name="name">Of the recipe.</param>
    /// <param name="available">Bytes that are free on this machine.</param>
    /// <param name="numLocalRanks">Ranks that share them.</param>
    /// <exception cref="FlywheelException">It does not fit, even if the count is too high by <see cref="Error"/>; the message has the
    /// arithmetic.</exception>
    public void Require(string name, long available, int numLocalRanks = 1)
    {
        if (available <= 0 || (1 - Error) * Total * numLocalRanks <= available) return;
        string each = numLocalRanks > 1 ? $" in each of {numLocalRanks} ranks on this machine, {Text(Total * numLocalRanks)} together" : "";
        throw new FlywheelException(
            $"recipe '{name}' needs about {Text(Total)} of memory{each} (counted, at most {Error:P0} off), and {Text(available)} are free: {this}; "
            + "less: a smaller train.micro_tokens, train.gradient_checkpointing: true, train.lora, a smaller model, or ranks on more machines");
    }

    public override string ToString() => string.Join(" + ", Parts.Select(part => $"{part.Name} {Text(part.Bytes)}"));

    internal static string Text(long bytes) =>
        bytes >= 1L << 30
            ? string.Create(CultureInfo.InvariantCulture,
                $"{bytes / (double)(1L << 30):F2} GiB")
                : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):F0} MiB");

    /// <summary>Bytes that a new process may take here.</summary>
    public static long Available() => MachineMemory.AvailableBytes();
}
