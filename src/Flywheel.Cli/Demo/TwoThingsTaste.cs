using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A rule of structure: one line that joins two things, such as "Record and edit sounds".</summary>
internal sealed class TwoThingsTaste : Taste
{
    private const int MaximumLength = 80;

    public override string Name => "two-things";

    public override string Rule => $"joins two things with 'and', has no comma and at most {MaximumLength} characters, and praises nothing";

    protected override IEnumerable<string> Complaints(Brief brief, string text, string[] words)
    {
        int and = Array.IndexOf(words, "and");
        if (and <= 0 || and == words.Length - 1) yield return "does not join two things";
        if (text.Contains(',')) yield return "has a comma";
        if (text.Length > MaximumLength) yield return "is too long";
        if (Lexicon.Praise.FirstOrDefault(words.Contains) is { } praise) yield return $"praises ('{praise}')";
    }

    protected override IEnumerable<string> Candidates(Brief brief, string text)
    {
        yield return text;
        yield return text.Replace(", and ", " and ").Replace(" & ", " and ");
        yield return Wording.Shorten(text, MaximumLength);
        string[] calls = [.. brief.Facts.Select(Wording.Imperative).OfType<string>()];
        foreach (string first in calls)
            foreach (string second in calls)
                if (first != second) yield return $"{first} and {Wording.LowerFirst(second)}";
    }
}
