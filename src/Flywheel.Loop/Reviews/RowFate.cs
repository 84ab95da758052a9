using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Reviews;

/// <summary>What became of what a person did, and why, in words.</summary>
public static class RowFate
{
    private const int MinPrefix = 6;

    /// <param name="store">The record.</param>
    /// <param name="id">Of a feedback, a generation or an example (its number, or its hash), or at least six characters of it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Lines to be read one after another.</returns>
    /// <exception cref="FlywheelException">Nothing, or several things, have that id.</exception>
    public static async Task<IReadOnlyList<string>> ExplainAsync(FlywheelStore store, string id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        List<Feedback> rows = await FindAsync(db, id.Trim(), cancellation);
        ILookup<Guid, Review> reviews = await ReviewQueue.ReviewsAsync(db, cancellation);
        bool required = HomeSettings.Read(store.Home).RequireReview;
        List<string> lines = [];
        foreach (Feedback row in rows) await ExplainAsync(store, db, row, reviews, required, lines, cancellation);
        return lines;
    }

    private static async Task<List<Feedback>> FindAsync(FlywheelDb db, string id, CancellationToken cancellation)
    {
        if (long.TryParse(id, out long number) && id.Length < 19
            && await OfExamplesAsync(db.Examples.Where(row => row.Id == number)) is { Count: > 0 } numbered) return numbered;
        if (id.Length < MinPrefix)
            throw new FlywheelException(
                $"'{id}' is too short for an id, expected at least {MinPrefix} characters, or the number of an example");
        string low = id.ToLowerInvariant(), high = low + "~";
        List<Feedback> feedback = await db.Feedback.FromSql($"SELECT * FROM feedback WHERE id >= {low} AND id < {high} LIMIT 2")
            .AsNoTracking().ToListAsync(cancellation);
        List<Generation> generations = await db.Generations.FromSql($"SELECT * FROM generation WHERE id >= {low} AND id < {high} LIMIT 2")
            .AsNoTracking().ToListAsync(cancellation);
        List<ExampleRow> examples = await db.Examples.FromSql($"SELECT * FROM example WHERE hash >= {low} AND hash < {high} LIMIT 100")
            .AsNoTracking().ToListAsync(cancellation);
        int found = feedback.Count + generations.Count + examples.Select(row => row.Hash).Distinct().Count();
        if (found > 1) throw new FlywheelException($"'{id}' is the beginning of several ids; give more of it");
        if (feedback.Count == 1) return feedback[0].Metric == Metrics.Review ? await OfIdsAsync([Review.Read(feedback[0]).Of]) : feedback;
        if (examples.Count > 0) return await OfExamplesAsync(db.Examples.Where(row => row.Hash == examples[0].Hash));
        if (generations.Count == 1)
        {
            Guid about = generations[0].Id;
            List<Feedback> said = await db.Feedback.AsNoTracking().Where(row => row.GenerationId == about && row.Metric != Metrics.Review)
                .OrderBy(row => row.Sequence).ToListAsync(cancellation);
            return said.Count > 0
                ? said : throw new FlywheelException(
                    $"nobody has said anything about the generation {about} yet, so there is nothing to learn from it");
        }
        throw new FlywheelException($"nothing in the record has the id '{id}', expected the id of a feedback, a generation or an example");

        async Task<List<Feedback>> OfExamplesAsync(IQueryable<ExampleRow> of) =>
            await OfIdsAsync(
                [.. await of.SelectMany(row => row.Sources).Select(source => source.FeedbackId).Distinct().ToListAsync(cancellation)]);

        async Task<List<Feedback>> OfIdsAsync(Guid[] ids) =>
            await db.Feedback.AsNoTracking().Where(row => ids.Contains(row.Id) && row.Metric != Metrics.Review).OrderBy(row => row.Sequence)
                .ToListAsync(cancellation);
    }

    private static async Task ExplainAsync(FlywheelStore store, FlywheelDb db, Feedback row, ILookup<Guid, Review> reviews, bool required,
        List<string> lines, CancellationToken cancellation)
    {
        string person = CuratedExample.PersonOf(row.User, row.Owner);
        lines.Add(
            $"{row.Metric} {row.Id} by {(person.Length > 0 ? person : "somebody without a name")} at {row.Time:yyyy-MM-dd HH:mm} UTC about {row.GenerationId}");
        foreach (Review review in reviews[row.Id])
            lines.Add(
                $"  reviewed: {Review.NameOf(review.Act)} by {(review.Reviewer.Length > 0 ? review.Reviewer : "somebody without a name")} at {review.Time:yyyy-MM-dd HH:mm} UTC"
                + (review.Reason is { } reason ? $", because {reason}" : "") + (review.Label is { } label ? $": {label}" : "")
                + (review.Text is { } text ? $": {text}" : ""));
        ReviewState state = ReviewState.Of(reviews[row.Id]);
        List<ExampleRow> examples = await db.Examples.AsNoTracking()
            .Where(example =>
                db.ExampleFeedback.Where(source => source.FeedbackId == row.Id).Select(source => source.ExampleId).Contains(example.Id))
            .OrderBy(example => example.Id).ToListAsync(cancellation);
        foreach (ExampleRow example in examples)
        {
            TurnRow turn = await db.Turns.AsNoTracking().SingleAsync(found => found.Id == example.TurnId, cancellation);
            string kind = example.Kind.ToString().ToLowerInvariant();
            lines.Add($"  turn {turn.Number} ({turn.State.ToString().ToLowerInvariant()}): "
                + (example.DropReason is { } drop
                    ? $"left out, {DropReasons.CodeOf(drop)}{(DropReasons.CodeOf(drop) == drop ? "" : $" ({drop})")}"
                : $"{kind} example {example.Id}, {(example.Split == Split.Train ? "learnt from" : "only tested on")}"));
        }
        List<Guid> promoted = await FeedbackReader.PromotedAsync(db, cancellation);
        if (examples.Any(example => example.DropReason != DropReasons.NotShared && promoted.Contains(example.TurnId))) return;
        try
        {
            ReviewItem item = await new ReviewQueue(store).FindAsync(row.Id, cancellation);
            if (item.Signals.Count > 0) lines.Add($"  stands out: {string.Join(", ", item.Signals)}");
            lines.Add("  next turn: " + item.State.Outcome switch
            {
                ReviewOutcome.Rejected => $"left out, {DropReasons.RejectedByReviewer}",
                ReviewOutcome.Disputed => $"waits, {DropReasons.ReviewersDisagree}",
                ReviewOutcome.Open when required => $"waits, {DropReasons.AwaitsReview}",
                ReviewOutcome.Corrected => "goes in with the corrected text",
                _ => "goes in, unless the turn's own rules leave it out",
            });
        }
        catch (ReviewGoneException e)
        {
            lines.Add($"  no item of the queue: {e.Message}");
        }
    }
}
