using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>Objects.</summary>
internal sealed partial class JsonSchemaGrammar
{
    /// <summary>
    /// Properties in their order, optional ones skipped freely: a rule for the rest after each number of properties so far,
    /// as far as that matters: for the comma, and where their number is bounded.
    /// </summary>
    private string Object(JsonObject schema, string path)
    {
        JsonObject properties = Fields(schema, "properties", path), patterns = Fields(schema, "patternProperties", path);
        string[] required =
            [.. SchemaMerge.Array(schema["required"] ?? new JsonArray(), path + "/required", mayBeEmpty: true)
                .Select(name => SchemaMerge.Text(name, path + "/required"))];
        JsonNode? additional = schema["additionalProperties"];
        if (schema["unevaluatedProperties"] is { } unevaluated)
        {
            if (!SchemaMerge.IsFalse(unevaluated))
                throw new FlywheelException($"{path}: keyword 'unevaluatedProperties' is supported only as false");
            additional = JsonValue.Create(false);
        }
        int least = Count(schema, "minProperties", path) ?? 0;
        int? most = Count(schema, "maxProperties", path);

        List<(string Name, string Rule, bool Required)> members =
            [.. properties.Select(property => (property.Key,
                Visit(AlsoOfPatterns(property.Key, property.Value), $"{path}/properties/{property.Key}"),
                required.Contains(property.Key)))];
        foreach (string name in required.Distinct().Where(name => !properties.ContainsKey(name)))
            members.Add((name, Visit(AlsoOfPatterns(name, Matching(name).Any() ? null : additional), path + "/additionalProperties"),
                true));
        // What declares properties has no others by itself; to say only which are not there is no declaration.
        bool declares = schema["properties"] is not null
            && (properties.Count == 0 || properties.Any(property => !SchemaMerge.IsFalse(property.Value)));
        bool open = patterns.Count > 0 || !SchemaMerge.IsFalse(additional) && (additional is not null || !declares);
        if (open && members.Count == 0 && additional is null or JsonValue && least == 0 && most is null && schema["propertyNames"] is null
            && patterns.Count == 0) return "object";

        string others = "nothing";
        if (open)
        {
            if (least > Math.Max(1, required.Length))
                throw new FlywheelException(
                    $"{path}/minProperties is {least}: names of additional properties could repeat, so that at most 1 is supported");
            string name = "string";
            if (patterns.Count > 0 && schema["propertyNames"] is not null)
                throw new FlywheelException($"{path}: keyword 'propertyNames' is supported only without 'patternProperties'");
            if (patterns.Count > 0 && additional is not null && !SchemaMerge.IsFalse(additional))
                throw new FlywheelException(
                    $"{path}: keyword 'patternProperties' is supported only without 'additionalProperties', or with false");
            if (schema["propertyNames"] is { } names)
            {
                if (members.Count > 0)
                    throw new FlywheelException($"{path}: keyword 'propertyNames' is supported only without declared properties");
                name = Visit(new JsonObject { ["allOf"] = new JsonArray(names.DeepClone(), new JsonObject { ["type"] = "string" }) },
                    path + "/propertyNames");
            }
            else if (members.Count > 0) name = OtherNames([.. members.Select(member => member.Name)]);
            others = patterns.Count > 0 ? OfPatterns(patterns, [.. members.Select(member => member.Name)], path + "/patternProperties")
                : Rule($"{name} ws \":\" ws {Visit(additional ?? JsonValue.Create(true), path + "/additionalProperties")}");
        }
        else if (schema["propertyNames"] is not null)
            throw new FlywheelException($"{path}: keyword 'propertyNames' is supported only without declared properties");

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

        IEnumerable<KeyValuePair<string, JsonNode?>> Matching(string name) =>
            patterns.Where(pattern => SchemaValues.Matches(pattern.Key, name, path + "/patternProperties"));

        JsonNode AlsoOfPatterns(string name, JsonNode? own)
        {
            JsonNode?[] all = [own ?? JsonValue.Create(true), .. Matching(name).Select(pattern => pattern.Value)];
            return all.Length == 1 ? all[0]! : new JsonObject { ["allOf"] = new JsonArray([.. all.Select(one => one?.DeepClone())]) };
        }

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
            options.AddRange(groups.Where(group => group.Key.Value is >= 0x20 and not ('"' or '\\'))
                .Select(group => $"\"\\U{group.Key.Value:X8}\" {From([.. group], at + 1)}"));
            if (!left.Any(name => Runes(name).Length == at)) options.Add("\"\"");
            return Rule(string.Join(" | ", options));
        }
    }

    /// <summary>Properties whose names match patterns: no name matches two of them, or is that of a declared property.</summary>
    private string OfPatterns(JsonObject patterns, string[] declared, string path)
    {
        string[] beginnings = [.. patterns.Select(pattern => JsonPatternGrammar.Beginning(pattern.Key))];
        foreach ((string pattern, int i) in patterns.Select((pair, i) => (pair.Key, i)))
        {
            if (declared.FirstOrDefault(name => SchemaValues.Matches(pattern, name, path)) is { } twice)
                throw new FlywheelException(
                    $"{path}: the declared property '{twice}' matches '{pattern}', so that its name could repeat, which is not supported");
            for (int j = 0; j < i; j++)
                if (beginnings[i].StartsWith(beginnings[j], StringComparison.Ordinal)
                    || beginnings[j].StartsWith(beginnings[i], StringComparison.Ordinal))
                    throw new FlywheelException(
                        $"{path}: a name could match '{patterns.GetAt(j).Key}' and '{pattern}' at once, which is not supported; let them begin differently (^a_, ^b_)");
        }
        return Rule(string.Join(" | ", patterns.Select(pattern =>
            $"\"\\\"\" {JsonPatternGrammar.Convert(pattern.Key, 0, null, path)} \"\\\"\" ws \":\" ws {Visit(pattern.Value, $"{path}/{pattern.Key}")}")));
    }

    private static JsonObject Fields(JsonObject schema, string key, string path) => schema[key] switch
    {
        null => [],
        JsonObject fields => fields,
        var other => throw new FlywheelException($"{path}/{key} is {other.ToJsonString()}, expected an object"),
    };
}
