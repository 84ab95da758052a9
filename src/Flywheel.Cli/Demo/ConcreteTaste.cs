using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A rule of content: the text speaks of what the brief says and of nothing else.</summary>
internal sealed class ConcreteTaste : Taste
{
    private const int MinimumShared = 2, MaximumLength = 90;

    public override string Name => "concrete";

    public override string Rule =>
        $"uses at least {MinimumShared} different words of the brief's facts, praises nothing and has at most {MaximumLength} characters";

    protected override IEnumerable<string> Complaints(Brief brief, string text, string[] words)
    {
        if (Wording.Shared(words, brief.Facts) < MinimumShared) yield return "does not speak of the facts";
        if (Lexicon.Praise.FirstOrDefault(words.Contains) is { } praise) yield return $"praises ('{praise}')";
        if (text.Length > MaximumLength) yield return "is too long";
    }

    protected override IEnumerable<string> Candidates(Brief brief, string text)
    {
        yield return text;
        foreach (string fact in brief.Facts)
            if (text.Length > 0) yield return $"{text}: {Wording.LowerFirst(fact)}";
        foreach (string fact in brief.Facts) yield return Wording.UpperFirst(fact);
    }
}
