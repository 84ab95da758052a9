using System.Globalization;

namespace Flywheel.Jinja;

// A value of a template is null (None), bool, long, double, string, List<object?>, JinjaDict, or one of
// the classes below. Nothing else is ever reachable: a template sees data and the functions listed here, no objects of ours.

/// <summary>A dictionary, in order of insertion. Keys are texts, numbers and truth values, equal as Python has it.</summary>
public sealed class JinjaDict() : OrderedDictionary<object, object?>(Keys.Comparer)
{
    /// <exception cref="TemplateError">The value can be no key.</exception>
    internal static object Key(object? value) => value is string or long or bool or double ? value : throw new TemplateError($"{JinjaValue.KindOf(value)} is the key of a mapping, expected a text or a number");

    private new sealed class Keys : IEqualityComparer<object>
    {
        public static Keys Comparer { get; } = new();

        public new bool Equals(object? a, object? b) => JinjaValue.Equal(a, b);

        public int GetHashCode(object key) => key is string text ? text.GetHashCode(StringComparison.Ordinal) : Convert.ToDouble(key, CultureInfo.InvariantCulture).GetHashCode();
    }
}

/// <summary>A list that is written in round brackets, as the pairs of a mapping are.</summary>
internal sealed class JinjaTuple(IEnumerable<object?> items) : List<object?>(items);

/// <summary>What a name stands for that nothing was given for: empty when printed, false, an error when used further.</summary>
internal sealed record Undefined(string Name);

/// <summary>The one thing that a template may change: <c>namespace()</c>.</summary>
internal sealed class JinjaNamespace
{
    public JinjaDict Fields { get; } = [];
}

/// <summary>A function, macro or method. Arguments by position, then by name.</summary>
internal sealed record Callable(string Name, Func<Arguments, object?> Call);

/// <summary>What <c>loop</c> is in a for statement.</summary>
internal sealed class LoopState(List<object?> items, int depth)
{
    public int Index { get; set; }

    private List<object?>? _lastChanged;

    public object? Field(string name) => name switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => (long)items.Count,
        "revindex" => (long)(items.Count - Index),
        "revindex0" => (long)(items.Count - Index - 1),
        "depth" => (long)depth,
        "depth0" => depth - 1L,
        "previtem" => Index > 0 ? items[Index - 1] : new Undefined("previtem"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("nextitem"),
        "cycle" => new Callable("loop.cycle", arguments => arguments.Positional.Count > 0 ? arguments.Positional[Index % arguments.Positional.Count] : throw new TemplateError("loop.cycle() needs a value")),
        "changed" => new Callable("loop.changed", arguments =>
        {
            bool same = _lastChanged is not null && JinjaValue.Equal(_lastChanged, arguments.Positional);
            _lastChanged = arguments.Positional;
            return !same;
        }),
        _ => new Undefined(name),
    };
}

/// <summary>The arguments of a call, asked for by name and place.</summary>
internal sealed class Arguments(string callee, JinjaRun run, List<object?> positional, List<(string Name, object? Value)> named)
{
    public JinjaRun Run => run;

    public List<object?> Positional => positional;

    public List<(string Name, object? Value)> Named => named;

    /// <summary>Fails when there are more arguments, or other names, than the callee has.</summary>
    public Arguments Check(params string[] names)
    {
        if (positional.Count > names.Length) throw new TemplateError($"{callee}() takes {names.Length} arguments, {positional.Count} were given");
        foreach ((string name, _) in named)
            if (!names.Contains(name)) throw new TemplateError($"{callee}() has no argument '{name}'");
        return this;
    }

    public bool Has(int place, string name) => place < positional.Count || named.Exists(argument => argument.Name == name);

    public object? Get(int place, string name, object? absent = null)
    {
        if (place < positional.Count) return positional[place];
        int at = named.FindIndex(argument => argument.Name == name);
        return at >= 0 ? named[at].Value : absent;
    }

    public object? Require(int place, string name) => Has(place, name) ? Get(place, name) : throw new TemplateError($"{callee}() lacks the argument '{name}'");

    public string Text(int place, string name) => Require(place, name) as string ?? throw new TemplateError($"{callee}(): '{name}' is {JinjaValue.KindOf(Get(place, name))}, expected a text");

    public long Integer(int place, string name, long absent) => !Has(place, name) ? absent : Get(place, name) switch
    {
        long number => number,
        bool flag => flag ? 1 : 0,
        var other => throw new TemplateError($"{callee}(): '{name}' is {JinjaValue.KindOf(other)}, expected a whole number"),
    };
}

/// <summary>A mistake that a template makes while it runs; the line is added on the way out.</summary>
internal sealed class TemplateError(string message) : Exception(message);

/// <summary>What Python says about values: truth, equality, order, text.</summary>
internal static class JinjaValue
{
    public static bool IsTrue(object? value) => value switch
    {
        null or false or 0L or 0.0 or "" or Undefined => false,
        List<object?> list => list.Count > 0,
        JinjaDict dictionary => dictionary.Count > 0,
        _ => true,
    };

    public static string KindOf(object? value) => value switch
    {
        null => "none",
        bool => "a truth value",
        long => "a whole number",
        double => "a number",
        string => "a text",
        List<object?> => "a list",
        JinjaDict => "a mapping",
        Undefined undefined => $"undefined ('{undefined.Name}')",
        _ => "an object",
    };

    public static bool Equal(object? a, object? b)
    {
        JinjaRun.Step();
        return (a, b) switch
        {
            (null, null) => true,
            (string x, string y) => x == y,
            (List<object?> x, List<object?> y) => x is JinjaTuple == y is JinjaTuple && x.Count == y.Count && x.Zip(y).All(pair => Equal(pair.First, pair.Second)),
            (JinjaDict x, JinjaDict y) => x.Count == y.Count && x.All(entry => y.TryGetValue(entry.Key, out object? other) && Equal(entry.Value, other)),
            (Undefined, Undefined) => true,
            (bool or long or double, bool or long or double) => a is not double && b is not double ? ToLong(a) == ToLong(b) : Convert.ToDouble(a, CultureInfo.InvariantCulture) == Convert.ToDouble(b, CultureInfo.InvariantCulture),
            _ => ReferenceEquals(a, b),
        };
    }

    public static int Compare(object? a, object? b) => (a, b) switch
    {
        (string x, string y) => CompareCodePoints(x, y),
        (bool or long or double, bool or long or double) => a is not double && b is not double
            ? ToLong(a).CompareTo(ToLong(b))
            : Convert.ToDouble(a, CultureInfo.InvariantCulture).CompareTo(Convert.ToDouble(b, CultureInfo.InvariantCulture)),
        (List<object?> x, List<object?> y) => x.Zip(y).Select(pair => Equal(pair.First, pair.Second) ? 0 : Compare(pair.First, pair.Second)).FirstOrDefault(order => order != 0, x.Count.CompareTo(y.Count)),
        _ => throw new TemplateError($"{KindOf(a)} and {KindOf(b)} have no order"),
    };

    /// <summary>UTF-16 and code points differ in order only where surrogates meet the end of the basic plane.</summary>
    private static int CompareCodePoints(string a, string b)
    {
        int at = a.AsSpan().CommonPrefixLength(b);
        if (at == a.Length || at == b.Length) return a.Length.CompareTo(b.Length);
        bool x = char.IsSurrogate(a[at]), y = char.IsSurrogate(b[at]);
        return x == y ? a[at].CompareTo(b[at]) : x ? 1 : -1;
    }

    private static long ToLong(object value) => value is bool flag ? (flag ? 1 : 0) : (long)value;

    /// <summary>Python's str().</summary>
    public static string Text(object? value) => value switch
    {
        string text => text,
        Undefined => "",
        _ => Representation(value),
    };

    private static string Representation(object? value)
    {
        JinjaRun.Step();
        return JinjaRun.Made(value switch
        {
            null => "None",
            bool flag => flag ? "True" : "False",
            long number => number.ToString(CultureInfo.InvariantCulture),
            double number => PythonText.Float(number),
            string text => PythonText.Quote(text),
            JinjaTuple tuple => $"({string.Join(", ", tuple.Select(Representation))}{(tuple.Count == 1 ? "," : "")})",
            List<object?> list => $"[{string.Join(", ", list.Select(Representation))}]",
            JinjaDict dictionary => $"{{{string.Join(", ", dictionary.Select(entry => $"{Representation(entry.Key)}: {Representation(entry.Value)}"))}}}",
            Undefined => "Undefined",
            JinjaNamespace => "<Namespace>",
            Callable callable => $"<{callable.Name}>",
            _ => "<loop>",
        });
    }
}
