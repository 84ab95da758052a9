using System.Text.Json.Nodes;
using Flywheel.Loop;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Serving;

/// <summary>A text that somebody wrote in an answer's place.</summary>
/// <param name="Id">The feedback's.</param>
/// <param name="Sequence">Orders them.</param>
/// <param name="GenerationId">The answer.</param>
/// <param name="Text">What they wrote.</param>
internal sealed record Demonstrated(Guid Id, long Sequence, Guid GenerationId, string Text);

/// <summary>What people wrote in answers' places, as it stands: what they took back or wrote anew is not among it, as in turns
/// (<see cref="Curator"/>).</summary>
internal static class Demonstrations
{
    /// <summary>Not so many that a query has too many parameters.</summary>
    private const int AtOnce = 500;

    /// <param name="db">The record, with the rows that whoever asks gets to see.</param>
    /// <param name="answers">About which answers.</param>
    /// <param name="workspace">Said where.</param>
    /// <param name="user">By whom; null: by anybody, about answers that may teach.</param>
    /// <param name="count">At most so many of the latest.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>The latest first, one for each answer and person.</returns>
    public static async Task<IReadOnlyList<Demonstrated>> StandingAsync(FlywheelDb db, IQueryable<Generation> answers, string workspace,
        string? user, int count, CancellationToken cancellation)
    {
        // Who did not let models learn from an answer did not write it for others either: what they keep of it would teach.
        if (user is null) answers = answers.Where(answer => answer.Consent != Consent.Refused);
        List<Feedback> said = await db.Feedback.AsNoTracking()
            .Where(row => row.Metric == Metrics.Demonstration && row.Workspace == workspace && (user == null || row.User == user)
                && answers.Any(answer => answer.Id == row.GenerationId))
            .OrderByDescending(row => row.Sequence).Take(count).ToListAsync(cancellation);
        List<Feedback> back = [];
        foreach (Guid[] about in said.Select(row => row.GenerationId).Distinct().Chunk(AtOnce))
            back.AddRange(await db.Feedback.AsNoTracking().Where(row => row.Metric == Metrics.Retract && about.Contains(row.GenerationId))
                .ToListAsync(cancellation));
        ILookup<(Guid, string, string), (long Sequence, Guid? Only)> taken =
            back.ToLookup(KeyOf, row => (row.Sequence, ((FeedbackEffect.TakeBack)FeedbackKind.Named(row.Metric).Effect(row)).Only));
        return [.. said.Where(row => !taken[KeyOf(row)].Any(one => one.Sequence > row.Sequence && (one.Only is null || one.Only == row.Id)))
            .DistinctBy(KeyOf)
            .Select(row => new Demonstrated(row.Id, row.Sequence, row.GenerationId, JsonNode.Parse(row.Value)!.GetValue<string>()))];
    }

    private static (Guid, string, string) KeyOf(Feedback row) => (row.GenerationId, row.User, row.Owner);
}
