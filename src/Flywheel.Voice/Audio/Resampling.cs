using NAudio.Dsp;

namespace Flywheel.Voice;

/// <summary>The same sound at another number of samples a second: windowed sinc, by NAudio's port of Cockos' WDL resampler.</summary>
public static class Resampling
{
    private const int SincSize = 64, SincSteps = 32, Piece = 4096;

    /// <param name="clip">One channel.</param>
    /// <param name="rate">Samples a second wanted.</param>
    /// <returns>As long as the clip, to the nearest sample.</returns>
    public static Clip Convert(Clip clip, int rate)
    {
        if (rate == clip.Rate || clip.Samples.Length == 0) return clip with { Rate = rate };
        return new Clip(Run(clip.Samples, clip.Rate, rate), rate);
    }

    /// <summary>Played faster or slower: pitch and tempo both times <paramref name="factor"/>.</summary>
    /// <param name="clip">One channel.</param>
    /// <param name="factor">Above 1: higher and shorter.</param>
    public static Clip Varispeed(Clip clip, double factor) =>
        factor == 1 || clip.Samples.Length == 0 ? clip : clip with { Samples = Run(clip.Samples, clip.Rate * factor, clip.Rate) };

    private static float[] Run(float[] input, double from, double to)
    {
        var resampler = new WdlResampler();
        resampler.SetMode(interp: true, filtercnt: 0, sinc: true, SincSize, SincSteps);
        resampler.SetFeedMode(true);
        resampler.SetRates(from, to);
        float[] output = new float[(int)Math.Round(input.Length * to / from)];
        float[] piece = new float[(int)(Piece * Math.Max(1, to / from)) + 64];
        for (int read = 0, written = 0; written < output.Length;)
        {
            int wanted = resampler.ResamplePrepare(Piece, 1, out Span<float> buffer);
            int count = Math.Min(wanted, Math.Max(0, input.Length - read));
            if (count > 0) input.AsSpan(read, count).CopyTo(buffer);
            buffer[count..wanted].Clear(); // silence after the end drives the last samples out of the filter
            read += wanted;
            int made = resampler.ResampleOut(piece, wanted, piece.Length, 1);
            made = Math.Min(made, output.Length - written);
            piece.AsSpan(0, made).CopyTo(output.AsSpan(written));
            written += made;
        }
        return output;
    }
}
