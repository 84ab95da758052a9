using Flywheel.Data;
using Flywheel.Loop.Tasks;

namespace Flywheel.Loop.Tests;

public sealed class WindowBayesTests
{
    private static readonly (string[] Symbols, string Answer, string? Scored)[] s_items = [(["A", "B", "A"], "HEH", null),
        (["B", "B", "A"], "EEC", "110")];

    /// <remarks>
    /// Of five letters that count (the last of the second item does not) three are E. By a window of one symbol: after A stand two H of
    /// two, after B three E
    /// of three. A: P(H) P(A|H) = 2/5 * 3/5 (with the symbols A, B and none, each count is one more) against 3/5 * 1/6; B: 2/5 * 1/5
    /// against 3/5 * 4/6.
    /// </remarks>
    [Fact]
    public void Predict_ByHand_IsReached()
    {
        Assert.Equal("EEE", new WindowBayes(0, s_items).Predict(["A", "B", "Q"]));
        Assert.Equal("HE", new WindowBayes(1, s_items).Predict(["A", "B"]));
        Assert.Equal(5, new WindowBayes(3, s_items).Predict(["A", "B", "Q", "A", "A"]).Length);
    }

    [Fact]
    public void PerLetter_MarksAndLengths_AreCounted()
    {
        TaskMetric metric = TaskMetric.Named("per-letter");
        var item = new TaskItem("one", new Dictionary<string, string>(), "HHEC", Data.Split.Validation, "", "1101");
        Assert.Equal([2, 3], metric.Count(item, "HCEC"));
        Assert.Equal([1, 3], metric.Count(item, "H"));
        Assert.Equal([3, 4], metric.Count(item with { Scored = null }, "HHECCC"[..3]));
    }
}
