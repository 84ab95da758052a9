using System.Globalization;
using System.Numerics;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Multiples of a number between bounds as GBNF rules: one for each number of digits that are left and each remainder that
/// they must have.
/// </summary>
/// <param name="multiple">Above zero; what is written is its multiple when the digits are read without the point.</param>
/// <param name="scale">Digits after the point, all of which are written.</param>
/// <param name="newRule">Adds a rule with an expression, and returns its name.</param>
/// <param name="path">Of the keyword, for errors.</param>
internal sealed class JsonMultipleGrammar(BigInteger multiple, int scale, Func<string, string> newRule, string path)
{
    /// <summary>Rules of one keyword.</summary>
    private const int MaxRules = 4000;

    private readonly Dictionary<(int Left, BigInteger Wanted), string?> _known = [];

    /// <param name="low">Least, without the point.</param>
    /// <param name="high">Most, without the point.</param>
    /// <returns>Null where no multiple lies between.</returns>
    public string? Between(BigInteger low, BigInteger high)
    {
        var options = new List<string>();
        if (high.Sign >= 0) options.AddRange(NotNegative(BigInteger.Max(low, 0), high));
        if (low.Sign < 0) options.AddRange(NotNegative(BigInteger.Max(-high, 1), -low).Select(digits => $"\"-\" {digits}"));
        return options.Count == 0 ? null : string.Join(" | ", options);
    }

    private IEnumerable<string> NotNegative(BigInteger low, BigInteger high)
    {
        for (int length = scale + 1; length <= Math.Max(scale + 1, Text(high).Length); length++)
        {
            // Only a whole part of one digit may begin with a zero.
            BigInteger first = BigInteger.Max(low, length == scale + 1 ? 0 : BigInteger.Pow(10, length - 1)),
                last = BigInteger.Min(high, BigInteger.Pow(10, length) - 1);
            if (first <= last && Tight(Text(first).PadLeft(length, '0'), Text(last).PadLeft(length, '0'), BigInteger.Zero) is { } digits)
                yield return digits;
        }
    }

    /// <summary>Digits from one text to another of the same length, after those with a value of <paramref name="prefix"/>.</summary>
    private string? Tight(string from, string to, BigInteger prefix)
    {
        int left = from.Length;
        if (from == new string('0', left) && to == new string('9', left)) return Free(left, Wanted(prefix, left));
        var options = new List<string>();
        for (char digit = from[0]; digit <= to[0]; digit++)
        {
            string rest = from[1..], restTo = to[1..];
            if (digit > from[0]) rest = new string('0', left - 1);
            if (digit < to[0]) restTo = new string('9', left - 1);
            if (Tight(rest, restTo, (prefix * 10) + (digit - '0')) is { } others) options.Add($"{Point(left)}\"{digit}\" {others}");
        }
        return options.Count == 0 ? null : newRule(string.Join(" | ", options));
    }

    /// <summary>Any digits with a remainder.</summary>
    private string? Free(int left, BigInteger wanted)
    {
        if (left == 0) return wanted.IsZero ? "\"\"" : null;
        if (_known.TryGetValue((left, wanted), out string? known)) return known;
        if (_known.Count == MaxRules)
            throw new FlywheelException(
                $"{path}: multiples of so large a number are not supported: they become more than {MaxRules} rules");
        _known[(left, wanted)] = null; // not met again: what follows has fewer digits left
        var options = new List<string>();
        for (int digit = 0; digit <= 9; digit++)
            if (Free(left - 1, Mod(wanted - (digit * BigInteger.Pow(10, left - 1)))) is { } others)
                options.Add($"{Point(left)}\"{digit}\" {others}");
        return _known[(left, wanted)] = options.Count == 0 ? null : newRule(string.Join(" | ", options));
    }

    private string Point(int left) => scale > 0 && left == scale ? "\".\" " : "";

    private BigInteger Wanted(BigInteger prefix, int left) => Mod(-prefix * BigInteger.Pow(10, left));

    private BigInteger Mod(BigInteger value) => ((value % multiple) + multiple) % multiple;

    private static string Text(BigInteger value) => value.ToString(CultureInfo.InvariantCulture);
}
