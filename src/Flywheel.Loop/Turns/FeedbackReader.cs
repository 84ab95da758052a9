using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>What the record has for a turn to curate.</summary>
/// <param name="Shown">Every answer of each request that open feedback is about.</param>
/// <param name="Feedback">All feedback about them.</param>
/// <param name="NumOpen">Feedback that no promoted model has learnt from yet.</param>
/// <param name="NumNew">Of it, what came since the last turn.</param>
/// <param name="NumOrphans">Feedback whose generation is not recorded (yet).</param>
/// <param name="Through">Highest sequence of feedback that was there.</param>
/// <param name="People">Who was learnt from and who was tested on in earlier turns.</param>
/// <param name="Prompts">The same of prompts, by their hashes.</param>
/// <param name="UsedBefore">Hashes of examples that a promoted model was trained on.</param>
internal sealed record FeedbackIntake(
    IReadOnlyList<Shown> Shown, IReadOnlyList<Feedback> Feedback, int NumOpen, int NumNew, int NumOrphans, long Through,
    IReadOnlyDictionary<string, Split> People, IReadOnlyDictionary<string, Split> Prompts, IReadOnlySet<string> UsedBefore)
{
    /// <summary>In how many examined turns people were held out.</summary>
    public IReadOnlyDictionary<string, int> Looks { get; init; } = new Dictionary<string, int>();
}

/// <summary>
/// Finds the feedback of a turn: what no promoted model has learnt from. Feedback of a rejected turn stays open, since it has
/// reached nobody; so does feedback that waits for its generation.
/// </summary>
internal static class FeedbackReader
{
    /// <param name="db">The record.</param>
    /// <param name="upstreams">Whose answers may teach.</param>
    /// <param name="withTokens">Read what was served token by token, too.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="workspace">Whose turn. Each of a workspace's own learns from all that is there again, for it starts from the model that
    /// all share.</param>
    public static async Task<FeedbackIntake> ReadAsync(FlywheelDb db, Upstreams upstreams, bool withTokens, CancellationToken cancellation,
        string workspace = WorkspaceRow.Default)
    {
        long last = await db.Turns.Where(turn => turn.Workspace == workspace)
            .MaxAsync(turn => (long?)turn.FeedbackThrough, cancellation) ?? 0;
        // The few turns first, so that each feedback costs two indexed look-ups.
        List<Guid> promoted = await PromotedAsync(db, cancellation);
        IQueryable<Feedback> rows = db.Feedback.AsNoTracking();
        rows = workspace == WorkspaceRow.Default
            ? rows.Where(row => !db.ExampleFeedback.Any(source => source.FeedbackId == row.Id
                && db.Examples.Any(example => example.Id == source.ExampleId && promoted.Contains(example.TurnId))))
            : rows.Where(row => row.Workspace == workspace
                && !db.Generations.Any(generation => generation.Id == row.GenerationId && generation.Workspace != workspace));
        var open = await rows
            .Select(row => new { row.Sequence, row.GenerationId,
                Group = db.Generations.Where(generation => generation.Id == row.GenerationId).Select(generation => (Guid?)generation.Group)
                    .FirstOrDefault() })
            .ToListAsync(cancellation);

        (List<Shown> shown, List<Feedback> feedback) =
            await LoadAsync(db, upstreams, open.Select(row => row.Group), withTokens, cancellation,
                await SharingAsync(db, workspace, cancellation));
        (Dictionary<string, Split> people, Dictionary<string, Split> prompts) = await SidesAsync(db, feedback, null, cancellation);
        HashSet<string> used = await UsedAsync(db, promoted, cancellation);
        return new(
            [.. shown.OrderBy(answer => answer.Id)],
            [.. feedback.OrderBy(row => row.Sequence)],
            open.Count(row => row.Group is not null),
            open.Count(row => row.Group is not null && row.Sequence > last),
            open.Count(row => row.Group is null),
            open.Select(row => row.Sequence).Append(last).Max(),
            people,
            prompts,
            used)
        {
            Looks = await LooksAsync(db, null, cancellation),
        };
    }

    /// <summary>
    /// What a turn had found when it began, as far as it is still there: all feedback about the requests that its rows name which had come
    /// by then, what earlier turns had done with people and prompts, and what workspaces and licences had allowed. What came later, such as
    /// a word
    /// taken back or a yes of a workspace, is not in it.
    /// </summary>
    public static async Task<FeedbackIntake> AgainAsync(FlywheelDb db, TurnRow turn, bool withTokens, CancellationToken cancellation)
    {
        HashSet<Guid> seen = [.. await db.ExampleFeedback
            .Where(source => db.Examples.Any(example => example.Id == source.ExampleId && example.TurnId == turn.Id))
            .Select(source => source.FeedbackId).Distinct().ToListAsync(cancellation)];
        List<Guid?> groups = [];
        foreach (Guid[] ids in seen.Chunk(500))
            groups.AddRange(await db.Feedback.Where(row => ids.Contains(row.Id))
                .Select(row =>
                    db.Generations.Where(generation => generation.Id == row.GenerationId).Select(generation => (Guid?)generation.Group)
                        .FirstOrDefault())
                .ToListAsync(cancellation));
        (List<Shown> shown, List<Feedback> all) = await LoadAsync(db, new(), groups, withTokens, cancellation,
            await SharingAsync(db, turn.Workspace, cancellation));
        // What waited for a reviewer is in no row, and stood beside what was learnt all the same.
        List<Feedback> feedback =
            [.. all.Where(row => row.Sequence <= turn.FeedbackThrough || seen.Contains(row.Id)).OrderBy(row => row.Sequence)];
        shown = await AllowedThenAsync(db, turn, shown, feedback, cancellation);
        List<TurnRow> earlier = await db.Turns.AsNoTracking().Where(row => row.Number < turn.Number).ToListAsync(cancellation);
        (Dictionary<string, Split> people, Dictionary<string, Split> prompts) =
            await SidesAsync(db, feedback, [.. earlier.Select(row => row.Id)], cancellation);
        HashSet<string> used = await UsedAsync(db, [.. earlier
            .Where(row => row.State == TurnState.Promoted && row.Workspace == WorkspaceRow.Default).Select(row => row.Id)], cancellation);
        return new([.. shown.OrderBy(answer => answer.Id)], feedback, feedback.Count, feedback.Count, 0, turn.FeedbackThrough, people,
            prompts, used)
        {
            Looks = await LooksAsync(db, [.. earlier.Select(row => row.Id)], cancellation),
        };
    }

    /// <summary>
    /// What answers might teach when a turn took or left them: its own rows say that, whatever a workspace or the licence of an upstream
    /// says
    /// today. An upstream's answer that no row names, and of which nobody said anything, stood beside no answer that was kept, or was
    /// barred.
    /// </summary>
    private static async Task<List<Shown>> AllowedThenAsync(FlywheelDb db, TurnRow turn, List<Shown> shown, List<Feedback> feedback,
        CancellationToken cancellation)
    {
        var rows = await db.Examples.Where(row => row.TurnId == turn.Id)
            .Select(row => new { row.GenerationId, row.RejectedId, row.DropReason, row.Split })
            .ToListAsync(cancellation);
        Dictionary<Guid, Guid> groups = shown.ToDictionary(answer => answer.Id, answer => answer.Group);
        Dictionary<Guid, bool> shared =
            rows.Where(row => (row.DropReason == DropReasons.NotShared || row.Split is not null) && groups.ContainsKey(row.GenerationId))
            .GroupBy(row => groups[row.GenerationId]).ToDictionary(group => group.Key, group => group.All(row => row.Split is not null));
        HashSet<Guid> barred =
            [.. rows.Where(row => row.DropReason is DropReasons.NoLicence or DropReasons.NoSound).Select(row => row.GenerationId)];
        HashSet<Guid> taught = [.. rows.Where(row => row.DropReason is not (DropReasons.NoLicence or DropReasons.NoSound))
            .SelectMany(row => new[] { row.GenerationId, row.RejectedId ?? row.GenerationId }),
            .. feedback.Select(row => row.GenerationId)];
        return [.. shown.Select(answer => answer with
        {
            IsShared = shared.TryGetValue(answer.Group, out bool then) ? then : answer.IsShared,
            MayTeach = answer.Upstream is null || (!barred.Contains(answer.Id) && taught.Contains(answer.Id)),
        })];
    }

    /// <summary>In how many turns, of these or of all, a candidate was examined on a person's texts.</summary>
    private static async Task<Dictionary<string, int>> LooksAsync(FlywheelDb db, List<Guid>? turns, CancellationToken cancellation)
    {
        var looks =
            await db.Examples
                .Where(row => row.Split == Split.HeldOut && row.DropReason == null && (turns == null || turns.Contains(row.TurnId))
            && db.Evaluations.Any(evaluation => evaluation.TurnId == row.TurnId)).Select(row => new { row.User, row.Owner, row.TurnId })
            .Distinct().ToListAsync(cancellation);
        return looks.Select(row => (Person: CuratedExample.PersonOf(row.User, row.Owner), row.TurnId)).Distinct().CountBy(row => row.Person)
            .ToDictionary();
    }

    private static async Task<HashSet<string>> UsedAsync(FlywheelDb db, List<Guid> promoted, CancellationToken cancellation) =>
        [.. await db.Examples.Where(row => row.DropReason == null && promoted.Contains(row.TurnId)).Select(row => row.Hash!).Distinct()
            .ToListAsync(cancellation)];

    /// <summary>Turns that settled what they learnt from. A workspace's own settle nothing: each learns from all that is there.</summary>
    internal static Task<List<Guid>> PromotedAsync(FlywheelDb db, CancellationToken cancellation) =>
        db.Turns.Where(turn => turn.State == TurnState.Promoted && turn.Workspace == WorkspaceRow.Default).Select(turn => turn.Id)
            .ToListAsync(cancellation);

    /// <summary>Workspaces whose answers the model that all share learns from; null in a turn of a workspace's own, which reads no
    /// others.</summary>
    private static async Task<IReadOnlySet<string>?> SharingAsync(FlywheelDb db, string workspace, CancellationToken cancellation) =>
        workspace != WorkspaceRow.Default ? null
        : (await db.Workspaces.Where(row => row.TrainsShared).Select(row => row.Id).ToListAsync(cancellation)).ToHashSet();

    /// <summary>Every answer of requests, and all feedback about them.</summary>
    /// <param name="db">The record.</param>
    /// <param name="upstreams">Whose answers may teach.</param>
    /// <param name="requests">Ids of requests.</param>
    /// <param name="withTokens">Read what was served token by token, too.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="sharing">Workspaces whose answers may teach; null: each.</param>
    internal static async Task<(List<Shown> Shown, List<Feedback> Feedback)> LoadAsync(FlywheelDb db, Upstreams upstreams,
        IEnumerable<Guid?> requests, bool withTokens, CancellationToken cancellation, IReadOnlySet<string>? sharing = null)
    {
        List<Shown> shown = [];
        List<Feedback> feedback = [];
        string[] teaching = [.. upstreams.All.Where(upstream => upstream.MayTrain).Select(upstream => upstream.Name)];
        foreach (Guid?[] groups in requests.Where(group => group is not null).Distinct().Chunk(500))
        {
            shown.AddRange(await db.Generations.AsNoTracking().Where(row => groups.Contains(row.Group) && row.Payload != null)
                .Select(row =>
                    new Shown(row.Id, row.Group, row.Choice, row.User, row.Payload!.Conversation, row.Payload.Text,
                    row.FinishReason != Engine.FinishReason.Cancelled && row.FinishReason != Engine.FinishReason.Failed)
                {
                    Owner = row.Owner,
                    Consent = row.Consent,
                    App = row.App,
                    Workspace = row.Workspace,
                    IsShared = sharing == null || sharing.Contains(row.Workspace),
                    Upstream = row.Upstream,
                    MayTeach = row.Upstream == null || teaching.Contains(row.Upstream),
                    Served = withTokens ? new ServedTokens(row.Payload.PromptTokens, row.Payload.Tokens,
                        row.Payload.SamplerLogprobs) : null,
                })
                .ToListAsync(cancellation));
            feedback.AddRange(await db.Feedback.AsNoTracking()
                .Where(row => db.Generations.Any(generation => generation.Id == row.GenerationId && groups.Contains(generation.Group)))
                .ToListAsync(cancellation));
        }
        return (shown, feedback);
    }

    /// <summary>
    /// On which side people and prompts were in earlier turns. Who was ever learnt from counts as such: a person of few, part of whose
    /// prompts were held out, and one who did the same under a stated name before a key named them. So nobody is tested on after a
    /// model has learnt from them.
    /// </summary>
    private static async Task<(Dictionary<string, Split> People, Dictionary<string, Split> Prompts)> SidesAsync(FlywheelDb db,
        IReadOnlyList<Feedback> feedback,
        List<Guid>? turns, CancellationToken cancellation)
    {
        var rows = await db.Examples.Where(row => row.Split != null && (turns == null || turns.Contains(row.TurnId)))
            .Select(row => new { row.User, row.Owner, row.PromptHash, row.Split }).Distinct().ToListAsync(cancellation);
        Dictionary<string, Split> people = Sides([.. rows.Select(row => (CuratedExample.PersonOf(row.User, row.Owner), row.Split!.Value)),
            .. await CorrectorsAsync(db, turns, cancellation)]);
        foreach (Feedback row in feedback.Where(row => row.Owner.Length > 0 && row.User.Length > 0))
            if (people.TryGetValue(row.User, out Split side) && side == Split.Train) people[row.Owner] = Split.Train;
        return (people, Sides(rows.Where(row => row.PromptHash is not null).Select(row => (row.PromptHash!, row.Split!.Value))));

        // A text that a reviewer wrote is theirs, whoever's row it is in.
        static async Task<IEnumerable<(string, Split)>> CorrectorsAsync(FlywheelDb db, List<Guid>? turns, CancellationToken cancellation)
        {
            var reviews =
                await db.Examples.Where(row => row.Split != null && row.DropReason == null && (turns == null || turns.Contains(row.TurnId)))
                .SelectMany(row => row.Sources, (row, source) => new { row.Split, source.FeedbackId })
                .Join(db.Feedback.Where(said => said.Metric == Metrics.Review), one => one.FeedbackId, said => said.Id,
                    (one, said) => new { one.Split, Said = said })
                .ToListAsync(cancellation);
            return reviews.Select(one => (Review: Review.Read(one.Said), Side: one.Split!.Value))
                .Where(one => one.Review.Act == ReviewAct.Correct && one.Review.Reviewer.Length > 0)
                .Select(one => (one.Review.Reviewer, one.Side));
        }

        static Dictionary<string, Split> Sides(IEnumerable<(string Name, Split Side)> all) => all.GroupBy(row => row.Name)
            .ToDictionary(group => group.Key, group => group.Any(row => row.Side == Split.Train) ? Split.Train : Split.HeldOut);
    }
}
