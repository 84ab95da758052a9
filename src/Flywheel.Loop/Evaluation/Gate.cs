using System.Globalization;
using System.Text.Json.Serialization;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>One measure and its verdict.</summary>
/// <param name="Name">Such as <c>texts people accepted</c>.</param>
/// <param name="Unit">Of the two values.</param>
/// <param name="Champion">Mean of the champion.</param>
/// <param name="Candidate">Mean of the candidate.</param>
/// <param name="Improvement">Positive is better; with its interval, or a point where there is none.</param>
/// <param name="Threshold">The interval must lie above it.</param>
/// <param name="Passed">Null: told, not judged.</param>
/// <param name="Basis">What it rests on, such as <c>60 texts of 12 people</c>.</param>
public sealed record RuleResult(string Name, string Unit, double Champion, double Candidate, Interval Improvement, double Threshold,
    bool? Passed, string Basis)
{
    /// <summary>Why, in words, with the numbers.</summary>
    public required string Because { get; init; }

    /// <summary>Of the interval, 0 to 1: what is asked of the same people again must be more certain.</summary>
    public double Level { get; init; } = 0.95;

    /// <summary>There is no interval: a share held to a floor, or no item changed.</summary>
    [JsonIgnore]
    public bool IsPoint => Improvement.Low == Improvement.High;
}

/// <summary>Why a person must say yes to a candidate that passed the rest; nobody need be asked where the measures decide.</summary>
public enum AskWhy { Nobody, FewPeople, FewHeldOut, LooksSpent, NoJudge, ByRecipe }

/// <summary>The gate's verdict on a candidate.</summary>
public sealed record GateDecision(IReadOnlyList<RuleResult> Rules)
{
    /// <summary>Whether, and why, a person is asked before a candidate that passed is promoted.</summary>
    public AskWhy Asks { get; init; }

    /// <summary>Which look at the held-out people this was since the champion was released; 1 is the first.</summary>
    public int Look { get; init; } = 1;

    /// <summary>Who compared the drafts and what that rests on; or why nobody did.</summary>
    public string Judge { get; init; } = "";

    /// <summary>The same as a sentence; empty where it was not written down.</summary>
    [JsonIgnore]
    public string JudgedBy =>
    Judge.Length == 0 ? "" : IsJudged ? $"Drafts were compared by {Judge}." : $"Nobody compared the drafts: {Judge}.";

    /// <summary>A judge compared the drafts.</summary>
    [JsonIgnore]
    public bool IsJudged => Rules.Any(rule => rule.Name.StartsWith(DraftRules.PreferredName, StringComparison.Ordinal));

    /// <summary>What this turn could show.</summary>
    public string Power { get; init; } = "";

    public IReadOnlyList<DraftExample> Examples { get; init; } = [];

    [JsonIgnore]
    public bool Passed => Rules.All(rule => rule.Passed != false);

    /// <summary>One sentence: what it gained, or which rules failed and why.</summary>
    [JsonIgnore]
    public string Reason => Passed
        ? string.Join("; ", Rules.Where(rule => rule.Passed == true).Select(rule => rule.Because))
        : string.Join("; ", Rules.Where(rule => rule.Passed == false).Select(rule => rule.Because));

    /// <summary>Why a person is asked, in words; null when none is.</summary>
    [JsonIgnore]
    public string? AskReason => Asks switch
    {
        AskWhy.FewPeople =>
            $"there are fewer than {Gate.MinPeople} people, so some of their prompts were held out and none of them: the intervals speak of "
            + "the texts of these people, whom the candidate has met, and say little about anybody else",
        AskWhy.FewHeldOut => $"fewer than {Gate.MinPeople} people are held out: they are too few to speak of others",
        AskWhy.LooksSpent =>
            $"the held-out people were asked {Look - 1} times since the champion was released, and are too few to be certain of anything once more",
        AskWhy.NoJudge => $"nobody compared the drafts: {Judge}",
        AskWhy.ByRecipe => "the recipe says so",
        _ => null,
    };
}

/// <summary>
/// Whether a candidate may replace the champion. What both write decides first: its drafts must be preferred by a judge that agrees with
/// people, and keep to their briefs as well as the champion's; kinds of text that it was not taught may not become less likely; its drafts
/// must be sound. How likely texts are that held-out people accepted is told beside it, and decides only where there is no judge; then, and
/// where people are few, a person must say yes as well.
/// </summary>
public static class Gate
{
    /// <summary>From so many people on, the interval speaks about people; below, about the texts of these people.</summary>
    public const int MinPeople = HoldOut.MinPeople;

    /// <summary>Fewer pairs are told, not judged; so are fewer texts beside judged answers, and fewer of these beside texts.</summary>
    public const int MinPairs = 8;

    /// <param name="paper">What both were examined on.</param>
    /// <param name="champion">Its result.</param>
    /// <param name="candidate">Its result.</param>
    /// <param name="rules">Margins and floors.</param>
    /// <param name="seed">Of the resampling.</param>
    /// <param name="judge">Compares the drafts; null when nobody can.</param>
    /// <param name="noJudge">Why nobody can.</param>
    /// <param name="fewPeople">The people of the turn are too few to hold some of them out.</param>
    /// <param name="look">Which look at the held-out people this is since the champion was released.</param>
    /// <param name="first">How the first release does on the frozen set; null when that is the champion, or is not there any more.</param>
    public static GateDecision Decide(
        ExamPaper paper, ExamResult champion, ExamResult candidate, GateRecipe rules, int seed, IDraftJudge? judge = null,
            string noJudge = "no judge was given", bool fewPeople = false, int look = 1, ExamResult? first = null)
    {
        if (paper.Texts.Count == 0 && !paper.CanCompareLiking)
            throw new ArgumentException("neither texts nor judged answers are held out", nameof(paper));
        double alpha = Looks.Alpha(look);
        IReadOnlyList<(string User, Conversation Prompt)> asked = paper.Asked(rules.SanityPrompts);
        if (new[] { champion, candidate }.Any(result => result.Answers.Count != asked.Count * result.DraftsPerPrompt))
            (judge, noJudge, asked) = (null, "the drafts are of an earlier version of this program", []);
        bool isTaste = paper.NumPeople > 0;
        int people = !isTaste ? paper.NumPrompts : asked.Count == 0 ? paper.NumPeople : asked.Select(item => item.User).Distinct().Count();
        AskWhy asks = fewPeople ? AskWhy.FewPeople
            : !SignFlip.CanDecide(people, alpha) ? people < MinPeople ? AskWhy.FewHeldOut : AskWhy.LooksSpent
            : !isTaste ? AskWhy.Nobody
            : rules.Judge == GateRecipe.PersonJudge ? AskWhy.ByRecipe
            : judge is null ? AskWhy.NoJudge : AskWhy.Nobody;
        bool certain = asks is AskWhy.Nobody or AskWhy.NoJudge or AskWhy.ByRecipe, byPerson = certain && isTaste;
        bool draftsDecide = asks == AskWhy.Nobody && judge is not null;

        List<RuleResult> results = [];
        IReadOnlyList<DraftExample> examples = [];
        if (judge is not null)
        {
            (RuleResult preferred, examples) = DraftRules.Preferred(asked, champion, candidate, judge, byPerson, alpha, seed + 5);
            results.Add(certain ? preferred : Told(preferred));
        }
        results.AddRange(DraftRules.Floors(paper, asked, champion, candidate, byPerson, rules.FidelityMargin, seed + 6));
        bool likelihoodDecides = certain && !draftsDecide && asks != AskWhy.ByRecipe;
        results.AddRange(Likelihood(paper, champion, candidate, likelihoodDecides ? alpha : Looks.Alpha(1), byPerson, seed)
            .Select(rule => likelihoodDecides ? rule : draftsDecide ? rule with { Passed = null } : Told(rule)));
        results.AddRange(FrozenSet.Rules(paper, champion, candidate, first, rules, seed + 3, draftsDecide));
        results.Add(Sound(champion.Answers, candidate.Answers, rules.SanityFloor));
        return new(results)
        {
            Asks = asks,
            Look = look,
            Judge = judge is null ? noJudge : $"{judge.Name}: {judge.Basis}",
            Power = PowerStatement.Of(fewPeople ? 0 : people, Math.Max(asked.Count, people), look).Text,
            Examples = examples,
        };
    }

    /// <summary>What the models think of texts that held-out people accepted, liked or preferred.</summary>
    private static IEnumerable<RuleResult> Likelihood(ExamPaper paper, ExamResult champion, ExamResult candidate, double alpha,
        bool byPerson, int seed)
    {
        bool byLiking = paper.CanCompareLiking && (paper.Judged.Count >= MinPairs || paper.Texts.Count == 0);
        if (paper.Texts.Count > 0)
            yield return Better("texts people accepted", "nats a token", paper.Texts, "texts", champion.Texts, candidate.Texts, sign: -1,
                alpha,
                byPerson, !byLiking || paper.Texts.Count >= MinPairs, seed);
        if (paper.CanCompareLiking) yield return LikedFromDisliked(paper.Judged, champion.Judged, candidate.Judged, alpha, byPerson,
            byLiking, seed + 4);
        if (paper.Pairs.Count < PairedBootstrap.MinClusters) yield break;
        yield return Better("preferred over rejected", "nats of margin", paper.Pairs, "pairs", champion.Margins, candidate.Margins,
            sign: 1, alpha,
            byPerson, paper.Pairs.Count >= MinPairs && (!byPerson || SignFlip.CanDecide(paper.Pairs.Select(pair =>
                pair.User).Distinct().Count(), alpha)),
            seed + 1);
        yield return Better("pairs told apart", "share", paper.Pairs, "pairs", Apart(champion.Margins), Apart(candidate.Margins),
            sign: 1, alpha,
            byPerson, required: false, seed + 2);
    }

    private static RuleResult Told(RuleResult rule) => rule with
    {
        Passed = rule is { IsPoint: false, Improvement.High: < 0 } ? false : null,
        Because = rule is { IsPoint: false, Improvement.High: < 0 } ? $"{rule.Name}: certainly worse, by {rule.Improvement} {rule.Unit}"
            : rule.Because,
    };

    private static RuleResult Better(string name, string unit, IReadOnlyList<HeldOutItem> items, string noun,
        IReadOnlyList<double> champion, IReadOnlyList<double> candidate, int sign, double alpha, bool byPerson, bool required, int seed)
    {
        Func<HeldOutItem, string> cluster = byPerson ? item => item.User : item => item.Prompt.ToString();
        List<(string Cluster, double Difference)> differences = [.. items.Select((item, i) => (cluster(item),
            sign * (candidate[i] - champion[i])))];
        int people = items.Select(item => item.User).Distinct().Count();
        string basis = items.Any(item => !item.IsTaste) ? $"{items.Count} {noun} to {items.Select(cluster).Distinct().Count()} prompts"
            : $"{items.Count} {noun} of {people} {(people == 1 ? "person" : "people")}{(byPerson ? "" : "; too few to speak of others")}";
        return Better(name, unit, champion.Average(), candidate.Average(), differences, basis, alpha, byPerson || items.Any(item =>
            !item.IsTaste),
            required, seed);
    }

    /// <summary>Whether a mean of differences is certainly above 0.</summary>
    /// <param name="name">Of the measure.</param>
    /// <param name="unit">Of the values.</param>
    /// <param name="champion">Its value.</param>
    /// <param name="candidate">Its value.</param>
    /// <param name="differences">With their clusters.</param>
    /// <param name="basis">What it rests on.</param>
    /// <param name="alpha">One-sided level.</param>
    /// <param name="exact">By the sign-flip test; else by the bootstrap at 95%, which with few clusters is for showing only.</param>
    /// <param name="required">Judged, not told.</param>
    /// <param name="seed">Of the resampling.</param>
    internal static RuleResult Better(string name, string unit, double champion, double candidate,
        IReadOnlyList<(string Cluster, double Difference)> differences, string basis, double alpha, bool exact, bool required, int seed)
    {
        int clusters = differences.Select(item => item.Cluster).Distinct().Count();
        if (clusters < PairedBootstrap.MinClusters || (exact && !SignFlip.CanDecide(clusters, alpha)))
            return new(name, unit, champion, candidate, Interval.At(differences.Average(item => item.Difference)), 0, required ? false
                : null, basis)
            {
                Because =
                    $"{name}: {basis}: {(clusters == 1 ? "one prompt or person proves nothing" : "too few to be certain of anything")}",
            };
        Interval gain = exact ? SignFlip.Mean(differences, alpha, seed) : PairedBootstrap.Mean(differences, seed);
        bool passed = gain.Low > 0;
        double level = exact ? 1 - 2 * alpha : 0.95;
        return new(name, unit, champion, candidate, gain, 0, required ? passed : null, basis)
        {
            Level = level,
            Because = passed
                ? unit.StartsWith("share", StringComparison.Ordinal)
                ? string.Create(CultureInfo.InvariantCulture, $"{name}: {champion:0%} before, {candidate:0%} after, better by {gain}")
                : $"{name}: better by {gain} {unit}"
                : $"{name}: the gain of {gain} {unit} is not certain, its {level.ToString("0.##%", CultureInfo.InvariantCulture)} interval must lie above 0",
        };
    }

    /// <summary>
    /// By how much a token of a liked answer is likelier than one of a disliked answer: the difference of two means. The interval is
    /// that of what each answer adds to it, so that neither what the candidate gives to both kinds alike nor how many there are of
    /// each moves it.
    /// </summary>
    private static RuleResult LikedFromDisliked(IReadOnlyList<HeldOutItem> items, IReadOnlyList<double> champion,
        IReadOnlyList<double> candidate, double alpha, bool byPerson, bool required, int seed)
    {
        double Mean(bool liked, Func<int, double> of) => Enumerable.Range(0, items.Count).Where(i => items[i].Liked == liked).Average(of);
        double Gain(int i) => champion[i] - candidate[i];
        double apart = Mean(false, i => champion[i]) - Mean(true, i => champion[i]), likedGain = Mean(true, Gain),
            dislikedGain = Mean(false, Gain);
        double share = items.Average(item => item.Liked ? 1.0 : 0);
        double[] after = [.. items.Select((item, i) =>
            apart + likedGain - dislikedGain + (item.Liked ? (Gain(i) - likedGain) / share : (dislikedGain - Gain(i)) / (1 - share)))];
        return Better("liked from disliked", "nats a token apart", items, "answers", [.. items.Select(_ => apart)], after, sign: 1,
            alpha, byPerson, required, seed);
    }

    private static double[] Apart(IReadOnlyList<double> margins) => [.. margins.Select(margin => margin > 0 ? 1.0 : 0.0)];

    private static RuleResult Sound(IReadOnlyList<Answer> champion, IReadOnlyList<Answer> candidate, double floor)
    {
        double before = champion.Average(answer => answer.Fault is null ? 1.0 : 0),
            after = candidate.Average(answer => answer.Fault is null ? 1.0 : 0);
        double threshold = Math.Max(0, Math.Min(floor, before - 0.05)); // a weak champion sets the floor itself, give or take an answer
        bool passed = after >= threshold;
        string faults = string.Join(", ", candidate.Where(answer => answer.Fault is not null).GroupBy(answer => answer.Fault)
            .OrderByDescending(group => group.Count()).Select(group => $"{group.Count()} {group.Key}"));
        return new("sound drafts", "share", before, after, Interval.At(after), threshold, passed,
            $"{candidate.Count} drafts to held-out prompts")
        {
            Because = $"sound drafts: {after:0%}{(faults.Length > 0 ? $" ({faults})" : "")}, at least {threshold:0%} needed",
        };
    }
}
