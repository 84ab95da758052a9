using System.Globalization;
using System.Numerics;

namespace Flywheel.Engine.Grammars;

/// <summary>A number of JSON as it is written, to the last digit: <c>Unscaled / 10^Scale</c>.</summary>
/// <param name="Unscaled">Its digits as an integer; not divisible by ten unless the scale is 0.</param>
/// <param name="Scale">Digits after the point.</param>
internal readonly record struct ExactNumber(BigInteger Unscaled, int Scale) : IComparable<ExactNumber>
{
    /// <summary>Digits that a number may have; more is an attack.</summary>
    private const int MaxDigits = 1000;

    public bool IsInteger => Scale == 0;

    public BigInteger Floor => BigInteger.DivRem(Unscaled, Power, out BigInteger rest) - (rest.Sign < 0 ? 1 : 0);

    public BigInteger Ceiling => BigInteger.DivRem(Unscaled, Power, out BigInteger rest) + (rest.Sign > 0 ? 1 : 0);

    /// <summary>Digits after the point of a number that is not negative, none at the end zero.</summary>
    public string Fraction => Scale == 0 ? "" : (Unscaled % Power).ToString(CultureInfo.InvariantCulture).PadLeft(Scale, '0');

    private BigInteger Power => BigInteger.Pow(10, Scale);

    /// <param name="json">A number in JSON's notation.</param>
    /// <param name="number">Its value.</param>
    /// <returns>False for what is no number, or one of more than a thousand digits.</returns>
    public static bool TryParse(string json, out ExactNumber number)
    {
        number = default;
        int e = json.AsSpan().IndexOfAny('e', 'E'), exponent = 0;
        if (e >= 0 && !int.TryParse(json.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent))
            return false;
        string digits = e < 0 ? json : json[..e];
        int point = digits.IndexOf('.'), scale = point < 0 ? 0 : digits.Length - point - 1;
        if (digits.Length > MaxDigits || Math.Abs((long)exponent) > MaxDigits) return false;
        if (!BigInteger.TryParse(digits.Replace(".", ""), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture,
            out BigInteger unscaled)) return false;
        number = Of(unscaled, scale - exponent);
        return true;
    }

    /// <summary>In lowest terms.</summary>
    public static ExactNumber Of(BigInteger unscaled, int scale = 0)
    {
        if (scale < 0) return new(unscaled * BigInteger.Pow(10, -scale), 0);
        for (; scale > 0 && (unscaled % 10).IsZero; scale--) unscaled /= 10;
        return new(unscaled, scale);
    }

    /// <summary>The number times a power of ten.</summary>
    public ExactNumber Shift(int digits) => Of(Unscaled, Scale - digits);

    public int CompareTo(ExactNumber other)
    {
        int scale = Math.Max(Scale, other.Scale);
        return (Unscaled * BigInteger.Pow(10, scale - Scale)).CompareTo(other.Unscaled * BigInteger.Pow(10, scale - other.Scale));
    }

    public static bool operator <(ExactNumber a, ExactNumber b) => a.CompareTo(b) < 0;

    public static bool operator >(ExactNumber a, ExactNumber b) => a.CompareTo(b) > 0;

    public static bool operator <=(ExactNumber a, ExactNumber b) => a.CompareTo(b) <= 0;

    public static bool operator >=(ExactNumber a, ExactNumber b) => a.CompareTo(b) >= 0;

    public static implicit operator ExactNumber(BigInteger value) => new(value, 0);
}
