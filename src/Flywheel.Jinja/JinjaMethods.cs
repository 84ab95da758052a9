using System.Globalization;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>Methods of Python's str, list and dict that change nothing; those that would are refused, as Jinja's sandbox does.</summary>
internal static class JinjaMethods
{
    public static Callable? OfDictionary(JinjaDict dictionary, string name) => name switch
    {
        "items" =>
            new(name,
                arguments =>
                    Counted(arguments.Check(), new JinjaView("dict_items(",
                        dictionary.Select(entry => (object?)new JinjaTuple([entry.Key, entry.Value]))))),
        "keys" => new(name, arguments => Counted(arguments.Check(), new JinjaView("dict_keys(", dictionary.Keys))),
        "values" => new(name, arguments => Counted(arguments.Check(), new JinjaView("dict_values(", dictionary.Values))),
        "get" => new(name,
            arguments =>
                arguments.Check("key", "default").Require(0, "key") is var key && JinjaDict.IsKey(key)
                    && dictionary.TryGetValue(key!, out object? value) ? value : arguments.Get(1, "default")),
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
        "index" =>
            new(name,
                arguments => list.FindIndex(item => JinjaValue.Equal(item, arguments.Check("value").Require(0, "value"))) is var at and >= 0
                    ? (long)at : throw new TemplateError("index(): the list has no such item")),
        "count" => new(name, arguments => (long)list.Count(item => JinjaValue.Equal(item, arguments.Check("value").Require(0, "value")))),
        "copy" when list is not JinjaTuple => new(name, arguments => Counted(arguments.Check(), [.. list])),
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort"
            when list is not JinjaTuple => Refused("list", name),
        _ => null,
    };

    private static List<object?> Counted(Arguments _, List<object?> items)
    {
        JinjaRun.Step(items.Count);
        return items;
    }

    private static Callable Refused(string kind, string name) =>
        new(name, _ => throw new TemplateError($"{name}() would change a {kind}: a template only reads"));

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
        "casefold" => _ => PythonText.Lower(text.Replace("ß", "ss", StringComparison.Ordinal)),
        "expandtabs" => arguments => PythonText.ExpandTabs(text, arguments.Check("tabsize").Integer(0, "tabsize", 8)),
        "title" => _ => PythonText.Title(text),
        "capitalize" => _ => PythonText.Capitalize(text),
        "swapcase" =>
            _ => string.Concat(text.EnumerateRunes()
                .Select(c => Rune.IsUpper(c) ? PythonText.Lower(c.ToString()) : PythonText.Upper(c.ToString()))),
        "strip" => arguments => PythonText.Strip(text, Characters(arguments), left: true, right: true),
        "lstrip" => arguments => PythonText.Strip(text, Characters(arguments), left: true, right: false),
        "rstrip" => arguments => PythonText.Strip(text, Characters(arguments), left: false, right: true),
        "split" => arguments => PythonText.Split(text, Separator(arguments), arguments.Integer(1, "maxsplit", -1)),
        "rsplit" => arguments => PythonText.SplitFromRight(text, Separator(arguments), arguments.Integer(1, "maxsplit", -1)),
        "splitlines" => arguments => PythonText.Lines(text, JinjaValue.IsTrue(arguments.Check("keepends").Get(0, "keepends", false))),
        "partition" => arguments => Partition(text, arguments.Check("sep").Text(0, "sep"), fromRight: false),
        "rpartition" => arguments => Partition(text, arguments.Check("sep").Text(0, "sep"), fromRight: true),
        "startswith" =>
            arguments => Within(text, arguments, "prefix") is var (part, _)
                && Affixes(arguments).Exists(prefix => part.StartsWith(prefix, StringComparison.Ordinal)),
        "endswith" =>
            arguments => Within(text, arguments, "prefix") is var (part, _)
                && Affixes(arguments).Exists(suffix => part.EndsWith(suffix, StringComparison.Ordinal)),
        "removeprefix" =>
            arguments => arguments.Check("prefix").Text(0, "prefix") is var prefix && text.StartsWith(prefix, StringComparison.Ordinal)
                ? text[prefix.Length..] : text,
        "removesuffix" =>
            arguments => arguments.Check("suffix").Text(0, "suffix") is var suffix && text.EndsWith(suffix, StringComparison.Ordinal)
                ? text[..^suffix.Length] : text,
        "replace" =>
            arguments =>
                PythonText.Replace(text, arguments.Check("old", "new", "count").Text(0, "old"), arguments.Text(1, "new"),
                    arguments.Integer(2, "count", -1)),
        "find" => arguments => Position(text, arguments, fromRight: false),
        "rfind" => arguments => Position(text, arguments, fromRight: true),
        "index" =>
            arguments => Position(text, arguments, fromRight: false) is var at and >= 0
                ? at : throw new TemplateError("index(): the text has no such part"),
        "rindex" =>
            arguments => Position(text, arguments, fromRight: true) is var at and >= 0
                ? at : throw new TemplateError("rindex(): the text has no such part"),
        "count" =>
            arguments => Within(text, arguments, "sub") is var (within, _) && arguments.Text(0, "sub") is { Length: > 0 } part
                ? (long)within.AsSpan().Count(part) : PythonText.Length(Within(text, arguments, "sub").Text) + 1,
        "join" => arguments => Join(text, JinjaFunctions.Items(arguments.Check("iterable").Require(0, "iterable"))),
        "format" => arguments => PythonFormat.Format(text, arguments),
        "isdigit" => _ => All(text, c => CharUnicodeInfo.GetDigitValue(c.ToString(), 0) >= 0),
        "isdecimal" => _ => All(text, c => Rune.GetUnicodeCategory(c) == UnicodeCategory.DecimalDigitNumber),
        "isnumeric" => _ => All(text, Rune.IsNumber),
        "isascii" => _ => text.All(char.IsAscii),
        "istitle" => _ => PythonText.IsTitle(text),
        "isprintable" =>
            _ => PythonText.Quote(text.Replace("\\", "", StringComparison.Ordinal).Replace("'", "", StringComparison.Ordinal))
                .Contains('\\') is false,
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

    private static string? Characters(Arguments arguments) =>
        arguments.Check("chars").Get(0, "chars") is null ? null : arguments.Text(0, "chars");

    private static string? Separator(Arguments arguments)
    {
        if (arguments.Check("sep", "maxsplit").Get(0, "sep") is null) return null;
        string separator = arguments.Text(0, "sep");
        return separator.Length > 0 ? separator : throw new TemplateError("split(): the separator is empty");
    }

    private static char Fill(Arguments arguments) =>
        arguments.Get(1, "fillchar", " ") is string and [var only] ? only : throw new TemplateError("'fillchar' is not one character");

    private static List<string> Affixes(Arguments arguments) => arguments.Require(0, "prefix") switch
    {
        string one => [one],
        JinjaTuple many when many.TrueForAll(item => item is string) => [.. many.Cast<string>()],
        var other => throw new TemplateError($"{JinjaValue.KindOf(other)} begins or ends no text"),
    };

    /// <summary>The part of a text that the optional 'start' and 'end' leave, and where it begins, in characters.</summary>
    private static (string Text, long Start) Within(string text, Arguments arguments, string first)
    {
        arguments.Check(first, "start", "end").Require(0, first);
        object? start = arguments.Get(1, "start"), end = arguments.Get(2, "end");
        if (start is null && end is null) return (text, 0);
        long length = PythonText.Length(text), from = start is null ? 0 : arguments.Integer(1, "start", 0);
        from = Math.Max(0, from < 0 ? from + length : from);
        return from > length ? ("", -1) : ((string)JinjaFunctions.Slice(text, from, end, null)!, from);
    }

    private static long Position(string text, Arguments arguments, bool fromRight)
    {
        (string within, long start) = Within(text, arguments, "sub");
        string part = arguments.Text(0, "sub");
        int at = start < 0 ? -1 : fromRight
            ? (part.Length == 0 ? within.Length : within.LastIndexOf(part, StringComparison.Ordinal)) : within.IndexOf(part,
                StringComparison.Ordinal);
        return at < 0 ? -1 : start + PythonText.Length(within[..at]);
    }

    private static JinjaTuple Partition(string text, string separator, bool fromRight)
    {
        if (separator.Length == 0) throw new TemplateError("partition(): the separator is empty");
        int at = fromRight ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0) return new JinjaTuple(fromRight ? ["", "", text] : [text, "", ""]);
        return new JinjaTuple([text[..at], separator, text[(at + separator.Length)..]]);
    }

    public static string Join(string separator, List<object?> items)
    {
        string[] parts =
            [.. items.Select(item => item as string ?? throw new TemplateError($"join(): {JinjaValue.KindOf(item)} is no text"))];
        JinjaRun.Make(parts.Sum(part => (long)part.Length) + (long)separator.Length * parts.Length);
        return string.Join(separator, parts);
    }
}
