using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Flywheel.Model;

/// <summary>
/// Messages with roles: the one currency of Flywheel. A dataset row, an API body and a recorded generation are all
/// conversations, in the JSON of OpenAI's chat API and of its fine-tuning files.
/// </summary>
public sealed record Conversation(IReadOnlyList<Message> Messages)
{
    /// <summary>Parses <c>{"messages": [...]}</c>.</summary>
    /// <exception cref="FlywheelException">Not JSON or not a conversation; the message names the field.</exception>
    public static Conversation Parse(string json)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"not valid JSON: {e.Message}", e);
        }
        return node is not JsonObject row
            ? throw new FlywheelException("expected a JSON object with the field 'messages'")
            : FromJson(row["messages"] as JsonArray ?? throw new FlywheelException("field 'messages' is missing, expected an array of messages"));
    }

    /// <summary>Reads the array of messages of a request or a data row.</summary>
    /// <exception cref="FlywheelException">Not an array of messages; the message names the field.</exception>
    public static Conversation FromJson(JsonArray messages)
    {
        if (messages.Count == 0) throw new FlywheelException("field 'messages' is empty, expected at least one message");
        try
        {
            return new([.. messages.Select((message, i) => Message.FromJson(message, $"messages[{i}]"))]);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // JsonNode finds out late that a field is given twice, or that a text has half a surrogate pair.
            throw new FlywheelException($"field 'messages' is malformed: {e.Message}", e);
        }
    }

    public JsonObject ToJson() => new() { ["messages"] = new JsonArray([.. Messages.Select(message => message.ToJson())]) };

    public override string ToString() => ToJson().ToJsonString(JsonText.Compact);

    public bool Equals(Conversation? other) => other is not null && Messages.SequenceEqual(other.Messages);

    public override int GetHashCode() => Messages.Count == 0 ? 0 : Messages[^1].GetHashCode();
}

/// <summary>Who speaks in a message.</summary>
public enum Role { System, User, Assistant, Tool }

/// <summary>One turn of a conversation: a role and a list of parts.</summary>
public sealed record Message(Role Role, IReadOnlyList<Part> Parts)
{
    public static Message System(string text) => new(Role.System, [new TextPart(text)]);

    public static Message User(string text) => new(Role.User, [new TextPart(text)]);

    public static Message Assistant(string text) => new(Role.Assistant, [new TextPart(text)]);

    /// <summary>The text parts, joined.</summary>
    public string Text => string.Concat(Parts.OfType<TextPart>().Select(part => part.Text));

    internal static Message FromJson(JsonNode? node, string where)
    {
        if (node is not JsonObject message) throw new FlywheelException($"{where} is {node?.ToJsonString() ?? "null"}, expected an object with role and content");
        string name = message["role"] is JsonValue value && value.TryGetValue(out string? text) ? text : throw new FlywheelException($"field '{where}.role' is missing, expected system, user, assistant or tool");
        Role role = name switch
        {
            "system" or "developer" => Role.System,
            "user" => Role.User,
            "assistant" => Role.Assistant,
            "tool" => Role.Tool,
            _ => throw new FlywheelException($"field '{where}.role' is '{name}', expected system, user, assistant or tool"),
        };
        return new Message(role, message["content"] switch
        {
            JsonValue content when content.TryGetValue(out string? plain) => [new TextPart(plain)],
            JsonArray { Count: 0 } => throw new FlywheelException($"field '{where}.content' is empty, expected at least one part"),
            JsonArray parts => [.. parts.Select((part, i) => Part.FromJson(part, $"{where}.content[{i}]"))],
            null => throw new FlywheelException($"field '{where}.content' is missing, expected a text or an array of parts"),
            var other => throw new FlywheelException($"field '{where}.content' is {other.ToJsonString()}, expected a text or an array of parts"),
        });
    }

    /// <summary>One text part is written as a plain string, as OpenAI's files do.</summary>
    internal JsonObject ToJson() => new()
    {
        ["role"] = Role.ToString().ToLowerInvariant(),
        ["content"] = Parts is [TextPart only] ? only.Text : new JsonArray([.. Parts.Select(part => part.ToJson())]),
    };

    public bool Equals(Message? other) => other is not null && Role == other.Role && Parts.SequenceEqual(other.Parts);

    public override int GetHashCode() => HashCode.Combine(Role, Text);
}

/// <summary>A piece of a message. Text is the first modality; others join as further subclasses.</summary>
public abstract record Part
{
    internal static Part FromJson(JsonNode? node, string where)
    {
        string? type = node is JsonObject part && part["type"] is JsonValue value && value.TryGetValue(out string? name) ? name : null;
        return type switch
        {
            "text" when node!["text"] is JsonValue text && text.TryGetValue(out string? content) => new TextPart(content),
            "text" => throw new FlywheelException($"field '{where}.text' is missing, expected a text"),
            _ => throw new FlywheelException($"field '{where}.type' is {(type is null ? "missing" : $"'{type}'")}, expected 'text'"),
        };
    }

    internal abstract JsonObject ToJson();
}

/// <summary>Text of a message.</summary>
public sealed record TextPart(string Text) : Part
{
    internal override JsonObject ToJson() => new() { ["type"] = "text", ["text"] = Text };
}

/// <summary>How Flywheel writes JSON: readable characters stay readable.</summary>
public static class JsonText
{
    public static JsonSerializerOptions Compact { get; } = new()
    {
        Encoder = global::System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    public static JsonSerializerOptions Indented { get; } = new(Compact) { WriteIndented = true };
}
