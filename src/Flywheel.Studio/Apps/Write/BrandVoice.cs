using System.Text.Json;
using System.Text.RegularExpressions;

namespace Flywheel.Studio.Apps.Write;

/// <summary>How a person's brand speaks: terms that every text must have, and terms that none may have.</summary>
public sealed record BrandVoice
{
    /// <summary>One a line.</summary>
    public string Required { get; init; } = "";

    /// <summary>One a line; after <c>=&gt;</c> what to say instead.</summary>
    public string Banned { get; init; } = "";

    public string this[string field] => field == "required" ? Required : Banned;

    public BrandVoice With(string field, string text) => field == "required" ? this with { Required = text } : this with { Banned = text };

    public static BrandVoice Parse(string json) => JsonSerializer.Deserialize<BrandVoice>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);

    /// <summary>What a text does against this voice: the same text and voice give the same findings, in the order of the text.</summary>
    public Findings Check(string text)
    {
        List<Finding> banned = [];
        foreach (string line in Lines(Banned))
        {
            string[] sides = line.Split("=>", 2, StringSplitOptions.TrimEntries);
            if (sides[0].Length == 0) continue;
            banned.AddRange(Occurrences(text, sides[0])
                .Select(at => new Finding(at, sides[0].Length, text.Substring(at, sides[0].Length),
                    sides.Length == 2 ? Cased(sides[1], text[at]) : null)));
        }
        // Of two terms that overlap the earlier, then the longer one is meant.
        List<Finding> apart = [];
        foreach (Finding finding in banned.OrderBy(one => one.Start).ThenByDescending(one => one.Length))
            if (apart.Count == 0 || apart[^1].Start + apart[^1].Length <= finding.Start) apart.Add(finding);
        return new(apart, [.. Lines(Required).Where(term => !Occurrences(text, term).Any())]);
    }

    /// <summary>The text with every banned term replaced for which the voice says what to say instead.</summary>
    public string Fix(string text)
    {
        foreach (Finding finding in Check(text).Banned.Reverse())
            if (finding.Instead is not null) text = text[..finding.Start] + finding.Instead + text[(finding.Start + finding.Length)..];
        return text;
    }

    // Whole words where the term is made of letters; as it stands where it is Chinese or a sign.
    private static IEnumerable<int> Occurrences(string text, string term)
    {
        for (int at = text.IndexOf(term, StringComparison.OrdinalIgnoreCase); at >= 0; at =
            text.IndexOf(term, at + term.Length, StringComparison.OrdinalIgnoreCase))
            if (!Joins(text, at - 1, term[0]) && !Joins(text, at + term.Length, term[^1])) yield return at;

        static bool Joins(string text, int index, char edge) => index >= 0 && index < text.Length && IsWord(text[index]) && IsWord(edge);
        static bool IsWord(char c) => char.IsLetterOrDigit(c) && c < 0x2E80; // from there on scripts that set no blanks between words
    }

    private static string Cased(string instead, char first) =>
        instead.Length > 0 && char.IsUpper(first) ? char.ToUpperInvariant(instead[0]) + instead[1..] : instead;

    private static IEnumerable<string> Lines(string text) =>
        text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Distinct();
}

/// <param name="Instead">What to say; null where the voice does not tell.</param>
public sealed record Finding(int Start, int Length, string Term, string? Instead);

/// <param name="Banned">In the order of the text; none overlap.</param>
/// <param name="Missing">Required terms that it lacks.</param>
public sealed record Findings(IReadOnlyList<Finding> Banned, IReadOnlyList<string> Missing);

/// <summary>
/// Replacements that a person makes again and again, from what the model wrote to what they made of it: rules to propose. Only single
/// words that were replaced by single words count; whole sentences written anew say nothing about a word.
/// </summary>
internal static partial class RepeatedEdits
{
    public static IReadOnlyList<(string Term, string Instead, int Times)> Find(IEnumerable<(string Written, string Text)> edits,
        BrandVoice voice)
    {
        var replaced = edits.SelectMany(edit => Replacements(edit.Written, edit.Text).Distinct()).GroupBy(pair => pair)
            .Where(group => group.Count() >= 2).Select(group => (group.Key.Term, group.Key.Instead, Times: group.Count()));
        return [.. replaced.Where(rule => voice.Check(rule.Term).Banned.Count == 0).OrderByDescending(rule => rule.Times)
            .ThenBy(rule => rule.Term, StringComparer.Ordinal)];
    }

    private static IEnumerable<(string Term, string Instead)> Replacements(string written, string text)
    {
        IReadOnlyList<DiffPart> parts = TextDiff.Words(written, text);
        for (int i = 0; i + 1 < parts.Count; i++)
        {
            if (parts[i].Kind != DiffKind.Removed || parts[i + 1].Kind != DiffKind.Added) continue;
            string term = parts[i].Text.Trim(), instead = parts[i + 1].Text.Trim();
            if (Word().IsMatch(term) && Word().IsMatch(instead) && !term.Equals(instead, StringComparison.OrdinalIgnoreCase))
                yield return (term.ToLowerInvariant(), instead.ToLowerInvariant());
        }
    }

    [GeneratedRegex(@"^\p{L}[\p{L}'’-]*$")]
    private static partial Regex Word();
}
