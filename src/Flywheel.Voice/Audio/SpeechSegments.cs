namespace Flywheel.Voice;

/// <summary>A stretch in which somebody speaks, in seconds.</summary>
public readonly record struct SpeechSegment(double Start, double End)
{
    public double Seconds => End - Start;
}

/// <summary>A recording in frames of equal length, each speech or not.</summary>
/// <param name="Seconds">Of a frame.</param>
/// <param name="IsSpeech">Of each.</param>
/// <param name="Edge">Seconds that speech is taken to go beyond its frames, at both ends.</param>
internal sealed record SpeechFrames(double Seconds, IReadOnlyList<bool> IsSpeech, double Edge);

/// <summary>
/// Where somebody speaks in a recording: by Silero VAD where it is there, else by energy alone, which is louder than the quiet parts by a
/// good
/// measure and hears no difference between speech and music or noise of that loudness: it is for rooms, booths, telephones.
/// </summary>
public static class SpeechSegments
{
    private const double FrameSeconds = .01, AboveFloorDb = 12, LeastDb = -55, ShortestSpeech = .08;

    /// <param name="clip">The recording.</param>
    /// <param name="minPause">Shorter silences are within a segment, in seconds.</param>
    /// <param name="vad">Who hears; null: by energy.</param>
    public static IReadOnlyList<SpeechSegment> Find(Clip clip, double minPause = .25, SileroVad? vad = null) =>
        Join(FramesOf(clip, vad), minPause, clip.Duration.TotalSeconds);

    private static SpeechFrames FramesOf(Clip clip, SileroVad? vad) => vad?.Frames(clip) ?? ByEnergy(clip);

    private static SpeechFrames ByEnergy(Clip clip)
    {
        int frame = Math.Max(1, (int)(FrameSeconds * clip.Rate)), count = clip.Samples.Length / frame;
        if (count == 0) return new SpeechFrames(FrameSeconds, [], Edge: 0);
        double[] level = new double[count];
        for (int i = 0; i < count; i++)
        {
            double sum = 0;
            foreach (float sample in clip.Samples.AsSpan(i * frame, frame)) sum += (double)sample * sample;
            level[i] = 10 * Math.Log10(sum / frame + 1e-12);
        }
        // The floor is what the quietest tenth does not pass; where somebody speaks all the time it is far below the loud parts all the
        // same.
        double[] sorted = [.. level.Order()];
        double floor = sorted[count / 10], loud = sorted[Math.Min(count - 1, count * 95 / 100)];
        double limit = Math.Max(LeastDb, Math.Min(floor + AboveFloorDb, loud - AboveFloorDb));
        return new SpeechFrames(FrameSeconds, [.. level.Select(each => each >= limit)], Edge: .04);
    }

    private static IReadOnlyList<SpeechSegment> Join(SpeechFrames frames, double minPause, double whole)
    {
        var segments = new List<SpeechSegment>();
        for (int i = 0; i < frames.IsSpeech.Count; i++)
        {
            if (!frames.IsSpeech[i]) continue;
            int end = i;
            while (end + 1 < frames.IsSpeech.Count && frames.IsSpeech[end + 1]) end++;
            double from = i * frames.Seconds, to = (end + 1) * frames.Seconds;
            if (segments.Count > 0 && from - segments[^1].End < minPause) segments[^1] = segments[^1] with { End = to };
            else segments.Add(new SpeechSegment(from, to));
            i = end;
        }
        return [.. segments.Where(segment => segment.Seconds >= ShortestSpeech)
            .Select(segment => new SpeechSegment(Math.Max(0, segment.Start - frames.Edge), Math.Min(whole, segment.End + frames.Edge)))];
    }

    /// <summary>
    /// Gives lines their times: each gets segments that follow each other, in order, so that its share of the speech is as near as can be
    /// to its share of
    /// the text. A pause in the middle of a line is the line's; lines without a pause between them are divided by their length.
    /// </summary>
    /// <param name="clip">The recording.</param>
    /// <param name="lines">What is said in it, all of it and in order.</param>
    /// <param name="vad">Who hears; null: by energy.</param>
    /// <exception cref="Model.FlywheelException">Nobody speaks in it.</exception>
    public static IReadOnlyList<VoiceLine> Align(Clip clip, IReadOnlyList<VoiceLine> lines, SileroVad? vad = null)
    {
        if (lines.Count == 0) return [];
        SpeechFrames frames = FramesOf(clip, vad);
        IReadOnlyList<SpeechSegment> segments = [];
        // Pauses between lines may be short: the longest that give enough segments.
        foreach (double pause in new[] { .5, .35, .25, .18, .12, .08 })
            if ((segments = Join(frames, pause, clip.Duration.TotalSeconds)).Count >= 2 * lines.Count) break;
        if (segments.Count == 0) throw new Model.FlywheelException("the recording is silent, so nothing in it can be given to the lines");
        double spoken = segments.Sum(segment => segment.Seconds), letters = lines.Sum(Weight);
        double[] before = [0, .. Sums(segments.Select(segment => segment.Seconds))],
            wanted = [0, .. Sums(lines.Select(line => spoken * Weight(line) / letters))];
        if (segments.Count < lines.Count)
            return [.. lines.Select((line, i) => Timed(line, At(wanted[i], end: false), At(wanted[i + 1], end: true)))];

        // Cuts lie in pauses; long pauses are likelier to be between lines than within one.
        int m = segments.Count, n = lines.Count;
        double[,] cost = new double[n + 1, m + 1];
        int[,] from = new int[n + 1, m + 1];
        for (int i = 0; i <= n; i++)
            for (int j = 0; j <= m; j++) cost[i, j] = i == 0 && j == 0 ? 0 : double.PositiveInfinity;
        for (int i = 1; i <= n; i++)
            for (int j = i; j <= m - (n - i); j++)
                for (int k = i - 1; k < j; k++)
                {
                    double have = before[j] - before[k], want = wanted[i] - wanted[i - 1],
                        pause = j < m ? Math.Min(1, segments[j].Start - segments[j - 1].End) : 1;
                    double total = cost[i - 1, k] + Math.Pow(Math.Log((have + .1) / (want + .1)), 2) - .35 * pause;
                    if (total < cost[i, j]) (cost[i, j], from[i, j]) = (total, k);
                }
        var timed = new VoiceLine[n];
        for (int i = n, j = m; i > 0; j = from[i, j], i--)
            timed[i - 1] = Timed(lines[i - 1], segments[from[i, j]].Start, segments[j - 1].End);
        return timed;

        // The time at which so much has been spoken.
        double At(double seconds, bool end)
        {
            int i = 0;
            while (i + 1 < segments.Count && (end ? before[i + 1] < seconds - 1e-9 : before[i + 1] <= seconds + 1e-9)) i++;
            return Math.Min(segments[i].End, segments[i].Start + seconds - before[i]);
        }

        static double Weight(VoiceLine line) => 2 + line.Text.Count(char.IsLetterOrDigit);

        static VoiceLine Timed(VoiceLine line, double start, double end) =>
            line with { Start = TimeSpan.FromMilliseconds(Math.Round(1000 * start)),
                End = TimeSpan.FromMilliseconds(Math.Round(1000 * Math.Max(end, start))) };

        static IEnumerable<double> Sums(IEnumerable<double> values)
        {
            double sum = 0;
            foreach (double value in values) yield return sum += value;
        }
    }
}
