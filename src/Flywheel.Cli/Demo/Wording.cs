using System.Text.RegularExpressions;

namespace Flywheel.Cli.Demo;

/// <summary>What rules of taste and their editors need of English: words, stems, and a few rewritings.</summary>
internal static partial class Wording
{
    /// <summary>Lower-case words without punctuation at their ends.</summary>
    public static string[] Words(string text) => [.. Word().Matches(text).Select(match => match.Value.ToLowerInvariant())];

    public static string UpperFirst(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    /// <summary>Acronyms and "I" stay: only a word that is capital in its first letter alone is lowered.</summary>
    public static string LowerFirst(string text) =>
        text.Length == 0 || (text.Length > 1 && (char.IsUpper(text[1]) || char.IsDigit(text[1])))
            ? text : char.ToLowerInvariant(text[0]) + text[1..];

    /// <summary>Without praise, the full stop at the end and what only fits a praised thing ("very", "the").</summary>
    public static string Clean(string text)
    {
        text = text.Trim().Split('\n')[0];
        text = string.Join(' ',
            text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Where(word => !Lexicon.Praise.Contains(Words(word).FirstOrDefault() ?? "")));
        text = Dangling().Replace(text, "");
        return UpperFirst(text.TrimEnd('.', '!', ' ', ',', ':', ';', '-').TrimStart(',', ' ', '-'));
    }

    /// <summary>"Draws maps" or "draw maps" to "Draw maps"; null when the first word is no form of a known verb.</summary>
    public static string? Imperative(string text)
    {
        string[] parts = text.Split(' ', 2);
        if (parts.Length < 2) return null;
        string first = parts[0].ToLowerInvariant();
        return BaseForms(first).FirstOrDefault(Lexicon.Verbs.Contains) is { } verb ? $"{UpperFirst(verb)} {parts[1]}" : null;
    }

    /// <summary>"draws maps" to "drawing maps"; null when the first word is no form of a known verb.</summary>
    public static string? Gerund(string text)
    {
        if (Imperative(text) is not { } imperative) return null;
        string[] parts = imperative.Split(' ', 2);
        string verb = parts[0].ToLowerInvariant();
        string stem = verb switch
        {
            _ when verb.EndsWith("ee", StringComparison.Ordinal) => verb,
            _ when verb.EndsWith("ie", StringComparison.Ordinal) => verb[..^2] + "y",
            _ when verb.EndsWith('e') => verb[..^1],
            _ when Doubling().IsMatch(verb) => verb + verb[^1],
            _ => verb,
        };
        return $"{stem}ing {parts[1]}";
    }

    private static IEnumerable<string> BaseForms(string word)
    {
        yield return word;
        if (word.EndsWith("ies", StringComparison.Ordinal)) yield return word[..^3] + "y";
        if (word.EndsWith('s')) yield return word[..^1];
        if (word.EndsWith("es", StringComparison.Ordinal)) yield return word[..^2];
        if (!word.EndsWith("ing", StringComparison.Ordinal) || word.Length < 5) yield break;
        yield return word[..^3];
        yield return word[..^3] + "e";
        if (word[^4] == word[^5]) yield return word[..^4];
    }

    /// <summary>"A simple image viewer for GNOME" to "View images for GNOME", "Domino puzzle" to "Play a domino puzzle"; null when no such
    /// noun is near the start.</summary>
    public static string? FromAgent(string text)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int start = parts.Length > 0 && parts[0].ToLowerInvariant() is "a" or "an" or "the" ? 1 : 0;
        while (start < parts.Length && Lexicon.Filler.Contains(parts[start].ToLowerInvariant())) start++;
        for (int i = start; i < Math.Min(parts.Length, start + 5); i++)
        {
            string noun = Words(parts[i]).FirstOrDefault() ?? "";
            string rest = string.Concat(parts[(i + 1)..].Select(part => " " + part));
            if (noun is "game" or "puzzle" or "clone" or "solitaire")
                return "Play " + LowerFirst(WithArticle(string.Join(' ', parts[start..(i + 1)]))) + rest;
            if (i > start && Lexicon.Agents.TryGetValue(noun, out string? verb))
                return $"{UpperFirst(verb)} {LowerFirst(string.Join(' ', parts[start..(i - 1)].Append(Plural(parts[i - 1]))))}{rest}";
        }
        return null;
    }

    private static string Plural(string noun) => noun switch
    {
        _ when Lexicon.Mass.Contains(noun.ToLowerInvariant()) || noun.EndsWith('s') || char.IsUpper(noun[^1]) || !char.IsLetter(noun[^1]) =>
            noun,
        _ when noun.EndsWith('y') && noun.Length > 1 && !"aeiou".Contains(noun[^2]) => noun[..^1] + "ies",
        _ when noun.EndsWith('x') || noun.EndsWith("ch", StringComparison.Ordinal) || noun.EndsWith("sh", StringComparison.Ordinal) =>
            noun + "es",
        _ => noun + "s",
    };

    /// <summary>"image viewer" to "An image viewer"; an article that is there stays.</summary>
    public static string WithArticle(string text)
    {
        string first = Words(text).FirstOrDefault() ?? "";
        if (first is "a" or "an") return UpperFirst(text);
        if (first == "the") text = text[4..];
        bool vowel = text.Length > 0 && "aeiouAEIOU".Contains(text[0]) && !Consonantal().IsMatch(text);
        // Two capitals in a row are a name: "Sega Master System".
        bool name = text.Split(' ', 3) is [_, { Length: > 0 } second, ..] && char.IsUpper(second[0]);
        return $"{(vowel ? "An" : "A")} {(name ? text : LowerFirst(text))}";
    }

    /// <summary>Whole clauses up to a length; the text itself when no clause ends before.</summary>
    public static string Shorten(string text, int length)
    {
        if (text.Length <= length) return text;
        Match? cut = ClauseEnd().Matches(text).LastOrDefault(match => match.Index <= length && match.Index >= 12);
        return cut is null ? text : text[..cut.Index];
    }

    /// <summary>
    /// Whether a text opens with the name of a thing, a noun of kind with nothing but its attributes before it: "image
    /// viewer for GNOME" and "command line tool" do, "view and edit" and "create player skins" do not.
    /// </summary>
    public static bool OpensWithKind(string[] words)
    {
        int noun = Array.FindIndex(words, Lexicon.KindNouns.Contains);
        return noun is >= 0 and < 5 && !words[..noun].Any(IsFunction) && (noun == words.Length - 1 || IsFunction(words[noun + 1]));
    }

    private static bool IsFunction(string word) => Lexicon.Function.Contains(word) || (word.Length <= 2 && word.All(char.IsLetter));

    /// <summary>Different content words of a text that occur, in some form, in the sources.</summary>
    public static int Shared(IEnumerable<string> words, IEnumerable<string> sources)
    {
        HashSet<string> known = [.. sources.SelectMany(Words).Where(IsContent).Select(Stem)];
        return words.Where(IsContent).Select(Stem).Distinct().Count(known.Contains);
    }

    private static bool IsContent(string word) => word.Length > 2 && !IsFunction(word);

    /// <summary>Crude on purpose: "images", "image" and "imaging" fall together, and so do "play" and "player".</summary>
    internal static string Stem(string word)
    {
        foreach (string ending in (string[])["ing", "ers", "er", "ed", "es", "s"])
            if (word.EndsWith(ending, StringComparison.Ordinal) && word.Length - ending.Length >= 3)
            {
                word = word[..^ending.Length];
                break;
            }
        return word.Length > 3 && word[^1] == 'e' ? word[..^1] : word;
    }

    [GeneratedRegex(@"[\p{L}\p{N}]+(?:['’+#./-][\p{L}\p{N}]+)*")]
    private static partial Regex Word();

    /// <summary>One short vowel between consonants: cut, plan, stop; and the few longer verbs of that kind.</summary>
    [GeneratedRegex("^([^aeiou]*[aeiou][bdgklmnprt]|begin|forget|submit|transfer|transmit|control)$")]
    private static partial Regex Doubling();

    [GeneratedRegex("^(uni|use|usu|uti|eu|one)", RegexOptions.IgnoreCase)]
    private static partial Regex Consonantal();

    [GeneratedRegex(@"\b(very|and|or|yet|but|most|more),?\s*$|^(very|and|or|yet|but|most|more)\b,?\s*", RegexOptions.IgnoreCase)]
    private static partial Regex Dangling();

    [GeneratedRegex(@"\s*[,;:(]|\s+-|\s+(and|or|with|for|from|that|which|using|in|on|by|without|to|while|as)\b", RegexOptions.IgnoreCase)]
    private static partial Regex ClauseEnd();
}
