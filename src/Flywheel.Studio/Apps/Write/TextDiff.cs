namespace Flywheel.Studio.Apps.Write;

internal enum DiffKind { Same, Removed, Added }

internal sealed record DiffPart(DiffKind Kind, string Text);

/// <summary>What was changed between two texts, by words (by characters in scripts that set no blanks), as a longest common
/// subsequence.</summary>
internal static class TextDiff
{
    /// <summary>Beyond so many pairs of words, what lies between the common beginning and end counts as replaced as a whole.</summary>
    private const int MaxCells = 4_000_000;

    /// <summary>The parts without the added ones are <paramref name="before"/>, without the removed ones
    /// <paramref name="after"/>.</summary>
    public static IReadOnlyList<DiffPart> Words(string before, string after)
    {
        string[] a = [.. Split(before)], b = [.. Split(after)];
        int start = 0, end = 0;
        while (start < a.Length && start < b.Length && a[start] == b[start]) start++;
        while (end < a.Length - start && end < b.Length - start && a[^(end + 1)] == b[^(end + 1)]) end++;
        List<DiffPart> parts = [];
        Add(parts, DiffKind.Same, a.Take(start));
        Middle(parts, a[start..^end], b[start..^end]);
        Add(parts, DiffKind.Same, a.TakeLast(end));
        return parts;
    }

    private static void Middle(List<DiffPart> parts, string[] a, string[] b)
    {
        if ((long)a.Length * b.Length > MaxCells || a.Length == 0 || b.Length == 0)
        {
            Add(parts, DiffKind.Removed, a);
            Add(parts, DiffKind.Added, b);
            return;
        }
        var length = new int[a.Length + 1, b.Length + 1]; // of the longest common subsequence of what follows
        for (int i = a.Length - 1; i >= 0; i--)
            for (int j = b.Length - 1; j >= 0; j--)
                length[i, j] = a[i] == b[j] ? length[i + 1, j + 1] + 1 : Math.Max(length[i + 1, j], length[i, j + 1]);
        for (int i = 0, j = 0; i < a.Length || j < b.Length;)
        {
            if (i < a.Length && j < b.Length && a[i] == b[j])
            {
                Add(parts, DiffKind.Same, [a[i++]]);
                j++;
            }
            else if (j == b.Length || (i < a.Length && length[i + 1, j] >= length[i, j + 1])) Add(parts, DiffKind.Removed, [a[i++]]);
            else Add(parts, DiffKind.Added, [b[j++]]);
        }
    }

    private static void Add(List<DiffPart> parts, DiffKind kind, IEnumerable<string> words)
    {
        string text = string.Concat(words);
        if (text.Length == 0) return;
        if (parts.Count > 0 && parts[^1].Kind == kind) parts[^1] = new(kind, parts[^1].Text + text);
        else parts.Add(new(kind, text));
    }

    // Runs of letters, runs of blanks, and every other sign by itself.
    private static IEnumerable<string> Split(string text)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = start + 1, kind = KindOf(text[start]);
            while (kind > 0 && end < text.Length && KindOf(text[end]) == kind) end++;
            if (kind == 0 && char.IsHighSurrogate(text[start]) && end < text.Length) end++;
            yield return text[start..end];
            start = end;
        }

        static int KindOf(char c) => char.IsWhiteSpace(c) ? 1 : (char.IsLetterOrDigit(c) || c is '\'' or '’' or '-') && c < 0x2E80 ? 2 : 0;
    }
}
