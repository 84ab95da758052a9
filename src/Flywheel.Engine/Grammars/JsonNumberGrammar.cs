using System.Globalization;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Numbers between bounds as GBNF, digit by digit. An expression is null where no number fits. Integers have at most 15
/// digits, which every reader of JSON keeps exactly; bounded numbers are written without an exponent.
/// </summary>
internal static class JsonNumberGrammar
{
    public const decimal Largest = 999_999_999_999_999;

    private const string Digits = "[0-9]{0,5}"; // more would round in a reader's double, perhaps to the bound

    public static string? Integers(decimal? least, decimal? most)
    {
        decimal low = Math.Ceiling(Math.Max(least ?? -Largest, -Largest)), high = Math.Floor(Math.Min(most ?? Largest, Largest));
        return Any(high < 0 ? null : Range(Math.Max(low, 0), high), low >= 0 ? null : Negative(Range(Math.Max(-high, 1), -low)));
    }

    /// <param name="least">Lower bound.</param>
    /// <param name="aboveLeast">The bound itself does not fit.</param>
    /// <param name="most">Upper bound.</param>
    /// <param name="belowMost">The bound itself does not fit.</param>
    public static string? Decimals(decimal? least, bool aboveLeast, decimal? most, bool belowMost)
    {
        decimal low = Math.Max(least ?? -Largest, -Largest), high = Math.Min(most ?? Largest, Largest);
        if (low > high) return null;
        return Any(
            high < 0 ? null : NotNegative(Math.Max(low, 0), aboveLeast && low >= 0, high, belowMost),
            low >= 0 ? null : Negative(NotNegative(Math.Max(-high, 0), belowMost && high <= 0, -low, aboveLeast)));
    }

    private static string? NotNegative(decimal low, bool aboveLow, decimal high, bool belowHigh)
    {
        decimal first = Math.Floor(low), last = Math.Floor(high);
        string from = Fraction(low), to = Fraction(high);
        if (first == last) return Then(Literal(first), Between(from, aboveLow, to, belowHigh));
        return Any(
            Then(Literal(first), from.Length == 0 && !aboveLow ? "(\".\" [0-9] " + Digits + ")?" : Then("\".\"", AtLeast(from, aboveLow))),
            Then(first + 1 > last - 1 ? null : Range(first + 1, last - 1), "(\".\" [0-9] " + Digits + ")?"),
            Then(Literal(last), to.Length == 0 ? belowHigh ? null : "(\".\" \"0\"{1,6})?" : $"({Then("\".\"", AtMost(to, belowHigh))})?"));
    }

    /// <summary>The point and digits of a fraction between two others, nothing included where zero is.</summary>
    private static string? Between(string from, bool above, string to, bool below)
    {
        string? withPoint = Then("\".\"", Digitwise(from, above, to, below));
        bool zero = from.Length == 0 && !above && !(to.Length == 0 && below);
        return zero ? withPoint is null ? "\"\"" : $"({withPoint})?" : withPoint;
    }

    private static string? Digitwise(string from, bool above, string to, bool below)
    {
        int a = from.Length > 0 ? from[0] - '0' : 0, b = to.Length > 0 ? to[0] - '0' : 0;
        string fromRest = from.Length > 0 ? from[1..] : "", toRest = to.Length > 0 ? to[1..] : "";
        if (a > b) return null;
        if (a == b)
        {
            if (fromRest.Length == 0 && toRest.Length == 0) return above || below ? null : $"\"{a}\" \"0\"{{0,5}}";
            string? rest = Digitwise(fromRest, above, toRest, below);
            return Then($"\"{a}\"", fromRest.Length == 0 && !above ? rest is null ? "\"\"" : $"({rest})?" : rest);
        }
        return Any(
            Then($"\"{a}\"", fromRest.Length == 0 && !above ? Digits : AtLeast(fromRest, above)),
            b - a > 1 ? $"[{a + 1}-{b - 1}] {Digits}" : null,
            UpTo(b, toRest, below));
    }

    private static string AtLeast(string digits, bool above)
    {
        if (digits.Length == 0) return above ? $"\"0\"{{0,5}} [1-9] {Digits}" : Digits;
        return Any(digits[0] == '9' ? null : $"[{(char)(digits[0] + 1)}-9] {Digits}", Then($"\"{digits[0]}\"", AtLeast(digits[1..], above)))!;
    }

    private static string? AtMost(string digits, bool below) =>
        Any(digits[0] == '0' ? null : $"[0-{(char)(digits[0] - 1)}] {Digits}", UpTo(digits[0] - '0', digits[1..], below));

    private static string? UpTo(int digit, string rest, bool below) =>
        rest.Length > 0 ? $"\"{digit}\" ({AtMost(rest, below)})?" : below ? null : $"\"{digit}\" \"0\"{{0,5}}";

    /// <summary>Integers from low to high, neither negative.</summary>
    private static string? Range(decimal low, decimal high)
    {
        if (low > high) return null;
        string a = Text(low), b = Text(high);
        if (a.Length == b.Length) return SameLength(a, b);
        string nines = new('9', a.Length), one = "1" + new string('0', b.Length - 1);
        string? middle = b.Length - a.Length < 2 ? null : $"[1-9] [0-9]{{{a.Length},{b.Length - 2}}}";
        return Any(SameLength(a, nines), middle, SameLength(one, b));
    }

    private static string SameLength(string a, string b)
    {
        if (a == b) return a.Length == 0 ? "\"\"" : $"\"{a}\"";
        int n = a.Length - 1;
        if (a[0] == b[0]) return $"\"{a[0]}\" {SameLength(a[1..], b[1..])}";
        string zeros = new('0', n), nines = new('9', n);
        char low = a[1..] == zeros ? a[0] : (char)(a[0] + 1), high = b[1..] == nines ? b[0] : (char)(b[0] - 1);
        return Any(
            low == a[0] ? null : $"\"{a[0]}\" {SameLength(a[1..], nines)}",
            low > high ? null : $"[{low}-{high}] [0-9]{{{n}}}",
            high == b[0] ? null : $"\"{b[0]}\" {SameLength(zeros, b[1..])}")!;
    }

    private static string? Any(params string?[] options)
    {
        string[] some = [.. options.OfType<string>()];
        return some.Length switch { 0 => null, 1 => some[0], _ => $"({string.Join(" | ", some)})" };
    }

    private static string? Then(string? first, string? second) => first is null || second is null ? null : $"{first} {second}";

    private static string? Negative(string? digits) => Then("\"-\"", digits);

    private static string Literal(decimal value) => $"\"{Text(value)}\"";

    private static string Text(decimal value) => decimal.Truncate(value).ToString("0", CultureInfo.InvariantCulture);

    /// <summary>Digits after the point, without zeros at the end.</summary>
    private static string Fraction(decimal value)
    {
        string text = value.ToString(CultureInfo.InvariantCulture);
        int point = text.IndexOf('.');
        return point < 0 ? "" : text[(point + 1)..].TrimEnd('0');
    }
}
