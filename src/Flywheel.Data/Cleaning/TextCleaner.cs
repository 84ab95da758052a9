using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Data;

/// <summary>Brings catalogue prose to plain, even text, and judges whether it is worth learning.</summary>
public static partial class TextCleaner
{
    /// <summary>
    /// One paragraph or line: entities decoded, typographic characters folded to ASCII, marks and control characters
    /// removed, white space single. Cleaning clean text changes nothing.
    /// </summary>
    public static string Line(string text)
    {
        string decoded = text.Contains('&') ? WebUtility.HtmlDecode(text) : text;
        var folded = new StringBuilder(decoded.Length);
        foreach (Rune rune in decoded.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case 0x2018 or 0x2019 or 0x201A or 0x2032 or 0xB4 or 0x60: folded.Append('\''); break;
                case 0x201C or 0x201D or 0x201E or 0xAB or 0xBB: folded.Append('"'); break;
                case 0x2010 or 0x2011 or 0x2012 or 0x2013 or 0x2014 or 0x2212: folded.Append('-'); break;
                case 0x2026: folded.Append("..."); break;
                case 0x2022 or 0xB7: folded.Append('*'); break;
                case 0xD7: folded.Append('x'); break;
                case 0xA9 or 0xAE or 0x2122 or 0xAD or 0xFEFF or (>= 0x200B and <= 0x200F): break;
                default:
                    if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune)) folded.Append(' ');
                    else folded.Append(rune.ToString());
                    break;
            }
        }
        string line = Spaces().Replace(folded.ToString(), " ");
        line = Aside().Replace(line, "");
        line = DoubledQuotes().Replace(line, "\"");
        line = SpaceBeforeMark().Replace(line, "$1");
        line = line.Trim();
        return line == text ? line : Line(line); // an entity may hide an entity; cleaning ends at a fixed point
    }

    /// <summary>Sentences of a paragraph, whole, in order.</summary>
    public static IReadOnlyList<string> Sentences(string paragraph)
    {
        List<string> sentences = [];
        int start = 0;
        foreach (Match end in SentenceEnd().Matches(paragraph))
        {
            string sentence = paragraph[start..end.Index].Trim();
            if (sentence.Length == 0 || Abbreviation().IsMatch(sentence)) continue;
            sentences.Add(sentence);
            start = end.Index;
        }
        if (paragraph[start..].Trim() is { Length: > 0 } rest) sentences.Add(rest);
        return sentences;
    }

    /// <summary>Lower-case letters and digits with single spaces: equal for texts that differ in form only.</summary>
    public static string Normalise(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            if (char.IsLetterOrDigit(c)) plain.Append(char.ToLowerInvariant(c));
            else if (plain.Length > 0 && plain[^1] != ' ') plain.Append(' ');
        }
        return plain.ToString().TrimEnd();
    }

    /// <summary>Why a sentence should not be learnt as product copy, or null when it may.</summary>
    public static string? Fault(string sentence)
    {
        if (sentence.Contains('\uFFFD')) return "broken characters"; // some byte of it could not be read
        if (Address().IsMatch(sentence)) return "address or path";
        if (Packaging().IsMatch(sentence)) return "talks about packaging";
        int letters = sentence.Count(char.IsLetter), ascii = sentence.Count(char.IsAsciiLetter),
            visible = sentence.Count(c => !char.IsWhiteSpace(c));
        if (letters * 10 < visible * 7) return "hardly any words";
        if (ascii * 100 < letters * 97) return "not English";
        if (LongestWord(sentence) > 32) return "overlong word";
        return null;
    }

    /// <summary>Whether running text reads as English: enough of the little words that every English sentence needs.</summary>
    public static bool IsEnglish(string text)
    {
        string[] words = Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words.Length < 12 || words.Count(LittleWords.Contains) * 14 >= words.Length;
    }

    private static readonly HashSet<string> LittleWords =
        ["a", "all", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "for", "from", "has", "have", "in", "into", "is",
            "it", "its", "no", "not", "of", "on", "one", "or", "that", "the", "these", "this", "to", "use", "very", "when", "which", "will",
            "with", "you", "your"];

    private static int LongestWord(string text) => text.Split(' ').Max(word => word.Length);

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    /// <summary>Manual sections, trade marks and addresses in brackets: "ls(1)", "(see http://...)".</summary>
    [GeneratedRegex(@"(?<=\w)\(\d\)|\((?i:tm|r|c)\)|\s*\([^()]*https?:[^()]*\)|\s*<https?:[^>]*>")]
    private static partial Regex Aside();

    [GeneratedRegex("''|\"\"")]
    private static partial Regex DoubledQuotes();

    [GeneratedRegex(@"(?<=\w) ([,;:.!?])(?=\s|$)")]
    private static partial Regex SpaceBeforeMark();

    [GeneratedRegex(@"(?<=[.!?]['"")]?)\s+(?=['""(]?[A-Z0-9])")]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"(\b(e\.g|i\.e|etc|vs|cf|ca|approx|incl|resp|Mr|Mrs|Dr|St|No|Inc|Ltd|Co)|\b[A-Z])\.$")]
    private static partial Regex Abbreviation();

    [GeneratedRegex(@"https?:|www\.|\w@\w|\w\.(org|com|net|html?|io)\b|(^|\s)[/~]\w+/|\$\w|<[a-z/]|\{|\\", RegexOptions.IgnoreCase)]
    private static partial Regex Address();

    [GeneratedRegex(@"\b(this|these|the|separate|dummy|meta|other|debian|transitional|virtual|required|following|suggested|recommended|binary|source|\S+-\S+)[- ]?packages?\b|\bmetapackage|\bDebian\b|\bUbuntu\b|\bapt\b|\bman ?pages?\b|\bupstream\b|\bchangelog\b|\bREADME\b|\bsymlinks?\b|\bdeprecated\b|\bobsolete|\bno longer (maintained|developed|supported)|\bpackages\b|\bpackage \S+\)|\binstall|^TODO\b|\bFIXME\b", RegexOptions.IgnoreCase)]
    private static partial Regex Packaging();
}
