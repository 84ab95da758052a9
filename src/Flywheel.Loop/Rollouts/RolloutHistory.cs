using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Rollouts;

/// <summary>Reads from the record what happened in a rollout, in the order in which it did.</summary>
public static class RolloutHistory
{
    private sealed record Answer(Guid Id, Guid Group, DateTimeOffset Time, string Person, bool IsCandidate, double? Share,
        Engine.FinishReason End,
        double LatencyMs, double? Cost);

    /// <summary>What is known at this moment.</summary>
    /// <param name="store">The record.</param>
    /// <param name="row">The rollout.</param>
    /// <param name="now">Observations that are due by then are closed.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<RolloutTracker> ReadAsync(FlywheelStore store, RolloutRow row, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        var rows = await db.Generations.AsNoTracking().Where(generation => generation.Rollout == row.Id)
            .Select(generation => new
            {
                generation.Id, generation.Group, generation.Time, generation.User, generation.Owner, generation.Variant,
                generation.Propensity,
                generation.FinishReason, generation.LatencyMs, generation.Cost,
            }).ToListAsync(cancellation);
        Answer[] answers = [.. rows.Select(one => new Answer(one.Id, one.Group, one.Time, CuratedExample.PersonOf(one.User, one.Owner),
            one.Variant == RolloutRow.CandidateArm, ShareOf(one.Variant, one.Propensity), one.FinishReason, one.LatencyMs, one.Cost))];
        List<Feedback> feedback = await db.Feedback.AsNoTracking()
            .Where(said => db.Generations.Any(generation => generation.Id == said.GenerationId && generation.Rollout == row.Id))
            .OrderBy(said => said.Sequence).ToListAsync(cancellation);
        return Replay(row, answers, feedback, now);
    }

    /// <summary>How much there is to read: answers, and what was said of them.</summary>
    public static async Task<(int Answers, int Said)> CountAsync(FlywheelStore store, RolloutRow row,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        int answers = await db.Generations.CountAsync(generation => generation.Rollout == row.Id, cancellation);
        int said =
            await db.Feedback.CountAsync(said =>
                db.Generations.Any(generation => generation.Id == said.GenerationId && generation.Rollout == row.Id), cancellation);
        return (answers, said);
    }

    /// <summary>The probability of the candidate when an answer was made; null of a draft of a pair, which was shown beside the
    /// other.</summary>
    private static double? ShareOf(string? variant, double? propensity) => propensity switch
    {
        null or 1 => null,
        { } known => Math.Round(variant == RolloutRow.CandidateArm ? known : 1 - known, 9),
    };

    private static RolloutTracker Replay(RolloutRow row, Answer[] answers, List<Feedback> feedback, DateTimeOffset now)
    {
        var tracker = new RolloutTracker();
        var requests = answers.GroupBy(answer => answer.Group).ToDictionary(group => group.Key, group => group.ToArray());
        var byId = answers.ToDictionary(answer => answer.Id);
        double slow =
            row.SlowMs
                ?? SlowOf(answers.Where(answer => !answer.IsCandidate).OrderBy(answer => answer.Time).Take(50)
                    .Select(answer => answer.LatencyMs)) ?? double.PositiveInfinity;
        var acts = new Dictionary<Guid, List<Feedback>>();
        IEnumerable<(DateTimeOffset Time, int Kind, object What)> events =
            requests.Values.Select(request => (request[0].Time, 0, (object)request))
            .Concat(feedback.Select(said => (said.Time, 1, (object)said)));
        foreach ((DateTimeOffset time, int _, object what) in events.OrderBy(one => one.Time).ThenBy(one => one.Kind))
        {
            if (what is Answer[] request)
            {
                if (request[0].Share is null)
                {
                    // Only where both were asked: full queues may have refused one.
                    if (request.Any(answer => answer.IsCandidate) && request.Any(answer => !answer.IsCandidate))
                        tracker.AnsweredByBoth(time, request[0].Person, Became(request, false, slow), Became(request, true, slow));
                    continue;
                }
                tracker.Answered(time, request[0].Group, request[0].Person, request[0].IsCandidate, request[0].Share!.Value,
                    request.Any(answer => answer.End == Engine.FinishReason.Failed), request.Max(answer => answer.LatencyMs) > slow);
                continue;
            }
            var said = (Feedback)what;
            Answer about = byId[said.GenerationId];
            string who = CuratedExample.PersonOf(said.User, said.Owner);
            if (who.Length > 0 && who != about.Person) continue; // others may speak of it, and do not decide for the person
            if (!acts.TryGetValue(about.Id, out List<Feedback>? sofar)) acts[about.Id] = sofar = [];
            sofar.Add(said);
            Answer[] all = requests[about.Group];
            double?[] values = [.. all.Select(answer => ValueOf(acts.GetValueOrDefault(answer.Id)))];
            bool final = IsFinal(values);
            if (about.Share is not null) tracker.Judged(time, about.Group, ValueOf(values), final);
            // Beside a text that was cut, the whole one wins for being whole.
            else if (all.All(IsWhole)) tracker.Chose(time, about.Group, about.Person, PreferenceOf(all, acts), final);
        }
        tracker.Advance(now);
        foreach (bool candidate in new[] { false, true })
            Sum(candidate ? tracker.Candidate : tracker.Champion, [.. answers.Where(answer => answer.IsCandidate == candidate)], acts);
        return tracker;
    }

    private static bool IsWhole(Answer draft) => draft.End is Engine.FinishReason.Stop or Engine.FinishReason.Length;

    /// <summary>What became of one model's drafts of a request. One that somebody stopped while the other model's were whole already was
    /// slow.</summary>
    private static (bool Failed, bool Slow) Became(Answer[] drafts, bool candidate, double slow)
    {
        Answer[] own = [.. drafts.Where(draft => draft.IsCandidate == candidate)],
            others = [.. drafts.Where(draft => draft.IsCandidate != candidate)];
        return (own.Any(draft => draft.End == Engine.FinishReason.Failed),
            own.Any(draft => draft.LatencyMs > slow)
                || own.Any(draft => draft.End == Engine.FinishReason.Cancelled) && others.All(IsWhole));
    }

    /// <summary>Of an answer after all that its person said: kept 1, edited one half, thrown away 0, a rating as it is; null when nothing
    /// stands.</summary>
    internal static double? ValueOf(List<Feedback>? acts)
    {
        var standing = new List<Feedback>();
        foreach (Feedback act in acts ?? [])
            if (FeedbackKind.Named(act.Metric).Effect(act) is FeedbackEffect.TakeBack back)
                standing.RemoveAll(one => back.Only is null || one.Id == back.Only);
            else standing.Add(act);
        FeedbackEffect[] effects = [.. standing.Select(act => FeedbackKind.Named(act.Metric).Effect(act))];
        if (effects.OfType<FeedbackEffect.Act>().LastOrDefault() is { } done) return !done.Kept ? 0 : done.Text is null ? 1 : 0.5;
        return effects.OfType<FeedbackEffect.Judgement>().LastOrDefault() is { } judged ? (judged.Reward + 1) / 2 : null;
    }

    /// <summary>Whether no answer of a request is left that could make more of it.</summary>
    internal static bool IsFinal(IReadOnlyCollection<double?> values) => values.All(value => value is not null) || values.Contains(1);

    /// <summary>Of several answers to one request, the best is what the person got.</summary>
    private static double? ValueOf(IEnumerable<double?> values) => values.Max();

    /// <summary>Which of two drafts the person chose. What was thrown away alone speaks for the other.</summary>
    private static double? PreferenceOf(Answer[] pair, Dictionary<Guid, List<Feedback>> acts)
    {
        double? before = ValueOf(pair.Where(draft => !draft.IsCandidate).Select(draft => ValueOf(acts.GetValueOrDefault(draft.Id))));
        double? after = ValueOf(pair.Where(draft => draft.IsCandidate).Select(draft => ValueOf(acts.GetValueOrDefault(draft.Id))));
        return before is null && after is null ? null : Math.Sign((after ?? 0.25) - (before ?? 0.25));
    }

    private static void Sum(ArmCounts arm, Answer[] answers, Dictionary<Guid, List<Feedback>> acts)
    {
        if (answers.Length == 0) return;
        arm.MeanLatencyMs = answers.Average(answer => answer.LatencyMs);
        arm.NumAccepted = answers.Sum(answer => ValueOf(acts.GetValueOrDefault(answer.Id)) ?? 0);
        if (answers.Any(answer => answer.Cost is not null)) arm.Cost = answers.Sum(answer => answer.Cost ?? 0);
    }

    /// <summary>What counts as slow, from what the champion's answers took; null where there are too few.</summary>
    internal static double? SlowOf(IEnumerable<double> latencies)
    {
        double[] sorted = [.. latencies.Take(500).Order()];
        return sorted.Length < 20 ? null : RolloutDecision.SlowFactor * sorted[(int)(0.9 * (sorted.Length - 1))];
    }
}
