using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Sounds for tests, and what is measured on them.</summary>
internal static class Sounds
{
    public static Clip Sine(double hertz, double seconds, int rate = 24_000, float level = .5f)
    {
        float[] samples = new float[(int)Math.Round(seconds * rate)];
        for (int i = 0; i < samples.Length; i++) samples[i] = level * (float)Math.Sin(2 * Math.PI * hertz * i / rate);
        return new Clip(samples, rate);
    }

    /// <summary>Median of the voice's pitch over its voiced pieces, by autocorrelation, in hertz.</summary>
    public static double Pitch(Clip clip, double low = 60, double high = 400)
    {
        int window = clip.Rate / 20, from = (int)(clip.Rate / high), to = (int)(clip.Rate / low);
        var found = new List<double>();
        for (int at = 0; at + window + to < clip.Samples.Length; at += window / 2)
        {
            double energy = Dot(at, at);
            if (energy < window * 1e-3) continue;
            double[] likeness =
                [.. Enumerable.Range(from, to - from + 1)
                    .Select(lag => Dot(at, at + lag) / Math.Sqrt(energy * Dot(at + lag, at + lag) + 1e-12))];
            double best = likeness.Max();
            if (best < .7) continue;
            // The first peak that is nearly the highest: multiples of a period are alike too.
            int peak = Array.FindIndex(likeness, each => each > .93 * best);
            while (peak + 1 < likeness.Length && likeness[peak + 1] > likeness[peak]) peak++;
            found.Add((double)clip.Rate / (from + peak));
        }
        found.Sort();
        return found.Count == 0 ? double.NaN : found[found.Count / 2];

        double Dot(int a, int b)
        {
            double sum = 0;
            for (int i = 0; i < window; i++) sum += clip.Samples[a + i] * clip.Samples[b + i];
            return sum;
        }
    }

    public static double Rms(ReadOnlySpan<float> samples)
    {
        double sum = 0;
        foreach (float sample in samples) sum += (double)sample * sample;
        return Math.Sqrt(sum / Math.Max(1, samples.Length));
    }

    public static void Need(string program)
    {
        if (!Tool.Exists(program)) Assert.Skip($"{program} is not installed");
    }
}

/// <summary>An engine that hums: each letter is a tenth of a second of its own pitch, so tests see what was asked.</summary>
internal sealed class HummingEngine : ISpeechEngine
{
    private int _numCalls;

    public string Version { get; init; } = "1";

    public int NumCalls => _numCalls;

    public List<Utterance> Utterances { get; } = [];

    public string Name => "hum";

    public ExternalProgram Program { get; } = new("sh", "dash");

    public Task<string> VersionAsync(Voice voice, CancellationToken cancellation) => Task.FromResult(Version);

    public Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation) =>
        Task.FromResult<IReadOnlyList<Voice>>([new("hum", "low", "en-us", "male", "Low"), new("hum", "high", "it", "female", "High")]);

    public async Task<Voice?> FindAsync(string name, CancellationToken cancellation) =>
        (await VoicesAsync(cancellation)).FirstOrDefault(voice => voice.Name == name);

    public Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation) =>
        ipa.Contains('q', StringComparison.Ordinal)
            ? throw new Model.FlywheelException($"pronunciation '{ipa}': the voice {voice.Id} has no sound 'q'") : Task.FromResult(ipa);

    public Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _numCalls);
        lock (Utterances) Utterances.Add(utterance);
        var samples = new List<float>(new float[500]);
        foreach (char letter in string.Concat(utterance.Parts.Select(part => part.Ipa ?? part.Text)))
            samples.AddRange(Sounds.Sine(200 + letter % 50 * 10, .1 / utterance.Speed, 16_000).Samples);
        samples.AddRange(new float[700]);
        return Task.FromResult(new Clip([.. samples], 16_000));
    }
}
