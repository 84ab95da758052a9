using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>What a sequential test says of a match so far.</summary>
public enum MatchVerdict { Open, Better, NotBetter }

/// <summary>
/// The sequential probability ratio test (Wald 1945) of a match: is the one player <c>elo1</c> better than the other, or only <c>elo0</c>?
/// Games
/// come in pairs from one opening, whose results hang together, so that the likelihood ratio is that of the pairs' mean by its normal
/// approximation (the generalised test of Van den Bergh 2017, as computer chess uses it).
/// </summary>
/// <param name="recipe">Bounds and hypotheses.</param>
internal sealed class SequentialTest(MatchRecipe recipe)
{
    /// <summary>Fewer pairs are too few for a normal approximation.</summary>
    private const int LeastPairs = 8;

    /// <summary>Below it the candidate is not better.</summary>
    public double Lower { get; } = Math.Log(recipe.Beta / (1 - recipe.Alpha));

    /// <summary>Above it the candidate is better.</summary>
    public double Upper { get; } = Math.Log((1 - recipe.Beta) / recipe.Alpha);

    /// <summary>Logarithm of the likelihood under elo1 by that under elo0.</summary>
    public double LogRatio(IReadOnlyList<double> pairs)
    {
        if (pairs.Count == 0) return 0;
        double[] scores = [.. pairs.Select(points => points / 2)];
        // Six pairs of an even match besides: the spread of few pairs is uncertain, and by chance too small one time in two.
        double[] regular = [.. scores, 0, 0.25, 0.5, 0.5, 0.75, 1];
        double mean = scores.Average(), spread = regular.Average(score => Math.Pow(score - regular.Average(), 2));
        double s0 = ScoreOf(recipe.Elo0), s1 = ScoreOf(recipe.Elo1);
        return scores.Length * (s1 - s0) * (2 * mean - s0 - s1) / (2 * spread);
    }

    public MatchVerdict Judge(IReadOnlyList<double> pairs) => pairs.Count < LeastPairs ? MatchVerdict.Open
        : LogRatio(pairs) >= Upper ? MatchVerdict.Better
        : LogRatio(pairs) <= Lower ? MatchVerdict.NotBetter : MatchVerdict.Open;

    /// <summary>Expected share of the points of a player that is so much stronger (Elo 1978).</summary>
    public static double ScoreOf(double elo) => 1 / (1 + Math.Pow(10, -elo / 400));
}
