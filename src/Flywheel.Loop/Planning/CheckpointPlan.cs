namespace Flywheel.Loop.Planning;

/// <summary>
/// How often to write checkpoints when machines fail, and what failures cost. Failures are independent and come at a
/// constant rate (Young 1974, CACM 17(9); Daly 2006, FGCS 22(3): "A higher order estimate of the optimum checkpoint
/// interval for restart dumps").
/// </summary>
public sealed record CheckpointPlan
{
    /// <summary>Seconds of work between checkpoints.</summary>
    public required double IntervalSeconds { get; init; }

    /// <summary>Expected seconds from start to end: work, checkpoints, lost work and restarts.</summary>
    public required double TotalSeconds { get; init; }

    public required double Restarts { get; init; }

    /// <summary>Expected seconds of work that are done twice.</summary>
    public required double LostSeconds { get; init; }

    /// <summary>Part of the time that is work which counts.</summary>
    public required double Efficiency { get; init; }

    /// <param name="workSeconds">Work without any failure or checkpoint.</param>
    /// <param name="writeSeconds">Seconds that a checkpoint holds the work up.</param>
    /// <param name="secondsBetweenFailures">Mean time between failures of the whole machine; infinity for none.</param>
    /// <param name="restartSeconds">From a failure until work goes on.</param>
    public static CheckpointPlan For(double workSeconds, double writeSeconds, double secondsBetweenFailures, double restartSeconds)
    {
        double interval = Math.Min(Interval(writeSeconds, secondsBetweenFailures), workSeconds);
        double total = ExpectedSeconds(workSeconds, interval, writeSeconds, secondsBetweenFailures, restartSeconds);
        double restarts = double.IsFinite(secondsBetweenFailures) ? total / secondsBetweenFailures : 0;
        return new CheckpointPlan
        {
            IntervalSeconds = interval,
            TotalSeconds = total,
            Restarts = restarts,
            LostSeconds = Math.Max(0, total - workSeconds * (1 + writeSeconds / interval) - restarts * restartSeconds),
            Efficiency = workSeconds / total,
        };
    }

    /// <summary>Daly's equation 37: Young's sqrt(2 write failures) with two more terms.</summary>
    public static double Interval(double writeSeconds, double secondsBetweenFailures)
    {
        if (double.IsPositiveInfinity(secondsBetweenFailures)) return double.PositiveInfinity;
        if (writeSeconds >= 2 * secondsBetweenFailures) return secondsBetweenFailures;
        double ratio = writeSeconds / (2 * secondsBetweenFailures);
        return Math.Sqrt(2 * writeSeconds * secondsBetweenFailures) * (1 + Math.Sqrt(ratio) / 3 + ratio / 9) - writeSeconds;
    }

    /// <summary>Daly's equation 20.</summary>
    public static double ExpectedSeconds(double workSeconds, double interval, double writeSeconds, double secondsBetweenFailures,
        double restartSeconds)
    {
        double m = secondsBetweenFailures;
        if (double.IsPositiveInfinity(m))
            return workSeconds * (1 + (double.IsFinite(interval) && interval < workSeconds ? writeSeconds / interval : 0));
        return m * Math.Exp(restartSeconds / m) * double.ExpM1((interval + writeSeconds) / m) * workSeconds / interval;
    }
}
