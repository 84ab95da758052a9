namespace Flywheel.Engine;

/// <summary>
/// How many prompt tokens a step may take while streams run: as many as about double the step's time, so that no stream
/// stalls for another's prompt. Only the pace depends on it, never a result.
/// </summary>
internal sealed class PrefillBudget(int most)
{
    private const int Least = 8;

    /// <summary>Weight of the newest measurement.</summary>
    private const double Share = 0.1;

    private double _decodeTicks, _ticksPerPromptToken;

    /// <summary>Prompt tokens of a step in which <paramref name="numDecoding"/> streams take part.</summary>
    public int For(int numDecoding) =>
        numDecoding == 0 || _decodeTicks == 0 || _ticksPerPromptToken == 0 ? most : (int)Math.Clamp(_decodeTicks / _ticksPerPromptToken, Least, most);

    /// <summary>Learns from a step.</summary>
    public void Observe(int numDecoding, int numPromptTokens, long ticks)
    {
        if (numPromptTokens == 0) Blend(ref _decodeTicks, ticks);
        // A step costs at least one pass over the weights, so few prompt tokens say little about the next one's price.
        else if (numPromptTokens >= Least) Blend(ref _ticksPerPromptToken, Math.Max(0, ticks - (numDecoding > 0 ? _decodeTicks : 0)) / numPromptTokens);
    }

    private static void Blend(ref double average, double value) => average = average == 0 ? value : average + Share * (value - average);
}
