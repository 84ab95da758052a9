using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>One of several texts that were sampled for the same brief.</summary>
/// <param name="Text">As it was sampled.</param>
/// <param name="Ended">The model ended it itself; false where it was cut.</param>
/// <param name="MeanLogProb">Nats a token under the model, at most 0.</param>
/// <param name="Tokens">What it was sampled as, where that is known.</param>
public sealed record Draft(string Text, bool Ended, double MeanLogProb, IReadOnlyList<SampledToken>? Tokens = null)
{
    /// <summary>A draft as it was sampled; -2 nats a token of an empty one.</summary>
    public static Draft Of(IReadOnlyList<SampledToken> tokens, bool ended) =>
        new(string.Concat(tokens.Select(token => token.Text)).Trim(), ended,
        tokens.Count == 0 ? -2 : tokens.Average(token => token.Logprob), tokens);
}

/// <summary>Where a draft came and why.</summary>
/// <param name="Index">Among the drafts that were given.</param>
/// <param name="Score">The sum of its parts.</param>
/// <param name="Parts">What each part added, by name.</param>
public sealed record RankedDraft(int Index, double Score, IReadOnlyDictionary<string, double> Parts);

/// <summary>
/// Puts drafts in the order in which they deserve to be shown. A pure function: same brief and drafts, same order. The score is a sum of
/// stated parts:
/// <list type="bullet">
/// <item>name: 4 for the exact name, 2 in a tagline (nothing for a feature list, which has no need of it)</item>
/// <item>facts: up to 4, half for the mean share of each fact's content words (of the best fact for a tagline), half for facts whose words
/// stand side by side</item>
/// <item>twice: -2.5 for each fact that one paragraph says twice, or a sentence and a point, at most -5</item>
/// <item>form: -3 for each fact in a sentence that its form does not fit ("you can opens at six"), at most -9</item>
/// <item>bare: -1.5 for each fact that is one of several things and stands without an article ("it has rooftop bar"), at most -3</item>
/// <item>verbless: -2.5 for each sentence that begins with the name and has no verb ("Old Kiln, a bakery in Leeds, never closed."), at most
/// -5</item>
/// <item>run-on: -3 for each sentence that ends with the name and goes on ("That is Old Kiln also has a garden."), at most -6</item>
/// <item>connectives: -0.4 for each "on top of that" and the like that the draft said before, at most -1.2</item>
/// <item>capitals: -1.5 for each word inside a sentence with a capital that the brief does not give it ("This is Come to us"), at most
/// -3</item>
/// <item>fragment: -1.5 for each sentence that is nothing but a thing ("Kippers on request.") or begins with a small letter, and each fact
/// with a capital inside one, at most -3</item>
/// <item>lines: -1 for each line of a feature list, and each point of another text, that is no fact, stands there twice or begins with a
/// small letter, at most -4</item>
/// <item>echo: -1 for an ad or an e-mail whose first sentence says its headline again</item>
/// <item>reason: -1.5 where a drawback is praised ("Best of all, it is closed on Mondays.")</item>
/// <item>praise: -1 for each amount, lack, place or price that is praised ("You will love over 40 seats", "Best of all, it is in Leeds"), at
/// most -2</item>
/// <item>frame: -0.7 for each phrase that readers stumble over whatever stands in it ("a florist for you", "Looking for a podcast that is
/// hosted by Ann?", fun for people who do not play), at most -2.1</item>
/// <item>empty: -20 for no text</item>
/// <item>unlikely: -0.5 for each nat by which the model itself found a token of a sentence less likely than one in twenty, at most
/// -4.5</item>
/// <item>kind: -1.5 for each category with a capital inside a sentence, named twice, a plural one that is taken for a singular, or a
/// substance that has guests, at most -3</item>
/// <item>audience: -2 for each time beyond the first that it is addressed (beyond the second in an ad or an e-mail), at most -4; -2.5
/// where it seems to be what the thing is</item>
/// <item>labels: -0.3 for each sentence that is no more than a label and a fact ("Plus: free parking."), at most -0.9; -1 where
/// several notes could be points</item>
/// <item>strange: -0.75 for each word that is neither the brief's nor one that sentences need, at most -3</item>
/// <item>foreign: -2 for each name or number that the brief does not have, at most -6</item>
/// <item>unsupported: up to -2, the share of content words that the brief does not have</item>
/// <item>agreement: -1 for each "a" or "an" that stands before a plural, or before the other's sound; at most -2</item>
/// <item>complete: -3 for a text that was cut or ends in mid-air</item>
/// <item>repetition: up to -6, the share of three-word stretches and -3 for each sentence or point that occurred before</item>
/// <item>likelihood: nats a token, at least -2</item>
/// <item>diversity: up to -1.5, the largest resemblance to a draft that is placed before it, and up to -3 more where that is above 0.7, so
/// that a draft that differs in a label alone gives its place to another; an equal one has -20</item>
/// <item>further, question: -2 where the first fact is said as one more, -2 for each question without its mark</item>
/// <item>opening: -0.5 when a draft that is placed before it begins with the same words</item>
/// </list>
/// Rules that look at sentences look at them with a plain name in the place of the brief's (<see cref="PlainName"/>).
/// </summary>
public static partial class DraftRanker
{
    /// <param name="brief">What was asked for; null when the request was no brief: then only form, repetition, likelihood and diversity
    /// count.</param>
    /// <param name="drafts">In the order in which they were sampled.</param>
    /// <param name="taught">Words beside those of the list that are not strange; see <see cref="DraftWords.TaughtOf"/>.</param>
    /// <returns>All of them, the best first; an empty or equal text never stands before another.</returns>
    public static IReadOnlyList<RankedDraft> Rank(Brief? brief, IReadOnlyList<Draft> drafts, IReadOnlyCollection<string>? taught = null)
    {
        List<(int Index, SortedDictionary<string, double> Parts)> left =
            [.. drafts.Select((draft, index) => (index, Parts(brief, draft, taught)))];
        string[] openings = [.. drafts.Select(draft => OpeningOf(brief, draft.Text))];
        HashSet<string>[] stretches = [.. drafts.Select(draft => Stretches(draft.Text))];
        List<RankedDraft> ranked = [];
        while (left.Count > 0)
        {
            foreach ((int index, SortedDictionary<string, double> parts) in left)
            {
                parts["opening"] = ranked.Any(before => openings[before.Index] == openings[index]) ? -0.5 : 0;
                double resemblance = ranked
                    .Select(before => Resemblance(drafts[before.Index].Text, stretches[before.Index], drafts[index].Text, stretches[index]))
                    .Append(0).Max();
                parts["diversity"] = resemblance == 1 ? -20 : -1.5 * resemblance - 10 * Math.Max(0, resemblance - 0.7);
            }
            (int Index, SortedDictionary<string, double> Parts) best = left.MaxBy(entry => entry.Parts.Values.Sum());
            left.Remove(best);
            ranked.Add(new RankedDraft(best.Index, best.Parts.Values.Sum(), best.Parts));
        }
        return ranked;
    }

    private static SortedDictionary<string, double> Parts(Brief? brief, Draft draft, IReadOnlyCollection<string>? taught)
    {
        var parts = new SortedDictionary<string, double>(StringComparer.Ordinal)
        {
            ["complete"] = IsComplete(brief?.Kind, draft) ? 0 : -3,
            ["repetition"] = -Repetition(draft.Text),
            ["likelihood"] = double.IsFinite(draft.MeanLogProb) ? Math.Clamp(draft.MeanLogProb, -2, 0) : -2,
        };
        if (string.IsNullOrWhiteSpace(draft.Text)) parts["empty"] = -20;
        (Brief? plainBrief, Draft plainDraft) = brief is null ? (null, draft) : PlainName.In(brief, draft);
        parts["agreement"] = -Math.Min(2, WrongArticle().Count(plainDraft.Text));
        if (brief is null) return parts;
        CopyMetrics metrics = CopyMetrics.Of(brief, draft.Text, taught);
        parts["name"] = !metrics.NameExact ? 0 : brief.Kind switch { Brief.Features => 0, Brief.Tagline => 2, _ => 4 };
        parts["unlikely"] = -Math.Min(4.5, Unlikely(brief, draft));
        (brief, draft) = (plainBrief!, plainDraft);
        parts["facts"] = metrics.FactsRestated.Count == 0 ? 0 : brief.Kind == Brief.Tagline
            ? 2 * metrics.FactsRestated.Max() + (metrics.Whole > 0 ? 2 : 0)
            : 2 * metrics.FactsRestated.Average() + 2 * metrics.Whole;
        parts["twice"] = -2.5 * Math.Min(2, metrics.Twice + SaidAgain(brief, draft.Text));
        parts["further"] = SaysMoreFirst(brief, draft.Text) ? -2 : 0;
        parts["question"] = -2 * Math.Min(2, Unasked().Count(draft.Text));
        parts["form"] = brief.Kind == Brief.Features ? 0 : -3 * Math.Min(3, FactFrames.Misfits(brief, draft.Text));
        parts["bare"] = brief.Kind is Brief.Features or Brief.Tagline
            ? 0 : -1.5 * Math.Min(2, FactFrames.MissingArticles(brief.Facts, draft.Text));
        parts["verbless"] = brief.Kind is Brief.Features or Brief.Tagline || brief.Name.Length == 0
            ? 0 : -2.5
                * Math.Min(2,
                    TextCleaner.Sentences(draft.Text.ReplaceLineEndings(" ")).Count(sentence => FactFrames.IsVerbless(brief, sentence)));
        parts["lines"] = -Math.Min(4, FactFrames.StrangeLines(brief, brief.Kind == Brief.Features ? draft.Text : PointsOf(draft.Text)));
        parts["fragment"] = brief.Kind is Brief.Features or Brief.Tagline ? 0 : -1.5 * Math.Min(2, FactFrames.Fragments(brief, draft.Text));
        parts["echo"] = brief.Kind is Brief.Ad or Brief.Email && IsEchoed(draft.Text) ? -1 : 0;
        parts["reason"] = Drawback().IsMatch(draft.Text) ? -1.5 : 0;
        parts["praise"] = -Math.Min(2, Overdone().Count(draft.Text));
        parts["frame"] = -0.7 * Math.Min(3, Stilted().Count(draft.Text)
            + (Playing().IsMatch(draft.Text) && !Young().IsMatch(brief.Audience) ? 1 : 0));
        parts["run-on"] = -3 * Math.Min(2, FactFrames.RunOns(brief, draft.Text));
        parts["connectives"] =
            -0.4 * Math.Min(3, Connective().Matches(draft.Text).GroupBy(said => said.Value).Sum(same => same.Count() - 1));
        parts["capitals"] = -1.5 * Math.Min(2, Capitals(brief, draft.Text));
        parts["kind"] = -1.5 * Math.Min(2, Kinds(brief, draft.Text));
        parts["audience"] =
            -2 * Math.Min(2, Math.Max(0, Times(brief.Audience, draft.Text) - (brief.Kind is Brief.Ad or Brief.Email ? 2 : 1)))
            - 2.5 * Math.Min(2, Misled(brief.Audience, draft.Text));
        // one note has no other place; several stand better as points
        int labels = draft.Text.Replace(brief.Name, "", StringComparison.Ordinal).Split('\n').SelectMany(TextCleaner.Sentences)
            .Count(sentence => Label().IsMatch(sentence));
        int notes = brief.Facts.Count(FactFrames.IsNote);
        parts["labels"] = brief.Kind is Brief.Features or Brief.Tagline
            ? 0 : (notes > 1 ? -1 : -0.3) * Math.Clamp(labels - (notes == 1 ? 1 : 0), 0, 3);
        parts["strange"] = -0.75 * Math.Min(4, metrics.Strange.Count);
        parts["foreign"] = -2 * Math.Min(3, metrics.Foreign.Count);
        parts["unsupported"] = -2 * metrics.Unsupported;
        return parts;
    }

    /// <summary>
    /// Words of sentences that the model itself found very unlikely: where decoding forbade what it would have written, and it did not find
    /// back. What the brief says may be as unlikely as it likes.
    /// </summary>
    private static double Unlikely(Brief brief, Draft draft)
    {
        if (draft.Tokens is null) return 0;
        string raw = string.Concat(draft.Tokens.Select(token => token.Text));
        bool[] said = new bool[raw.Length + 1];
        foreach (string phrase in (string[])[brief.Name, brief.Audience, .. brief.Categories, .. brief.Facts.Select(FactFrames.Bare)])
            for (int at = 0; phrase.Length > 0
                && (at = raw.IndexOf(phrase, at, StringComparison.OrdinalIgnoreCase)) >= 0; at += phrase.Length)
                said.AsSpan(at, phrase.Length).Fill(true);
        double sum = 0;
        int start = 0;
        foreach (SampledToken token in draft.Tokens)
        {
            int word = start + token.Text.Length - token.Text.TrimStart().Length;
            if (token.Text.Any(char.IsLetter) && !said[word]) sum += 0.5 * Math.Max(0, LikelyLogprob - token.Logprob);
            start += token.Text.Length;
        }
        return sum;
    }

    /// <summary>How many facts a point says that are said elsewhere too.</summary>
    private static int SaidAgain(Brief brief, string text) => PointsOf(text) is { Length: > 0 } points
        ? brief.Facts.Select(FactFrames.Bare).Count(fact => Times(fact, points) > 0 && Times(fact, text) > 1) : 0;

    /// <summary>Whether the first fact is said as one more: "Here is Old Kiln. It also opens at six."</summary>
    private static bool SaysMoreFirst(Brief brief, string text)
    {
        int first = brief.Facts.Select(FactFrames.Bare).Where(fact => fact.Length > 0)
            .Select(fact => text.IndexOf(fact, StringComparison.OrdinalIgnoreCase)).Where(at => at >= 0).DefaultIfEmpty(0).Min();
        return first > 0 && Further().IsMatch(text[(text.LastIndexOfAny(['.', '!', '?', '\n'], first - 1) + 1)..first]);
    }

    /// <summary>How often people seem to be what the thing is: "for parents that takes back shoes".</summary>
    private static int Misled(string audience, string text) => audience.Length == 0 ? 0
        : Regex.Count(text, $@"(?<!\w){Regex.Escape(audience)} (that|with|where) ", RegexOptions.IgnoreCase);

    private static string PointsOf(string text) =>
        string.Join('\n', text.Split('\n').Where(line => line.StartsWith("- ", StringComparison.Ordinal)));

    /// <summary>Whether the first sentence under a headline says hardly more than the headline.</summary>
    private static bool IsEchoed(string text)
    {
        string[] paragraphs = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        string? first =
            paragraphs.Skip(1)
                .FirstOrDefault(paragraph => paragraph[^1] is not ',' && paragraph.Contains(' ', StringComparison.Ordinal)
                    && paragraph.Length > 24);
        if (first is null || TextCleaner.Sentences(first) is not [var sentence, ..]) return false;
        HashSet<string> said = [.. CopyMetrics.Words(paragraphs[0].Replace("Subject: ", "", StringComparison.Ordinal))];
        string[] words = CopyMetrics.Words(sentence);
        return words.Length > 0 && words.Count(said.Contains) >= 0.8 * words.Length;
    }

    /// <summary>Down to so many nats a token is nothing unusual.</summary>
    private const float LikelyLogprob = -3;

    /// <summary>Categories that keep the capital of the form they were typed into, and verbs that take a thing of several for
    /// one.</summary>
    private static int Kinds(Brief brief, string text)
    {
        int count = brief.Categories.Any(category => EnglishNouns.NumberOf(category) == EnglishNouns.Number.Mass) && Guests().IsMatch(text)
            ? 1 : 0;
        text = text.Replace(brief.Name, "", StringComparison.Ordinal);
        foreach (string category in brief.Categories.Where(category =>
            category.Length > 1 && char.IsUpper(category[0]) && !category.Skip(1).Any(char.IsUpper) && !DraftWords.KeepsCapital(category)))
        {
            count += Regex.Count(text, $@"(?<=[\p{{Ll}},] ){Regex.Escape(category)}(?!\w)");
            count += Math.Max(0, Regex.Count(text, $@"\ban? {Regex.Escape(category)}(?!\w)", RegexOptions.IgnoreCase) - 1);
            if (EnglishNouns.IsPlural(EnglishNouns.Head(category)))
                count += Regex.Count(text,
                    $@"\b(an? {Regex.Escape(category)}|is (the|your|our) {Regex.Escape(category)}|(?<! of ){Regex.Escape(category)} that (is|has|\w+[^s\W]s))\b",
                    RegexOptions.IgnoreCase);
        }
        return count;
    }

    private static int Capitals(Brief brief, string text)
    {
        string said = string.Join(' ', [brief.Name, .. brief.Categories, brief.Audience, .. brief.Facts]);
        return InnerCapital().Matches(text).Count(word => !said.Contains(word.Value, StringComparison.Ordinal));
    }

    private static int Times(string phrase, string text) =>
        phrase.Length == 0 ? 0 : Regex.Count(text, $@"(?<!\w){Regex.Escape(phrase)}(?!\w)", RegexOptions.IgnoreCase);

    private static bool IsComplete(string? kind, Draft draft)
    {
        string text = draft.Text.TrimEnd();
        if (!draft.Ended || text.Length == 0) return false;
        string last = text[(text.LastIndexOfAny([' ', '\n']) + 1)..];
        if (Dangling.Contains(last.ToLowerInvariant())) return false;
        return kind is not (Brief.Description or Brief.Ad or Brief.Post) || text[^1] is '.' or '!' or '?' or '"' or ')' || last[0] == '#'
            || text[(text.LastIndexOf('\n') + 1)..].StartsWith("- ", StringComparison.Ordinal);
    }

    /// <summary>Share of three-word stretches that occurred before, and 3 for each sentence or point that did; at most 6.</summary>
    private static double Repetition(string text)
    {
        string[] words = TextCleaner.Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] triples = [.. Enumerable.Range(0, Math.Max(0, words.Length - 2)).Select(i => string.Join(' ', words, i, 3))];
        string[] sentences =
            [.. text.Split('\n').SelectMany(TextCleaner.Sentences).Select(TextCleaner.Normalise)
                .Where(sentence => sentence.Contains(' ', StringComparison.Ordinal))];
        double share = triples.Length == 0 ? 0 : 1 - triples.Distinct().Count() / (double)triples.Length;
        return Math.Min(6,
            2 * share + 3 * (sentences.Length - sentences.Distinct().Count())
                + (words.Zip(words.Skip(1)).Any(pair => pair.First == pair.Second) ? 0.5 : 0));
    }

    /// <summary>The first two words, whatever the name is.</summary>
    private static string OpeningOf(Brief? brief, string text)
    {
        string start = brief is null || brief.Name.Length == 0 ? text : text.Replace(brief.Name, "~", StringComparison.Ordinal);
        return string.Join(' ', start.Split([' ', '\n', ':', ',', '.'], StringSplitOptions.RemoveEmptyEntries).Take(2));
    }

    private static HashSet<string> Stretches(string text)
    {
        string[] words = TextCleaner.Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return [.. Enumerable.Range(0, Math.Max(0, words.Length - 1)).Select(i => $"{words[i]} {words[i + 1]}")];
    }

    /// <summary>The Jaccard index of two texts' pairs of words; 1 of equal texts.</summary>
    private static double Resemblance(string leftText, HashSet<string> left, string rightText, HashSet<string> right)
    {
        if (leftText == rightText) return 1;
        int shared = left.Count(right.Contains), all = left.Count + right.Count - shared;
        return all == 0 ? 0 : shared / (double)all;
    }

    /// <summary>What a thing is not, as the reason to want it: "Why The Corn Loft? It is not suitable for wheelchairs."</summary>
    [GeneratedRegex(@"^Why [^?]*\? (Because )?it is (not|closed)\b|\b(better still|best of all|and yes|the best part\?),? it is (not|closed)\b", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex Drawback();

    /// <summary>"You will love over 20,000 books", "Imagine no adverts. That is Nightjar."</summary>
    [GeneratedRegex(@"\b(love|count on|imagine|comes with|say hello to) (over|up to|more than|from|no) |\b(Imagine|love|mention) (an? )?[\d£$€]|\blove an? |\bguess who costs |\beven has [\d£$€]|\b(best of all|better still|plus|on top of that|what is more|even more|the best part\?),?:? it (costs|is (in|near|from|at|on|\d))\b", RegexOptions.IgnoreCase)]
    private static partial Regex Overdone();

    /// <summary>Fits hardly any fact.</summary>
    [GeneratedRegex(@"\bMeet [^.!?]*, an? [^.!?,]* for you\b|\byou will love\b|\bLooking for an? [^.!?]* (that|which) [^.!?]*\?|\bIf you want an? |\bwhere it is\b|\bAt [^.!?,]+, it \w+s\b|\bHere, it \w+s\b", RegexOptions.IgnoreCase)]
    private static partial Regex Stilted();

    [GeneratedRegex(@"\bfun for\b", RegexOptions.IgnoreCase)]
    private static partial Regex Playing();

    [GeneratedRegex(@"\b(child|children|kids?|famil(y|ies)|toddlers?|teenagers?|girls|boys|players|gamers|everyone|all ages)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Young();

    [GeneratedRegex(@"\b[Aa]n? (?!Christmas)[\w-]{2,}(?<![sui])s\b(?!')|\b[Aa] [aeio](?!ne\b|nce\b|ur)\w|\b[Aa]n [b-dfgj-np-tv-z]\w*[aeiou]")]
    private static partial Regex WrongArticle();

    [GeneratedRegex(@"\b(On top of that|What is more|In addition|Best of all|Better still|And yes|Plus|Add to that|You will (also )?find)\b")]
    private static partial Regex Connective();

    [GeneratedRegex(@"(?<=[\p{Ll}\d][ ,] ?)\p{Lu}\p{Ll}+")]
    private static partial Regex InnerCapital();

    [GeneratedRegex(@"^(?!Subject)\p{L}[\p{L} ,]{0,24}: ")]
    private static partial Regex Label();

    [GeneratedRegex(@"\b(also|what is more|on top of that|in addition|furthermore|plus|better still|besides|even more|best of all|the best part)\b|^\s*And\b", RegexOptions.IgnoreCase)]
    private static partial Regex Further();

    /// <summary>A question without its mark, one for a thing that has a sentence in its place ("Looking for dogs are welcome?"), and a mark
    /// behind what asks nothing ("Say hello to Old Kiln, a bakery?").</summary>
    [GeneratedRegex(@"\b(Say hello to|Meet|Discover|Here is|Here comes|Welcome to|Hello from|This is|Imagine|Good news for)\b[^.!?:]*\?|\b(Looking for|Ready for|Fancy|Hungry for|In need of)\b(?![^?]*\b(that|which|who|where)\b)[^?.!]* (is|are|can|has|have) [^?.!]*\?|(?:^|(?<=[.!?]\s))(Why|What makes|Looking for|Ready for|Fancy|Hungry|Guess who|Did we mention)\b[^?!:]*\.(\s|$)", RegexOptions.Multiline)]
    private static partial Regex Unasked();

    /// <summary>What a place has, and a packet of coffee does not.</summary>
    [GeneratedRegex(@"\bguests\b", RegexOptions.IgnoreCase)]
    private static partial Regex Guests();

    private static readonly HashSet<string> Dangling =
        [.. "a an the and or of to in on at for from with by that is are your its".Split(' ')];
}
