namespace Flywheel.Voice;

/// <summary>
/// Lays lines into their times. In this order: silence is trimmed already; a line borrows from the gap after it; a shorter text is taken
/// where one is offered; the lines of a block are all spoken a little faster; what is still too long is flagged, and what follows waits.
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

    /// <summary>What the last line may borrow, after which nothing comes.</summary>
    public static readonly TimeSpan Tail = TimeSpan.FromMilliseconds(150);

    /// <summary>No end.</summary>
    private const long Never = long.MaxValue / 4;

    private readonly IReadOnlyList<FitLine> _lines;
    private readonly long?[] _starts;
    private readonly long[] _limits;
    private readonly int[] _choices;
    private readonly long _minGap, _blockGap, _tail;

    private Fit(IReadOnlyList<FitLine> lines, int sampleRate)
    {
        _lines = lines;
        (_minGap, _blockGap, _tail) = (Time.ToSamples(MinGap, sampleRate), Time.ToSamples(BlockGap, sampleRate), Time.ToSamples(Tail, sampleRate));
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
            while (after < _lines.Count && IsSameBlock(after)) after++;
            // The least speed at which all lines of the block fit: ends come earlier as speed rises, so halving finds it.
            int low = 0, high = _starts[first] is null || Simulate(first, after, 0, end).All(each => each.IsInTime) ? 0 : MaxThousandths;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (Simulate(first, after, middle, end).All(each => each.IsInTime)) high = middle;
                else low = middle + 1;
            }
            placements.AddRange(Simulate(first, after, high, end));
            end = placements[^1].End;
            first = after;
        }
        return placements;
    }

    private bool IsSameBlock(int i) => _starts[i] is { } start && _starts[i - 1] is not null && start - (_lines[i - 1].End ?? _starts[i - 1]!.Value) < _blockGap;

    private List<Placement> Simulate(int first, int after, int thousandths, long end)
    {
        var placements = new List<Placement>(after - first);
        double speed = 1 + thousandths / 1000.0;
        for (int i = first; i < after; i++)
        {
            FitLine line = _lines[i];
            long start = _starts[i] is not { } due ? end + (i > 0 ? line.PauseBefore : 0) : end <= due ? due : end + _minGap;
            long natural = line.Lengths[_choices[i]], length = thousandths == 0 ? natural : (long)Math.Round(natural / speed);
            end = start + length;
            bool isTimed = _starts[i] is not null && _limits[i] < Never;
            placements.Add(new Placement(start, length, speed, _choices[i])
            {
                Natural = natural,
                Slot = isTimed ? Math.Max(0, _limits[i] - _starts[i]!.Value) : null,
                Borrowed = line.End is { } planned && length > 0 ? Math.Clamp(Math.Min(end, _limits[i]) - planned, 0, length) : 0,
                Over = isTimed ? Math.Max(0, length - Math.Max(0, _limits[i] - _starts[i]!.Value)) : 0,
                IsInTime = !isTimed || length == 0 || end <= _limits[i],
                Delay = line.Start is { } wanted ? start - wanted : 0,
            });
        }
        return placements;
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
            long share = before + (long)Math.Round((Math.Max(_lines[i].End ?? start, beforeEnd) - before) * (others / Math.Max(1.0, own + others)));
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
/// <param name="PauseBefore">When it follows on the line before.</param>
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

    /// <summary>It ends where it must have.</summary>
    public required bool IsInTime { get; init; }

    /// <summary>Later than its time, because the line before took it.</summary>
    public required long Delay { get; init; }
}
