namespace Flywheel.Model;

/// <summary>Mean -log p of every token: pretraining.</summary>
public sealed class NextToken : Objective
{
    public const string Id = "next-token";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Text;

    public override bool WeighsByLogProbs => false;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe) => MeanOfTargets(batch);

    /// <summary>Mean -log p over the step's targets.</summary>
    internal static Weighed MeanOfTargets(ScoredBatch batch)
    {
        long numTargets = batch.Step.NumTargets;
        float[] weights = new float[batch.LogProbs.Length];
        Array.Fill(weights, 1f / numTargets);
        return new Weighed(weights, batch.LogProbs.Sum(logProb => -logProb / (double)numTargets));
    }
}
