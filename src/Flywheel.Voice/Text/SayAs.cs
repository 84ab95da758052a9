using System.Globalization;
using System.Text;

namespace Flywheel.Voice;

/// <summary>Text written out as it is to be said.</summary>
public static class SayAs
{
    /// <summary>What a text may be said as in a language.</summary>
    public static IReadOnlyList<string> Kinds(string language) =>
        ["characters", "spell-out", "digits", "telephone", "cardinal", .. IsEnglish(language) ? new[] { "ordinal" } : []];

    /// <summary>Null when the kind is not known, or not for the language.</summary>
    internal static Func<string, string>? Find(string kind, string language) => kind switch
    {
        "characters" or "spell-out" => text => Separate(text.ToUpperInvariant(), _ => true),
        "digits" => text => Separate(text, char.IsDigit),
        "telephone" => Telephone,
        "cardinal" => text => string.Concat(text.Where(letter => letter is not (' ' or '\'' or '_'))),
        "ordinal" when IsEnglish(language) => Ordinal,
        _ => null,
    };

    private static bool IsEnglish(string language) => language.Split('-')[0] == "en";

    private static string Separate(string text, Func<char, bool> isAlone)
    {
        var said = new StringBuilder();
        foreach (Rune rune in text.EnumerateRunes())
        {
            bool alone = !rune.IsBmp || isAlone((char)rune.Value);
            if (alone && said.Length > 0 && said[^1] != ' ') said.Append(' ');
            said.Append(rune);
            if (alone && !Rune.IsWhiteSpace(rune)) said.Append(' ');
        }
        return said.ToString().Trim();
    }

    /// <summary>Digit by digit, with a short pause between groups.</summary>
    private static string Telephone(string text) => string.Join(", ", text.Replace("+", " + ", StringComparison.Ordinal)
        .Split([' ', '-', '/', '(', ')', '.'], StringSplitOptions.RemoveEmptyEntries)
        .Select(group => group == "+" ? "plus" : Separate(group, char.IsDigit)));

    private static string Ordinal(string text)
    {
        if (!long.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long number)) return text;
        string end = (number % 100 is >= 11 and <= 13, number % 10) switch { (false, 1) => "st", (false, 2) => "nd", (false, 3) => "rd",
            _ => "th" };
        return string.Create(CultureInfo.InvariantCulture, $"{number}{end}");
    }
}
