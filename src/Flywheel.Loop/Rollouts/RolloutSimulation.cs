namespace Flywheel.Loop.Rollouts;

/// <summary>A world in which rollouts are tried.</summary>
/// <param name="Gain">By how much more of the candidate's answers are accepted, from -1 to 1.</param>
/// <param name="Failing">So many more of its answers fail, from 0 to 1.</param>
/// <param name="Slow">So many more are slow.</param>
/// <param name="Decider">What decides.</param>
public sealed record RolloutWorld(double Gain = 0, double Failing = 0, double Slow = 0, RolloutDecider Decider = RolloutDecider.Acceptance)
{
    /// <summary>People who come for the first time, an hour; each judges <see cref="RolloutTracker.PerPerson"/> answers.</summary>
    public double PeopleAnHour { get; init; } = 60;

    public int Days { get; init; } = 3;
}

/// <summary>How a simulated rollout ended.</summary>
/// <param name="Move">Promote, RollBack, Stop, or GoOn when time was over.</param>
/// <param name="Lasted">Until then.</param>
/// <param name="Judged">Answers (or pairs of drafts) that people had judged by then.</param>
public sealed record SimulatedRollout(RolloutMove Move, TimeSpan Lasted, int Judged);

/// <summary>
/// Tries the rules of <see cref="RolloutDecision"/> on people of whom it is known what they think. How good a draft is to somebody is the
/// sum of
/// the person's taste (standard deviation 0.4), the brief (1) and the draft (0.5); it is accepted above 0, and of two drafts of one brief
/// the better is chosen. The rules are asked after every judged answer.
/// </summary>
public static class RolloutSimulation
{
    private const double TasteSpread = 0.4, BriefSpread = 1, DraftSpread = 0.5;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Many rollouts in one world; the same seed gives the same.</summary>
    public static SimulatedRollout[] Many(RolloutWorld world, int count, int seed)
    {
        var ended = new SimulatedRollout[count];
        Parallel.For(0, count, i => ended[i] = One(world, unchecked(seed * 1_000_003 + i)));
        return ended;
    }

    public static SimulatedRollout One(RolloutWorld world, int seed)
    {
        var random = new Random(seed);
        var tracker = new RolloutTracker(keeps: false);
        var row = new RolloutRow { Id = 1, Champion = "a", Candidate = "b",
            Share = RolloutRow.Steps[world.Decider == RolloutDecider.Drafts ? 1 : 0], Decider = world.Decider, Started = s_start,
            StepStarted = s_start };
        // The shift of quality that changes acceptance by the gain, where half is accepted.
        double spread = Math.Sqrt(TasteSpread * TasteSpread + BriefSpread * BriefSpread + DraftSpread * DraftSpread);
        double shift = world.Gain * spread * Math.Sqrt(2 * Math.PI);
        DateTimeOffset now = s_start, end = s_start + TimeSpan.FromDays(world.Days);
        int judged = 0;
        for (int person = 0; now < end; person++)
        {
            now += TimeSpan.FromHours(-Math.Log(1 - random.NextDouble()) / world.PeopleAnHour);
            string name = $"{person}";
            double taste = TasteSpread * GateSimulation.Normal(random);
            double place = random.NextDouble();
            for (int i = 0; i < RolloutTracker.PerPerson; i++)
            {
                var request = new Guid(person, (short)i, 0, 0, 0, 0, 0, 0, 0, 0, 0);
                bool candidate = place < row.Share;
                bool failed = random.NextDouble() < 0.002 + (candidate ? world.Failing : 0),
                    slow = random.NextDouble() < 0.05 + (candidate ? world.Slow : 0);
                tracker.Answered(now, request, name, candidate, row.Share, failed, slow);
                double brief = BriefSpread * GateSimulation.Normal(random), before = DraftSpread * GateSimulation.Normal(random);
                if (world.Decider == RolloutDecider.Drafts)
                {
                    double after = DraftSpread * GateSimulation.Normal(random) + shift;
                    tracker.Chose(now, request, name, after > before ? 1 : -1);
                }
                else if (!failed) tracker.Judged(now, request, taste + brief + before + (candidate ? shift : 0) > 0 ? 1 : 0);
                judged++;
                RolloutVerdict verdict = RolloutDecision.Of(row, tracker, now);
                if (verdict.Move == RolloutMove.StepUp) (row.Share, row.StepStarted) = (row.NextShare!.Value, now);
                if (verdict.Move is RolloutMove.Promote or RolloutMove.RollBack or RolloutMove.Stop)
                    return new(verdict.Move, now - s_start, judged);
            }
        }
        return new(RolloutMove.GoOn, now - s_start, judged);
    }
}
