using System.Globalization;

namespace Flywheel.Jinja;

/// <summary>What may stand after a bar.</summary>
internal static class JinjaFilters
{
    public static Dictionary<string, Func<object?, Arguments, object?>> All { get; } = new(StringComparer.Ordinal)
    {
        ["abs"] = (value, _) => value switch { long number => (object)Math.Abs(Math.Max(number, -long.MaxValue)), double number => Math.Abs(number), _ => throw new TemplateError($"abs of {JinjaValue.KindOf(value)}") },
        ["attr"] = (value, arguments) => JinjaFunctions.Attribute(value, arguments.Check("name").Text(0, "name"), itemsToo: false),
        ["batch"] = Batch,
        ["capitalize"] = Text(PythonText.Capitalize),
        ["center"] = (value, arguments) => PythonText.Center(JinjaValue.Text(value), arguments.Check("width").Integer(0, "width", 80), ' '),
        ["count"] = (value, _) => JinjaFunctions.Length(value),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = DictSort,
        ["e"] = Text(Escape),
        ["escape"] = Text(Escape),
        ["first"] = (value, _) => JinjaFunctions.Items(value) is [var first, ..] ? first : new Undefined("the first of nothing"),
        ["float"] = (value, arguments) => value switch
        {
            double number => number,
            long number => (double)number,
            bool flag => flag ? 1.0 : 0.0,
            string text when double.TryParse(text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) => number,
            _ => arguments.Check("default").Get(0, "default", 0.0),
        },
        ["format"] = (value, arguments) => PythonFormat.Percent(JinjaValue.Text(value), arguments.Positional),
        ["indent"] = Indent,
        ["int"] = Int,
        ["items"] = (value, arguments) => value is Undefined ? new List<object?>() : value is JinjaDict dictionary ? JinjaMethods.OfDictionary(dictionary, "items")!.Call(new Arguments("items", arguments.Run, [], [])) : throw new TemplateError($"items of {JinjaValue.KindOf(value)}"),
        ["join"] = Join,
        ["last"] = (value, _) => JinjaFunctions.Items(value) is [.., var last] ? last : new Undefined("the last of nothing"),
        ["length"] = (value, _) => JinjaFunctions.Length(value),
        ["list"] = (value, _) => new List<object?>(JinjaFunctions.Items(value)),
        ["lower"] = Text(PythonText.Lower),
        ["map"] = Map,
        ["max"] = (value, arguments) => Extreme(value, arguments, 1),
        ["min"] = (value, arguments) => Extreme(value, arguments, -1),
        ["reject"] = (value, arguments) => Select(value, arguments, ofAttribute: false, keep: false),
        ["rejectattr"] = (value, arguments) => Select(value, arguments, ofAttribute: true, keep: false),
        ["replace"] = (value, arguments) => PythonText.Replace(JinjaValue.Text(value), JinjaValue.Text(arguments.Check("old", "new", "count").Require(0, "old")), JinjaValue.Text(arguments.Require(1, "new")), arguments.Get(2, "count") is null ? -1 : arguments.Integer(2, "count", -1)),
        ["reverse"] = (value, _) => value is string text ? JinjaRun.Made(string.Concat(PythonText.Characters(text).Reverse())) : Enumerable.Reverse(JinjaFunctions.Items(value)).ToList(),
        ["round"] = Round,
        ["safe"] = (value, _) => value is Undefined ? "" : value,
        ["select"] = (value, arguments) => Select(value, arguments, ofAttribute: false, keep: true),
        ["selectattr"] = (value, arguments) => Select(value, arguments, ofAttribute: true, keep: true),
        ["sort"] = Sort,
        ["string"] = (value, _) => JinjaRun.Made(JinjaValue.Text(value)),
        ["sum"] = (value, arguments) => JinjaFunctions.Items(value).Aggregate(arguments.Check("attribute", "start").Get(1, "start", 0L), (sum, item) => JinjaArithmetic.Apply("+", sum, Field(arguments.Get(0, "attribute"), item))),
        ["title"] = Text(TitleWords),
        ["tojson"] = ToJson,
        ["trim"] = (value, arguments) => PythonText.Strip(JinjaValue.Text(value), arguments.Check("chars").Get(0, "chars") is null ? null : arguments.Text(0, "chars"), left: true, right: true),
        ["unique"] = Unique,
        ["upper"] = Text(PythonText.Upper),
        ["wordcount"] = (value, _) => (long)PythonText.Split(JinjaValue.Text(value), null, -1).Count,
    };

    private static Func<object?, Arguments, object?> Text(Func<string, string> change) => (value, arguments) => arguments.Check() is null ? null : JinjaRun.Made(change(JinjaValue.Text(value)));

    private static object? Default(object? value, Arguments arguments) =>
        value is Undefined || (JinjaValue.IsTrue(arguments.Check("default_value", "boolean").Get(1, "boolean", false)) && !JinjaValue.IsTrue(value)) ? arguments.Get(0, "default_value", "") : value;

    private static string Escape(string text) => text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;").Replace("'", "&#39;").Replace("\"", "&#34;");

    /// <summary>A capital after white space and opening brackets, as Jinja's filter has it; the method is Python's.</summary>
    private static string TitleWords(string text)
    {
        var result = new System.Text.StringBuilder(text.Length);
        bool begins = true;
        foreach (string c in PythonText.Characters(text))
        {
            result.Append(begins ? PythonText.Upper(c) : PythonText.Lower(c));
            begins = c is "-" or "(" or "{" or "[" or "<" || PythonText.IsSpace(c[0]);
        }
        return result.ToString();
    }

    private static List<object?> Batch(object? value, Arguments arguments)
    {
        long size = arguments.Check("linecount", "fill_with").Integer(0, "linecount", 1);
        if (size < 1) throw new TemplateError("batch(): 'linecount' is below 1");
        List<object?> batches = [.. JinjaFunctions.Items(value).Chunk((int)Math.Min(size, int.MaxValue)).Select(batch => (object?)new List<object?>(batch))];
        if (arguments.Get(1, "fill_with") is { } fill && batches is [.., List<object?> last])
        {
            JinjaRun.Step((int)Math.Min(int.MaxValue / 2, size));
            while (last.Count < size) last.Add(fill);
        }
        return batches;
    }

    private static List<object?> DictSort(object? value, Arguments arguments)
    {
        arguments.Check("case_sensitive", "by", "reverse");
        bool exact = JinjaValue.IsTrue(arguments.Get(0, "case_sensitive", false));
        int by = arguments.Get(1, "by", "key") switch { "key" => 0, "value" => 1, var other => throw new TemplateError($"dictsort(): 'by' is {JinjaValue.Text(other)}, expected key or value") };
        if (value is not JinjaDict dictionary) throw new TemplateError($"dictsort of {JinjaValue.KindOf(value)}");
        List<object?> pairs = [.. dictionary.Select(entry => (object?)new JinjaTuple([entry.Key, entry.Value]))];
        return Ordered(pairs, pair => Folded(((List<object?>)pair!)[by], exact), JinjaValue.IsTrue(arguments.Get(2, "reverse", false)));
    }

    private static List<object?> Sort(object? value, Arguments arguments)
    {
        arguments.Check("reverse", "case_sensitive", "attribute");
        bool exact = JinjaValue.IsTrue(arguments.Get(1, "case_sensitive", false));
        return Ordered(JinjaFunctions.Items(value), item => Folded(Field(arguments.Get(2, "attribute"), item), exact), JinjaValue.IsTrue(arguments.Get(0, "reverse", false)));
    }

    /// <summary>In order; what is equal keeps its place, also in reverse.</summary>
    private static List<object?> Ordered(List<object?> items, Func<object?, object?> key, bool reverse)
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
    private static object? Field(object? attribute, object? item) => attribute switch
    {
        null => item,
        long index => JinjaFunctions.Item(item, index),
        string path => path.Split('.').Aggregate(item, (value, name) => JinjaFunctions.Item(value, long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long index) ? index : name)),
        _ => throw new TemplateError($"an attribute is {JinjaValue.KindOf(attribute)}, expected a text"),
    };

    private static string Join(object? value, Arguments arguments)
    {
        arguments.Check("d", "attribute");
        return JinjaMethods.Join(JinjaValue.Text(arguments.Get(0, "d", "")), [.. JinjaFunctions.Items(value).Select(item => (object?)JinjaValue.Text(Field(arguments.Get(1, "attribute"), item)))]);
    }

    private static List<object?> Map(object? value, Arguments arguments)
    {
        List<object?> items = JinjaFunctions.Items(value);
        if (arguments.Positional.Count == 0 && arguments.Named.Exists(argument => argument.Name == "attribute"))
        {
            object? absent = arguments.Get(99, "default");
            return [.. items.Select(item => Field(arguments.Get(99, "attribute"), item) is var field && field is Undefined && absent is not null ? absent : field)];
        }
        string name = arguments.Text(0, "filter");
        if (!All.TryGetValue(name, out Func<object?, Arguments, object?>? filter)) throw new TemplateError($"the filter '{name}' is not supported");
        var rest = new Arguments(name, arguments.Run, arguments.Positional[1..], arguments.Named);
        return [.. items.Select(item => filter(item, rest))];
    }

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

    private static string Indent(object? value, Arguments arguments)
    {
        arguments.Check("width", "first", "blank");
        string by = arguments.Get(0, "width", 4L) is string given ? given : PythonText.Pad("", arguments.Integer(0, "width", 4), ' ', left: 1);
        bool first = JinjaValue.IsTrue(arguments.Get(1, "first", false)), blank = JinjaValue.IsTrue(arguments.Get(2, "blank", false));
        List<object?> lines = PythonText.Lines(JinjaValue.Text(value) + "\n", keepEnds: false); // as Jinja does, so that a last line end stays
        JinjaRun.Make((long)lines.Count * by.Length);
        return JinjaRun.Made(string.Join('\n', lines.Select((line, i) => (i == 0 ? first : blank || (string)line! != "") ? by + line : line)));
    }

    private static object? Int(object? value, Arguments arguments)
    {
        arguments.Check("default", "base");
        return value switch
        {
            long number => number,
            bool flag => flag ? 1L : 0L,
            double number when Math.Abs(number) < long.MaxValue => (long)number,
            string text when arguments.Integer(1, "base", 10) == 10 && long.TryParse(text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) => number,
            string text when double.TryParse(text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && Math.Abs(number) < long.MaxValue => (long)number,
            _ => arguments.Get(0, "default", 0L),
        };
    }

    private static object Round(object? value, Arguments arguments)
    {
        arguments.Check("precision", "method");
        double number = value is double real ? real : value is long whole ? whole : throw new TemplateError($"round of {JinjaValue.KindOf(value)}");
        int digits = (int)Math.Clamp(arguments.Integer(0, "precision", 0), -15, 15);
        double scale = Math.Pow(10, digits);
        return arguments.Get(1, "method", "common") switch
        {
            "common" when value is long => digits >= 0 ? value : (double)(Math.Round((decimal)number / (decimal)scale * 1, MidpointRounding.ToEven) * (decimal)scale),
            "common" => digits >= 0 ? Math.Round(number, digits, MidpointRounding.ToEven) : Math.Round(number * scale, MidpointRounding.ToEven) / scale,
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            var other => throw new TemplateError($"round(): 'method' is {JinjaValue.Text(other)}, expected common, ceil or floor"),
        };
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
        if (separators is not null && separators is not [string, string]) throw new TemplateError("tojson(): 'separators' are not two texts");
        return JinjaJson.Write(value, JinjaValue.IsTrue(arguments.Get(0, "ensure_ascii", false)), indent, (string?)separators?[0], (string?)separators?[1] ?? ": ", JinjaValue.IsTrue(arguments.Get(3, "sort_keys", false)));
    }
}
