namespace Flywheel.Loop.Translation;

/// <summary>A sentence, and the blanks between it and the next. Joined, they are the text again.</summary>
public readonly record struct Sentence(string Text, string After);

/// <summary>
/// Cuts a paragraph into sentences by rule: at full stops, question and exclamation marks that end one, not after abbreviations,
/// initials, ordinals and list numbers; at the marks of Chinese and Japanese without a blank.
/// </summary>
public static class Segmenter
{
    private const string Closing = "\"'”’»)]}」』）】》›", Opening = "\"'“‘«([{「『（【《‹", Wide = "。！？｡";

    /// <summary>A sentence goes on after these, whatever comes.</summary>
    private static readonly HashSet<string> s_goesOn = new(StringComparer.OrdinalIgnoreCase)
    {
        "dr", "mr", "mrs", "ms", "prof", "st", "gen", "rep", "sen", "gov", "capt", "col", "lt", "sgt", "rev", "hon", "mt", "e.g", "i.e",
        "cf", "viz", "vs", "no", "nos", "fig",
        "figs", "vol", "ch", "sec", "eq", "pp", "approx", "ca", "al", // English and Latin
        "sr", "sra", "srta", "dra", "ud", "uds", "núm", "pág", "págs", "art", "av", "ej", "p.ej", "d", // Spanish
        "z.b", "d.h", "u.a", "bzw", "nr", "hr", "fr", "abs", "bd", "s", "vgl", "str", "dipl", "ing", // German
        "m", "mm", "mme", "mlle", "p.ex", "env", "n", "chap", "éd", // French
        "sig", "dott", "pag", "ecc", "es", // Italian
        "exmo", "exma", "séc", // Portuguese
    };

    /// <summary>These may also end a sentence, which a capital after them shows.</summary>
    private static readonly HashSet<string> s_mayEnd = new(StringComparer.OrdinalIgnoreCase)
    {
        "etc", "inc", "ltd", "co", "corp", "jr", "a.m", "p.m", "u.s", "u.k", "usw", "etc", "bros", "dept", "est", "min", "max",
    };

    /// <summary>They write ordinals as a number and a full stop.</summary>
    private static readonly string[] s_withOrdinals = ["de", "da", "nb", "nn", "cs", "pl", "fi", "hu", "sl", "sr", "is", "tr"];

    /// <param name="text">A paragraph.</param>
    /// <param name="language">BCP 47 tag of its language.</param>
    /// <returns>Its sentences; none of an empty text. A text that begins with blanks has an empty first one.</returns>
    public static IReadOnlyList<Sentence> Split(string text, string language)
    {
        List<Sentence> sentences = [];
        int start = 0;
        for (int i = 0; i < text.Length;)
        {
            if (i == start && char.IsWhiteSpace(text[i]))
            {
                int end = AfterBlanks(text, i);
                if (sentences.Count == 0) sentences.Add(new("", text[i..end]));
                start = i = end;
                continue;
            }
            if (!IsMark(text[i]))
            {
                i++;
                continue;
            }
            int mark = i;
            while (i < text.Length && IsMark(text[i])) i++;
            bool wide = text.AsSpan(mark, i - mark).ContainsAny(Wide);
            while (i < text.Length && Closing.Contains(text[i], StringComparison.Ordinal)) i++;
            if (i + 1 < text.Length && text[i] is ' ' or '\u00A0' or '\u202F' && text[i + 1] == '»') i += 2; // as French sets it
            int next = AfterBlanks(text, i);
            if (next < text.Length && (wide || (next > i && Ends(text, start, mark, next, language))))
            {
                sentences.Add(new(text[start..i], text[i..next]));
                start = i = next;
            }
        }
        if (start < text.Length)
        {
            int end = text.Length;
            while (end > start && char.IsWhiteSpace(text[end - 1])) end--;
            sentences.Add(new(text[start..end], text[end..]));
        }
        return sentences;
    }

    private static bool IsMark(char c) => c is '.' or '!' or '?' or '…' || Wide.Contains(c, StringComparison.Ordinal);

    private static int AfterBlanks(string text, int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
        return at;
    }

    private static bool Ends(string text, int start, int mark, int next, string language)
    {
        int letter = next;
        while (letter < text.Length && Opening.Contains(text[letter], StringComparison.Ordinal)) letter++;
        bool small = letter < text.Length && char.IsLower(text[letter]);
        if (small) return false; // "Why?" he asked.
        if (text[mark] != '.' || (mark + 1 < text.Length && text[mark + 1] is '.' or '!' or '?')) return true;

        int word = mark;
        while (word > start && !char.IsWhiteSpace(text[word - 1]) && !Opening.Contains(text[word - 1], StringComparison.Ordinal)) word--;
        string before = text[word..mark];
        if (before.Length == 0) return true;
        if (before.All(char.IsAsciiDigit))
            return !(word == start && before.Length <= 3) && !(before.Length <= 2 && s_withOrdinals.Contains(language.Split('-')[0]));
        if (before.Length == 1 && char.IsUpper(before[0])) return false; // an initial
        // In the middle of a sentence a short word that is also an abbreviation is one only with its own capital or none.
        if (s_goesOn.Contains(before))
            return before.Length <= 2 && before.Equals("no", StringComparison.OrdinalIgnoreCase)
                && !(letter < text.Length && char.IsAsciiDigit(text[letter]));
        return !s_mayEnd.Contains(before) || (letter < text.Length && char.IsUpper(text[letter]));
    }
}
