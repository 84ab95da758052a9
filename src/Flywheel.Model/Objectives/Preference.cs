namespace Flywheel.Model;

/// <summary>
/// DPO on pairs of answers (Rafailov 2023, arXiv 2305.18290), plus <see cref="TrainRecipe.DpoSupervised"/> times the mean -log p of the
/// preferred answers' tokens.
/// </summary>
public sealed class Preference : Objective
{
    public const string Id = "preference";

    public override string Name => Id;

    public override DocumentForm Form => DocumentForm.Pairs;

    public override bool NeedsBase => true;

    public override bool NeedsReference => true;

    /// <summary>A pair is right when its preferred answer gained more than the rejected one.</summary>
    public override int NumJudged(StepCounts step) => step.NumDocuments / 2;

    public override Weighed Weigh(ScoredBatch batch, TrainRecipe recipe)
    {
        int numPairs = batch.Step.NumDocuments / 2;
        double[] gains = batch.Gains, pulls = new double[gains.Length];
        (double loss, int right) = (0, 0);
        for (int i = 0; i < gains.Length; i += 2)
        {
            (double pairLoss, double pull) = Dpo(gains[i] - gains[i + 1], recipe.DpoBeta);
            loss += pairLoss / numPairs;
            right += gains[i] > gains[i + 1] ? 1 : 0;
            (pulls[i], pulls[i + 1]) = (pull / numPairs, -pull / numPairs);
        }
        float[] weights = new float[batch.LogProbs.Length];
        for (int row = 0; row < weights.Length; row++)
        {
            int document = batch.RowDocuments[row];
            double supervised = document % 2 == 0 ? recipe.DpoSupervised / batch.Step.NumPreferredTargets : 0;
            loss -= supervised * batch.LogProbs[row];
            weights[row] = (float)(pulls[document] + supervised);
        }
        return new Weighed(weights, loss, right);
    }

    /// <summary>-log sigmoid(beta * margin).</summary>
    /// <param name="margin">How much more log-probability the preferred answer has gained over the base than the rejected one.</param>
    /// <param name="beta">How dearly moving away from the base is paid.</param>
    /// <returns>
    /// The loss, and the pull of the preferred answer: the loss's derivative by the answer's -log p. That of the rejected one is its
    /// negative.
    /// </returns>
    internal static (double Loss, double Pull) Dpo(double margin, double beta)
    {
        double x = beta * margin;
        return (x > 0 ? double.LogP1(Math.Exp(-x)) : double.LogP1(Math.Exp(x)) - x, beta / (1 + Math.Exp(x)));
    }
}
