using System.Globalization;
using System.Numerics;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>How a number or a text is written into a field: Python's format specification.</summary>
internal readonly record struct NumberSpec()
{
    /// <summary>One character.</summary>
    public string FillText { get; init; } = " ";

    public char Fill
    {
        get => FillText[0];
        init => FillText = value.ToString();
    }

    /// <summary>'&lt;', '&gt;', '^', or '=' for padding after the sign; none for the kind's own.</summary>
    public char Align { get; init; }

    /// <summary>'+' and ' ' are written before what is not negative.</summary>
    public char Sign { get; init; }

    public bool Alternate { get; init; }

    /// <summary>Minus zero is written as zero.</summary>
    public bool NoMinusZero { get; init; }

    public int Width { get; init; }

    public int? Precision { get; init; }

    /// <summary><c>[[fill]align][sign][z][#][0][width][grouping][.precision][type]</c></summary>
    public static (NumberSpec Spec, char Type, char Grouping) Parse(string text, bool isText)
    {
        const string Aligns = "<>=^";
        var spec = new NumberSpec();
        int at = 0;
        string[] first = [.. PythonText.Characters(text).Take(2)];
        if (first.Length == 2 && Aligns.Contains(first[1]))
        {
            spec = spec with { FillText = first[0], Align = first[1][0] };
            at = first[0].Length + 1;
        }
        else if (Aligns.Contains(text[0])) spec = spec with { Align = text[at++] };
        if (Is("+- ")) spec = spec with { Sign = text[at++] };
        if (Is("z"))
        {
            spec = spec with { NoMinusZero = true };
            at++;
        }
        if (Is("#"))
        {
            spec = spec with { Alternate = true };
            at++;
        }
        if (Is("0"))
        {
            if (first.Length < 2 || !Aligns.Contains(first[1])) spec = spec with { FillText = "0" };
            if (spec.Align == '\0' && !isText) spec = spec with { Align = '=' };
            at++;
        }
        spec = spec with { Width = Number() ?? 0 };
        char grouping = Is(",_") ? text[at++] : '\0';
        if (Is("."))
        {
            at++;
            spec = spec with { Precision = Number() ?? throw new TemplateError($"format(): '{text}' has no precision after the point") };
        }
        char type = at < text.Length ? text[at++] : '\0';
        return at == text.Length ? (spec, type, grouping) : throw new TemplateError($"format(): '{text}' is no format specification");

        bool Is(string characters) => at < text.Length && characters.Contains(text[at]);

        int? Number()
        {
            int start = at;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
            if (start == at) return null;
            return int.TryParse(text.AsSpan(start, at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                && number <= 1 << 24 ? number : throw new TemplateError("a format is too wide");
        }
    }

    /// <param name="text">What stands in the field.</param>
    /// <param name="head">Length of its sign and prefix, behind which '=' pads.</param>
    /// <param name="right">The kind stands to the right where nothing else is said.</param>
    public string Pad(string text, int head, bool right = false)
    {
        long missing = Width - PythonText.Length(text);
        if (missing <= 0) return text;
        char align = Align == '\0' ? (right ? '>' : '<') : Align;
        long left = align switch { '<' => 0, '^' => missing / 2, _ => missing };
        JinjaRun.Make(missing * FillText.Length);
        var result = new StringBuilder();
        if (align == '=') result.Append(text, 0, head);
        result.Insert(result.Length, FillText, (int)left);
        result.Append(text, align == '=' ? head : 0, text.Length - (align == '=' ? head : 0));
        return result.Insert(result.Length, FillText, (int)(missing - left)).ToString();
    }

    /// <param name="value">The number.</param>
    /// <param name="type">d, b, o, x or X.</param>
    /// <param name="minDigits">Zeros are put before fewer digits.</param>
    /// <param name="zeros">Zeros fill the field.</param>
    /// <param name="grouping">What stands between groups of digits.</param>
    public string Integer(BigInteger value, char type, int minDigits, bool zeros, char grouping = '\0')
    {
        BigInteger size = BigInteger.Abs(value);
        string digits = type == 'd' ? PythonNumber.Text(size) : Digits(size, type switch { 'b' => 1, 'o' => 3, _ => 4 });
        if (type == 'X') digits = digits.ToUpperInvariant();
        JinjaRun.Make(minDigits);
        string prefix = Alternate && type != 'd' ? "0" + type : "";
        return Compose(value.Sign < 0, prefix, digits.PadLeft(minDigits, '0'), "", zeros, grouping, type == 'd' ? 3 : 4);
    }

    /// <summary>Digits of a base that is a power of two.</summary>
    private static string Digits(BigInteger value, int bits)
    {
        if (value.IsZero) return "0";
        var digits = new StringBuilder();
        JinjaRun.Make((long)value.GetBitLength() / bits);
        for (byte mask = (byte)((1 << bits) - 1); !value.IsZero; value >>= bits) digits.Insert(0, "0123456789abcdef"[(int)(value & mask)]);
        return digits.ToString();
    }

    /// <param name="value">The number.</param>
    /// <param name="type">e, f, g, their capitals, %; none for as few digits as tell the number.</param>
    /// <param name="zeros">Zeros fill the field.</param>
    /// <param name="grouping">What stands between groups of digits.</param>
    public string Real(double value, char type, bool zeros, char grouping = '\0')
    {
        bool negative = value < 0 || (value == 0 && double.IsNegative(value));
        double size = Math.Abs(value);
        if (type == '%') size *= 100;
        JinjaRun.Make(Precision ?? 0);
        string text = !double.IsFinite(size) ? (double.IsNaN(size) ? "nan" : "inf")
            : type == '\0' && Precision is null ? Shortest(size)
            : char.ToLowerInvariant(type) switch
            {
                'f' or '%' => Fixed(size, Precision ?? 6),
                'e' => Exponential(size, Precision ?? 6).Text,
                _ => General(size, Precision ?? 6, dotZero: type == '\0'),
            };
        if (Alternate && double.IsFinite(size) && !text.Contains('.'))
            text = text.IndexOf('e') is var e and >= 0 ? text.Insert(e, ".") : text + ".";
        if (type == '%') text += "%";
        if (char.IsAsciiLetterUpper(type)) text = text.ToUpperInvariant();
        if (NoMinusZero && !text.AsSpan().ContainsAnyInRange('1', '9')) negative = false;
        int whole = text.AsSpan().IndexOfAnyExceptInRange('0', '9') is var end and >= 0 ? end : text.Length;
        return Compose(negative, "", text[..whole], text[whole..], zeros, grouping, 3);
    }

    private string Compose(bool negative, string prefix, string digits, string rest, bool zeros, char grouping, int group)
    {
        string head = (negative ? "-" : Sign is '+' or ' ' ? Sign.ToString() : "") + prefix;
        int room = Width - head.Length - rest.Length;
        if (zeros && room > digits.Length && grouping == '\0')
        {
            JinjaRun.Make(room);
            digits = digits.PadLeft(room, '0');
        }
        if (grouping != '\0' && digits.Length > 0)
        {
            JinjaRun.Make(Math.Max(0, room) + digits.Length);
            // So many digits that with their separators they fill the field.
            int count = digits.Length;
            while (zeros && count + (count - 1) / group < room) count++;
            digits = digits.PadLeft(count, '0');
            var grouped = new StringBuilder(digits);
            for (int at = digits.Length - group; at > 0; at -= group) grouped.Insert(at, grouping);
            digits = grouped.ToString();
        }
        return Pad(head + digits + rest, head.Length, right: true);
    }

    private static string Shortest(double value) => PythonText.Float(value);

    private static string Fixed(double value, int digits)
    {
        (BigInteger exact, int scale) = PythonNumber.Exact(value);
        string text = PythonNumber.Drop(exact, scale - digits).ToString(CultureInfo.InvariantCulture).PadLeft(digits + 1, '0');
        return digits == 0 ? text : $"{text[..^digits]}.{text[^digits..]}";
    }

    private static (string Text, int Exponent) Exponential(double value, int digits)
    {
        (BigInteger exact, int scale) = PythonNumber.Exact(value);
        int exponent = 0;
        string kept = new('0', digits + 1);
        if (!exact.IsZero)
        {
            int length = exact.ToString(CultureInfo.InvariantCulture).Length;
            exponent = length - 1 - scale;
            kept = PythonNumber.Drop(exact, length - digits - 1).ToString(CultureInfo.InvariantCulture);
            if (kept.Length > digits + 1) (kept, exponent) = (kept[..^1], exponent + 1); // 9.99 became 10.0
        }
        return ($"{kept[0]}{(digits > 0 ? "." : "")}{kept[1..]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}", exponent);
    }

    /// <summary>So many digits that count, as a plain number where its exponent is small.</summary>
    private string General(double value, int digits, bool dotZero)
    {
        digits = Math.Max(digits, 1);
        (string text, int exponent) = Exponential(value, digits - 1);
        bool plain = exponent >= -4 && exponent < (dotZero ? digits - 1 : digits);
        if (plain) text = Fixed(value, digits - 1 - exponent);
        if (Alternate) return text;
        int end = plain ? text.Length : text.IndexOf('e');
        string mantissa = text[..end];
        if (mantissa.Contains('.')) mantissa = mantissa.TrimEnd('0').TrimEnd('.');
        return mantissa + (plain && dotZero && !mantissa.Contains('.') ? ".0" : "") + text[end..];
    }
}
