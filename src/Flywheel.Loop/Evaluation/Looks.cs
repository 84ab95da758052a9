namespace Flywheel.Loop;

/// <summary>
/// What it costs to ask the same held-out people again. Each turn against a champion is a look; a candidate that is no better passes one
/// look with probability alpha, so all looks together spend one sum.
/// </summary>
/// <remarks>
/// Look k spends 0.05 / (k (k + 1)): 2.5%, 0.83%, 0.42%, ... These add up to less than 5% however many looks there are, whatever the
/// looks have in common (Bonferroni's inequality), and nobody has to say in advance how many there will be.
/// </remarks>
public static class Looks
{
    /// <summary>Largest probability that any number of looks promotes a candidate that is no better.</summary>
    public const double Total = 0.05;

    /// <param name="look">1 is the first.</param>
    /// <returns>Level of its one-sided test.</returns>
    public static double Alpha(int look)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(look, 1);
        return Total / (look * (look + 1.0));
    }
}
