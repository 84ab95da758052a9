using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// All that there is to know about one kind of feedback: its name, what its value may be, and what it does in curation. Another kind
/// is another entry of <see cref="All"/>; nothing else asks for a kind by name.
/// </summary>
/// <param name="Name">The <c>metric_name</c> of <c>POST /feedback</c>.</param>
/// <param name="Expected">What its value must be, for errors.</param>
/// <param name="Read">The value as it is stored, or null when it is not what is expected.</param>
/// <param name="Effect">What a stored value means for the answer that it is about.</param>
public sealed record FeedbackKind(string Name, string Expected, Func<JsonValue, JsonValue?> Read, Func<Feedback, FeedbackEffect> Effect)
{
    public static IReadOnlyList<FeedbackKind> All { get; } =
    [
        new(Metrics.Keep, "true", True, _ => new FeedbackEffect.Act(Kept: true, Text: null)),
        new(Metrics.Discard, "true", True, _ => new FeedbackEffect.Act(Kept: false, Text: null)),
        new(Metrics.Demonstration, "a text that is not empty", Text, row => new FeedbackEffect.Act(Kept: true, row.Text)),
        // From 0 to 1, with one half in the middle; a row's reward goes from -1 to 1.
        new(Metrics.Rating, "a number from 0 to 1 or a bool", Share, row => new FeedbackEffect.Judgement(2 * Number(row.Value) - 1)),
        new(Metrics.Comment, "a text that is not empty", Text, _ => new FeedbackEffect.Remark()),
        new(Metrics.Retract, "true or a feedback_id", TrueOrId, row => new FeedbackEffect.TakeBack(Id(row.Value))),
    ];

    /// <summary>What reviewers say of what people did: given by <see cref="Reviews.ReviewQueue"/> alone, so no value of a request is
    /// one.</summary>
    private static readonly FeedbackKind s_review = new(Metrics.Review, "nothing: reviews are given by POST /v1/reviews", _ => null,
        _ => new FeedbackEffect.Remark());

    private static readonly Dictionary<string, FeedbackKind> s_byName =
        All.Append(s_review).ToDictionary(kind => kind.Name, StringComparer.Ordinal);

    /// <exception cref="FlywheelException">There is no such kind.</exception>
    public static FeedbackKind Named(string name) => s_byName.GetValueOrDefault(name)
        ?? throw new FlywheelException(
            $"field 'metric_name' is '{name}', expected one of {string.Join(", ", All.Select(kind => kind.Name))}");

    private static JsonValue? True(JsonValue value) => value.TryGetValue(out bool yes) && yes ? JsonValue.Create(true) : null;

    private static JsonValue? Text(JsonValue value) =>
        value.TryGetValue(out string? text) && !string.IsNullOrWhiteSpace(text) ? JsonValue.Create(text) : null;

    private static JsonValue? Share(JsonValue value)
    {
        if (value.TryGetValue(out bool liked)) return JsonValue.Create(liked ? 1.0 : 0.0);
        if (value.GetValueKind() != System.Text.Json.JsonValueKind.Number) return null;
        // A parsed document gives doubles from any number; a node made in code keeps its own type.
        return Number(value.ToJsonString()) is >= 0 and <= 1 and double number ? JsonValue.Create(number) : null;
    }

    private static JsonValue? TrueOrId(JsonValue value) =>
        True(value) ?? (value.TryGetValue(out string? id) && Guid.TryParse(id, out Guid feedback) ? JsonValue.Create(feedback.ToString())
            : null);

    private static double Number(string json) => double.Parse(json, CultureInfo.InvariantCulture);

    private static Guid? Id(string json) => json == "true" ? null : JsonNode.Parse(json)!.GetValue<Guid>();
}

/// <summary>What a feedback means for the answer that it is about. Of acts, and of judgements, a person's last one counts.</summary>
public abstract record FeedbackEffect
{
    /// <summary>Something done with the answer: taken, perhaps changed, or thrown away. It teaches a text or a preference.</summary>
    /// <param name="Kept">False when it was thrown away.</param>
    /// <param name="Text">What the person made of it; null when it was left as it is.</param>
    public sealed record Act(bool Kept, string? Text) : FeedbackEffect;

    /// <summary>An opinion, which counts where nothing was done and a stage learns from single answers.</summary>
    /// <param name="Reward">From -1 to 1.</param>
    public sealed record Judgement(double Reward) : FeedbackEffect;

    /// <summary>Kept in the record, not learnt from.</summary>
    public sealed record Remark : FeedbackEffect;

    /// <summary>Earlier feedback of this person about the answer no longer counts.</summary>
    /// <param name="Only">The one that is taken back; null takes back all.</param>
    public sealed record TakeBack(Guid? Only) : FeedbackEffect;
}
