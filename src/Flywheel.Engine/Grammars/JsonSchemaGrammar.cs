using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Writes a JSON schema as GBNF. Everything that the grammar allows fits the schema; what a grammar cannot express is
/// refused by name rather than passed over. Objects keep the order of their properties and have no others.
/// </summary>
internal sealed class JsonSchemaGrammar
{
    private const string Primitives = """
        ws ::= | " " | "\n" [ \t]{0,20}
        value ::= object | array | string | number | boolean | null
        object ::= "{" ws (pair (ws "," ws pair)* ws)? "}"
        pair ::= string ws ":" ws value
        array ::= "[" ws (value (ws "," ws value)* ws)? "]"
        string ::= "\"" char* "\""
        char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}))
        hex ::= [0-9a-fA-F]
        integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
        number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
        boolean ::= "true" | "false"
        null ::= "null"
        digit2 ::= [0-9] [0-9]
        date ::= digit2 digit2 "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])
        time ::= ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])
        uuid ::= hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12}

        """;

    private static readonly HashSet<string> Annotations = ["title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "strict", "name"];

    private readonly JsonNode _schema;
    private readonly StringBuilder _rules = new(Primitives);
    private readonly Dictionary<string, string> _references = [];
    private int _numRules;

    private JsonSchemaGrammar(JsonNode schema) => _schema = schema;

    public static string Convert(JsonNode schema)
    {
        var grammar = new JsonSchemaGrammar(schema);
        string root = grammar.Reference("#");
        return $"root ::= {root}\n{grammar._rules}";
    }

    /// <summary>An expression for a schema, good as an item of a sequence.</summary>
    private string Visit(JsonNode? node, string path)
    {
        if (node is JsonValue flag && flag.TryGetValue(out bool any)) return any ? "value" : throw new FlywheelException($"{path} is false, which nothing fits");
        if (node is not JsonObject schema) throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected a schema");
        var keywords = schema.Select(pair => pair.Key).Where(key => !Annotations.Contains(key)).ToHashSet();
        if (keywords.Count == 0) return "value";

        if (keywords.Contains("$ref")) return Only(["$ref"], () => Reference(Text(schema["$ref"], path + "/$ref")));
        if (keywords.Contains("const")) return Only(["const", "type"], () => Literal(Compact(schema["const"])));
        if (keywords.Contains("enum")) return Only(["enum", "type"], () => Choice(Array(schema["enum"], path + "/enum").Select(value => Literal(Compact(value)))));
        foreach (string choice in new[] { "anyOf", "oneOf" })
            if (keywords.Contains(choice)) return Only([choice, "type"], () => Choice(Array(schema[choice], $"{path}/{choice}").Select((option, i) => Visit(option, $"{path}/{choice}/{i}"))));
        if (keywords.Contains("allOf") && Array(schema["allOf"], path + "/allOf") is { Count: 1 } all) return Only(["allOf"], () => Visit(all[0], path + "/allOf/0"));

        if (schema["type"] is JsonArray types)
        {
            return Choice(types.Select(type =>
            {
                var single = (JsonObject)schema.DeepClone();
                single["type"] = type!.DeepClone();
                // Keywords of one type do not bind values of another.
                foreach (string key in keywords.Where(key => key != "type" && !TypeKeywords(Text(type, path + "/type")).Contains(key))) single.Remove(key);
                return Visit(single, path);
            }));
        }
        string name = schema["type"] is { } given ? Text(given, path + "/type")
            : keywords.Contains("properties") ? "object"
            : keywords.Contains("items") ? "array"
            : throw new FlywheelException($"{path}: keyword '{keywords.First()}' is not supported without 'type'");
        return Only(["type", .. TypeKeywords(name)], () => name switch
        {
            "object" => Object(schema, path),
            "array" => ArrayOf(schema, path),
            "string" => String(schema, path),
            "number" or "integer" or "boolean" or "null" => name,
            _ => throw new FlywheelException($"{path}/type is '{name}', expected object, array, string, number, integer, boolean or null"),
        });

        string Only(HashSet<string> allowed, Func<string> make) =>
            keywords.FirstOrDefault(key => !allowed.Contains(key)) is { } other ? throw new FlywheelException($"{path}: keyword '{other}' is not supported here") : make();
    }

    private static HashSet<string> TypeKeywords(string type) => type switch
    {
        "object" => ["properties", "required", "additionalProperties"],
        "array" => ["items", "minItems", "maxItems"],
        "string" => ["minLength", "maxLength", "format"],
        _ => [],
    };

    /// <summary>
    /// Properties in their order, optional ones skipped freely: one rule for the rest while nothing is written yet and
    /// one for the rest after a first property, because only the latter needs a comma.
    /// </summary>
    private string Object(JsonObject schema, string path)
    {
        JsonNode? additional = schema["additionalProperties"];
        bool closed = additional is JsonValue value && value.TryGetValue(out bool allowed) && !allowed;
        if (schema["properties"] is not JsonObject { Count: > 0 } properties)
        {
            if (schema["required"] is JsonArray { Count: > 0 }) throw new FlywheelException($"{path}/required names properties that are not declared");
            if (closed) return Rule("\"{\" ws \"}\"");
            if (additional is not JsonObject) return "object";
            string member = Rule($"string ws \":\" ws {Visit(additional, path + "/additionalProperties")}");
            return Rule($"\"{{\" ws ({member} (ws \",\" ws {member})* ws)? \"}}\"");
        }
        var required = (schema["required"] as JsonArray ?? []).Select(name => Text(name, path + "/required")).ToHashSet();
        if (required.FirstOrDefault(name => !properties.ContainsKey(name)) is { } missing) throw new FlywheelException($"{path}/required names '{missing}', which is not among the properties");
        string fresh = "\"\"", following = fresh; // nothing
        foreach ((string name, JsonNode? property) in properties.Reverse())
        {
            string member = $"{Literal(Compact(JsonValue.Create(name)))} ws \":\" ws {Visit(property, $"{path}/properties/{name}")} {following}";
            bool optional = !required.Contains(name);
            fresh = Rule(optional ? $"{member} | {fresh}" : member);
            following = Rule(optional ? $"ws \",\" ws {member} | {following}" : $"ws \",\" ws {member}");
        }
        return Rule($"\"{{\" ws {fresh} ws \"}}\"");
    }

    private string ArrayOf(JsonObject schema, string path)
    {
        int least = Count(schema, "minItems", path) ?? 0;
        int? most = Count(schema, "maxItems", path);
        if (most < least) throw new FlywheelException($"{path}/maxItems is {most}, less than minItems {least}");
        if (most == 0) return Rule("\"[\" ws \"]\"");
        string item = schema.ContainsKey("items") ? Visit(schema["items"], path + "/items") : "value";
        string items = $"{item} (ws \",\" ws {item}){{{Math.Max(0, least - 1)},{most - 1}}} ws";
        return Rule(least > 0 ? $"\"[\" ws {items} \"]\"" : $"\"[\" ws ({items})? \"]\"");
    }

    private string String(JsonObject schema, string path)
    {
        int? least = Count(schema, "minLength", path), most = Count(schema, "maxLength", path);
        if (schema["format"] is { } format)
        {
            if (least is not null || most is not null) throw new FlywheelException($"{path}: 'format' and a length together are not supported");
            return Rule(Text(format, path + "/format") switch
            {
                "date" => "\"\\\"\" date \"\\\"\"",
                "time" => "\"\\\"\" time \"\\\"\"",
                "date-time" => "\"\\\"\" date \"T\" time \"\\\"\"",
                "uuid" => "\"\\\"\" uuid \"\\\"\"",
                string other => throw new FlywheelException($"{path}/format is '{other}', supported are date, time, date-time, uuid"),
            });
        }
        if (least is null && most is null) return "string";
        if (most < (least ?? 0)) throw new FlywheelException($"{path}/maxLength is {most}, less than minLength {least}");
        return Rule($"\"\\\"\" char{{{least ?? 0},{most}}} \"\\\"\"");
    }

    private string Reference(string pointer)
    {
        if (_references.TryGetValue(pointer, out string? rule)) return rule;
        if (pointer != "#" && !pointer.StartsWith("#/", StringComparison.Ordinal)) throw new FlywheelException($"$ref '{pointer}' is not supported, expected '#' or '#/...'");
        JsonNode? target = _schema;
        foreach (string part in pointer.Split('/').Skip(1))
        {
            string key = part.Replace("~1", "/").Replace("~0", "~");
            target = target is JsonArray array && int.TryParse(key, out int index) && index >= 0 && index < array.Count ? array[index] : (target as JsonObject)?[key];
            if (target is null) throw new FlywheelException($"$ref '{pointer}' leads nowhere");
        }
        _references[pointer] = rule = $"s{_numRules++}"; // before its content, which may refer to itself
        string content = Visit(target, pointer);
        _rules.Append(rule).Append(" ::= ").Append(content).Append('\n');
        return rule;
    }

    private string Rule(string expression)
    {
        string rule = $"s{_numRules++}";
        _rules.Append(rule).Append(" ::= ").Append(expression).Append('\n');
        return rule;
    }

    private string Choice(IEnumerable<string> options) => Rule(string.Join(" | ", options));

    private static string Literal(string text) => "\"" + text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r") + "\"";

    private static string Compact(JsonNode? value) => value?.ToJsonString(JsonText.Compact) ?? "null";

    private static JsonArray Array(JsonNode? node, string path) =>
        node is JsonArray { Count: > 0 } array ? array : throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected an array that is not empty");

    private static string Text(JsonNode? node, string path) =>
        node is JsonValue value && value.TryGetValue(out string? text) ? text : throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected a text");

    private static int? Count(JsonObject schema, string key, string path) =>
        schema[key] is not { } node ? null : node is JsonValue value && value.TryGetValue(out int count) && count is >= 0 and <= 2000 ? count : throw new FlywheelException($"{path}/{key} is {node.ToJsonString()}, expected a number from 0 to 2000");
}
