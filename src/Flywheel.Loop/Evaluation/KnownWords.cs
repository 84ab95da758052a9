using System.Text.RegularExpressions;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// Words that somebody wrote: in a request, in a text that people accepted, in the frozen set, in the list that drafts are confined to. A
/// model that forgets how to spell, or to
/// copy, writes words that are in none of them, such as "readingramles"; rules of form do not see that.
/// </summary>
/// <remarks>
/// Other forms of known words are known. Only words of scripts with capitals are looked at: others have no spaces between words.
/// </remarks>
internal sealed partial class KnownWords
{
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    public KnownWords(ExamPaper paper)
    {
        foreach (HeldOutItem item in paper.Texts.Concat(paper.Pairs).Concat(paper.TeachingTexts).Concat(paper.TeachingPairs))
            Add(item.Preferred);
        foreach (HeldOutItem item in paper.Judged.Concat(paper.TeachingJudged)) Add(item.Liked ? item.Preferred : item.Prompt);
        foreach (Conversation conversation in paper.Regression) Add(conversation);
        foreach (string word in DraftWords.Known.SelectMany(Words)) _known.UnionWith(Forms(word)); // drafts may say them
    }

    /// <summary>Whether each word of a text is known.</summary>
    public bool AreAllOf(string text) => Words(text).All(_known.Contains);

    private void Add(Conversation conversation)
    {
        foreach (Message message in conversation.Messages)
            foreach (string word in Words(message.Text)) _known.UnionWith(Forms(word));
    }

    private static IEnumerable<string> Words(string text) => Word().Matches(text).Select(match => match.Value.ToLowerInvariant());

    /// <summary>A word, and what English makes of it: plurals, persons, -ing, -ed, -er, -or.</summary>
    internal static IEnumerable<string> Forms(string word)
    {
        yield return word;
        yield return word + "s";
        yield return word + "es";
        foreach (string stem in Stems(word).Where(stem => stem.Length >= 3 && !stem.EndsWith("ing", StringComparison.Ordinal)
            && !stem.EndsWith("ed", StringComparison.Ordinal)))
        {
            yield return stem;
            foreach (string ending in (string[])["ing", "ed", "er", "ers", "or", "ors"])
            {
                yield return stem + ending;
                yield return stem + stem[^1] + ending;
                if (stem[^1] == 'e') yield return stem[..^1] + ending;
            }
            if (stem[^1] != 'y') continue;
            yield return stem[..^1] + "ies";
            yield return stem[..^1] + "ied";
        }
    }

    private static IEnumerable<string> Stems(string word)
    {
        if (word.Length <= 3 || word[^1] != 's' || word[^2] == 's')
        {
            yield return word;
            yield break;
        }
        yield return word[..^1];
        if (word.Length > 4 && word.EndsWith("es", StringComparison.Ordinal)) yield return word[..^2];
        if (word.Length > 4 && word.EndsWith("ies", StringComparison.Ordinal)) yield return word[..^3] + "y";
    }

    [GeneratedRegex(@"[\p{Ll}\p{Lu}\p{Lt}\p{M}]+")]
    private static partial Regex Word();
}
