using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Reviews;

/// <summary>How far two reviewers who judged the same items agree.</summary>
/// <param name="First">The reviewer whose name comes first.</param>
/// <param name="Second">The other.</param>
/// <param name="Items">How many both judged.</param>
/// <param name="Agreed">Of how many they said the same: approve, correct or reject.</param>
/// <param name="Kappa">Cohen's kappa; null below <see cref="ReviewAgreement.MinItems"/> items, and where chance alone would agree
/// always.</param>
public sealed record AgreementOfTwo(string First, string Second, int Items, int Agreed, double? Kappa)
{
    public double Share => Items == 0 ? 0 : (double)Agreed / Items;

    public bool IsTooFew => Items < ReviewAgreement.MinItems;
}

/// <summary>Agreement between reviewers, over every item of the record that two judged.</summary>
/// <param name="Pairs">Of each two, most items first.</param>
/// <param name="All">All pairs of judgements together, as if two had given them, ordered by name.</param>
public sealed record ReviewAgreement(IReadOnlyList<AgreementOfTwo> Pairs, AgreementOfTwo All)
{
    /// <summary>With fewer, a kappa says nothing.</summary>
    public const int MinItems = 20;

    public static async Task<ReviewAgreement> ReadAsync(FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return Of((await ReviewQueue.ReviewsAsync(db, cancellation)).ToDictionary(item => item.Key, item => ReviewState.Of(item).Standing));
    }

    private readonly Dictionary<Guid, IReadOnlyList<Review>> _items = [];

    /// <summary>The same after somebody has decided on an item, without reading the others again.</summary>
    public ReviewAgreement With(ReviewItem item) =>
        Of(new Dictionary<Guid, IReadOnlyList<Review>>(_items) { [item.Id] = item.State.Standing });

    private static ReviewAgreement Of(Dictionary<Guid, IReadOnlyList<Review>> items)
    {
        ReviewAgreement agreement = Of(items.Values);
        foreach ((Guid id, IReadOnlyList<Review> standing) in items) agreement._items[id] = standing;
        return agreement;
    }

    /// <param name="items">Of each item the decisions that stand, one of each reviewer.</param>
    public static ReviewAgreement Of(IEnumerable<IReadOnlyList<Review>> items)
    {
        List<(string First, string Second, string A, string B)> judged = [];
        foreach (IReadOnlyList<Review> item in items)
        {
            Review[] sorted = [.. item.OrderBy(review => review.Reviewer, StringComparer.Ordinal)];
            for (int i = 0; i < sorted.Length; i++)
                for (int j = i + 1; j < sorted.Length; j++)
                    judged.Add((sorted[i].Reviewer, sorted[j].Reviewer, sorted[i].Verdict, sorted[j].Verdict));
        }
        return new([.. judged.GroupBy(pair => (pair.First, pair.Second))
            .Select(group => Of(group.Key.First, group.Key.Second, [.. group.Select(pair => (pair.A, pair.B))]))
            .OrderByDescending(pair => pair.Items).ThenBy(pair => pair.First, StringComparer.Ordinal)
            .ThenBy(pair => pair.Second, StringComparer.Ordinal)],
            Of("", "", [.. judged.Select(pair => (pair.A, pair.B))]));
    }

    private static AgreementOfTwo Of(string first, string second, IReadOnlyList<(string A, string B)> pairs) =>
        new(first, second, pairs.Count, pairs.Count(pair => pair.A == pair.B), pairs.Count < MinItems ? null : KappaOf(pairs));

    /// <summary>
    /// (observed - expected) / (1 - expected), where expected is the agreement of two who answer at random as often each way as these do
    /// (Cohen, Educational and Psychological Measurement 20, 1960).
    /// </summary>
    /// <returns>Null where both always gave the same one answer: nothing can be told from chance.</returns>
    public static double? KappaOf(IReadOnlyList<(string A, string B)> pairs)
    {
        double n = pairs.Count, observed = pairs.Count(pair => pair.A == pair.B) / n;
        double expected = pairs.Select(pair => pair.A).Distinct()
            .Sum(answer => pairs.Count(pair => pair.A == answer) / n * (pairs.Count(pair => pair.B == answer) / n));
        return expected >= 1 ? null : (observed - expected) / (1 - expected);
    }
}
