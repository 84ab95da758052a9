using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Whether a value fits a schema, by JSON Schema's definition (draft 2020-12): which values of <c>enum</c> and <c>const</c>
/// remain beside other keywords.
/// </summary>
/// <param name="resolve">What a reference points to.</param>
internal sealed class SchemaValues(Func<string, JsonNode?> resolve)
{
    private const int MaxDepth = 64;

    private int _depth;

    /// <param name="value">The value.</param>
    /// <param name="node">The schema.</param>
    /// <param name="path">Of the schema, for errors.</param>
    /// <exception cref="FlywheelException">The schema is malformed, or its references lead in a circle.</exception>
    public bool Fits(JsonNode? value, JsonNode? node, string path)
    {
        if (node is JsonValue flag && flag.TryGetValue(out bool any)) return any;
        if (node is not JsonObject schema) throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected a schema");
        if (++_depth > MaxDepth)
            throw new FlywheelException($"{path}: references lead through more than {MaxDepth} schemas, perhaps in a circle");
        bool fits = schema.All(pair => Fits(value, pair.Key, pair.Value, schema, path));
        _depth--;
        return fits;
    }

    private bool Fits(JsonNode? value, string key, JsonNode? given, JsonObject schema, string path)
    {
        string at = $"{path}/{key}";
        switch (key)
        {
            case "$ref": return Fits(value, resolve(SchemaMerge.Text(given, at)), at);
            case "type": return SchemaMerge.TypesOf(given, path).Any(type => SchemaMerge.IsOfType(value, type))
                || value is null && schema["nullable"] is JsonValue flag && flag.TryGetValue(out bool nullable) && nullable;
            case "enum": return SchemaMerge.Array(given, at, mayBeEmpty: true).Any(one => JsonNode.DeepEquals(one, value));
            case "const": return JsonNode.DeepEquals(given, value);
            case "allOf": return SchemaMerge.Array(given, at).All(one => Fits(value, one, at));
            case "anyOf": return SchemaMerge.Array(given, at).Any(one => Fits(value, one, at));
            case "oneOf": return SchemaMerge.Array(given, at).Count(one => Fits(value, one, at)) == 1;
            case "not": return !Fits(value, given, at);
            case "if": return Fits(value, schema[Fits(value, given, at) ? "then" : "else"] ?? JsonValue.Create(true), at);
        }
        return (value?.GetValueKind()) switch
        {
            JsonValueKind.Object => FitsObject(value.AsObject(), key, given, schema, at),
            JsonValueKind.Array => FitsArray(value.AsArray(), key, given, schema, at),
            JsonValueKind.String => FitsText(value.GetValue<string>(), key, given, path),
            JsonValueKind.Number => FitsNumber(value, key, given, schema, path),
            _ => true,
        };
    }

    private bool FitsObject(JsonObject value, string key, JsonNode? given, JsonObject schema, string at) => key switch
    {
        "required" => SchemaMerge.Array(given, at, mayBeEmpty: true).All(name => value.ContainsKey(SchemaMerge.Text(name, at))),
        "properties" => Fields(given, at).All(pair => !value.TryGetPropertyValue(pair.Key, out JsonNode? own) || Fits(own, pair.Value, at)),
        "patternProperties" => Fields(given, at)
            .All(pair => value.All(own => !Matches(pair.Key, own.Key, at) || Fits(own.Value, pair.Value, at))),
        "additionalProperties" => value.All(own => (schema["properties"] as JsonObject)?.ContainsKey(own.Key) == true
            || (schema["patternProperties"] as JsonObject)?.Any(pattern => Matches(pattern.Key, own.Key, at)) == true
            || Fits(own.Value, given, at)),
        "propertyNames" => value.All(own => Fits(JsonValue.Create(own.Key), given, at)),
        "minProperties" => value.Count >= Exact(given, at),
        "maxProperties" => value.Count <= Exact(given, at),
        "dependentRequired" => Fields(given, at)
            .All(pair => !value.ContainsKey(pair.Key)
                || SchemaMerge.Array(pair.Value, at, mayBeEmpty: true).All(name => value.ContainsKey(SchemaMerge.Text(name, at)))),
        "dependentSchemas" => Fields(given, at).All(pair => !value.ContainsKey(pair.Key) || Fits(value, pair.Value, at)),
        _ => true,
    };

    private bool FitsArray(JsonArray value, string key, JsonNode? given, JsonObject schema, string at) => key switch
    {
        "prefixItems" => value.Zip(SchemaMerge.Array(given, at)).All(pair => Fits(pair.First, pair.Second, at)),
        "items" when given is JsonArray places => value.Zip(places).All(pair => Fits(pair.First, pair.Second, at)),
        "items" => value.Skip((schema["prefixItems"] as JsonArray)?.Count ?? 0).All(item => Fits(item, given, at)),
        "additionalItems" => schema["items"] is not JsonArray places || value.Skip(places.Count).All(item => Fits(item, given, at)),
        "minItems" => value.Count >= Exact(given, at),
        "maxItems" => value.Count <= Exact(given, at),
        "uniqueItems" => SchemaMerge.IsFalse(given)
            || value.Select((item, i) => value.Take(i).All(other => !JsonNode.DeepEquals(item, other))).All(unique => unique),
        _ => true,
    };

    /// <summary>A format is an annotation: who lists values knows why.</summary>
    private static bool FitsText(string value, string key, JsonNode? given, string path) => key switch
    {
        "minLength" => value.EnumerateRunes().Count() >= Exact(given, $"{path}/{key}"),
        "maxLength" => value.EnumerateRunes().Count() <= Exact(given, $"{path}/{key}"),
        "pattern" => Matches(SchemaMerge.Text(given, $"{path}/{key}"), value, $"{path}/{key}"),
        _ => true,
    };

    private static bool FitsNumber(JsonNode value, string key, JsonNode? given, JsonObject schema, string path)
    {
        ExactNumber number = SchemaMerge.Exact(value, path, "enum");
        return key switch
        {
            "minimum" => Is("exclusiveMinimum") ? number > Bound() : number >= Bound(),
            "maximum" => Is("exclusiveMaximum") ? number < Bound() : number <= Bound(),
            "exclusiveMinimum" => given is JsonValue && given.GetValueKind() is JsonValueKind.True or JsonValueKind.False
                || number > Bound(),
            "exclusiveMaximum" => given is JsonValue && given.GetValueKind() is JsonValueKind.True or JsonValueKind.False
                || number < Bound(),
            "multipleOf" => IsMultiple(number, Bound()),
            _ => true,
        };

        ExactNumber Bound() => SchemaMerge.Exact(given, path, key);

        bool Is(string flag) => schema[flag] is JsonValue one && one.TryGetValue(out bool on) && on; // draft 4

        static bool IsMultiple(ExactNumber number, ExactNumber of)
        {
            int scale = Math.Max(number.Scale, of.Scale);
            return of.Unscaled.Sign > 0 && BigInteger.Remainder(number.Shift(scale).Unscaled, of.Shift(scale).Unscaled).IsZero;
        }
    }

    /// <summary>Whether a text matches a pattern, as the grammar of the pattern reads it: no backtracking, and one understanding of
    /// patterns.</summary>
    public static bool Matches(string pattern, string text, string path)
    {
        Grammar grammar =
            Grammar.Parse(
                $"root ::= \"\\\"\" {JsonPatternGrammar.Convert(pattern, 0, null, path)} \"\\\"\"\n{JsonSchemaGrammar.Primitives}");
        var automaton = new GrammarAutomaton(grammar);
        return automaton.Advance(automaton.Start,
            Encoding.UTF8.GetBytes($"\"{string.Concat(text.Select(JsonPatternGrammar.Written))}\"")).Accepts;
    }

    private static int Exact(JsonNode? given, string at) =>
        SchemaMerge.Exact(given, at, "") is { IsInteger: true } number && number <= new BigInteger(int.MaxValue)
            && number >= BigInteger.Zero
        ? (int)number.Unscaled
        : throw new FlywheelException($"{at} is {given?.ToJsonString() ?? "null"}, expected a count");

    private static JsonObject Fields(JsonNode? given, string at) =>
        given as JsonObject ?? throw new FlywheelException($"{at} is {given?.ToJsonString() ?? "null"}, expected an object");
}
