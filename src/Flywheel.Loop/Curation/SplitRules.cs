using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>How curated rows are divided into what is learnt and what is only tested on.</summary>
/// <param name="Recipe">Shares.</param>
/// <param name="Salt">Secret of the record, under which people and prompts are drawn.</param>
/// <param name="People">Sides of people from earlier turns.</param>
/// <param name="Prompts">Sides of prompts from earlier turns, by their hashes.</param>
/// <param name="UsedBefore">Hashes of examples that a promoted model was trained on.</param>
public sealed record SplitRules(
    CurateRecipe Recipe, byte[] Salt, IReadOnlyDictionary<string, Split> People, IReadOnlyDictionary<string, Split> Prompts,
        IReadOnlySet<string> UsedBefore)
{
    /// <summary>How many examined turns people were held out in.</summary>
    public IReadOnlyDictionary<string, int> Looks { get; init; } = new Dictionary<string, int>();

    /// <summary>Whether there are people, but too few to hold some of them out.</summary>
    internal static bool IsOfFewPeople(IEnumerable<CuratedExample> rows)
    {
        HashSet<string> people = [.. rows.Where(row => FeedbackSourceRules.Of(row.Source).IsTaste).Select(row => row.Person)];
        return people.Count is > 0 and < HoldOut.MinPeople;
    }

    /// <summary>
    /// The side of each row: its person's, or, with few people and where it is nobody's taste, its prompt's. A person who was only
    /// tested on in an earlier turn still is.
    /// </summary>
    internal RowSides Sides(IReadOnlyList<CuratedExample> rows)
    {
        bool few = IsOfFewPeople(rows);
        bool ByPerson(CuratedExample row) => FeedbackSourceRules.Of(row.Source).IsTaste
            && (!few || (People.TryGetValue(row.Person, out Split side) && side == Split.HeldOut));
        IEnumerable<string> names = rows.Where(ByPerson).Select(row => row.Person);
        IEnumerable<string> hashes = rows.Where(row => !ByPerson(row)).Select(row => row.PromptHash!);
        IReadOnlyDictionary<string, Split> prompts = HoldOut.Assign(hashes, Prompts, Recipe.HeldOutShare, Salt);
        // With few people those who are held out stay: there is nobody to follow them.
        (IReadOnlyList<string> retired, int due) = few ? ([], 0) : HoldOut.Retire(names, People, Looks, Recipe.HeldOutShare);
        IReadOnlyDictionary<string, Split> people = PeopleWithout(retired);
        // Those who follow must bring enough to test on: else the turn would be refused that those who are there allow.
        if (retired.Count > 0
            && rows.Where(row => row.Kind != ExampleKind.Preference && Of(row) == Split.HeldOut)
                .Select(row => (row.Person, row.GenerationId)).Distinct().Count() < Recipe.MinHeldOut)
            (retired, people) = ([], PeopleWithout([]));

        IReadOnlyDictionary<string, Split> PeopleWithout(IReadOnlyList<string> gone)
        {
            var sides = new Dictionary<string, Split>(People);
            foreach (string name in gone) sides[name] = Split.Train;
            return HoldOut.Assign(names, sides, Recipe.HeldOutShare, Salt);
        }

        Split Of(CuratedExample row) => ByPerson(row) ? people[row.Person] : prompts[row.PromptHash!];

        // Who wrote nothing but corrections is learnt from if anything of theirs is.
        HashSet<string> teach = [.. rows.Where(row => row.Author is not null && Of(row) == Split.Train).Select(row => row.Author!)];
        Split? OfAuthor(string author) => people.TryGetValue(author, out Split now) || People.TryGetValue(author, out now) ? now
            : few ? null : teach.Contains(author) ? Split.Train : Split.HeldOut;
        return new(Of, new Retirement(retired, due - Math.Min(due, retired.Count),
            people.Count(person => person.Value == Split.HeldOut && !People.ContainsKey(person.Key))),
            row => row.Author is { } author && OfAuthor(author) is { } side && side != Of(row) && (!few || side == Split.HeldOut));
    }
}

/// <summary>On which side rows are.</summary>
/// <param name="Of">The side of a row.</param>
/// <param name="Retirement">Who is held out no longer.</param>
/// <param name="IsOfAnother">Its text was written by a reviewer of the other side: what a held-out person wrote teaches nothing, whoever's
/// row it corrects, and nobody is tested on what they taught. With few people, whose prompts are on both sides, only the former.</param>
internal sealed record RowSides(Func<CuratedExample, Split> Of, Retirement Retirement, Func<CuratedExample, bool> IsOfAnother);

/// <summary>Held-out people who are learnt from now on (<see cref="HoldOut.Retire"/>), and those who follow them.</summary>
/// <param name="Retired">Who.</param>
/// <param name="NumWaiting">So many are due, and stay because too few new people have come.</param>
/// <param name="NumNew">So many are held out for the first time.</param>
public sealed record Retirement(IReadOnlyList<string> Retired, int NumWaiting, int NumNew)
{
    public static Retirement None { get; } = new([], 0, 0);

    /// <summary>In a sentence; empty where nobody is due.</summary>
    public string Text => Retired.Count > 0
            ? $"{People(Retired.Count)} who had been tested on, half of them at least in {HoldOut.MaxLooks} turns or more, {(Retired.Count == 1 ? "is" : "are")} learnt from now and never tested on again; {People(NumNew)} {(NumNew == 1 ? "is" : "are")} held out for the first time"
        : NumWaiting > 0
        ? $"{People(NumWaiting)} whose texts were tested on in {HoldOut.MaxLooks} turns or more {(NumWaiting == 1 ? "stays" : "stay")} held out until enough new people have come to follow"
        : "";

    private static string People(int count) => count == 1 ? "one person" : $"{count} people";
}
