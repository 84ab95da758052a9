using CsCheck;

namespace Flywheel.Loop.Tests;

public sealed class PairedBootstrapTests
{
    // From printed tables of Student's distribution.
    [Theory]
    [InlineData(1, 12.706)]
    [InlineData(2, 4.303)]
    [InlineData(3, 3.182)]
    [InlineData(4, 2.776)]
    [InlineData(7, 2.365)]
    [InlineData(10, 2.228)]
    [InlineData(29, 2.045)]
    [InlineData(120, 1.980)]
    public void StudentT_Quantile_IsThatOfTheTables(int degrees, double expected) =>
    Assert.Equal(expected, StudentT.Quantile(0.975, degrees), 0.0006);

    [Fact]
    public void Mean_ManyIndependentItems_IsTheTextbookInterval()
    {
        var random = new Random(3);
        List<(string, double)> items = [.. Enumerable.Range(0, 400).Select(i => ($"{i}", 1 + 2 * Normal(random)))];
        double mean = items.Average(item => item.Item2), error = Math.Sqrt(items.Sum(item => Math.Pow(item.Item2 - mean, 2)) / 399 / 400);

        Interval interval = PairedBootstrap.Mean(items, seed: 1);

        Assert.Equal(mean, interval.Estimate, 1e-12);
        Assert.Equal(mean - 1.966 * error, interval.Low, 0.05 * error);
        Assert.Equal(mean + 1.966 * error, interval.High, 0.05 * error);
    }

    [Fact]
    public void Mean_ItemsRepeatedWithinClusters_IsNotNarrower()
    {
        var random = new Random(4);
        List<(string, double)> once = [.. Enumerable.Range(0, 12).Select(i => ($"{i}", Normal(random)))];
        List<(string, double)> often = [.. once.SelectMany(item => Enumerable.Repeat(item, 50))];

        Assert.Equal(PairedBootstrap.Mean(once, 7).Low, PairedBootstrap.Mean(often, 7).Low, 1e-9);
    }

    [Fact]
    public void Mean_Anything_IsDeterministicOrderedAndHoldsTheEstimateOfEqualClusters() =>
        Gen.Select(Gen.Double[-10, 10], Gen.Int[0, 8]).Array[10, 60].Sample(pairs =>
        {
            List<(string, double)> items = [.. pairs.Select(pair => ($"{pair.Item2}", pair.Item1))];
            if (items.Select(item => item.Item1).Distinct().Count() < 2) return;
            Interval first = PairedBootstrap.Mean(items, 5, 500), again = PairedBootstrap.Mean([.. items.AsEnumerable().Reverse()], 5, 500);
            Assert.True(first.Low <= first.High);
            Assert.Equal(first.Low, again.Low, 1e-9);
            Assert.Equal(first.High, again.High, 1e-9);
            Interval shifted = PairedBootstrap.Mean([.. items.Select(item => (item.Item1, item.Item2 + 3))], 5, 500);
            Assert.Equal(first.Low + 3, shifted.Low, 1e-9);
        }, seed: "0000KeXSOcQ3", iter: 50);

    [Fact]
    public void Interval_AsText_ShowsSignsAndNoNegativeZero() =>
    Assert.Equal("+0.038 [0.000, +1.500]", new Interval(0.0381, -0.0004, 1.5).ToString());

    // What a 95% interval promises: over many experiments it holds the truth 19 times out of 20. People differ (a random
    // effect each), texts differ within people, people give unequal numbers of texts.
    [Theory]
    [InlineData(6)]
    [InlineData(10)]
    [InlineData(30)]
    public void Mean_SimulatedExperiments_CoversTheTruth(int people)
    {
        const int Experiments = 600;
        const double Truth = 0.3;
        var random = new Random(people);
        int covered = 0, claimed = 0;
        for (int experiment = 0; experiment < Experiments; experiment++)
        {
            List<(string, double)> items = [], nothing = [];
            for (int person = 0; person < people; person++)
            {
                double taste = 0.5 * Normal(random);
                int texts = 4 + random.Next(9);
                for (int text = 0; text < texts; text++)
                {
                    double noise = taste + Normal(random);
                    items.Add(($"{person}", Truth + noise));
                    nothing.Add(($"{person}", noise));
                }
            }
            Interval interval = PairedBootstrap.Mean(items, experiment, 1000);
            if (interval.Low <= Truth && Truth <= interval.High) covered++;
            if (PairedBootstrap.Mean(nothing, experiment, 1000).Low > 0) claimed++;
        }

        Assert.InRange(covered / (double)Experiments, 0.925, 0.98); // +- 2.5 standard errors of 600 experiments
        Assert.InRange(claimed / (double)Experiments, 0, 0.045); // no gain at all: promoted in 2.5%, within the same error
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
