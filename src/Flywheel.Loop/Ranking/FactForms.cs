using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>
/// Says the form of a brief's facts before them ("it opens at seven", "has a garden", "it is made of oak", "you can pay by card"), as most of the training
/// data does: a small model cannot tell "flags overtime" from "flags of all nations" by itself. The form is guessed by logistic regression
/// over a fact's words, their endings and what <see cref="FactFrames"/> says of it, learnt when it is first asked from the facts of tasks/copywriting. English only.
/// </summary>
public static partial class FactForms
{
    private const int Features = 1 << 16, Rounds = 12;

    /// <summary>Below it a fact stays as it was typed: a wrong form is worse than none. The three are for a form that the fact's shape says too, of which it
    /// says nothing, and that it contradicts; read off four-fold cross-validation.</summary>
    private const double Agreed = 0.55, Sure = 0.85, Certain = 0.95;

    private const float Rate = 0.3f, Decay = 1e-5f;

    /// <summary>The forms that are told apart; <see cref="FactForm.Post"/> is marked as <see cref="FactForm.Is"/> is.</summary>
    private static readonly FactForm[] Classes = [FactForm.Has, FactForm.Does, FactForm.Is, FactForm.Lets, FactForm.No, FactForm.Says, FactForm.Note];

    private static readonly TypedFact[] Known = Embedded();

    private static readonly Lazy<float[][]> Weights = new(() => Train(Known));

    /// <summary>Every word of the facts, to tell English from other languages.</summary>
    private static readonly HashSet<string> English = [.. Known.SelectMany(fact => Words(fact.Text)), .. DraftWords.Known.SelectMany(Words)];

    /// <summary>The ranking asks of a fact for each draft.</summary>
    private static readonly ConcurrentDictionary<string, FactForm?> Asked = [];

    /// <summary>Words of the facts that are always written small.</summary>
    private static readonly HashSet<string> Small = [.. Written.Where(word => char.IsLower(word[0])).Except(Written.Where(word => char.IsUpper(word[0])).Select(word => word.ToLowerInvariant()))];

    private static IEnumerable<string> Written => Known.SelectMany(fact => Word().Matches(fact.Text)).Select(word => word.Value);

    /// <summary>The brief with its facts marked; one in another language stays as it is.</summary>
    /// <param name="brief">As it was typed.</param>
    public static Brief Mark(Brief brief) =>
        brief.Language is not ("" or "English") || !IsEnglish(brief.Facts) ? brief : brief with { Facts = [.. brief.Facts.Select(Mark)] };

    /// <summary>One fact with its form before it, or as it is where the form is not sure.</summary>
    /// <param name="fact">As it was typed.</param>
    public static string Mark(string fact)
    {
        string bare = FactFrames.Bare(fact);
        if (bare.Length == 0 || FactFrames.MarkOf(fact) is not null) return fact;
        if (Price().IsMatch(bare)) return "it costs " + bare;
        Match done = Participle().Match(bare);
        if (!done.Success && Service().Match(bare) is { Success: true } service && EnglishNouns.IsKnown(service.Groups["thing"].Value)) done = service;
        if (!done.Success && Mended().Match(bare) is { Success: true } mended && EnglishNouns.IsKnown(mended.Groups["thing"].Value) && EnglishNouns.IsPlural(EnglishNouns.Head(mended.Groups["thing"].Value))) done = mended;
        if (done.Success)
            return $"{done.Groups["thing"].Value} {(EnglishNouns.IsPlural(EnglishNouns.Head(done.Groups["thing"].Value)) || done.Groups["thing"].Value.Contains(" and ", StringComparison.Ordinal) ? "are" : "is")} {done.Groups["state"].Value}";
        string inner = bare.Length > 1 && char.IsUpper(bare[0]) && char.IsLower(bare[1]) && Small.Contains(Words(bare).First()) ? char.ToLowerInvariant(bare[0]) + bare[1..] : bare;
        return (Modal().IsMatch(inner) ? FactForm.Does : FormOf(inner)) switch
        {
            FactForm.Has => "has " + (EnglishNouns.NumberOf(inner) == EnglishNouns.Number.Count ? EnglishNouns.Article(inner) + " " : "") + inner,
            FactForm.Does => "it " + inner,
            FactForm.Is => "it is " + inner,
            FactForm.Lets => "you can " + inner,
            _ => fact,
        };
    }

    /// <summary>A fact's form; null where it is not sure.</summary>
    /// <param name="fact">Without what says its form already.</param>
    internal static FactForm? FormOf(string fact)
    {
        if (Asked.Count > 4096) Asked.Clear();
        return Asked.GetOrAdd(fact, one => FormOf(one, Weights.Value));
    }

    internal static FactForm? FormOf(string fact, float[][] weights)
    {
        FactFrames.Form shape = FactFrames.FormOf(fact);
        if (shape == FactFrames.Form.Said) return FactForm.Is;
        if (FactFrames.AreThings(fact)) return FactForm.Has;
        double[] odds = Odds(weights, [.. Hashes(fact)]);
        // "kippers on request" stands alone as well as it is had
        if (shape == FactFrames.Form.Thing) (odds[0], odds[^1]) = (odds[0] + odds[^1], 0);
        int best = Array.IndexOf(odds, odds.Max());
        bool agreed = (shape, Classes[best]) is (FactFrames.Form.Thing, FactForm.Has) or (FactFrames.Form.Verb, FactForm.Does) or (FactFrames.Form.Sentence, FactForm.Says);
        bool open = shape == FactFrames.Form.Open || Classes[best] == FactForm.Lets;
        return odds[best] >= (agreed ? Agreed : open ? Sure : Certain) ? Classes[best] : null;
    }

    /// <summary>Logistic regression by AdaGrad, always the same of the same facts.</summary>
    internal static float[][] Train(IReadOnlyList<TypedFact> facts)
    {
        float[][] weights = [.. Classes.Select(_ => new float[Features])], squares = [.. Classes.Select(_ => new float[Features])];
        (int Class, int[] Features)[] examples = [.. facts.Select(fact => (Array.IndexOf(Classes, fact.Form == FactForm.Post ? FactForm.Is : fact.Form), Hashes(fact.Text).ToArray()))];
        var random = new Random(1);
        for (int round = 0; round < Rounds; round++)
        {
            random.Shuffle(examples);
            foreach ((int right, int[] features) in examples)
            {
                double[] odds = Odds(weights, features);
                for (int c = 0; c < Classes.Length; c++)
                {
                    float slope = (float)odds[c] - (c == right ? 1 : 0);
                    if (MathF.Abs(slope) < 1e-4f) continue;
                    foreach (int feature in features)
                    {
                        float own = slope + Decay * weights[c][feature];
                        squares[c][feature] += own * own;
                        weights[c][feature] -= Rate * own / (Rate + MathF.Sqrt(squares[c][feature]));
                    }
                }
            }
        }
        return weights;
    }

    private static double[] Odds(float[][] weights, int[] features)
    {
        double[] scores = [.. weights.Select(own => features.Sum(feature => (double)own[feature]))];
        double most = scores.Max(), sum = scores.Sum(score => Math.Exp(score - most));
        return [.. scores.Select(score => Math.Exp(score - most) / sum)];
    }

    private static IEnumerable<int> Hashes(string fact) => Describe(fact).Select(feature => (int)(StableHash.Of(feature) % Features));

    private static IEnumerable<string> Describe(string fact)
    {
        string[] words = [.. Words(fact)];
        string form = FactFrames.FormOf(fact).ToString(), length = Math.Min(words.Length, 7).ToString(System.Globalization.CultureInfo.InvariantCulture);
        yield return "any";
        yield return "form " + form;
        if (words.Length == 0) yield break;
        string first = words[0], second = words.ElementAtOrDefault(1) ?? "", third = words.ElementAtOrDefault(2) ?? "", last = words[^1];
        foreach (string feature in new[]
        {
            "1 " + first, "1. " + End(first, 3), "1.. " + End(first, 2), "1... " + End(first, 1), "2 " + second, "2. " + End(second, 3), "2.. " + End(second, 2), "3 " + third, "3.. " + End(third, 2),
            "z " + last, "z. " + End(last, 3), "z.. " + End(last, 2), "n " + length, $"1+2 {End(first, 1)} {second}", $"1+2.. {End(first, 2)} {End(second, 1)}", $"1+z {End(first, 2)} {End(last, 2)}",
            $"form+2 {form} {second}", $"form+1 {form} {End(first, 2)}", $"form+n {form} {length}",
        }) yield return feature;
        if (first.Contains('-', StringComparison.Ordinal)) yield return "joined " + first[(first.LastIndexOf('-') + 1)..];
        foreach (string word in words.Skip(1)) yield return word.Length < 6 ? "in " + word : "in. " + End(word, 3);
        if (char.IsUpper(fact[0])) yield return "capital";
    }

    private static string End(string word, int letters) => word.Length <= letters ? word : word[^letters..];

    /// <summary>In small letters, each digit a 9; a comma is a word too.</summary>
    private static IEnumerable<string> Words(string text) => Word().Matches(text.ToLowerInvariant()).Select(word => Digit().Replace(word.Value, "9"));

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

    /// <summary>"telescopes provided" is "telescopes are provided".</summary>
    [GeneratedRegex(@"^(?!no |not |all |everything )(?<thing>[\w'’-]+( [\w'’-]+){0,2})(?<! (is|are|be)) (?<state>included|provided|welcome|available|allowed)$", RegexOptions.IgnoreCase)]
    private static partial Regex Participle();

    /// <summary>"hems done by the next day" is "hems are done by the next day".</summary>
    [GeneratedRegex(@"^(?<thing>[\w'’-]+( [\w'’-]+)?) (?<state>(done|agreed|issued|sent|taken|repaired|cleaned|served|proved|delivered|posted|sharpened|stored|kept|checked|tested) .+)$", RegexOptions.IgnoreCase)]
    private static partial Regex Service();

    /// <summary>The same of several things and any verb: "zips mended while you wait".</summary>
    [GeneratedRegex(@"^(?<thing>[\w'’-]+( [\w'’-]+)?) (?<state>(?!used to)\w{2,}ed (while|in|by|on|at|to|within|every|each|before|until|overnight|daily|weekly|after|for|and)\b.*)$", RegexOptions.IgnoreCase)]
    private static partial Regex Mended();

    /// <summary>"£6 a month" is "it costs £6 a month".</summary>
    [GeneratedRegex(@"^[£€$][\d.,]+ (an?|per|each) \w")]
    private static partial Regex Price();

    [GeneratedRegex("^(will|can|may|must|won['’]t|can['’]t|doesn['’]t) ", RegexOptions.IgnoreCase)]
    private static partial Regex Modal();

    [GeneratedRegex(@"[\p{L}\d'’-]+|,")]
    private static partial Regex Word();

    [GeneratedRegex(@"\d")]
    private static partial Regex Digit();
}
