namespace Flywheel.Model;

/// <summary>
/// KTO on single answers that were liked or not (Ethayarajh 2024, arXiv 2402.01306): a person values gains and losses against a
/// reference point, and ever less the larger they are.
/// </summary>
public sealed class Kto : Objective
{
    public const string Id = "kto";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Judged;

    public override bool NeedsBase => true;

    public override bool NeedsReference => true;

    /// <summary>An answer is right when it moved the way that it was judged.</summary>
    public override int NumJudged(StepCounts step) => step.NumDocuments;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe)
    {
        double drift = batch.Step.Drift;
        (double Loss, double Pull)[] each = [.. batch.Gains.Select((gain, i) => Value(gain, drift, batch.Labels[i] > 0, recipe))];
        return new Weighed(
            [.. batch.RowDocuments.Select(document => (float)(each[document].Pull / batch.Step.NumDocuments))],
            each.Sum(answer => answer.Loss) / batch.Step.NumDocuments,
            batch.Gains.Where((gain, i) => gain > drift == batch.Labels[i] > 0).Count());
    }

    /// <summary>
    /// weight * (1 - sigmoid(beta * (gain - drift))) of an answer that was liked, with gain and drift exchanged for one that was not.
    /// The drift counts as a constant.
    /// </summary>
    /// <param name="gain">Log-probability that the answer has gained over the base.</param>
    /// <param name="drift">The reference point.</param>
    /// <param name="liked">What the person said.</param>
    /// <param name="recipe">Beta and the two weights.</param>
    /// <returns>The loss, and its derivative by the answer's -log p.</returns>
    internal static (double Loss, double Pull) Value(double gain, double drift, bool liked, TrainRecipe recipe)
    {
        double weight = liked ? recipe.KtoDesirable : recipe.KtoUndesirable, sign = liked ? 1 : -1;
        double value = 1 / (1 + Math.Exp(-sign * recipe.DpoBeta * (gain - drift)));
        return (weight * (1 - value), sign * weight * recipe.DpoBeta * value * (1 - value));
    }
}
