namespace Flywheel.Loop.Rollouts;

/// <summary>
/// Evidence that the mean of bounded observations is above a value, which may be looked at after each one: capital that grows by bets
/// against "the mean is at most m" and that, if this is true, ever reaches 1/alpha with probability at most alpha (Ville's inequality).
/// </summary>
/// <remarks>
/// Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86 (2024), arXiv:2010.09686, section 4:
/// after each observation z the capital is multiplied by 1 + b (z - m), where b is fixed before z is seen. Bounds of z may change from one
/// to the next as long as they are known before. Here capital is spread evenly over several bettors, each of whom bets what would be
/// best if the mean were larger than zero by a certain effect d: d / (variance + d²), but never so much that half the capital could be
/// lost at once. A mixture of such processes is one.
/// </remarks>
public sealed class BettingTest
{
    private static readonly double[] s_effects = [0.02, 0.04, 0.08, 0.16, 0.32];

    private readonly double _largestMean;
    private readonly List<(double Z, double Variance, double Least)> _seen = [];
    private readonly double[] _logs;
    private readonly double _mean;
    private readonly bool _keeps;

    /// <param name="mean">The hypothesis: the mean is at most this.</param>
    /// <param name="largestMean">No mean is larger, whatever the model does.</param>
    /// <param name="keeps">Keep what is seen, for <see cref="LowerBound"/>.</param>
    public BettingTest(double mean, double largestMean = 1, bool keeps = false)
    {
        (_mean, _largestMean, _keeps) = (mean, largestMean, keeps);
        _logs = new double[s_effects.Length];
    }

    /// <summary>Natural logarithm of the capital now.</summary>
    public double LogEvidence => Mix(_logs);

    /// <summary>Natural logarithm of the largest capital so far: what was once certain is not unlearnt.</summary>
    public double MaxLogEvidence { get; private set; }

    public int Count { get; private set; }

    /// <summary>One more observation.</summary>
    /// <param name="z">At least <paramref name="least"/>.</param>
    /// <param name="variance">What it was expected to be before it was seen.</param>
    /// <param name="least">The smallest that it could have been.</param>
    public void Add(double z, double variance, double least)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(z, least - 1e-9);
        Count++;
        if (_keeps) _seen.Add((z, variance, least));
        Step(_logs, z, variance, least, _mean);
        MaxLogEvidence = Math.Max(MaxLogEvidence, LogEvidence);
    }

    /// <summary>Below this the mean is not, with probability 1 - alpha, at all times together.</summary>
    /// <param name="smallestMean">No mean is smaller.</param>
    /// <param name="alpha">Of the one side.</param>
    public double LowerBound(double smallestMean, double alpha)
    {
        double low = smallestMean, high = _largestMean, wanted = Math.Log(1 / alpha);
        if (!Reaches(low)) return low;
        for (int i = 0; i < 20; i++)
        {
            double middle = (low + high) / 2;
            if (Reaches(middle)) low = middle;
            else high = middle;
        }
        return low;

        // Capital against a larger mean is smaller at each moment, so the bound is found by halving.
        bool Reaches(double mean)
        {
            double[] logs = new double[s_effects.Length];
            foreach ((double z, double variance, double least) in _seen)
            {
                Step(logs, z, variance, least, mean);
                if (Mix(logs) >= wanted) return true;
            }
            return false;
        }
    }

    private void Step(double[] logs, double z, double variance, double least, double mean)
    {
        double most = 0.5 / Math.Max(1e-9, _largestMean - least); // whatever the mean is: so the capital falls with it
        for (int i = 0; i < logs.Length; i++)
        {
            double bet = Math.Min(s_effects[i] / (variance + s_effects[i] * s_effects[i]), most);
            logs[i] += Math.Log(1 + bet * (z - mean));
        }
    }

    private static double Mix(double[] logs)
    {
        double largest = logs[0], sum = 0;
        foreach (double log in logs) largest = Math.Max(largest, log);
        foreach (double log in logs) sum += Math.Exp(log - largest);
        return largest + Math.Log(sum / logs.Length);
    }
}
