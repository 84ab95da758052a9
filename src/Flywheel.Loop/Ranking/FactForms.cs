using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>
/// Says the form of a brief's facts before them ("it opens at seven", "has a garden", "it is made of oak", "you can pay by card"), as most
/// of the training
/// data does: a small model cannot tell "flags overtime" from "flags of all nations" by itself. The form is guessed by logistic regression
/// over a fact's words, their endings and what <see cref="FactFrames"/> says of it, learnt when it is first asked from the facts of
/// tasks/copywriting. English only.
/// </summary>
public static partial class FactForms
{
    private const int Features = 1 << 17, Rounds = 6;

    /// <summary>Below it a fact is a note, which no sentence has to fit. Read off facts of other writers.</summary>
    private const double Likely = 0.9, Contradicting = 0.97, Stated = 0.6;

    /// <summary>Below it a draft is not blamed.</summary>
    private const double Certain = 0.95;

    private const float Rate = 0.3f, Damping = 0.3f, Decay = 1e-5f;

    /// <summary>What is told apart: the form, and the word that is not typed; <see cref="FactForm.Post"/> is said as
    /// <see cref="FactForm.Is"/> is.</summary>
    private static readonly (FactForm Form, bool Left)[] Classes =
    [
        (FactForm.Has, false), (FactForm.Has, true), (FactForm.Does, false), (FactForm.Does, true), (FactForm.Do, false),
        (FactForm.Is, false), (FactForm.Lets, false), (FactForm.No, false),
        (FactForm.Says, false), (FactForm.Says, true), (FactForm.Note, false),
    ];

    private static readonly int[] Things = [0, 1, Array.IndexOf(Classes, (FactForm.Says, true))];

    private static readonly TypedFact[] Known = Embedded();

    /// <summary>Learnt from the facts that come with this program, once, in about a second.</summary>
    internal static Lazy<float[][]> Shipped { get; } = new(() => Train(Known));

    /// <summary>What is said of things behind "is" and "are" that people leave out: "lessons included".</summary>
    private static readonly HashSet<string> States =
        [.. Known.Where(fact => fact.Form == FactForm.Says && fact.Left.Length > 0)
            .Select(fact =>
                Words(fact.Text[(fact.Text.IndexOf($" {fact.Left} ", StringComparison.Ordinal) + fact.Left.Length + 2)..]).First())];

    /// <summary>Every word of the facts, to tell English from other languages.</summary>
    private static readonly HashSet<string> English = [.. Known.SelectMany(fact => Words(fact.Typed)),
        .. DraftWords.Known.SelectMany(Words)];

    /// <summary>The ranking asks of a fact for each draft.</summary>
    private static readonly ConcurrentDictionary<string, ((FactForm Form, bool Left) Class, double Odds)> Asked = [];

    /// <summary>Words of the facts that are always written small.</summary>
    private static readonly HashSet<string> Small =
        [.. Written.Where(word => char.IsLower(word[0]))
            .Except(Written.Where(word => char.IsUpper(word[0])).Select(word => word.ToLowerInvariant()))];

    private static IEnumerable<string> Written => Known.SelectMany(fact => Word().Matches(fact.Typed)).Select(word => word.Value);

    /// <summary>Learns now, and not at the first fact that is asked for.</summary>
    public static void Prepare() => _ = Shipped.Value;

    /// <summary>Whether a brief's facts are said with their forms: of one in another language they are not.</summary>
    /// <param name="brief">As it was typed.</param>
    public static bool AreSaid(Brief brief) => brief.Language is "" or "English" && IsEnglish(brief.Facts);

    /// <summary>The brief with its facts marked and its categories with a capital; one in another language stays as it is.</summary>
    /// <param name="brief">As it was typed.</param>
    /// <param name="own">What somebody corrected.</param>
    public static Brief Mark(Brief brief, FactCorrections? own = null)
    {
        if (!AreSaid(brief)) return brief;
        // as training says categories: people type "frozen dumplings", "Frozen dumplings" and "Frozen Dumplings"
        string[] categories =
            [.. brief.Categories.Select(category =>
                string.Join(' ',
                    category.Split(' ').Select((word, at) => at == 0 ? Category(word) : IsCapitalised(word) ? Inner(word) : word)))];
        string[] facts = [.. brief.Facts.Zip(WaysOf(brief.Facts, [.. brief.Categories, brief.Name], own), FactWays.Say)
            .Where(fact => fact.Length > 0)];
        return brief with { Facts = facts, Categories = categories };
    }

    /// <summary>How each of a brief's facts is said. Two notes are points, one alone would hang behind a label: so the fact whose form is
    /// least sure of the others joins it.</summary>
    /// <param name="facts">As they were typed.</param>
    /// <param name="categories">Of whom or what, and what it is called: a maker is not made, nor is what is called as one.</param>
    /// <param name="own">What somebody corrected.</param>
    /// <param name="chosen">What was chosen for this brief, which counts before.</param>
    public static IReadOnlyList<FactWay> WaysOf(
        IReadOnlyList<string> facts, IReadOnlyList<string> categories, FactCorrections? own = null, FactCorrections? chosen = null)
    {
        bool makes = categories.Any(category => Maker().IsMatch(category.Trim()));
        FactWay?[] corrected = [.. facts.Select(fact => chosen?.Of(fact) ?? own?.Of(fact))];
        FactWay[] ways = [.. facts.Zip(corrected, (fact, said) =>
            said ?? (WayOf(fact, own) is var way && way == FactWay.Is && makes && Made().IsMatch(fact) ? FactWay.Note : way))];
        if (ways.Count(way => way == FactWay.Note) != 1) return ways;
        int[] guessed = [.. Enumerable.Range(0, ways.Length).Where(at => ways[at] is not (FactWay.Note or FactWay.Nothing)
            && FactFrames.MarkOf(facts[at]) is null && corrected[at] is null)];
        if (guessed.Length > 0) ways[guessed.MinBy(at => Ask(Inner(FactFrames.Bare(facts[at]))).Odds)] = FactWay.Note;
        return ways;
    }

    /// <summary>One fact with its form before it, or as a note where the form is not sure; empty where nothing is to be said of
    /// it.</summary>
    /// <param name="fact">As it was typed.</param>
    /// <param name="own">What somebody corrected.</param>
    public static string Mark(string fact, FactCorrections? own = null) => FactWays.Say(fact, WayOf(fact, own));

    /// <summary>How a fact is said: as somebody corrected it, else as its form is guessed.</summary>
    /// <param name="fact">As it was typed.</param>
    /// <param name="own">What somebody corrected.</param>
    public static FactWay WayOf(string fact, FactCorrections? own = null) => WayOf(fact, own, null);

    /// <param name="fact">As it was typed.</param>
    /// <param name="own">What somebody corrected.</param>
    /// <param name="weights">In the place of the shipped ones.</param>
    internal static FactWay WayOf(string fact, FactCorrections? own, float[][]? weights)
    {
        string bare = FactFrames.Bare(fact);
        if (bare.Length == 0) return FactWay.Typed;
        if (own?.Of(fact) is { } corrected) return corrected;
        if (FactFrames.MarkOf(fact) is not null) return FactWay.Typed;
        if (Loose().IsMatch(bare) || Size().IsMatch(bare) || Pointing().IsMatch(bare) || Material().IsMatch(bare) || Dated().IsMatch(bare)
            || Unfit().IsMatch(bare)) return FactWay.Note;
        if (Price().IsMatch(bare)) return FactWay.Costs;
        if (Past().IsMatch(bare)) return FactWay.Was;
        if (Free().IsMatch(bare)) return FactWay.Typed;
        if (HowMade().IsMatch(bare)) return FactWay.Is;
        if (State().IsMatch(bare) && WithVerb(bare) is not null) return FactWay.Are;
        if (Reduced().IsMatch(bare)) return FactWay.Has;
        if (Ordinal().IsMatch(bare) && bare.Contains(" is ", StringComparison.Ordinal) && WithVerb(bare) is not null) return FactWay.Are;
        if (Done().Match(bare) is { Success: true } done && EnglishNouns.IsPlural(done.Groups["thing"].Value) || NotNeeded().IsMatch(bare))
            return FactWay.Are;
        string inner = Inner(bare);
        if (Member().IsMatch(inner)) return FactWay.IsA;
        if (Did().IsMatch(inner)) return FactWay.Does;
        if (EnglishNouns.IsMeasured(inner))
            return FactFrames.FormOf(inner) == FactFrames.Form.Said ? FactWay.IsA
                : EnglishNouns.NumberOf(inner) == EnglishNouns.Number.Count ? FactWay.HasA : FactWay.Has;
        return Sure(inner, own?.Guess(inner) ?? (weights is null ? Ask(inner) : Guess(inner, weights))) switch
        {
            (FactForm.Has, _) or (FactForm.Does, false) when Priced().IsMatch(bare) => FactWay.Note,
            (FactForm.Does, false) when IsTimed(bare) => FactWay.Note,
            (FactForm.Has, true) when !EnglishNouns.IsDetermined(inner) && !EnglishNouns.IsJoined(inner)
                && EnglishNouns.NumberOf(inner) is not (EnglishNouns.Number.Mass or EnglishNouns.Number.Plural) => FactWay.HasA,
            (FactForm.Has, _) => FactWay.Has,
            (FactForm.Does, true) => FactWay.Costs,
            (FactForm.Does, false) => FactWay.Does,
            (FactForm.Do, _) => FactWay.Do,
            (FactForm.Is, _) => FactWay.Is,
            (FactForm.Lets, _) => FactWay.Can,
            (FactForm.Says, true) when WithVerb(bare) is not null => FactWay.Are,
            (FactForm.Says, false) or (FactForm.No, _) => FactWay.Typed,
            _ => FactWay.Note,
        };
    }

    /// <summary>Things and when they are, which could be what is done then: "shows at 11", "tastings Saturdays 12 to 4".</summary>
    private static bool IsTimed(string bare) => bare.Split(' ', 3) is [var things, var when, ..] && EnglishNouns.IsPlural(things)
        && (EnglishNouns.IsKnown(things) || things.EndsWith("ings", StringComparison.OrdinalIgnoreCase)) && When().IsMatch(bare[(things.Length + 1)..]);

    private static string Category(string word) =>
        word.Length > 1 && char.IsLower(word[1]) ? char.ToUpperInvariant(word[0]) + word[1..] : word;

    private static bool IsCapitalised(string word) => word.Length > 1 && char.IsUpper(word[0]) && word.Skip(1).All(char.IsLower);

    /// <summary>As it stands inside a sentence: without a capital that it only has because it was typed first.</summary>
    internal static string Inner(string bare)
    {
        if (bare.Length < 2 || !char.IsUpper(bare[0]) || !char.IsLower(bare[1])) return bare;
        string small = char.ToLowerInvariant(bare[0]) + bare[1..], first = Words(bare).First();
        return Small.Contains(first) || Participle().IsMatch(first) || Did().IsMatch(small) || EnglishNouns.IsKnown(first)
            || FactFrames.IsThirdPerson(first) || Doing().Match(first) is { Success: true } doing && FactFrames.IsAct(doing.Groups["act"].Value)
            ? small : bare;
    }

    /// <summary>"telescopes provided" as "telescopes are provided"; null where no word of it is a state.</summary>
    internal static FactSentence? WithVerb(string fact)
    {
        string[] words = fact.Split(' ');
        if (Ordinal().IsMatch(fact) && Array.IndexOf(words, "is") is > 1 and var verb && verb < words.Length - 1)
            return new("the " + Inner(string.Join(' ', words, 0, verb)), "is", string.Join(' ', words, verb + 1, words.Length - verb - 1));
        if (words.Any(word => word is "is" or "are" or "can" or "has" or "have")) return null;
        for (int at = 1; at < words.Length; at++)
        {
            if (Words(words[at]).FirstOrDefault() is not { } word
                || !States.Contains(word) && !Participle().IsMatch(word) && !IrregularParticiple().IsMatch(word)
                || words[at - 1] is "and" or "or" or "with" or "of" or "in" or "the" or "a" or "to"
                || Participle().IsMatch(words[at - 1]) || IrregularParticiple().IsMatch(words[at - 1])) continue;
            string thing = string.Join(' ', words, 0, at);
            bool several = EnglishNouns.IsPlural(EnglishNouns.Head(thing)) || Array.IndexOf(words, "and", 0, at) > 0;
            if (!several && Ordinal().IsMatch(thing)) thing = "the " + Inner(thing);
            else if (!several && !EnglishNouns.IsDetermined(thing) && EnglishNouns.NumberOf(thing) == EnglishNouns.Number.Count)
                thing = $"{EnglishNouns.Article(thing)} {Inner(thing)}";
            return new(thing, several ? "are" : "is", string.Join(' ', words, at, words.Length - at));
        }
        return null;
    }

    /// <summary>A fact's form, for the ranking; null where it is not certain, or where it fits as a thing and as a sentence ("lessons
    /// included").</summary>
    /// <param name="fact">Without what says its form already.</param>
    internal static FactForm? FormOf(string fact) =>
        Ask(fact) is var (guess, odds) && odds >= Certain && guess is not (FactForm.Says, true) ? guess.Form : null;

    /// <summary>What contradicts a fact's shape must be surer.</summary>
    private static (FactForm Form, bool Left)? Sure(string fact, ((FactForm Form, bool Left) Class, double Odds) guess)
    {
        bool contradicts = guess.Class.Form is not (FactForm.No or FactForm.Note or FactForm.Lets) && FactFrames.FormOf(fact) switch
        {
            FactFrames.Form.Thing => guess.Class.Form != FactForm.Has && guess.Class is not (FactForm.Says, true),
            FactFrames.Form.Verb => guess.Class.Form != FactForm.Does,
            FactFrames.Form.Said => guess.Class.Form != FactForm.Is,
            FactFrames.Form.Sentence => guess.Class.Form != FactForm.Says,
            _ => false,
        };
        // with its verb it is said rightly also where it is taken for a thing: "lessons are included"
        double needed = guess.Class is (FactForm.Says, true) ? contradicts ? Likely : Stated : contradicts ? Contradicting : Likely;
        return guess.Odds >= needed ? guess.Class : null;
    }

    private static ((FactForm Form, bool Left) Class, double Odds) Ask(string fact)
    {
        if (Asked.Count > 4096) Asked.Clear();
        return Asked.GetOrAdd(fact, one => Guess(one, Shipped.Value));
    }

    internal static (FactForm Form, bool Left)? ClassOf(string fact, float[][] weights) => Sure(fact, Guess(fact, weights));

    /// <summary>The likeliest, after things with an article, without one and with a state ("breakfast served until noon") are weighed
    /// together: each is understood as the others, the last the most easily.</summary>
    internal static ((FactForm Form, bool Left) Class, double Odds) Guess(string fact, float[][] weights, FactCorrections.Own? own = null)
    {
        if (FactFrames.AreThings(fact)) return (Classes[0], 1);
        int[] features = [.. Hashes(fact)];
        double[] scores = Scores(weights, features);
        own?.Add(features, scores);
        double[] odds = Odds(scores);
        double things = Things.Sum(at => odds[at]);
        int best = Array.IndexOf(odds, odds.Max());
        return things > odds[best] ? (Classes[Things.MaxBy(at => odds[at] * (at == Things[^1] ? 2 : 1))], things) : (Classes[best],
            odds[best]);
    }

    /// <summary>What is learnt from: a fact's class and features, and the score of each class before anything is learnt; null for
    /// none.</summary>
    internal readonly record struct Example(int Class, int[] Features, double[]? Scores = null);

    internal static int IndexOf((FactForm Form, bool Left) form) => Array.IndexOf(Classes, form);

    /// <summary>Always the same of the same facts.</summary>
    internal static float[][] Train(IReadOnlyList<TypedFact> facts)
    {
        float[][] weights = [.. Classes.Select(_ => new float[Features])];
        // a thing with its article is also typed without
        IEnumerable<(int, string)> typed =
            facts.Select(fact => (IndexOf((fact.Form == FactForm.Post ? FactForm.Is : fact.Form, fact.Left.Length > 0)), fact.Typed))
            .Concat(facts.Where(fact => fact.Form == FactForm.Has && fact.Left.Length == 0 && LeadingArticle().IsMatch(fact.Text))
                .Select(fact => (1, LeadingArticle().Replace(fact.Text, ""))));
        Fit([.. typed.Select(example => new Example(example.Item1, [.. Hashes(example.Item2)]))], weights, Rounds, Rate);
        return weights;
    }

    /// <summary>Logistic regression by AdaGrad.</summary>
    internal static void Fit(Example[] examples, float[][] weights, int rounds, float rate)
    {
        float[][] squares = [.. weights.Select(own => new float[own.Length])];
        var random = new Random(1);
        for (int round = 0; round < rounds; round++)
        {
            random.Shuffle(examples);
            foreach (Example example in examples)
            {
                double[] scores = Scores(weights, example.Features);
                for (int c = 0; example.Scores is not null && c < scores.Length; c++) scores[c] += example.Scores[c];
                double[] odds = Odds(scores);
                for (int c = 0; c < Classes.Length; c++)
                {
                    float slope = (float)odds[c] - (c == example.Class ? 1 : 0);
                    if (MathF.Abs(slope) < 1e-4f) continue;
                    foreach (int feature in example.Features)
                    {
                        float own = slope + Decay * weights[c][feature];
                        squares[c][feature] += own * own;
                        weights[c][feature] -= rate * own / (Damping + MathF.Sqrt(squares[c][feature]));
                    }
                }
            }
        }
    }

    internal static double[] Scores(float[][] weights, int[] features) =>
        [.. weights.Select(own => features.Sum(feature => (double)own[feature]))];

    private static double[] Odds(double[] scores)
    {
        double most = scores.Max(), sum = scores.Sum(score => Math.Exp(score - most));
        return [.. scores.Select(score => Math.Exp(score - most) / sum)];
    }

    internal static IEnumerable<int> Hashes(string fact) => Describe(fact).Select(feature => (int)(StableHash.Of(feature) % Features));

    private static IEnumerable<string> Describe(string fact)
    {
        string[] words = [.. Words(fact)];
        string form = FactFrames.FormOf(fact).ToString(),
            length = Math.Min(words.Length, 7).ToString(System.Globalization.CultureInfo.InvariantCulture);
        yield return "any";
        yield return "form " + form;
        if (words.Length == 0) yield break;
        string first = words[0], second = words.ElementAtOrDefault(1) ?? "", third = words.ElementAtOrDefault(2) ?? "", last = words[^1];
        foreach (string feature in new[]
        {
            "1 " + first, "1. " + End(first, 3), "1.. " + End(first, 2), "1... " + End(first, 1), "2 " + second, "2. " + End(second, 3),
            "2.. " + End(second, 2), "3 " + third, "3.. " + End(third, 2),
            "z " + last, "z. " + End(last, 3), "z.. " + End(last, 2), "n " + length, $"1+2 {End(first, 1)} {second}",
            $"1+2.. {End(first, 2)} {End(second, 1)}", $"1+z {End(first, 2)} {End(last, 2)}", $"1+2w {End(first, 2)} {End(second, 2)}",
            $"2+3 {End(second, 2)} {End(third, 2)}",
            $"form+2 {form} {second}", $"form+1 {form} {End(first, 2)}", $"form+n {form} {length}",
        }) yield return feature;
        string number = EnglishNouns.NumberOf(fact).ToString(), firsts = NounAs(first), seconds = NounAs(second);
        foreach (string feature in new[] { "number " + number, "noun 1 " + firsts, "noun 2 " + seconds, $"noun 1+2 {firsts} {seconds}",
            $"noun 1, 2 {firsts} {second}", $"form+number {form} {number}", $"number+1 {number} {End(first, 1)}",
            "noun z " + NounAs(last) })
            yield return feature;
        string acts =
            string.Concat(
                words.Take(5)
                    .Select(word => FactFrames.IsThirdPerson(word) ? 'v' : FactFrames.IsAct(word) ? 'b' : EnglishNouns.IsPlural(word)
                        ? 's' : word is "to" or "that" or "who" or "which" ? 'w' : '-'));
        yield return "acts " + acts;
        yield return "acts 3 " + acts[..Math.Min(3, acts.Length)];
        yield return $"acts 2 {acts[..Math.Min(2, acts.Length)]} {firsts}";
        if (first.Contains('-', StringComparison.Ordinal)) yield return "joined " + first[(first.LastIndexOf('-') + 1)..];
        foreach (string word in words.Skip(1)) yield return word.Length < 6 ? "in " + word : "in. " + End(word, 3);
        if (char.IsUpper(fact[0])) yield return "capital";
    }

    /// <summary>What the lists of nouns say of a word.</summary>
    private static string NounAs(string word) =>
        !EnglishNouns.IsKnown(word) ? EnglishNouns.IsPlural(word) ? "-s" : "" : EnglishNouns.NumberOf(word).ToString();

    private static string End(string word, int letters) => word.Length <= letters ? word : word[^letters..];

    /// <summary>In small letters, each digit a 9; a comma is a word too.</summary>
    private static IEnumerable<string> Words(string text) =>
        Word().Matches(text.ToLowerInvariant()).Select(word => Digit().Replace(word.Value, "9"));

    private static bool IsEnglish(IReadOnlyList<string> facts)
    {
        string[] words = [.. facts.SelectMany(Words)];
        return words.Length > 0 && words.Count(English.Contains) * 2 >= words.Length;
    }

    private static TypedFact[] Embedded()
    {
        using Stream stream = typeof(FactForms).Assembly.GetManifestResourceStream("facts.yaml")!;
        using var reader = new StreamReader(stream);
        return [.. TypedFact.Parse(reader.ReadToEnd())];
    }

    /// <summary>"it" that is nothing of the sentence: "bring it in or post it", "volunteers run it".</summary>
    [GeneratedRegex(@"^(?!.*\b(and|to) \w+ (it|them)$)(?!(it|they)\b).*\w (it|them)( (in|out|up|on|off|back|or|and)\b.*)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Pointing();

    /// <summary>What a thing is made of, and does not have: "organic cotton", "100% British lambswool".</summary>
    [GeneratedRegex(@"^(\d+% )?([\w-]+ ){0,2}(cotton|lambswool|merino|wool|linen|silk|leather|suede|felt|denim|hemp|bamboo|oak|ash|beech|walnut|pine|birch|maple|teak|cedar|steel|brass|copper|aluminium|iron|silver|gold|plastic|rubber|cork|wax|beeswax|glass|porcelain|stoneware|clay|paper|card|cardboard|canvas|polyester|nylon)$", RegexOptions.IgnoreCase)]
    private static partial Regex Material();

    /// <summary>"26 cm", "250 ml", of which nobody says that a thing has it.</summary>
    [GeneratedRegex(@"^[\d.,]+( ?x ?[\d.,]+)* ?(mm|cm|m|km|ml|cl|l|g|kg|W|kW|V|Hz|GB|MB|inches|in)( (wide|long|tall|high|deep|across))?$", RegexOptions.IgnoreCase)]
    private static partial Regex Size();

    /// <summary>More than one part that no "and" joins, a question, or what has gone on since: no sentence takes that up.</summary>
    [GeneratedRegex(@"[?!;]|: |,(?!\d)(?!.*\b(and|or)\b)|\bsince \d")]
    private static partial Regex Loose();

    /// <summary>A clause that hangs on ("no mess or you don't pay"), what is being done ("covering Hexham and Wylam"), and "same midwife
    /// throughout", of which no verb can be said.</summary>
    [GeneratedRegex(@"\b(or|so|but|and|because) (you|we|they|it|i|any|nobody|no one|there)\b|^(covering|serving|specialising|specializing|celebrating|supporting|including|featuring|offering|using|looking for|helping|working|bringing|now \w+ing) |^(same|next[- ]day|max|maximum|min|minimum|up to|from \d|at least|at most|only) |^(?!(an?|the|our|each|every) )[\w'’-]+ (seats|sleeps|holds|fits) \d", RegexOptions.IgnoreCase)]
    private static partial Regex Unfit();

    /// <summary>What a member or a winner is.</summary>
    [GeneratedRegex(@"^(proud )?(member|winner|finalist|supplier|sponsor|founding member|registered charity|family business|social enterprise|living wage employer|B Corp|co-operative|cooperative|non-profit|not-for-profit)( (of|at|in|to|for) .+)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Member();

    /// <summary>Behind a thing, when it is.</summary>
    [GeneratedRegex(@"^((at|on|from|every|each|most|all) )?(\d|noon|midnight|dawn|dusk|daily|weekly|monthly|nightly|weekdays|weekends|(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b|£|€|\$)", RegexOptions.IgnoreCase)]
    private static partial Regex When();

    [GeneratedRegex("^(?<act>\\w{3,}?)(ing)$")]
    private static partial Regex Doing();

    /// <summary>When something is: "19-21 September 2025", "Saturday 14 June".</summary>
    [GeneratedRegex(@"^((Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?,? )?\d{1,2}(st|nd|rd|th)?( ?[-–] ?\d{1,2}(st|nd|rd|th)?)? (January|February|March|April|May|June|July|August|September|October|November|December)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Dated();

    /// <summary>A thing and its price is nothing that somebody has: "350g jar £8.50", "four bars for £18".</summary>
    [GeneratedRegex(@" ([£€$]\d|\d[\d.,]* ?(EUR|USD|GBP|CHF|euros?|dollars?)\b)", RegexOptions.IgnoreCase)]
    private static partial Regex Priced();

    /// <summary>Who makes or does things, and is no thing that is made.</summary>
    [GeneratedRegex(@"(maker|baker|brewer|roaster|carpenter|joiner|tailor|cobbler|potter|weaver|printer|publisher|(smoke|brew|bake|roast)house|jeweller|butcher|grower|distiller|binder|framer|builder|producer|manufacturer|smith|kitchen|vineyard|brothers|\bpress|\bco\.?|\bsons|installer|fitter|roofer|plumber|glazier|thatcher|repairs?|ist|services?|(?<!(cutl|station|jewell|machin|crock|embroid|confection))ery|shop|store|company|studio|workshop|school|course|class|club|farm|mill|firm|agency|business)$", RegexOptions.IgnoreCase)]
    private static partial Regex Maker();

    /// <summary>"turned by hand from bog oak".</summary>
    [GeneratedRegex(@"^(hand[- ]?\w+|turned|brewed|baked|printed|made|sewn|cut|roasted|forged|grown|woven|knitted|poured|carved|cast|thrown|fired|distilled|pressed|bottled|cured|smoked|toasted|churned|kiln[- ]dried|dyed|built|stitched|spun|milled|moulded|blown|dried|picked|pickled|aged|mixed|packed|wrapped|written|assembled|finished|glazed|painted|tanned|shaped|installed|fitted|repaired|fixed)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Made();

    [GeneratedRegex(@"^(?!(need|bed|seed|feed|shed|weed|reed|red|speed)$)\w{2,}ed$")]
    private static partial Regex Participle();

    [GeneratedRegex("^(done|fed|lent|given|taught|sent|sold|held|shown|drawn|driven|hidden|kept|thrown|worn|woven|written|hung|lit)$")]
    private static partial Regex IrregularParticiple();

    [GeneratedRegex("^(an?) ")]
    private static partial Regex LeadingArticle();

    /// <summary>"knives sharpened in ten minutes".</summary>
    [GeneratedRegex(@"^(?<thing>[\w'’-]+) (?<state>((?!used )\w{2,}ed|done|made|cut) (while you wait|within \w.*|overnight|in \w+ (minutes?|hours?|days?|weeks?)))$", RegexOptions.IgnoreCase)]
    private static partial Regex Done();

    /// <summary>"built in 1786" was done once.</summary>
    [GeneratedRegex(@"^(first |once )?(\w{3,}ed|built|begun|laid|cut|made|grown|drawn|sunk|won|woven) (in|around|about|by .+ in|on .+ in) (\w+ )?(1[0-9]{3}|20[0-2][0-9])\b", RegexOptions.IgnoreCase)]
    private static partial Regex Past();

    /// <summary>"took bronze in 2023", "won the county cup"; what may also be said of a thing that something was done to, as "won in 2019"
    /// and "built by hand", only before what it was done to.</summary>
    [GeneratedRegex(@"^((appeared|competed|existed|belonged|performed|survived|sold out in|worked (for|with|on|in|at)|took|gave|began|came|went|sang|wrote|grew|became|ran|spoke|swam|threw|woke|wore|drew|drove|flew|knew|rose|shook|chose|broke|ate|fell|did)\b|(won|taught|brought|bought|caught|found|led|lost|paid|sent|told|sold|built|kept|left|met|made|held) (the|an?|its|our|his|her|their|every|each|all|over|more than|us|you|people|\d[\d,.]*|two|three|four|five|six|seven|eight|nine|ten|many|some|most)\b)")]
    private static partial Regex Did();

    /// <summary>A sentence whose verb is no state: "kids under 12 go free", "dogs stay free".</summary>
    [GeneratedRegex(@"^[\w'’-]+s?( [\w'’-]+){0,3} (go|goes|travel|travels|eat|eats|stay|stays|swim|ride|enter|play|get in|come|join)( in)? (free|half[- ]price|at half[- ]price|for (free|nothing|half))\b", RegexOptions.IgnoreCase)]
    private static partial Regex Free();

    /// <summary>What was done says which they are: "eggs laid on the farm", "bread baked in a wood oven".</summary>
    [GeneratedRegex(@"^((?!no )[\w'’-]+ ){0,2}(?<!ss)[\w'’-]*s (made|laid|grown|baked|brewed|cooked|roasted|smoked|picked|sewn|woven|carved|printed|cured|caught|reared|raised) (on|in|from|by|with|over|to) ", RegexOptions.IgnoreCase)]
    private static partial Regex Reduced();

    /// <summary>"grass fed on the Gower", "hand poured", "machine washable at 40".</summary>
    [GeneratedRegex(@"^(grass|corn|grain|hand|oven|home|machine|family|factory|stone|wood|cold|slow|air|sun)[ -]([\w]+ed|fed|made|sewn|grown|built|run|owned|ground|cut|dyed)( (in|on|at|by|from|near|for|with) .*)?$|^(machine|hand|dishwasher|oven|freezer|microwave)[ -](washable|safe|proof)\b", RegexOptions.IgnoreCase)]
    private static partial Regex HowMade();

    /// <summary>"packing service available".</summary>
    [GeneratedRegex(@"^(?!no ).* (available|included|provided|supplied|accepted|allowed|welcome)$", RegexOptions.IgnoreCase)]
    private static partial Regex State();

    /// <summary>"no booking needed".</summary>
    [GeneratedRegex(@"^no [\w'’ -]+ (needed|required|accepted|charged|allowed)$", RegexOptions.IgnoreCase)]
    private static partial Regex NotNeeded();

    [GeneratedRegex("^(first|second|third|last|next) (?!to )", RegexOptions.IgnoreCase)]
    private static partial Regex Ordinal();

    /// <summary>"£6 a month" is "it costs £6 a month".</summary>
    [GeneratedRegex(@"^[£€$][\d.,]+ (an?|per|each) \w")]
    private static partial Regex Price();

    [GeneratedRegex(@"[\p{L}\d'’-]+|[,£€$%&]")]
    private static partial Regex Word();

    [GeneratedRegex(@"\d")]
    private static partial Regex Digit();
}
