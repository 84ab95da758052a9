using System.Globalization;
using System.Numerics;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>Global functions, and what can be reached from a value: items, slices, fields.</summary>
internal static class JinjaFunctions
{
    private const long MaxRange = 100_000; // Jinja's own, of its sandbox

    public static bool IsGlobal(string name) =>
        name is "range" or "namespace" or "dict" or "raise_exception" or "strftime_now" or "cycler" or "joiner";

    /// <summary>A global function; null when there is none of that name.</summary>
    public static Callable? Global(string name, JinjaRun run) => name switch
    {
        "range" => new(name, Range),
        "namespace" => new(name, MakeNamespace),
        "dict" => new(name, MakeDict),
        "raise_exception" =>
            new(name, arguments => throw new TemplateError(JinjaValue.Text(arguments.Check("message").Require(0, "message")))),
        "strftime_now" when run.Now is { } now =>
            new(name, arguments => PythonTime.Format(arguments.Check("format").Text(0, "format"), now)),
        "cycler" => new(name, arguments => Cycler(arguments.Positional)),
        "joiner" => new(name, arguments => Joiner(JinjaValue.Text(arguments.Check("sep").Get(0, "sep", ", ")))),
        _ => null,
    };

    /// <summary>What a loop runs over. Of a mapping, its keys; of a text, its characters; of what is undefined, nothing.</summary>
    public static List<object?> Items(object? value)
    {
        List<object?> items = value switch
        {
            List<object?> list => list,
            JinjaGenerator generator => generator.Rest(),
            JinjaDict dictionary => [.. dictionary.Keys],
            string text => [.. PythonText.Characters(text)],
            Undefined => [],
            _ => throw new TemplateError($"{JinjaValue.KindOf(value)} has no items"),
        };
        JinjaRun.Step(items.Count);
        return items;
    }

    public static long Length(object? value) => value switch
    {
        string text => PythonText.Length(text),
        List<object?> list => list.Count,
        JinjaDict dictionary => dictionary.Count,
        Undefined => 0,
        _ => throw new TemplateError($"{JinjaValue.KindOf(value)} has no length"),
    };

    public static bool Contains(object? container, object? item)
    {
        switch (container)
        {
            case string text:
                JinjaRun.Step(text.Length / 64);
                return item is string part
                    ? text.Contains(part, StringComparison.Ordinal) : throw new TemplateError(
                        $"{JinjaValue.KindOf(item)} cannot be in a text");
            case JinjaDict dictionary:
                return JinjaDict.IsKey(item) ? dictionary.ContainsKey(item!) : JinjaDict.IsHashable(item)
                    ? false : throw new TemplateError($"{JinjaValue.KindOf(item)} is looked up in a mapping");
            case JinjaGenerator generator:
                while (generator.TryNext(out object? next))
                    if (JinjaValue.Equal(next, item)) return true;
                return false;
            default:
                return Items(container).Exists(other => JinjaValue.Equal(other, item));
        }
    }

    /// <summary><c>value[key]</c>: an item, and failing that a field.</summary>
    public static object? Item(object? value, object? key)
    {
        if (value is Undefined undefined) throw new TemplateError($"'{undefined.Name}' is undefined");
        if (value is JinjaDict dictionary && JinjaDict.IsKey(key) && dictionary.TryGetValue(key!, out object? found)) return found;
        if (key is bool flag) key = flag ? 1L : 0L;
        if (key is long index && value is string or List<object?> and not JinjaView { IsRange: false })
        {
            long count = Length(value), at = index < 0 ? index + count : index;
            if (at < 0 || at >= count) return new Undefined($"item {key}");
            return value is List<object?> list ? list[(int)at] : PythonText.Character((string)value, (int)at);
        }
        return key is string field ? Attribute(value, field, itemsToo: false) : new Undefined($"item {JinjaValue.Text(key)}");
    }

    /// <summary><c>value.name</c>: a method or field of the kind of value, and failing that an item.</summary>
    public static object? Attribute(object? value, string name, bool itemsToo = true)
    {
        object? field = value switch
        {
            Undefined undefined => throw new TemplateError($"'{undefined.Name}' is undefined"),
            LoopState loop => loop.Field(name),
            JinjaNamespace names => names.Fields.TryGetValue(name, out object? set) ? set ?? Nothing : null,
            JinjaDict dictionary => JinjaMethods.OfDictionary(dictionary, name),
            JinjaGroup group when name is "grouper" or "list" => (name == "list" ? group[1] : group[0]) ?? Nothing,
            JinjaView => null,
            List<object?> list => JinjaMethods.OfList(list, name),
            string text => JinjaMethods.OfText(text, name),
            _ => null,
        };
        if (field is not null) return field == Nothing ? null : field;
        return itemsToo && value is JinjaDict entries && entries.TryGetValue(name, out object? item) ? item : new Undefined(name);
    }

    private static readonly object Nothing = new();

    public static object? Slice(object? value, object? start, object? stop, object? step)
    {
        if (value is Undefined undefined) throw new TemplateError($"'{undefined.Name}' is undefined");
        if (value is not (string or List<object?>) or JinjaView { IsRange: false })
            throw new TemplateError($"{JinjaValue.KindOf(value)} cannot be sliced");
        long by = step is null ? 1 : Bound(step);
        if (by == 0) throw new TemplateError("a slice's step is zero");
        List<object?> items = Items(value);
        long count = items.Count;
        long first = start is null ? (by > 0 ? 0 : count - 1) : Clamp(Bound(start));
        long end = stop is null ? (by > 0 ? count : -1) : Clamp(Bound(stop));
        var result = new List<object?>();
        for (long i = first; by > 0 ? i < end : i > end; i += by)
        {
            result.Add(items[(int)i]);
            if (by > count || by < -count) break;
        }
        return value is List<object?> from ? JinjaValue.Like(from, result) : JinjaRun.Made(string.Concat(result));

        long Clamp(long at)
        {
            if (at < 0) at = Math.Max(at, -count - 1) + count;
            return by > 0 ? Math.Clamp(at, 0, count) : Math.Clamp(at, -1, count - 1);
        }

        static long Bound(object? bound) => bound switch
        {
            long number => Math.Clamp(number, int.MinValue, int.MaxValue),
            BigInteger number => number.Sign > 0 ? int.MaxValue : int.MinValue,
            bool flag => flag ? 1 : 0,
            _ => throw new TemplateError($"a slice from {JinjaValue.KindOf(bound)}"),
        };
    }

    /// <summary>Python's isupper() and islower(): there is a letter with case, and none of the other.</summary>
    public static bool IsCased(string text, bool upper)
    {
        bool found = false;
        foreach (Rune c in text.EnumerateRunes())
        {
            if (upper ? Rune.IsLower(c) : Rune.IsUpper(c)) return false;
            if (Rune.GetUnicodeCategory(c) == UnicodeCategory.TitlecaseLetter) return false;
            found |= upper ? Rune.IsUpper(c) : Rune.IsLower(c);
        }
        return found;
    }

    private static JinjaView Range(Arguments arguments)
    {
        arguments.Check("start", "stop", "step");
        long first = arguments.Integer(0, "start", 0);
        bool single = arguments.Positional.Count < 2;
        long start = single ? 0 : first, stop = single ? first : arguments.Integer(1, "stop", 0), step = arguments.Integer(2, "step", 1);
        if (step == 0) throw new TemplateError("range(): the step is zero");
        double count = Math.Ceiling(((double)stop - start) / step);
        if (count > MaxRange) throw new TemplateError($"range() of {count} numbers, expected at most {MaxRange}");
        var numbers = new List<object?>();
        JinjaRun.Step((int)Math.Max(0, count));
        for (long i = 0; i < count; i++) numbers.Add(start + i * step);
        return new JinjaView($"range({start}, {stop}{(step == 1 ? "" : $", {step}")})", numbers, isRange: true);
    }

    private static JinjaNamespace MakeNamespace(Arguments arguments)
    {
        var result = new JinjaNamespace();
        foreach ((object name, object? value) in MakeDict(arguments)) result.Fields[name] = value;
        return result;
    }

    private static JinjaDict MakeDict(Arguments arguments)
    {
        var result = new JinjaDict();
        foreach (object? part in arguments.Positional)
            foreach ((object name, object? value) in part as JinjaDict
                ?? throw new TemplateError($"dict() of {JinjaValue.KindOf(part)}")) result[name] = value;
        foreach ((string name, object? value) in arguments.Named) result[name] = value;
        return result;
    }

    private static JinjaNamespace Cycler(List<object?> items)
    {
        if (items.Count == 0) throw new TemplateError("cycler() needs a value");
        int at = 0;
        var cycler = new JinjaNamespace();
        cycler.Fields["next"] = new Callable("cycler.next", _ =>
        {
            object? item = items[at];
            at = (at + 1) % items.Count;
            cycler.Fields["current"] = items[at];
            return item;
        });
        cycler.Fields["reset"] = new Callable("cycler.reset", _ =>
        {
            at = 0;
            cycler.Fields["current"] = items[0];
            return null;
        });
        cycler.Fields["current"] = items[0];
        return cycler;
    }

    private static Callable Joiner(string separator)
    {
        bool used = false;
        return new Callable("joiner", _ =>
        {
            string text = used ? separator : "";
            used = true;
            return text;
        });
    }
}
