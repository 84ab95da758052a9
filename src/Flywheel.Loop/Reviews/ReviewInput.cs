using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop.Reviews;

/// <summary>A reviewer's act as it comes in, checked as far as it can be without the item.</summary>
public sealed record ReviewInput
{
    public const int MaxText = 100_000, MaxReason = 500, MaxLabel = 64, MaxName = 200;

    private static readonly string[] s_fields =
        ["item", "decision", "text", "reason", "label", "preferred", "over", "user", "idempotency_key"];

    /// <summary>The feedback that is reviewed.</summary>
    public required Guid Item { get; init; }

    public required ReviewAct Act { get; init; }

    public string Reviewer { get; init; } = "";

    /// <summary>The user to whom the request's key belongs.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = Actor.Here;

    public string? Text { get; init; }

    public string? Reason { get; init; }

    public string? Label { get; init; }

    /// <summary>Of a comparison: the generation that is better, and the other one.</summary>
    public Guid? Preferred { get; init; }

    public Guid? Over { get; init; }

    public string? IdempotencyKey { get; init; }

    /// <exception cref="FlywheelException">A field is missing, too much, or too long.</exception>
    public ReviewInput Checked()
    {
        Need("text", Text, ReviewAct.Correct, MaxText);
        Need("reason", Reason, ReviewAct.Reject, MaxReason);
        Need("label", Label, ReviewAct.Label, MaxLabel);
        bool compares = Act == ReviewAct.Compare;
        foreach ((string field, Guid? value) in new[] { ("preferred", Preferred), ("over", Over) })
            if (compares != value is not null)
                throw new FlywheelException(compares ? $"field '{field}' is missing, expected the generation_id of a text of the item"
                    : $"field '{field}' is given, expected only with the decision compare");
        if (compares && Preferred == Over)
            throw new FlywheelException($"field 'over' is '{Over}', as preferred is, expected another text of the item");
        if (Reviewer.Length > MaxName)
            throw new FlywheelException($"field 'user' has {Reviewer.Length} characters, expected at most {MaxName}");
        if (IdempotencyKey?.Length > MaxName)
            throw new FlywheelException($"field 'idempotency_key' has {IdempotencyKey.Length} characters, expected at most {MaxName}");
        return this;
    }

    private void Need(string field, string? value, ReviewAct act, int length)
    {
        if (Act == act && string.IsNullOrWhiteSpace(value))
            throw new FlywheelException($"field '{field}' is empty, expected a text for the decision {Review.NameOf(act)}");
        if (Act != act && value is not null)
            throw new FlywheelException($"field '{field}' is given, expected only with the decision {Review.NameOf(act)}");
        if (value?.Length > length)
            throw new FlywheelException($"field '{field}' has {value.Length} characters, expected at most {length}");
    }

    /// <summary>Reads the body of <c>POST /v1/reviews</c>.</summary>
    /// <exception cref="FlywheelException">A field is missing, unknown or of the wrong kind.</exception>
    public static ReviewInput FromJson(JsonObject body)
    {
        foreach ((string name, _) in body)
            if (!s_fields.Contains(name)) throw new FlywheelException($"field '{name}' is unknown, expected {string.Join(", ", s_fields)}");
        return new ReviewInput
        {
            Item = Id("item") ?? throw new FlywheelException("field 'item' is missing, expected the id of an item of the queue"),
            Act = ActOf(Text("decision") ?? throw new FlywheelException($"field 'decision' is missing, expected {Acts}")),
            Text = Text("text"), Reason = Text("reason"), Label = Text("label"), Preferred = Id("preferred"), Over = Id("over"),
            Reviewer = Text("user") ?? "", IdempotencyKey = Text("idempotency_key") is { Length: > 0 } key ? key : null,
        }.Checked();

        string? Text(string field) => body[field] switch
        {
            null => null,
            JsonValue value when value.TryGetValue(out string? text) => text,
            var other => throw new FlywheelException($"field '{field}' is {other.ToJsonString(JsonText.Compact)}, expected a text"),
        };

        Guid? Id(string field) => Text(field) is not { } text ? null : Guid.TryParse(text, out Guid id) ? id
            : throw new FlywheelException($"field '{field}' is '{text}', expected an id (a UUID)");
    }

    private static string Acts => NearestName.List([.. Enum.GetValues<ReviewAct>().Select(Review.NameOf)]);

    /// <exception cref="FlywheelException">It is the name of no act.</exception>
    internal static ReviewAct ActOf(string name) =>
        Enum.GetValues<ReviewAct>().Cast<ReviewAct?>()
            .FirstOrDefault(act => string.Equals(Review.NameOf(act!.Value), name.Trim(), StringComparison.OrdinalIgnoreCase))
            ?? throw new FlywheelException($"field 'decision' is '{name}', expected {Acts}");
}
