using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Loop;

/// <summary>
/// Which people are learnt from and which are only tested on. A person stays on one side for ever, so that nobody's
/// edits are both trained on and tested on.
/// </summary>
public static class UserSplit
{
    /// <param name="users">Everyone with an example in this turn.</param>
    /// <param name="known">Sides of people from earlier turns.</param>
    /// <param name="heldOutShare">Share of people to hold out, 0 to 1; new ones are drawn by the hash of their name.</param>
    public static IReadOnlyDictionary<string, Split> Assign(IEnumerable<string> users, IReadOnlyDictionary<string, Split> known, double heldOutShare)
    {
        List<string> all = [.. users.Distinct()];
        Dictionary<string, Split> sides = all.Where(known.ContainsKey).ToDictionary(user => user, user => known[user]);
        int wanted = Math.Clamp((int)Math.Round(heldOutShare * all.Count), Math.Min(1, all.Count - 1), Math.Max(0, all.Count - 1));
        int missing = wanted - sides.Values.Count(side => side == Split.HeldOut);
        foreach (string user in all.Where(user => !sides.ContainsKey(user)).OrderBy(Rank, StringComparer.Ordinal).ToList())
            sides[user] = missing-- > 0 ? Split.HeldOut : Split.Train;
        return sides;
    }

    private static string Rank(string user) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("user split\n" + user)));
}
