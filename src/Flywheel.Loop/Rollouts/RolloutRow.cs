using Flywheel.Model;

namespace Flywheel.Loop.Rollouts;

/// <summary>How traffic is split between a champion and a candidate, from its start to the reason why it ended. At most one runs.</summary>
public sealed class RolloutRow
{
    public long Id { get; init; }

    /// <summary>Hash of the model that served before; of an upstream, <see cref="Upstreams.Upstream.Prefix"/> and its name.</summary>
    public required string Champion { get; init; }

    /// <summary>The same of the one that is tried.</summary>
    public required string Candidate { get; init; }

    /// <summary>What decides whether the candidate is better.</summary>
    public RolloutDecider Decider { get; init; }

    /// <summary>Probability with which a person falls to the candidate now, from 0 to 1.</summary>
    public double Share { get; set; }

    public RolloutState State { get; set; }

    public required DateTimeOffset Started { get; init; }

    /// <summary>Since when the share is what it is.</summary>
    public required DateTimeOffset StepStarted { get; set; }

    public DateTimeOffset? Ended { get; set; }

    /// <summary>Why the share is what it is, or why it ended.</summary>
    public string Reason { get; set; } = "";

    /// <summary>An answer that takes longer counts as slow, milliseconds; set at the start from what the champion took before.</summary>
    public double? SlowMs { get; init; }

    public const string ChampionArm = "champion", CandidateArm = "candidate";

    /// <summary>Shares that a rollout goes through by itself.</summary>
    public static IReadOnlyList<double> Steps { get; } = [0.01, 0.05, 0.10, 0.25, 0.50];

    /// <summary>The step after the share of now; null at the last.</summary>
    public double? NextShare => Steps.Where(step => step > Share + 1e-9).Select(step => (double?)step).FirstOrDefault();

    /// <summary>Who answers now that it has ended: the candidate when it was promoted, else the champion.</summary>
    public string Winner => State == RolloutState.Promoted ? Candidate : Champion;

    /// <exception cref="FlywheelException">It is none of <see cref="Steps"/>.</exception>
    public static double CheckShare(double percent) => Steps.Contains(percent / 100) ? percent / 100
        : throw new FlywheelException(
            $"field 'share' is {percent}, expected one of {string.Join(", ", Steps.Select(step => step * 100))} (percent)");
}

/// <summary>What decides: the acceptance of what each arm's people got, or which of two drafts people chose.</summary>
public enum RolloutDecider { Acceptance, Drafts }

public enum RolloutState { Running, Promoted, RolledBack, Stopped }
