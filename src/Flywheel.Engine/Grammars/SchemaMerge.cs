using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Makes one plain schema out of references, <c>allOf</c> and <c>oneOf</c>: what fits the result fits all that it was made
/// of. What holds under conditions becomes options. What cannot be joined is refused by its path.
/// </summary>
internal sealed class SchemaMerge(JsonNode root)
{
    private const int MaxDepth = 64, MaxOptions = 256, MaxSchemas = 100_000;

    /// <summary>Keywords that say what fits. All others are annotations, by the standard, and pass.</summary>
    private static readonly HashSet<string> Known =
    [
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "$ref", "$id", "nullable", "properties",
        "required", "additionalProperties",
        "unevaluatedProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired",
        "dependentSchemas", "items", "prefixItems",
        "additionalItems", "minItems", "maxItems", "uniqueItems", "pattern", "format", "minLength", "maxLength", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    ];

    /// <summary>Keywords that say what fits, and that no grammar is made of.</summary>
    private static readonly HashSet<string> NotSupported = ["contains", "minContains", "maxContains", "unevaluatedItems", "dependencies",
        "$dynamicRef", "$recursiveRef"];

    /// <summary>Keywords that are written in others' terms before anything is joined.</summary>
    private static readonly HashSet<string> Rewritten = ["$id", "$ref", "allOf", "oneOf", "nullable", "not", "if", "then", "else",
        "dependentRequired", "dependentSchemas"];

    private readonly string? _id = (root as JsonObject)?["$id"] is JsonValue value && value.TryGetValue(out string? id) ? id : null;
    private int _depth, _numFlattened;

    /// <summary>The schema that nothing fits, as an object.</summary>
    public static JsonObject Nothing => new() { ["enum"] = new JsonArray() };

    /// <summary>Whether a schema is a reference and nothing else, so that it can stay one.</summary>
    public static string? PureReference(JsonObject schema) =>
        schema["$ref"] is JsonValue value && value.TryGetValue(out string? pointer)
            && schema.All(pair => pair.Key == "$ref" || !Known.Contains(pair.Key) && !NotSupported.Contains(pair.Key)) ? pointer : null;

    /// <summary>A copy without annotations, references, <c>allOf</c> and <c>oneOf</c> at its top; its parts are as they were.</summary>
    public JsonObject Flatten(JsonNode? node, string path)
    {
        if (node is JsonValue flag && flag.TryGetValue(out bool any)) return any ? [] : Nothing;
        if (node is not JsonObject schema) throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected a schema");
        if (++_depth > MaxDepth)
            throw new FlywheelException($"{path}: references and allOf lead through more than {MaxDepth} schemas, perhaps in a circle");
        if (++_numFlattened > MaxSchemas)
            throw new FlywheelException($"{path}: references and allOf multiply to more than {MaxSchemas} schemas; make it smaller");
        JsonObject flat = [];
        foreach ((string key, JsonNode? value) in schema)
        {
            if (NotSupported.Contains(key)) throw new FlywheelException($"{path}: keyword '{key}' is not supported");
            if (key == "$id" && path != "#") throw new FlywheelException($"{path}: keyword '$id' is supported only at the root");
            if (Known.Contains(key) && !Rewritten.Contains(key)) flat[key] = value?.DeepClone();
        }
        if (flat.TryGetPropertyValue("const", out JsonNode? only))
        {
            flat.Remove("const");
            flat = Join(flat, new() { ["enum"] = new JsonArray(only?.DeepClone()) }, path);
        }
        if (schema["nullable"] is JsonValue nullable && nullable.TryGetValue(out bool may) && may && flat["type"] is { } type)
            flat["type"] = new JsonArray([.. (type is JsonArray many ? many.Select(one => one?.DeepClone()) : [type.DeepClone()]), "null"]);
        if (schema["allOf"] is { } all)
        {
            JsonArray parts = Array(all, path + "/allOf");
            for (int i = 0; i < parts.Count; i++) flat = Join(flat, Part(parts[i], $"{path}/allOf/{i}"), path);
        }
        if (schema["oneOf"] is { } oneOf)
        {
            RequireDisjoint(Array(oneOf, path + "/oneOf"), path + "/oneOf");
            flat = Join(flat, new() { ["anyOf"] = oneOf.DeepClone() }, path);
        }
        if (schema["$ref"] is { } reference)
        {
            string pointer = Text(reference, path + "/$ref");
            flat = Join(flat, Part(Resolve(pointer), pointer), path);
        }
        if (Rewritten.Any(key => key is not ("$id" or "$ref" or "allOf" or "oneOf" or "nullable") && schema.ContainsKey(key)))
            flat = JoinConditions(schema, flat, path);
        // All that is declared here is known here, unless it hangs on an option.
        if (!flat.ContainsKey("anyOf") && flat["unevaluatedProperties"] is { } rest)
        {
            flat.Remove("unevaluatedProperties");
            if (flat["additionalProperties"] is null) flat["additionalProperties"] = rest.DeepClone();
        }
        _depth--;
        return flat;
    }

    /// <summary>What holds only if something else does, or does not, becomes options.</summary>
    private JsonObject JoinConditions(JsonObject schema, JsonObject flat, string path)
    {
        if (schema.ContainsKey("unevaluatedProperties"))
            throw new FlywheelException($"{path}: keyword 'unevaluatedProperties' is not supported beside conditions");
        // Options that speak of every type must not bring in those that nobody thought of.
        if (flat["type"] is null && flat.Select(pair => TypeOf(pair.Key)).OfType<string>().Distinct().ToArray() is { Length: > 0 } types)
            flat["type"] = new JsonArray([.. types.Select(type => JsonValue.Create(type))]);
        if (schema.TryGetPropertyValue("not", out JsonNode? not))
        {
            JsonObject others = SchemaNegation.IsOtherStrings(schema) ? new() { ["not"] = not!.DeepClone() } : Negation(not, path + "/not");
            flat = Join(flat, others, path);
        }
        if (schema.TryGetPropertyValue("if", out JsonNode? condition))
        {
            JsonNode otherwise = new JsonObject { ["not"] = condition?.DeepClone() };
            flat = Join(flat, Options(AllOf(condition, schema["then"]), AllOf(otherwise, schema["else"])), path);
        }
        foreach ((string name, JsonNode? needed) in Fields("dependentRequired"))
            flat = Join(flat,
                Options(Absent(name),
                    new JsonObject
                        { ["required"] =
                            new JsonArray([name,
                                .. Array(needed, $"{path}/dependentRequired/{name}", mayBeEmpty: true).Select(one => one?.DeepClone())]) }),
                                path);
        foreach ((string name, JsonNode? holds) in Fields("dependentSchemas"))
            flat = Join(flat,
                Options(Absent(name), AllOf(new JsonObject { ["type"] = "object", ["required"] = new JsonArray(name) }, holds)), path);
        return flat;

        JsonObject Fields(string key) => schema[key] switch
        {
            null => [],
            JsonObject fields => fields,
            var other => throw new FlywheelException($"{path}/{key} is {other.ToJsonString()}, expected an object"),
        };

        static JsonObject Absent(string name) => new() { ["properties"] = new JsonObject { [name] = false } };

        static JsonObject Options(params JsonNode[] options) => new() { ["anyOf"] = new JsonArray(options) };
    }

    private JsonObject Negation(JsonNode? node, string path)
    {
        JsonArray options = SchemaNegation.Options(Flatten(node, path), path);
        return options.Count == 0 ? Nothing : new() { ["anyOf"] = options };
    }

    private JsonObject Part(JsonNode? node, string path)
    {
        JsonObject flat = Flatten(node, path);
        return flat.ContainsKey("unevaluatedProperties")
            ? throw new FlywheelException($"{path}: keyword 'unevaluatedProperties' is not supported here") : flat;
    }

    /// <summary>What a reference within the schema points to.</summary>
    public JsonNode? Resolve(string pointer)
    {
        string local = _id is not null && pointer.StartsWith(_id, StringComparison.Ordinal) ? pointer[_id.Length..] : pointer;
        if (local.Length == 0) return root;
        if (local[0] != '#')
            throw new FlywheelException($"$ref '{pointer}' is not supported, expected one within the schema: '#', '#/...' or '#anchor'");
        if (local.Length > 1 && local[1] != '/')
            return Anchor(root, local[1..]) ?? throw new FlywheelException($"$ref '{pointer}' leads nowhere");
        JsonNode? target = root;
        foreach (string part in local.Split('/').Skip(1))
        {
            string key = Uri.UnescapeDataString(part).Replace("~1", "/").Replace("~0", "~");
            target = target is JsonArray array && int.TryParse(key, out int index) && index >= 0 && index < array.Count
                ? array[index] : (target as JsonObject)?[key];
            if (target is null) throw new FlywheelException($"$ref '{pointer}' leads nowhere");
        }
        return target;

        static JsonNode? Anchor(JsonNode? node, string name) => node switch
        {
            JsonObject fields => fields["$anchor"] is JsonValue value && value.TryGetValue(out string? anchor) && anchor == name
                ? fields : fields.Select(field => Anchor(field.Value, name)).FirstOrDefault(found => found is not null),
            JsonArray items => items.Select(item => Anchor(item, name)).FirstOrDefault(found => found is not null),
            _ => null,
        };
    }

    /// <summary>The schema that both hold of; both are flat.</summary>
    public JsonObject Join(JsonObject a, JsonObject b, string path)
    {
        if (a.Count == 0) return b;
        if (b.Count == 0) return a;
        JsonObject joined = [];
        foreach (string key in a.Select(pair => pair.Key).Union(b.Select(pair => pair.Key)))
        {
            // below
            if (key is "properties" or "additionalProperties" or "patternProperties" or "items" or "prefixItems" or "additionalItems")
                continue;
            JsonNode? one = a[key], other = b[key];
            joined[key] = one is null ? other?.DeepClone() : other is null || JsonNode.DeepEquals(one, other) ? one.DeepClone() : key switch
            {
                "type" => Types(one, other, path),
                "enum" =>
                    new JsonArray(
                        [.. Array(one, path + "/enum", mayBeEmpty: true)
                            .Where(value => Array(other, path + "/enum", mayBeEmpty: true).Any(also => JsonNode.DeepEquals(value, also)))
                            .Select(value => value?.DeepClone())]),
                "required" =>
                    new JsonArray(
                        [.. Array(one, path + "/required", mayBeEmpty: true).Concat(Array(other, path + "/required", mayBeEmpty: true))
                            .Select(name => Text(name, path + "/required")).Distinct().Select(name => JsonValue.Create(name))]),
                "minLength" or "minItems" or "minProperties" or "minimum" or "exclusiveMinimum" =>
                    (Exact(one, path, key) > Exact(other, path, key) ? one : other).DeepClone(),
                "maxLength" or "maxItems" or "maxProperties" or "maximum" or "exclusiveMaximum" =>
                    (Exact(one, path, key) < Exact(other, path, key) ? one : other).DeepClone(),
                "propertyNames" => AllOf(one, other),
                "uniqueItems" => JsonValue.Create(true),
                "multipleOf" => CommonMultiple(one, other, path),
                "format" => one.DeepClone(), // an annotation, of which the first is as good as the other
                "not" => new JsonObject
                    { ["enum"] =
                        new JsonArray(
                            [.. Array(one["enum"], path).Concat(Array(other["enum"], path)).Select(value => value?.DeepClone())]) },
                "unevaluatedProperties" => JsonValue.Create(false),
                "anyOf" => Products(Array(one, path + "/anyOf"), Array(other, path + "/anyOf"), path),
                _ => throw new FlywheelException(
                    $"{path}: keyword '{key}' stands in several schemas that hold at once, which is not supported"),
            };
        }
        JoinProperties(a, b, joined, path);
        JoinItems(a, b, joined, path);
        return joined;
    }

    private static void JoinProperties(JsonObject a, JsonObject b, JsonObject joined, string path)
    {
        if ((a["patternProperties"] ?? b["patternProperties"]) is { } patterns)
        {
            JsonObject without = a.ContainsKey("patternProperties") ? b : a, with = without == a ? b : a;
            if (without.ContainsKey("patternProperties") || without.ContainsKey("additionalProperties")
                || with.ContainsKey("additionalProperties") && without.ContainsKey("properties"))
                throw new FlywheelException(
                    $"{path}: keyword 'patternProperties' stands in one of several schemas that hold at once, beside 'additionalProperties', which is not supported");
            joined["patternProperties"] = patterns.DeepClone();
        }
        var (mine, theirs) = (a["properties"] as JsonObject, b["properties"] as JsonObject);
        (JsonNode? others, JsonNode? theirOthers) = (a["additionalProperties"], b["additionalProperties"]);
        if (mine is not null || theirs is not null)
        {
            JsonObject properties = [];
            foreach (string name in (mine ?? []).Select(pair => pair.Key).Union((theirs ?? []).Select(pair => pair.Key)))
                properties[name] = AllOf(mine is not null && mine.TryGetPropertyValue(name, out JsonNode? own) ? own : others,
                    theirs is not null && theirs.TryGetPropertyValue(name, out JsonNode? also) ? also : theirOthers);
            joined["properties"] = properties;
        }
        if (others is not null || theirOthers is not null) joined["additionalProperties"] = AllOf(others, theirOthers);
    }

    private static void JoinItems(JsonObject a, JsonObject b, JsonObject joined, string path)
    {
        if (a["additionalItems"] is not null || b["additionalItems"] is not null || a["items"] is JsonArray || b["items"] is JsonArray)
            throw new FlywheelException($"{path}: lists of items by place are joined only as 'prefixItems'");
        JsonArray mine = a["prefixItems"] as JsonArray ?? [], theirs = b["prefixItems"] as JsonArray ?? [];
        if (mine.Count + theirs.Count > 0)
            joined["prefixItems"] =
                new JsonArray(
                    [.. Enumerable.Range(0, Math.Max(mine.Count, theirs.Count))
                        .Select(i => AllOf(i < mine.Count ? mine[i] : a["items"], i < theirs.Count ? theirs[i] : b["items"]))]);
        if (a["items"] is not null || b["items"] is not null) joined["items"] = AllOf(a["items"], b["items"]);
    }

    private static JsonNode AllOf(JsonNode? a, JsonNode? b) =>
        a is null || b is null || JsonNode.DeepEquals(a, b)
            ? (a ?? b ?? JsonValue.Create(true)).DeepClone() : new JsonObject { ["allOf"] = new JsonArray(a.DeepClone(), b.DeepClone()) };

    private static JsonArray Products(JsonArray a, JsonArray b, string path) => (long)a.Count * b.Count > MaxOptions
        ? throw new FlywheelException($"{path}: {a.Count} and {b.Count} options hold at once, expected at most {MaxOptions} combinations")
        : [.. a.SelectMany(_ => b, AllOf)];

    private static JsonArray Types(JsonNode a, JsonNode b, string path)
    {
        HashSet<string> mine = TypesOf(a, path), theirs = TypesOf(b, path);
        var both = mine.Where(theirs.Contains).ToHashSet();
        if (mine.Contains("integer") && theirs.Contains("number") || mine.Contains("number") && theirs.Contains("integer"))
            both.Add("integer");
        return [.. both.Select(type => JsonValue.Create(type))];
    }

    private static JsonNode CommonMultiple(JsonNode a, JsonNode b, string path)
    {
        (ExactNumber one, ExactNumber other) = (Exact(a, path, "multipleOf"), Exact(b, path, "multipleOf"));
        int scale = Math.Max(one.Scale, other.Scale);
        (BigInteger x, BigInteger y) = (one.Shift(scale).Unscaled, other.Shift(scale).Unscaled);
        if (x.Sign <= 0 || y.Sign <= 0)
            throw new FlywheelException($"{path}/multipleOf is {(x.Sign <= 0 ? a : b).ToJsonString()}, expected a number above 0");
        return JsonNode.Parse($"{x / BigInteger.GreatestCommonDivisor(x, y) * y}e-{scale}")!;
    }

    /// <summary>The type that a keyword speaks of.</summary>
    public static string? TypeOf(string keyword) => keyword switch
    {
        "properties" or "required" or "additionalProperties" or "unevaluatedProperties" or "patternProperties" or "propertyNames"
            or "minProperties" or "maxProperties" => "object",
        "items" or "prefixItems" or "additionalItems" or "minItems" or "maxItems" or "uniqueItems" => "array",
        "pattern" or "format" or "minLength" or "maxLength" => "string",
        "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum" or "multipleOf" => "number",
        _ => null,
    };

    public static HashSet<string> TypesOf(JsonNode? type, string path)
    {
        HashSet<string> types = [.. type is JsonArray many ? many.Select(one => Text(one, path + "/type")) : [Text(type, path + "/type")]];
        foreach (string name in types)
            if (name is not ("object" or "array" or "string" or "number" or "integer" or "boolean" or "null"))
                throw new FlywheelException($"{path}/type is '{name}', expected object, array, string, number, integer, boolean or null");
        if (types.Contains("number")) types.Remove("integer");
        return types;
    }

    /// <summary>Exactly one may fit; a grammar can only say "one of these", so no two may fit at once.</summary>
    private void RequireDisjoint(JsonArray options, string path)
    {
        if (options.Count > MaxOptions) throw new FlywheelException($"{path} has {options.Count} options, expected at most {MaxOptions}");
        JsonObject[] flat = [.. options.Select((option, i) => Flatten(option, $"{path}/{i}"))];
        for (int i = 0; i < flat.Length; i++)
            for (int j = 0; j < i; j++)
                if (!Excludes(flat[i], flat[j], path, 0) || !Excludes(flat[j], flat[i], path, 0))
                    throw new FlywheelException(
                        $"{path}: a value could fit options {j} and {i} at once, which oneOf forbids; use anyOf, or tell them apart by type or by a required property with const");
    }

    /// <summary>Whether nothing that is written for <paramref name="a"/> fits <paramref name="b"/>, as far as can be seen.</summary>
    private bool Excludes(JsonObject a, JsonObject b, string path, int depth)
    {
        if (a.ContainsKey("anyOf") || depth > 4) return false;
        HashSet<string>? mine = a["type"] is { } type ? TypesOf(type, path) : null,
            theirs = b["type"] is { } other ? TypesOf(other, path) : null;
        if (mine is not null && theirs is not null && !mine.Overlaps(theirs) && !(mine.Contains("integer") && theirs.Contains("number"))
            && !(mine.Contains("number") && theirs.Contains("integer"))) return true;
        if (a["enum"] is JsonArray values)
        {
            if (b["enum"] is JsonArray others) return !values.Any(value => others.Any(also => JsonNode.DeepEquals(value, also)));
            return theirs is not null && !values.Any(value => theirs.Any(name => IsOfType(value, name)));
        }
        if (b["enum"] is JsonArray only) return mine is not null && !only.Any(value => mine.Any(name => IsOfType(value, name)));
        if (mine is not { Count: 1 } || !mine.Contains("object") || theirs is not { Count: 1 } || !theirs.Contains("object")) return false;
        JsonObject? properties = a["properties"] as JsonObject, their = b["properties"] as JsonObject;
        HashSet<string> always = Names(a), needed = Names(b);
        bool closed = properties is not null && (a["additionalProperties"] is null || IsFalse(a["additionalProperties"]));
        return closed && needed.Any(name => !properties!.ContainsKey(name) && !always.Contains(name))
            || IsFalse(b["additionalProperties"]) && always.Any(name => their?.ContainsKey(name) != true)
            || always.Any(name => properties?[name] is { } own && their?[name] is { } also
                && Excludes(Flatten(own, path), Flatten(also, path), path, depth + 1));

        static HashSet<string> Names(JsonObject schema) =>
            [.. (schema["required"] as JsonArray ?? []).Select(name =>
                name is JsonValue value && value.TryGetValue(out string? text) ? text : "")];
    }

    public static bool IsFalse(JsonNode? node) => node is JsonValue value && value.TryGetValue(out bool flag) && !flag;

    public static bool IsOfType(JsonNode? value, string type) => (value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        JsonValueKind.Number => type == "number"
            || type == "integer" && ExactNumber.TryParse(value!.ToJsonString(), out ExactNumber number) && number.IsInteger,
        JsonValueKind.Null => type == "null",
        _ => type == "boolean",
    };

    public static JsonArray Array(JsonNode? node, string path, bool mayBeEmpty = false) =>
        node is JsonArray array && (mayBeEmpty || array.Count > 0)
            ? array : throw new FlywheelException(
                $"{path} is {node?.ToJsonString() ?? "null"}, expected an array{(mayBeEmpty ? "" : " that is not empty")}");

    public static string Text(JsonNode? node, string path) =>
        node is JsonValue value && value.TryGetValue(out string? text)
            ? text : throw new FlywheelException($"{path} is {node?.ToJsonString() ?? "null"}, expected a text");

    public static ExactNumber Exact(JsonNode? node, string path, string key) =>
        node is JsonValue && node.GetValueKind() == JsonValueKind.Number
            && ExactNumber.TryParse(node.ToJsonString(), out ExactNumber number) ? number
            : throw new FlywheelException($"{path}/{key} is {node?.ToJsonString() ?? "null"}, expected a number");
}
