using CsCheck;

namespace Flywheel.Loop.Tests.Evaluation;

public sealed class SignFlipTests
{
    /// <summary>
    /// Darwin's fifteen pairs of maize, in eighths of an inch. Fisher (The Design of Experiments, section 21) counted 863 of the 32,768
    /// choices of signs whose sum is as large as the one observed.
    /// </summary>
    [Fact]
    public void PValue_DarwinsMaize_IsFishersCount()
    {
        double[] maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48];

        Assert.Equal(863 / 32768.0, SignFlip.PValue([.. maize.Select((value, i) => ($"{i}", value))], seed: 1), 1e-12);
    }

    /// <summary>Whole clusters keep or change their sign; counted here in the plainest way there is.</summary>
    [Fact]
    public void Mean_AnyItems_HoldsExactlyWhatTheTestDoesNotReject() =>
        Gen.Select(Gen.Int[-5, 5], Gen.Int[0, 8]).Array[6, 40].Sample(pairs =>
        {
            List<(string Cluster, double Difference)> items = [.. pairs.Select(pair => ($"{pair.Item2}", (double)pair.Item1))];
            int people = items.Select(item => item.Cluster).Distinct().Count();
            if (people < 4) return;
            Interval interval = SignFlip.Mean(items, 0.1, 1);
            foreach (double at in new[] { -3.0, -1, 0, 0.25, 1, 2 })
            {
                double p = Plain(items, at);
                Assert.Equal(p, SignFlip.PValue(items, 1, at), 1e-12);
                Assert.Equal(p <= 0.1, interval.Low > at);
            }
        }, seed: "0000KeXSOcQ3", iter: 60);

    private static double Plain(List<(string Cluster, double Difference)> items, double at)
    {
        double[] sums = [.. items.GroupBy(item => item.Cluster).Select(group => group.Sum(item => item.Difference - at))];
        double observed = sums.Sum();
        int asLarge = 0;
        for (int signs = 0; signs < 1 << sums.Length; signs++)
            if (sums.Select((sum, i) => (signs >> i & 1) == 0 ? sum : -sum).Sum() >= observed - 1e-9) asLarge++;
        return asLarge / (double)(1 << sums.Length);
    }

    [Theory]
    [InlineData(9)]
    [InlineData(30)]
    public void Mean_SidesSwapped_IsMirroredToTheBit(int people)
    {
        var random = new Random(people);
        List<(string Cluster, double Difference)> items = [.. Enumerable.Range(0, 5 * people).Select(i => ($"{i % people}",
            Normal(random)))];
        List<(string, double)> swapped = [.. items.Select(item => (item.Cluster, -item.Difference))];

        Interval there = SignFlip.Mean(items, 0.025, 3), back = SignFlip.Mean(swapped, 0.025, 3);

        Assert.Equal((there.Low, there.High), (-back.High, -back.Low));
    }

    [Theory]
    [InlineData(5, 0.025, false)] // all five alike: 1 in 32
    [InlineData(6, 0.025, true)] // all six alike: 1 in 64
    [InlineData(6, 0.01, false)]
    [InlineData(7, 0.01, true)]
    [InlineData(0, 0.5, false)]
    public void CanDecide_People_AsManyAsTheLevelNeeds(int people, double alpha, bool can)
    {
        Assert.Equal(can, SignFlip.CanDecide(people, alpha));
        if (people == 0) return;
        List<(string, double)> alike = [.. Enumerable.Range(0, people).Select(i => ($"{i}", 1.0))];
        if (can) Assert.True(SignFlip.Mean(alike, alpha, 1).Low > 0);
        else Assert.Throws<ArgumentException>(() => SignFlip.Mean(alike, alpha, 1));
    }

    [Fact]
    public void Mean_NoDifferenceAtAll_IsZeroAndShowsNothing()
    {
        List<(string, double)> ties = [.. Enumerable.Range(0, 40).Select(i => ($"{i % 10}", 0.0))];

        Assert.Equal(new Interval(0, 0, 0), SignFlip.Mean(ties, 0.025, 1));
        Assert.Equal(1, SignFlip.PValue(ties, 1));
    }

    /// <summary>No gain, six people, wins and losses only: the case in which intervals by resampling are wrong most often.</summary>
    [Theory]
    [InlineData(6, 1)]
    [InlineData(6, 8)]
    [InlineData(20, 4)]
    public void Mean_NoGain_IsCalledAGainNoOftenerThanTheLevel(int people, int pairs)
    {
        const int Experiments = 1500;
        var random = new Random(7);
        int claimed = 0;
        for (int experiment = 0; experiment < Experiments; experiment++)
        {
            List<(string, double)> items = [];
            for (int person = 0; person < people; person++)
            {
                double wins = Math.Clamp(0.5 + 0.2 * Normal(random), 0, 1); // people differ
                for (int pair = 0; pair < pairs; pair++) items.Add(($"{person}", random.NextDouble() < wins ? 1 : -1));
            }
            if (SignFlip.PValue(items, experiment) <= 0.025) claimed++;
        }
        Assert.InRange(claimed / (double)Experiments, 0, 0.035); // 2.5 standard errors above the level
    }

    internal static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}

public sealed class LooksTests
{
    [Fact]
    public void Alpha_AnyNumberOfLooks_NeverSpendsMoreThanTheTotal()
    {
        Assert.Equal(0.025, Looks.Alpha(1), 1e-15);
        Assert.Equal(0.05 * (1 - 1 / 1001.0), Enumerable.Range(1, 1000).Sum(Looks.Alpha), 1e-12);
        Assert.Throws<ArgumentOutOfRangeException>(() => Looks.Alpha(0));
    }

    /// <summary>
    /// Twenty candidates that are no better, tried on the same people whose tastes stay: at most one home in twenty promotes one.
    /// </summary>
    [Fact]
    public void Alpha_TwentyLooksAtTheSamePeople_PromotesNothingInNineteenHomesOfTwenty()
    {
        const int Homes = 400, People = 12;
        var random = new Random(11);
        int promoted = 0, unpaid = 0;
        for (int home = 0; home < Homes; home++)
        {
            double[] taste = [.. Enumerable.Range(0, People).Select(_ => SignFlipTests.Normal(random))];
            bool paid = false, free = false;
            for (int look = 1; look <= 20; look++)
            {
                double liking = 0.15 * SignFlipTests.Normal(random); // how much this candidate pleases one taste and not the other
                List<(string, double)> items = [.. Enumerable.Range(0, 8 * People).Select(i =>
                    ($"{i % People}", random.NextDouble() < 0.5 + liking * taste[i % People] ? 1.0 : -1))];
                double p = SignFlip.PValue(items, look);
                paid |= p <= Looks.Alpha(look);
                free |= p <= 0.025;
            }
            promoted += paid ? 1 : 0;
            unpaid += free ? 1 : 0;
        }
        Assert.InRange(promoted / (double)Homes, 0, 0.05 + 2.5 * Math.Sqrt(0.05 * 0.95 / Homes));
        Assert.True(unpaid > Homes / 5, $"{unpaid} of {Homes} homes: looks cost nothing, so the test above shows nothing");
    }
}

public sealed class PowerStatementTests
{
    /// <summary>Numbers of pairs for two-sided 5% and power 80%, as power tables print them (Cohen 1988; G*Power).</summary>
    [Theory]
    [InlineData(15, 0.8)]
    [InlineData(34, 0.5)]
    [InlineData(199, 0.2)]
    public void Detectable_PairsOfTheTables_IsTheirEffect(int pairs, double effect) =>
        Assert.InRange(PowerStatement.Detectable(pairs, 1, 0.025), 0.96 * effect, effect);

    [Fact]
    public void Of_MorePeopleOrFewerLooks_ShowSmallerGains()
    {
        double? Gain(int people, int look) => PowerStatement.Of(people, 8 * people, look).Gain;
        Assert.True(Gain(9, 1) > Gain(12, 1));
        Assert.True(Gain(12, 5) > Gain(12, 1));
        Assert.Null(Gain(5, 1));
        Assert.Null(Gain(6, 2)); // six alike are 1 in 64, and the second look asks for more
        Assert.Contains("a person compares the drafts and decides", PowerStatement.Of(5, 40, 1).Text, StringComparison.Ordinal);
        Assert.StartsWith("with 9 held-out people and 72 briefs this turn can show a gain of 0.", PowerStatement.Of(9, 72, 1).Text,
            StringComparison.Ordinal);
    }

    /// <summary>A gain as large as the statement says is found in about four turns of five.</summary>
    [Theory]
    [InlineData(6, 1)]
    [InlineData(9, 1)]
    [InlineData(12, 1)]
    [InlineData(12, 5)]
    public void Of_GainOfThatSize_IsFoundInFourTurnsOfFive(int people, int look)
    {
        const int Briefs = 8, Turns = 400;
        double gain = PowerStatement.Of(people, people * Briefs, look).Gain!.Value;
        var random = new Random(5);
        double between = Math.Sqrt(PowerStatement.Correlation);
        int found = 0;
        for (int turn = 0; turn < Turns; turn++)
        {
            List<(string, double)> items = [];
            for (int person = 0; person < people; person++)
            {
                double mean = Math.Clamp(gain + between * SignFlipTests.Normal(random), -1, 1);
                for (int brief = 0; brief < Briefs; brief++) items.Add(($"{person}", random.NextDouble() < (1 + mean) / 2 ? 1 : -1));
            }
            if (SignFlip.PValue(items, turn) <= Looks.Alpha(look)) found++;
        }
        Assert.InRange(found / (double)Turns, 0.73, 0.88);
    }
}
