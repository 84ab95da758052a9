using System.Text.RegularExpressions;

namespace Flywheel.Loop.Translation;

/// <summary>What may be wrong with a translation.</summary>
public enum IssueKind
{
    /// <summary>It is the source again.</summary>
    Untranslated,

    /// <summary>A term of the glossary is not translated as it says.</summary>
    TermMissing,

    /// <summary>It says what the glossary forbids.</summary>
    TermForbidden,

    /// <summary>A number of the source is not in it.</summary>
    NumberMissing,

    /// <summary>It has a number that the source has not.</summary>
    NumberAdded,

    /// <summary>A placeholder or a mark of the source's form is not in it.</summary>
    MarkupMissing,

    MarkupAdded,

    DoubleSpace,

    /// <summary>It ends with another mark than the source.</summary>
    EndPunctuation,
}

/// <summary>One thing that may be wrong.</summary>
/// <param name="What">The term, number or mark; of a term that is missing, its translation.</param>
/// <param name="About">Of terms: the term of the source.</param>
/// <param name="Fixed">The target mended; null where a person must think.</param>
public sealed record QualityIssue(IssueKind Kind, string What, string About = "", string? Fixed = null);

/// <summary>Checks translations by rule, without a model.</summary>
public static partial class QualityCheck
{
    /// <summary>Ends that mean the same in scripts of different width.</summary>
    private static readonly (char Narrow, char Wide)[] s_ends = [('.', '。'), ('?', '？'), ('!', '！'), (':', '：'), (';', '；'), ('…', '…')];

    /// <param name="source">The text that was translated.</param>
    /// <param name="target">The translation; nothing is wrong with an empty one but that it is not there.</param>
    /// <param name="terms">Of the glossary, as they stand in the source.</param>
    /// <param name="to">Language of the target.</param>
    public static IReadOnlyList<QualityIssue> Check(string source, string target, IReadOnlyList<TermFound> terms, Language? to)
    {
        if (target.Trim().Length == 0) return [];
        List<QualityIssue> issues = [];
        if (source.Trim() == target.Trim() && ProtectedParts.Without(source).Count(char.IsLetter) > 3
            && !terms.Any(term => term.Term.Target == term.Term.Source)) issues.Add(new(IssueKind.Untranslated, ""));
        issues.AddRange(Terms(target, terms));
        issues.AddRange(Numbers(source, target));
        issues.AddRange(Markup(source, target));
        if (DoubleBlank().IsMatch(target) && !DoubleBlank().IsMatch(source))
            issues.Add(new(IssueKind.DoubleSpace, "", Fixed: DoubleBlank().Replace(target, " ")));
        if (End(source, target, to) is { } end) issues.Add(end);
        return issues;
    }

    private static IEnumerable<QualityIssue> Terms(string target, IReadOnlyList<TermFound> terms)
    {
        IReadOnlyList<(int Start, int Length)> words = Words.Split(target);
        foreach (TermRow term in terms.Select(found => found.Term).DistinctBy(row => row.Id))
        {
            bool forbidden = false;
            foreach (string wrong in term.Forbidden.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                List<(int Start, int Length)> places = [.. Words.Find(target, words, wrong, Words.Split(wrong))];
                if (places.Count == 0 || Stands(wrong, term.Target)) continue;
                forbidden = true;
                // Only the very form that is forbidden: what an ending means, a rule cannot know.
                bool same =
                    places.TrueForAll(place => target.AsSpan(place.Start, place.Length).Equals(wrong, StringComparison.OrdinalIgnoreCase));
                string mended = target;
                foreach ((int start,
                    int length) in Enumerable.Reverse(places)) mended =
                        mended[..start] + LikeCased(term.Target, target.Substring(start, length)) + mended[(start + length)..];
                yield return new(IssueKind.TermForbidden, target.Substring(places[0].Start, places[0].Length), term.Source,
                    same && term.Target.Length > 0 ? mended : null);
            }
            if (!forbidden && term.Target.Length > 0 && !Words.Find(target, words, term.Target, Words.Split(term.Target)).Any())
                yield return new(IssueKind.TermMissing, term.Target, term.Source);
        }

        // What is forbidden may be a part of what is right.
        bool Stands(string wrong, string right) =>
            right.Contains(wrong, StringComparison.OrdinalIgnoreCase) && target.Contains(right, StringComparison.OrdinalIgnoreCase);
    }

    private static string LikeCased(string text, string like) =>
        char.IsUpper(like[0]) && text.Length > 0
            ? like.Length > 1 && like.All(c => !char.IsLower(c)) && like.Any(char.IsLetter)
                ? text.ToUpperInvariant() : char.ToUpperInvariant(text[0]) + text[1..] : text;

    private static IEnumerable<QualityIssue> Numbers(string source, string target)
    {
        List<string> there = [.. NumbersOf(target)];
        List<string> missing = [.. NumbersOf(source).Where(number => !TakeNumber(there, number))];
        foreach (string number in missing) yield return new(IssueKind.NumberMissing, number);
        foreach (string number in there) yield return new(IssueKind.NumberAdded, number);
    }

    // 1,000.5 and 1.000,5 and 1 000,5 are one number: separators are the language's.
    private static IEnumerable<string> NumbersOf(string text) =>
        Number().Matches(ProtectedParts.Without(text)).Select(match => match.Value);

    private static bool TakeNumber(List<string> numbers, string number)
    {
        int at = numbers.FindIndex(other => Digits(other) == Digits(number));
        if (at >= 0) numbers.RemoveAt(at);
        return at >= 0;
    }

    private static string Digits(string number) =>
        string.Concat(number.Where(char.IsDigit).Select(digit => (char)('0' + (int)char.GetNumericValue(digit))));

    private static IEnumerable<QualityIssue> Markup(string source, string target)
    {
        List<string> there = [.. ProtectedParts.Of(target)];
        List<string> missing = [.. ProtectedParts.Of(source).Where(part => !there.Remove(part))];
        foreach (string part in missing) yield return new(IssueKind.MarkupMissing, part);
        foreach (string part in there) yield return new(IssueKind.MarkupAdded, part);
    }

    private static QualityIssue? End(string source, string target, Language? to)
    {
        char? expected = EndOf(source), found = EndOf(target);
        if (expected == found) return null;
        bool wide = to?.IsUnspaced == true;
        string mark = expected is { } narrow ? $"{(wide ? s_ends.First(end => end.Narrow == narrow).Wide : narrow)}" : "";
        string text = target.TrimEnd(), tail = "";
        while (text.Length > 0 && Closing.Contains(text[^1], StringComparison.Ordinal)) (text, tail) = (text[..^1], text[^1] + tail);
        if (found is not null) text = text.TrimEnd([.. s_ends.SelectMany(end => (char[])[end.Narrow, end.Wide]), ' ', '\u00A0', '\u202F']);
        else if (to?.Tag == "fr" && mark is "?" or "!" or ":" or ";") mark = "\u00A0" + mark;
        // A mark that Spanish opens with needs its partner, which is a person's to set.
        bool simple = !(to?.Tag is "es" or "gl" or "ca" && (expected is '?' or '!' || found is '?' or '!')) && expected is not '…'
            && found is not '…';
        string mended = text + mark + tail;
        return new(IssueKind.EndPunctuation, mark.Trim('\u00A0'), Fixed: simple && EndOf(mended) == expected ? mended : null);
    }

    private const string Closing = "\"'”’»)]}」』）】》*_`";

    /// <summary>The mark at the end, as its narrow form; null where there is none.</summary>
    private static char? EndOf(string text)
    {
        text = text.TrimEnd().TrimEnd(Closing.ToCharArray()).TrimEnd();
        if (text.Length == 0) return null;
        if (text.EndsWith("...", StringComparison.Ordinal)) return '…';
        (char Narrow, char Wide) end = s_ends.FirstOrDefault(end => end.Narrow == text[^1] || end.Wide == text[^1]);
        return end == default ? null : end.Narrow;
    }

    [GeneratedRegex(@"(?<=\S)[ \t]{2,}(?=\S)")]
    private static partial Regex DoubleBlank();

    [GeneratedRegex(@"[0-9\u0660-\u0669\uFF10-\uFF19]+(?:[.,'\u00A0\u202F\u2019 ](?=[0-9]{3}(?![0-9]))[0-9]{3})*(?:[.,:/][0-9]+)*")]
    private static partial Regex Number();
}
