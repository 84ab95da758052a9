namespace Flywheel.Voice;

/// <summary>
/// Lays lines into their times. In this order: silence is trimmed already; a line borrows from the gap after it; a shorter text is taken
/// where one is offered; the lines of a block are all spoken a little faster; what no speed can save is flagged, and what follows waits.
/// Nothing is ever slowed down, cut or laid over another.
/// </summary>
/// <remarks>All in samples, so that the same lines always give the same sound.</remarks>
internal sealed class Fit
{
    /// <summary>The greatest speed, above 1: faster speech sounds hurried.</summary>
    public const int MaxThousandths = 200;

    /// <summary>Stays free before the next line when one borrows.</summary>
    public static readonly TimeSpan MinGap = TimeSpan.FromMilliseconds(120);

    /// <summary>After so long a silence another speed is not noticed: a new block begins.</summary>
    public static readonly TimeSpan BlockGap = TimeSpan.FromMilliseconds(1500);

    /// <summary>Nor after so long a talk.</summary>
    public static readonly TimeSpan BlockLength = TimeSpan.FromSeconds(30);

    /// <summary>What the last line may borrow, after which nothing comes.</summary>
    public static readonly TimeSpan Tail = TimeSpan.FromMilliseconds(150);

    /// <summary>No end.</summary>
    private const long Never = long.MaxValue / 4;

    private readonly IReadOnlyList<FitLine> _lines;
    private readonly long?[] _starts;
    private readonly long[] _limits;
    private readonly int[] _choices;
    private readonly long _minGap, _blockGap, _blockLength, _tail;

    private Fit(IReadOnlyList<FitLine> lines, int sampleRate)
    {
        _lines = lines;
        (_minGap, _blockGap, _blockLength, _tail) = (Time.ToSamples(MinGap, sampleRate), Time.ToSamples(BlockGap, sampleRate),
            Time.ToSamples(BlockLength, sampleRate), Time.ToSamples(Tail, sampleRate));
        _starts = Starts();
        _limits = [.. lines.Select((_, i) => Limit(i))];
        _choices = [.. lines.Select((_, i) => Choice(i))];
    }

    /// <param name="lines">In order; those with times by their starts.</param>
    /// <param name="sampleRate">Of all numbers of samples.</param>
    /// <returns>Where each line lies.</returns>
    public static IReadOnlyList<Placement> Place(IReadOnlyList<FitLine> lines, int sampleRate) => new Fit(lines, sampleRate).Run();

    /// <summary>Whether a line's first text is too long for its time as it is spoken naturally, so that a shorter one is of use.</summary>
    public static IReadOnlyList<bool> NeedsShorter(IReadOnlyList<FitLine> lines, int sampleRate)
    {
        var fit = new Fit(lines, sampleRate);
        return [.. lines.Select((line, i) => fit._starts[i] is { } start && line.Lengths[0] > fit._limits[i] - start)];
    }

    private IReadOnlyList<Placement> Run()
    {
        var placements = new List<Placement>(_lines.Count);
        long end = 0;
        for (int first = 0; first < _lines.Count;)
        {
            int after = first + 1;
            while (after < _lines.Count && IsSameBlock(first, after)) after++;
            // What no speed can save must not hurry the others.
            int together = Enumerable.Range(first, after - first).Select(Needed).Where(needed => needed is not null).Max() ?? 0;
            for (int i = first; i < after; i++)
            {
                placements.Add(Lay(i, Needed(i) is null ? MaxThousandths : together, end));
                end = placements[^1].End;
            }
            first = after;
        }
        return placements;
    }

    private bool IsSameBlock(int first, int i) => _starts[i] is { } start && _starts[i - 1] is not null
        && start - (_lines[i - 1].End ?? _starts[i - 1]!.Value) < _blockGap && start - _starts[first]!.Value < _blockLength;

    /// <summary>The least speed, in thousandths above 1, at which a line fits its time; null when the greatest does not do.</summary>
    private int? Needed(int i)
    {
        if (Slot(i) is not { } slot) return 0;
        // Lengths fall as speed rises, so halving finds it.
        long natural = _lines[i].Lengths[_choices[i]];
        if (Spoken(natural, MaxThousandths) > slot) return null;
        int low = 0, high = MaxThousandths;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Spoken(natural, middle) <= slot) high = middle;
            else low = middle + 1;
        }
        return high;
    }

    private static double Speed(int thousandths) => 1 + thousandths / 1000.0;

    private static long Spoken(long natural, int thousandths) =>
        thousandths == 0 ? natural : (long)Math.Round(natural / Speed(thousandths));

    /// <summary>What a line may take; null when nothing bounds it.</summary>
    private long? Slot(int i) => _starts[i] is { } start && _limits[i] < Never ? Math.Max(0, _limits[i] - start) : null;

    private Placement Lay(int i, int thousandths, long end)
    {
        FitLine line = _lines[i];
        long start = _starts[i] is not { } due ? end + line.PauseBefore : end <= due ? due : end + _minGap;
        long natural = line.Lengths[_choices[i]], length = Spoken(natural, thousandths);
        long? slot = Slot(i);
        return new Placement(start, length, Speed(thousandths), _choices[i])
        {
            Natural = natural,
            Slot = slot,
            Borrowed = line.End is { } planned ? Math.Clamp(Math.Min(start + length, _limits[i]) - planned, 0, length) : 0,
            Over = slot is { } most ? Math.Max(0, length - most) : 0,
            Delay = line.Start is { } wanted ? start - wanted : 0,
        };
    }

    /// <summary>When lines begin: at their times; of two that overlap, the time of both is divided by their lengths.</summary>
    private long?[] Starts()
    {
        long?[] starts = [.. _lines.Select(line => line.Start)];
        for (int i = 1; i < starts.Length; i++)
        {
            if (starts[i] is not { } start || starts[i - 1] is not { } before) continue;
            long beforeEnd = _lines[i - 1].End ?? before;
            if (start >= beforeEnd) continue;
            long own = _lines[i].Lengths[0], others = _lines[i - 1].Lengths[0];
            long share =
                before + (long)Math.Round((Math.Max(_lines[i].End ?? start, beforeEnd) - before) * (others / Math.Max(1.0, own + others)));
            starts[i] = Math.Max(start, Math.Min(share, beforeEnd));
        }
        return starts;
    }

    /// <summary>Where a line must have ended.</summary>
    private long Limit(int i)
    {
        if (_starts[i] is not { } start) return Never;
        long? planned = _lines[i].End;
        if (i + 1 == _lines.Count) return planned + _tail ?? Never;
        if (_starts[i + 1] is not { } next) return Never; // the next follows whenever this ends
        long gapEnd = next - _minGap;
        if (planned is not { } end) return Math.Max(start, gapEnd);
        return Math.Max(start, gapEnd > end ? gapEnd : Math.Min(end, next));
    }

    /// <summary>The longest text that fits naturally; else the longest that fits at the greatest speed; else the shortest.</summary>
    private int Choice(int i)
    {
        FitLine line = _lines[i];
        if (_starts[i] is not { } start || line.Lengths.Count == 1) return 0;
        long slot = _limits[i] - start;
        if (line.Lengths[0] <= slot) return 0;
        int[] longestFirst = [.. Enumerable.Range(0, line.Lengths.Count).OrderByDescending(each => line.Lengths[each])];
        foreach (double speed in new[] { 1, 1 + MaxThousandths / 1000.0 })
            foreach (int each in longestFirst)
                if (line.Lengths[each] / speed <= slot) return each;
        return longestFirst[^1];
    }
}

/// <summary>A line that is to be laid, in samples.</summary>
/// <param name="Start">Null when it follows on the line before.</param>
/// <param name="End">When it should have ended.</param>
/// <param name="Lengths">Of its text as it is spoken naturally, then of shorter ones.</param>
/// <param name="PauseBefore">When it has no start: after the line before, or at the beginning.</param>
internal sealed record FitLine(long? Start, long? End, IReadOnlyList<long> Lengths, long PauseBefore = 0);

/// <summary>Where a line lies, in samples.</summary>
/// <param name="Start">First sample.</param>
/// <param name="Length">As it is spoken.</param>
/// <param name="Speed">1 to 1.2.</param>
/// <param name="Choice">0 is the line's text, 1 its first shorter one.</param>
internal sealed record Placement(long Start, long Length, double Speed, int Choice)
{
    public long End => Start + Length;

    /// <summary>Of the chosen text at speed 1.</summary>
    public required long Natural { get; init; }

    /// <summary>What it could take, the gap after it included; null when nothing bounds it.</summary>
    public required long? Slot { get; init; }

    /// <summary>Of the gap after its time.</summary>
    public required long Borrowed { get; init; }

    /// <summary>What it takes more than its slot; that of a line which only waits for the one before is 0.</summary>
    public required long Over { get; init; }

    /// <summary>Later than its time, because the line before took it.</summary>
    public required long Delay { get; init; }
}
