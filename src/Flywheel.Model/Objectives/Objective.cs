namespace Flywheel.Model;

/// <summary>
/// What a training minimises: all that data, training and the loop need to know of it. Another objective is another file beside
/// this one and its line in <see cref="All"/>; nothing else asks for one by name.
/// </summary>
/// <remarks>
/// Every objective is a weighted cross-entropy: what it says of a micro-batch is the derivative of its loss by each target's -log p,
/// given the log-probabilities of the same pass. Layers, packing, ranks and optimisers know no more than these weights.
/// </remarks>
public abstract class Objective
{
    /// <summary>In the order in which a person meets them.</summary>
    public static IReadOnlyList<Objective> All { get; } = [new NextToken(), new Supervised(), new Preference(), new Kto(), new Policy(),
        new SoftTargets()];

    public static IEnumerable<string> Names => All.Select(objective => objective.Name);

    /// <exception cref="FlywheelException">There is none of that name.</exception>
    public static Objective Named(string name) => All.FirstOrDefault(objective => objective.Name == name)
        ?? throw new FlywheelException($"objective '{name}' is not known, expected {NearestName.List([.. Names])}");

    /// <summary>As a recipe's <c>train.objective</c> says it.</summary>
    public abstract string Name { get; }

    /// <summary>What its documents are.</summary>
    public abstract DocumentForm Form { get; }

    /// <summary>A model from random weights has nothing yet that it could change.</summary>
    public virtual bool NeedsBase => false;

    /// <summary>Compares with the log-probabilities under the model that the run starts from.</summary>
    public virtual bool NeedsReference => false;

    /// <summary>False where the weights are the same whatever the model says: the output matrix is then passed once.</summary>
    public virtual bool WeighsByLogProbs => true;

    /// <param name="batch">A micro-batch and its log-probabilities.</param>
    /// <param name="recipe">Settings.</param>
    public abstract Weighed Weigh(ScoredBatch batch, TrainRecipe recipe);

    /// <summary>Answers or pairs of a step that can be told right from wrong; 0 where there is no such thing.</summary>
    public virtual int NumJudged(StepCounts step) => 0;
}

/// <summary>What one micro-batch adds to its step.</summary>
/// <param name="Weights">Of each target's -log p, [M].</param>
/// <param name="Loss">Its part of the step's loss.</param>
/// <param name="NumRight">Of <see cref="Objective.NumJudged"/>.</param>
public readonly record struct Weighed(float[] Weights, double Loss, int NumRight = 0);

/// <summary>Counts over all micro-batches of a step, by which losses are divided: how a step is cut then changes nothing.</summary>
/// <param name="NumTargets">Predicted tokens.</param>
/// <param name="NumPreferredTargets">Of them, those of the first document of each pair.</param>
/// <param name="NumDocuments">That are learnt from.</param>
/// <param name="Drift">
/// Where the form has others: how much likelier the model has made answers to other prompts than the base has them, on average, never
/// below 0: an estimate of its divergence from the base.
/// </param>
public readonly record struct StepCounts(long NumTargets, long NumPreferredTargets, int NumDocuments, double Drift);

/// <summary>A micro-batch as an objective sees it: M predicted tokens of D documents.</summary>
public sealed class ScoredBatch
{
    public required StepCounts Step { get; init; }

    /// <summary>Of each target now, [M].</summary>
    public required float[] LogProbs { get; init; }

    /// <summary>The document that each target lies in, [M].</summary>
    public required int[] RowDocuments { get; init; }

    /// <summary>Where the form has labels, [D].</summary>
    public required float[] Labels { get; init; }

    /// <summary>Of each target when it was sampled, where the form has them, [M].</summary>
    public required float[] SampledLogProbs { get; init; }

    /// <summary>
    /// How much likelier each document's targets have become than under the base, in nats, [D]; empty without a reference.
    /// </summary>
    public required double[] Gains { get; init; }
}
