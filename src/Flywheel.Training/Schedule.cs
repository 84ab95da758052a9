using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Trapezoid: linear warm-up, constant, linear warm-down (Haegele 2024, arXiv 2405.18392).</summary>
internal static class Schedule
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public static double Rate(TrainRecipe recipe, int step, int numSteps)
    {
        double warmup = Math.Max(1, Math.Round(recipe.Warmup * numSteps)), warmdown = Math.Round(recipe.Warmdown * numSteps);
        double up = Math.Min(1, (step + 1) / warmup);
        double down = warmdown > 0 ? Math.Clamp((numSteps - step) / warmdown, 0, 1) : 1;
        return recipe.LearningRate * Math.Min(up, recipe.FinalRate + (1 - recipe.FinalRate) * down);
    }
}
