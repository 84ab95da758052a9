namespace Flywheel.Loop.Translation;

/// <summary>A text as words to compare: runs of letters and digits, and single characters in scripts that set no blanks.</summary>
internal static class Words
{
    public static IReadOnlyList<(int Start, int Length)> Split(string text)
    {
        List<(int, int)> words = [];
        for (int i = 0; i < text.Length;)
        {
            if (!char.IsLetterOrDigit(text[i]))
            {
                i++;
                continue;
            }
            int start = i++;
            if (IsSpaced(text[start]))
                while (i < text.Length
                    && ((char.IsLetterOrDigit(text[i]) && IsSpaced(text[i]))
                        || (text[i] is '\'' or '’' or '-' && i + 1 < text.Length && char.IsLetter(text[i + 1]) && IsSpaced(text[i + 1]))))
                    i++;
            words.Add((start, i - start));
        }
        return words;
    }

    /// <summary>
    /// Whether a word is another, or another form of it: the same but for the case, or from four letters on for at most its last letter and
    /// two more (account, accounts; cuenta, cuentas; Konto, Kontos).
    /// </summary>
    public static bool IsFormOf(ReadOnlySpan<char> word, ReadOnlySpan<char> term)
    {
        if (word.Equals(term, StringComparison.OrdinalIgnoreCase)) return true;
        if (term.Length < 4 || word.Length < 4 || Math.Abs(word.Length - term.Length) > 2) return false;
        int stem = Math.Max(3, term.Length - 1);
        return word.Length >= stem && word[..stem].Equals(term[..stem], StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Where a term stands, in any of its forms.</summary>
    public static IEnumerable<(int Start, int Length)> Find(string text, IReadOnlyList<(int Start, int Length)> words, string term,
        IReadOnlyList<(int Start, int Length)> termWords)
    {
        if (termWords.Count == 0)
        {
            // A term of signs alone, such as "++".
            for (int at = text.IndexOf(term, StringComparison.Ordinal); at >= 0
                && term.Length > 0; at = text.IndexOf(term, at + term.Length, StringComparison.Ordinal)) yield return (at, term.Length);
            yield break;
        }
        for (int i = 0; i + termWords.Count <= words.Count; i++)
        {
            int matched = 0;
            while (matched < termWords.Count && IsFormOf(Slice(text, words[i + matched]), Slice(term, termWords[matched]))) matched++;
            if (matched < termWords.Count) continue;
            // Signs around the words of a term, such as those of C++, are part of it.
            int start = words[i].Start, end = words[i + matched - 1].Start + words[i + matched - 1].Length;
            string before = term[..termWords[0].Start], after = term[(termWords[^1].Start + termWords[^1].Length)..];
            if (start < before.Length || string.CompareOrdinal(text, start - before.Length, before, 0, before.Length) != 0
                || string.CompareOrdinal(text, end, after, 0, after.Length) != 0) continue;
            yield return (start - before.Length, end - start + before.Length + after.Length);
        }
    }

    private static ReadOnlySpan<char> Slice(string text, (int Start, int Length) word) => text.AsSpan(word.Start, word.Length);

    // Han, kana and what lies between them; Hangul sets blanks.
    private static bool IsSpaced(char c) =>
        c is not (>= '\u2E80' and <= '\u9FFF' or >= '\uF900' and <= '\uFAFF' or >= '\uD800' and <= '\uDFFF');
}
