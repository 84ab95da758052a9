namespace Flywheel.Data;

/// <summary>Helps a person who mistyped a name.</summary>
internal static class Names
{
    /// <summary><c>; did you mean 'x'?</c>, or nothing when no valid name is near.</summary>
    public static string DidYouMean(string given, IEnumerable<string> valid)
    {
        (string Name, int Distance) nearest = valid.Select(name => (name, Distance(given, name))).MinBy(candidate => candidate.Item2);
        return nearest.Distance <= Math.Max(2, given.Length / 3) ? $"; did you mean '{nearest.Name}'?" : "";
    }

    /// <summary>Levenshtein's.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return row[^1];
    }
}
