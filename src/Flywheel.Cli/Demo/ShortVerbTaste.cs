using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A rule of form: a short call to do something.</summary>
internal sealed class ShortVerbTaste : Taste
{
    private const int MaximumLength = 60;

    public override string Name => "short-verb";

    public override string Rule =>
        $"begins with a verb in the imperative, has at most {MaximumLength} characters, praises nothing and ends without a full stop";

    protected override IEnumerable<string> Complaints(Brief brief, string text, string[] words)
    {
        if (text.Length > MaximumLength) yield return "is too long";
        if (!Lexicon.Verbs.Contains(words[0])) yield return "does not begin with a verb";
        // "Search engine", "Design tool", "Command line client": here the first word is no verb.
        else if (Wording.OpensWithKind(words)) yield return "begins with a noun";
        if (Lexicon.Praise.FirstOrDefault(words.Contains) is { } praise) yield return $"praises ('{praise}')";
        if (text[^1] is '.' or '!') yield return "ends with a full stop";
    }

    protected override IEnumerable<string> Candidates(Brief brief, string text)
    {
        foreach (string candidate in Calls(brief, text))
        {
            yield return candidate;
            yield return Wording.Shorten(candidate, MaximumLength);
        }
    }

    private static IEnumerable<string> Calls(Brief brief, string text)
    {
        yield return text;
        if (Wording.FromAgent(text) is { } call) yield return call;
        if (Wording.Imperative(text) is { } imperative) yield return imperative;
        foreach (string fact in brief.Facts)
            if (Wording.Imperative(fact) is { } todo) yield return todo;
    }
}
