using Flywheel.Loop.Rollouts;

namespace Flywheel.Loop.Tests.Rollouts;

/// <summary>The numbers by which a rollout is decided keep what they promise.</summary>
public sealed class RolloutStatisticsTests(ITestOutputHelper output)
{
    private static readonly byte[] s_salt = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void Split_ManyPeople_FallsWithTheOrderedShareAndKeepsWhomItHad()
    {
        const int People = 40_000;
        var split = new RolloutSplit(s_salt, 7);
        HashSet<int> before = [];
        foreach (double share in RolloutRow.Steps)
        {
            HashSet<int> now = [.. Enumerable.Range(0, People).Where(person => split.IsCandidate($"user-{person}", share))];
            double bound = 4 * Math.Sqrt(People * share * (1 - share)); // 4 standard deviations of a binomial
            Assert.InRange(now.Count, People * share - bound, People * share + bound);
            Assert.Subset(now, before);
            before = now;
        }
        // Another rollout, or another home, splits otherwise: half of the halves agree.
        foreach (RolloutSplit other in new[] { new RolloutSplit(s_salt, 8), new RolloutSplit([.. s_salt.Reverse()], 7) })
            Assert.InRange(Enumerable.Range(0, 10_000)
                .Count(person => split.IsCandidate($"user-{person}", 0.5) == other.IsCandidate($"user-{person}", 0.5)), 4800, 5200);
    }

    [Fact]
    public void Difference_SameModelOverAThousandPathsWithLooksAfterEachPerson_IsRarelyFound()
    {
        int wrong = 0, outside = 0;
        for (int path = 0; path < 1000; path++)
        {
            var random = new Random(path);
            // skewed shares and rare outcomes, too
            double share = RolloutRow.Steps[path % RolloutRow.Steps.Count], rate = new[] { 0.05, 0.5, 0.9 }[path % 3];
            var difference = new ArmDifference(0.5, keeps: true);
            for (int person = 0; person < 400; person++)
            {
                double own = Math.Clamp(rate + 0.2 * (random.NextDouble() - 0.5), 0, 1);
                double mean = Enumerable.Range(0, 5).Count(_ => random.NextDouble() < own) / 5.0;
                difference.Add(mean, random.NextDouble() < share, share);
            }
            double bar = Math.Log(1 / RolloutDecision.PromoteAlpha);
            if (difference.Above.MaxLogEvidence >= bar || difference.Below.MaxLogEvidence >= bar) wrong++;
            if (path % 20 == 0 && difference.Interval() is var interval && (interval.Low > 0 || interval.High < 0)) outside++;
        }
        output.WriteLine($"{wrong} of 1000 paths found a difference where there was none; {outside} of 50 intervals");
        Assert.InRange(wrong, 0, 50);
        Assert.InRange(outside, 0, 2);
    }

    /// <summary>Better liked where it answers, and failing one time in twelve: the guard needs longer to be certain than acceptance does
    /// (without its leave 38 of 60 such were promoted).</summary>
    [Fact]
    public void Rollout_BetterLikedAndFailing_IsNeverPromotedBeforeItsGuardIsCertain()
    {
        SimulatedRollout[] ended = RolloutSimulation.Many(new RolloutWorld(Gain: 0.25, Failing: 0.08) { Days = 6 }, 30, seed: 5);
        output.WriteLine(string.Join(", ", ended.CountBy(one => one.Move)));
        Assert.InRange(ended.Count(one => one.Move == RolloutMove.Promote), 0, 1);
        Assert.InRange(ended.Count(one => one.Move == RolloutMove.RollBack), 20, 30);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(-0.3)]
    public void Interval_KnownDifference_HoldsItAndShrinks(double truth)
    {
        var random = new Random(3);
        var difference = new ArmDifference(0.5, keeps: true);
        double before = 2;
        for (int round = 0; round < 3; round++)
        {
            for (int person = 0; person < 600; person++)
            {
                bool candidate = random.NextDouble() < 0.25;
                difference.Add(random.NextDouble() < 0.5 + (candidate ? truth : 0) ? 1 : 0, candidate, 0.25);
            }
            Interval interval = difference.Interval();
            Assert.InRange(truth, interval.Low, interval.High);
            Assert.True(interval.High - interval.Low <= before + 1e-4, $"{interval}");
            before = interval.High - interval.Low;
        }
        Assert.True(before < 0.35, $"{before}");
    }

    [Fact]
    public void Bets_AgainstAMeanThatIsTrue_GainNothingOnAverage()
    {
        // The defining property, by a sum over all outcomes instead of by chance: capital times probability is at most 1.
        double expected = 0;
        const int Steps = 10;
        for (int outcome = 0; outcome < 1 << Steps; outcome++)
        {
            var test = new BettingTest(0);
            double probability = 1;
            for (int i = 0; i < Steps; i++)
            {
                bool high = (outcome >> i & 1) == 1;
                probability *= high ? 0.2 : 0.8;
                test.Add(high ? 4 : -1, variance: 4, least: -1); // mean 0
            }
            expected += probability * Math.Exp(test.LogEvidence);
        }
        Assert.Equal(1, expected, 9);
    }

    [Fact]
    public void Person_WhoJudgesAThousandAnswers_CountsOnce()
    {
        var tracker = new RolloutTracker();
        var time = DateTimeOffset.UnixEpoch;
        for (int i = 0; i < 1000; i++)
        {
            Guid request = Guid.NewGuid();
            tracker.Answered(time, request, "ann", candidate: true, 0.5, failed: false, slow: false);
            tracker.Judged(time, request, 1);
            tracker.Chose(time, Guid.NewGuid(), "ann", 1);
        }
        Assert.Equal(1, tracker.Acceptance.Count);
        Assert.Equal(1, tracker.Preferred.Count);
        Assert.Equal(RolloutTracker.PerPerson, tracker.Candidate.NumJudged);
        Assert.Equal(1000, tracker.Candidate.NumAnswers);
    }

    [Fact]
    public void Person_WithFewAnswers_CountsWhenTheirTimeIsOver_AndRetractionsBeforeAreHeard()
    {
        var tracker = new RolloutTracker();
        var time = DateTimeOffset.UnixEpoch;
        Guid kept = Guid.NewGuid(), taken = Guid.NewGuid();
        foreach (Guid request in new[] { kept, taken })
            tracker.Answered(time, request, "ann", candidate: false, 0.5, failed: false, slow: false);
        tracker.Judged(time, kept, 1);
        tracker.Judged(time, taken, 0);
        tracker.Judged(time, taken, null);
        Assert.Equal(0, tracker.Acceptance.Count);
        tracker.Advance(time + RolloutTracker.JudgedWithin);
        Assert.Equal(1, tracker.Acceptance.Count);
        Assert.Equal(1, tracker.Champion.Acceptance);
        tracker.Judged(time + RolloutTracker.JudgedWithin, kept, 0); // too late
        Assert.Equal(1, tracker.Champion.Acceptance);
    }

    [Fact]
    public void Person_WhoseFifthRequestHasMoreDrafts_CountsWithTheBestOfIt()
    {
        foreach (bool sixth in new[] { false, true })
        {
            var tracker = new RolloutTracker();
            var time = DateTimeOffset.UnixEpoch;
            Guid[] requests = [.. Enumerable.Range(0, 6).Select(_ => Guid.NewGuid())];
            foreach (Guid request in requests) tracker.Answered(time, request, "ann", candidate: true, 0.5, failed: false, slow: false);
            foreach (Guid request in requests[..4]) tracker.Judged(time, request, 1);
            tracker.Judged(time, requests[4], 0, final: false); // the first draft is thrown away, the others are looked at
            Assert.Equal(0, tracker.Acceptance.Count);
            if (sixth) tracker.Judged(time, requests[5], 1);
            else tracker.Judged(time, requests[4], 1);
            Assert.Equal(1, tracker.Acceptance.Count);
            Assert.Equal(sixth ? 0.8 : 1, tracker.Candidate.Acceptance!.Value, 12);
            Assert.Equal(RolloutTracker.PerPerson, tracker.Candidate.NumJudged);
        }
    }

    [Theory]
    [InlineData(true, 0.4, RolloutMove.RollBack)]
    [InlineData(false, 0.5, RolloutMove.RollBack)]
    [InlineData(true, 0.15, RolloutMove.GoOn)]
    [InlineData(true, 0, RolloutMove.Promote)]
    public void Drafts_OfACandidateThatOftenFailsOrIsSlow_AreNotPromotedForThoseThatCame(bool fails, double rate, RolloutMove expected)
    {
        var random = new Random(9);
        var tracker = new RolloutTracker();
        var row = new RolloutRow { Champion = "a", Candidate = "b", Share = 0.05, Decider = RolloutDecider.Drafts,
            Started = DateTimeOffset.UnixEpoch, StepStarted = DateTimeOffset.UnixEpoch };
        RolloutMove move = RolloutMove.GoOn;
        int people = 0;
        for (; people < (expected == RolloutMove.GoOn ? 40 : 150) && move == RolloutMove.GoOn; people++)
            for (int i = 0; i < RolloutTracker.PerPerson; i++)
            {
                bool bad = random.NextDouble() < rate;
                tracker.AnsweredByBoth(DateTimeOffset.UnixEpoch, $"{people}", default, (fails && bad, !fails && bad));
                tracker.Chose(DateTimeOffset.UnixEpoch, Guid.NewGuid(), $"{people}", 1);
                move = RolloutDecision.Of(row, tracker, DateTimeOffset.UnixEpoch).Move;
                if (move != RolloutMove.GoOn) break;
            }
        output.WriteLine($"{move} after {people} people");
        Assert.Equal(expected, move);
    }

    [Fact]
    public void Person_WhoLooksOnAfterTheFirstActOnTheFifthPair_CountsWithWhatTheyChose()
    {
        var tracker = new RolloutTracker();
        var time = DateTimeOffset.UnixEpoch;
        Guid[] requests = [.. Enumerable.Range(0, 5).Select(_ => Guid.NewGuid())];
        foreach (Guid request in requests[..4]) tracker.Chose(time, request, "ann", 1);
        tracker.Chose(time, requests[4], "ann", -1, final: false);
        Assert.Equal(0, tracker.Preferred.Count);
        tracker.Chose(time, requests[4], "ann", 1);
        Assert.Equal((1, 1.0), (tracker.Preferred.Count, tracker.SumPreferred));
    }

    [Fact]
    public void Rollouts_OfTheSameModel_AreSeldomDecided()
    {
        SimulatedRollout[] ended = RolloutSimulation.Many(new() { PeopleAnHour = 240, Days = 1 }, 30, seed: 11);
        output.WriteLine(string.Join(", ", ended.GroupBy(one => one.Move).Select(group => $"{group.Count()} {group.Key}")));
        Assert.InRange(ended.Count(one => one.Move == RolloutMove.Promote), 0, 5);
        Assert.InRange(ended.Count(one => one.Move is RolloutMove.RollBack or RolloutMove.Stop), 0, 7);
    }

    [Fact]
    public void Rollouts_OfABetterAndOfHarmfulModels_EndAsTheyShould()
    {
        Assert.All(RolloutSimulation.Many(new(Gain: 0.15) { PeopleAnHour = 240 }, 20, seed: 1),
            one => Assert.Equal(RolloutMove.Promote, one.Move));
        Assert.All(RolloutSimulation.Many(new(Gain: 0.1, Decider: RolloutDecider.Drafts) { PeopleAnHour = 240 }, 20, seed: 1),
            one => Assert.Equal(RolloutMove.Promote, one.Move));
        foreach (RolloutWorld world in new RolloutWorld[] { new(Failing: 0.2), new(Slow: 0.5), new(Gain: -0.15) })
            Assert.All(RolloutSimulation.Many(world with { PeopleAnHour = 240 }, 20, seed: 2),
                one => Assert.Equal(RolloutMove.RollBack, one.Move));
    }

    [Fact]
    public void Split_ThatSendsMoreThanOrdered_StopsTheRollout()
    {
        var tracker = new RolloutTracker();
        var random = new Random(5);
        var row = new RolloutRow { Champion = "a", Candidate = "b", Share = 0.1, Started = DateTimeOffset.UnixEpoch,
            StepStarted = DateTimeOffset.UnixEpoch };
        for (int person = 0; person < 2000; person++)
            tracker.Answered(DateTimeOffset.UnixEpoch, Guid.NewGuid(), $"{person}", random.NextDouble() < 0.2, 0.1, false, false);
        Assert.Equal(RolloutMove.Stop, RolloutDecision.Of(row, tracker, DateTimeOffset.UnixEpoch).Move);
    }
}
