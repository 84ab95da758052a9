using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Loop;

/// <summary>
/// Which people, or which prompts, are learnt from and which are only tested on. Each stays on its side for ever, so that nobody's
/// edits are both trained on and tested on.
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

    /// <param name="all">Everyone (everything) with an example in this turn.</param>
    /// <param name="known">Sides from earlier turns.</param>
    /// <param name="share">Share to hold out, 0 to 1.</param>
    /// <param name="salt">Secret of the record.</param>
    public static IReadOnlyDictionary<string, Split> Assign(
        IEnumerable<string> all, IReadOnlyDictionary<string, Split> known, double share, byte[] salt)
    {
        List<string> names = [.. all.Distinct()];
        Dictionary<string, Split> sides = names.Where(known.ContainsKey).ToDictionary(name => name, name => known[name]);
        int wanted = Math.Clamp((int)Math.Round(share * names.Count), Math.Min(1, names.Count - 1), Math.Max(0, names.Count - 1));
        int missing = wanted - sides.Values.Count(side => side == Split.HeldOut);
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
