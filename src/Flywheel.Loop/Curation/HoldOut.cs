using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Loop;

/// <summary>
/// Which people, or which prompts, are learnt from and which are only tested on. Who is learnt from stays so for ever, and who is held out
/// until they are retired, so that nobody's edits are tested on after they were trained on.
/// </summary>
/// <remarks>
/// New ones are drawn by HMAC-SHA256 under the record's secret salt. A bare hash of a name could be computed by whoever chooses the
/// name, so that a few chosen names took every held-out seat.
/// </remarks>
public static class HoldOut
{
    /// <summary>
    /// Fewer people can be told apart by too little: their prompts are held out, and a person decides (<see cref="Gate"/>).
    /// </summary>
    public const int MinPeople = 6;

    /// <summary>
    /// After so many turns that were examined on somebody's texts they are retired: learnt from, and never tested on again. By then five
    /// sixths of what looks may spend are spent (<see cref="Looks"/>), and what was chosen by looking at them fits them a little.
    /// </summary>
    public const int MaxLooks = 5;

    /// <summary>
    /// Who of the held-out people is retired now. Where half of them are due, all are, so that the looks at those who follow begin at one;
    /// nobody is while those who are left and the new ones together are too few to hold out as many as are wanted. Whether these bring
    /// enough texts is asked by <see cref="SplitRules"/>.
    /// </summary>
    /// <param name="all">Everyone with an example in this turn.</param>
    /// <param name="known">Sides from earlier turns.</param>
    /// <param name="looks">How many examined turns somebody was held out in.</param>
    /// <param name="share">Share to hold out, 0 to 1.</param>
    /// <returns>Who is retired, and how many are due; where that is more than are retired, new people are waited for.</returns>
    public static (IReadOnlyList<string> Retired, int NumDue) Retire(IEnumerable<string> all, IReadOnlyDictionary<string, Split> known,
        IReadOnlyDictionary<string, int> looks, double share)
    {
        List<string> names = [.. all.Distinct()];
        string[] heldOut = [.. names.Where(name => known.TryGetValue(name, out Split side) && side == Split.HeldOut)];
        string[] due = [.. heldOut.Where(name => looks.GetValueOrDefault(name) >= MaxLooks)];
        string[] retired = 2 * due.Length >= heldOut.Length ? heldOut : due;
        int left = heldOut.Length - retired.Length + names.Count(name => !known.ContainsKey(name));
        return (due.Length > 0 && left >= Wanted(names.Count, share) ? retired : [], due.Length);
    }

    private static int Wanted(int count, double share) =>
        Math.Clamp((int)Math.Round(share * count), Math.Min(1, count - 1), Math.Max(0, count - 1));

    /// <param name="all">Everyone (everything) with an example in this turn.</param>
    /// <param name="known">Sides from earlier turns.</param>
    /// <param name="share">Share to hold out, 0 to 1.</param>
    /// <param name="salt">Secret of the record.</param>
    public static IReadOnlyDictionary<string, Split> Assign(
        IEnumerable<string> all, IReadOnlyDictionary<string, Split> known, double share, byte[] salt)
    {
        List<string> names = [.. all.Distinct()];
        Dictionary<string, Split> sides = names.Where(known.ContainsKey).ToDictionary(name => name, name => known[name]);
        int missing = Wanted(names.Count, share) - sides.Values.Count(side => side == Split.HeldOut);
        foreach (string name in names.Where(name => !sides.ContainsKey(name)).OrderBy(name => Rank(name, salt), StringComparer.Ordinal)
            .ToList())
            sides[name] = missing-- > 0 ? Split.HeldOut : Split.Train;
        return sides;
    }

    /// <summary>
    /// Most answers that one person may give, such that nobody gives more than <paramref name="share"/> of what remains when all are
    /// cut so. With few people, twice an even part is allowed where that is more.
    /// </summary>
    /// <param name="counts">Answers of each person.</param>
    /// <param name="share">0 to 1.</param>
    /// <param name="atLeast">Never cut below this.</param>
    public static int Cap(IReadOnlyCollection<int> counts, double share, int atLeast)
    {
        double part = Math.Max(share, 2.0 / (counts.Count + 1));
        int low = 0, high = counts.Count == 0 ? 0 : counts.Max();
        while (low < high) // what all give together grows ever slower with the cap, so the caps that hold are those up to one
        {
            int cap = low + (high - low + 1) / 2;
            if (cap <= part * counts.Sum(count => Math.Min(count, cap))) low = cap;
            else high = cap - 1;
        }
        return Math.Max(atLeast, low);
    }

    private static string Rank(string name, byte[] salt) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(salt, Encoding.UTF8.GetBytes("held out\n" + name)));
}
