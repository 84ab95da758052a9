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
    IReadOnlyDictionary<string, Split> People, IReadOnlyDictionary<string, Split> Prompts, IReadOnlySet<string> UsedBefore);

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
                .Select(row =>
                    new Shown(row.Id, row.Group, row.Choice, row.User, row.Payload!.Conversation, row.Payload.Text,
                    row.FinishReason != Engine.FinishReason.Cancelled && row.FinishReason != Engine.FinishReason.Failed)
                {
                    Owner = row.Owner,
                    Consent = row.Consent,
                    App = row.App,
                    Served = withTokens ? new ServedTokens(row.Payload.PromptTokens, row.Payload.Tokens, row.Payload.SamplerLogprobs) : null,
                })
                .ToListAsync(cancellation));
            feedback.AddRange(await db.Feedback.AsNoTracking().Where(row => db.Generations.Any(generation => generation.Id == row.GenerationId && groups.Contains(generation.Group))).ToListAsync(cancellation));
        }

        (Dictionary<string, Split> people, Dictionary<string, Split> prompts) = await SidesAsync(db, feedback, cancellation);
        List<string> used = await db.Examples.Where(row => row.DropReason == null && promoted.Contains(row.TurnId)).Select(row => row.Hash!).Distinct().ToListAsync(cancellation);
        return new(
            [.. shown.OrderBy(answer => answer.Id)],
            [.. feedback.OrderBy(row => row.Sequence)],
            open.Count(row => row.Group is not null),
            open.Count(row => row.Group is not null && row.Sequence > last),
            open.Count(row => row.Group is null),
            open.Select(row => row.Sequence).Append(last).Max(),
            people,
            prompts,
            used.ToHashSet());
    }

    /// <summary>
    /// On which side people and prompts were in earlier turns. Who was ever learnt from counts as such: a person of few, part of whose
    /// prompts were held out, and one who did the same under a stated name before a key named them. So nobody is tested on after a
    /// model has learnt from them.
    /// </summary>
    private static async Task<(Dictionary<string, Split> People, Dictionary<string, Split> Prompts)> SidesAsync(FlywheelDb db, IReadOnlyList<Feedback> feedback, CancellationToken cancellation)
    {
        var rows = await db.Examples.Where(row => row.Split != null).Select(row => new { row.User, row.Owner, row.PromptHash, row.Split }).Distinct().ToListAsync(cancellation);
        Dictionary<string, Split> people = Sides(rows.Select(row => (CuratedExample.PersonOf(row.User, row.Owner), row.Split!.Value)));
        foreach (Feedback row in feedback.Where(row => row.Owner.Length > 0 && row.User.Length > 0))
            if (people.TryGetValue(row.User, out Split side) && side == Split.Train) people[row.Owner] = Split.Train;
        return (people, Sides(rows.Where(row => row.PromptHash is not null).Select(row => (row.PromptHash!, row.Split!.Value))));

        static Dictionary<string, Split> Sides(IEnumerable<(string Name, Split Side)> all) => all.GroupBy(row => row.Name)
            .ToDictionary(group => group.Key, group => group.Any(row => row.Side == Split.Train) ? Split.Train : Split.HeldOut);
    }
}
