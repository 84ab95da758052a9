using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// How the learning rates go over a run. Trapezoid: linear warm-up, constant, linear warm-down (Haegele 2024, arXiv
/// 2405.18392). Cosine: linear warm-up, then half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).
/// </summary>
internal static class Schedule
{
    /// <summary>Share of the peak learning rates in a step, counted from 0.</summary>
    public static double Factor(TrainRecipe recipe, int step, int numSteps)
    {
        double warmup = Math.Max(1, Math.Round(recipe.Warmup * numSteps)), up = Math.Min(1, (step + 1) / warmup);
        double down = recipe.Schedule == TrainRecipe.Cosine ? Cosine() : Trapezoid();
        return Math.Min(up, recipe.FinalRate + (1 - recipe.FinalRate) * down);

        double Trapezoid()
        {
            double warmdown = Math.Round(recipe.Warmdown * numSteps);
            return warmdown > 0 ? Math.Clamp((numSteps - step) / warmdown, 0, 1) : 1;
        }

        double Cosine() => 0.5 * (1 + Math.Cos(Math.PI * Math.Clamp((step + 1 - warmup) / Math.Max(1, numSteps - warmup), 0, 1)));
    }
}
