using CsCheck;
using Flywheel.Data;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Tests;

/// <summary>Metrics against values that were worked out by hand from their definitions.</summary>
public sealed class TaskMetricTests
{
    private static TaskItem Item(string answer, params (string Name, string Value)[] fields) =>
        new("item", fields.ToDictionary(field => field.Name, field => field.Value), answer, Data.Split.Validation, "");

    private static double Score(string metric, params (string Output, string Answer)[] items)
    {
        TaskMetric named = TaskMetric.Named(metric);
        double[][] counts = [.. items.Select(item => named.Count(Item(item.Answer), item.Output))];
        return named.Score([.. Enumerable.Range(0, counts[0].Length).Select(k => counts.Sum(count => count[k]))]);
    }

    /// <remarks>
    /// "ab" for "abc": of orders one and two both precisions are 1, the recalls 2/3 and 1/2, so 7/12 on average, and F2 = 5 (7/12) / (4 +
    /// 7/12) = 35/55.
    /// "abcd" for "abce": precision and recall are 3/4, 2/3, 1/2, 0: 23/48 on average. "a b" is "ab": white space is left out.
    /// Two items: sums first. "a" for "b" and "ab" for "ab": order one has 2 of 3, order two 1 of 1, so 5/6.
    /// </remarks>
    [Fact]
    public void ChrF_WorkedExamples_AreReached()
    {
        Assert.Equal(100 * 35.0 / 55, Score("chrf", ("ab", "abc")), 10);
        Assert.Equal(100 * 23.0 / 48, Score("chrf", ("abcd", "abce")), 10);
        Assert.Equal(100, Score("chrf", ("a b", "ab")), 10);
        Assert.Equal(100 * 5.0 / 6, Score("chrf", ("a", "b"), ("ab", "ab")), 10);
        Assert.Equal(0, Score("chrf", ("xyz", "abc")));
        Assert.Equal(0, Score("chrf", ("", "abc")));
        Assert.Equal(100, Score("chrf", ("轮子在转", "轮子在转")), 10);
    }

    /// <remarks>Of "the cat sat on the mat" and "the cat sit on mat": one substitution and one deletion, of six words (2/6).</remarks>
    [Fact]
    public void ErrorRates_WorkedExamples_AreReached()
    {
        Assert.Equal(2.0 / 6, Score("word-error", ("the cat sit on mat", "the cat sat on the mat")), 10);
        Assert.Equal(1.0 / 3, Score("symbol-error", ("K AE0 T", "K AE1 T")), 10);
        Assert.Equal(2.0 / 5, Score("symbol-error", ("K AE0 T", "K AE1 T"), ("D", "D AO1")), 10); // edits of all by the length of all
        Assert.Equal(3.0 / 7, Score("character-error", ("kitten", "sitting")), 10); // Levenshtein's own example
        Assert.Equal(2, Score("word-error", ("a b c", "a")), 10); // more than all
        Assert.Equal(0.5, Score("exact", ("a", "a"), ("A", "a")));
    }

    [Fact]
    public void Copy_NameFactsAndForeignWords_AreCounted()
    {
        TaskItem item = Item("", ("name", "Quill"), ("facts", "writes in Markdown\nworks offline"));
        Assert.Equal([1, 1], TaskMetric.Named("name-exact").Count(item, "Quill writes in Markdown."));
        Assert.Equal([0.5, 1], TaskMetric.Named("facts-restated").Count(item, "Quill writes in Markdown."));
        Assert.Equal([0, 1], TaskMetric.Named("nothing-foreign").Count(item, "Try Quill with Berlin."));
        Assert.Equal([0, 1], TaskMetric.Named("nothing-foreign").Count(item, ""));
    }

    /// <summary>A metric of distance: none to itself, the same both ways, never more than the longer, and the triangle holds.</summary>
    [Fact]
    public void Distance_AnySequences_IsAMetricAndKeepsToItsBound()
    {
        Gen<string> text = Gen.String[Gen.Char["abc"], 0, 8];
        Gen.Select(text, text, text, Gen.Int[0, 8]).Sample((a, b, c, bound) =>
        {
            int ab = Edits.Distance<char>(a, b);
            Assert.Equal(0, Edits.Distance<char>(a, a));
            Assert.Equal(ab, Edits.Distance<char>(b, a));
            Assert.InRange(ab, Math.Abs(a.Length - b.Length), Math.Max(a.Length, b.Length));
            Assert.True(Edits.Distance<char>(a, c) <= ab + Edits.Distance<char>(b, c));
            int bounded = Edits.Distance<char>(a, b, bound);
            Assert.True(ab <= bound ? bounded == ab : bounded > bound);
            Assert.Equal(ab, Edits.Distance([.. a.Select(letter => letter.ToString())], [.. b.Select(letter => letter.ToString())]));
        }, iter: 2000);
    }

    /// <remarks>Wilson's interval for 8 of 10 is 0.490 to 0.943, for 0 of 10 it is 0 to 0.278 (Brown, Cai, DasGupta 2001).</remarks>
    [Fact]
    public void Measure_Shares_HaveWilsonsInterval()
    {
        TaskMetric exact = TaskMetric.Named("exact");
        Interval eight = exact.Measure([.. Enumerable.Range(0, 10).Select(i => new double[] { i < 8 ? 1 : 0, 1 })], 1),
            none = exact.Measure([.. Enumerable.Range(0, 10).Select(_ => new double[] { 0, 1 })], 1);
        Assert.Equal((0.8, 0.490, 0.943), (eight.Estimate, Math.Round(eight.Low, 3), Math.Round(eight.High, 3)));
        Assert.Equal((0.0, 0.0, 0.278), (none.Estimate, none.Low, Math.Round(none.High, 3)));
    }

    /// <summary>An error rate's interval holds the truth about nineteen times in twenty.</summary>
    [Fact]
    public void Measure_ErrorRate_CoversTheTruth()
    {
        TaskMetric metric = TaskMetric.Named("symbol-error");
        const double truth = 0.3;
        int covered = 0;
        for (int seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            double[][] counts = [.. Enumerable.Range(0, 60).Select(_ =>
            {
                int length = random.Next(2, 9);
                return new double[] { Enumerable.Range(0, length).Count(_ => random.NextDouble() < truth), length };
            })];
            Interval interval = metric.Measure(counts, seed);
            if (interval.Low <= truth && truth <= interval.High) covered++;
        }
        Assert.InRange(covered, 180, 199);
    }

    [Fact]
    public void Evaluation_WrittenAndRead_IsTheSame()
    {
        using var folder = new Flywheel.Testing.TempFolder();
        var home = new FlywheelHome(folder.Path);
        Assert.Null(TaskEvaluation.Read(home, "say", "abc"));
        var evaluation = new TaskEvaluation { Task = "say", Model = "abc", ModelName = "m", Time = Given.Monday, NumItems = 2,
            NumHeldOut = 3, Scores = [new("exact", true, 0.5, 0.1, 0.9)],
            Samples = [new(new Dictionary<string, string> { ["word"] = "猫" }, "K", "T", null)] };
        string file = evaluation.Write(home);
        TaskEvaluation read = TaskEvaluation.Read(home, "say", "abc")!;
        Assert.Equal((evaluation.Scores[0], "猫", Given.Monday), (read.Scores[0], read.Samples[0].Fields["word"], read.Time));
        File.WriteAllText(file, "{");
        Assert.Null(TaskEvaluation.Read(home, "say", "abc"));
    }
}
