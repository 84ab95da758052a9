using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Studio.OpenAI;

/// <summary>The field <c>response_format</c>: text, any JSON object, or JSON that fits a schema.</summary>
internal static class ResponseFormat
{
    private const string Field = "response_format";

    /// <summary>The grammar that the answer must follow; null for text.</summary>
    public static string? Grammar(RequestBody body)
    {
        if (body.Object(Field) is not { } format) return null;
        string? type = format["type"] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
        return type switch
        {
            "text" => null,
            "json_object" => Convert(new JsonObject { ["type"] = "object" }),
            "json_schema" => Convert((format["json_schema"] as JsonObject)?["schema"] ?? throw ApiException.BadField(Field, $"field '{Field}.json_schema.schema' is missing, expected a JSON schema")),
            _ => throw RequestBody.Wrong(Field + ".type", format["type"], "text, json_object or json_schema"),
        };
    }

    private static string Convert(JsonNode schema)
    {
        try
        {
            return Engine.Grammars.Grammar.FromJsonSchema(schema).Source;
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField(Field, $"field '{Field}.json_schema.schema': {e.Message}");
        }
    }
}
