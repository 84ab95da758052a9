using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>One measure and its verdict.</summary>
/// <param name="Name">Such as <c>texts people accepted</c>.</param>
/// <param name="Unit">Of the two values.</param>
/// <param name="Champion">Mean of the champion.</param>
/// <param name="Candidate">Mean of the candidate.</param>
/// <param name="Improvement">Positive is better; with its 95% interval, or a point where there is none.</param>
/// <param name="Threshold">The interval must lie above it.</param>
/// <param name="Passed">Null: told, not judged.</param>
/// <param name="Basis">What it rests on, such as <c>60 texts of 12 people</c>.</param>
public sealed record RuleResult(string Name, string Unit, double Champion, double Candidate, Interval Improvement, double Threshold,
    bool? Passed, string Basis)
{
    /// <summary>Why, in words, with the numbers.</summary>
    public required string Because { get; init; }

    /// <summary>There is no interval: a share held to a floor, or no item changed.</summary>
    public bool IsPoint => Improvement.Low == Improvement.High;
}

/// <summary>The gate's verdict on a candidate.</summary>
public sealed record GateDecision(IReadOnlyList<RuleResult> Rules)
{
    public bool Passed => Rules.All(rule => rule.Passed != false);

    /// <summary>One sentence: what it gained, or which rules failed and why.</summary>
    public string Reason => Passed
        ? string.Join("; ", Rules.Where(rule => rule.Passed == true).Select(rule => rule.Because))
        : string.Join("; ", Rules.Where(rule => rule.Passed == false).Select(rule => rule.Because));
}

/// <summary>
/// Whether a candidate may replace the champion: better on the feedback of people it never saw, not worse on the frozen
/// set, and its answers are sound. All rules must hold, so the chance to promote a model that is no better is at most 2.5%.
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
    /// <param name="rules">Margin and floor.</param>
    /// <param name="seed">Of the resampling.</param>
    /// <param name="personDecides">
    /// The people are too few to conclude anything about the next: what they accept is told, not judged, unless it is certainly worse;
    /// a person compares the drafts and decides.
    /// </param>
    /// <param name="first">How the first release does on the frozen set; null when that is the champion, or is not there any more.</param>
    public static GateDecision Decide(
        ExamPaper paper, ExamResult champion, ExamResult candidate, GateRecipe rules, int seed, bool personDecides = false,
            ExamResult? first = null)
    {
        List<RuleResult> results = [];
        bool byLiking = paper.CanCompareLiking && (paper.Judged.Count >= MinPairs || paper.Texts.Count == 0);
        if (paper.Texts.Count > 0) results.Add(Better("texts people accepted", "nats a token", paper.Texts, "texts", champion.Texts,
            candidate.Texts, sign: -1, required: !byLiking || paper.Texts.Count >= MinPairs, seed));
        if (paper.CanCompareLiking) results.Add(LikedFromDisliked(paper.Judged, champion.Judged, candidate.Judged, byLiking, seed + 4));
        if (results.Count == 0) throw new ArgumentException("neither texts nor judged answers are held out", nameof(paper));
        if (paper.Pairs.Count >= PairedBootstrap.MinClusters)
        {
            bool judged = paper.Pairs.Count >= MinPairs;
            results.Add(Better("preferred over rejected", "nats of margin", paper.Pairs, "pairs", champion.Margins, candidate.Margins,
                sign: 1, judged, seed + 1));
            results.Add(Better("pairs told apart", "share", paper.Pairs, "pairs", Apart(champion.Margins), Apart(candidate.Margins),
                sign: 1, required: false, seed + 2));
        }
        if (personDecides) results = [.. results.Select(Told)];
        results.AddRange(FrozenSet.Rules(paper, champion, candidate, first, rules, seed + 3));
        results.Add(Sound(champion.Answers, candidate.Answers, rules.SanityFloor));
        return new(results);
    }

    private static RuleResult Told(RuleResult rule) => rule with
    {
        Passed = rule is { IsPoint: false, Improvement.High: < 0 } ? false : null,
        Because = rule is { IsPoint: false, Improvement.High: < 0 } ? $"{rule.Name}: certainly worse, by {rule.Improvement} {rule.Unit}"
            : rule.Because,
    };

    private static RuleResult Better(string name, string unit, IReadOnlyList<HeldOutItem> items, string noun,
        IReadOnlyList<double> champion, IReadOnlyList<double> candidate, int sign, bool required, int seed)
    {
        int people = items.Select(item => item.User).Distinct().Count();
        bool byPerson = people >= MinPeople && items.All(item => item.IsTaste);
        Func<HeldOutItem, string> cluster = byPerson ? item => item.User : item => item.Prompt.ToString();
        List<(string, double)> differences = [.. items.Select((item, i) => (cluster(item), sign * (candidate[i] - champion[i])))];
        string basis = items.Any(item => !item.IsTaste) ? $"{items.Count} {noun} to {items.Select(cluster).Distinct().Count()} prompts"
            : $"{items.Count} {noun} of {people} {(people == 1 ? "person" : "people")}{(byPerson ? "" : "; too few to speak of others")}";
        double mean = differences.Average(item => item.Item2);
        if (differences.Select(item => item.Item1).Distinct().Count() < PairedBootstrap.MinClusters)
            return new(name, unit, champion.Average(), candidate.Average(), new(mean, mean, mean), 0, required ? false
                : null, basis) { Because = $"{name}: all {items.Count} {noun} answer one prompt, which proves nothing" };
        Interval gain = PairedBootstrap.Mean(differences, seed);
        bool passed = gain.Low > 0;
        return new(name, unit, champion.Average(), candidate.Average(), gain, 0, required ? passed : null, basis)
        {
            Because = passed
                ? $"{name}: better by {gain} {unit}"
                : $"{name}: the gain of {gain} {unit} is not certain, its 95% interval must lie above 0",
        };
    }

    /// <summary>
    /// By how much a token of a liked answer is likelier than one of a disliked answer: the difference of two means. The interval is
    /// that of what each answer adds to it, so that neither what the candidate gives to both kinds alike nor how many there are of
    /// each moves it.
    /// </summary>
    private static RuleResult LikedFromDisliked(IReadOnlyList<HeldOutItem> items, IReadOnlyList<double> champion,
        IReadOnlyList<double> candidate, bool required, int seed)
    {
        double Mean(bool liked, Func<int, double> of) => Enumerable.Range(0, items.Count).Where(i => items[i].Liked == liked).Average(of);
        double Gain(int i) => champion[i] - candidate[i];
        double apart = Mean(false, i => champion[i]) - Mean(true, i => champion[i]), likedGain = Mean(true, Gain),
            dislikedGain = Mean(false, Gain);
        double share = items.Average(item => item.Liked ? 1.0 : 0);
        double[] after = [.. items.Select((item, i) =>
            apart + likedGain - dislikedGain + (item.Liked ? (Gain(i) - likedGain) / share : (dislikedGain - Gain(i)) / (1 - share)))];
        return Better("liked from disliked", "nats a token apart", items, "answers", [.. items.Select(_ => apart)], after, sign: 1,
            required, seed);
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
        return new("sound answers", "share", before, after, new(after, after, after), threshold, passed,
            $"{candidate.Count} held-out prompts")
        {
            Because = $"sound answers: {after:0%}{(faults.Length > 0 ? $" ({faults})" : "")}, at least {threshold:0%} needed",
        };
    }
}
