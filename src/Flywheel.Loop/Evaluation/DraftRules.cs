using System.Globalization;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>Two drafts to one prompt with one seed, and what the judge said.</summary>
/// <param name="Prompt">What was asked.</param>
/// <param name="Champion">Its draft.</param>
/// <param name="Candidate">Its draft.</param>
/// <param name="Outcome">1 when the candidate's is preferred, -1 when the champion's is, 0 for a tie.</param>
public sealed record DraftExample(string Prompt, string Champion, string Candidate, int Outcome);

/// <summary>The gate's rules about what both models write to the prompts of held-out people.</summary>
internal static class DraftRules
{
    /// <summary>Examples of each outcome that a report shows.</summary>
    private const int NumExamples = 3;

    /// <summary>How the name of that rule begins.</summary>
    public const string PreferredName = "drafts preferred";

    private const string Unit = "share of drafts";

    /// <param name="asked">Prompts, in the order of the results' drafts.</param>
    /// <param name="champion">Its result.</param>
    /// <param name="candidate">Its result.</param>
    /// <param name="judge">Compares each pair of drafts.</param>
    /// <param name="byPerson">People are enough to speak of others: the rule decides; else it is told unless it is certainly worse.</param>
    /// <param name="alpha">One-sided level of this look.</param>
    /// <param name="seed">Of the interval.</param>
    public static (RuleResult Rule, IReadOnlyList<DraftExample> Examples) Preferred(IReadOnlyList<(string User, Conversation Prompt)> asked,
        ExamResult champion, ExamResult candidate, IDraftJudge judge, bool byPerson, double alpha, int seed)
    {
        List<(string Cluster, double Difference)> outcomes = [];
        List<DraftExample> examples = [];
        foreach ((int i, Answer before, Answer after) in Pairs(asked, champion, candidate))
        {
            (string user, Conversation prompt) = asked[i];
            int outcome = ScoreOf(judge, prompt, after).CompareTo(ScoreOf(judge, prompt, before));
            outcomes.Add((byPerson ? user : $"{i}", outcome));
            if (examples.Count(example => example.Outcome == outcome) < NumExamples && examples.All(example =>
                example.Prompt != before.Prompt))
                examples.Add(new(before.Prompt, before.Text.Trim(), after.Text.Trim(), outcome));
        }
        int wins = outcomes.Count(item => item.Difference > 0), losses = outcomes.Count(item => item.Difference < 0);
        double Share(int won, int lost) => (1 + (won - lost) / (double)outcomes.Count) / 2; // ties are split
        string name = $"{PreferredName} ({judge.Name})";
        string basis = $"{outcomes.Count} pairs of drafts to {asked.Count} prompts of {People(asked)}: "
            + $"{wins} candidate's, {losses} champion's, {outcomes.Count - wins - losses} ties";
        return (Gate.Better(name, Unit, Share(losses, wins), Share(wins, losses), outcomes, basis, alpha, byPerson, byPerson, seed),
            [.. examples.OrderByDescending(example => example.Outcome)]);
    }

    /// <summary>
    /// Name, facts, what is foreign, and words that nobody knows: the candidate's drafts may not be worse than the champion's by more
    /// than a
    /// margin. Name and facts need not be kept more often than in the texts that the same people accepted: who wants taglines without the
    /// name gets them. What a brief does not know, and what is no word, is never wanted.
    /// </summary>
    public static IEnumerable<RuleResult> Floors(ExamPaper paper, IReadOnlyList<(string User, Conversation Prompt)> asked,
        ExamResult champion,
        ExamResult candidate, bool byPerson, double margin, int seed)
    {
        Brief?[] briefs = [.. asked.Select(item => Brief.Find(item.Prompt))];
        int[] items = [.. Enumerable.Range(0, asked.Count).Where(i => briefs[i] is not null)];
        if (items.Length == 0) yield break;
        (string Text, CopyMetrics Metrics)[][] before = Drafts(champion), after = Drafts(candidate);
        ILookup<Conversation, string> kept = paper.Texts.ToLookup(item => item.Prompt, item => item.Preferred.Messages[^1].Text);
        (string Text, CopyMetrics Metrics)[][] accepted = [.. asked.Select((item, i) => Measured(i, kept[item.Prompt]))];
        var words = new KnownWords(paper);
        yield return Floor("drafts with the exact name", draft => draft.Metrics.NameExact, relaxed: true);
        yield return Floor("drafts with a fact restated", draft => draft.Metrics.FactRestated, relaxed: true);
        yield return Floor("drafts without foreign names", draft => draft.Metrics.Foreign.Count == 0, relaxed: false);
        yield return Floor("drafts of known words", draft => words.AreAllOf(draft.Text), relaxed: false);

        (string, CopyMetrics)[] Measured(int i, IEnumerable<string> texts) =>
            briefs[i] is { } brief ? [.. texts.Select(text => (text, CopyMetrics.Of(brief, text)))] : [];

        (string, CopyMetrics)[][] Drafts(ExamResult result) => [.. asked.Select((_, i) =>
            Measured(i, result.Answers.Skip(i * result.DraftsPerPrompt).Take(result.DraftsPerPrompt).Select(answer => answer.Text)))];

        RuleResult Floor(string name, Func<(string Text, CopyMetrics Metrics), bool> holds, bool relaxed)
        {
            double Of((string Text, CopyMetrics Metrics)[] texts) => texts.Average(draft => holds(draft) ? 1.0 : 0);
            int[] known = [.. items.Where(i => accepted[i].Length > 0)];
            double wanted = known.Length == 0 ? 1 : known.Average(i => Of(accepted[i]));
            bool bySeen = relaxed && known.Length > 0 && wanted < known.Average(i => Of(before[i]));
            double Reference(int i) => bySeen ? wanted : Of(before[i]);
            double was = items.Average(i => Of(before[i])), becomes = items.Average(i => Of(after[i]));
            List<(string Cluster, double Difference)> changes = [.. items.Select(i => (byPerson ? asked[i].User : $"{i}",
                Of(after[i]) - Reference(i)))];
            string basis = $"{items.Length * candidate.DraftsPerPrompt} drafts to {items.Length} briefs of {People(asked)}";
            if (bySeen) basis += string.Create(CultureInfo.InvariantCulture, $"; held to the texts they accepted, of which {wanted:0%} do");
            return NotWorse(name, was, becomes, changes, basis, margin, byPerson, seed);
        }
    }

    internal static RuleResult NotWorse(string name, double was, double becomes, List<(string Cluster, double Difference)> changes,
        string basis,
        double margin, bool byPerson, int seed)
    {
        if (changes.Select(change => change.Cluster).Distinct().Count() < PairedBootstrap.MinClusters)
            return new(name, Unit, was, becomes, Interval.At(changes.Average(change => change.Difference)), -margin, null, basis)
            {
                Because = $"{name}: one brief proves nothing",
            };
        Interval change = byPerson ? SignFlip.Mean(changes, Looks.Alpha(1), seed) : PairedBootstrap.Mean(changes, seed);
        bool? passed = byPerson ? change.Low > -margin : change.Estimate < -margin && change.High < 0 ? false : null;
        string said = string.Create(CultureInfo.InvariantCulture, $"{name}: {was:0%} before, {becomes:0%} after");
        return new(name, Unit, was, becomes, change, -margin, passed, basis)
        {
            Because = passed != false ? said
                : string.Create(CultureInfo.InvariantCulture,
                    $"{said}, a change of {change}{(byPerson ? $", whose interval must lie above -{margin:0.###}" : "")}"),
        };
    }

    /// <summary>Drafts with the same seed; the first of each prompt come first, so that examples are of many people.</summary>
    private static IEnumerable<(int Prompt, Answer Champion, Answer Candidate)> Pairs(IReadOnlyList<(string User,
        Conversation Prompt)> asked,
        ExamResult champion, ExamResult candidate)
    {
        int drafts = champion.DraftsPerPrompt;
        if (drafts != candidate.DraftsPerPrompt || champion.Answers.Count != asked.Count * drafts
            || candidate.Answers.Count != asked.Count * drafts)
            throw new ArgumentException($"{champion.Answers.Count} and {candidate.Answers.Count} drafts to {asked.Count} prompts",
                nameof(candidate));
        for (int draft = 0; draft < drafts; draft++)
            for (int i = 0; i < asked.Count; i++)
                yield return (i, champion.Answers[i * drafts + draft], candidate.Answers[i * drafts + draft]);
    }

    /// <summary>A draft that is not sound is worse than any that is.</summary>
    private static double ScoreOf(IDraftJudge judge, Conversation prompt, Answer draft) =>
        draft.Fault is null ? judge.Score(prompt, draft.Text.Trim()) : double.NegativeInfinity;

    private static string People(IReadOnlyList<(string User, Conversation Prompt)> asked)
    {
        int people = asked.Select(item => item.User).Distinct().Count();
        return $"{people} {(people == 1 ? "person" : "people")}";
    }
}
