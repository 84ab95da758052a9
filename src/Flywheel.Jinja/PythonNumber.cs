using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace Flywheel.Jinja;

/// <summary>Python's numbers: integers of any size, and exact conversions between them, floats and text.</summary>
/// <remarks>An integer is a <see cref="long"/> where it fits, else a <see cref="BigInteger"/>: there is one form of each value.</remarks>
internal static partial class PythonNumber
{
    /// <summary>Python itself refuses to write longer ones.</summary>
    private const int MaxDigits = 4300;

    /// <summary>Larger ones only waste time: no text of them could be written.</summary>
    private const long MaxBits = 1 << 17;

    public static bool IsInteger(object? value) => value is long or BigInteger;

    public static bool IsNumber(object? value) => value is long or double or bool or BigInteger;

    public static object Integer(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? (object)(long)value
        : value.GetBitLength() <= MaxBits ? value : throw new TemplateError($"a whole number of more than {MaxBits} bits");

    /// <summary>Of an integer or a truth value.</summary>
    public static BigInteger Big(object? value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => (BigInteger)value!,
    };

    /// <summary>The nearest float.</summary>
    /// <exception cref="TemplateError">The number is beyond all floats.</exception>
    public static double Real(object? value) => value switch
    {
        double number => number,
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => double.Parse(((BigInteger)value!).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) is var real
            && double.IsFinite(real) ? real
            : throw new TemplateError("the whole number is too large for a float"),
    };

    public static string Text(BigInteger value)
    {
        if (value.GetBitLength() > MaxDigits * 3.3219280948873626)
            throw new TemplateError($"a whole number of more than {MaxDigits} digits cannot be written");
        JinjaRun.Step((int)(value.GetBitLength() / 16));
        return value.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Exact, also between integers and floats.</summary>
    public static bool Equal(object a, object b) => Compare(a, b) == 0;

    /// <summary>Null where there is no order: one is no number.</summary>
    public static int? Compare(object a, object b)
    {
        if (a is not double && b is not double)
            return a is BigInteger || b is BigInteger ? Big(a).CompareTo(Big(b)) : Small(a).CompareTo(Small(b));
        if (a is double x && b is double y) return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
        if (b is not double real) return -Compare(b, a);
        if (double.IsNaN(real)) return null;
        if (double.IsInfinity(real)) return real > 0 ? -1 : 1;
        int order = Big(a).CompareTo(new BigInteger(Math.Floor(real)));
        return order == 0 && real != Math.Floor(real) ? -1 : order;
    }

    private static long Small(object value) => value is bool flag ? (flag ? 1 : 0) : (long)value;

    /// <summary>Equal numbers have the same, whatever their type.</summary>
    public static int Hash(object value) => value switch
    {
        double real when double.IsInteger(real) => Hash(Integer(new BigInteger(real))),
        double real => real.GetHashCode(),
        BigInteger big => big.GetHashCode(),
        _ => Small(value).GetHashCode(),
    };

    /// <summary>Without its fraction; null for infinity and for what is no number.</summary>
    public static object? Truncated(double value) => double.IsFinite(value) ? Integer(new BigInteger(Math.Truncate(value))) : null;

    /// <summary>Python's int() of a text: a sign, a prefix where the base has one, digits with single underscores between them. Null when
    /// it is none.</summary>
    /// <param name="text">White space around it is nothing.</param>
    /// <param name="numberBase">2 to 36, or 0 for what the prefix says.</param>
    public static object? Parse(string text, long numberBase = 10)
    {
        text = PythonText.StripRight(PythonText.StripLeft(text)).ToLowerInvariant();
        bool negative = text.StartsWith('-');
        if (negative || text.StartsWith('+')) text = text[1..];
        long prefixed = text.Length > 1 && text[0] == '0' ? text[1] switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        bool isPrefixed = prefixed > 0 && (numberBase == prefixed || numberBase == 0);
        if (isPrefixed)
        {
            text = text[2..];
            if (text.StartsWith('_')) text = text[1..];
        }
        if (numberBase == 0 && !isPrefixed && text.Length > 1 && text[0] == '0' && text.AsSpan().ContainsAnyExcept("0_")) return null;
        int radix = numberBase == 0 ? (isPrefixed ? (int)prefixed : 10) : (int)numberBase;
        if (!Digits().IsMatch(text)) return null;
        text = text.Replace("_", "", StringComparison.Ordinal);
        if (text.Length > MaxDigits && !int.IsPow2(radix)) throw new TemplateError($"a whole number of more than {MaxDigits} digits");
        BigInteger value = 0;
        JinjaRun.Step(text.Length);
        foreach (char c in text)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : c - 'a' + 10;
            if (digit >= radix) return null;
            value = value * radix + digit;
        }
        return Integer(negative ? -value : value);
    }

    [GeneratedRegex(@"\A[0-9a-z]+(_[0-9a-z]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Digits();

    /// <summary>Python's float() of a text; null when it is none.</summary>
    public static double? ParseReal(string text)
    {
        text = PythonText.StripRight(PythonText.StripLeft(text));
        if (Decimal().IsMatch(text)) return double.Parse(text.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        string word = text.TrimStart('+', '-').ToLowerInvariant();
        if (text.Length - word.Length > 1) return null;
        double sign = text.StartsWith('-') ? -1 : 1;
        return word is "inf" or "infinity" ? sign * double.PositiveInfinity : word == "nan" ? double.NaN : null;
    }

    [GeneratedRegex(@"\A[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+(_\d+)*)?\z",
        RegexOptions.CultureInvariant | RegexOptions.ECMAScript)]
    private static partial Regex Decimal();

    /// <summary>A finite float's magnitude as it is: digits and how many of them follow the point.</summary>
    public static (BigInteger Digits, int Scale) Exact(double value)
    {
        long bits = BitConverter.DoubleToInt64Bits(Math.Abs(value));
        int exponent = (int)(bits >> 52);
        BigInteger mantissa = exponent == 0 ? bits : (bits & ((1L << 52) - 1)) | (1L << 52);
        exponent = Math.Max(exponent, 1) - 1075;
        JinjaRun.Step(8);
        return exponent >= 0 ? (mantissa << exponent, 0) : (mantissa * BigInteger.Pow(5, -exponent), -exponent);
    }

    /// <summary>Drops decimal digits; a half goes to the even neighbour.</summary>
    /// <param name="digits">Not negative.</param>
    /// <param name="count">How many digits go; when negative, zeros are put on.</param>
    public static BigInteger Drop(BigInteger digits, int count)
    {
        if (count <= 0) return digits * BigInteger.Pow(10, -count);
        BigInteger unit = BigInteger.Pow(10, count), whole = BigInteger.DivRem(digits, unit, out BigInteger rest);
        int half = (rest * 2).CompareTo(unit);
        return half > 0 || (half == 0 && !whole.IsEven) ? whole + 1 : whole;
    }

    /// <summary>Python's round(): of an integer an integer, of a float a float.</summary>
    public static object Round(object value, long digits)
    {
        if (value is not double real)
        {
            BigInteger number = Big(value);
            if (digits >= 0) return Integer(number);
            if (-digits > MaxDigits) return 0L;
            BigInteger rounded = Drop(BigInteger.Abs(number), (int)-digits) * BigInteger.Pow(10, (int)-digits);
            return Integer(number.Sign < 0 ? -rounded : rounded);
        }
        if (!double.IsFinite(real) || digits > 323) return real;
        if (digits < -308) return Math.CopySign(0, real);
        (BigInteger exact, int scale) = Exact(real);
        if (scale <= digits) return real;
        BigInteger kept = Drop(exact, scale - (int)digits);
        double result = double.Parse($"{kept}e{-digits}", CultureInfo.InvariantCulture);
        return double.IsFinite(result)
            ? Math.CopySign(result, real) : throw new TemplateError("the rounded number is too large for a float");
    }
}
