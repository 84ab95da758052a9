namespace Flywheel.Model;

/// <summary>
/// Policy gradient on answers that were served, with their rewards, corrected by the log-probabilities that were recorded.
/// </summary>
public sealed class Policy : Objective
{
    public const string Id = "policy";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Sampled;

    public override bool NeedsBase => true;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe)
    {
        float[] weights = [.. batch.LogProbs.Select((logProb, row) =>
        {
            float reward = batch.Labels[batch.RowDocuments[row]];
            return (float)(Weight(logProb, batch.SampledLogProbs[row], reward, recipe.ImportanceCap) / batch.Step.NumTargets);
        })];
        return new Weighed(weights, batch.LogProbs.Select((logProb, row) => -(double)logProb * weights[row]).Sum());
    }

    /// <summary>
    /// Weight of a served token's -log p: its answer's reward times min(cap, p / p when it was sampled). Truncated importance
    /// sampling (Ionides 2008) a token at a time, as V-trace does it (Espeholt 2018, arXiv 1802.01561); the ratio counts as a constant.
    /// Tokens that the model would hardly say any more weigh little, so that a bad answer is not pushed down for ever.
    /// </summary>
    internal static double Weight(double logProb, double sampledLogProb, double reward, double cap) =>
        reward * Math.Min(cap, Math.Exp(logProb - sampledLogProb));
}
