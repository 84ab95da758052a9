using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>The pronunciations that hold for one language and voice, looked up in texts.</summary>
internal sealed class Lexicon
{
    private readonly Dictionary<string, Pronunciation> _words = new(StringComparer.Ordinal);
    private readonly int _mostTokens = 1;

    /// <param name="scopes">The widest first (system, team, project): an entry of a later one counts before one of an earlier.</param>
    /// <param name="language">Of the text.</param>
    /// <param name="voice">Id of the voice.</param>
    public Lexicon(IEnumerable<IReadOnlyList<Pronunciation>> scopes, string language, string voice)
    {
        foreach (IReadOnlyList<Pronunciation> scope in scopes)
            foreach (Pronunciation entry in scope.Where(entry => entry.IsFor(language, voice)).OrderBy(entry => entry.Narrowness))
            {
                _words[Key(entry.Word)] = entry;
                _mostTokens = Math.Max(_mostTokens, Tokens(entry.Word).Count);
            }
    }

    /// <summary>The text in parts, each word that has a pronunciation replaced; the longest entry at a place counts.</summary>
    public IEnumerable<SpeechPart> Apply(string text)
    {
        if (_words.Count == 0 || text.Length == 0) return text.Length == 0 ? [] : [new SpeechPart(text)];
        var parts = new List<SpeechPart>();
        List<(int Start, int End)> tokens = Tokens(text);
        var plain = new StringBuilder();
        int done = 0;
        for (int i = 0; i < tokens.Count; i++)
        {
            for (int j = Math.Min(tokens.Count, i + _mostTokens) - 1; j >= i; j--)
            {
                if (!_words.TryGetValue(Key(text[tokens[i].Start..tokens[j].End]), out Pronunciation? entry)) continue;
                plain.Append(text, done, tokens[i].Start - done);
                if (entry.Ipa is null) plain.Append(entry.Respelling);
                else
                {
                    if (plain.Length > 0) parts.Add(new SpeechPart(plain.ToString()));
                    plain.Clear();
                    parts.Add(new SpeechPart(text[tokens[i].Start..tokens[j].End], entry.Ipa));
                }
                done = tokens[j].End;
                i = j;
                break;
            }
        }
        plain.Append(text, done, text.Length - done);
        if (plain.Length > 0) parts.Add(new SpeechPart(plain.ToString()));
        return parts;
    }

    private static string Key(string word) =>
        string.Join(' ',
            UnicodeNormalizer.Normalize(word, compatible: false, compose: true).ToLowerInvariant()
                .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>
    /// Words: letters, marks and digits in a row, an apostrophe within; each other sign that is no space is one of its own, and so is each
    /// character of the scripts that write without spaces.
    /// </summary>
    private static List<(int Start, int End)> Tokens(string text)
    {
        var tokens = new List<(int, int)>();
        for (int at = 0; at < text.Length;)
        {
            int start = at;
            Rune rune = Next(text, ref at);
            if (Rune.IsWhiteSpace(rune)) continue;
            if (IsWord(rune) && !IsUnspaced(rune))
                for (int ahead = at; ahead < text.Length;)
                {
                    Rune next = Next(text, ref ahead);
                    bool joins = next.Value is '\'' or '’' && ahead < text.Length && char.IsLetter(text[ahead]);
                    if (!joins && (!IsWord(next) || IsUnspaced(next))) break;
                    at = ahead;
                }
            tokens.Add((start, at));
        }
        return tokens;

        static Rune Next(string text, ref int at)
        {
            Rune.DecodeFromUtf16(text.AsSpan(at), out Rune rune, out int length);
            at += length;
            return rune;
        }

        static bool IsWord(Rune rune) => Rune.IsLetterOrDigit(rune)
            || Rune.GetUnicodeCategory(rune) is System.Globalization.UnicodeCategory.NonSpacingMark
                or System.Globalization.UnicodeCategory.SpacingCombiningMark;

        static bool IsUnspaced(Rune rune) =>
            rune.Value is (>= 0x3040 and <= 0x30FF) or (>= 0x3400 and <= 0x9FFF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x20000 and <= 0x3FFFF)
                or (>= 0xE00 and <= 0xEFF);
    }
}
