using System.Text.Json.Nodes;
using Flywheel.Loop.Rollouts;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>What a person said of two anonymous answers to one prompt.</summary>
public enum ArenaChoice { A, B, BothGood, BothBad }

/// <summary>What people chose between two models.</summary>
/// <param name="First">A model's hash, with an adapter's after a plus sign; or an upstream's reference. The name that sorts first.</param>
/// <param name="Second">The other.</param>
/// <param name="FirstWins">Choices for the first.</param>
/// <param name="SecondWins">For the other.</param>
/// <param name="BothGood">For both.</param>
/// <param name="BothBad">For neither.</param>
/// <param name="NumPeople">Who chose.</param>
/// <param name="Rate">Share of choices that the first won, a tie as half; with Wilson's 95% interval.</param>
/// <param name="CountsPeople">Each person counts once, with their mean; else (below <see cref="ArenaResults.MinPeople"/>) each choice
/// does.</param>
public sealed record ArenaPair(string First, string Second, int FirstWins, int SecondWins, int BothGood, int BothBad, int NumPeople,
    Interval Rate, bool CountsPeople)
{
    public int NumChoices => FirstWins + SecondWins + BothGood + BothBad;
}

/// <summary>
/// The arena's rounds as the record has them: two answers to one request, of two models, and a person's choice as acts on both, each with
/// the choice as a tag. Of a round the first choice of the person who asked counts, where both answers came to their own end. Nothing is
/// counted
/// twice, and who was forgotten or took it back is not in it.
/// </summary>
public static class ArenaResults
{
    public const string App = "arena", ApplicationTag = "application", ChoiceTag = "choice";

    /// <summary>From fewer people nothing is concluded about others: the interval is of these people's choices.</summary>
    public const int MinPeople = RolloutDecision.MinPeople;

    /// <summary>What a choice says of each answer: it was kept, or thrown away.</summary>
    public static (bool A, bool B) Kept(ArenaChoice choice) =>
        (choice is ArenaChoice.A or ArenaChoice.BothGood, choice is ArenaChoice.B or ArenaChoice.BothGood);

    /// <summary>As feedback's tag and the API name it.</summary>
    public static string NameOf(ArenaChoice choice) =>
        choice switch { ArenaChoice.A => "a", ArenaChoice.B => "b", ArenaChoice.BothGood => "both_good", _ => "both_bad" };

    /// <summary>Null of what is no choice.</summary>
    public static ArenaChoice? Named(string? name) =>
        Enum.GetValues<ArenaChoice>().Cast<ArenaChoice?>().FirstOrDefault(choice => NameOf(choice!.Value) == name);

    /// <summary>Every pair that somebody chose between, the one with the most choices first.</summary>
    public static async Task<IReadOnlyList<ArenaPair>> ReadAsync(FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        var answers = await db.Served.AsNoTracking().Where(row => row.App == App)
            .Select(row => new { row.Id, row.Group, row.Choice, row.ModelHash, row.AdapterHash, row.Upstream, row.User, row.Owner,
                row.FinishReason }).ToListAsync(cancellation);
        ILookup<Guid, Feedback> said =
            (await db.Feedback.AsNoTracking()
                .Where(row => db.Generations.Any(generation => generation.Id == row.GenerationId && generation.App == App))
            .OrderBy(row => row.Sequence).ToListAsync(cancellation)).ToLookup(row => row.GenerationId);
        var rounds = new List<ArenaVote>();
        foreach (var round in answers.GroupBy(answer => answer.Group))
        {
            if (round.OrderBy(answer => answer.Choice).ToArray() is not [var a, var b]
                || !round.All(answer => answer.FinishReason is Engine.FinishReason.Stop or Engine.FinishReason.Length)) continue;
            string person = CuratedExample.PersonOf(a.User, a.Owner);
            Feedback[] own =
                [.. said[a.Id].Concat(said[b.Id]).Where(row => CuratedExample.PersonOf(row.User, row.Owner) == person)
                    .OrderBy(row => row.Sequence)];
            if (ChosenIn(own) is { } choice)
                rounds.Add(new(Key(a.ModelHash, a.AdapterHash, a.Upstream), Key(b.ModelHash, b.AdapterHash, b.Upstream), person, choice));
        }
        return Count(rounds);
    }

    /// <summary>The same from choices at hand.</summary>
    internal static IReadOnlyList<ArenaPair> Count(IEnumerable<ArenaVote> votes)
    {
        var pairs = votes.Where(vote => vote.A != vote.B).Select(vote => string.CompareOrdinal(vote.A, vote.B) < 0 ? vote : vote.Turned)
            .GroupBy(vote => (vote.A, vote.B));
        return [.. pairs.Select(pair =>
        {
            // one order, one rounding
            double[] people = [.. pair.GroupBy(vote => vote.Person).Select(person => person.Average(vote => vote.Score)).Order()];
            bool byPerson = people.Length >= MinPeople;
            int n = byPerson ? people.Length : pair.Count();
            return new ArenaPair(pair.Key.A, pair.Key.B, Number(ArenaChoice.A), Number(ArenaChoice.B), Number(ArenaChoice.BothGood),
                Number(ArenaChoice.BothBad), people.Length,
                TaskMetric.Wilson(byPerson ? people.Average() : pair.Average(vote => vote.Score), n), byPerson);

            int Number(ArenaChoice choice) => pair.Count(vote => vote.Choice == choice);
        }).OrderByDescending(pair => pair.NumChoices).ThenBy(pair => pair.First, StringComparer.Ordinal)
        .ThenBy(pair => pair.Second, StringComparer.Ordinal)];
    }

    private static string Key(string model, string? adapter, string? upstream) =>
        upstream is not null ? Upstream.Prefix + upstream : adapter is not null ? $"{model}+{adapter}" : model;

    /// <summary>The first choice that was said of both answers: after it the models are known. Null before it, and where it was taken
    /// back.</summary>
    /// <param name="rows">What the round's person said of either answer, in the order in which it was said.</param>
    private static ArenaChoice? ChosenIn(Feedback[] rows)
    {
        var acts = new List<(Feedback Row, ArenaChoice Choice)>();
        foreach (Feedback row in rows)
        {
            if (ChoiceOf(row) is not { } choice) continue;
            if (acts.FirstOrDefault(act => act.Choice == choice && act.Row.GenerationId != row.GenerationId).Row is { } other)
                return Stands(row) && Stands(other) ? choice : null;
            acts.Add((row, choice));
        }
        return null;

        bool Stands(Feedback act) => !rows.Any(later => later.Sequence > act.Sequence && later.GenerationId == act.GenerationId
            && FeedbackKind.Named(later.Metric).Effect(later) is FeedbackEffect.TakeBack back
            && (back.Only is null || back.Only == act.Id));
    }

    /// <summary>Whether a feedback is part of a round's choice, which is made before the models are known; anything else said of the
    /// answers is not blind.</summary>
    public static bool IsChoice(Feedback row) => ChoiceOf(row) is not null;

    /// <summary>The choice that a feedback is part of; null where it is part of none.</summary>
    public static ArenaChoice? ChoiceOf(Feedback row)
    {
        return JsonNode.Parse(row.Tags) is JsonObject tags && Text(tags, ApplicationTag) == App ? Named(Text(tags, ChoiceTag)) : null;

        static string? Text(JsonObject tags, string name) =>
            tags[name] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
    }
}

/// <summary>One person's choice in one round.</summary>
internal sealed record ArenaVote(string A, string B, string Person, ArenaChoice Choice)
{
    /// <summary>The same with the answers in the other order.</summary>
    public ArenaVote Turned =>
        new(B, A, Person, Choice switch { ArenaChoice.A => ArenaChoice.B, ArenaChoice.B => ArenaChoice.A, var tie => tie });

    /// <summary>Of A: 1, 0, or a tie's half.</summary>
    public double Score => Choice switch { ArenaChoice.A => 1, ArenaChoice.B => 0, _ => 0.5 };
}
