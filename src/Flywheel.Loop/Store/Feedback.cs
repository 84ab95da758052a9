using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// What a person said or did about a generation. Rows are never changed: a later feedback overrides or retracts an
/// earlier one. The generation need not exist yet: feedback that comes first is kept and joined later.
/// </summary>
public sealed class Feedback
{
    /// <summary>Order in which feedback became durable.</summary>
    public long Sequence { get; init; }

    /// <summary>UUID v7.</summary>
    public required Guid Id { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>The generation that it is about.</summary>
    public required Guid GenerationId { get; init; }

    /// <summary>Name of a <see cref="FeedbackKind"/>.</summary>
    public required string Metric { get; init; }

    /// <summary>JSON: true for keep and discard, a text for demonstration and comment, a number or bool for rating.</summary>
    public required string Value { get; init; }

    /// <summary>Who gave it; empty when unnamed (then the generation's user counts).</summary>
    public string User { get; init; } = "";

    /// <summary>The user to whom the request's key belongs; empty without a key, or with one that belongs to an application.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = Actor.Here;

    public FeedbackSource Source { get; init; }

    /// <summary>JSON object of texts, as given.</summary>
    public string Tags { get; init; } = "{}";

    /// <summary>A second feedback of the same user with the same key is the same feedback.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>The text of a demonstration or comment.</summary>
    public string Text => JsonNode.Parse(Value)!.GetValue<string>();
}

/// <summary>Names of the kinds of feedback, which <see cref="FeedbackKind"/> describes.</summary>
public static class Metrics
{
    /// <summary>The person took the text as it is.</summary>
    public const string Keep = "keep";

    /// <summary>The person threw the text away.</summary>
    public const string Discard = "discard";

    /// <summary>The final text that the person wanted instead: an edit.</summary>
    public const string Demonstration = "demonstration";

    /// <summary>A number from 0 to 1, or a bool.</summary>
    public const string Rating = "rating";

    /// <summary>Free text.</summary>
    public const string Comment = "comment";

    /// <summary>Takes back earlier feedback of the same generation: the one whose id is the value, or all of this user's when
    /// true.</summary>
    public const string Retract = "retract";

    /// <summary>A reviewer's word about another feedback, see <see cref="Reviews.Review"/>.</summary>
    public const string Review = "review";
}

/// <summary>Feedback as it comes in, checked: what is wrong is refused with the field's name before anything is stored.</summary>
public sealed record FeedbackInput
{
    private const int MaxTextLength = 100_000, MaxNameLength = 200;

    /// <summary>Of tags, as OpenAI bounds metadata.</summary>
    private const int MaxTags = 16, MaxTagName = 64, MaxTagText = 512;

    /// <exception cref="FlywheelException">A field is missing or its value is not what the metric needs.</exception>
    public FeedbackInput(Guid generationId, string metric, JsonNode? value, string? user = null, JsonObject? tags = null,
        string? idempotencyKey = null)
    {
        if (generationId == Guid.Empty)
            throw new FlywheelException("field 'inference_id' is empty, expected the generation_id of an answer");
        FeedbackKind kind = FeedbackKind.Named(metric);
        if (user?.Length > MaxNameLength)
            throw new FlywheelException($"field 'user' has {user.Length} characters, expected at most {MaxNameLength}");
        if (idempotencyKey?.Length > MaxNameLength)
            throw new FlywheelException(
                $"field 'idempotency_key' has {idempotencyKey.Length} characters, expected at most {MaxNameLength}");
        if (tags?.Count > MaxTags) throw new FlywheelException($"field 'tags' has {tags.Count} entries, expected at most {MaxTags}");
        foreach ((string name, JsonNode? tag) in tags ?? [])
        {
            if (name.Length > MaxTagName)
                throw new FlywheelException(
                    $"field 'tags' has a name of {name.Length} characters ('{name[..MaxTagName]}...'), expected at most {MaxTagName}");
            if (tag is not JsonValue text || !text.TryGetValue(out string? _))
                throw new FlywheelException($"field 'tags.{name}' is {Show(tag)}, expected a text");
            int length = text.GetValue<string>().Length;
            if (length > MaxTagText)
                throw new FlywheelException($"field 'tags.{name}' has {length} characters, expected at most {MaxTagText}");
        }
        (GenerationId, Metric, User, IdempotencyKey) = (generationId, metric, user ?? "",
            string.IsNullOrEmpty(idempotencyKey) ? null : idempotencyKey);
        Value = Check(kind, value).ToJsonString(JsonText.Compact);
        Tags = (tags ?? []).ToJsonString(JsonText.Compact);
    }

    public Guid GenerationId { get; }

    public string Metric { get; }

    /// <summary>As JSON.</summary>
    public string Value { get; }

    public string User { get; }

    /// <summary>As JSON.</summary>
    public string Tags { get; }

    public string? IdempotencyKey { get; }

    /// <summary>The user to whom the request's key belongs.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = Actor.Here;

    public FeedbackSource Source { get; init; }

    /// <summary>Reads the body of <c>POST /feedback</c>: inference_id, metric_name, value, and optionally user, source, tags,
    /// idempotency_key, dryrun.</summary>
    /// <exception cref="FlywheelException">A field is missing, unknown or of the wrong kind.</exception>
    public static FeedbackInput FromJson(JsonObject body)
    {
        string[] known = ["inference_id", "metric_name", "value", "user", "source", "tags", "idempotency_key", "dryrun"];
        foreach ((string name, _) in body)
            if (!known.Contains(name)) throw new FlywheelException($"field '{name}' is unknown, expected {string.Join(", ", known)}");
        string id = Text(body, "inference_id", required: true)!;
        if (!Guid.TryParse(id, out Guid generation))
            throw new FlywheelException($"field 'inference_id' is '{id}', expected the generation_id of an answer (a UUID)");
        if (body["tags"] is not (null or JsonObject))
            throw new FlywheelException($"field 'tags' is {Show(body["tags"])}, expected an object of texts");
        if (body["tags"] is JsonObject tags && tags.ContainsKey(ArenaResults.ChoiceTag)
            && tags[ArenaResults.ApplicationTag] is JsonValue app && app.TryGetValue(out string? application)
            && application == ArenaResults.App)
            throw new FlywheelException(
                $"field 'tags.choice' is {Show(tags[ArenaResults.ChoiceTag])} with the application '{ArenaResults.App}', expected neither: a choice in a round is made with POST /v1/arena/rounds/ID/choice");
        return new(generation, Text(body, "metric_name", required: true)!, body["value"], Text(body, "user"), body["tags"] as JsonObject,
            Text(body, "idempotency_key"))
        {
            Source = FeedbackSourceRules.Stated(Text(body, "source")),
        };
    }

    private static string? Text(JsonObject body, string field, bool required = false) => body[field] switch
    {
        null when !required => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        null => throw new FlywheelException($"field '{field}' is missing, expected a text"),
        var other => throw new FlywheelException($"field '{field}' is {Show(other)}, expected a text"),
    };

    private static JsonValue Check(FeedbackKind kind, JsonNode? node)
    {
        JsonValue value = node is JsonValue given && kind.Read(given) is { } read ? read
            : throw new FlywheelException($"field 'value' is {Show(node)}, expected {kind.Expected} for metric {kind.Name}");
        if (value.TryGetValue(out string? text) && text.Length > MaxTextLength)
            throw new FlywheelException($"field 'value' has {text.Length} characters, expected at most {MaxTextLength}");
        return value;
    }

    private static string Show(JsonNode? node)
    {
        string json = node?.ToJsonString(JsonText.Compact) ?? "missing";
        return json.Length <= 80 ? json : json[..80] + "…";
    }
}

/// <summary>What became of a feedback.</summary>
/// <param name="Id">Its id; the earlier one's when the idempotency key was seen before.</param>
/// <param name="Orphan">Its generation is not recorded yet.</param>
public sealed record FeedbackReceipt(Guid Id, bool Orphan);

/// <summary>An idempotency key was used before for other feedback; nothing was stored. HTTP answers 409.</summary>
public sealed class IdempotencyConflictException(string message) : FlywheelException(message);
