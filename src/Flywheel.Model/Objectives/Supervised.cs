namespace Flywheel.Model;

/// <summary>Mean -log p of the assistant's tokens: fine-tuning on answers that are to be given.</summary>
public sealed class Supervised : Objective
{
    public const string Id = "supervised";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Answers;

    public override bool WeighsByLogProbs => false;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe) => NextToken.MeanOfTargets(batch);
}
