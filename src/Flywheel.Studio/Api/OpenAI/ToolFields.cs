using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Studio.OpenAI;

/// <summary>
/// The fields that say what an answer may be: <c>tools</c>, <c>tool_choice</c>, <c>parallel_tool_calls</c>,
/// <c>response_format</c>, and llama.cpp's <c>grammar</c>.
/// </summary>
/// <param name="Offered">Functions that the model is told of.</param>
/// <param name="Grammar">What the answer must follow; null for free text.</param>
internal sealed record ToolFields(IReadOnlyList<ToolDefinition> Offered, string? Grammar)
{
    /// <param name="body">The request.</param>
    /// <param name="form">How the model writes calls.</param>
    public static ToolFields Read(RequestBody body, ToolCallForm form)
    {
        IReadOnlyList<ToolDefinition> tools = ToolDefinition.ListFromJson(body["tools"]);
        bool parallel = body.Flag("parallel_tool_calls") ?? true;
        (string choice, string? function) = Choice(body, tools);
        string? grammar = ResponseFormat.Gbnf(body);
        JsonNode? schema = ResponseFormat.Schema(body);
        if (tools.Count == 0 || choice == "none")
            return new([], grammar is not null ? Compiled("grammar", () => Engine.Grammars.Grammar.Parse(grammar)) : schema is null
                ? null : Compiled(ResponseFormat.Field, () => Engine.Grammars.Grammar.FromJsonSchema(schema)));
        if (grammar is not null)
            throw ApiException.BadField("grammar",
                "field 'grammar' is given together with 'tools', which have a grammar of their own; leave one out");
        ToolDefinition[] callable = [.. tools.Where(tool => function is null || tool.Name == function)];
        // its faults are its own, not those of the tools
        if (schema is not null) Compiled(ResponseFormat.Field, () => Engine.Grammars.Grammar.FromJsonSchema(schema));
        return new(tools,
            Compiled("tools",
                () => Engine.Grammars.Grammar.OfTools(form, callable, choice == "auto" ? ToolUse.Auto : ToolUse.Required,
                    parallel && function is null, choice == "auto" ? schema : null)));
    }

    private static (string Choice, string? Function) Choice(RequestBody body, IReadOnlyList<ToolDefinition> tools)
    {
        const string Expected = "none, auto, required, or {\"type\": \"function\", \"function\": {\"name\": ...}} of a declared function";
        switch (body["tool_choice"])
        {
            case null:
                return (tools.Count > 0 ? "auto" : "none", null);
            case JsonValue value when value.TryGetValue(out string? text) && text is "none" or "auto" or "required":
                if (tools.Count == 0 && text == "required")
                    throw ApiException.BadField("tool_choice", "field 'tool_choice' is 'required' without 'tools'");
                return (text!, null);
            case JsonObject named when Text(named["type"]) == "function" && named["function"] is JsonObject function
                && tools.Any(tool => tool.Name == Text(function["name"])):
                return ("required", Text(function["name"]));
            case var other:
                throw RequestBody.Wrong("tool_choice", other, Expected);
        }
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static string Compiled(string field, Func<Engine.Grammars.Grammar> compile)
    {
        try
        {
            return compile().Source;
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField(field, $"field '{field}': {e.Message}");
        }
    }
}
