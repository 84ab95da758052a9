namespace Flywheel.Loop.Rollouts;

/// <summary>A world in which releases are watched.</summary>
/// <param name="Gain">By how much more of the new champion's answers are accepted than of the former one's, from -1 to 1.</param>
/// <param name="Failing">So many more of its answers fail, from 0 to 1.</param>
/// <param name="Slow">So many more are slow.</param>
public sealed record WatchWorld(double Gain = 0, double Failing = 0, double Slow = 0)
{
    /// <summary>People who had judged <see cref="JudgedBefore"/> answers each of the former model.</summary>
    public int People { get; init; } = 300;

    public int JudgedBefore { get; init; } = 8;

    /// <summary>Of those who come after the release, so many are of them; the others are new.</summary>
    public double Returning { get; init; } = 0.6;

    /// <summary>People who come after the release, an hour; each judges <see cref="RolloutTracker.PerPerson"/> answers at a time.</summary>
    public double PeopleAnHour { get; init; } = 20;

    /// <summary>Share of the requests of which people keep a draft that they had thrown away another of before.</summary>
    public double ThrownFirst { get; init; }
}

/// <summary>How a simulated watch ended.</summary>
/// <param name="Move">What was done, or would have been asked; Watch when its time was over.</param>
/// <param name="Lasted">Until then; where it is asked about and never taken back, until it was first asked.</param>
/// <param name="Judged">Answers that people had judged by then.</param>
public sealed record SimulatedWatch(WatchMove Move, TimeSpan Lasted, int Judged);

/// <summary>
/// Tries the rules of <see cref="WatchTracker"/> on people of whom it is known what they think, as <see cref="RolloutSimulation"/> does:
/// how
/// good an answer is to somebody is the sum of taste, brief and draft, and it is accepted above 0. They are asked after every judged
/// answer.
/// </summary>
public static class WatchSimulation
{
    private const double TasteSpread = 0.4, OtherSpread = 1.118; // of brief (1) and draft (0.5) together

    private static readonly DateTimeOffset s_release = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Many watches in one world; the same seed gives the same.</summary>
    public static SimulatedWatch[] Many(WatchWorld world, int count, int seed)
    {
        var ended = new SimulatedWatch[count];
        Parallel.For(0, count, i => ended[i] = One(world, unchecked(seed * 1_000_003 + i)));
        return ended;
    }

    public static SimulatedWatch One(WatchWorld world, int seed)
    {
        var random = new Random(seed);
        double shift = world.Gain * Math.Sqrt(TasteSpread * TasteSpread + OtherSpread * OtherSpread) * Math.Sqrt(2 * Math.PI);
        double[] tastes = [.. Enumerable.Range(0, world.People).Select(_ => TasteSpread * GateSimulation.Normal(random))];
        var judged = new Dictionary<string, double[]>(StringComparer.Ordinal);
        var answers = new WatchedAnswers { SlowMs = 1 };
        for (int person = 0; person < tastes.Length; person++)
            judged[$"{person}"] = [.. Enumerable.Range(0, world.JudgedBefore).Select(_ => Accepts(tastes[person], 0))];
        for (int i = 0; i < 500; i++) answers.Add(random.NextDouble() < 0.002, random.NextDouble() < 0.05, 50);

        var tracker = new WatchTracker(judged, answers);
        DateTimeOffset now = s_release;
        int count = 0;
        SimulatedWatch? asked = null;
        for (int arrival = 0; tracker.NumPeople < ReleaseWatch.MostPeople; arrival++)
        {
            now += TimeSpan.FromHours(-Math.Log(1 - random.NextDouble()) / world.PeopleAnHour);
            if (now - s_release > ReleaseWatch.Lasts) break;
            bool returns = random.NextDouble() < world.Returning;
            int who = returns ? random.Next(tastes.Length) : tastes.Length + arrival;
            double taste = returns ? tastes[who] : TasteSpread * GateSimulation.Normal(random);
            for (int i = 0; i < RolloutTracker.PerPerson; i++)
            {
                bool failed = random.NextDouble() < 0.002 + world.Failing, slow = random.NextDouble() < 0.05 + world.Slow;
                tracker.Answered(now, $"{who}", failed, slow, 50);
                count++;
                double value = failed ? 0 : Accepts(taste, shift);
                if (value == 1 && world.ThrownFirst > 0 && random.NextDouble() < world.ThrownFirst && Says(0, final: false) is { } early)
                    return early;
                if (!failed && Says(value, final: true) is { } ended) return ended;

                // Who is asked goes on, and it may be taken back later.
                SimulatedWatch? Says(double value, bool final)
                {
                    tracker.Judged(now, $"{who}", new Guid(arrival, (short)i, 0, 0, 0, 0, 0, 0, 0, 0, 0), value, final);
                    if (tracker.Verdict().Move is not WatchMove.Watch and var move) asked ??= new(WatchMove.Ask, now - s_release, count);
                    else return null;
                    return move == WatchMove.TakeBack ? new(move, now - s_release, count) : null;
                }
            }
        }
        return asked ?? new(WatchMove.Watch, now - s_release, count);

        double Accepts(double taste, double better) => taste + OtherSpread * GateSimulation.Normal(random) + better > 0 ? 1 : 0;
    }
}
