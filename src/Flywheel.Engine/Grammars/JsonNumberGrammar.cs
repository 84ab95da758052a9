using System.Globalization;
using System.Numerics;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Numbers between bounds as GBNF, digit by digit. An expression is null where no number fits. Integers have at most 19
/// digits, as identifiers of 64 bits have, or as many as a bound has; bounded numbers are written without an exponent, and
/// with a fraction only up to 15 digits before the point.
/// </summary>
internal static class JsonNumberGrammar
{
    /// <summary>Digits of integers where no bound has more.</summary>
    public const int IntegerDigits = 19;

    /// <summary>Digits that a bound may have to be kept.</summary>
    public const int MaxDigits = 100;

    private const string Digits = "[0-9]{0,5}"; // more would round in a reader's double, perhaps to the bound

    private static readonly BigInteger Whole = BigInteger.Pow(10, 15);

    /// <summary>The range of integers that are written: one of 19 digits, or of as many as the bounds have.</summary>
    public static (BigInteger Low, BigInteger High) Range(ExactNumber? least, ExactNumber? most)
    {
        int digits = Math.Max(IntegerDigits, Math.Max(NumDigits(least), NumDigits(most)));
        BigInteger largest = BigInteger.Pow(10, digits) - 1;
        return (BigInteger.Max(least?.Ceiling ?? -largest, -largest), BigInteger.Min(most?.Floor ?? largest, largest));

        static int NumDigits(ExactNumber? bound) => bound is { } number ? Text(BigInteger.Abs(number.Floor)).Length : 0;
    }

    public static string? Integers(ExactNumber? least, ExactNumber? most)
    {
        (BigInteger low, BigInteger high) = Range(least, most);
        return Signed(low, high);
    }

    /// <param name="least">Lower bound.</param>
    /// <param name="aboveLeast">The bound itself does not fit.</param>
    /// <param name="most">Upper bound.</param>
    /// <param name="belowMost">The bound itself does not fit.</param>
    public static string? Decimals(ExactNumber? least, bool aboveLeast, ExactNumber? most, bool belowMost)
    {
        if (least > most) return null;
        (BigInteger low, BigInteger high) = Range(least, most);
        if (aboveLeast && least is { IsInteger: true }) low++;
        if (belowMost && most is { IsInteger: true }) high--;
        ExactNumber from = least is { } l && l > -Whole ? l : -Whole, to = most is { } m && m < Whole ? m : Whole;
        (bool above, bool below) = (aboveLeast || from == -Whole, belowMost || to == Whole);
        return Any(
            from > to || to < BigInteger.Zero
                ? null : NotNegative(from > BigInteger.Zero ? from : BigInteger.Zero, above && from >= BigInteger.Zero, to, below),
            from > to || from >= BigInteger.Zero
                ? null : Negative(NotNegative(to < BigInteger.Zero ? Minus(to) : BigInteger.Zero, below && to <= BigInteger.Zero,
                    Minus(from), above)),
            Signed(BigInteger.Max(low, Whole), high),
            Signed(low, BigInteger.Min(high, -Whole)));

        static ExactNumber Minus(ExactNumber number) => number with { Unscaled = -number.Unscaled };
    }

    /// <summary>Integers from low to high.</summary>
    private static string? Signed(BigInteger low, BigInteger high) =>
        Any(high.Sign < 0 ? null : Between(BigInteger.Max(low, 0), high),
            low.Sign >= 0 ? null : Negative(Between(BigInteger.Max(-high, 1), -low)));

    private static string? NotNegative(ExactNumber low, bool aboveLow, ExactNumber high, bool belowHigh)
    {
        BigInteger first = low.Floor, last = high.Floor;
        string from = low.Fraction, to = high.Fraction;
        if (first == last) return Then(Literal(first), Between(from, aboveLow, to, belowHigh));
        return Any(
            Then(Literal(first), from.Length == 0 && !aboveLow ? "(\".\" [0-9] " + Digits + ")?" : Then("\".\"", AtLeast(from, aboveLow))),
            Then(Between(first + 1, last - 1), "(\".\" [0-9] " + Digits + ")?"),
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
        return Any(digits[0] == '9' ? null : $"[{(char)(digits[0] + 1)}-9] {Digits}",
            Then($"\"{digits[0]}\"", AtLeast(digits[1..], above)))!;
    }

    private static string? AtMost(string digits, bool below) =>
        Any(digits[0] == '0' ? null : $"[0-{(char)(digits[0] - 1)}] {Digits}", UpTo(digits[0] - '0', digits[1..], below));

    private static string? UpTo(int digit, string rest, bool below) =>
        rest.Length > 0 ? $"\"{digit}\" ({AtMost(rest, below)})?" : below ? null : $"\"{digit}\" \"0\"{{0,5}}";

    /// <summary>Integers from low to high, neither negative.</summary>
    private static string? Between(BigInteger low, BigInteger high)
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

    private static string Literal(BigInteger value) => $"\"{Text(value)}\"";

    private static string Text(BigInteger value) => value.ToString(CultureInfo.InvariantCulture);
}
