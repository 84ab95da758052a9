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
        IReadOnlyDictionary<string, Split> people = HoldOut.Assign(names, People, Recipe.HeldOutShare, Salt);
        IReadOnlyDictionary<string, Split> prompts = HoldOut.Assign(hashes, Prompts, Recipe.HeldOutShare, Salt);
        Split Of(CuratedExample row) => ByPerson(row) ? people[row.Person] : prompts[row.PromptHash!];

        // Who wrote nothing but corrections is learnt from if anything of theirs is.
        HashSet<string> teach = [.. rows.Where(row => row.Author is not null && Of(row) == Split.Train).Select(row => row.Author!)];
        Split? OfAuthor(string author) => people.TryGetValue(author, out Split now) || People.TryGetValue(author, out now) ? now
            : few ? null : teach.Contains(author) ? Split.Train : Split.HeldOut;
        return new(Of, row => row.Author is { } author && OfAuthor(author) is { } side && side != Of(row) && (!few || side == Split.HeldOut));
    }
}

/// <summary>On which side rows are.</summary>
/// <param name="Of">The side of a row.</param>
/// <param name="IsOfAnother">Its text was written by a reviewer of the other side: what a held-out person wrote teaches nothing, whoever's
/// row it corrects, and nobody is tested on what they taught. With few people, whose prompts are on both sides, only the former.</param>
internal sealed record RowSides(Func<CuratedExample, Split> Of, Func<CuratedExample, bool> IsOfAnother);
