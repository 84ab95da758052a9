namespace Flywheel.Voice;

/// <summary>A short sound in memory, one channel.</summary>
/// <param name="Samples">From -1 to 1.</param>
/// <param name="Rate">Samples a second.</param>
public sealed record Clip(float[] Samples, int Rate)
{
    /// <summary>Speech engines end with quieter noise than this (-60 dB).</summary>
    private const float Silence = 1e-3f;

    /// <summary>What stays before and after the first and last loud sample, so that no consonant is cut.</summary>
    private static readonly TimeSpan s_edge = TimeSpan.FromMilliseconds(8);

    public TimeSpan Duration => Time.OfSamples(Samples.Length, Rate);

    /// <summary>Without the silence at both ends; empty when all is silence.</summary>
    public Clip Trim()
    {
        int first = Array.FindIndex(Samples, IsLoud);
        if (first < 0) return this with { Samples = [] };
        int edge = (int)Time.ToSamples(s_edge, Rate), last = Array.FindLastIndex(Samples, IsLoud);
        int start = Math.Max(0, first - edge), end = Math.Min(Samples.Length, last + 1 + edge);
        return this with { Samples = Samples[start..end] };

        static bool IsLoud(float sample) => Math.Abs(sample) > Silence;
    }

    /// <summary>Louder or quieter; samples stay within -1 to 1.</summary>
    public Clip Gain(double decibels)
    {
        if (decibels == 0) return this;
        double factor = Math.Pow(10, decibels / 20);
        return this with { Samples = Array.ConvertAll(Samples, sample => (float)Math.Clamp(sample * factor, -1, 1)) };
    }
}

/// <summary>Times and sample counts: one rounding everywhere, so that no sample is lost between two sums.</summary>
internal static class Time
{
    /// <summary>The nearest sample.</summary>
    public static long ToSamples(TimeSpan time, int rate) =>
        (long)Math.Round((decimal)time.Ticks * rate / TimeSpan.TicksPerSecond, MidpointRounding.AwayFromZero);

    public static TimeSpan OfSamples(long numSamples, int rate) =>
        TimeSpan.FromTicks((long)Math.Round((decimal)numSamples * TimeSpan.TicksPerSecond / rate, MidpointRounding.AwayFromZero));
}
