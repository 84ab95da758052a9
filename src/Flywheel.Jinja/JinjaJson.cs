using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Jinja;

/// <summary>JSON into the values of a template, and out again as Python's json.dumps writes it.</summary>
public static class JinjaJson
{
    public static object? Read(JsonNode? node) => node switch
    {
        null => null,
        JsonArray array => new List<object?>(array.Select(Read)),
        JsonObject fields => ReadObject(fields),
        _ => node.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.String => node.GetValue<string>(),
            JsonValueKind.Number => ReadNumber(node.ToJsonString()),
            _ => null,
        },
    };

    /// <summary>As Python's json: what has neither point nor exponent is an integer, however long.</summary>
    private static object ReadNumber(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) ? whole
        : BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out BigInteger big) ? big
        : double.Parse(text, CultureInfo.InvariantCulture);

    private static JinjaDict ReadObject(JsonObject fields)
    {
        var dictionary = new JinjaDict();
        foreach ((string name, JsonNode? value) in fields) dictionary[name] = Read(value);
        return dictionary;
    }

    /// <summary>About Python's limit of recursion; how deep a stack goes is another thing on each machine.</summary>
    private const int MaxDepth = 1000;

    /// <param name="value">A value of a template.</param>
    /// <param name="asciiOnly">Characters beyond ASCII are escaped.</param>
    /// <param name="indent">What each level is indented with; null for one line.</param>
    /// <param name="itemSeparator">Null for Python's: a comma and, on one line, a space.</param>
    /// <param name="keySeparator">Between name and value.</param>
    /// <param name="sortKeys">Names in order.</param>
    internal static string Write(object? value, bool asciiOnly, string? indent, string? itemSeparator, string keySeparator, bool sortKeys)
    {
        var result = new StringBuilder();
        int depth = 0;
        Add(value, "\n");
        return result.ToString();

        void Add(object? item, string line)
        {
            JinjaRun.Step();
            switch (item)
            {
                case null:
                    result.Append("null");
                    break;
                case bool flag:
                    result.Append(flag ? "true" : "false");
                    break;
                case string text:
                    Quote(text);
                    break;
                case long or BigInteger:
                    result.Append(PythonNumber.Text(PythonNumber.Big(item)));
                    break;
                case double number:
                    result.Append(double.IsFinite(number) ? PythonText.Float(number) : double.IsNaN(number) ? "NaN" : number > 0
                        ? "Infinity" : "-Infinity");
                    break;
                case List<object?> list and not JinjaView:
                    Nested('[', ']', list.Count, line, (i, inner) => Add(list[i], inner));
                    break;
                case JinjaDict dictionary:
                    KeyValuePair<object, object?>[] entries = [.. dictionary];
                    if (sortKeys) entries = [.. JinjaFilters.Ordered(entries, entry => entry.Key, reverse: false)];
                    Nested('{', '}', entries.Length, line, (i, inner) =>
                    {
                        if (entries[i].Key is JinjaTuple) throw new TemplateError("tojson(): a tuple is the name of a field");
                        Quote(entries[i].Key is bool flag ? (flag ? "true" : "false") : JinjaValue.Text(entries[i].Key));
                        result.Append(keySeparator);
                        Add(entries[i].Value, inner);
                    });
                    break;
                default:
                    throw new TemplateError($"tojson(): {JinjaValue.KindOf(item)} is no JSON");
            }
        }

        void Nested(char open, char close, int count, string line, Action<int, string> add)
        {
            if (++depth > MaxDepth) throw new TemplateError("tojson(): nested too deep");
            result.Append(open);
            string inner = indent is null ? "" : line + indent;
            for (int i = 0; i < count; i++)
            {
                if (i > 0) result.Append(itemSeparator ?? (indent is null ? ", " : ","));
                JinjaRun.Make(inner.Length + 2);
                result.Append(inner);
                add(i, inner);
            }
            if (count > 0 && indent is not null) result.Append(line);
            result.Append(close);
            depth--;
        }

        void Quote(string text)
        {
            JinjaRun.Make(text.Length * (asciiOnly ? 6L : 1L));
            result.Append('"');
            foreach (char c in text)
                switch (c)
                {
                    case '"' or '\\':
                        result.Append('\\').Append(c);
                        break;
                    case '\n':
                        result.Append("\\n");
                        break;
                    case '\r':
                        result.Append("\\r");
                        break;
                    case '\t':
                        result.Append("\\t");
                        break;
                    case '\b':
                        result.Append("\\b");
                        break;
                    case '\f':
                        result.Append("\\f");
                        break;
                    default:
                        if (c < ' ' || (asciiOnly && c > '~')) result.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                        else result.Append(c);
                        break;
                }
            result.Append('"');
        }
    }
}
