using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A rule of register: an entry of a sober catalogue, such as "Tag editor for music files".</summary>
internal sealed class PlainTaste : Taste
{
    public override string Name => "plain";

    public override string Rule =>
        "says what kind of thing it is (program, game, editor, player ...) and, after 'for', for whom or what; it praises nothing and has no exclamation mark";

    protected override IEnumerable<string> Complaints(Brief brief, string text, string[] words)
    {
        int kind = Array.FindIndex(words, Lexicon.KindNouns.Contains);
        if (kind < 0) yield return "does not say what it is";
        int purpose = Array.IndexOf(words, "for");
        if (purpose <= kind || purpose == words.Length - 1) yield return "does not say for whom or what";
        if (Lexicon.Praise.FirstOrDefault(words.Contains) is { } praise) yield return $"praises ('{praise}')";
        if (text.Contains('!')) yield return "exclaims";
    }

    protected override IEnumerable<string> Candidates(Brief brief, string text)
    {
        text = text.Replace("!", "");
        string[] words = Wording.Words(text);
        string kind = Wording.UpperFirst(Lexicon.KindOf(brief.Categories));
        if (Wording.OpensWithKind(words))
        {
            yield return text;
            if (brief.Audience.Length > 0) yield return $"{text} for {brief.Audience}";
        }
        foreach (string fact in brief.Facts)
            if (Wording.Gerund(fact) is { } doing) yield return $"{kind} for {doing}";
        if (brief.Audience.Length > 0) yield return $"{kind} for {brief.Audience}";
    }
}
