using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// A preference model: logistic regression on what people who are learnt from kept and what they discarded. It may judge only while it
/// agrees with the choices of people whom it never saw; else it abstains.
/// </summary>
public sealed class PreferenceJudge : IDraftJudge
{
    /// <summary>Choices that it is fitted on at the least.</summary>
    public const int MinChoices = 24;

    /// <summary>Choices of one person between single answers, which are as many as liked times disliked ones.</summary>
    private const int MaxOfPerson = 64;

    private const double Ridge = 1;

    private readonly TextFeatures _features;
    private readonly double[] _scale, _weights;

    private PreferenceJudge(IReadOnlyList<Choice> choices)
    {
        _features = new TextFeatures(choices);
        List<(double[] Chosen, double[] Not)> pairs = [.. choices.GroupBy(choice => choice.User, StringComparer.Ordinal)
            .SelectMany(mine => _features.Without([.. mine]))];
        _scale = Deviations([.. pairs.SelectMany(pair => new[] { pair.Chosen, pair.Not })]);
        _weights = PairwiseLogistic.Fit([.. pairs.Select(pair => Scaled(pair.Chosen, pair.Not))], Ridge);
    }

    public string Name => "preference";

    /// <summary>Share of the choices of held-out people with which it agrees, with its interval; ties count half.</summary>
    public Interval Agreement { get; private set; }

    public string Basis { get; private set; } = "";

    /// <param name="paper">Choices of people who are learnt from, and of those held out.</param>
    /// <param name="bound">The interval of the agreement must lie above it.</param>
    /// <param name="seed">Of the interval.</param>
    /// <returns>The model; or none, and why it abstains.</returns>
    public static (PreferenceJudge? Judge, string Why) Fit(ExamPaper paper, double bound, int seed)
    {
        IReadOnlyList<Choice> taught = Choices(paper.TeachingPairs, paper.TeachingJudged), heldOut = Choices(paper.Pairs, paper.Judged);
        if (taught.Count < MinChoices)
            return (null, $"the preference model abstains: {taught.Count} choices to fit it on, {MinChoices} needed");
        int people = heldOut.Select(choice => choice.User).Distinct().Count();
        if (!SignFlip.CanDecide(people, Looks.Alpha(1)))
            return (null,
                $"the preference model abstains: choices of {people} held-out {(people == 1 ? "person" : "people")} cannot show that it agrees with people");
        var fitted = new PreferenceJudge(taught);
        Interval agreement = SignFlip.Mean([.. heldOut.Select(choice =>
            (choice.User, (1 + Math.Sign(fitted.Score(choice.Prompt, choice.Chosen) - fitted.Score(choice.OtherPrompt,
                choice.Not))) / 2.0))],
            Looks.Alpha(1), seed);
        string agrees = string.Create(CultureInfo.InvariantCulture,
            $"{agreement.Estimate:0.00} [{agreement.Low:0.00}, {agreement.High:0.00}] of {heldOut.Count} choices of {people} held-out people");
        if (agreement.Low <= bound)
            return (null, string.Create(CultureInfo.InvariantCulture,
                $"the preference model abstains: it agrees with {agrees}, the interval must lie above {bound:0.##}"));
        fitted.Agreement = agreement;
        fitted.Basis = $"fitted on {taught.Count} choices; agrees with {agrees}; goes by {fitted.Strongest()}";
        return (fitted, fitted.Basis);
    }

    public double Score(Conversation prompt, string text)
    {
        double[] features = _features.Of(prompt, text);
        double score = 0;
        for (int i = 0; i < features.Length; i++) score += _weights[i] * features[i] / _scale[i];
        return score;
    }

    private string Strongest() => string.Join(", ", Enumerable.Range(0, _weights.Length).OrderByDescending(i =>
        Math.Abs(_weights[i])).Take(4)
        .Select(i => string.Create(CultureInfo.InvariantCulture, $"{TextFeatures.Names[i]} ({_weights[i]:+0.0;-0.0})")));

    private double[] Scaled(double[] chosen, double[] not) => [.. chosen.Select((value, i) => (value - not[i]) / _scale[i])];

    private static double[] Deviations(IReadOnlyList<double[]> rows) => [.. Enumerable.Range(0, rows[0].Length).Select(i =>
    {
        double mean = rows.Average(row => row[i]), deviation = Math.Sqrt(rows.Average(row => Math.Pow(row[i] - mean, 2)));
        return deviation > 1e-9 ? deviation : 1;
    })];

    /// <summary>
    /// Pairs as they are; of a person without any, what they liked with what they did not, each answer about equally often.
    /// </summary>
    internal static IReadOnlyList<Choice> Choices(IReadOnlyList<HeldOutItem> pairs, IReadOnlyList<HeldOutItem> judged)
    {
        List<Choice> choices = [.. pairs.Where(pair => pair.IsTaste)
            .Select(pair => new Choice(pair.User, pair.Prompt, TextOf(pair.Preferred), pair.Prompt, TextOf(pair.Rejected!)))];
        HashSet<string> have = [.. choices.Select(choice => choice.User)];
        foreach (IGrouping<string, HeldOutItem> mine in judged.Where(item => item.IsTaste && !have.Contains(item.User)).GroupBy(item =>
            item.User))
        {
            HeldOutItem[] liked = [.. mine.Where(item => item.Liked)], disliked = [.. mine.Where(item => !item.Liked)];
            int all = Math.Min(MaxOfPerson, liked.Length * disliked.Length);
            for (int i = 0; i < all; i++)
            {
                HeldOutItem good = liked[i % liked.Length], bad = disliked[(i + i / liked.Length) % disliked.Length];
                choices.Add(new(mine.Key, good.Prompt, TextOf(good.Preferred), bad.Prompt, TextOf(bad.Preferred)));
            }
        }
        return choices;

        static string TextOf(Conversation conversation) => conversation.Messages[^1].Text;
    }
}
