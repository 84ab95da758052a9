namespace Flywheel.Engine;

/// <summary>
/// How many prompt tokens a step may take while streams run, so that no stream stalls for another's prompt. A step with
/// prompts may take <see cref="Share"/> of the slowest quiet steps' time (one in a hundred is slower) longer than quiet ones
/// do, so that the slowest stay below twice the slowest quiet ones. Where several wait for a first token, reading their
/// prompts together is quicker for all, the streams included, than one after the other: a step may then take longer still,
/// the longer the more wait for each stream. How many tokens that is does not depend on the machine's pace of the moment,
/// see <see cref="StepCost"/>. Only the pace of answers follows from any of this, never a result.
/// </summary>
/// <param name="most">Prompt tokens in a step, at most.</param>
/// <param name="maxDecoding">Rows of streams in a step, at most.</param>
internal sealed class PrefillBudget(int most, int maxDecoding)
{
    /// <summary>Below one, because a longer step is held up more often.</summary>
    private const double Share = 0.65;

    /// <summary>What one more who waits for each stream adds to the share.</summary>
    private const double Pressure = 10;

    /// <summary>So many always: a prompt must come to its end.</summary>
    private const int Least = 4;

    /// <summary>After so many steps with prompts one has none, which tells the pace apart from the prompts' price.</summary>
    private const int StepsPerProbe = 16;

    /// <summary>The tail rises so much with a step beyond it and falls so little with one below that one in a hundred lies
    /// beyond.</summary>
    private const double TailUp = 1.05, TailDown = 1 / 1.0005, MostTail = 3;

    private readonly StepCost _cost = new(maxDecoding);

    /// <summary>One in a hundred quiet steps takes longer than so many times the usual.</summary>
    private double _tail = 1.1;

    // Of the step that is planned.
    private double _allowance, _predicted, _positions;
    private int _numDecoding, _numTaken, _stepsWithPrompts;

    /// <summary>A step is planned.</summary>
    /// <param name="numDecoding">Rows of streams in it.</param>
    /// <param name="numWaiting">Requests that wait for their first token and matter as much as the streams.</param>
    public void Begin(int numDecoding, double numWaiting)
    {
        double pressure = 1 + Pressure * Math.Max(0, numWaiting - 1) / Math.Max(1, numDecoding);
        _allowance = Share * _tail * pressure * _cost.Quiet(numDecoding);
        (_numDecoding, _numTaken, _predicted, _positions) = (numDecoding, 0, 0, 0);
    }

    /// <summary>Tokens that a prompt may take now of which so many have been read.</summary>
    public int For(int position)
    {
        int left = most - _numTaken;
        if (_numDecoding == 0) return left;
        if (_stepsWithPrompts >= StepsPerProbe) return 0;
        int afforded = _cost.KnowsPrice ? (int)Math.Clamp((_allowance - _predicted) / _cost.Tokens(1, position), 0, left) : 2 * Least;
        return Math.Min(left, _numTaken == 0 ? Math.Max(Least, afforded) : afforded);
    }

    /// <summary>It takes so many.</summary>
    public void Take(int position, int count)
    {
        double middle = position + count / 2.0;
        _numTaken += count;
        _positions += count * middle;
        if (_cost.KnowsPrice) _predicted += _cost.Tokens(count, middle);
    }

    /// <summary>The planned step took so long.</summary>
    public void Observe(long ticks)
    {
        _stepsWithPrompts = _numTaken == 0 || _numDecoding == 0 ? 0 : _stepsWithPrompts + 1;
        if (_numTaken == 0)
        {
            double ratio = _cost.ObserveQuiet(_numDecoding, ticks);
            _tail = Math.Clamp(_tail * (ratio > _tail ? TailUp : TailDown), 1, MostTail);
        }
        // few tokens show what a step costs, not they
        else if (_numTaken >= Least && (_numDecoding > 0 || _numTaken == most || !_cost.KnowsPrice))
            _cost.Observe(_numDecoding, _numTaken, _positions / _numTaken, ticks);
    }
}
