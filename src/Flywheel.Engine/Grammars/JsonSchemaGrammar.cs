using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Writes a JSON schema (draft 2020-12, with what older drafts call by other names) as GBNF. Everything that the grammar
/// allows fits the schema; what a grammar cannot express is refused by its path rather than passed over. Where a schema
/// leaves a choice that no reader needs, the grammar makes it: properties come in the schema's order, none are added to
/// declared ones unless <c>additionalProperties</c> asks for them, integers have at most 15 digits.
/// </summary>
internal sealed class JsonSchemaGrammar
{
    private const string Primitives = """
        nothing ::= "x" nothing
        ws ::= | " " | "\n" [ \t]{0,20}
        value ::= object | array | string | number | boolean | null
        object ::= "{" ws (pair (ws "," ws pair)* ws)? "}"
        pair ::= string ws ":" ws value
        array ::= "[" ws (value (ws "," ws value)* ws)? "]"
        string ::= "\"" char* "\""
        char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}))
        hex ::= [0-9a-fA-F]
        integer ::= "-"? ("0" | [1-9] [0-9]{0,14})
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
    /// <param name="asObject">Only objects fit, even if the schema would have others.</param>
    public string Add(JsonNode schema, bool asObject = false)
    {
        _merge = new SchemaMerge(schema);
        _known.Clear(); // references mean others now
        string root = asObject ? Named("root", () => Write(_merge.Join(_merge.Flatten(schema, "#"), new() { ["type"] = "object" }, "#"), "#")) : Visit(schema, "#");
        // What is referred to is written when all else is, so that a long chain of references is no deep recursion.
        while (_pending.TryDequeue(out var one)) Add(one.Rule, one.Content());
        return root;
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
        if (schema["enum"] is { } values)
        {
            if (schema.FirstOrDefault(pair => pair.Key is not ("enum" or "type")).Key is { } other) throw new FlywheelException($"{path}: keyword '{other}' is not supported beside 'enum'");
            return Choice(SchemaMerge.Array(values, path + "/enum", mayBeEmpty: true).Where(value => types is null || types.Any(type => SchemaMerge.IsOfType(value, type))).Select(value => Literal(Compact(value))));
        }
        types ??= [.. schema.Select(pair => TypeOf(pair.Key)).OfType<string>()];
        return types.Count == 0 && schema["type"] is null ? "value" : Choice(types.Select(type => type switch
        {
            "object" => Object(schema, path),
            "array" => Array(schema, path),
            "string" => String(schema, path),
            "number" or "integer" => Number(schema, path, type),
            _ => type,
        }));
    }

    /// <summary>The type that a keyword speaks of.</summary>
    private static string? TypeOf(string keyword) => keyword switch
    {
        "properties" or "required" or "additionalProperties" or "unevaluatedProperties" or "propertyNames" or "minProperties" or "maxProperties" => "object",
        "items" or "prefixItems" or "additionalItems" or "minItems" or "maxItems" or "uniqueItems" => "array",
        "pattern" or "format" or "minLength" or "maxLength" => "string",
        "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum" or "multipleOf" => "number",
        _ => null,
    };

    /// <summary>
    /// Properties in their order, optional ones skipped freely: a rule for the rest after each number of properties so far,
    /// as far as that matters: for the comma, and where their number is bounded.
    /// </summary>
    private string Object(JsonObject schema, string path)
    {
        JsonObject properties = schema["properties"] switch
        {
            null => [],
            JsonObject declared => declared,
            var other => throw new FlywheelException($"{path}/properties is {other.ToJsonString()}, expected an object"),
        };
        string[] required = [.. SchemaMerge.Array(schema["required"] ?? new JsonArray(), path + "/required", mayBeEmpty: true).Select(name => SchemaMerge.Text(name, path + "/required"))];
        JsonNode? additional = schema["additionalProperties"];
        if (schema["unevaluatedProperties"] is { } unevaluated)
        {
            if (!SchemaMerge.IsFalse(unevaluated)) throw new FlywheelException($"{path}: keyword 'unevaluatedProperties' is supported only as false");
            additional = JsonValue.Create(false);
        }
        int least = Count(schema, "minProperties", path) ?? 0;
        int? most = Count(schema, "maxProperties", path);

        List<(string Name, string Rule, bool Required)> members = [.. properties.Select(property => (property.Key, Visit(property.Value, $"{path}/properties/{property.Key}"), required.Contains(property.Key)))];
        foreach (string name in required.Distinct().Where(name => !properties.ContainsKey(name)))
            members.Add((name, SchemaMerge.IsFalse(additional) ? "nothing" : Visit(additional ?? JsonValue.Create(true), path + "/additionalProperties"), true));
        bool open = !SchemaMerge.IsFalse(additional) && (additional is not null || properties.Count == 0);
        if (open && members.Count == 0 && additional is null or JsonValue && least == 0 && most is null && schema["propertyNames"] is null) return "object";

        string others = "nothing";
        if (open)
        {
            if (least > Math.Max(1, required.Length)) throw new FlywheelException($"{path}/minProperties is {least}: names of additional properties could repeat, so that at most 1 is supported");
            string name = "string";
            if (schema["propertyNames"] is { } names)
            {
                if (members.Count > 0) throw new FlywheelException($"{path}: keyword 'propertyNames' is supported only without declared properties");
                name = Visit(new JsonObject { ["allOf"] = new JsonArray(names.DeepClone(), new JsonObject { ["type"] = "string" }) }, path + "/propertyNames");
            }
            else if (members.Count > 0) name = OtherNames([.. members.Select(member => member.Name)]);
            others = Rule($"{name} ws \":\" ws {Visit(additional ?? JsonValue.Create(true), path + "/additionalProperties")}");
        }
        else if (schema["propertyNames"] is not null) throw new FlywheelException($"{path}: keyword 'propertyNames' is supported only without declared properties");

        // Above this, one more property changes nothing.
        bool counted = least > required.Length || most is not null && (open || most < members.Count);
        int enough = counted ? members.Count + 1 : 1;
        string[] rest = new string[enough + 1]; // by the number of properties so far
        for (int k = 0; k <= enough; k++)
        {
            int missing = counted ? Math.Max(0, least - k) : 0;
            int? left = counted ? most - k : null;
            rest[k] = !open || left <= 0 ? missing > 0 || left < 0 ? "nothing" : "\"\""
                : k == 0 ? Rule(missing > 0 ? Some(others, left) : $"({Some(others, left)})?")
                : Rule($"(ws \",\" ws {others}){{{missing},{left}}}");
        }
        for (int i = members.Count - 1; i >= 0; i--)
        {
            (string name, string value, bool needed) = members[i];
            string member = $"{Literal(Compact(JsonValue.Create(name)))} ws \":\" ws {value}";
            string[] next = rest;
            rest = new string[enough + 1];
            for (int k = 0; k <= enough; k++)
            {
                if (k > i && counted) continue; // so many cannot have been before
                string taken = $"{(k == 0 ? "" : "ws \",\" ws ")}{member} {next[Math.Min(k + 1, enough)]}";
                rest[k] = Rule(needed ? taken : $"{taken} | {next[k]}");
            }
        }
        return Rule($"\"{{\" ws {rest[0]} ws \"}}\"");

        static string Some(string other, int? left) => $"{other} (ws \",\" ws {other}){{0,{left - 1}}}";
    }

    /// <summary>A string that is none of some names: a tree of their characters, left at any point by another one.</summary>
    private string OtherNames(string[] names)
    {
        return Rule($"\"\\\"\" {From([.. names.Distinct(StringComparer.Ordinal)], 0)} \"\\\"\"");

        string From(string[] left, int at)
        {
            Rune[] Runes(string name) => [.. name.EnumerateRunes()];
            var groups = left.Where(name => Runes(name).Length > at).GroupBy(name => Runes(name)[at]).ToArray();
            string notOf = string.Concat(groups.Select(group => $"\\U{group.Key.Value:X8}"));
            List<string> options = [$"[^\"\\\\\\x00-\\x1F{notOf}] [^\"\\\\\\x00-\\x1F]*"];
            // Names with characters that JSON escapes are never reached: what is written here has no escapes.
            options.AddRange(groups.Where(group => group.Key.Value is >= 0x20 and not ('"' or '\\')).Select(group => $"\"\\U{group.Key.Value:X8}\" {From([.. group], at + 1)}"));
            if (!left.Any(name => Runes(name).Length == at)) options.Add("\"\"");
            return Rule(string.Join(" | ", options));
        }
    }

    private string Array(JsonObject schema, string path)
    {
        int least = Count(schema, "minItems", path) ?? 0;
        int? most = Count(schema, "maxItems", path);
        // Drafts before 2020-12 write prefixItems as items, and items as additionalItems.
        bool old = schema["items"] is JsonArray;
        JsonArray prefix = (old ? schema["items"] : schema["prefixItems"]) is { } places ? SchemaMerge.Array(places, $"{path}/{(old ? "items" : "prefixItems")}") : [];
        JsonNode? others = old ? schema["additionalItems"] : schema["items"];
        if (SchemaMerge.IsFalse(others)) (others, most) = (null, Math.Min(most ?? int.MaxValue, prefix.Count));
        if (schema["uniqueItems"] is JsonValue unique && unique.TryGetValue(out bool only) && only && !(most <= 1)) throw new FlywheelException($"{path}: keyword 'uniqueItems' is not supported for more than one item");
        if (most < least) return "nothing";
        if (most == 0) return Rule("\"[\" ws \"]\"");
        string rest = "\"\"";
        if (most is null || most > prefix.Count)
        {
            string item = Visit(others ?? JsonValue.Create(true), path + "/items");
            (int fewest, int? left) = (Math.Max(0, least - prefix.Count), most - prefix.Count);
            rest = prefix.Count > 0 ? Rule($"(ws \",\" ws {item}){{{fewest},{left}}}") : Rule($"{item} (ws \",\" ws {item}){{{Math.Max(0, fewest - 1)},{left - 1}}}{(fewest == 0 ? " | \"\"" : "")}");
        }
        for (int i = Math.Min(prefix.Count, most ?? int.MaxValue) - 1; i >= 0; i--)
            rest = Rule($"{(i == 0 ? "" : "ws \",\" ws ")}{Visit(prefix[i], $"{path}/prefixItems/{i}")} {rest}{(i >= least ? " | \"\"" : "")}");
        return Rule($"\"[\" ws {rest} ws \"]\"");
    }

    private string String(JsonObject schema, string path)
    {
        int least = Count(schema, "minLength", path) ?? 0;
        int? most = Count(schema, "maxLength", path);
        if (most < least) return "nothing";
        string? pattern = schema["pattern"] is { } given ? SchemaMerge.Text(given, path + "/pattern") : null;
        if (schema["format"] is { } format)
        {
            if (pattern is not null) throw new FlywheelException($"{path}: 'format' and 'pattern' together are not supported");
            string name = SchemaMerge.Text(format, path + "/format");
            pattern = JsonFormats.Patterns.TryGetValue(name, out string? known) ? known
                : throw new FlywheelException($"{path}/format is '{name}', supported are {string.Join(", ", JsonFormats.Patterns.Keys)}");
        }
        if (pattern is not null) return Rule($"\"\\\"\" {JsonPatternGrammar.Convert(pattern, least, most, path + (schema["format"] is null ? "/pattern" : "/format"))} \"\\\"\"");
        return least == 0 && most is null ? "string" : Rule($"\"\\\"\" char{{{least},{most}}} \"\\\"\"");
    }

    private string Number(JsonObject schema, string path, string type)
    {
        if (schema["multipleOf"] is { } multiple)
        {
            if (SchemaMerge.Number(multiple, path, "multipleOf") != 1) throw new FlywheelException($"{path}/multipleOf is {multiple.ToJsonString()}, supported is 1");
            type = "integer";
        }
        (decimal? least, bool above) = Bound("minimum", "exclusiveMinimum", (a, b) => a > b);
        (decimal? most, bool below) = Bound("maximum", "exclusiveMaximum", (a, b) => a < b);
        if (least is null && most is null) return type;
        if (type == "number") return JsonNumberGrammar.Decimals(least, above, most, below) is { } decimals ? Rule(decimals) : "nothing";
        if (above && least == Math.Floor(least!.Value)) least++;
        if (below && most == Math.Floor(most!.Value)) most--;
        return JsonNumberGrammar.Integers(least, most) is { } integers ? Rule(integers) : "nothing";

        // Draft 4 has exclusiveMinimum as a flag of minimum.
        (decimal? Bound, bool Exclusive) Bound(string inclusive, string exclusive, Func<decimal, decimal, bool> isTighter)
        {
            decimal? bound = Limit(inclusive);
            if (schema[exclusive] is JsonValue flag && flag.TryGetValue(out bool on)) return (bound, on && bound is not null);
            return Limit(exclusive) is { } strict && (bound is null || !isTighter(bound.Value, strict)) ? (strict, true) : (bound, false);
        }

        decimal? Limit(string key)
        {
            if (schema[key] is not { } node) return null;
            double number = SchemaMerge.Number(node, path, key);
            // What is written has at most 15 digits; a bound beyond that binds nothing, or everything.
            if (Math.Abs(number) > (double)JsonNumberGrammar.Largest) return number > 0 ? JsonNumberGrammar.Largest + 1 : -JsonNumberGrammar.Largest - 1;
            return SchemaMerge.IsDecimal(node, out decimal exact) ? exact : (decimal)number;
        }
    }

    private string Rule(string expression)
    {
        string rule = NewRule();
        Add(rule, expression);
        return rule;
    }

    private string NewRule() => ++_numRules <= MaxRules ? $"s{_numRules}" : throw new FlywheelException($"the schema becomes more than {MaxRules} rules; make it smaller");

    private void Add(string rule, string expression)
    {
        _rules.Append(rule).Append(" ::= ").Append(expression).Append('\n');
        if (_rules.Length > MaxLength) throw new FlywheelException($"the schema becomes a grammar of more than {MaxLength} characters; make it smaller");
    }

    private static string Choice(IEnumerable<string> options) => options.ToArray() switch { [] => "nothing", [var only] => only, var several => string.Join(" | ", several) };

    public static string Literal(string text) => "\"" + text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r") + "\"";

    public static string Compact(JsonNode? value) => value?.ToJsonString(JsonText.Compact) ?? "null";

    private static int? Count(JsonObject schema, string key, string path) =>
        schema[key] is not { } node ? null
            : node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && SchemaMerge.Number(value, path, key) is var count && count is >= 0 and <= MaxCount && count == Math.Floor(count) ? (int)count
            : throw new FlywheelException($"{path}/{key} is {node.ToJsonString()}, expected a number from 0 to {MaxCount}");
}
