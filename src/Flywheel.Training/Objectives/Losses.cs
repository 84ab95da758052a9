using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// The objectives' formulas on single numbers. A pull is the loss's derivative by the answer's -log p, so that an answer's
/// tokens are a cross-entropy with that weight.
/// </summary>
internal static class Losses
{
    /// <summary>-log sigmoid(beta * margin) (Rafailov 2023, arXiv 2305.18290).</summary>
    /// <param name="margin">How much more log-probability the preferred answer has gained over the base than the rejected one.</param>
    /// <param name="beta">How dearly moving away from the base is paid.</param>
    /// <returns>The loss and the pull of the preferred answer; that of the rejected one is its negative.</returns>
    public static (double Loss, double Pull) Dpo(double margin, double beta)
    {
        double x = beta * margin;
        return (x > 0 ? double.LogP1(Math.Exp(-x)) : double.LogP1(Math.Exp(x)) - x, beta / (1 + Math.Exp(x)));
    }

    /// <summary>
    /// weight * (1 - sigmoid(beta * (gain - drift))) of an answer that was liked, with gain and drift exchanged for one that
    /// was not (Ethayarajh 2024, arXiv 2402.01306): a person values gains and losses against a reference point, and ever less
    /// the larger they are. The drift counts as a constant.
    /// </summary>
    /// <param name="gain">Log-probability that the answer has gained over the base.</param>
    /// <param name="drift">The reference point.</param>
    /// <param name="liked">What the person said.</param>
    /// <param name="recipe">Beta and the two weights.</param>
    public static (double Loss, double Pull) Kto(double gain, double drift, bool liked, TrainRecipe recipe)
    {
        double weight = liked ? recipe.KtoDesirable : recipe.KtoUndesirable, sign = liked ? 1 : -1;
        double value = 1 / (1 + Math.Exp(-sign * recipe.DpoBeta * (gain - drift)));
        return (weight * (1 - value), sign * weight * recipe.DpoBeta * value * (1 - value));
    }

    /// <summary>
    /// Weight of a served token's -log p in the policy gradient: its answer's reward times min(cap, p / p when it was sampled).
    /// Truncated importance sampling (Ionides 2008) a token at a time, as V-trace does it (Espeholt 2018, arXiv 1802.01561);
    /// the ratio counts as a constant. Tokens that the model would hardly say any more weigh little, so that a bad answer is
    /// not pushed down for ever.
    /// </summary>
    public static double Policy(double logProb, double sampledLogProb, double reward, double cap) => reward * Math.Min(cap, Math.Exp(logProb - sampledLogProb));
}
