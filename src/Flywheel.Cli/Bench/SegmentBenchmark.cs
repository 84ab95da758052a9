using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli.Bench;

/// <summary>How well stretches of speech are found.</summary>
/// <param name="Found">Share of those that were found as one, and as no part of another.</param>
/// <param name="MedianMs">Of the distances of their borders.</param>
/// <param name="NinetiethMs">Of nine in ten at most.</param>
/// <param name="FalseSeconds">Of each minute of what is no speech, taken for it.</param>
internal sealed record SegmentFigures(double Found, double MedianMs, double NinetiethMs, double FalseSeconds);

/// <summary>Recordings of people with measured silence between them, in noise.</summary>
internal static class SegmentBenchmark
{
    private const int PerLanguage = 60;

    /// <summary>Pauses within a prompt would be true ones that nobody measured; those that are asked for are longer.</summary>
    private const double MinPause = .3, Rate = 16_000;

    /// <summary>What is laid over the speech, by name.</summary>
    public static IReadOnlyList<(string Name, double Decibels, Func<Random, int, float[]> Make)> Noises { get; } =
    [
        ("none", double.PositiveInfinity, (_, count) => new float[count]), ("white, 20 dB", 20, White), ("white, 10 dB", 10, White),
        ("pink, 10 dB", 10, Pink), ("chords, 10 dB", 10, Chords),
    ];

    /// <summary>Prompts of all languages one after another, and where each is.</summary>
    public static (float[] Samples, IReadOnlyList<SpeechSegment> Truth) Speech(Prompts prompts, int seed)
    {
        var random = new Random(seed);
        var samples = new List<float>(new float[(int)Rate]);
        var truth = new List<SpeechSegment>();
        foreach (string language in Prompts.Languages)
        {
            int used = 0;
            foreach (string id in prompts.Texts(language).Keys.Order(StringComparer.Ordinal).OrderBy(_ => random.Next()))
            {
                if (used == PerLanguage) break;
                if (prompts.Sound(language, id) is not { } clip || Bare(Resampling.Convert(clip, (int)Rate)) is not { } bare) continue;
                used++;
                truth.Add(new SpeechSegment(samples.Count / Rate, (samples.Count + bare.Length) / Rate));
                samples.AddRange(bare);
                samples.AddRange(new float[(int)(Rate * (.45 + random.NextDouble()))]);
            }
        }
        return ([.. samples], truth);
    }

    public static SegmentFigures Measure(float[] speech, IReadOnlyList<SpeechSegment> truth, float[] noise, double decibels, SileroVad? vad)
    {
        double power =
            truth.Sum(segment => Power(speech.AsSpan((int)(segment.Start * Rate), (int)(segment.Seconds * Rate))))
                / truth.Sum(segment => segment.Seconds * Rate);
        float scale = double.IsPositiveInfinity(decibels)
            ? 0 : (float)Math.Sqrt(power / (Power(noise) / noise.Length) / Math.Pow(10, decibels / 10));
        float[] mixed = [.. speech.Zip(noise, (a, b) => a + scale * b)];
        IReadOnlyList<SpeechSegment> found = SpeechSegments.Find(new Clip(mixed, (int)Rate), MinPause, vad);
        var errors = new List<double>();
        foreach (SpeechSegment segment in truth)
        {
            SpeechSegment[] over = [.. found.Where(each => Overlap(each, segment) > 0)];
            if (over.Length != 1 || truth.Count(each => Overlap(each, over[0]) > 0) != 1) continue;
            errors.AddRange([Math.Abs(over[0].Start - segment.Start), Math.Abs(over[0].End - segment.End)]);
        }
        double silent = speech.Length / Rate - truth.Sum(segment => segment.Seconds),
            wrong = found.Sum(each => each.Seconds) - found.Sum(each => truth.Sum(segment => Math.Max(0, Overlap(each, segment))));
        double[] sorted = [.. errors.Order()];
        return new SegmentFigures(errors.Count / 2.0 / truth.Count, sorted.Length == 0 ? double.NaN : 1000 * sorted[sorted.Length / 2],
            sorted.Length == 0 ? double.NaN : 1000 * sorted[(int)(.9 * (sorted.Length - 1))], wrong / silent * 60);
    }

    private static double Overlap(SpeechSegment a, SpeechSegment b) => Math.Min(a.End, b.End) - Math.Max(a.Start, b.Start);

    private static double Power(ReadOnlySpan<float> samples)
    {
        double sum = 0;
        foreach (float sample in samples) sum += (double)sample * sample;
        return sum;
    }

    /// <summary>From the first to the last hundredth of a second within 35 dB of its loud parts; null of one that is short or
    /// pauses.</summary>
    private static float[]? Bare(Clip clip)
    {
        const int frame = (int)(Rate / 100);
        double[] levels =
            [.. Enumerable.Range(0, clip.Samples.Length / frame)
                .Select(i => 10 * Math.Log10(Power(clip.Samples.AsSpan(i * frame, frame)) / frame + 1e-12))];
        if (levels.Length < 50) return null;
        double limit = levels.Order().ElementAt(levels.Length * 95 / 100) - 35;
        int first = Array.FindIndex(levels, level => level > limit), last = Array.FindLastIndex(levels, level => level > limit), quiet = 0,
            longest = 0;
        for (int i = first; i <= last; i++) longest = Math.Max(longest, quiet = levels[i] > limit ? 0 : quiet + 1);
        return last - first < 50 || longest > 15 ? null : clip.Samples[(first * frame)..((last + 1) * frame)];
    }

    private static float[] White(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(2 * random.NextDouble() - 1))];

    /// <summary>Each octave as loud as the next: sums of white noises that change half as often each (Voss and McCartney).</summary>
    private static float[] Pink(Random random, int count)
    {
        float[] rows = new float[16], noise = new float[count];
        for (int i = 0; i < count; i++)
        {
            rows[Math.Min(15, System.Numerics.BitOperations.TrailingZeroCount(i + 1))] = (float)(2 * random.NextDouble() - 1);
            noise[i] = rows.Sum();
        }
        return noise;
    }

    /// <summary>A piece for an organ: four voices of five partials, a chord of half a second to a second and a half after
    /// another.</summary>
    private static float[] Chords(Random random, int count)
    {
        float[] music = new float[count];
        for (int at = 0; at < count;)
        {
            int length = Math.Min(count - at, (int)(Rate * (.5 + random.NextDouble())));
            double[] tones = [.. Enumerable.Range(0, 4).Select(_ => 110 * Math.Pow(2, random.Next(36) / 12.0))];
            for (int i = 0; i < length; i++)
                foreach (double tone in tones)
                    for (int partial = 1; partial <= 5; partial++)
                        music[at + i] += (float)(Math.Sin(2 * Math.PI * tone * partial * i / Rate) / partial
                            * Math.Min(1, Math.Min(i, length - i) / 400.0));
            at += length;
        }
        return music;
    }
}
