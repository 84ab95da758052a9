using System.Globalization;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>Python's % on texts, str.format() and strftime, the forms that templates use.</summary>
internal static class PythonFormat
{
    /// <summary><c>"%s is %d" % (name, 5)</c>.</summary>
    public static string Percent(string format, List<object?> values)
    {
        var result = new StringBuilder();
        int used = 0;
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                result.Append(format[i]);
                continue;
            }
            if (++i >= format.Length) throw new TemplateError("a format ends with '%'");
            if (format[i] == '%')
            {
                result.Append('%');
                continue;
            }
            int start = i;
            while (i < format.Length && "-+ 0123456789.".Contains(format[i])) i++;
            if (i >= format.Length) throw new TemplateError("a format ends early");
            if (used >= values.Count) throw new TemplateError("a format has more places than values");
            object? value = values[used++];
            string modifiers = format[start..i];
            bool left = modifiers.StartsWith('-');
            string text = format[i] switch
            {
                's' => Cut(JinjaValue.Text(value), modifiers),
                'd' or 'i' when value is long or bool => (value is bool flag ? (flag ? 1 : 0) : (long)value).ToString(CultureInfo.InvariantCulture),
                'd' or 'i' when value is double number => Math.Truncate(number).ToString("0", CultureInfo.InvariantCulture),
                'f' or 'F' => Fixed(value, Precision(modifiers) ?? 6),
                'x' when value is long number => number.ToString("x", CultureInfo.InvariantCulture),
                _ => throw new TemplateError($"the format '%{modifiers}{format[i]}' of {JinjaValue.KindOf(value)} is not supported"),
            };
            int point = modifiers.IndexOf('.');
            string width = (point < 0 ? modifiers : modifiers[..point]).TrimStart('-', '+', ' ');
            bool zeros = width.StartsWith('0') && format[i] != 's' && !left;
            int wanted = width.Length == 0 ? 0 : int.TryParse(width, CultureInfo.InvariantCulture, out int parsed) ? parsed : throw new TemplateError("a format is too wide");
            if (zeros && text.StartsWith('-')) text = "-" + PythonText.Pad(text[1..], wanted - 1, '0', left: 1);
            result.Append(PythonText.Pad(text, wanted, zeros ? '0' : ' ', left ? 0 : 1));
        }
        if (used < values.Count && values is not [JinjaDict]) throw new TemplateError("a format has fewer places than values");
        return JinjaRun.Made(result.ToString());
    }

    private static int? Precision(string modifiers) => modifiers.IndexOf('.') is var point and >= 0
        ? int.TryParse(modifiers[(point + 1)..], out int digits) && digits <= 100 ? digits : modifiers.EndsWith('.') ? 0 : throw new TemplateError("a format is too precise")
        : null;

    private static string Cut(string text, string modifiers) => Precision(modifiers) is { } length && length < PythonText.Length(text) ? string.Concat(PythonText.Characters(text).Take(length)) : text;

    private static string Fixed(object? value, int digits) => value switch
    {
        double number => number.ToString("F" + digits, CultureInfo.InvariantCulture),
        long number => ((decimal)number).ToString("F" + digits, CultureInfo.InvariantCulture),
        _ => throw new TemplateError($"{JinjaValue.KindOf(value)} is no number"),
    };

    /// <summary><c>"{} and {name}".format(value, name=value)</c>: places by order, number or name, without format codes.</summary>
    public static string Format(string format, Arguments arguments)
    {
        var result = new StringBuilder();
        int next = 0;
        for (int i = 0; i < format.Length; i++)
        {
            char c = format[i];
            if (c is '{' or '}' && i + 1 < format.Length && format[i + 1] == c)
            {
                result.Append(c);
                i++;
            }
            else if (c == '{')
            {
                int end = format.IndexOf('}', i);
                if (end < 0) throw new TemplateError("format(): a '{' has no '}'");
                string place = format[(i + 1)..end];
                if (place.AsSpan().ContainsAny(":!.[{")) throw new TemplateError($"format(): '{{{place}}}' is not supported");
                object? value = place.Length == 0 ? At(next++)
                    : int.TryParse(place, NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? At(index)
                    : arguments.Named.Exists(argument => argument.Name == place) ? arguments.Named.Find(argument => argument.Name == place).Value
                    : throw new TemplateError($"format(): no value for '{place}'");
                result.Append(JinjaRun.Made(JinjaValue.Text(value)));
                i = end;
            }
            else if (c == '}') throw new TemplateError("format(): a '}' has no '{'");
            else result.Append(c);
        }
        return result.ToString();

        object? At(int index) => index < arguments.Positional.Count ? arguments.Positional[index] : throw new TemplateError($"format(): no value for place {index}");
    }

    /// <summary>strftime in the C locale.</summary>
    public static string Time(string format, DateTimeOffset time)
    {
        var result = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }
            char code = format[++i];
            bool bare = code == '-' && i + 1 < format.Length; // without leading zeros
            if (bare) code = format[++i];
            string text = code switch
            {
                'Y' => time.ToString("yyyy", CultureInfo.InvariantCulture),
                'y' => time.ToString("yy", CultureInfo.InvariantCulture),
                'm' => time.ToString("MM", CultureInfo.InvariantCulture),
                'd' => time.ToString("dd", CultureInfo.InvariantCulture),
                'e' => time.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
                'H' => time.ToString("HH", CultureInfo.InvariantCulture),
                'I' => time.ToString("hh", CultureInfo.InvariantCulture),
                'M' => time.ToString("mm", CultureInfo.InvariantCulture),
                'S' => time.ToString("ss", CultureInfo.InvariantCulture),
                'p' => time.ToString("tt", CultureInfo.InvariantCulture),
                'B' => time.ToString("MMMM", CultureInfo.InvariantCulture),
                'b' or 'h' => time.ToString("MMM", CultureInfo.InvariantCulture),
                'A' => time.ToString("dddd", CultureInfo.InvariantCulture),
                'a' => time.ToString("ddd", CultureInfo.InvariantCulture),
                'j' => time.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
                'F' => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
                'T' => time.ToString("HH:mm:ss", CultureInfo.InvariantCulture),
                'D' => time.ToString("MM/dd/yy", CultureInfo.InvariantCulture),
                'Z' or 'z' => "", // a time without zone, as datetime.now() gives
                '%' => "%",
                _ => throw new TemplateError($"strftime_now(): '%{code}' is not supported"),
            };
            result.Append(bare && text.Length > 1 ? text.TrimStart('0') is { Length: > 0 } digits ? digits : "0" : text);
        }
        return result.ToString();
    }
}
