using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Jinja;

/// <summary>Filters that write texts.</summary>
internal static partial class JinjaFilters
{
    private static string Escape(string text) =>
        text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;").Replace("'", "&#39;").Replace("\"", "&#34;");

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

    private static string Indent(object? value, Arguments arguments)
    {
        arguments.Check("width", "first", "blank");
        string by = arguments.Get(0, "width", 4L) is string given
            ? given : PythonText.Pad("", arguments.Integer(0, "width", 4), ' ', left: 1);
        bool first = JinjaValue.IsTrue(arguments.Get(1, "first", false)), blank = JinjaValue.IsTrue(arguments.Get(2, "blank", false));
        // as Jinja does, so that a last line end stays
        List<object?> lines = PythonText.Lines(JinjaValue.Text(value) + "\n", keepEnds: false);
        JinjaRun.Make((long)lines.Count * by.Length);
        return JinjaRun.Made(
            string.Join('\n', lines.Select((line, i) => (i == 0 ? first : blank || (string)line! != "") ? by + line : line)));
    }

    private static object? Truncate(object? value, Arguments arguments)
    {
        arguments.Check("length", "killwords", "end", "leeway");
        if (value is Undefined) return value;
        string text = value as string ?? throw new TemplateError($"truncate of {JinjaValue.KindOf(value)}"),
            end = JinjaValue.Text(arguments.Get(2, "end", "..."));
        long length = arguments.Integer(0, "length", 255),
            leeway = arguments.Get(3, "leeway") is null ? 5 : arguments.Integer(3, "leeway", 5), room = length - PythonText.Length(end);
        if (room < 0 || leeway < 0)
            throw new TemplateError($"truncate(): 'length' is {length} and 'leeway' {leeway}, expected room for '{end}'");
        if (PythonText.Length(text) - leeway <= length) return text;
        string kept = string.Concat(PythonText.Characters(text).Take((int)room));
        // no part of a word
        if (!JinjaValue.IsTrue(arguments.Get(1, "killwords", false)) && kept.LastIndexOf(' ') is var blank and >= 0) kept = kept[..blank];
        return kept + end;
    }

    /// <summary>A text for a path; a mapping or pairs for a query.</summary>
    private static string UrlEncode(object? value, Arguments arguments)
    {
        arguments.Check();
        if (value is not (JinjaDict or List<object?> or JinjaGenerator)) return Quoted(JinjaValue.Text(value), isPath: true);
        if (value is JinjaDict dictionary)
            value = new List<object?>(dictionary.Select(entry => (object?)new JinjaTuple([entry.Key, entry.Value])));
        return string.Join('&', JinjaFunctions.Items(value).Select(pair => JinjaFunctions.Items(pair) is [var name, var held]
            ? $"{Quoted(JinjaValue.Text(name), isPath: false)}={Quoted(JinjaValue.Text(held), isPath: false)}"
            : throw new TemplateError("urlencode of a list that holds no pairs")));

        static string Quoted(string text, bool isPath)
        {
            var result = new StringBuilder();
            foreach (byte c in Encoding.UTF8.GetBytes(text))
                if (char.IsAsciiLetterOrDigit((char)c) || "_.-~".Contains((char)c) || (isPath && c == '/')) result.Append((char)c);
                else if (c == ' ' && !isPath) result.Append('+');
                else result.Append(CultureInfo.InvariantCulture, $"%{c:X2}");
            return JinjaRun.Made(result.ToString());
        }
    }

    private static string FileSize(object? value, Arguments arguments)
    {
        bool binary = JinjaValue.IsTrue(arguments.Check("binary").Get(0, "binary", false));
        double size = value is string text ? PythonNumber.ParseReal(text) ?? throw new TemplateError($"filesizeformat of '{text}'")
            : PythonNumber.IsNumber(value)
            ? PythonNumber.Real(value) : throw new TemplateError($"filesizeformat of {JinjaValue.KindOf(value)}");
        if (size == 1) return "1 Byte";
        double unit = binary ? 1024 : 1000;
        if (size < unit) return $"{JinjaValue.Text(PythonNumber.Truncated(size))} Bytes";
        const string Prefixes = "kMGTPEZY";
        int power = 0;
        double of = unit * unit;
        while (!(size < of) && power + 1 < Prefixes.Length) (power, of) = (power + 1, of * unit);
        return $"{new NumberSpec { Precision = 1 }.Real(unit * size / of, 'f', zeros: false)} {(binary && power == 0 ? 'K' : Prefixes[power])}{(binary ? "i" : "")}B";
    }

    private static string XmlAttributes(object? value, Arguments arguments)
    {
        bool space = JinjaValue.IsTrue(arguments.Check("autospace").Get(0, "autospace", true));
        if (value is not JinjaDict attributes) throw new TemplateError($"xmlattr of {JinjaValue.KindOf(value)}");
        foreach (object name in attributes.Keys)
            if (name is not string key || key.Any(c => PythonText.IsSpace(c) || c is '/' or '=' or '>'))
                throw new TemplateError($"xmlattr(): '{JinjaValue.Text(name)}' is no name of an attribute");
        string text =
            string.Join(' ',
                attributes.Where(entry => entry.Value is not (null or Undefined))
                    .Select(entry => $"{Escape(JinjaValue.Text(entry.Key))}=\"{Escape(JinjaValue.Text(entry.Value))}\""));
        return JinjaRun.Made(space && text.Length > 0 ? " " + text : text);
    }

    [GeneratedRegex(@"\w+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();
}
