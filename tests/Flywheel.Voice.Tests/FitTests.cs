using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class FitTests
{
    private const int Rate = 1000; // a sample is a millisecond

    private static readonly long s_minGap = 120, s_tail = 150;

    /// <summary>Cues in order, some of which overlap, some without an end or a time; texts from far too short to far too long.</summary>
    private static readonly Gen<FitLine[]> s_lines =
        Gen.Select(Gen.Int[-400, 4000], Gen.Int[0, 6000], Gen.Int[0, 9000], Gen.Int[0, 9],
            Gen.Int[1, 100].Array[0, 3]).Array[0, 30].Select(rows =>
    {
        var lines = new List<FitLine>();
        long last = 0, end = 0;
        foreach ((int gap, int length, int natural, int kind, int[] shares) in rows)
        {
            long start = Math.Max(last, end + gap);
            (last, end) = (start, start + length);
            long[] lengths = [natural, .. shares.Select(share => (long)natural * share / 100)];
            lines.Add(kind == 0 ? new FitLine(null, null, lengths, 350) : kind == 1
                ? new FitLine(start, null, lengths) : new FitLine(start, end, lengths));
        }
        return lines.ToArray();
    });

    [Fact]
    public void Place_OfAnyLines_NeverOverlapsSlowsOrHurries() => s_lines.Sample(lines =>
    {
        IReadOnlyList<Placement> placed = Fit.Place(lines, Rate);
        Assert.Equal(lines.Length, placed.Count);
        for (int i = 0; i < placed.Count; i++)
        {
            Placement at = placed[i];
            Assert.InRange(at.Speed, 1, 1.2);
            Assert.Equal(lines[i].Lengths[at.Choice], at.Natural);
            Assert.Equal((long)Math.Round(at.Natural / at.Speed), at.Length);
            if (i > 0)
                Assert.True(at.Start >= placed[i - 1].End, $"line {i} begins at {at.Start}, the one before ends at {placed[i - 1].End}");
            if (lines[i].Start is { } start) Assert.True(at.Start >= start, $"line {i} begins at {at.Start}, before its time {start}");
            Assert.True(at.Borrowed >= 0 && at.Over >= 0 && at.Delay >= 0);
        }
        Assert.Equal(placed, Fit.Place(lines, Rate));
    }, iter: Fuzz.Iterations(3000));

    [Fact]
    public void Place_OfLinesThatFit_BeginsEachAtItsTimeAndKeepsTheGap() =>
    s_lines.Where(lines => lines.Length > 0 && lines.All(line => line.Start is not null)).Sample(lines =>
    {
        lines = [
            .. lines.Select((line, i) => i + 1 < lines.Length
                ? line with { End = Math.Min(line.End ?? line.Start!.Value, lines[i + 1].Start!.Value) } : line)];
        IReadOnlyList<Placement> placed = Fit.Place(lines, Rate);
        if (placed.Any(at => at.Over > 0)) return;
        for (int i = 0; i < lines.Length; i++)
        {
            Assert.Equal((lines[i].Start!.Value, 0L), (placed[i].Start, placed[i].Delay));
            if (i + 1 < lines.Length) Assert.True(placed[i].End <= Math.Max(lines[i].End ?? 0, lines[i + 1].Start!.Value - s_minGap));
            else if (lines[i].End is { } end) Assert.True(placed[i].End <= end + s_tail); // drift at the end
        }
    }, iter: Fuzz.Iterations(3000));

    [Fact]
    public void Place_OfALineThatIsAloneInTime_IsFlaggedExactlyWhenNoTextFits() =>
        Gen.Select(Gen.Int[0, 5000], Gen.Int[1, 9000], Gen.Int[1, 9000].Array[0, 3]).Sample((length, natural, others) =>
        {
            Placement at = Fit.Place([new FitLine(1000, 1000 + length, [natural, .. others.Select(other => (long)other)])], Rate)[0];
            long slot = length + s_tail, shortest = Math.Min(natural, others.DefaultIfEmpty(natural).Min());
            Assert.Equal(Math.Round(shortest / 1.2) > slot, at.Over > 0);
            if (natural <= slot) Assert.Equal((0, 1.0), (at.Choice, at.Speed)); // what fits stays as it is
            if (shortest <= slot) Assert.Equal(1, at.Speed); // shorter words before faster speech
        }, iter: Fuzz.Iterations(2000));

    [Fact]
    public void Place_OfABlock_HasOneSpeedAndTheNextItsOwn()
    {
        IReadOnlyList<Placement> placed = Fit.Place([
            new FitLine(0, 1000, [900]), new FitLine(1000, 2000, [1100]), new FitLine(2100, 3000, [500]),
            new FitLine(6000, 7000, [800]), new FitLine(7000, 7500, [500])], Rate);
        Assert.Equal([1.1, 1.1, 1.1, 1, 1], placed.Select(at => at.Speed));
        Assert.All(placed, at => Assert.Equal(0, at.Over));
    }

    [Fact]
    public void Place_OfALineThatNoSpeedSaves_DoesNotHurryTheOthers()
    {
        IReadOnlyList<Placement> placed = Fit.Place([
            new FitLine(0, 1000, [1050]), new FitLine(1000, 2000, [2000]), new FitLine(2000, 4000, [500]), new FitLine(4000, 5000, [1000])],
            Rate);
        Assert.Equal([1.05, 1.2, 1.05, 1.05], placed.Select(at => at.Speed));
        Assert.Equal([0L, 667, 0, 0], placed.Select(at => at.Over));
        Assert.Equal([0L, 0, 787, 0], placed.Select(at => at.Delay)); // and the time that others leave makes up for it
    }

    [Fact]
    public void Place_OfTheOrderOfRemedies_BorrowsShortensSpeedsAndFlags()
    {
        // Borrows from the gap: 1000 + 500 - 120 are there.
        Placement borrowed = Fit.Place([new FitLine(0, 1000, [1300, 900]), new FitLine(1500, 2000, [100])], Rate)[0];
        Assert.Equal((0, 1.0, 300L), (borrowed.Choice, borrowed.Speed, borrowed.Borrowed));
        // The longest of the shorter texts that fits.
        Assert.Equal(2, Fit.Place([new FitLine(0, 1000, [1600, 1450, 1350, 800]), new FitLine(1500, 2000, [100])], Rate)[0].Choice);
        // None fits naturally: the longest that fits at 1.2, and no faster than needed.
        Placement faster = Fit.Place([new FitLine(0, 1000, [1800, 1450]), new FitLine(1500, 2000, [100])], Rate)[0];
        Assert.Equal((1, 1.051), (faster.Choice, Math.Round(faster.Speed, 3)));
        // Too long all the same: flagged with what is too much, and the next line waits.
        IReadOnlyList<Placement> late = Fit.Place([new FitLine(0, 1000, [3000]), new FitLine(1500, 2000, [100])], Rate);
        Assert.Equal((2500L, 2500L - 1380), (late[0].Length, late[0].Over));
        Assert.Equal((2620L, 1120L), (late[1].Start, late[1].Delay));
    }

    [Fact]
    public void Place_OfCuesAtOneTime_SharesIt()
    {
        IReadOnlyList<Placement> placed = Fit.Place([new FitLine(0, 2000, [900]), new FitLine(0, 2000, [900])], Rate);
        Assert.Equal((0L, 1000L, 0L), (placed[0].Start, placed[1].Start, placed[1].Over));
    }
}
