using System.Text.RegularExpressions;
using Flywheel.Data;

namespace Flywheel.Loop.Ranking;

/// <summary>How a fact is said of what a text is about.</summary>
public enum FactWay
{
    /// <summary>As it was typed: it says its form itself, or is a sentence.</summary>
    Typed,

    /// <summary>"has hot showers".</summary>
    Has,

    /// <summary>"has a roof terrace" of "roof terrace".</summary>
    HasA,

    /// <summary>"it offers guided walks".</summary>
    Offers,

    /// <summary>"it opens at seven".</summary>
    Does,

    /// <summary>"it burns for forty hours" of "burn for forty hours".</summary>
    Do,

    /// <summary>"it costs £6 a month".</summary>
    Costs,

    /// <summary>"it was built in 1786".</summary>
    Was,

    /// <summary>"it is open on Sundays".</summary>
    Is,

    /// <summary>"it is a quiet place to read" of "quiet place to read".</summary>
    IsA,

    /// <summary>"you can pay by card".</summary>
    Can,

    /// <summary>"lessons are included" of "lessons included".</summary>
    Are,

    /// <summary>As it was typed, behind a label or as a point: whatever its form is, nothing has to fit it.</summary>
    Note,

    /// <summary>Not at all.</summary>
    Nothing,
}

/// <summary>A fact in a short sentence.</summary>
/// <param name="Subject">"Old Kiln", "You", "Lessons"; empty for a fact that stands alone.</param>
/// <param name="Verb">What the form adds or turns on: "has a", "opens", "can"; empty for a fact that stands alone.</param>
/// <param name="Rest">What follows.</param>
public readonly record struct FactSentence(string Subject, string Verb, string Rest)
{
    /// <summary>The sentence without its full stop.</summary>
    public override string ToString() => string.Join(' ', new[] { Subject, Verb, Rest }.Where(part => part.Length > 0));
}

/// <summary>Says facts in each of the ways. English only.</summary>
public static partial class FactWays
{
    /// <summary>The fact as a model is asked with it; empty for one of which nothing is said.</summary>
    /// <param name="fact">As it was typed.</param>
    /// <param name="way">How.</param>
    public static string Say(string fact, FactWay way)
    {
        if (way == FactWay.Nothing) return "";
        if (way == FactWay.Note) return FactFrames.NoteOf(FactFrames.Bare(fact));
        if (way == FactWay.Typed || Parts(fact, way) is not { } said) return fact;
        return (said with { Subject = way is FactWay.Has or FactWay.HasA ? "" : said.Subject }).ToString();
    }

    /// <summary>The fact in a sentence, for people to look at.</summary>
    /// <param name="fact">As it was typed.</param>
    /// <param name="way">How.</param>
    /// <param name="name">What is spoken of; empty says "It".</param>
    public static FactSentence Sentence(string fact, FactWay way, string name)
    {
        if (way == FactWay.Note || FactFrames.IsNote(fact)) return new("Good to know:", "", FactFrames.Bare(fact));
        FactSentence said = (way is FactWay.Typed or FactWay.Nothing ? Marked(fact) : Parts(fact, way))
            ?? new("", "", FactFrames.Bare(fact));
        return said.Subject switch
        {
            "it" => said with { Subject = name.Trim() is { Length: > 0 } known ? known : "It" },
            "" => said with { Rest = Capital(said.Rest) },
            _ => said with { Subject = Capital(said.Subject) },
        };
    }

    /// <summary>The ways that a fact's shape leaves open, and the one that it is said in now; of those that read alike, one.</summary>
    /// <param name="fact">As it was typed.</param>
    /// <param name="now">How it is said.</param>
    public static IReadOnlyList<FactWay> Open(string fact, FactWay now)
    {
        string bare = FactFrames.Bare(fact), first = bare.Split(' ')[0].ToLowerInvariant();
        bool determined = EnglishNouns.IsDetermined(bare);
        EnglishNouns.Number number = EnglishNouns.NumberOf(bare);
        bool mayAct = !determined && !FactFrames.Prepositions.Contains(first) && first is not ("no" or "not" or "nothing");
        bool hasS = first.Length > 2 && first[^1] == 's' && first[^2] != 's';
        bool one = !determined && number != EnglishNouns.Number.Plural;
        FactWay[] open = [.. Enum.GetValues<FactWay>().Where(way => way == now || way switch
        {
            FactWay.HasA or FactWay.IsA => one,
            FactWay.Has => !one || number != EnglishNouns.Number.Count,
            FactWay.Does => mayAct,
            FactWay.Do or FactWay.Can => mayAct && !hasS,
            FactWay.Costs => bare.Any(char.IsDigit),
            FactWay.Was => FirstPast().IsMatch(first),
            FactWay.Are => FactForms.WithVerb(bare) is not null,
            _ => true,
        })];
        HashSet<string> read = now == FactWay.Nothing ? [] : [Sentence(fact, now, "").ToString()];
        return [.. open.Where(way => way == now || way == FactWay.Nothing || read.Add(Sentence(fact, way, "").ToString()))];
    }

    /// <summary>The class that the learner of <see cref="FactForms"/> takes a way for; null for one that says nothing of a fact's
    /// form.</summary>
    internal static (FactForm Form, bool Left)? ClassOf(string fact, FactWay way) => way switch
    {
        FactWay.Has => (FactForm.Has, false),
        FactWay.HasA => (FactForm.Has, true),
        FactWay.Offers => (FactForm.Has, NeedsArticle(fact)),
        FactWay.Does => (FactForm.Does, false),
        FactWay.Do => (FactForm.Do, false),
        FactWay.Costs => (FactForm.Does, true),
        FactWay.Is or FactWay.IsA => (FactForm.Is, false),
        FactWay.Can => (FactForm.Lets, false),
        FactWay.Are => (FactForm.Says, true),
        FactWay.Typed when FactFrames.MarkOf(fact) is null => (Without().IsMatch(fact) ? FactForm.No : FactForm.Says, false),
        FactWay.Note => (FactForm.Note, false),
        _ => null,
    };

    /// <summary>Null where the way does not fit.</summary>
    private static FactSentence? Parts(string fact, FactWay way)
    {
        string bare = FactFrames.Bare(fact), inner = FactForms.Inner(bare);
        if (bare.Length == 0) return null;
        string a = EnglishNouns.IsDetermined(bare) ? "" : " " + EnglishNouns.Article(inner);
        switch (way)
        {
            case FactWay.Has or FactWay.HasA when inner.StartsWith("own ", StringComparison.Ordinal): return new("it", "has its", inner);
            case FactWay.Has: return new("it", "has", inner);
            case FactWay.HasA: return new("it", "has" + a, inner);
            case FactWay.Offers: return new("it", NeedsArticle(fact) ? "offers" + a : "offers", inner);
            case FactWay.Costs: return new("it", "costs", inner);
            case FactWay.Was: return new("it", "was", inner);
            case FactWay.Is: return new("it", "is", inner);
            case FactWay.IsA: return new("it", "is" + a, inner);
            case FactWay.Can: return new("you", "can", inner);
            case FactWay.Does:
                string[] words = inner.Split(' ', 2);
                return new("it", words[0], words.ElementAtOrDefault(1) ?? "");
            case FactWay.Do:
                return ThirdPerson().Match(inner) is { Success: true } verb
                    ? new("it", verb.Groups["adverb"].Value + InThirdPerson(verb.Groups["verb"].Value), inner[verb.Length..].TrimStart())
                    : null;
            case FactWay.Are: return FactForms.WithVerb(bare);
            default: return null;
        }
    }

    /// <summary>What a fact's own first words say; null where they say no form.</summary>
    private static FactSentence? Marked(string fact)
    {
        if (FactFrames.MarkOf(fact) is not { } form) return null;
        string bare = FactFrames.Bare(fact);
        return form switch
        {
            FactFrames.Form.Thing => new("it", "has", bare),
            FactFrames.Form.Said => new("it", "is", bare),
            FactFrames.Form.Ability => new("you", "can", bare),
            _ => Parts(bare, FactWay.Does),
        };
    }

    private static bool NeedsArticle(string fact) =>
        FactFrames.Bare(fact) is var bare && !EnglishNouns.IsDetermined(bare) && EnglishNouns.NumberOf(bare) == EnglishNouns.Number.Count;

    /// <summary>"burns" of "burn", "dries" of "dry", "washes" of "wash".</summary>
    internal static string InThirdPerson(string verb) => verb switch
    {
        "have" => "has",
        "are" or "be" => "is",
        [.., not ('a' or 'e' or 'i' or 'o' or 'u'), 'y'] => verb[..^1] + "ies",
        [.., 's' or 'x' or 'z' or 'o'] or [.., 'c' or 's', 'h'] => verb + "es",
        _ => verb + "s",
    };

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    [GeneratedRegex(@"^(?<adverb>((never|always|also|still|often|just|only|even|easily|quickly) )*)(?<verb>\p{L}+)(?=$|[ ,])",
        RegexOptions.IgnoreCase)]
    private static partial Regex ThirdPerson();

    [GeneratedRegex("(ed|built|begun|laid|made|grown|won|woven|first|once)$")]
    private static partial Regex FirstPast();

    [GeneratedRegex("^(no|never|nothing|without|zero)\\b", RegexOptions.IgnoreCase)]
    private static partial Regex Without();
}
