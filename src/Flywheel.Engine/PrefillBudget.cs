namespace Flywheel.Engine;

/// <summary>
/// How many prompt tokens a step may take while streams run, so that no stream stalls for another's prompt. A step with
/// prompts may take <see cref="Share"/> of the slowest quiet steps' time (one in a hundred is slower) longer than quiet ones
/// do, so that the slowest stay below twice the slowest quiet ones. Where several wait for a first token, reading their
/// prompts together is quicker for all, the streams included, than one after the other: a step may then take longer still,
/// the longer the more wait for each stream. Prices are learned from the steps themselves, because they depend on model and
/// machine. Only the pace follows from any of this, never a result.
/// </summary>
internal sealed class PrefillBudget
{
    /// <summary>Below one, because a longer step is held up more often. With 0.7 the slowest hundredth came to 2.05 to 2.6 times the quiet one, with 0.55 to 1.4 to 2.3.</summary>
    private const double Share = 0.55;

    /// <summary>What one more who waits for each stream adds to the share, and what they multiply it by at most.</summary>
    private const double Pressure = 2.5, MostPressure = 8;

    /// <summary>So many always: a prompt must come to its end.</summary>
    private const int Least = 4;

    /// <summary>Tokens of a text in which a prompt token costs about the same: attention makes later ones dearer.</summary>
    private const int PositionsPerPrice = 512;

    /// <summary>Weights of the newest step; too low a price is corrected sooner than too high a one.</summary>
    private const double NewestQuiet = 0.1, NewestDearer = 0.4, NewestCheaper = 0.2;

    /// <summary>The tail rises so much with a step beyond it and falls so little with one below that one in a hundred lies beyond.</summary>
    private const double TailUp = 1.05, TailDown = 1 / 1.0005, MostTail = 3;

    private readonly int _most;

    /// <summary>Ticks of a step without prompts, by its rows; of a prompt token, by <see cref="PositionsPerPrice"/>.</summary>
    private readonly double[] _quiet, _prices;
    private readonly List<(int Place, int Count)> _taken = [];

    /// <summary>One in a hundred quiet steps takes longer than so many times the usual.</summary>
    private double _tail = 1.1;
    private double _allowance, _predicted;
    private int _numDecoding, _numTaken;

    /// <param name="most">Prompt tokens in a step, at most.</param>
    /// <param name="maxDecoding">Rows of streams in a step, at most.</param>
    /// <param name="maxPositions">Tokens of a text, at most.</param>
    public PrefillBudget(int most, int maxDecoding, int maxPositions)
    {
        _most = most;
        _quiet = new double[maxDecoding + 1];
        _prices = new double[maxPositions / PositionsPerPrice + 1];
    }

    /// <summary>A step is planned.</summary>
    /// <param name="numDecoding">Rows of streams in it.</param>
    /// <param name="numWaiting">Requests that wait for their first token and matter as much as the streams.</param>
    public void Begin(int numDecoding, int numWaiting)
    {
        double pressure = Math.Min(MostPressure, 1 + Pressure * Math.Max(0, numWaiting - 1) / Math.Max(1, numDecoding));
        _allowance = Share * _tail * pressure * Nearest(_quiet, numDecoding);
        (_numDecoding, _numTaken, _predicted) = (numDecoding, 0, 0);
        _taken.Clear();
    }

    /// <summary>Tokens that a prompt may take now of which so many have been read.</summary>
    public int For(int position)
    {
        int left = _most - _numTaken;
        if (_numDecoding == 0) return left;
        double price = Nearest(_prices, position / PositionsPerPrice);
        int afforded = price == 0 ? 2 * Least : (int)Math.Clamp((_allowance - _predicted) / price, 0, left);
        return Math.Min(left, _numTaken == 0 ? Math.Max(Least, afforded) : afforded);
    }

    /// <summary>It takes so many.</summary>
    public void Take(int position, int count)
    {
        int place = position / PositionsPerPrice;
        _taken.Add((place, count));
        _numTaken += count;
        _predicted += count * Nearest(_prices, place);
    }

    /// <summary>The planned step took so long.</summary>
    public void Observe(long ticks)
    {
        double quiet = _numDecoding == 0 ? 0 : Nearest(_quiet, _numDecoding);
        if (_numTaken == 0) LearnQuiet(ticks);
        else if (_numTaken >= Least && (_numDecoding == 0 ? _numTaken == _most || _predicted == 0 : quiet > 0)) // few tokens show what a step costs, not they
            LearnPrices(ticks, Math.Max(ticks - quiet, 0.01 * ticks));
    }

    private void LearnQuiet(long ticks)
    {
        ref double quiet = ref _quiet[_numDecoding];
        if (quiet == 0)
        {
            quiet = ticks;
            return;
        }
        double ratio = ticks / quiet;
        _tail = Math.Clamp(_tail * (ratio > _tail ? TailUp : TailDown), 1, MostTail);
        quiet *= 1 + NewestQuiet * (Math.Clamp(ratio, 0.5, 2) - 1); // a step in which the machine did something else says little
    }

    private void LearnPrices(double ticks, double extra)
    {
        double wrong = Math.Clamp(extra / _predicted, 0.5, 2) - 1;
        foreach ((int place, _) in _taken)
        {
            ref double price = ref _prices[place];
            if (price == 0) price = ticks / _numTaken; // too dear for certain
            else price *= 1 + (wrong > 0 ? NewestDearer : NewestCheaper) * wrong;
        }
    }

    /// <summary>The value of a place, or of the nearest below it that is known, or else above; 0 when nothing is known.</summary>
    private static double Nearest(double[] known, int place)
    {
        for (int i = place; i >= 0; i--)
            if (known[i] > 0) return known[i];
        for (int i = place + 1; i < known.Length; i++)
            if (known[i] > 0) return known[i];
        return 0;
    }
}
