using System.Text;

namespace Flywheel.Jinja;

/// <summary>Methods of Python's str, list and dict that change nothing; those that would are refused, as Jinja's sandbox does.</summary>
internal static class JinjaMethods
{
    public static Callable? OfDictionary(JinjaDict dictionary, string name) => name switch
    {
        "items" => new(name, arguments => Counted(arguments.Check(), new List<object?>(dictionary.Select(entry => (object?)new JinjaTuple([entry.Key, entry.Value]))))),
        "keys" => new(name, arguments => Counted(arguments.Check(), [.. dictionary.Keys])),
        "values" => new(name, arguments => Counted(arguments.Check(), [.. dictionary.Values])),
        "get" => new(name, arguments => arguments.Check("key", "default").Require(0, "key") is string or long or bool or double && dictionary.TryGetValue(arguments.Get(0, "key")!, out object? value) ? value : arguments.Get(1, "default")),
        "copy" => new(name, arguments =>
        {
            var copy = new JinjaDict();
            JinjaRun.Step(dictionary.Count);
            foreach ((object key, object? value) in dictionary) copy[key] = value;
            return copy;
        }),
        "clear" or "pop" or "popitem" or "setdefault" or "update" or "fromkeys" => Refused("mapping", name),
        _ => null,
    };

    public static Callable? OfList(List<object?> list, string name) => name switch
    {
        "index" => new(name, arguments => list.FindIndex(item => JinjaValue.Equal(item, arguments.Check("value").Require(0, "value"))) is var at and >= 0 ? (long)at : throw new TemplateError("index(): the list has no such item")),
        "count" => new(name, arguments => (long)list.Count(item => JinjaValue.Equal(item, arguments.Check("value").Require(0, "value")))),
        "copy" => new(name, arguments => Counted(arguments.Check(), [.. list])),
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" => Refused("list", name),
        _ => null,
    };

    private static List<object?> Counted(Arguments _, List<object?> items)
    {
        JinjaRun.Step(items.Count);
        return items;
    }

    private static Callable Refused(string kind, string name) => new(name, _ => throw new TemplateError($"{name}() would change a {kind}: a template only reads"));

    public static Callable? OfText(string text, string name)
    {
        Func<Arguments, object?>? method = Method(text, name);
        return method is null ? null : new Callable(name, arguments =>
        {
            JinjaRun.Step(text.Length / 16); // every method reads its text
            return method(arguments) is var result && result is string made ? JinjaRun.Made(made) : result;
        });
    }

    private static Func<Arguments, object?>? Method(string text, string name) => name switch
    {
        "upper" => arguments => PythonText.Upper(arguments.Check() is null ? "" : text),
        "lower" => arguments => PythonText.Lower(arguments.Check() is null ? "" : text),
        "title" => _ => PythonText.Title(text),
        "capitalize" => _ => PythonText.Capitalize(text),
        "swapcase" => _ => string.Concat(text.EnumerateRunes().Select(c => Rune.IsUpper(c) ? PythonText.Lower(c.ToString()) : PythonText.Upper(c.ToString()))),
        "strip" => arguments => PythonText.Strip(text, Characters(arguments), left: true, right: true),
        "lstrip" => arguments => PythonText.Strip(text, Characters(arguments), left: true, right: false),
        "rstrip" => arguments => PythonText.Strip(text, Characters(arguments), left: false, right: true),
        "split" => arguments => PythonText.Split(text, Separator(arguments), arguments.Integer(1, "maxsplit", -1)),
        "rsplit" => arguments => PythonText.SplitFromRight(text, Separator(arguments), arguments.Integer(1, "maxsplit", -1)),
        "splitlines" => arguments => PythonText.Lines(text, JinjaValue.IsTrue(arguments.Check("keepends").Get(0, "keepends", false))),
        "partition" => arguments => Partition(text, arguments.Check("sep").Text(0, "sep"), fromRight: false),
        "rpartition" => arguments => Partition(text, arguments.Check("sep").Text(0, "sep"), fromRight: true),
        "startswith" => arguments => Affixes(arguments).Exists(prefix => text.StartsWith(prefix, StringComparison.Ordinal)),
        "endswith" => arguments => Affixes(arguments).Exists(suffix => text.EndsWith(suffix, StringComparison.Ordinal)),
        "removeprefix" => arguments => arguments.Check("prefix").Text(0, "prefix") is var prefix && text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text,
        "removesuffix" => arguments => arguments.Check("suffix").Text(0, "suffix") is var suffix && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text,
        "replace" => arguments => PythonText.Replace(text, arguments.Check("old", "new", "count").Text(0, "old"), arguments.Text(1, "new"), arguments.Integer(2, "count", -1)),
        "find" => arguments => Position(text, text.IndexOf(arguments.Check("sub").Text(0, "sub"), StringComparison.Ordinal)),
        "rfind" => arguments => Position(text, text.LastIndexOf(arguments.Check("sub").Text(0, "sub"), StringComparison.Ordinal)),
        "index" => arguments => Position(text, text.IndexOf(arguments.Check("sub").Text(0, "sub"), StringComparison.Ordinal)) is var at and >= 0 ? at : throw new TemplateError("index(): the text has no such part"),
        "count" => arguments => arguments.Check("sub").Text(0, "sub") is { Length: > 0 } part ? (long)text.AsSpan().Count(part) : PythonText.Length(text) + 1,
        "join" => arguments => Join(text, JinjaFunctions.Items(arguments.Check("iterable").Require(0, "iterable"))),
        "format" => arguments => PythonFormat.Format(text, arguments),
        "isdigit" => _ => All(text, Rune.IsDigit),
        "isalpha" => _ => All(text, Rune.IsLetter),
        "isalnum" => _ => All(text, Rune.IsLetterOrDigit),
        "isspace" => _ => text.Length > 0 && text.All(PythonText.IsSpace),
        "isupper" => _ => JinjaFunctions.IsCased(text, upper: true),
        "islower" => _ => JinjaFunctions.IsCased(text, upper: false),
        "ljust" => arguments => PythonText.Pad(text, arguments.Check("width", "fillchar").Integer(0, "width", 0), Fill(arguments), left: 0),
        "rjust" => arguments => PythonText.Pad(text, arguments.Check("width", "fillchar").Integer(0, "width", 0), Fill(arguments), left: 1),
        "center" => arguments => PythonText.Center(text, arguments.Check("width", "fillchar").Integer(0, "width", 0), Fill(arguments)),
        "zfill" => arguments => text is ['-' or '+', ..]
            ? text[0] + PythonText.Pad(text[1..], arguments.Check("width").Integer(0, "width", 0) - 1, '0', left: 1)
            : PythonText.Pad(text, arguments.Check("width").Integer(0, "width", 0), '0', left: 1),
        _ => null,
    };

    private static bool All(string text, Func<Rune, bool> test)
    {
        foreach (Rune c in text.EnumerateRunes())
            if (!test(c)) return false;
        return text.Length > 0;
    }

    private static string? Characters(Arguments arguments) => arguments.Check("chars").Get(0, "chars") is null ? null : arguments.Text(0, "chars");

    private static string? Separator(Arguments arguments)
    {
        if (arguments.Check("sep", "maxsplit").Get(0, "sep") is null) return null;
        string separator = arguments.Text(0, "sep");
        return separator.Length > 0 ? separator : throw new TemplateError("split(): the separator is empty");
    }

    private static char Fill(Arguments arguments) => arguments.Get(1, "fillchar", " ") is string and [var only] ? only : throw new TemplateError("'fillchar' is not one character");

    private static List<string> Affixes(Arguments arguments) => arguments.Check("prefix").Require(0, "prefix") switch
    {
        string one => [one],
        List<object?> many when many.TrueForAll(item => item is string) => [.. many.Cast<string>()],
        var other => throw new TemplateError($"{JinjaValue.KindOf(other)} begins or ends no text"),
    };

    private static long Position(string text, int at) => at < 0 ? -1 : PythonText.Length(text[..at]);

    private static JinjaTuple Partition(string text, string separator, bool fromRight)
    {
        if (separator.Length == 0) throw new TemplateError("partition(): the separator is empty");
        int at = fromRight ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0) return new JinjaTuple(fromRight ? ["", "", text] : [text, "", ""]);
        return new JinjaTuple([text[..at], separator, text[(at + separator.Length)..]]);
    }

    public static string Join(string separator, List<object?> items)
    {
        string[] parts = [.. items.Select(item => item as string ?? throw new TemplateError($"join(): {JinjaValue.KindOf(item)} is no text"))];
        JinjaRun.Make(parts.Sum(part => (long)part.Length) + (long)separator.Length * parts.Length);
        return string.Join(separator, parts);
    }
}
