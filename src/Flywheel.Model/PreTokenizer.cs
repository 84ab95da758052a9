using System.Globalization;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// Cuts text into the words inside which byte pairs are merged, with the pattern of Qwen2 and Qwen3: contractions,
/// letters with one character before them, single digits, punctuation, runs of space.
/// </summary>
internal static partial class PreTokenizer
{
    public const string Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    [GeneratedRegex(Pattern, RegexOptions.CultureInvariant)]
    private static partial Regex Words();

    /// <summary>Where each word ends. Together the words are the whole text: every character matches some branch.</summary>
    public static List<int> Ends(string text)
    {
        var ends = new List<int>();
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (ValueMatch word in Words().EnumerateMatches(text)) ends.Add(word.Index + word.Length);
            return ends;
        }

        // .NET matches UTF-16 units, everyone else code points: match a copy with one stand-in per code point instead.
        char[] standIns = new char[text.Length];
        int[] starts = new int[text.Length + 1];
        int count = 0;
        for (int i = 0; i < text.Length; i += char.IsSurrogatePair(text, i) ? 2 : 1, count++)
        {
            starts[count] = i;
            standIns[count] = char.IsSurrogate(text[i]) ? StandIn(CharUnicodeInfo.GetUnicodeCategory(text, i)) : text[i];
        }
        starts[count] = text.Length;
        foreach (ValueMatch word in Words().EnumerateMatches(standIns.AsSpan(0, count))) ends.Add(starts[word.Index + word.Length]);
        return ends;
    }

    /// <summary>Beyond the basic plane there are letters, numbers and others; no spaces or line ends.</summary>
    private static char StandIn(UnicodeCategory category) => category switch
    {
        <= UnicodeCategory.OtherLetter => '\u4E00',
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => '0',
        _ => '\uFFFD',
    };
}
