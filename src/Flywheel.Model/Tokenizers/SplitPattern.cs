using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// A pattern that words are cut with. Tokenizers are trained with Oniguruma's regular expressions; those constructs that
/// mean the same to .NET are taken over, a few are rewritten, and all others are refused by name.
/// </summary>
internal sealed partial class SplitPattern
{
    /// <summary>Qwen2's and Qwen3's, and that of the vocabularies that we learn.</summary>
    public const string Qwen =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>GPT-2's, which ByteLevel means by use_regex.</summary>
    public const string Gpt2 = @"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Qwen's as it is translated below. Compiled with the program: our own models shall start fast.</summary>
    [GeneratedRegex(@"(?:'[sS\u017F]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex QwenRegex();

    private static readonly SplitPattern s_qwen = new(QwenRegex());

    private readonly Regex _regex;
    private readonly Lazy<char[]> _standIns;

    private SplitPattern(Regex regex)
    {
        _regex = regex;
        _standIns = new Lazy<char[]>(() => ChooseStandIns(regex.ToString()));
    }

    public static SplitPattern OfText(string text) => new(new Regex(Regex.Escape(text), RegexOptions.CultureInvariant));

    /// <exception cref="FormatException">The pattern uses something that .NET has not or means otherwise; the message says
    /// what.</exception>
    public static SplitPattern OfRegex(string pattern)
    {
        if (pattern == Qwen) return s_qwen;
        string translated = RegexTranslator.Translate(pattern);
        try
        {
            return new SplitPattern(new Regex(translated, RegexOptions.CultureInvariant | RegexOptions.Compiled));
        }
        catch (ArgumentException e)
        {
            throw new FormatException(e.Message, e);
        }
    }

    /// <summary>Adds where each match begins and ends.</summary>
    public void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (ValueMatch match in _regex.EnumerateMatches(text)) matches.Add((match.Index, match.Index + match.Length));
            return;
        }

        // .NET matches UTF-16 units, everyone else code points: match a copy with one stand-in per code point instead.
        char[] standIns = new char[text.Length];
        int[] starts = new int[text.Length + 1];
        int count = 0;
        for (int i = 0; i < text.Length; count++)
        {
            starts[count] = i;
            Rune.DecodeFromUtf16(text[i..], out Rune character, out int length);
            standIns[count] = character.IsBmp ? (char)character.Value : _standIns.Value[(int)Rune.GetUnicodeCategory(character)];
            i += length;
        }
        starts[count] = text.Length;
        foreach (ValueMatch match in _regex.EnumerateMatches(standIns.AsSpan(0, count)))
            matches.Add((starts[match.Index], starts[match.Index + match.Length]));
    }

    public string Replace(string text, string replacement)
    {
        var matches = new List<(int Start, int End)>();
        Find(text, matches);
        if (matches.Count == 0) return text;
        var result = new StringBuilder(text.Length);
        int end = 0;
        foreach (var match in matches)
        {
            result.Append(text, end, match.Start - end).Append(replacement);
            end = match.End;
        }
        return result.Append(text, end, text.Length - end).ToString();
    }

    /// <summary>
    /// For each general category a character of the basic plane that the pattern does not name: to the pattern it is what
    /// any character of that category beyond the basic plane is.
    /// </summary>
    private static char[] ChooseStandIns(string pattern)
    {
        var named = new List<(char From, char To)>();
        for (int i = 0; i < pattern.Length; i++)
            if (i + 2 < pattern.Length && pattern[i + 1] == '-') named.Add((pattern[i], pattern[i + 2]));
            else named.Add((pattern[i], pattern[i]));
        char[] standIns = new char[30];
        for (char candidate = '\uFFFD'; candidate > '\u0100'; candidate--)
        {
            int category = (int)CharUnicodeInfo.GetUnicodeCategory(candidate);
            if (standIns[category] == 0 && !named.Exists(range => candidate >= range.From && candidate <= range.To))
                standIns[category] = candidate;
        }
        return standIns;
    }
}
