using System.Text.RegularExpressions;

namespace Flywheel.Studio.Apps.Write;

/// <summary>Numbers and names in a text that its brief does not have: what a person should look at before the text goes out.</summary>
internal static partial class Claims
{
    /// <returns>Where they stand, in the order of the text; none overlap.</returns>
    public static IReadOnlyList<(int Start, int Length)> Unsupported(string text, BriefFields brief)
    {
        string source = string.Join('\n', BriefFields.Names.Where(name => name != "kind").Select(name => brief[name]));
        HashSet<string> words = [.. Word().Matches(source).Select(match => Plain(match.Value))];
        HashSet<string> numbers = [.. Number().Matches(source).Select(match => Digits(match.Value))];
        List<(int Start, int Length)> found = [];
        foreach (Match number in Number().Matches(text))
            if (!numbers.Contains(Digits(number.Value))) found.Add((number.Index, number.Value.TrimEnd('.', ',').Length));
        foreach (Match word in Word().Matches(text))
        {
            string value = word.Value;
            if (!char.IsUpper(value[0]) && !value.Skip(1).Any(char.IsUpper)) continue;
            bool isCased = value.Skip(1).Any(char.IsUpper); // GIMP, iPhone: a name wherever it stands
            if (!isCased && (Begins(text, word.Index) || IsTitle(text, word.Index) || value.Length < 2)) continue;
            if (words.Contains(Plain(value))) continue;
            found.Add((word.Index, word.Length));
        }
        found.Sort();
        List<(int Start, int Length)> joined = [];
        foreach ((int start, int length) in found)
        {
            // "New York" is one name.
            if (joined.Count > 0 && joined[^1] is var last && start >= last.Start + last.Length
                && text[(last.Start + last.Length)..start] == " ") joined[^1] = (last.Start, start + length - last.Start);
            else if (joined.Count == 0 || start >= joined[^1].Start + joined[^1].Length) joined.Add((start, length));
        }
        return joined;
    }

    /// <summary>A word that begins a sentence, a line or a quotation has its capital from there.</summary>
    private static bool Begins(string text, int index)
    {
        int before = index - 1;
        while (before >= 0 && (text[before] is ' ' or '\t' or '"' or '“' or '‘' or '\'' or '(' or '-' or '*' or '•' or '–')) before--;
        return before < 0 || text[before] is '\n' or '.' or '!' or '?' or ':' or ';' or '…' or '。' or '！' or '？';
    }

    /// <summary>A line most of whose words have capitals is set like a title.</summary>
    private static bool IsTitle(string text, int index)
    {
        int start = text.LastIndexOf('\n', Math.Max(0, index - 1)) + 1, end = text.IndexOf('\n', index);
        string[] long_ =
            [.. Word().Matches(text[start..(end < 0 ? text.Length : end)]).Select(match => match.Value).Where(word => word.Length > 3)];
        return long_.Length >= 3 && long_.Count(word => char.IsUpper(word[0])) * 3 >= long_.Length * 2;
    }

    private static string Plain(string word)
    {
        word = word.ToLowerInvariant().Replace('’', '\'');
        if (word.EndsWith("'s", StringComparison.Ordinal)) word = word[..^2];
        return word.Length > 3 ? word.TrimEnd('s') : word;
    }

    private static string Digits(string number) => number.TrimEnd('.', ',').Replace(",", "", StringComparison.Ordinal);

    [GeneratedRegex(@"[\p{L}][\p{L}\p{N}'’]*")]
    private static partial Regex Word();

    [GeneratedRegex(@"(?<![\p{L}\p{N}])\d[\d.,]*")]
    private static partial Regex Number();
}
