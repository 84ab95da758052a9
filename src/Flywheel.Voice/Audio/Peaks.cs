namespace Flywheel.Voice;

/// <summary>What a waveform is drawn from: the least and the greatest sample of each column of pixels.</summary>
/// <param name="Min">One a column, -1 to 1.</param>
/// <param name="Max">One a column, never below <paramref name="Min"/>.</param>
/// <param name="Duration">Of the whole sound.</param>
public sealed record Peaks(IReadOnlyList<float> Min, IReadOnlyList<float> Max, TimeSpan Duration)
{
    /// <summary>Two signed bytes a column, the least and the greatest; so rounded that nothing heard is drawn as silence.</summary>
    public byte[] ToBytes()
    {
        byte[] bytes = new byte[2 * Min.Count];
        for (int i = 0; i < Min.Count; i++)
        {
            bytes[2 * i] = (byte)(sbyte)Math.Clamp(Math.Floor(Min[i] * 127), -127, 127);
            bytes[2 * i + 1] = (byte)(sbyte)Math.Clamp(Math.Ceiling(Max[i] * 127), -127, 127);
        }
        return bytes;
    }

    /// <summary>Of a WAV file of any length, read piece by piece; all channels together.</summary>
    /// <param name="path">The file.</param>
    /// <param name="numColumns">Columns of pixels, at least 1. Columns without a sample are 0.</param>
    /// <exception cref="Model.FlywheelException">There is no such file, or it is no WAV file.</exception>
    public static Peaks OfFile(string path, int numColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(numColumns, 1);
        using WavReader reader = WavReader.Open(path);
        var columns = new Columns(numColumns, reader.NumFrames!.Value);
        float[] piece = new float[8192 * reader.NumChannels];
        long frame = 0;
        for (int read; (read = reader.Read(piece)) > 0; frame += read / reader.NumChannels)
            for (int i = 0; i < read; i++) columns.Add(frame + i / reader.NumChannels, piece[i]);
        return columns.ToPeaks(reader.Rate);
    }

    /// <inheritdoc cref="OfFile"/>
    public static Peaks Of(Clip clip, int numColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(numColumns, 1);
        var columns = new Columns(numColumns, clip.Samples.Length);
        for (int i = 0; i < clip.Samples.Length; i++) columns.Add(i, clip.Samples[i]);
        return columns.ToPeaks(clip.Rate);
    }

    private sealed class Columns(int numColumns, long numFrames)
    {
        private readonly float[] _min = new float[numColumns], _max = new float[numColumns];
        private readonly bool[] _seen = new bool[numColumns];

        public void Add(long frame, float sample)
        {
            int column = (int)(frame * numColumns / numFrames);
            (_min[column], _max[column]) = _seen[column]
                ? (Math.Min(_min[column], sample), Math.Max(_max[column], sample)) : (sample, sample);
            _seen[column] = true;
        }

        public Peaks ToPeaks(int rate) => new(_min, _max, Time.OfSamples(numFrames, rate));
    }
}
