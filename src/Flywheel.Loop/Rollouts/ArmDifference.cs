namespace Flywheel.Loop.Rollouts;

/// <summary>
/// By how much the mean of an outcome from 0 to 1 differs between candidate and champion, person by person. Each person, whom chance
/// sent to the candidate with a known probability p, gives one observation whose mean is the difference:
/// (a - p) (x - m) / (p (1 - p)), with a = 1 at the candidate and 0 at the champion, and m what was expected of x before.
/// </summary>
/// <remarks>
/// Inverse probability weights with an augmentation (Robins, Rotnitzky and Zhao 1994), as Howard, Ramdas, McAuliffe and Sekhon use them for
/// sequential effects (Annals of Statistics 49, 2021, arXiv:1810.08240, section 5); m and the variance come from earlier people only.
/// </remarks>
public sealed class ArmDifference
{
    private readonly double _prior;
    private double _sum, _squares, _weights, _weighted, _pairSum, _pairSquares;
    private int _count, _numPairs;

    /// <param name="expected">What the outcome is taken to be before anybody was seen.</param>
    /// <param name="above">Evidence is gathered that the difference is larger than this.</param>
    /// <param name="below">And that it is smaller than this.</param>
    /// <param name="keeps">Keep what is seen, for <see cref="Interval"/>.</param>
    public ArmDifference(double expected, double above = 0, double below = 0, bool keeps = false)
    {
        _prior = expected;
        Above = new BettingTest(above, keeps: keeps);
        Below = new BettingTest(-below, keeps: keeps);
    }

    /// <summary>Evidence that the candidate's mean is larger.</summary>
    public BettingTest Above { get; }

    /// <summary>Evidence that it is smaller.</summary>
    public BettingTest Below { get; }

    public int Count => _count;

    /// <summary>The difference as it looks now: observations weighted by their precision.</summary>
    public double Estimate => _weights > 0 ? Math.Clamp(_weighted / _weights, -1, 1) : 0;

    /// <param name="x">The person's outcome, 0 to 1.</param>
    /// <param name="candidate">Where chance had sent them.</param>
    /// <param name="probability">Of the candidate, greater than 0 and less than 1.</param>
    public void Add(double x, bool candidate, double probability)
    {
        double expected = (_prior + _sum) / (1 + _count), rest = 1 - probability;
        double variance = (2 * _prior * (1 - _prior) + _squares) / (2 + _count) / (probability * rest);
        double z = candidate ? (x - expected) / probability : (expected - x) / rest;
        double least = -Math.Max(expected / probability, (1 - expected) / rest),
            most = Math.Max((1 - expected) / probability, expected / rest);
        Above.Add(z, variance, least);
        Below.Add(-z, variance, -most);
        double weight = probability * rest;
        (_weights, _weighted) = (_weights + weight, _weighted + weight * z);
        (_sum, _squares, _count) = (_sum + x, _squares + (x - expected) * (x - expected), _count + 1);
    }

    /// <summary>By how much more on average it was with the candidate for people who met both; 0 before anybody did.</summary>
    public double MeanOfPairs => _numPairs == 0 ? 0 : _pairSum / _numPairs;

    /// <summary>A person who met both: their difference is seen as it is, and is one more observation for the same evidence.</summary>
    /// <param name="z">The candidate's outcome less the champion's, -1 to 1.</param>
    public void AddPair(double z)
    {
        double variance = (4 * _prior * (1 - _prior) + _pairSquares) / (2 + _numPairs); // of a difference: twice that of one outcome
        Above.Add(z, variance, -1);
        Below.Add(-z, variance, -1);
        (_pairSum, _pairSquares, _numPairs) = (_pairSum + z, _pairSquares + z * z, _numPairs + 1);
    }

    /// <summary>Holds the difference at all times together with probability <paramref name="level"/>.</summary>
    public Interval Interval(double level = 0.95)
    {
        double low = Above.LowerBound(-1, (1 - level) / 2), high = -Below.LowerBound(-1, (1 - level) / 2);
        return new Interval(Math.Clamp(Estimate, low, Math.Max(low, high)), low, high);
    }
}
