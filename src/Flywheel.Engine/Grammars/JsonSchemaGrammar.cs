using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Writes a JSON schema (draft 2020-12, with what older drafts call by other names) as GBNF. Everything that the grammar
/// allows fits the schema; what a grammar cannot express is refused by its path rather than passed over. Where a schema
/// leaves a choice that no reader needs, the grammar makes it: properties come in the schema's order, none are added to
/// declared ones unless <c>additionalProperties</c> asks for them, integers have at most 19 digits where no bound has more.
/// </summary>
internal sealed partial class JsonSchemaGrammar
{
    /// <summary>Rules that those of schemas are made of.</summary>
    public const string Primitives = """
        nothing ::= "x" nothing
        ws ::= | " " | "\n" [ \t]{0,20}
        value ::= object | array | string | number | boolean | null
        object ::= "{" ws (pair (ws "," ws pair)* ws)? "}"
        pair ::= string ws ":" ws value
        array ::= "[" ws (value (ws "," ws value)* ws)? "]"
        string ::= "\"" char* "\""
        char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}))
        hex ::= [0-9a-fA-F]
        integer ::= "-"? ("0" | [1-9] [0-9]{0,18})
        number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
        boolean ::= "true" | "false"
        null ::= "null"

        """;

    private const int MaxRules = 20_000, MaxLength = 1 << 20, MaxCount = 100_000;

    private readonly StringBuilder _rules = new(Primitives);
    private readonly Dictionary<string, string> _known = new(StringComparer.Ordinal);
    private readonly Queue<(string Rule, Func<string> Content)> _pending = new();
    private SchemaMerge _merge = new(new JsonObject());
    private int _numRules;

    /// <summary>The rules of all schemas that were added.</summary>
    public string Rules => _rules.ToString();

    public static string Convert(JsonNode schema)
    {
        var grammar = new JsonSchemaGrammar();
        string root = grammar.Add(schema);
        return $"root ::= {root}\n{grammar.Rules}";
    }

    /// <summary>The name of the rule for a schema, which is the root of its references.</summary>
    /// <param name="schema">What must fit.</param>
    /// <param name="asObject">
    /// It declares a function's arguments: only objects fit, even if the schema would have others, and where it declares none
    /// there are none.
    /// </param>
    public string Add(JsonNode schema, bool asObject = false)
    {
        _merge = new SchemaMerge(schema);
        _known.Clear(); // references mean others now
        string root = asObject ? Named("root", () => Write(Arguments(schema), "#")) : Visit(schema, "#");
        // What is referred to is written when all else is, so that a long chain of references is no deep recursion.
        while (_pending.TryDequeue(out var one)) Add(one.Rule, one.Content());
        return root;
    }

    private JsonObject Arguments(JsonNode schema)
    {
        JsonObject flat = _merge.Join(_merge.Flatten(schema, "#"), new() { ["type"] = "object" }, "#");
        if (!flat.Any(pair =>
            pair.Key is "properties" or "additionalProperties" or "patternProperties" or "propertyNames" or "minProperties" or "anyOf"
                or "enum")) flat["properties"] = new JsonObject();
        return flat;
    }

    /// <summary>The name of a rule for a schema. Equal schemas have one rule, which is how recursive ones end.</summary>
    private string Visit(JsonNode? node, string path)
    {
        if (node is JsonObject schema && SchemaMerge.PureReference(schema) is { } pointer)
        {
            JsonNode? target = _merge.Resolve(pointer);
            return Named("$ref " + pointer, () => Write(_merge.Flatten(target, pointer), pointer));
        }
        JsonObject flat = _merge.Flatten(node, path);
        return flat.Count == 0 ? "value" : Named(flat.ToJsonString(), () => Write(flat, path));
    }

    private string Named(string key, Func<string> content)
    {
        if (_known.TryGetValue(key, out string? rule)) return rule;
        _known[key] = rule = NewRule();
        _pending.Enqueue((rule, content));
        return rule;
    }

    /// <summary>An expression for a schema without references.</summary>
    private string Write(JsonObject schema, string path)
    {
        if (schema["anyOf"] is { } anyOf)
        {
            var rest = (JsonObject)schema.DeepClone();
            rest.Remove("anyOf");
            return Choice(SchemaMerge.Array(anyOf, path + "/anyOf").Select((option, i) => rest.Count == 0
                ? Visit(option, $"{path}/anyOf/{i}")
                : Visit(_merge.Join(rest, _merge.Flatten(option, $"{path}/anyOf/{i}"), path), path)));
        }
        HashSet<string>? types = schema["type"] is { } given ? SchemaMerge.TypesOf(given, path) : null;
        if (schema["enum"] is { } values) return Choice(Fitting(values, schema, path).Select(value => Literal(Compact(value))));
        types ??= [.. schema.Select(pair => SchemaMerge.TypeOf(pair.Key)).OfType<string>()];
        return types.Count == 0 && schema["type"] is null ? "value" : Choice(types.Select(type => type switch
        {
            "object" => Object(schema, path),
            "array" => Array(schema, path),
            "string" => String(schema, path),
            "number" or "integer" => Number(schema, path, type),
            _ => type,
        }));
    }

    /// <summary>Of listed values those that fit all else that is said.</summary>
    private IEnumerable<JsonNode?> Fitting(JsonNode values, JsonObject schema, string path)
    {
        var rest = (JsonObject)schema.DeepClone();
        rest.Remove("enum");
        var judge = new SchemaValues(_merge.Resolve);
        return SchemaMerge.Array(values, path + "/enum", mayBeEmpty: true).Where(value => judge.Fits(value, rest, path));
    }

    private string Rule(string expression)
    {
        string rule = NewRule();
        Add(rule, expression);
        return rule;
    }

    private string NewRule() =>
        ++_numRules <= MaxRules
            ? $"s{_numRules}" : throw new FlywheelException($"the schema becomes more than {MaxRules} rules; make it smaller");

    private void Add(string rule, string expression)
    {
        _rules.Append(rule).Append(" ::= ").Append(expression).Append('\n');
        if (_rules.Length > MaxLength)
            throw new FlywheelException($"the schema becomes a grammar of more than {MaxLength} characters; make it smaller");
    }

    private static string Choice(IEnumerable<string> options) =>
        options.ToArray() switch { [] => "nothing", [var only] => only, var several => string.Join(" | ", several) };

    public static string Literal(string text) =>
        "\"" + text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t") + "\"";

    public static string Compact(JsonNode? value) => value?.ToJsonString(JsonText.Compact) ?? "null";

    private static int? Count(JsonObject schema, string key, string path) =>
        schema[key] is not { } node ? null
            : node is JsonValue value && value.GetValueKind() == JsonValueKind.Number
                && SchemaMerge.Exact(value, path, key) is { IsInteger: true, Unscaled: var count } && count >= 0 && count <= MaxCount
                ? (int)count
            : throw new FlywheelException($"{path}/{key} is {node.ToJsonString()}, expected a number from 0 to {MaxCount}");
}
