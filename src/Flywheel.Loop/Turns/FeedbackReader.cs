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
/// <param name="Sides">Who was learnt from and who was tested on in earlier turns.</param>
/// <param name="UsedBefore">Hashes of examples that a promoted model was trained on.</param>
internal sealed record FeedbackIntake(
    IReadOnlyList<Shown> Shown, IReadOnlyList<Feedback> Feedback, int NumOpen, int NumNew, int NumOrphans, long Through,
    IReadOnlyDictionary<string, Split> Sides, IReadOnlySet<string> UsedBefore);

/// <summary>
/// Finds the feedback of a turn: what no promoted model has learnt from. Feedback of a rejected turn stays open, since it has
/// reached nobody; so does feedback that waits for its generation.
/// </summary>
internal static class FeedbackReader
{
    /// <param name="db">The record.</param>
    /// <param name="withTokens">Read what was served token by token, too.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<FeedbackIntake> ReadAsync(FlywheelDb db, bool withTokens, CancellationToken cancellation)
    {
        long last = await db.Turns.MaxAsync(turn => (long?)turn.FeedbackThrough, cancellation) ?? 0;
        // The few turns first, so that each feedback costs two indexed look-ups.
        List<Guid> promoted = await db.Turns.Where(turn => turn.State == TurnState.Promoted).Select(turn => turn.Id).ToListAsync(cancellation);
        var open = await db.Feedback.AsNoTracking()
            .Where(row => !db.ExampleFeedback.Any(source => source.FeedbackId == row.Id && db.Examples.Any(example => example.Id == source.ExampleId && promoted.Contains(example.TurnId))))
            .Select(row => new { row.Sequence, row.GenerationId, Group = db.Generations.Where(generation => generation.Id == row.GenerationId).Select(generation => (Guid?)generation.Group).FirstOrDefault() })
            .ToListAsync(cancellation);

        List<Shown> shown = [];
        List<Feedback> feedback = [];
        foreach (Guid?[] groups in open.Select(row => row.Group).Where(group => group is not null).Distinct().Chunk(500))
        {
            shown.AddRange(await db.Generations.AsNoTracking().Where(row => groups.Contains(row.Group) && row.Payload != null)
                .Select(row => new Shown(row.Id, row.Group, row.Choice, row.User, row.Payload!.Conversation, row.Payload.Text, row.FinishReason != Engine.FinishReason.Cancelled)
                {
                    Served = withTokens ? new ServedTokens(row.Payload.PromptTokens, row.Payload.Tokens, row.Payload.SamplerLogprobs) : null,
                })
                .ToListAsync(cancellation));
            feedback.AddRange(await db.Feedback.AsNoTracking().Where(row => db.Generations.Any(generation => generation.Id == row.GenerationId && groups.Contains(generation.Group))).ToListAsync(cancellation));
        }

        var sides = await db.Examples.Where(row => row.Split != null).Select(row => new { row.User, row.Split }).Distinct().ToListAsync(cancellation);
        List<string> used = await db.Examples.Where(row => row.DropReason == null && promoted.Contains(row.TurnId)).Select(row => row.Hash!).Distinct().ToListAsync(cancellation);
        return new(
            [.. shown.OrderBy(answer => answer.Id)],
            [.. feedback.OrderBy(row => row.Sequence)],
            open.Count(row => row.Group is not null),
            open.Count(row => row.Group is not null && row.Sequence > last),
            open.Count(row => row.Group is null),
            open.Select(row => row.Sequence).Append(last).Max(),
            sides.GroupBy(row => row.User).ToDictionary(person => person.Key, person => person.First().Split!.Value),
            used.ToHashSet());
    }
}
