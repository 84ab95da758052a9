using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop.Reviews;

/// <summary>
/// What a reviewer may do with an item. Compare: choose between the text that was taken and another one, without being told which is
/// which. Label: a word about it, which decides nothing. Undo: takes back the reviewer's own last one.
/// </summary>
public enum ReviewAct { Approve, Correct, Reject, Compare, Label, Undo }

/// <summary>One act of a reviewer. It is kept as feedback of the kind <see cref="Metrics.Review"/> about the same generation.</summary>
/// <param name="Id">Its feedback id.</param>
/// <param name="Of">The feedback that was reviewed.</param>
/// <param name="Reviewer">Who.</param>
/// <param name="Act">What was done.</param>
public sealed record Review(Guid Id, Guid Of, string Reviewer, ReviewAct Act)
{
    public DateTimeOffset Time { get; init; }

    /// <summary>Its place among all that came; times may be the same.</summary>
    public long Sequence { get; init; }

    /// <summary>Of a correction: the text in place of what the person took.</summary>
    public string? Text { get; init; }

    /// <summary>Of a rejection: why.</summary>
    public string? Reason { get; init; }

    public string? Label { get; init; }

    /// <summary>Of a comparison: whether the text that the person had taken was chosen.</summary>
    public bool? Agrees { get; init; }

    /// <summary>Whether what was reviewed is to be learnt from; null of what decides nothing.</summary>
    public bool? Accepts => Act switch
    {
        ReviewAct.Approve or ReviewAct.Correct => true,
        ReviewAct.Reject => false,
        ReviewAct.Compare => Agrees,
        _ => null,
    };

    /// <summary>As one of the three answers by which reviewers are compared: approve, correct or reject.</summary>
    public string Verdict => Act == ReviewAct.Correct ? "correct" : Accepts == true ? "approve" : "reject";

    /// <summary>The name of an act in the API and in files.</summary>
    public static string NameOf(ReviewAct act) => act.ToString().ToLowerInvariant();

    /// <param name="row">Of the kind <see cref="Metrics.Review"/>.</param>
    public static Review Read(Feedback row)
    {
        JsonNode value = JsonNode.Parse(row.Value)!;
        return new(row.Id, value["of"]!.GetValue<Guid>(), CuratedExample.PersonOf(row.User, row.Owner),
            Enum.Parse<ReviewAct>((string)value["decision"]!, ignoreCase: true))
        {
            Time = row.Time, Sequence = row.Sequence, Text = (string?)value["text"], Reason = (string?)value["reason"],
            Label = (string?)value["label"],
            Agrees = (bool?)value["agrees"],
        };
    }

    /// <summary>What <see cref="Read"/> reads.</summary>
    internal string ToValue()
    {
        var value = new JsonObject { ["of"] = Of.ToString(), ["decision"] = NameOf(Act) };
        if (Text is not null) value["text"] = Text;
        if (Reason is not null) value["reason"] = Reason;
        if (Label is not null) value["label"] = Label;
        if (Agrees is { } agrees) value["agrees"] = agrees;
        return value.ToJsonString(JsonText.Compact);
    }
}

/// <summary>
/// Where an item stands. Disputed: one reviewer lets it in and another does not; it waits until they agree.
/// </summary>
public enum ReviewOutcome { Open, Approved, Corrected, Rejected, Disputed }

/// <summary>What all reviewers together said of an item.</summary>
/// <param name="Outcome">What follows for training.</param>
/// <param name="Text">Of a corrected item: the last correction.</param>
/// <param name="Reason">Of a rejected item: the last reason.</param>
/// <param name="Standing">Of each reviewer the decision that stands, in the order in which they came.</param>
/// <param name="Labels">Words that stand.</param>
/// <param name="Ids">Every review of it, also those that were undone.</param>
public sealed record ReviewState(ReviewOutcome Outcome, string? Text, string? Reason, IReadOnlyList<Review> Standing,
    IReadOnlyList<string> Labels, IReadOnlyList<Guid> Ids)
{
    /// <summary>Reviews that gave words that stand.</summary>
    public IReadOnlyList<Review> Labelled { get; init; } = [];

    /// <summary>Of a reviewer, the last decision that was not undone counts; an undo takes back one act.</summary>
    /// <param name="reviews">Of one item, in the order in which they came.</param>
    public static ReviewState Of(IEnumerable<Review> reviews)
    {
        List<Review> all = [.. reviews];
        List<Review> left = [];
        foreach (Review review in all)
        {
            if (review.Act != ReviewAct.Undo) left.Add(review);
            else if (left.FindLastIndex(earlier => earlier.Reviewer == review.Reviewer) is >= 0 and int last) left.RemoveAt(last);
        }
        List<Review> standing = [.. left.Where(review => review.Accepts is not null).GroupBy(review => review.Reviewer)
            .Select(mine => mine.Last()).OrderBy(all.IndexOf)];
        bool isIn = standing.Exists(review => review.Accepts == true), isOut = standing.Exists(review => review.Accepts == false);
        Review? correction = standing.LastOrDefault(review => review.Act == ReviewAct.Correct);
        ReviewOutcome outcome = isIn && isOut ? ReviewOutcome.Disputed : isOut ? ReviewOutcome.Rejected
            : correction is not null ? ReviewOutcome.Corrected : isIn ? ReviewOutcome.Approved : ReviewOutcome.Open;
        return new(outcome, outcome == ReviewOutcome.Corrected ? correction!.Text : null,
            standing.LastOrDefault(review => review.Accepts == false)?.Reason, standing,
            [.. left.Select(review => review.Label).OfType<string>().Distinct()], [.. all.Select(review => review.Id)])
        {
            Labelled = [.. left.Where(review => review.Label is not null)],
        };
    }

    /// <summary>What a reviewer decided; null where nothing of theirs stands.</summary>
    public Review? By(string reviewer) => Standing.FirstOrDefault(review => review.Reviewer == reviewer);
}
