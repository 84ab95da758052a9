using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>What can be counted in a text that was written to a brief. Pure functions of both.</summary>
/// <param name="NameExact">The brief's name stands in the text, letter for letter, and not inside a longer word.</param>
/// <param name="FactsRestated">Of each fact, the share of its content words that the text has, from 0 to 1.</param>
/// <param name="Foreign">Names and numbers in the text that the brief does not have, in order.</param>
/// <param name="Unsupported">Share of the text's content words that the brief does not have, from 0 to 1.</param>
/// <param name="Strange">Words of any length that are neither the brief's nor such as hold sentences together: mostly invented or broken
/// ones.</param>
/// <param name="Whole">Share of the facts that stand in the text with their words side by side, but for articles and endings.</param>
/// <param name="Twice">Facts of which the same paragraph says all words side by side more than once.</param>
public sealed partial record CopyMetrics(bool NameExact, IReadOnlyList<double> FactsRestated, IReadOnlyList<string> Foreign,
    double Unsupported, IReadOnlyList<string> Strange, double Whole, int Twice)
{
    /// <summary>Whether at least one fact is restated with all its content words; true of a brief without facts.</summary>
    public bool FactRestated => FactsRestated.Count == 0 || FactsRestated.Any(share => share >= 1);

    /// <summary>Mean share of facts that are restated with all their content words; 1 of a brief without facts.</summary>
    public double FactRecall => FactsRestated.Count == 0 ? 1 : FactsRestated.Count(share => share >= 1) / (double)FactsRestated.Count;

    /// <param name="brief">The brief.</param>
    /// <param name="text">Written to it.</param>
    /// <param name="taught">Words that are not strange either; see <see cref="DraftWords.TaughtOf"/>.</param>
    public static CopyMetrics Of(Brief brief, string text, IReadOnlyCollection<string>? taught = null)
    {
        string[] words = Words(text);
        HashSet<string> present = [.. words.Select(Stem)];
        string said = string.Join(' ', [brief.Name, .. brief.Categories, brief.Audience, brief.Tone, .. brief.Facts]);
        HashSet<string> supported = [.. Words(said).Select(Stem)];
        HashSet<string> own = taught is null or { Count: 0 } ? [] : [.. taught.SelectMany(Words)];
        string[] content = [.. words.Where(word => word.Length > 3 && !Frame.Contains(word))];
        return new CopyMetrics(
            Regex.IsMatch(text, $@"(?<![\p{{L}}\d]){Regex.Escape(brief.Name)}(?![\p{{L}}\d])"),
            [.. brief.Facts.Select(fact => Share(fact, present))],
            [.. ForeignIn(text, supported)],
            content.Length == 0 ? 0 : content.Count(word => !supported.Contains(Stem(word))) / (double)content.Length,
            [.. words.Where(word => word.Length > 1 && !Known.Contains(word) && !own.Contains(word) && !supported.Contains(Stem(word)))
                .Distinct()],
            brief.Facts.Count == 0 ? 1 : brief.Facts.Count(fact => Occurrences(fact, text) > 0) / (double)brief.Facts.Count,
            brief.Facts.Count(fact => text.Split('\n').Any(paragraph => Occurrences(fact, paragraph) > 1)));
    }

    /// <summary>How often a fact's words stand side by side in a text; what a person may leave out or add (articles, "you can", endings)
    /// aside.</summary>
    private static int Occurrences(string fact, string text)
    {
        string[] sought = Bare(FactFrames.Bare(fact)), words = Bare(text);
        if (sought.Length == 0) return 0;
        int count = 0;
        for (int at = 0; at + sought.Length <= words.Length; at++)
            if (sought.AsSpan().SequenceEqual(words.AsSpan(at, sought.Length))) count++;
        return count;
    }

    private static string[] Bare(string text) => [.. Words(text).Where(word => word is not ("a" or "an" or "the")).Select(Stem)];

    private static double Share(string fact, HashSet<string> present)
    {
        string[] words = [.. Words(fact).Where(word => !Frame.Contains(word))];
        if (words.Length == 0) words = Words(fact);
        return words.Length == 0 ? 1 : words.Count(word => present.Contains(Stem(word))) / (double)words.Length;
    }

    /// <summary>Numbers, and words with a capital where no sentence begins.</summary>
    private static IEnumerable<string> ForeignIn(string text, HashSet<string> supported)
    {
        foreach (Match word in Token().Matches(text))
        {
            bool begins = Beginning().IsMatch(text[..word.Index]);
            bool number = char.IsDigit(word.Value[0]) || Numbers.Contains(word.Value.ToLowerInvariant());
            if ((number || (char.IsUpper(word.Value[0]) && !begins && !Frame.Contains(word.Value.ToLowerInvariant())))
                && Words(word.Value).Any(part => !supported.Contains(Stem(part)))) yield return word.Value;
        }
    }

    internal static string[] Words(string text) => TextCleaner.Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Without the endings of plural and person, so that "opens" restates "open".</summary>
    private static string Stem(string word) =>
        word.Length > 4 && word.EndsWith("ies", StringComparison.Ordinal)
            ? word[..^3] + "y" : word.Length > 3 && word[^1] == 's' && word[^2] != 's' ? word[..^1] : word;

    private static readonly HashSet<string> Numbers =
        [.. "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half dozen".Split(' ')];

    /// <summary>Words that hold sentences together, whatever they are about: they count neither for nor against a text.</summary>
    private static readonly HashSet<string> Frame =
        [.. "a add addition additionally all also an and any are as at be because being best brings by call can choice come comes contact customers dear did discover enjoy even expect feature features feel find for from further get give good guess guests has have hello hey here home hooray i ideal in information is it its just kind like look looking lot love lovely made make may meet mention more much need new now of offers on or order our out part particularly perfect please present provides ready regards right say see sincerely so stay subject such suited than thank thanks that the there thing this to today treat try up us visit waiting warm we welcome what who will with yes you your yours yourself".Split(' ')];

    /// <summary>Words that a text may use without its brief.</summary>
    private static readonly HashSet<string> Known = [.. Frame, .. DraftWords.Known.SelectMany(entry => entry.Split(' '))];

    [GeneratedRegex(@"[\p{L}\d][\p{L}\d'’-]*")]
    private static partial Regex Token();

    [GeneratedRegex(@"(^|[.!?:""\n]\s*|^- |\n- )$")]
    private static partial Regex Beginning();
}
