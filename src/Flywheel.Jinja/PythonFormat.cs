using System.Globalization;
using System.Numerics;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>Python's % on texts and its str.format().</summary>
internal static class PythonFormat
{
    private const int MaxWidth = 1 << 24;

    /// <summary><c>"%s is %5.2f" % (name, 5)</c>, <c>"%(a)s" % {"a": 1}</c>.</summary>
    /// <param name="format">With its places.</param>
    /// <param name="given">A tuple of values, a mapping for places with names, or the only value.</param>
    public static string Percent(string format, object? given)
    {
        var result = new StringBuilder();
        JinjaTuple values = given as JinjaTuple ?? new JinjaTuple([given]);
        int used = 0, at = 0;
        while (at < format.Length)
        {
            if (format[at] != '%')
            {
                result.Append(format[at++]);
                continue;
            }
            at++;
            object? named = null;
            bool isNamed = at < format.Length && format[at] == '(';
            if (isNamed)
            {
                string name = Name(format, ref at);
                named = given is JinjaDict fields
                    ? (fields.TryGetValue(name, out object? field) ? field : throw new TemplateError($"a format has no value for '{name}'"))
                    : throw new TemplateError("a format with names needs a mapping");
            }
            var spec = new NumberSpec { Align = '>' };
            for (; at < format.Length && "-+ #0".Contains(format[at]); at++)
                spec = format[at] switch
                {
                    '-' => spec with { Align = '<' },
                    '+' => spec with { Sign = '+' },
                    ' ' => spec.Sign == '+' ? spec : spec with { Sign = ' ' },
                    '#' => spec with { Alternate = true },
                    _ => spec with { Fill = '0' },
                };
            int width = Count(out bool asked) ?? 0;
            if (asked && width < 0) spec = spec with { Align = '<' };
            spec = spec with { Width = Math.Abs(width) };
            if (at < format.Length && format[at] == '.')
            {
                at++;
                spec = spec with { Precision = Math.Max(0, Count(out _) ?? 0) };
            }
            if (at < format.Length && format[at] is 'l' or 'h' or 'L') at++;
            if (at >= format.Length) throw new TemplateError("a format ends early");
            char type = format[at++];
            if (type == '%')
            {
                result.Append('%');
                continue;
            }
            object? value = isNamed ? named : Next();
            result.Append(Converted(value, type, spec));
        }
        if (used < values.Count && given is not (JinjaDict or Undefined or List<object?> and not JinjaTuple))
            throw new TemplateError("a format has fewer places than values");
        return JinjaRun.Made(result.ToString());

        object? Next() => used < values.Count ? values[used++] : throw new TemplateError("a format has more places than values");

        int? Count(out bool isAsked)
        {
            isAsked = at < format.Length && format[at] == '*';
            if (isAsked)
            {
                at++;
                return Next() is long number && number is > -MaxWidth and < MaxWidth
                    ? (int)number : throw new TemplateError("'*' in a format needs a whole number");
            }
            int start = at;
            while (at < format.Length && char.IsAsciiDigit(format[at])) at++;
            return start == at ? null : Width(format.AsSpan(start, at - start));
        }
    }

    private static string Name(string format, ref int at)
    {
        int depth = 1, start = ++at;
        for (; at < format.Length && depth > 0; at++) depth += format[at] == '(' ? 1 : format[at] == ')' ? -1 : 0;
        return depth == 0 ? format[start..(at - 1)] : throw new TemplateError("a name in a format has no ')'");
    }

    private static string Converted(object? value, char type, NumberSpec spec)
    {
        switch (type)
        {
            case 's' or 'r' or 'a':
                string text = type == 's' ? JinjaValue.Text(value) : JinjaValue.Representation(value);
                if (type == 'a') text = Ascii(text);
                return (spec with { Fill = ' ' }).Pad(Cut(text, spec.Precision), 0);
            case 'c':
                text = value is string only && PythonText.Length(only) == 1 ? only
                    : Character(value) ?? throw new TemplateError($"the format '%c' of {JinjaValue.KindOf(value)}");
                return (spec with { Fill = ' ' }).Pad(text, 0);
            case 'd' or 'i' or 'u' or 'x' or 'X' or 'o':
                if (value is double real && type is 'd' or 'i' or 'u') value = PythonNumber.Truncated((double)value!);
                if (!PythonNumber.IsNumber(value) || value is double)
                    throw new TemplateError($"the format '%{type}' of {JinjaValue.KindOf(value)}");
                // The precision of an integer is how many digits it has at least.
                return spec.Integer(PythonNumber.Big(value), type is 'i' or 'u' ? 'd' : type, minDigits: spec.Precision ?? 0,
                    zeros: spec.Fill == '0' && spec.Align == '>');
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                if (!PythonNumber.IsNumber(value)) throw new TemplateError($"the format '%{type}' of {JinjaValue.KindOf(value)}");
                return spec.Real(PythonNumber.Real(value), type, zeros: spec.Fill == '0' && spec.Align == '>');
            default:
                throw new TemplateError($"the format '%{type}' is not supported");
        }
    }

    /// <summary>The character of a number; null when it has none. Half a surrogate pair is none.</summary>
    private static string? Character(object? value) =>
        value is long or bool && PythonNumber.Big(value) is var code && code >= 0 && Rune.IsValid((int)BigInteger.Min(code, int.MaxValue))
            ? new Rune((int)code).ToString() : null;

    private static string Ascii(string text) =>
        string.Concat(
            text.EnumerateRunes()
                .Select(c => c.IsAscii ? c.ToString() : c.Value < 256 ? $"\\x{c.Value:x2}" : c.IsBmp
                    ? $"\\u{c.Value:x4}" : $"\\U{c.Value:x8}"));

    private static string Cut(string text, int? length) =>
        length is { } most && most < PythonText.Length(text) ? string.Concat(PythonText.Characters(text).Take(most)) : text;

    private static int Width(ReadOnlySpan<char> digits) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int width) && width <= MaxWidth
            ? width : throw new TemplateError("a format is too wide");

    /// <summary><c>"{} and {name!r:>8}".format(value, name=value)</c>.</summary>
    public static string Format(string format, Arguments arguments)
    {
        int next = 0;
        return JinjaRun.Made(Places(format, 2));

        string Places(string text, int depth)
        {
            if (depth == 0) throw new TemplateError("format(): places are nested too deep");
            var result = new StringBuilder();
            for (int i = 0; i < text.Length; i++)
            {
                char c = text[i];
                if (c is '{' or '}' && i + 1 < text.Length && text[i + 1] == c)
                {
                    result.Append(c);
                    i++;
                }
                else if (c == '{') result.Append(Place(text[(i + 1)..(i = End(text, i))], depth));
                else if (c == '}') throw new TemplateError("format(): a '}' has no '{'");
                else result.Append(c);
            }
            return result.ToString();
        }

        string Place(string place, int depth)
        {
            int name = 0;
            for (bool inBrackets = false; name < place.Length && (inBrackets || place[name] is not ('!' or ':')); name++)
                inBrackets = place[name] == '[' || (inBrackets && place[name] != ']');
            object? value = Field(place[..name]);
            string rest = place[name..], spec = "";
            if (rest.StartsWith('!'))
            {
                if (rest.Length < 2 || (rest.Length > 2 && rest[2] != ':'))
                    throw new TemplateError($"format(): '{{{place}}}' has no conversion after '!'");
                value = rest[1] switch { 's' => JinjaValue.Text(value), 'r' => JinjaValue.Representation(value),
                    'a' => Ascii(JinjaValue.Representation(value)),
                    var other => throw new TemplateError($"format(): '!{other}' is not supported") };
                rest = rest[2..];
            }
            if (rest.StartsWith(':')) spec = Places(rest[1..], depth - 1);
            return Value(value, spec);
        }

        object? Field(string path)
        {
            int end = path.AsSpan().IndexOfAny('.', '[');
            string name = end < 0 ? path : path[..end];
            object? value;
            if (name.Length == 0)
            {
                if (next < 0) throw new TemplateError("format(): places with and without numbers");
                value = At(next++);
            }
            else if (name.All(char.IsAsciiDigit))
            {
                if (next > 0) throw new TemplateError("format(): places with and without numbers");
                next = -1;
                value = At(Width(name));
            }
            else value = arguments.Named.Exists(argument => argument.Name == name)
                ? arguments.Named.Find(argument => argument.Name == name).Value : throw new TemplateError(
                    $"format(): no value for '{name}'");
            while (end >= 0 && end < path.Length)
            {
                bool isItem = path[end] == '[';
                int stop = isItem ? path.IndexOf(']', end) : path.AsSpan(end + 1).IndexOfAny('.', '[') is var at and >= 0
                    ? end + 1 + at : path.Length;
                if (stop <= end + 1) throw new TemplateError($"format(): '{{{path}}}' is malformed");
                string part = path[(end + 1)..stop];
                value = !isItem
                    ? JinjaFunctions.Attribute(value, part) : JinjaFunctions.Item(value,
                        part.All(char.IsAsciiDigit) ? Width(part) is var index ? (long)index : 0L : part);
                end = isItem ? stop + 1 : stop;
                if (end < path.Length && path[end] is not ('.' or '[')) throw new TemplateError($"format(): '{{{path}}}' is malformed");
            }
            return value;
        }

        object? At(int index) =>
            index < arguments.Positional.Count
                ? arguments.Positional[index] : throw new TemplateError($"format(): no value for place {index}");

        static int End(string text, int open)
        {
            int depth = 0;
            for (int i = open; i < text.Length; i++)
            {
                depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
                if (depth == 0) return i;
            }
            throw new TemplateError("format(): a '{' has no '}'");
        }
    }

    /// <summary>Python's format(value, spec).</summary>
    private static string Value(object? value, string spec)
    {
        if (spec.Length == 0) return JinjaValue.Text(value);
        if (value is not string && !PythonNumber.IsNumber(value))
            throw new TemplateError($"format(): '{spec}' of {JinjaValue.KindOf(value)}");
        (NumberSpec form, char type, char grouping) = NumberSpec.Parse(spec, isText: value is string);
        if (value is string text)
        {
            if (type is not ('\0' or 's') || grouping != '\0' || form.Sign != '\0' || form.Alternate || form.NoMinusZero
                || form.Align == '=') throw new TemplateError($"format(): '{spec}' of a text");
            return form.Pad(Cut(text, form.Precision), 0);
        }
        bool isReal = type is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%' or 'n' && (value is double || type != 'n') || value is double;
        if (isReal
            ? type is not ('\0' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%' or 'n') : type is not ('\0' or 'd' or 'n' or 'b' or 'o'
                or 'x' or 'X' or 'c'))
            throw new TemplateError($"format(): the type '{type}' of {JinjaValue.KindOf(value)}");
        if (form.NoMinusZero && !isReal) throw new TemplateError("format(): 'z' of a whole number");
        bool zeros = form.Fill == '0' && form.Align == '=';
        if (isReal) return form.Real(PythonNumber.Real(value), type, zeros, grouping);
        if (form.Precision is not null) throw new TemplateError("format(): a precision of a whole number");
        if (type == 'c')
            return Character(value) is { } character && form.Sign == '\0' && grouping == '\0'
                ? form.Pad(character, 0, right: true) : throw new TemplateError("format(): no character has this number");
        if (grouping == ',' && type is not ('\0' or 'd')) throw new TemplateError($"format(): ',' with the type '{type}'");
        return form.Integer(PythonNumber.Big(value), type is '\0' or 'n' ? 'd' : type, 0, zeros, grouping);
    }
}
