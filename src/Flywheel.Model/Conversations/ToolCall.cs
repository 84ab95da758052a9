using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>A function that the assistant may ask for, as OpenAI's chat API declares it.</summary>
/// <param name="Name">Letters, digits, '_' and '-', at most 64.</param>
/// <param name="Description">What it does; null when nothing was said.</param>
/// <param name="Parameters">JSON schema of its arguments, as JSON.</param>
/// <param name="Strict">Arguments must fit the schema, also when the model chose freely to call.</param>
public sealed record ToolDefinition(string Name, string? Description, string Parameters, bool Strict = false)
{
    /// <summary>Reads an entry of <c>tools</c>.</summary>
    /// <exception cref="FlywheelException">Malformed; the message names the field.</exception>
    public static ToolDefinition FromJson(JsonNode? node, string where)
    {
        if (node is not JsonObject tool)
            throw new FlywheelException(
                $"field '{where}' is {node?.ToJsonString() ?? "null"}, expected {{\"type\": \"function\", \"function\": {{...}}}}");
        if (TextOf(tool["type"]) != "function")
            throw new FlywheelException($"field '{where}.type' is {tool["type"]?.ToJsonString() ?? "missing"}, expected 'function'");
        if (tool["function"] is not JsonObject function)
            throw new FlywheelException(
                $"field '{where}.function' is {tool["function"]?.ToJsonString() ?? "missing"}, expected an object with name and parameters");
        string name = TextOf(function["name"]) ?? "";
        if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
            throw new FlywheelException(
                $"field '{where}.function.name' is {function["name"]?.ToJsonString() ?? "missing"}, expected at most 64 letters, digits, '_' or '-'");
        if (function["description"] is { } description && TextOf(description) is null)
            throw new FlywheelException($"field '{where}.function.description' is {description.ToJsonString()}, expected a text");
        if (function["parameters"] is { } parameters and not JsonObject)
            throw new FlywheelException($"field '{where}.function.parameters' is {parameters.ToJsonString()}, expected a JSON schema");
        bool strict = function["strict"] switch
        {
            null => false,
            JsonValue value when value.TryGetValue(out bool flag) => flag,
            var other => throw new FlywheelException($"field '{where}.function.strict' is {other.ToJsonString()}, expected true or false"),
        };
        return new ToolDefinition(name, TextOf(function["description"]),
            (function["parameters"] ?? new JsonObject { ["type"] = "object", ["properties"] = new JsonObject() }).ToJsonString(
                JsonText.Compact), strict);
    }

    /// <summary>Reads <c>tools</c>; none when it is null.</summary>
    /// <exception cref="FlywheelException">Malformed; the message names the field.</exception>
    public static IReadOnlyList<ToolDefinition> ListFromJson(JsonNode? node)
    {
        if (node is null) return [];
        if (node is not JsonArray { Count: <= 128 } array)
            throw new FlywheelException(
                $"field 'tools' is {(node is JsonArray many ? $"a list of {many.Count}" : node.ToJsonString())}, expected an array of at most 128 functions");
        ToolDefinition[] tools = [.. array.Select((tool, i) => FromJson(tool, $"tools[{i}]"))];
        return tools.GroupBy(tool => tool.Name).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new FlywheelException($"field 'tools' has two functions named '{twice.Key}'")
            : tools;
    }

    public JsonObject ToJson()
    {
        var function = new JsonObject { ["name"] = Name };
        if (Description is not null) function["description"] = Description;
        function["parameters"] = JsonNode.Parse(Parameters);
        if (Strict) function["strict"] = true;
        return new() { ["type"] = "function", ["function"] = function };
    }

    private static string? TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}

/// <summary>The assistant's wish to have a function called.</summary>
/// <param name="Id">By which the tool's message answers.</param>
/// <param name="Name">Of the function.</param>
/// <param name="Arguments">JSON, as the model wrote it.</param>
public sealed record ToolCall(string Id, string Name, string Arguments)
{
    internal static ToolCall FromJson(JsonNode? node, string where)
    {
        if (node is not JsonObject call || call["function"] is not JsonObject function)
            throw new FlywheelException(
                $"field '{where}' is {node?.ToJsonString() ?? "null"}, expected {{\"id\", \"type\": \"function\", \"function\": {{\"name\", \"arguments\"}}}}");
        return new ToolCall(Text(call, "id", where), Text(function, "name", where + ".function"),
            Text(function, "arguments", where + ".function"));

        static string Text(JsonObject fields, string name, string where) =>
            fields[name] is JsonValue value && value.TryGetValue(out string? text)
                ? text : throw new FlywheelException(
                    $"field '{where}.{name}' is {fields[name]?.ToJsonString() ?? "missing"}, expected a text");
    }

    public JsonObject ToJson() => new()
    {
        ["id"] = Id,
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = Name, ["arguments"] = Arguments },
    };
}
