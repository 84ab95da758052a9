namespace Flywheel.Engine;

/// <summary>
/// How many prompt tokens a step may take while streams run, so that no stream stalls for another's prompt: a controller
/// that holds the step at <see cref="Stretch"/> times one without prompts. It learns from the steps themselves, because a
/// prompt token's price depends on the model, the machine, how many there are and how long the prompt has become. Only the
/// pace depends on it, never a result.
/// </summary>
internal sealed class PrefillBudget(int most)
{
    /// <summary>Below two, which is what the slowest steps should stay within.</summary>
    private const double Stretch = 1.7;

    /// <summary>So many always: a prompt must come to its end.</summary>
    private const int Least = 4;

    /// <summary>Too many are corrected at once, too few slowly: one cheap step says little about the next.</summary>
    private const double Down = 0.5, Up = 0.1;

    /// <summary>Weight of the newest step without prompts.</summary>
    private const double NewestShare = 0.1;

    private double _decodeTicks, _tokens = 2 * Least;

    /// <summary>Prompt tokens of a step in which <paramref name="numDecoding"/> streams take part.</summary>
    public int For(int numDecoding) => numDecoding == 0 ? most : (int)_tokens;

    /// <summary>Learns from a step.</summary>
    public void Observe(int numDecoding, int numPromptTokens, long ticks)
    {
        if (numDecoding == 0) return;
        if (numPromptTokens == 0)
        {
            _decodeTicks = _decodeTicks == 0 ? ticks : _decodeTicks + NewestShare * (ticks - _decodeTicks);
            return;
        }
        if (_decodeTicks == 0 || numPromptTokens < Math.Min(Least, _tokens)) return; // the end of a prompt
        double extra = Math.Max(ticks - _decodeTicks, 0.01 * _decodeTicks), wanted = numPromptTokens * (Stretch - 1) * _decodeTicks / extra;
        // A step in which the machine did something else says little too: half or double at most.
        wanted = Math.Clamp(wanted, _tokens / 2, _tokens * 2);
        _tokens = Math.Clamp(_tokens + (wanted < _tokens ? Down : Up) * (wanted - _tokens), Least, most);
    }
}
