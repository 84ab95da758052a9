using System.Numerics;

namespace Flywheel.Model;

/// <summary>The 64 squares of a board: a1, b1 to h8 are 0 to 63.</summary>
internal static class Squares
{
    public static readonly string[] Names = [.. from rank in "12345678" from file in "abcdefgh" select $"{file}{rank}"];

    /// <summary>In the order in which moves have their tokens.</summary>
    public static readonly string[] ByFile = [.. from file in "abcdefgh" from rank in "12345678" select $"{file}{rank}"];

    private static readonly Dictionary<string, int> s_numbers =
        Names.Index().ToDictionary(name => name.Item, name => name.Index, StringComparer.Ordinal);

    /// <summary>Number of a square's name; -1 where it is none.</summary>
    public static int Find(string name) => s_numbers.GetValueOrDefault(name, -1);

    public static ulong Bits(params string[] names) => names.Aggregate(0UL, (all, name) => all | 1UL << s_numbers[name]);

    /// <summary>Squares of a set, a bit each.</summary>
    public static IEnumerable<int> Of(ulong set)
    {
        for (; set != 0; set &= set - 1) yield return BitOperations.TrailingZeroCount(set);
    }

    /// <summary>Where a square goes when the board is mirrored across (1), up and down (2), along the diagonal (4), or any sum of
    /// these.</summary>
    public static int Transform(int square, int symmetry)
    {
        (int file, int rank) = (square % 8, square / 8);
        if ((symmetry & 1) != 0) file = 7 - file;
        if ((symmetry & 2) != 0) rank = 7 - rank;
        return (symmetry & 4) != 0 ? 8 * file + rank : 8 * rank + file;
    }
}
