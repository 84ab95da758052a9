namespace Flywheel.Voice;

/// <summary>What is measured on a file of speech.</summary>
/// <param name="Seconds">Of the whole.</param>
/// <param name="NumClipped">Samples at the end of their range.</param>
/// <param name="SilentSeconds">In which nothing is louder than <see cref="SilenceDb"/>.</param>
/// <param name="LongestSilence">In seconds.</param>
/// <param name="PeakDb">Of the loudest sample, in dBFS; -120 of silence.</param>
public sealed record SoundCheck(double Seconds, long NumClipped, double SilentSeconds, double LongestSilence, double PeakDb)
{
    /// <summary>Root mean square of a hundredth of a second, below which it counts as silent.</summary>
    public const double SilenceDb = -50;

    /// <summary>Reads the file once, in pieces.</summary>
    /// <exception cref="Model.FlywheelException">It is no WAV file.</exception>
    public static SoundCheck Of(string wav)
    {
        using WavReader reader = WavReader.Open(wav);
        float[] window = new float[Math.Max(1, reader.Rate / 100) * reader.NumChannels];
        double limit = Math.Pow(10, SilenceDb / 20), seconds = 0, silent = 0, run = 0, longest = 0, peak = 0;
        long clipped = 0;
        for (int read; (read = reader.Read(window)) > 0;)
        {
            double sum = 0, length = (double)read / reader.NumChannels / reader.Rate;
            foreach (float sample in window.AsSpan(0, read))
            {
                sum += (double)sample * sample;
                peak = Math.Max(peak, Math.Abs(sample));
                if (Math.Abs(sample) >= 32767f / 32768) clipped++;
            }
            seconds += length;
            run = Math.Sqrt(sum / read) < limit ? run + length : 0;
            if (run > 0) silent += length;
            longest = Math.Max(longest, run);
        }
        return new SoundCheck(Math.Round(seconds, 3), clipped, Math.Round(silent, 2), Math.Round(longest, 2),
            Math.Round(Math.Max(-120, 20 * Math.Log10(peak)), 1));
    }
}
