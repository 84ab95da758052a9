namespace Flywheel.Model;

/// <summary>Helps with misspelt names: the nearest of the valid ones, by edit distance.</summary>
public static class NearestName
{
    /// <summary><c>; did you mean 'x'?</c> when a valid name is near enough, else <c>; expected a, b or c</c>.</summary>
    public static string Hint(string name, IReadOnlyCollection<string> valid)
    {
        string? nearest = valid.MinBy(candidate => Distance(name, candidate));
        return nearest is not null && Distance(name, nearest) <= Math.Max(2, name.Length / 3)
            ? $"; did you mean '{nearest}'?"
            : $"; expected {List(valid)}";
    }

    /// <summary><c>a, b or c</c>.</summary>
    public static string List(IReadOnlyCollection<string> names) =>
        names.Count < 2 ? string.Concat(names) : $"{string.Join(", ", names.SkipLast(1))} or {names.Last()}";

    /// <summary>Insertions, deletions and substitutions between two names (Levenshtein 1966).</summary>
    internal static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
                (row[j], diagonal) = (Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)), row[j]);
        }
        return row[b.Length];
    }
}
