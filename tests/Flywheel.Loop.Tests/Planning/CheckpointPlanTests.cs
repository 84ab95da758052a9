using Flywheel.Loop.Planning;

namespace Flywheel.Loop.Tests.Planning;

public sealed class CheckpointPlanTests
{
    /// <summary>Daly 2006, table of section 4: with failures every day and 5 minutes a checkpoint, Young's 2 hours less a little.</summary>
    [Theory]
    [InlineData(300, 86_400, 7_000, 0.02)] // sqrt(2 * 300 * 86400) = 7200, times 1.0139 plus a bit, less 300
    [InlineData(60, 3_600, 620, 0.02)]
    [InlineData(10, 1e9, 141_400, 0.01)]
    public void Interval_KnownCases_NearYoungsFormula(double write, double failures, double expected, double tolerance) =>
        Assert.Equal(expected, CheckpointPlan.Interval(write, failures), expected * tolerance);

    [Theory]
    [InlineData(30, 7_200, 120)]
    [InlineData(300, 86_400, 600)]
    [InlineData(5, 1_000, 50)]
    public void Interval_AgainstEveryOther_CostsLeast(double write, double failures, double restart)
    {
        double interval = CheckpointPlan.Interval(write, failures), best = Cost(interval);

        for (double other = interval / 8; other < interval * 8; other *= 1.05)
            Assert.True(Cost(other) > best * 0.9999, $"{other} costs {Cost(other)}, {interval} {best}");

        double Cost(double seconds) => CheckpointPlan.ExpectedSeconds(1e6, seconds, write, failures, restart);
    }

    /// <summary>The formulas against a run that is played out with random failures.</summary>
    [Theory]
    [InlineData(20_000, 20, 2_000, 60, 1)]
    [InlineData(50_000, 5, 10_000, 300, 2)]
    public void For_SimulatedFailures_TimeRestartsAndLossAgree(double work, double write, double failures, double restart, int seed)
    {
        CheckpointPlan plan = CheckpointPlan.For(work, write, failures, restart);
        var random = new Random(seed);
        const int runs = 4_000;
        double time = 0, restarts = 0, lost = 0;
        for (int run = 0; run < runs; run++)
        {
            double done = 0, next = Draw();
            double now = 0;
            while (done < work)
            {
                double piece = Math.Min(plan.IntervalSeconds, work - done), cost = piece + write * piece / plan.IntervalSeconds;
                if (now + cost <= next)
                {
                    now += cost;
                    done += piece;
                    continue;
                }
                restarts++;
                lost += next - now;
                now = next;
                double back;
                while (now + restart > (back = now + Draw())) // a failure during the restart starts it again
                {
                    restarts++;
                    now = back;
                }
                now += restart;
                next = back;
            }
            time += now;

            double Draw() => -failures * Math.Log(1 - random.NextDouble());
        }

        Assert.Equal(plan.TotalSeconds, time / runs, plan.TotalSeconds * 0.02);
        Assert.Equal(plan.Restarts, restarts / runs, plan.Restarts * 0.05 + 0.05);
        Assert.Equal(plan.LostSeconds, lost / runs, plan.LostSeconds * 0.1 + 1);
        Assert.Equal(work / (time / runs), plan.Efficiency, 0.02);
    }

    [Fact]
    public void For_NoFailures_WritesOnlyAtTheEnd()
    {
        CheckpointPlan plan = CheckpointPlan.For(1_000, 10, double.PositiveInfinity, 60);

        Assert.Equal((1_000.0, 0.0, 0.0), (plan.TotalSeconds, plan.Restarts, plan.LostSeconds));
    }
}
