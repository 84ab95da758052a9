using System.Buffers;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Flywheel.Voice;

/// <summary>Texts that take less time to say: made by rule, and looked through whoever made them.</summary>
public static partial class ShorterText
{
    /// <summary>Wordings and what says the same, or nothing where politeness is left out, by language: data in shorter.json.</summary>
    private static readonly Dictionary<string, (Regex Long, string Short)[]> s_rules = Read();

    /// <summary>Signs that stand before a first letter.</summary>
    private static readonly SearchValues<char> s_opening = SearchValues.Create("¿¡\"'«„“ ");

    /// <summary>Languages of which there are rules.</summary>
    public static IReadOnlyCollection<string> Languages => s_rules.Keys;

    /// <summary>The text with each wording shortened that a rule knows; null where none is in it.</summary>
    public static string? ByRule(string text, string language)
    {
        if (!s_rules.TryGetValue(language.Split('-')[0].ToLowerInvariant(), out (Regex, string)[]? rules)) return null;
        string shorter = Brackets().Replace(text, " ");
        foreach ((Regex wording, string with) in rules) shorter = wording.Replace(shorter, with);
        shorter = Blanks().Replace(BeforeSign().Replace(shorter, "$1"), " ").Trim().TrimStart(',', ';', ' ');
        int first = shorter.AsSpan().IndexOfAnyExcept(s_opening);
        // What now begins the text begins as the text did.
        if (first >= 0 && text.FirstOrDefault(char.IsLetter) is var began && char.IsUpper(began))
            shorter = string.Concat(shorter.AsSpan(0, first), char.ToUpperInvariant(shorter[first]).ToString(), shorter.AsSpan(first + 1));
        return shorter.Length < text.Trim().Length && Fault(text, shorter) is null ? shorter : null;
    }

    /// <summary>Why a text must not stand for a longer one; null where nothing speaks against it.</summary>
    /// <param name="text">The line.</param>
    /// <param name="shorter">What was offered for it.</param>
    /// <param name="kept">Terms that must stay, where they are in the line: those of the glossary.</param>
    public static string? Fault(string text, string shorter, IEnumerable<string>? kept = null)
    {
        if (!shorter.Any(char.IsLetterOrDigit)) return "it is empty";
        if (shorter.Length >= text.Length) return "it is not shorter";
        if (shorter.Contains('\n', StringComparison.Ordinal)) return "it has more than one line";
        string[] numbers = Numbers(text), left = Numbers(shorter);
        if (numbers.Except(left).FirstOrDefault() is { } number) return $"the number {number} is not in it";
        if (left.Except(numbers).FirstOrDefault() is { } added) return $"it has the number {added}, which the line has not";
        if (Names(text).FirstOrDefault(name => !shorter.Contains(name, StringComparison.Ordinal)) is { } missing)
            return $"the name {missing} is not in it";
        if (kept?.FirstOrDefault(term => text.Contains(term, StringComparison.OrdinalIgnoreCase)
            && !shorter.Contains(term, StringComparison.OrdinalIgnoreCase)) is { } lost) return $"the term {lost} is not in it";
        return Ends(text) && !Ends(shorter) ? "it does not end as a sentence" : null;
    }

    private static bool Ends(string text) => text.TrimEnd() is [.., '.' or '!' or '?' or '…' or '。' or '！' or '？'];

    private static string[] Numbers(string text) => [.. NumberForm().Matches(text).Select(match => match.Value)];

    /// <summary>Words with a capital that do not begin a sentence; of a language that writes more of them so (German), those too.</summary>
    private static IEnumerable<string> Names(string text) => NameForm().Matches(text).Select(match => match.Value).Distinct();

    private static Dictionary<string, (Regex, string)[]> Read()
    {
        using Stream file = typeof(ShorterText).Assembly.GetManifestResourceStream("shorter.json")!;
        return JsonSerializer.Deserialize<Dictionary<string, string[][]>>(file)!.ToDictionary(language => language.Key,
            language => language.Value
            // A comma behind what is left out goes with it.
            .Select(rule =>
                (new Regex($@"(?<![\p{{L}}\p{{M}}]){Regex.Escape(rule[0])}(?![\p{{L}}\p{{M}}]){(rule[1].Length == 0 ? ",?" : "")}",
                    RegexOptions.IgnoreCase | RegexOptions.CultureInvariant), rule[1])).ToArray());
    }

    [GeneratedRegex(@"\s*[(\[][^)\]]*[)\]]", RegexOptions.CultureInvariant)]
    private static partial Regex Brackets();

    [GeneratedRegex(@"\s+([,.;:!?…])", RegexOptions.CultureInvariant)]
    private static partial Regex BeforeSign();

    [GeneratedRegex(@"\s{2,}", RegexOptions.CultureInvariant)]
    private static partial Regex Blanks();

    [GeneratedRegex(@"\d+(?:[.,:]\d+)*", RegexOptions.CultureInvariant)]
    private static partial Regex NumberForm();

    [GeneratedRegex(@"(?<=[\p{L}\p{N},;:'’""-]\s+|[’'])\p{Lu}[\p{L}\p{M}\p{N}-]+", RegexOptions.CultureInvariant)]
    private static partial Regex NameForm();
}
