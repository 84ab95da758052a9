using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Russian text in words alone. festival's Russian voice knows letters, whole numbers and marks at the end of a word, and makes no sound at
/// all of a text with anything
/// else in it: a decimal, a time, a per cent sign, two words joined by a slash.
/// </summary>
internal static partial class RussianText
{
    private const long MaxNumber = 999_999_999_999;

    private static readonly string[] s_ones = ["", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять",
        "одиннадцать", "двенадцать", "тринадцать", "четырнадцать",
        "пятнадцать", "шестнадцать", "семнадцать", "восемнадцать", "девятнадцать"],
        s_tens = ["", "", "двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто"],
        s_hundreds = ["", "сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот"];

    /// <summary>What follows one, two to four, and more of a thing.</summary>
    private sealed record Forms(string One, string Few, string Many);

    private static readonly Forms[] s_powers = [new("", "", ""), new("тысяча", "тысячи", "тысяч"), new("миллион", "миллиона", "миллионов"),
        new("миллиард", "миллиарда", "миллиардов")];

    private static readonly Forms s_wholes = new("целая", "целых", "целых");

    private static readonly Forms[] s_parts = [new("десятая", "десятых", "десятых"), new("сотая", "сотых", "сотых"),
        new("тысячная", "тысячных", "тысячных")];

    /// <summary>Signs that are said after their number, wherever they stand.</summary>
    private static readonly Dictionary<string, Forms> s_units = new(StringComparer.Ordinal)
    {
        ["%"] = new("процент", "процента", "процентов"), ["‰"] = new("промилле", "промилле", "промилле"),
        ["°"] = new("градус", "градуса", "градусов"), ["°C"] = new("градус Цельсия", "градуса Цельсия", "градусов Цельсия"),
        ["$"] = new("доллар", "доллара", "долларов"), ["€"] = new("евро", "евро", "евро"), ["£"] = new("фунт", "фунта", "фунтов"),
        ["₽"] = new("рубль", "рубля", "рублей"), ["¥"] = new("иена", "иены", "иен"),
    };

    private static readonly Dictionary<char, string> s_signs = new()
    {
        ['№'] = "номер", ['&'] = "и", ['@'] = "собака", ['+'] = "плюс", ['='] = "равно", ['×'] = "на", ['§'] = "параграф",
        ['#'] = "решётка",
    };

    /// <summary>The text with numbers and signs as words, and nothing inside a word but letters, digits, hyphens and apostrophes.</summary>
    public static string Write(string text)
    {
        text = Bare(text);
        text = Times()
            .Replace(text,
                time => $"{Number(long.Parse(time.Groups["h"].Value, CultureInfo.InvariantCulture))} {Minutes(time.Groups["m"].Value)}");
        text = Dates().Replace(text, date => date.Value.Replace('.', ' '));
        text = Numbers().Replace(text, Said);
        var words = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            char sign = text[i];
            if (s_signs.TryGetValue(sign, out string? name)
                || s_units.TryGetValue(sign.ToString(), out Forms? unit) && (name = unit.Many) is not null)
                words.Append(' ').Append(name).Append(' ');
            else if (",.;:!?".Contains(sign, StringComparison.Ordinal))
            {
                while (words.Length > 0 && words[^1] == ' ') words.Length--;
                if (words.Length > 0 && char.IsLetterOrDigit(words[^1])) words.Append(sign); // by itself it is no word
                words.Append(' ');
            }
            else if (sign is '-' or '\'')
                words.Append(i > 0 && i + 1 < text.Length && char.IsLetterOrDigit(text[i - 1]) && char.IsLetterOrDigit(text[i + 1])
                    ? sign : sign == '-' ? " - " : " ");
            else words.Append(char.IsWhiteSpace(sign) || "\"()[]{}<>/\\|_*~^`•·".Contains(sign, StringComparison.Ordinal) ? ' ' : sign);
        }
        return Blanks().Replace(words.ToString(), " ").Trim();
    }

    /// <summary>A whole number in words, as one counts: from -999 999 999 999 to 999 999 999 999.</summary>
    /// <param name="number">The number.</param>
    /// <param name="isFeminine">Of a thing of that gender: одна, две.</param>
    internal static string Number(long number, bool isFeminine = false)
    {
        if (number == 0) return "ноль";
        if (number < 0) return $"минус {Number(-number, isFeminine)}";
        var said = new List<string>();
        for (int power = s_powers.Length - 1; power >= 0; power--)
        {
            int part = (int)(number / (long)Math.Pow(1000, power) % 1000);
            if (part == 0) continue;
            if (power == 1 && part == 1 && said.Count == 0)
            {
                said.Add(s_powers[power].One); // as one says it
                continue;
            }
            said.Add(s_hundreds[part / 100]);
            int rest = part % 100;
            said.Add(rest < 20 ? "" : s_tens[rest / 10]);
            int ones = rest < 20 ? rest : rest % 10;
            said.Add((power == 1 || (power == 0 && isFeminine), ones) switch { (true, 1) => "одна", (true, 2) => "две",
                _ => s_ones[ones] });
            if (power > 0) said.Add(Of(s_powers[power], part));
        }
        return string.Join(' ', said.Where(word => word.Length > 0));
    }

    private static string Of(Forms forms, long number) =>
        (number % 100, number % 10) switch { ( >= 11 and <= 14, _) => forms.Many, (_, 1) => forms.One, (_, >= 2 and <= 4) => forms.Few,
            _ => forms.Many };

    private static string Said(Match match)
    {
        string unit = match.Groups["unit"].Value is { Length: > 0 } behind ? behind : match.Groups["before"].Value;
        string digits = string.Concat(match.Groups["whole"].Value.Where(char.IsAsciiDigit)), decimals = match.Groups["part"].Value;
        string sign = match.Groups["minus"].Length > 0 ? "минус " : "";
        string said;
        // An ending makes it an ordinal, which the voice says by itself; of what is no number one says the digits.
        if (match.Groups["ending"].Length > 0)
            return $" {match.Groups["before"].Value}{sign}{match.Groups["whole"].Value}{match.Groups["ending"].Value}";
        if (digits.Length > 12 || (digits.Length > 1 && digits[0] == '0' && decimals.Length == 0))
            said = string.Join(' ', digits.Select(digit => Number(digit - '0')));
        else if (long.Parse(digits, CultureInfo.InvariantCulture) is var whole && decimals.Length == 0)
            said = $"{Number(whole)} {(unit.Length > 0 ? Of(s_units[unit], whole) : "")}";
        else if (decimals.Length <= s_parts.Length && long.Parse(decimals, CultureInfo.InvariantCulture) is var part)
            said = $"{Number(whole, isFeminine: true)} {Of(s_wholes, whole)} {Number(part, isFeminine: true)} {Of(s_parts[decimals.Length - 1], part)} {(unit.Length > 0 ? s_units[unit].Few : "")}";
        else said =
            $"{Number(whole)} запятая {string.Join(' ', decimals.Select(digit => Number(digit - '0')))} {(unit.Length > 0 ? s_units[unit].Few : "")}";
        return $" {sign}{said.Trim()} ";
    }

    private static string Minutes(string two) =>
        two == "00" ? "ноль ноль" : two[0] == '0' ? $"ноль {Number(two[1] - '0')}" : Number(int.Parse(two, CultureInfo.InvariantCulture));

    /// <summary>Without stress marks, and Latin letters without their accents; й and ё stay letters of their own.</summary>
    private static string Bare(string text)
    {
        var bare = new StringBuilder(text.Length);
        foreach (char letter in PlainLetters.Of(text))
        {
            if (CharUnicodeInfo.GetUnicodeCategory(letter) == UnicodeCategory.NonSpacingMark) continue;
            if (letter is >= '\u00C0' and <= '\u024F' && letter is not ('×' or '÷'))
                bare.Append(UnicodeNormalizer.Normalize(letter.ToString(), compatible: true, compose: false).Where(char.IsAscii)
                    .DefaultIfEmpty(letter).ToArray());
            else bare.Append(letter);
        }
        return bare.ToString();
    }

    /// <summary>The first character that the voice has no sound for; null: none.</summary>
    public static string? Unspeakable(string written)
    {
        foreach (Rune rune in written.EnumerateRunes())
            if (!(rune.Value is >= 'а' and <= 'я' or >= 'А' and <= 'Я' or 'ё' or 'Ё' || rune.IsAscii)) return rune.ToString();
        return null;
    }

    // Digits are 0 to 9 here and not those of every script, which \d takes and no parser reads.
    [GeneratedRegex(@"(?<![0-9:.,])(?<h>[0-9]|1[0-9]|2[0-4]):(?<m>[0-5][0-9])(?![0-9:])")]
    private static partial Regex Times();

    [GeneratedRegex(@"(?<![0-9])[0-9]{1,2}(?:\.[0-9]{1,4}){2}(?![0-9])")]
    private static partial Regex Dates();

    [GeneratedRegex(@"(?<before>[$€£₽¥]?)(?<minus>(?<![\p{L}0-9)] ?)-)?(?<whole>[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)(?:[.,](?<part>[0-9]+))?(?<ending>-[а-яё]+)?(?: ?(?<unit>%|‰|°C|°|\$|€|£|₽|¥))?")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
