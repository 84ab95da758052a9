namespace Flywheel.Model;

/// <summary>
/// Cross-entropy against a distribution instead of one right answer: each target counts with the probability that is given with it, such as
/// the share of a search that went to a move (Silver 2018) or what a larger model gave a token (Hinton 2015, arXiv 1503.02531). Documents
/// of
/// one prompt, a target each, make up the distribution.
/// </summary>
public sealed class SoftTargets : Objective
{
    public const string Id = "soft-targets";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Sampled;

    public override bool WeighsByLogProbs => false;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe)
    {
        float[] weights =
            [.. batch.SampledLogProbs.Select((given, row) =>
                (float)(Weight(given, batch.Labels[batch.RowDocuments[row]]) / batch.Step.NumTargets))];
        return new Weighed(weights, batch.LogProbs.Select((logProb, row) => -(double)logProb * weights[row]).Sum());
    }

    /// <summary>Weight of a target's -log p: its probability in the distribution, times what its document counts.</summary>
    internal static double Weight(double givenLogProb, double documentWeight) => documentWeight * Math.Exp(givenLogProb);
}
