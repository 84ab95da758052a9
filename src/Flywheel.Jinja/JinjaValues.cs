using System.Numerics;

namespace Flywheel.Jinja;

// A value of a template is null (None), bool, long, BigInteger, double, string, List<object?>, JinjaDict, or one of
// the classes below. Nothing else is ever reachable: a template sees data and the functions listed here, no objects of ours.

/// <summary>A dictionary, in order of insertion. Keys are texts, numbers, truth values and tuples of them, equal as Python has
/// it.</summary>
public sealed class JinjaDict() : OrderedDictionary<object, object?>(Keys.Comparer)
{
    /// <exception cref="TemplateError">The value can be no key.</exception>
    internal static object Key(object? value) =>
        IsKey(value) ? value! : throw new TemplateError($"{JinjaValue.KindOf(value)} is the key of a mapping, expected a text or a number");

    /// <summary>What Python takes as a key or as a member of a set, more than is needed as keys here.</summary>
    internal static bool IsHashable(object? value) => value switch
    {
        JinjaTuple tuple => tuple.TrueForAll(IsHashable),
        JinjaView view => view.IsRange,
        _ => value is not (JinjaDict or List<object?>),
    };

    internal static bool IsKey(object? value) =>
        value is string || PythonNumber.IsNumber(value) || (value is JinjaTuple tuple && tuple.TrueForAll(IsKey));

    private new sealed class Keys : IEqualityComparer<object>
    {
        public static Keys Comparer { get; } = new();

        public new bool Equals(object? a, object? b) => JinjaValue.Equal(a, b);

        public int GetHashCode(object key) => key switch
        {
            string text => text.GetHashCode(StringComparison.Ordinal),
            JinjaTuple tuple => tuple.Aggregate(tuple.Count, (hash, item) => HashCode.Combine(hash, GetHashCode(item!))),
            _ => PythonNumber.Hash(key),
        };
    }
}

/// <summary>A list that is written in round brackets, as the pairs of a mapping are.</summary>
internal class JinjaTuple(IEnumerable<object?> items) : List<object?>(items);

/// <summary>A pair with names, as groupby gives.</summary>
internal sealed class JinjaGroup(object? grouper, List<object?> list) : JinjaTuple([grouper, list]);

/// <summary>What is run over and printed, but is no list: the keys, values or items of a mapping, or a range of numbers.</summary>
/// <param name="begin">What stands before its items when it is printed.</param>
/// <param name="items">All of them.</param>
/// <param name="isRange">Begin is all that is printed; items can be taken by number.</param>
internal sealed class JinjaView(string begin, IEnumerable<object?> items, bool isRange = false) : List<object?>(items)
{
    public string Begin => begin;

    public bool IsRange => isRange;
}

/// <summary>
/// The items that a filter such as map gives, which can be run over once: Python's generator. It is true even when empty, and
/// has no length.
/// </summary>
internal sealed class JinjaGenerator(List<object?> items)
{
    private int _at;

    public List<object?> Rest()
    {
        List<object?> rest = items[_at..];
        _at = items.Count;
        return rest;
    }

    public bool TryNext(out object? item)
    {
        item = _at < items.Count ? items[_at] : null;
        return _at++ < items.Count;
    }
}

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
        "cycle" =>
            new Callable("loop.cycle",
                arguments => arguments.Positional.Count > 0
                    ? arguments.Positional[Index % arguments.Positional.Count] : throw new TemplateError("loop.cycle() needs a value")),
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
        if (positional.Count > names.Length)
            throw new TemplateError($"{callee}() takes {names.Length} arguments, {positional.Count} were given");
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

    public object? Require(int place, string name) =>
        Has(place, name) ? Get(place, name) : throw new TemplateError($"{callee}() lacks the argument '{name}'");

    public string Text(int place, string name) =>
        Require(place, name) as string
            ?? throw new TemplateError($"{callee}(): '{name}' is {JinjaValue.KindOf(Get(place, name))}, expected a text");

    public long Integer(int place, string name, long absent) => !Has(place, name) ? absent : Get(place, name) switch
    {
        long number => number,
        BigInteger number => number.Sign > 0 ? long.MaxValue : long.MinValue,
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
        long or BigInteger => "a whole number",
        double => "a number",
        string => "a text",
        JinjaTuple => "a tuple",
        JinjaView => "a view",
        JinjaGenerator => "a generator",
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
            (List<object?> x, List<object?> y) => AreAlike(x, y) && x.Count == y.Count
                && x.Zip(y).All(pair => Equal(pair.First, pair.Second)),
            (JinjaDict x, JinjaDict y) => x.Count == y.Count
                && x.All(entry => y.TryGetValue(entry.Key, out object? other) && Equal(entry.Value, other)),
            (Undefined, Undefined) => true,
            _ => PythonNumber.IsNumber(a) && PythonNumber.IsNumber(b) ? PythonNumber.Equal(a!, b!) : ReferenceEquals(a, b),
        };
    }

    private static bool AreAlike(List<object?> a, List<object?> b) =>
        a is JinjaTuple == b is JinjaTuple && (a as JinjaView)?.IsRange == (b as JinjaView)?.IsRange;

    /// <summary>Items as a tuple where they come from one, else as a list.</summary>
    public static List<object?> Like(List<object?> from, List<object?> items) => from is JinjaTuple ? new JinjaTuple(items) : items;

    /// <summary>Whether a comparison of two values holds; with what is no number, none does.</summary>
    public static bool Holds(string op, object? a, object? b)
    {
        if (PythonNumber.IsNumber(a) && PythonNumber.IsNumber(b) && PythonNumber.Compare(a!, b!) is null) return false;
        int order = Compare(a, b);
        return op switch { "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 };
    }

    public static int Compare(object? a, object? b) => (a, b) switch
    {
        (string x, string y) => CompareCodePoints(x, y),
        (List<object?> x and not JinjaView, List<object?> y)
            when AreAlike(x, y) => x.Zip(y).Select(pair => Equal(pair.First, pair.Second) ? 0 : Compare(pair.First, pair.Second))
                .FirstOrDefault(order => order != 0, x.Count.CompareTo(y.Count)),
        _ => PythonNumber.IsNumber(a) && PythonNumber.IsNumber(b)
            ? PythonNumber.Compare(a!, b!) ?? 0 : throw new TemplateError($"{KindOf(a)} and {KindOf(b)} have no order"),
    };

    /// <summary>UTF-16 and code points differ in order only where surrogates meet the end of the basic plane.</summary>
    private static int CompareCodePoints(string a, string b)
    {
        int at = a.AsSpan().CommonPrefixLength(b);
        if (at == a.Length || at == b.Length) return a.Length.CompareTo(b.Length);
        bool x = char.IsSurrogate(a[at]), y = char.IsSurrogate(b[at]);
        return x == y ? a[at].CompareTo(b[at]) : x ? 1 : -1;
    }

    /// <summary>Python's str().</summary>
    public static string Text(object? value) => value switch
    {
        string text => text,
        Undefined => "",
        _ => Representation(value),
    };

    /// <summary>Python's repr().</summary>
    public static string Representation(object? value)
    {
        JinjaRun.Step();
        return JinjaRun.Made(value switch
        {
            null => "None",
            bool flag => flag ? "True" : "False",
            long number => PythonNumber.Text(number),
            BigInteger number => PythonNumber.Text(number),
            double number => PythonText.Float(number),
            string text => PythonText.Quote(text),
            JinjaTuple tuple => $"({string.Join(", ", tuple.Select(Representation))}{(tuple.Count == 1 ? "," : "")})",
            JinjaView { IsRange: true } range => range.Begin,
            JinjaView view => $"{view.Begin}[{string.Join(", ", view.Select(Representation))}])",
            JinjaGenerator => "<generator>",
            List<object?> list => $"[{string.Join(", ", list.Select(Representation))}]",
            JinjaDict dictionary =>
                $"{{{string.Join(", ", dictionary.Select(entry => $"{Representation(entry.Key)}: {Representation(entry.Value)}"))}}}",
            Undefined => "Undefined",
            JinjaNamespace => "<Namespace>",
            Callable callable => $"<{callable.Name}>",
            _ => "<loop>",
        });
    }
}
