using System.Globalization;

namespace Flywheel.Loop.Rollouts;

/// <summary>What is to be done with a rollout now.</summary>
public enum RolloutMove { GoOn, StepUp, Promote, RollBack, Stop }

/// <param name="Move">What.</param>
/// <param name="Reason">Why, as the record keeps it.</param>
public sealed record RolloutVerdict(RolloutMove Move, string Reason);

/// <summary>
/// The rules of a rollout, which may be asked after every event. A candidate that is no better is promoted with probability
/// <see cref="PromoteAlpha"/> at most, however often it is asked; one that does no harm is rolled back with <see cref="PromoteAlpha"/>
/// twice and <see cref="GuardAlpha"/> twice at most.
/// </summary>
public static class RolloutDecision
{
    /// <summary>Probability of promoting what is no better, over all looks; and of calling worse what is not.</summary>
    public const double PromoteAlpha = 0.025;

    /// <summary>The same of each guard, and of the check of the split.</summary>
    public const double GuardAlpha = 0.005, SplitAlpha = 0.001;

    /// <summary>So many more answers in a hundred may fail, or be slow, before it counts as harm.</summary>
    public const double FailedMargin = 0.02, SlowMargin = 0.10;

    /// <summary>An answer is slow that takes so many times what nine of ten of the champion's took.</summary>
    public const double SlowFactor = 2;

    /// <summary>People on each side without whom nothing is promoted; people at a step without whom no harm is seen and the share
    /// stays.</summary>
    public const int MinPeople = 6, MinHarmed = 3, MinGuarded = 10;

    /// <summary>A share lasts so long at least; after the second, fewer people are enough for the next.</summary>
    public static readonly TimeSpan MinStep = TimeSpan.FromMinutes(30), LongStep = TimeSpan.FromHours(24);

    /// <summary>What is undecided then ends.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    public static RolloutVerdict Of(RolloutRow row, RolloutTracker seen, DateTimeOffset now)
    {
        int guarded = seen.NumGuarded;
        if (Certain(seen.TooMany, s_split) || Certain(seen.TooFew, s_split))
            return new(RolloutMove.Stop,
                $"the split is not as ordered: {seen.Candidate.NumPeople} of {seen.Candidate.NumPeople + seen.Champion.NumPeople} people came to the candidate, and chance sends another number there; nothing is concluded");
        if (guarded >= MinHarmed && Certain(seen.Failed.Above, s_guard))
            return new(RolloutMove.RollBack,
                $"more of the candidate's answers fail: {Share(seen.Candidate.NumFailed, seen.Candidate.NumAnswers)} against {Share(seen.Champion.NumFailed, seen.Champion.NumAnswers)}");
        if (guarded >= MinHarmed && Certain(seen.Slow.Above, s_guard))
            return new(RolloutMove.RollBack,
                $"more of the candidate's answers are slow: {Share(seen.Candidate.NumSlow, seen.Candidate.NumAnswers)} against {Share(seen.Champion.NumSlow, seen.Champion.NumAnswers)}");
        if (seen.Candidate.NumObserved >= MinHarmed && Certain(seen.Acceptance.Below, s_promote))
            return new(RolloutMove.RollBack, $"people accept fewer of the candidate's answers: {Compared(seen)}");
        if (Certain(seen.NotPreferred, s_promote) && seen.NotPreferred.Count >= MinHarmed)
            return new(RolloutMove.RollBack, $"people prefer the champion's drafts: {Pairs(seen)}");
        if (row.Decider == RolloutDecider.Acceptance && Math.Min(seen.Candidate.NumObserved, seen.Champion.NumObserved) >= MinPeople
            && Certain(seen.Acceptance.Above, s_promote)
            // Only answers that came are judged: while more of the candidate's seem to fail or to be late, the guards are waited for.
            && seen.Failed.Estimate <= FailedMargin && seen.Slow.Estimate <= SlowMargin)
            return new(RolloutMove.Promote, $"people accept more of the candidate's answers: {Compared(seen)}");
        if (row.Decider == RolloutDecider.Drafts && seen.Preferred.Count >= MinPeople && Certain(seen.Preferred, s_promote)
            // People choose among the drafts that came: while more of the candidate's are missing, or come late, the guards are waited for.
            && seen.Failed.MeanOfPairs <= FailedMargin && seen.Slow.MeanOfPairs <= SlowMargin)
            return new(RolloutMove.Promote, $"people prefer the candidate's drafts: {Pairs(seen)}");
        if (now - row.Started >= Longest) return new(RolloutMove.Stop, $"undecided after {Longest.TotalDays:0} days: {Compared(seen)}");

        // Where drafts decide, the canary only guards: its share stays what it was set to.
        TimeSpan lasted = now - row.StepStarted;
        if (row.Decider == RolloutDecider.Acceptance && lasted >= MinStep && seen.Guarded.GetValueOrDefault(row.Share) is var here
            && here >= (lasted >= LongStep ? 1 : MinGuarded) && row.NextShare is { } next)
            return new(RolloutMove.StepUp,
                $"{here} {(here == 1 ? "person" : "people")} of the candidate came to no harm at {Percent(row.Share)}: now {Percent(next)}");
        return s_goOn;
    }

    private static readonly RolloutVerdict s_goOn = new(RolloutMove.GoOn, "");

    private static readonly double s_promote = -Math.Log(PromoteAlpha), s_guard = -Math.Log(GuardAlpha),
        s_split = -Math.Log(SplitAlpha / 2);

    private static bool Certain(BettingTest test, double bar) => test.MaxLogEvidence >= bar;

    private static string Compared(RolloutTracker seen) =>
        $"{Mean(seen.Candidate)} against {Mean(seen.Champion)} a person ({seen.Candidate.NumObserved} and {seen.Champion.NumObserved} people, {seen.Candidate.NumJudged + seen.Champion.NumJudged} judged answers)";

    private static string Pairs(RolloutTracker seen) =>
        $"{(seen.SumPreferred / Math.Max(1, seen.Preferred.Count)).ToString("+0.00;-0.00", CultureInfo.InvariantCulture)} a person on a scale from -1 to 1 ({seen.Preferred.Count} people, {seen.NumPairs} choices)";

    private static string Mean(ArmCounts arm) =>
        arm.Acceptance is { } mean ? mean.ToString("0.0%", CultureInfo.InvariantCulture) : "nothing";

    private static string Share(int count, int of) => $"{count} of {of}";

    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.##}%");
}
