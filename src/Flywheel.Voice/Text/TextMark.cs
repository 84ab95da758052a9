using System.Security;
using System.Text;
using System.Text.Json.Serialization;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// A part of a line's text that is said in a way of its own. It stands beside the text, which stays clean, and sounds as the markup that
/// says the same.
/// </summary>
/// <param name="Start">UTF-16 units before it.</param>
/// <param name="Length">UTF-16 units of it, at least one.</param>
public sealed record TextMark(int Start, int Length)
{
    /// <summary>One of <see cref="Ssml.EmphasisLevels"/>, within the line's own; null: as the line.</summary>
    public string? Emphasis { get; init; }

    /// <summary>One of <see cref="Flywheel.Voice.SayAs.Kinds"/> in place of the line's own; null: as the line.</summary>
    public string? SayAs { get; init; }

    [JsonIgnore]
    public int End => Start + Length;

    /// <summary>It says the same of another place.</summary>
    internal bool SaysWhat(TextMark other) => Emphasis == other.Emphasis && SayAs == other.SayAs;
}

/// <summary>The marks of a text: in its order, apart from each other, none without a meaning.</summary>
public static class TextMarks
{
    /// <summary>Marks with another meaning for a part of the text. What had none is marked, marks that reach into the part are divided,
    /// neighbours that say the same become one, and those that say nothing any more go.</summary>
    /// <param name="marks">Of the text.</param>
    /// <param name="start">Where the part begins.</param>
    /// <param name="length">Of the part.</param>
    /// <param name="change">What a mark becomes; its place stays.</param>
    public static IReadOnlyList<TextMark> Set(IReadOnlyList<TextMark> marks, int start, int length, Func<TextMark, TextMark> change)
    {
        int[] cuts = [.. marks.SelectMany(mark => new[] { mark.Start, mark.End }).Append(start).Append(start + length).Distinct().Order()];
        var all = new List<TextMark>();
        for (int i = 1; i < cuts.Length; i++)
        {
            (int from, int to) = (cuts[i - 1], cuts[i]);
            TextMark piece = (marks.FirstOrDefault(mark => mark.Start <= from && to <= mark.End) ?? new TextMark(from, to - from))
                with { Start = from, Length = to - from };
            all.Add(from >= start && to <= start + length ? change(piece) : piece);
        }
        return Joined(all);
    }

    /// <summary>The part without the blanks at its ends and without halves of characters; null where nothing is left.</summary>
    public static (int Start, int Length)? Trim(string text, int start, int end)
    {
        (start, end) = (Math.Clamp(start, 0, text.Length), Math.Clamp(end, 0, text.Length));
        if (IsInside(text, start)) start--;
        if (IsInside(text, end)) end++;
        while (start < end && char.IsWhiteSpace(text[start])) start++;
        while (start < end && char.IsWhiteSpace(text[end - 1])) end--;
        return start < end ? (start, end - start) : null;
    }

    /// <summary>
    /// Where the marks of a text are in another that came of it: by an edit, or as a shorter wording. A mark goes with its words; what is
    /// written into it belongs to it; one whose words are gone goes.
    /// </summary>
    public static IReadOnlyList<TextMark> Follow(IReadOnlyList<TextMark> marks, string before, string after)
    {
        if (marks.Count == 0 || before == after) return marks;
        int most = Math.Min(before.Length, after.Length), head = before.AsSpan().CommonPrefixLength(after), tail = 0;
        while (tail < most - head && before[^(tail + 1)] == after[^(tail + 1)]) tail++;
        if (IsInside(before, head) || IsInside(after, head)) head--;
        if (IsInside(before, before.Length - tail) || IsInside(after, after.Length - tail)) tail--;
        (int until, int grown) = (before.Length - tail, after.Length - before.Length);
        return Joined([.. marks.Select(Moved).OfType<TextMark>().OrderBy(mark => mark.Start)]);

        TextMark? Moved(TextMark mark)
        {
            string words = before.Substring(mark.Start, mark.Length);
            int start = mark.Start >= until ? mark.Start + grown : mark.Start <= head ? mark.Start : until + grown,
                end = mark.End <= head ? mark.End : mark.End >= until ? mark.End + grown : head;
            if (end - start == words.Length && string.CompareOrdinal(after, start, words, 0, words.Length) == 0)
                return mark with { Start = start };
            int[] were = Places(before, words), are = Places(after, words);
            if (were.Length == are.Length) return mark with { Start = are[Array.IndexOf(were, mark.Start)] };
            return Trim(after, start, Math.Max(start, end)) is var (at, length) ? mark with { Start = at, Length = length } : null;
        }
    }

    /// <summary>The parts of a text in order, each with its mark; null of those without one.</summary>
    public static IEnumerable<(string Text, TextMark? Mark)> Parts(string text, IReadOnlyList<TextMark> marks)
    {
        int at = 0;
        foreach (TextMark mark in marks)
        {
            if (mark.Start > at) yield return (text[at..mark.Start], null);
            yield return (text.Substring(mark.Start, mark.Length), mark);
            at = mark.End;
        }
        if (at < text.Length) yield return (text[at..], null);
    }

    /// <summary>The markup (<see cref="Ssml"/>) that says the same.</summary>
    public static string ToMarkup(string text, IReadOnlyList<TextMark> marks)
    {
        var markup = new StringBuilder();
        foreach ((string part, TextMark? mark) in Parts(text, marks))
        {
            string said = SecurityElement.Escape(part);
            if (mark?.SayAs is { } kind) said = $"<say-as interpret-as=\"{kind}\">{said}</say-as>";
            markup.Append(mark?.Emphasis is { } level ? $"<emphasis level=\"{level}\">{said}</emphasis>" : said);
        }
        return markup.ToString();
    }

    /// <exception cref="FlywheelException">A mark is none of this text; the message names it.</exception>
    internal static void Validate(string where, string text, bool isMarkup, IReadOnlyList<TextMark> marks)
    {
        VoiceProject.CheckFilled($"{where}: marks", marks);
        if (isMarkup && marks.Count > 0)
            throw new FlywheelException($"{where}: has marks, expected none beside markup, which says emphasis and say-as itself");
        int at = 0;
        foreach ((int number, TextMark mark) in marks.Index())
        {
            string name = $"{where}: marks[{number}]";
            if (mark.Start < at || mark.Length < 1 || mark.Length > text.Length - mark.Start)
                throw new FlywheelException($"{name}: start is {mark.Start} and length {mark.Length}, "
                    + $"expected a part of the text between {at} and {text.Length}");
            if (IsInside(text, mark.Start) || IsInside(text, mark.End))
                throw new FlywheelException($"{name}: start is {mark.Start} and length {mark.Length}, expected no half of a character");
            if (mark is { Emphasis: null, SayAs: null })
                throw new FlywheelException($"{name}: says nothing, expected emphasis or say_as");
            new VoiceSettings { Emphasis = mark.Emphasis, SayAs = mark.SayAs }.Validate(name);
            at = mark.End;
        }
    }

    /// <summary>Of marks in order: those with a meaning, neighbours of one meaning as one, none over another.</summary>
    private static List<TextMark> Joined(IEnumerable<TextMark> marks)
    {
        var joined = new List<TextMark>();
        foreach (TextMark mark in marks.Where(mark => mark is not { Emphasis: null, SayAs: null }))
        {
            if (joined.Count > 0 && mark.Start < joined[^1].End) continue;
            if (joined.Count > 0 && mark.Start == joined[^1].End && mark.SaysWhat(joined[^1]))
                joined[^1] = joined[^1] with { Length = joined[^1].Length + mark.Length };
            else joined.Add(mark);
        }
        return joined;
    }

    /// <summary>Between the halves of a character.</summary>
    private static bool IsInside(string text, int at) =>
        at > 0 && at < text.Length && char.IsHighSurrogate(text[at - 1]) && char.IsLowSurrogate(text[at]);

    /// <summary>Where words stand in a text.</summary>
    private static int[] Places(string text, string words)
    {
        var places = new List<int>();
        for (int at = text.IndexOf(words, StringComparison.Ordinal); at >= 0; at = text.IndexOf(words, at + 1, StringComparison.Ordinal))
            places.Add(at);
        return [.. places];
    }
}
