using System.Numerics.Tensors;

namespace Flywheel.Voice;

/// <summary>
/// Faster or slower at the same pitch: waveform similarity overlap-add (Verhelst and Roelands 1993). Short windows are laid closer together
/// or wider apart, each shifted to where it continues best what is there.
/// </summary>
public static class Tempo
{
    private static readonly TimeSpan s_window = TimeSpan.FromMilliseconds(30), s_search = TimeSpan.FromMilliseconds(8);

    /// <param name="clip">One channel.</param>
    /// <param name="speed">Above 1: faster and shorter.</param>
    /// <returns>As long as the clip divided by <paramref name="speed"/>, to the nearest sample.</returns>
    public static Clip Change(Clip clip, double speed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(speed, 0);
        if (speed == 1 || clip.Samples.Length == 0) return clip;
        int half = Math.Max(8, (int)Time.ToSamples(s_window, clip.Rate) / 2), search = (int)Time.ToSamples(s_search, clip.Rate);
        float[] output = new float[(int)Math.Round(clip.Samples.Length / speed)];
        // Silence around, so that a window may begin before the first sample and end after the last.
        int margin = 2 * half + search;
        float[] input = new float[clip.Samples.Length + 2 * margin];
        clip.Samples.CopyTo(input, margin);
        float[] rise = new float[half];
        for (int i = 0; i < half; i++) rise[i] = (float)(0.5 - 0.5 * Math.Cos(Math.PI * (i + 0.5) / half));

        int last = margin; // where the piece that was laid last begins in the input
        input.AsSpan(last, Math.Min(half, output.Length)).CopyTo(output);
        for (int at = half; at < output.Length; at += half)
        {
            // What follows in the input on the piece before, against what is due by now.
            int natural = last + half, due = margin + (int)Math.Round(at * speed);
            int low = Math.Max(0, due - search), high = Math.Min(input.Length - 2 * half, due + search);
            int best = high <= low ? Math.Clamp(low, 0, input.Length - 2 * half) : Closest(input, natural, low, high, half);
            int count = Math.Min(half, output.Length - at);
            for (int i = 0; i < count; i++)
                output[at + i] = input[Math.Min(natural + i, input.Length - 1)] * (1 - rise[i]) + input[best + i] * rise[i];
            last = best;
        }
        return clip with { Samples = output };
    }

    /// <summary>Higher or lower at the same tempo, with the throat of the voice.</summary>
    public static Clip Shift(Clip clip, double semitones)
    {
        double factor = Math.Pow(2, semitones / 12);
        return semitones == 0 ? clip : Resampling.Varispeed(Change(clip, 1 / factor), factor);
    }

    private static int Closest(float[] input, int natural, int low, int high, int length)
    {
        natural = Math.Min(natural, input.Length - length);
        ReadOnlySpan<float> wanted = input.AsSpan(natural, length);
        int best = low;
        float most = float.NegativeInfinity;
        for (int candidate = low; candidate <= high; candidate++)
        {
            ReadOnlySpan<float> piece = input.AsSpan(candidate, length);
            float energy = TensorPrimitives.SumOfSquares(piece);
            float likeness = TensorPrimitives.Dot(wanted, piece) / MathF.Sqrt(energy + 1e-9f);
            if (likeness > most) (most, best) = (likeness, candidate);
        }
        return best;
    }
}
