namespace Flywheel.Voice;

/// <summary>Where lines lie: at their time, or after the one before; no two at once.</summary>
internal static class Timeline
{
    /// <summary>Between lines that have no times.</summary>
    public static readonly TimeSpan UsualPause = TimeSpan.FromMilliseconds(350);

    /// <param name="project">Its lines.</param>
    /// <param name="lengths">Samples of each.</param>
    /// <returns>The sample at which each begins.</returns>
    public static IReadOnlyList<long> Place(VoiceProject project, IReadOnlyList<long> lengths)
    {
        long[] starts = new long[lengths.Count];
        long end = 0;
        for (int i = 0; i < starts.Length; i++)
        {
            TimeSpan pause = i > 0 ? project.Lines[i - 1].Pause ?? UsualPause : TimeSpan.Zero;
            starts[i] = project.Lines[i].Start is { } start ? Math.Max(end, Time.ToSamples(start, project.SampleRate)) : end + Time.ToSamples(pause, project.SampleRate);
            end = starts[i] + lengths[i];
        }
        return starts;
    }
}
