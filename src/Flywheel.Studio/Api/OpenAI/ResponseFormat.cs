using System.Text.Json.Nodes;

namespace Flywheel.Studio.OpenAI;

/// <summary>The field <c>response_format</c> (text, any JSON object, or JSON that fits a schema), and <c>grammar</c> (GBNF).</summary>
internal static class ResponseFormat
{
    public const string Field = "response_format";

    /// <summary>The schema that the answer must fit; null for text.</summary>
    public static JsonNode? Schema(RequestBody body)
    {
        if (body.Object(Field) is not { } format) return null;
        string? type = format["type"] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
        return type switch
        {
            "text" => null,
            "json_object" => format["schema"] ?? new JsonObject { ["type"] = "object" }, // llama.cpp takes a schema here too
            "json_schema" => (format["json_schema"] as JsonObject)?["schema"]
                ?? throw ApiException.BadField(Field, $"field '{Field}.json_schema.schema' is missing, expected a JSON schema"),
            _ => throw RequestBody.Wrong(Field + ".type", format["type"], "text, json_object or json_schema"),
        };
    }

    public static string? Gbnf(RequestBody body)
    {
        string? grammar = body.Text("grammar");
        if (grammar is not null && Schema(body) is not null)
            throw ApiException.BadField("grammar", $"field 'grammar' is given together with '{Field}'; leave one out");
        return grammar;
    }
}
