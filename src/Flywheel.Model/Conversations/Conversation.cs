using System.Globalization;
using System.Text;
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
    /// <summary>Functions that the assistant may ask for.</summary>
    public IReadOnlyList<ToolDefinition> Tools { get; init; } = [];

    /// <summary>
    /// What the chat template is given by name beside the messages, such as <c>enable_thinking</c>: each value as JSON. The field
    /// <c>chat_template_kwargs</c>, as vLLM's API and TRL's data rows call it.
    /// </summary>
    public IReadOnlyDictionary<string, string> TemplateArguments { get; init; } = JsonFields.None;

    /// <summary>
    /// What the answer is made of where that is not text: a group of <see cref="ReservedTokens"/>, such as <c>phone</c>. The field
    /// <c>modalities</c>, as OpenAI's chat API calls it.
    /// </summary>
    public string? AnswerModality { get; init; }

    /// <summary>The conversation with an answer, which is symbols where <see cref="AnswerModality"/> says so.</summary>
    /// <exception cref="FlywheelException">They are no symbols of that modality.</exception>
    public Conversation WithAnswer(string text) => this with { Messages = [.. Messages, Message.Answer(AnswerModality, text)] };

    /// <summary>Parses <c>{"messages": [...], "tools"?: [...], "chat_template_kwargs"?: {...}, "modalities"?: [...]}</c>.</summary>
    /// <exception cref="FlywheelException">Not JSON or not a conversation; the message names the field.</exception>
    public static Conversation Parse(string json)
    {
        JsonNode? row, messages, tools, arguments, modalities;
        try
        {
            row = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            // a name may turn out to be no text
            (messages, tools, arguments, modalities) = row is JsonObject
                ? (row["messages"], row["tools"], row["chat_template_kwargs"], row["modalities"]) : default;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"not valid JSON: {e.Message}", e);
        }
        if (row is not JsonObject) throw new FlywheelException("expected a JSON object with the field 'messages'");
        return FromJson(messages as JsonArray ?? throw new FlywheelException("field 'messages' is missing, expected an array of messages"),
            tools, arguments, modalities);
    }

    /// <summary>Reads the array of messages of a request or a data row, its functions, and what its template is given.</summary>
    /// <exception cref="FlywheelException">Not an array of messages; the message names the field.</exception>
    public static Conversation FromJson(JsonArray messages, JsonNode? tools = null, JsonNode? templateArguments = null,
        JsonNode? modalities = null)
    {
        if (messages.Count == 0) throw new FlywheelException("field 'messages' is empty, expected at least one message");
        try
        {
            Message[] all = [.. messages.Select((message, i) => Message.FromJson(message, $"messages[{i}]"))];
            CheckResults(all);
            return new(all) { Tools = ToolDefinition.ListFromJson(tools), TemplateArguments = ReadTemplateArguments(templateArguments),
                AnswerModality = ReadModality(modalities) };
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // JsonNode finds out late that a field is given twice, or that a text has half a surrogate pair.
            throw new FlywheelException($"field 'messages' is malformed: {e.Message}", e);
        }
    }

    private static string? ReadModality(JsonNode? node) => node switch
    {
        null => null,
        JsonArray { Count: 1 } list when list[0] is JsonValue value && value.TryGetValue(out string? name)
            && (name == TextPart.Type || ReservedTokens.Groups.ContainsKey(name)) => name == TextPart.Type ? null : name,
        _ => throw new FlywheelException(
            $"field 'modalities' is {node.ToJsonString(JsonText.Compact)}, expected a list of one of {TextPart.Type}, {NearestName.List([.. ReservedTokens.Groups.Keys])}"),
    };

    private static IReadOnlyDictionary<string, string> ReadTemplateArguments(JsonNode? node)
    {
        const string Field = "chat_template_kwargs";
        if (node is null) return JsonFields.None;
        if (node is not JsonObject arguments)
            throw new FlywheelException($"field '{Field}' is {node.ToJsonString(JsonText.Compact)}, expected an object");
        string? taken = Array.Find(["messages", "tools", "add_generation_prompt"], arguments.ContainsKey);
        if (taken is not null)
            throw new FlywheelException(
                $"field '{Field}.{taken}' is what the template is given anyway, expected other names, such as enable_thinking");
        return JsonFields.Read(arguments);
    }

    public JsonObject ToJson()
    {
        var row = new JsonObject { ["messages"] = new JsonArray([.. Messages.Select(message => message.ToJson())]) };
        if (Tools.Count > 0) row["tools"] = new JsonArray([.. Tools.Select(tool => tool.ToJson())]);
        if (TemplateArguments.Count > 0) row["chat_template_kwargs"] = JsonFields.Write(TemplateArguments, []);
        if (AnswerModality is not null) row["modalities"] = new JsonArray(AnswerModality);
        return row;
    }

    public override string ToString() => ToJson().ToJsonString(JsonText.Compact);

    public bool Equals(Conversation? other) =>
        other is not null && Messages.SequenceEqual(other.Messages) && Tools.SequenceEqual(other.Tools)
            && JsonFields.Equal(TemplateArguments, other.TemplateArguments) && AnswerModality == other.AnswerModality;

    public override int GetHashCode() => Messages.Count == 0 ? 0 : Messages[^1].GetHashCode();

    /// <summary>A result that answers no call would be read as an answer to another.</summary>
    private static void CheckResults(Message[] messages)
    {
        var open = new HashSet<string>();
        for (int i = 0; i < messages.Length; i++)
        {
            foreach (ToolCall call in messages[i].ToolCalls) open.Add(call.Id);
            if (messages[i].ToolCallId is { } id && !open.Contains(id))
                throw new FlywheelException(
                    $"field 'messages[{i}].tool_call_id' is '{id}', expected the id of a call in an assistant's message before it");
        }
    }
}

/// <summary>Who speaks in a message.</summary>
public enum Role { System, User, Assistant, Tool }

/// <summary>One turn of a conversation: a role and a list of parts.</summary>
public sealed record Message(Role Role, IReadOnlyList<Part> Parts)
{
    public static Message System(string text) => new(Role.System, [new TextPart(text)]);

    public static Message User(string text) => new(Role.User, [new TextPart(text)]);

    public static Message Assistant(string text) => new(Role.Assistant, [new TextPart(text)]);

    /// <summary>The assistant's, of text or of a modality's symbols.</summary>
    /// <exception cref="FlywheelException">They are no symbols of that modality.</exception>
    public static Message Answer(string? modality, string text) =>
        modality is null ? Assistant(text) : new(Role.Assistant, [new SymbolsPart(modality, text)]);

    /// <summary>Functions that the assistant asks for, after its text.</summary>
    public IReadOnlyList<ToolCall> ToolCalls { get; init; } = [];

    /// <summary>In a tool's message: the call that it answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>
    /// Fields beside role, content, calls and id, each value as JSON: <c>name</c>, <c>reasoning_content</c>, and what else a chat template
    /// may show. They reach the template as they are.
    /// </summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = JsonFields.None;

    /// <summary>False for an answer that a data row only shows: OpenAI's field <c>weight</c> is 0.</summary>
    public bool IsLearnt =>
        !(Fields.TryGetValue("weight", out string? weight) && double.TryParse(weight, CultureInfo.InvariantCulture, out double number)
            && number == 0);

    /// <summary>The parts, a line each, as vLLM gives them to a template that takes a text; of symbols, their names.</summary>
    public string Text => string.Join('\n', Parts.Select(part => part.Text));

    private static readonly string[] s_read = ["role", "content", "tool_calls", "tool_call_id"];

    internal static Message FromJson(JsonNode? node, string where)
    {
        if (node is not JsonObject message)
            throw new FlywheelException($"{where} is {node?.ToJsonString() ?? "null"}, expected an object with role and content");
        string name = message["role"] is JsonValue value && value.TryGetValue(out string? text)
            ? text : throw new FlywheelException($"field '{where}.role' is missing, expected system, user, assistant or tool");
        Role role = name switch
        {
            "system" or "developer" => Role.System,
            "user" => Role.User,
            "assistant" => Role.Assistant,
            "tool" => Role.Tool,
            _ => throw new FlywheelException($"field '{where}.role' is '{name}', expected system, user, assistant or tool"),
        };
        ToolCall[] calls = message["tool_calls"] switch
        {
            null => [],
            JsonArray array when role == Role.Assistant =>
                [.. array.Select((call, i) => ToolCall.FromJson(call, $"{where}.tool_calls[{i}]"))],
            JsonArray =>
                throw new FlywheelException(
                    $"field '{where}.tool_calls' stands in a message of the {name}, expected only in the assistant's"),
            var other => throw new FlywheelException($"field '{where}.tool_calls' is {other.ToJsonString()}, expected an array of calls"),
        };
        string? id = message["tool_call_id"] switch
        {
            null => null,
            JsonValue given when role == Role.Tool && given.TryGetValue(out string? answered) => answered,
            var other =>
                throw new FlywheelException(
                    $"field '{where}.tool_call_id' is {other.ToJsonString()} in a message of the {name}, expected a text, and only in a tool's"),
        };
        return new Message(role, message["content"] switch
        {
            null when calls.Length > 0 => [],
            JsonValue content when content.TryGetValue(out string? plain) => [new TextPart(plain)],
            JsonArray { Count: 0 } => throw new FlywheelException($"field '{where}.content' is empty, expected at least one part"),
            JsonArray parts => [.. parts.Select((part, i) => Part.FromJson(part, $"{where}.content[{i}]"))],
            null => throw new FlywheelException($"field '{where}.content' is missing, expected a text or an array of parts"),
            var other =>
                throw new FlywheelException($"field '{where}.content' is {other.ToJsonString()}, expected a text or an array of parts"),
        })
        {
            ToolCalls = calls,
            ToolCallId = id,
            Fields = FieldsOf(message, where),
        };
    }

    private static IReadOnlyDictionary<string, string> FieldsOf(JsonObject message, string where)
    {
        // Other APIs put pictures and files beside the content; a template would pass them over in silence.
        string? refused = Array.Find(["function_call", "audio", "images", "image_url", "input_audio", "files", "attachments"],
            name => message[name] is not null and not JsonArray { Count: 0 });
        if (refused is not null)
            throw new FlywheelException(
                $"field '{where}.{refused}' is not supported, expected {(refused == "function_call" ? "'tool_calls'" : "only text")}");
        return JsonFields.Read(message, s_read);
    }

    /// <summary>One text part is written as a plain string, as OpenAI's files do.</summary>
    internal JsonObject ToJson()
    {
        var message = new JsonObject
        {
            ["role"] = Role.ToString().ToLowerInvariant(),
            ["content"] = Parts switch { [] => null, [TextPart only] => only.Text,
                _ => new JsonArray([.. Parts.Select(part => part.ToJson())]) },
        };
        if (ToolCalls.Count > 0) message["tool_calls"] = new JsonArray([.. ToolCalls.Select(call => call.ToJson())]);
        if (ToolCallId is not null) message["tool_call_id"] = ToolCallId;
        return JsonFields.Write(Fields, message);
    }

    public bool Equals(Message? other) =>
        other is not null && Role == other.Role && Parts.SequenceEqual(other.Parts) && ToolCalls.SequenceEqual(other.ToolCalls)
            && ToolCallId == other.ToolCallId && JsonFields.Equal(Fields, other.Fields);

    public override int GetHashCode() => HashCode.Combine(Role, Text);
}

/// <summary>A piece of a message: text, or symbols of a modality for which the vocabulary has a range.</summary>
public abstract record Part
{
    /// <summary>Where OpenAI's other parts have their content.</summary>
    private static readonly string[] s_contents = [TextPart.Type, "image_url", "input_audio", "audio", "video_url", "file"];

    /// <summary>As people read it.</summary>
    public abstract string Text { get; init; }

    internal static Part FromJson(JsonNode? node, string where)
    {
        string? type = TextOf(node, "type");
        // Another part's content would be dropped in silence.
        if (type is not null && TextOf(node, type) is not null
            && s_contents.Concat(ReservedTokens.Groups.Keys)
                .FirstOrDefault(name => name != type && ((JsonObject)node!)[name] is not null) is { } other)
            throw new FlywheelException(
                $"field '{where}.{other}' stands in a part of type '{type}', expected only '{type}' beside the type");
        return type switch
        {
            TextPart.Type =>
                new TextPart(TextOf(node, "text") ?? throw new FlywheelException($"field '{where}.text' is missing, expected a text")),
            not null when ReservedTokens.Groups.ContainsKey(type) =>
                new SymbolsPart(type,
                    TextOf(node, type)
                        ?? throw new FlywheelException($"field '{where}.{type}' is missing, expected symbols with spaces between"),
                        $"field '{where}.{type}'"),
            _ => throw new FlywheelException(
                $"field '{where}.type' is {(type is null ? "missing" : $"'{type}'")}, expected 'text'; no model here reads another"),
        };
    }

    private static string? TextOf(JsonNode? node, string name) =>
        node is JsonObject part && part[name] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    internal abstract JsonObject ToJson();
}

/// <summary>Text of a message.</summary>
public sealed record TextPart(string Text) : Part
{
    public const string Type = "text";

    public override string Text { get; init; } = Text;

    internal override JsonObject ToJson() => new() { ["type"] = Type, ["text"] = Text };
}

/// <summary>
/// Symbols such as phones or residues, each a token of its own (<see cref="ReservedTokens"/>), so that no user's text can be one. In JSON
/// <c>{"type": "phone", "phone": "K AE1 T"}</c>.
/// </summary>
public sealed record SymbolsPart : Part
{
    /// <param name="modality">A group of <see cref="ReservedTokens"/>.</param>
    /// <param name="text">Symbols with white space between; where each is one letter, as of residues, white space may be left out.</param>
    /// <param name="what">Begins the message about a wrong one.</param>
    /// <exception cref="FlywheelException">One is no symbol of that modality.</exception>
    public SymbolsPart(string modality, string text, string what = "the answer") =>
        (Modality, Text) = (modality, Normalise(modality, text, what));

    public string Modality { get; }

    /// <summary>Symbols with a space between.</summary>
    public override string Text { get; init; }

    public IEnumerable<string> Symbols => Text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static string Normalise(string modality, string text, string what)
    {
        const int shown = 12;
        IReadOnlyDictionary<string, string> known = ReservedTokens.Symbols(modality);
        if (ReservedTokens.IsOfLetters(modality)) return Letters(modality, text, what, known);
        string[] symbols = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (Array.Find(symbols, symbol => !known.ContainsKey(symbol)) is { } wrong)
            throw new FlywheelException(
                $"{what} holds '{(wrong.Length <= 40 ? wrong : wrong[..40] + "…")}', expected symbols of '{modality}' with spaces between, such as {string.Join(' ', known.Keys.Take(shown))}");
        return string.Join(' ', symbols);
    }

    /// <summary>A letter is a symbol, small or capital; a wrong one is told with its place, counted from 1.</summary>
    private static string Letters(string modality, string text, string what, IReadOnlyDictionary<string, string> known)
    {
        Rune[] letters =
            [.. text.EnumerateRunes().Where(rune => !Rune.IsWhiteSpace(rune))
                .Select(rune => rune.IsAscii ? Rune.ToUpperInvariant(rune) : rune)];
        int wrong = Array.FindIndex(letters, letter => !known.ContainsKey(letter.ToString()));
        if (wrong >= 0)
            throw new FlywheelException(
                $"{what} holds '{letters[wrong]}' at position {wrong + 1} of {letters.Length}, expected letters of '{modality}': {string.Concat(known.Keys)}");
        return string.Join(' ', letters);
    }

    internal override JsonObject ToJson() => new() { ["type"] = Modality, [Modality] = Text };
}

/// <summary>Fields by name whose values are kept as JSON: immutable, and compared by what they say.</summary>
internal static class JsonFields
{
    public static IReadOnlyDictionary<string, string> None { get; } = new Dictionary<string, string>();

    /// <summary>All fields but some; a field that is null counts as absent.</summary>
    public static IReadOnlyDictionary<string, string> Read(JsonObject fields, params string[] but)
    {
        Dictionary<string, string>? read = null;
        foreach ((string name, JsonNode? value) in fields)
            if (value is not null && !but.Contains(name)) (read ??= [])[name] = value.ToJsonString(JsonText.Compact);
        return read ?? None;
    }

    public static JsonObject Write(IReadOnlyDictionary<string, string> fields, JsonObject into)
    {
        foreach ((string name, string value) in fields) into[name] = JsonNode.Parse(value);
        return into;
    }

    public static bool Equal(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b) =>
        a.Count == b.Count && a.All(field => b.TryGetValue(field.Key, out string? value) && value == field.Value);
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

    /// <summary>A text's object, of whose fields none is given twice and every text is valid: JsonNode finds that out late.</summary>
    /// <param name="text">JSON.</param>
    /// <param name="path">Names the file in errors.</param>
    /// <exception cref="FlywheelException">It is something else.</exception>
    internal static JsonObject ParseObject(ReadOnlySpan<byte> text, string path)
    {
        Utf8File.Check(text, path);
        try
        {
            JsonNode? node = JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            Check(node);
            return node as JsonObject ?? throw new FlywheelException($"{path}: expected a JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"{path}: not valid JSON: {e.Message}", e);
        }

        static void Check(JsonNode? node)
        {
            if (node is JsonObject fields)
                foreach ((_, JsonNode? value) in fields) Check(value);
            else if (node is JsonArray list)
                foreach (JsonNode? value in list) Check(value);
            else if (node?.GetValueKind() == JsonValueKind.String) node.GetValue<string>();
        }
    }
}
