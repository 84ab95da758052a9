namespace Flywheel.Loop;

/// <summary>Cells of a CSV file that a spreadsheet may open.</summary>
public static class CsvCell
{
    /// <summary>
    /// What a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection), also after blanks. What is quoted
    /// so
    /// already is quoted once more, so that it comes back as it was.
    /// </summary>
    public static string Harmless(string text) => IsDangerous(text) ? "'" + text : text;

    /// <summary>Takes the apostrophe away again: what <see cref="Harmless"/> was given.</summary>
    public static string Unquoted(string text) => text.StartsWith('\'') && IsDangerous(text) ? text[1..] : text;

    private static bool IsDangerous(string text)
    {
        string rest = text.TrimStart('\'');
        if (rest is ['\t' or '\r' or '\n', ..]) return true;
        int first = 0;
        while (first < rest.Length && (char.IsWhiteSpace(rest[first]) || rest[first] == '\'')) first++;
        return first < rest.Length && rest[first] is ('=' or '+' or '-' or '@' or '＝' or '＋' or '－' or '＠');
    }
}
