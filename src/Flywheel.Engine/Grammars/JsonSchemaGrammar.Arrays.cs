using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>Arrays.</summary>
internal sealed partial class JsonSchemaGrammar
{
    /// <summary>Different values that may come in any order: each set of them is a rule.</summary>
    private const int MaxFreeValues = 8;

    private string Array(JsonObject schema, string path)
    {
        int least = Count(schema, "minItems", path) ?? 0;
        int? most = Count(schema, "maxItems", path);
        // Drafts before 2020-12 write prefixItems as items, and items as additionalItems.
        bool old = schema["items"] is JsonArray;
        JsonArray prefix = (old ? schema["items"] : schema["prefixItems"]) is { } places
            ? SchemaMerge.Array(places, $"{path}/{(old ? "items" : "prefixItems")}") : [];
        JsonNode? others = old ? schema["additionalItems"] : schema["items"];
        if (SchemaMerge.IsFalse(others)) (others, most) = (null, Math.Min(most ?? int.MaxValue, prefix.Count));
        bool unique = schema["uniqueItems"] is JsonValue flag && flag.TryGetValue(out bool only) && only;
        if (most < least) return "nothing";
        if (most == 0) return Rule("\"[\" ws \"]\"");
        if (unique && most is not 1) return Unique(prefix, others, least, most, path);
        string rest = "\"\"";
        if (most is null || most > prefix.Count)
        {
            string item = Visit(others ?? JsonValue.Create(true), path + "/items");
            (int fewest, int? left) = (Math.Max(0, least - prefix.Count), most - prefix.Count);
            rest = prefix.Count > 0
                ? Rule($"(ws \",\" ws {item}){{{fewest},{left}}}") : Rule(
                    $"{item} (ws \",\" ws {item}){{{Math.Max(0, fewest - 1)},{left - 1}}}{(fewest == 0 ? " | \"\"" : "")}");
        }
        for (int i = Math.Min(prefix.Count, most ?? int.MaxValue) - 1; i >= 0; i--)
            rest = Rule(
                $"{(i == 0 ? "" : "ws \",\" ws ")}{Visit(prefix[i], $"{path}/prefixItems/{i}")} {rest}{(i >= least ? " | \"\"" : "")}");
        return Rule($"\"[\" ws {rest} ws \"]\"");
    }

    /// <summary>
    /// Items that are all different, where they are of few values: in any order of up to eight values, in the schema's order
    /// of more.
    /// </summary>
    private string Unique(JsonArray prefix, JsonNode? others, int least, int? most, string path)
    {
        if (prefix.Count > 0 || FiniteValues(others, path + "/items") is not { } values)
            throw new FlywheelException(
                $"{path}: keyword 'uniqueItems' is supported only for items of listed values (enum, const, boolean, null)");
        string[] literals = [.. values.Select(value => Literal(Compact(value)))];
        int n = literals.Length, last = Math.Min(most ?? n, n);
        if (least > last) return "nothing";
        return Rule($"\"[\" ws {(n <= MaxFreeValues ? AnyOrder(0) : InOrder())} ws \"]\"");

        // A rule for what may follow each set of values that stand there already.
        string AnyOrder(int used)
        {
            var known = new string?[1 << n];
            return After(used);

            string After(int set)
            {
                if (known[set] is { } rule) return rule;
                int count = System.Numerics.BitOperations.PopCount((uint)set);
                List<string> options = count >= least ? ["\"\""] : [];
                for (int i = 0; i < n && count < last; i++)
                    if ((set >> i & 1) == 0) options.Add($"{(count == 0 ? "" : "ws \",\" ws ")}{literals[i]} {After(set | 1 << i)}");
                return known[set] = Rule(Choice(options));
            }
        }

        // A rule for what may follow each value, by how many stand there already as far as that is bounded.
        string InOrder()
        {
            int counted = last < n ? last : Math.Max(1, least);
            if ((long)n * counted > MaxRules / 4)
                throw new FlywheelException(
                    $"{path}: keyword 'uniqueItems' with {n} values and such bounds is not supported; leave the bounds out");
            // after the last value
            string[] next = [.. Enumerable.Range(0, counted + 1).Select(count => count >= least ? "\"\"" : "nothing")];
            for (int i = n - 1; i >= 0; i--)
            {
                string[] here = new string[counted + 1];
                for (int count = 0; count <= counted; count++)
                    here[count] = count == counted && last < n ? next[count]
                        : Rule($"{(count == 0 ? "" : "ws \",\" ws ")}{literals[i]} {next[Math.Min(count + 1, counted)]} | {next[count]}");
                next = here;
            }
            return next[0];
        }
    }

    /// <summary>All values that fit a schema, where it lists them.</summary>
    private List<JsonNode?>? FiniteValues(JsonNode? schema, string path)
    {
        if (schema is null) return null;
        JsonObject flat = _merge.Flatten(schema, path);
        if (flat.ContainsKey("anyOf")) return null;
        var values = new List<JsonNode?>();
        IEnumerable<JsonNode?>? listed = flat["enum"] is { } given ? Fitting(given, flat, path)
            : flat["type"] is { } type && SchemaMerge.TypesOf(type, path) is var types && types.All(name => name is "boolean" or "null")
                ? [.. types.Contains("boolean") ? new JsonNode?[] { true, false } : [],
                    .. types.Contains("null") ? new JsonNode?[] { null } : []]
                : null;
        if (listed is null) return null;
        foreach (JsonNode? value in listed)
            if (!values.Any(other => JsonNode.DeepEquals(value, other))) values.Add(value);
        return values;
    }
}
