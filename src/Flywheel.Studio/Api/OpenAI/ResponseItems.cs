using System.Text.Json.Nodes;

namespace Flywheel.Studio.OpenAI;

/// <summary>Items of the Responses API, and the chat messages that they stand for.</summary>
internal static class ResponseItems
{
    /// <summary>The field <c>input</c> as items: a text is one message of the user. What is malformed is refused by its place.</summary>
    /// <param name="body">The request.</param>
    /// <param name="request">Its id; items without one are named after it.</param>
    public static JsonArray Read(RequestBody body, Guid request)
    {
        switch (body["input"])
        {
            case null:
                throw ApiException.BadField("input", "field 'input' is missing, expected a text or an array of items",
                    "missing_required_parameter");
            case JsonValue value when value.TryGetValue(out string? text):
                return [Message(request, 0, "user", new JsonArray(new JsonObject { ["type"] = "input_text", ["text"] = text }))];
            case JsonArray { Count: > 0 } items:
                return [.. items.Select((item, i) => ReadItem(item, $"input[{i}]", request, i))];
            case var other:
                throw RequestBody.Wrong("input", other, "a text or an array of at least one item");
        }
    }

    /// <summary>Messages as the chat API has them: a call joins the assistant's message before it.</summary>
    /// <param name="items">Checked items, of earlier turns too.</param>
    /// <param name="firstOfInput">Where the request's own input begins, for errors.</param>
    public static JsonArray ToMessages(IReadOnlyList<JsonObject> items, int firstOfInput)
    {
        var messages = new JsonArray();
        var calls = new HashSet<string>();
        for (int i = 0; i < items.Count; i++)
        {
            JsonObject item = items[i];
            switch ((string?)item["type"])
            {
                case "function_call":
                    calls.Add((string)item["call_id"]!);
                    JsonObject call = new()
                    {
                        ["id"] = (string)item["call_id"]!,
                        ["type"] = "function",
                        ["function"] = new JsonObject { ["name"] = (string)item["name"]!, ["arguments"] = (string)item["arguments"]! },
                    };
                    if (messages.Count > 0 && (string?)messages[^1]!["role"] == "assistant")
                    {
                        if (messages[^1]!["tool_calls"] is JsonArray others) others.Add(call);
                        else messages[^1]!["tool_calls"] = new JsonArray(call);
                    }
                    else messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = null, ["tool_calls"] = new JsonArray(call) });
                    break;
                case "function_call_output":
                    string id = (string)item["call_id"]!;
                    if (!calls.Contains(id))
                        throw ApiException.BadField($"input[{i - firstOfInput}].call_id",
                            $"field 'input[{i - firstOfInput}].call_id' is '{id}', expected the call_id of a function_call before it");
                    messages.Add(new JsonObject { ["role"] = "tool", ["tool_call_id"] = id, ["content"] = Content(item["output"]!) });
                    break;
                default:
                    messages.Add(new JsonObject { ["role"] = (string)item["role"]!, ["content"] = Content(item["content"]!) });
                    break;
            }
        }
        return messages;
    }

    private static JsonObject ReadItem(JsonNode? node, string where, Guid request, int index)
    {
        if (node is not JsonObject item) throw RequestBody.Wrong(where, node, "an item: an object with a type, or with role and content");
        switch (Text(item["type"]) ?? (item["type"] is null && item["role"] is not null ? "message" : null))
        {
            case "message":
                if (Text(item["role"]) is not ("user" or "assistant" or "system" or "developer")) throw RequestBody.Wrong($"{where}.role",
                    item["role"], "user, assistant, system or developer");
                string role = Text(item["role"])!;
                return Message(request, index, role,
                    Parts(item["content"], $"{where}.content", role == "assistant" ? "output_text" : "input_text"), Text(item["id"]));
            case "function_call":
                return new()
                {
                    ["id"] = Text(item["id"]) ?? $"fc_{request:N}{index}",
                    ["type"] = "function_call",
                    ["status"] = "completed",
                    ["call_id"] = Required(item, "call_id", where),
                    ["name"] = Required(item, "name", where),
                    ["arguments"] = Required(item, "arguments", where),
                };
            case "function_call_output":
                return new()
                {
                    ["id"] = Text(item["id"]) ?? $"fco_{request:N}{index}",
                    ["type"] = "function_call_output",
                    ["status"] = "completed",
                    ["call_id"] = Required(item, "call_id", where),
                    ["output"] = item["output"] is JsonValue plain
                        && plain.TryGetValue(out string? output) ? output : Parts(item["output"], $"{where}.output", "input_text"),
                };
            default:
                throw RequestBody.Wrong($"{where}.type", item["type"], "message, function_call or function_call_output");
        }
    }

    private static JsonArray Parts(JsonNode? content, string where, string type)
    {
        switch (content)
        {
            case JsonValue value when value.TryGetValue(out string? text):
                return [Part(text)];
            case JsonArray { Count: > 0 } parts:
                return [.. parts.Select((node, i) =>
                    node is JsonObject part && Text(part["type"]) is "input_text" or "output_text" or "text"
                    ? Array.Find(["image_url", "file_id", "file_data", "input_audio", "audio"],
                        name => node[name] is not null) is { } hidden
                    ? throw RequestBody.Wrong($"{where}[{i}].{hidden}", node[hidden], "none: this model reads text alone")
                    : Part(Text(node!["text"]) ?? throw RequestBody.Wrong($"{where}[{i}].text", node["text"], "a text"))
                    : throw RequestBody.Wrong($"{where}[{i}].type", (node as JsonObject)?["type"],
                        "input_text or output_text: this model reads text alone"))];
            default:
                throw RequestBody.Wrong(where, content, "a text or an array of parts");
        }

        JsonObject Part(string text)
        {
            var part = new JsonObject { ["type"] = type, ["text"] = text };
            if (type == "output_text") part["annotations"] = new JsonArray();
            return part;
        }
    }

    private static JsonObject Message(Guid request, int index, string role, JsonArray content, string? id = null) => new()
    {
        ["id"] = id ?? $"msg_{request:N}{index}",
        ["type"] = "message",
        ["status"] = "completed",
        ["role"] = role,
        ["content"] = content,
    };

    private static JsonNode Content(JsonNode given) => given is JsonArray parts
        ? new JsonArray([.. parts.Select(part => new JsonObject { ["type"] = "text", ["text"] = (string)part!["text"]! })])
        : given.DeepClone();

    private static string Required(JsonObject item, string name, string where) =>
        Text(item[name]) ?? throw RequestBody.Wrong($"{where}.{name}", item[name], "a text");

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}
