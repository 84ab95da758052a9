using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// What does not fit a schema, as options of schemas: one for each way in which a keyword fails (De Morgan). Each names its
/// type, because a keyword holds of all values of other types.
/// </summary>
internal static class SchemaNegation
{
    private static readonly string[] AllTypes = ["object", "array", "string", "number", "boolean", "null"];

    /// <summary>A schema of strings but some, which is as far as it can be taken apart.</summary>
    public static bool IsOtherStrings(JsonObject schema) =>
        (schema["type"] is JsonArray { Count: 1 } types ? Text(types[0]) : Text(schema["type"])) == "string"
            && schema["not"] is JsonObject { Count: 1 } not && not["enum"] is JsonArray values
            && values.All(value => Text(value) is not null);

    /// <param name="schema">Without references, <c>allOf</c> and <c>oneOf</c>.</param>
    /// <param name="path">Of it, for errors.</param>
    /// <exception cref="FlywheelException">A keyword whose opposite cannot be said.</exception>
    public static JsonArray Options(JsonObject schema, string path)
    {
        var options = new JsonArray();
        foreach ((string key, JsonNode? value) in schema)
            foreach (JsonNode option in Options(key, value, path)) options.Add(option);
        return options;
    }

    private static IEnumerable<JsonNode> Options(string key, JsonNode? value, string path)
    {
        switch (key)
        {
            case "type":
                HashSet<string> types = SchemaMerge.TypesOf(value, path);
                if (types.Contains("integer")) throw Refused("the type integer");
                string[] others = [.. AllTypes.Where(type => !types.Contains(type))];
                return others.Length == 0 ? [] : [OfTypes(others)];
            case "enum":
                return OtherValues(SchemaMerge.Array(value, path + "/enum", mayBeEmpty: true));
            case "anyOf":
                return [new JsonObject { ["allOf"] = new JsonArray([.. SchemaMerge.Array(value, path + "/anyOf").Select(Not)]) }];
            case "not":
                return [(value ?? throw Refused("a malformed 'not'")).DeepClone()];
            case "required":
                return SchemaMerge.Array(value, path + "/required", mayBeEmpty: true)
                    .Select(name =>
                        OfType("object", "properties", new JsonObject { [SchemaMerge.Text(name, path + "/required")] = false }));
            case "properties":
                if (value is not JsonObject properties)
                    throw new FlywheelException($"{path}/properties is {value?.ToJsonString() ?? "null"}, expected an object");
                return properties.Select(property =>
                {
                    JsonObject option = OfType("object", "properties", new JsonObject { [property.Key] = Not(property.Value) });
                    option["required"] = new JsonArray(property.Key);
                    return option;
                });
            case "minimum": return Number("exclusiveMaximum");
            case "maximum": return Number("exclusiveMinimum");
            case "exclusiveMinimum": return Number("maximum");
            case "exclusiveMaximum": return Number("minimum");
            case "minLength": return Below("string", "maxLength");
            case "maxLength": return Above("string", "minLength");
            case "minItems": return Below("array", "maxItems");
            case "maxItems": return Above("array", "minItems");
            case "minProperties": return Below("object", "maxProperties");
            case "maxProperties": return Above("object", "minProperties");
            case "format": throw Refused("'format'");
            default: throw Refused($"keyword '{key}'");
        }

        IEnumerable<JsonNode> Number(string opposite) =>
            value is JsonValue && value.GetValueKind() == JsonValueKind.Number
                ? [OfType("number", opposite, value.DeepClone())] : throw Refused($"'{key}' that is no number");

        IEnumerable<JsonNode> Below(string type, string opposite) =>
            Count() is > 0 and var count ? [OfType(type, opposite, count - 1)] : [];

        IEnumerable<JsonNode> Above(string type, string opposite) => [OfType(type, opposite, Count() + 1)];

        int Count() =>
            SchemaMerge.Exact(value, path, key) is { IsInteger: true } number && number >= System.Numerics.BigInteger.Zero
                && number <= new System.Numerics.BigInteger(100_000) ? (int)number.Unscaled : throw Refused($"'{key}' that is no count");

        FlywheelException Refused(string what) => new($"{path}: {what} inside 'not' or 'if' is not supported");
    }

    private static IEnumerable<JsonNode> OtherValues(JsonArray values)
    {
        var kinds = values.ToLookup(value => value?.GetValueKind() ?? JsonValueKind.Null);
        if (kinds.Contains(JsonValueKind.Object) || kinds.Contains(JsonValueKind.Array))
            throw new FlywheelException("objects and arrays as values inside 'not' or 'if' are not supported");
        bool[] flags = [.. new[] { true, false }.Where(flag => !kinds.Contains(flag ? JsonValueKind.True : JsonValueKind.False))];
        string[] whole = [.. AllTypes.Where(type => !values.Any(value => SchemaMerge.IsOfType(value, type)))];
        if (whole.Length > 0) yield return OfTypes(whole);
        if (flags.Length == 1) yield return new JsonObject { ["enum"] = new JsonArray(flags[0]) };
        if (kinds.Contains(JsonValueKind.String))
            yield return OfType("string", "not",
                new JsonObject { ["enum"] = new JsonArray([.. kinds[JsonValueKind.String].Select(value => value!.DeepClone())]) });
        JsonNode? before = null;
        foreach (JsonNode number in kinds[JsonValueKind.Number].Select(number => number!)
            .OrderBy(number => SchemaMerge.Exact(number, "enum", "value")))
        {
            yield return Between(before, number);
            before = number;
        }
        if (before is not null) yield return Between(before, null);

        static JsonObject Between(JsonNode? low, JsonNode? high)
        {
            var option = new JsonObject { ["type"] = "number" };
            if (low is not null) option["exclusiveMinimum"] = low.DeepClone();
            if (high is not null) option["exclusiveMaximum"] = high.DeepClone();
            return option;
        }
    }

    private static JsonObject OfTypes(string[] types) =>
        new() { ["type"] = new JsonArray([.. types.Select(type => JsonValue.Create(type))]) };

    private static JsonObject OfType(string type, string key, JsonNode value) => new() { ["type"] = type, [key] = value };

    private static JsonObject Not(JsonNode? schema) => new() { ["not"] = schema?.DeepClone() };

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}
