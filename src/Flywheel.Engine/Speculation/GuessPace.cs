namespace Flywheel.Engine;

/// <summary>
/// How many tokens of a text are worth guessing: more while guesses are right, fewer after wrong ones, and none for a while
/// where they are right less often than they cost, a longer while each time. So a text that cannot be guessed pays a guess
/// now and then, which finds out whether that has changed. Counts only; nothing here changes a result.
/// </summary>
/// <param name="price">What a guess costs, in steps of the model: to make it, and a row to check it.</param>
internal sealed class GuessPace(double price)
{
    /// <summary>A row more in a step of a few streams, from the pace of steps of 1 and of 16 rows of the 135m and 600m shapes: 0.1 to 0.18
    /// of a step.</summary>
    public const double RowPrice = 0.15;

    private const double NewestShare = 0.2;

    /// <summary>Tokens without a guess.</summary>
    private const int FirstPause = 8, LongestPause = 64;

    /// <summary>Part of the guesses that were right lately.</summary>
    private double _right = 0.5;
    private int _most = 2, _pause = FirstPause, _left;

    /// <summary>Guesses of the next step.</summary>
    public int Most => _left > 0 ? 0 : _most;

    /// <summary>A step in which so many were made (those that a draft gave up on included) and so many were right.</summary>
    public void Observe(int made, int right)
    {
        if (made == 0)
        {
            if (_left > 0) _left--;
            return;
        }
        _right += NewestShare * ((double)right / made - _right);
        if (right == made) _most = Math.Min(2 * _most, GenerationSequence.MaxGuesses);
        else if (2 * right < made) _most = Math.Max(_most / 2, 1);
        if (_right >= price)
        {
            _pause = FirstPause;
            return;
        }
        _left = _pause;
        _pause = Math.Min(2 * _pause, LongestPause);
        (_right, _most) = (price, 1); // the first guess after the pause decides
    }
}
