using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// The gate's rules about what must not be forgotten, for each kind of conversation by itself: one average over all kinds cannot tell a
/// change of style that people asked for from a fall everywhere else. A kind is what conversations begin alike with.
/// </summary>
/// <remarks>
/// A kind that the turn teaches may change by <see cref="GateRecipe.TaughtMargin"/>; any other may fall by
/// <see cref="GateRecipe.RegressionMargin"/> at the most, against the champion and against the first release, because a margin that is
/// measured from each new champion can be lost again at each promotion. What nobody taught and an earlier turn raised all the same was
/// promised to nobody, and part of it was chance: who is chosen for being high falls (regression to the mean; Galton 1886, J. Anthropol.
/// Inst. 15, pages 246 to 263). So a kind may fall further from such a champion while it stays certainly above the first release.
/// </remarks>
internal static class FrozenSet
{
    /// <summary>Fewer conversations that begin alike are no kind of their own.</summary>
    public const int MinOfKind = 8;

    private const string Others = "others";

    /// <param name="paper">The frozen set, and which kinds are taught.</param>
    /// <param name="champion">Its result.</param>
    /// <param name="candidate">Its result.</param>
    /// <param name="first">The first release's; null when that is the champion, or is not there any more.</param>
    /// <param name="rules">Margins.</param>
    /// <param name="seed">Of the resampling.</param>
    /// <param name="draftsDecide">What people think of the drafts decides about the taught kinds: how likely old texts are is told.</param>
    public static IEnumerable<RuleResult> Rules(
        ExamPaper paper, ExamResult champion, ExamResult candidate, ExamResult? first, GateRecipe rules, int seed,
            bool draftsDecide = false)
    {
        string[] kinds = Kinds(paper.Regression);
        string[] distinct = [.. kinds.Distinct().Order(StringComparer.Ordinal)];
        foreach (string kind in distinct)
        {
            int[] mine = [.. Enumerable.Range(0, kinds.Length).Where(i => kinds[i] == kind)];
            string name = distinct.Length == 1 ? "frozen set" : $"frozen set, {kind}";
            bool taught = paper.Taught.Contains(kind);
            RuleResult rule = NotWorse(taught ? $"{name} (taught)" : name, mine, champion, candidate, taught ? rules.TaughtMargin
                : rules.RegressionMargin, seed);
            if (first is null || taught || paper.TaughtBefore.Contains(kind))
            {
                yield return taught && draftsDecide ? rule with { Passed = null } : rule;
                continue;
            }
            RuleResult anchor = NotWorse($"{name}, since the first release", mine, first, candidate, rules.RegressionMargin, seed);
            yield return rule.Passed == false && anchor.Improvement.Low > 0 ? GivenBack(rule, anchor) : rule;
            yield return anchor;
        }
    }

    /// <summary>A fall from where earlier turns had come by the way, that ends above where they began: that level is its
    /// threshold.</summary>
    private static RuleResult GivenBack(RuleResult rule, RuleResult anchor) => rule with
    {
        Passed = true,
        Threshold = rule.Champion - anchor.Champion,
        Because = $"{rule.Name}: {rule.Improvement} nats a token of what earlier turns had gained without teaching it; "
            + $"better than the first release by {anchor.Improvement}",
    };

    /// <summary>The kind of each conversation.</summary>
    internal static string[] Kinds(IReadOnlyList<Conversation> frozen)
    {
        string[] own = [.. frozen.Select(KindOf)];
        Dictionary<string, int> counts = own.CountBy(kind => kind).ToDictionary(StringComparer.Ordinal);
        return [.. own.Select(kind => counts[kind] >= MinOfKind ? kind : Others)];
    }

    /// <summary>First line of what the system or else the person says first.</summary>
    internal static string KindOf(Conversation conversation)
    {
        string text = conversation.Messages.FirstOrDefault(message => message.Role != Role.Assistant)?.Text.TrimStart() ?? "";
        string line = text.Split('\n', 2)[0].TrimEnd();
        return line.Length <= 60 ? line : line[..60];
    }

    /// <summary>Kinds of what a curated dataset has to learn; empty when its folder is not there.</summary>
    internal static IReadOnlySet<string> TaughtBy(string dataset) => !Directory.Exists(dataset) ? new HashSet<string>() :
        Directory.EnumerateDirectories(dataset).Where(folder => Path.GetFileName(folder) != Replay.FolderName)
            .Select(folder => Path.Combine(folder, "train.jsonl")).Where(File.Exists)
            .SelectMany(File.ReadLines)
            .Where(line => line.Length > 0).Select(line => JsonNode.Parse(line)!)
            .Select(row => KindOf(Conversation.FromJson((row["messages"] ?? row["input"]!["messages"])!.AsArray())))
                .ToHashSet(StringComparer.Ordinal);

    private static RuleResult NotWorse(string name, int[] items, ExamResult before, ExamResult candidate, double margin, int seed)
    {
        double Gain(int i) => before.Regression[i] - candidate.Regression[i];
        double was = items.Average(i => before.Regression[i]), becomes = items.Average(i => candidate.Regression[i]);
        string basis = $"{items.Length} conversation{(items.Length == 1 ? "" : "s")}";
        if (items.Length < PairedBootstrap.MinClusters)
            return new(name, "nats a token", was, becomes, new(was - becomes, was - becomes, was - becomes), -margin, null,
                basis) { Because = $"{name}: {basis} prove nothing" };
        Interval gain = PairedBootstrap.Mean([.. items.Select(i => ($"{i}", Gain(i)))], seed);
        bool passed = gain.Low > -margin;
        return new(name, "nats a token", was, becomes, gain, -margin, passed, basis)
        {
            Because = passed
                ? $"{name}: not worse ({gain}, margin {margin:0.###})"
                : $"{name}: change of {gain} nats a token, the interval must lie above -{margin:0.###}",
        };
    }
}
