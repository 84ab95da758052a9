using System.Globalization;
using System.Numerics;

namespace Flywheel.Jinja;

/// <summary>What may stand after a bar.</summary>
internal static partial class JinjaFilters
{
    public static Dictionary<string, Func<object?, Arguments, object?>> All { get; } = new(StringComparer.Ordinal)
    {
        ["abs"] = (value, _) => value switch { double number => (object)Math.Abs(number),
            long or bool or BigInteger => PythonNumber.Integer(BigInteger.Abs(PythonNumber.Big(value))),
            _ => throw new TemplateError($"abs of {JinjaValue.KindOf(value)}") },
        ["attr"] = (value, arguments) => JinjaFunctions.Attribute(value, arguments.Check("name").Text(0, "name"), itemsToo: false),
        ["batch"] = (value, arguments) => new JinjaGenerator(Batch(value, arguments)),
        ["capitalize"] = Text(PythonText.Capitalize),
        ["center"] = (value, arguments) => PythonText.Center(JinjaValue.Text(value), arguments.Check("width").Integer(0, "width", 80), ' '),
        ["count"] = (value, _) => JinjaFunctions.Length(value),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = DictSort,
        ["e"] = Text(Escape),
        ["escape"] = Text(Escape),
        ["filesizeformat"] = FileSize,
        ["first"] = (value, _) => First(value),
        ["float"] = (value, arguments) => value switch
        {
            _ when PythonNumber.IsNumber(value) => PythonNumber.Real(value),
            string text when PythonNumber.ParseReal(text) is { } number => number,
            Undefined undefined => throw new TemplateError($"'{undefined.Name}' is undefined"),
            _ => arguments.Check("default").Get(0, "default", 0.0),
        },
        ["forceescape"] = Text(Escape),
        ["format"] = (value, arguments) => PythonFormat.Percent(JinjaValue.Text(value), FormatValues(arguments)),
        ["groupby"] = GroupBy,
        ["indent"] = Indent,
        ["int"] = Int,
        ["items"] = (value, arguments) => value is Undefined ? new JinjaGenerator([]) : value is JinjaDict dictionary
            ? JinjaMethods.OfDictionary(dictionary, "items")!.Call(new Arguments("items", arguments.Run, [], [])) : throw new TemplateError(
                $"items of {JinjaValue.KindOf(value)}"),
        ["join"] = Join,
        ["last"] = (value, _) => value is JinjaGenerator
            ? throw new TemplateError("last of a generator, which has no end to begin at") : JinjaFunctions.Items(value) is [.., var last]
            ? last : new Undefined("the last of nothing"),
        ["length"] = (value, _) => JinjaFunctions.Length(value),
        ["list"] = (value, _) => new List<object?>(JinjaFunctions.Items(value)),
        ["lower"] = Text(PythonText.Lower),
        ["map"] = (value, arguments) => new JinjaGenerator(JinjaValue.IsTrue(value) ? Map(value, arguments) : []),
        ["max"] = (value, arguments) => Extreme(value, arguments, 1),
        ["min"] = (value, arguments) => Extreme(value, arguments, -1),
        ["reject"] = (value, arguments) => Selected(value, arguments, ofAttribute: false, keep: false),
        ["rejectattr"] = (value, arguments) => Selected(value, arguments, ofAttribute: true, keep: false),
        ["replace"] =
            (value, arguments) =>
                PythonText.Replace(JinjaValue.Text(value), JinjaValue.Text(arguments.Check("old", "new", "count").Require(0, "old")),
                    JinjaValue.Text(arguments.Require(1, "new")),
                    arguments.Get(2, "count") is null ? -1 : arguments.Integer(2, "count", -1)),
        ["reverse"] = (value, _) => value is string text
            ? JinjaRun.Made(string.Concat(PythonText.Characters(text).Reverse())) : new JinjaGenerator(
                [.. Enumerable.Reverse(JinjaFunctions.Items(value))]),
        ["round"] = Round,
        ["safe"] = (value, _) => value is Undefined ? "" : value,
        ["select"] = (value, arguments) => Selected(value, arguments, ofAttribute: false, keep: true),
        ["selectattr"] = (value, arguments) => Selected(value, arguments, ofAttribute: true, keep: true),
        ["slice"] = (value, arguments) => new JinjaGenerator(Slices(value, arguments)),
        ["sort"] = Sort,
        ["string"] = (value, _) => JinjaRun.Made(JinjaValue.Text(value)),
        ["sum"] = Sum,
        ["title"] = Text(TitleWords),
        ["tojson"] = ToJson,
        ["trim"] =
            (value, arguments) =>
                PythonText.Strip(JinjaValue.Text(value),
                    arguments.Check("chars").Get(0, "chars") is null ? null : arguments.Text(0, "chars"), left: true, right: true),
        ["truncate"] = Truncate,
        ["unique"] = (value, arguments) => new JinjaGenerator(Unique(value, arguments)),
        ["upper"] = Text(PythonText.Upper),
        ["urlencode"] = UrlEncode,
        ["wordcount"] = (value, _) => (long)Words().Count(JinjaValue.Text(value)),
        ["xmlattr"] = XmlAttributes,
    };

    private static Func<object?, Arguments, object?> Text(Func<string, string> change) =>
        (value, arguments) => arguments.Check() is null ? null : JinjaRun.Made(change(JinjaValue.Text(value)));

    private static object? Default(object? value, Arguments arguments) =>
        value is Undefined
            || (JinjaValue.IsTrue(arguments.Check("default_value", "boolean").Get(1, "boolean", false)) && !JinjaValue.IsTrue(value))
            ? arguments.Get(0, "default_value", "") : value;

    private static object? First(object? value)
    {
        if (value is JinjaGenerator generator) return generator.TryNext(out object? next) ? next : new Undefined("the first of nothing");
        return JinjaFunctions.Items(value) is [var first, ..] ? first : new Undefined("the first of nothing");
    }

    private static object FormatValues(Arguments arguments)
    {
        if (arguments.Named.Count == 0) return new JinjaTuple(arguments.Positional);
        if (arguments.Positional.Count > 0) throw new TemplateError("format(): values with and without names");
        var named = new JinjaDict();
        foreach ((string name, object? value) in arguments.Named) named[name] = value;
        return named;
    }

    private static object? Sum(object? value, Arguments arguments)
    {
        object? sum = arguments.Check("attribute", "start").Get(1, "start", 0L);
        if (sum is string) throw new TemplateError("sum() of texts, which join() joins");
        foreach (object? item in JinjaFunctions.Items(value))
            sum = JinjaArithmetic.Apply("+", sum, Field(arguments.Get(0, "attribute"), item));
        return sum;
    }

    private static List<object?> Batch(object? value, Arguments arguments)
    {
        long size = arguments.Check("linecount", "fill_with").Integer(0, "linecount", 1);
        if (size < 1) throw new TemplateError("batch(): 'linecount' is below 1");
        List<object?> batches =
            [.. JinjaFunctions.Items(value).Chunk((int)Math.Min(size, int.MaxValue)).Select(batch => (object?)new List<object?>(batch))];
        if (arguments.Get(1, "fill_with") is { } fill && batches is [.., List<object?> last])
        {
            JinjaRun.Step((int)Math.Min(int.MaxValue / 2, size));
            while (last.Count < size) last.Add(fill);
        }
        return batches;
    }

    /// <summary>So many lists, the first ones an item longer where it does not divide evenly.</summary>
    private static List<object?> Slices(object? value, Arguments arguments)
    {
        List<object?> items = JinjaFunctions.Items(value);
        long count = arguments.Check("slices", "fill_with").Integer(0, "slices", 0);
        if (count == 0) throw new TemplateError("slice(): 'slices' is zero");
        object? fill = arguments.Get(1, "fill_with");
        JinjaRun.Step((int)Math.Clamp(count, 0, int.MaxValue / 2));
        var slices = new List<object?>();
        int start = 0;
        for (long i = 0; i < count; i++)
        {
            bool isLonger = i < items.Count % count;
            int length = (int)(items.Count / count) + (isLonger ? 1 : 0);
            List<object?> slice = items.GetRange(start, length);
            if (fill is not null && !isLonger) slice.Add(fill);
            slices.Add(slice);
            start += length;
        }
        return slices;
    }

    private static List<object?> GroupBy(object? value, Arguments arguments)
    {
        arguments.Check("attribute", "default", "case_sensitive");
        object? attribute = arguments.Require(0, "attribute"), absent = arguments.Get(1, "default");
        bool exact = JinjaValue.IsTrue(arguments.Get(2, "case_sensitive", false));
        object? Key(object? item) => Field(attribute, item, absent);
        var groups = new List<object?>();
        object? last = null;
        foreach (object? item in Ordered(JinjaFunctions.Items(value), item => Folded(Key(item), exact), reverse: false))
        {
            object? key = Folded(Key(item), exact);
            if (groups.Count == 0 || !JinjaValue.Equal(key, last)) groups.Add(new JinjaGroup(Key(item), []));
            ((List<object?>)((JinjaGroup)groups[^1]!)[1]!).Add(item);
            last = key;
        }
        return groups;
    }

    private static List<object?> DictSort(object? value, Arguments arguments)
    {
        arguments.Check("case_sensitive", "by", "reverse");
        bool exact = JinjaValue.IsTrue(arguments.Get(0, "case_sensitive", false));
        int by = arguments.Get(1, "by", "key") switch { "key" => 0, "value" => 1,
            var other => throw new TemplateError($"dictsort(): 'by' is {JinjaValue.Text(other)}, expected key or value") };
        if (value is not JinjaDict dictionary) throw new TemplateError($"dictsort of {JinjaValue.KindOf(value)}");
        List<object?> pairs = [.. dictionary.Select(entry => (object?)new JinjaTuple([entry.Key, entry.Value]))];
        return Ordered(pairs, pair => Folded(((List<object?>)pair!)[by], exact), JinjaValue.IsTrue(arguments.Get(2, "reverse", false)));
    }

    private static List<object?> Sort(object? value, Arguments arguments)
    {
        arguments.Check("reverse", "case_sensitive", "attribute");
        bool exact = JinjaValue.IsTrue(arguments.Get(1, "case_sensitive", false));
        // Several attributes, with commas between them, decide one after the other.
        object?[] attributes = arguments.Get(2, "attribute") is string names ? [.. names.Split(',')] : [arguments.Get(2, "attribute")];
        return Ordered(JinjaFunctions.Items(value),
            item => new List<object?>(attributes.Select(attribute => Folded(Field(attribute, item), exact))),
            JinjaValue.IsTrue(arguments.Get(0, "reverse", false)));
    }

    /// <summary>In order; what is equal keeps its place, also in reverse.</summary>
    public static List<T> Ordered<T>(IReadOnlyList<T> items, Func<T, object?> key, bool reverse)
    {
        var order = Comparer<object?>.Create(JinjaValue.Compare);
        try
        {
            return reverse ? [.. items.OrderByDescending(key, order)] : [.. items.OrderBy(key, order)];
        }
        catch (InvalidOperationException e) when (e.InnerException is TemplateError error)
        {
            throw error;
        }
    }

    private static object? Folded(object? value, bool exact) => !exact && value is string text ? PythonText.Lower(text) : value;

    private static List<object?> Unique(object? value, Arguments arguments)
    {
        arguments.Check("case_sensitive", "attribute");
        bool exact = JinjaValue.IsTrue(arguments.Get(0, "case_sensitive", false));
        var seen = new List<object?>();
        return JinjaFunctions.Items(value).FindAll(item =>
        {
            object? key = Folded(Field(arguments.Get(1, "attribute"), item), exact);
            if (!JinjaDict.IsHashable(key)) throw new TemplateError($"unique() of {JinjaValue.KindOf(key)}");
            if (seen.Exists(other => JinjaValue.Equal(other, key))) return false;
            seen.Add(key);
            return true;
        });
    }

    private static object? Extreme(object? value, Arguments arguments, int sign)
    {
        arguments.Check("case_sensitive", "attribute");
        bool exact = JinjaValue.IsTrue(arguments.Get(0, "case_sensitive", false));
        List<object?> items = JinjaFunctions.Items(value);
        if (items.Count == 0) return new Undefined("the extreme of nothing");
        object? Key(object? item) => Folded(Field(arguments.Get(1, "attribute"), item), exact);
        return items.Aggregate((best, item) => sign * JinjaValue.Compare(Key(item), Key(best)) > 0 ? item : best);
    }

    /// <summary>What an attribute such as <c>function.name</c> is of an item; the item itself where none is named.</summary>
    private static object? Field(object? attribute, object? item, object? absent = null) => attribute switch
    {
        null => item,
        long index => Item(item, index, absent),
        string path =>
            path.Split('.')
                .Aggregate(item,
                    (value, name) =>
                        Item(value, long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long index) ? index : name,
                            absent)),
        _ => throw new TemplateError($"an attribute is {JinjaValue.KindOf(attribute)}, expected a text"),
    };

    private static object? Item(object? value, object key, object? absent) =>
        JinjaFunctions.Item(value, key) is var item && item is Undefined && absent is not null ? absent : item;

    private static string Join(object? value, Arguments arguments)
    {
        arguments.Check("d", "attribute");
        return JinjaMethods.Join(JinjaValue.Text(arguments.Get(0, "d", "")),
            [.. JinjaFunctions.Items(value).Select(item => (object?)JinjaValue.Text(Field(arguments.Get(1, "attribute"), item)))]);
    }

    private static List<object?> Map(object? value, Arguments arguments)
    {
        List<object?> items = JinjaFunctions.Items(value);
        if (arguments.Positional.Count == 0 && arguments.Named.Exists(argument => argument.Name == "attribute"))
        {
            if (arguments.Named.FirstOrDefault(argument => argument.Name is not ("attribute" or "default")) is { Name: { } other })
                throw new TemplateError($"map() has no argument '{other}'");
            return [.. items.Select(item => Field(arguments.Get(99, "attribute"), item, arguments.Get(99, "default")))];
        }
        string name = arguments.Text(0, "filter");
        if (!All.TryGetValue(name, out Func<object?, Arguments, object?>? filter))
            throw new TemplateError($"the filter '{name}' is not supported");
        var rest = new Arguments(name, arguments.Run, arguments.Positional[1..], arguments.Named);
        return [.. items.Select(item => filter(item, rest))];
    }

    private static JinjaGenerator Selected(object? value, Arguments arguments, bool ofAttribute, bool keep) =>
        new(JinjaValue.IsTrue(value) ? Select(value, arguments, ofAttribute, keep) : []);

    private static List<object?> Select(object? value, Arguments arguments, bool ofAttribute, bool keep)
    {
        int at = ofAttribute ? 1 : 0;
        object? attribute = ofAttribute ? arguments.Require(0, "attribute") : null;
        Func<object?, Arguments, bool> test = (item, _) => JinjaValue.IsTrue(item);
        if (arguments.Positional.Count > at)
        {
            string name = arguments.Text(at, "test");
            if (!JinjaTests.All.TryGetValue(name, out test!)) throw new TemplateError($"the test '{name}' is not supported");
        }
        var rest = new Arguments("test", arguments.Run, [.. arguments.Positional.Skip(at + 1)], arguments.Named);
        return JinjaFunctions.Items(value).FindAll(item => test(Field(attribute, item), rest) == keep);
    }

    private static object? Int(object? value, Arguments arguments)
    {
        arguments.Check("default", "base");
        long numberBase = arguments.Integer(1, "base", 10);
        object? absent = arguments.Get(0, "default", 0L);
        switch (value)
        {
            case bool or long or BigInteger:
                return PythonNumber.Integer(PythonNumber.Big(value));
            case double number:
                return double.IsInfinity(number) ? throw new TemplateError("int of infinity") : PythonNumber.Truncated(number) ?? absent;
            case string text:
                object? whole = numberBase is 0 or >= 2 and <= 36 ? PythonNumber.Parse(text, numberBase) : null;
                return whole ?? (PythonNumber.ParseReal(text) is { } real ? PythonNumber.Truncated(real) : null) ?? absent;
            case Undefined undefined:
                throw new TemplateError($"'{undefined.Name}' is undefined");
            default:
                return absent;
        }
    }

    private static object? Round(object? value, Arguments arguments)
    {
        arguments.Check("precision", "method");
        if (value is null || !PythonNumber.IsNumber(value)) throw new TemplateError($"round of {JinjaValue.KindOf(value)}");
        long digits = arguments.Integer(0, "precision", 0);
        string method = JinjaValue.Text(arguments.Get(1, "method", "common"));
        if (method == "common") return PythonNumber.Round(value, digits);
        if (method is not ("ceil" or "floor")) throw new TemplateError($"round(): 'method' is {method}, expected common, ceil or floor");
        object? scale = JinjaArithmetic.Apply("**", 10L, digits), scaled = JinjaArithmetic.Apply("*", value, scale);
        if (scaled is double number)
            scaled = PythonNumber.Truncated(method == "ceil" ? Math.Ceiling(number) : Math.Floor(number))
                ?? throw new TemplateError($"round of {PythonText.Float(number)}");
        return JinjaArithmetic.Apply("/", scaled, scale);
    }

    /// <summary>transformers' own tojson: nothing is escaped for HTML, and characters stay readable.</summary>
    private static string ToJson(object? value, Arguments arguments)
    {
        arguments.Check("ensure_ascii", "indent", "separators", "sort_keys");
        string? indent = arguments.Get(1, "indent") switch
        {
            null => null,
            string given => given,
            _ => PythonText.Pad("", Math.Max(0, arguments.Integer(1, "indent", 0)), ' ', left: 1),
        };
        List<object?>? separators = arguments.Get(2, "separators") as List<object?>;
        if (separators is not null && separators is not [string, string])
            throw new TemplateError("tojson(): 'separators' are not two texts");
        return JinjaJson.Write(value, JinjaValue.IsTrue(arguments.Get(0, "ensure_ascii", false)), indent, (string?)separators?[0],
            (string?)separators?[1] ?? ": ", JinjaValue.IsTrue(arguments.Get(3, "sort_keys", false)));
    }
}
