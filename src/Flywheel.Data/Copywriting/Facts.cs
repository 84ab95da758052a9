using System.Text.RegularExpressions;

namespace Flywheel.Data;

/// <summary>
/// Short statements about a product, as a person would jot them into a brief. They are cut from its sentences and
/// lists: the subject goes, the first clause stays, so that the answer has to be written and not copied.
/// </summary>
internal static partial class Facts
{
    private const int MaximumLength = 80;

    /// <summary>A sentence's fact, or null when none can be cut from it.</summary>
    public static string? FromSentence(string sentence, string name)
    {
        string text = Parenthesis().Replace(sentence, "").TrimEnd('.', '!', ':', ';', ' ');
        string whole = text;
        text = Subject(name).Replace(text, "");
        text = Opening().Replace(text, "");
        if (text.Length > 45 && ClauseEnd().Match(text, 20) is { Success: true } clause) text = text[..clause.Index];
        if (text.Length > MaximumLength && Conjunction().Match(text, 25) is { Success: true } and) text = text[..and.Index];
        text = text.Trim(' ', ',', '-');
        if (text.Length is < 8 or > MaximumLength || text.Count(c => c == ' ') is < 1 or > 13) return null;
        if (text == whole || Unfinished().IsMatch(text) || text.Contains(name, StringComparison.OrdinalIgnoreCase)) return null;
        return Lower(text);
    }

    /// <summary>A list item's first clause.</summary>
    public static string? FromItem(string item)
    {
        string text = Parenthesis().Replace(item, "");
        if (ClauseEnd().Match(text, Math.Min(12, text.Length)) is { Success: true } clause) text = text[..clause.Index];
        text = text.Trim(' ', ',', '-', '.');
        return text.Length is < 6 or > 60 || Unfinished().IsMatch(text) ? null : Lower(text);
    }

    /// <summary>Sentences start with a capital, notes do not; acronyms and names keep theirs.</summary>
    private static string Lower(string text)
    {
        string[] words = text.Split(' ', 3);
        string first = words[0];
        bool keeps = (words.Length > 1 && char.IsUpper(words[1][0])) || first.Length == 1
            ? first != "A" : first.Skip(1).Any(c => char.IsUpper(c) || char.IsDigit(c));
        return keeps ? text : char.ToLowerInvariant(text[0]) + text[1..];
    }

    private static Regex Subject(string name) =>
        new($@"^({Regex.Escape(name)}|(This|The) (program|application|game|tool|software|utility|app|editor|player|client)|It|This)\s+(is\s+(an?|the)\s+|is\s+|has\s+|also\s+|can\s+(also\s+)?(?!be\s)|aims to (be an?\s+)?|will\s+|offers\s+|provides\s+|features\s+|allows (you|users|the user) to\s+|lets you\s+|enables you to\s+)?(?=\w)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

    [GeneratedRegex(@"\s*\([^)]*\)")]
    private static partial Regex Parenthesis();

    [GeneratedRegex(@"^(you can( also)?|you (are able to|must|have to|need to)|users can|your (task|goal|mission|aim) is to|the (goal|aim|object|objective)( of the game)? is to|there (is|are) (also )?|in addition,?|in this game,?|its main features? (is|are)|features include|supports? for)\s+", RegexOptions.IgnoreCase)]
    private static partial Regex Opening();

    [GeneratedRegex(@"[;:]\s|,\s+(which|where|who|with|while|so|but|thus|as|and|including|such|in|to|from|for|by|you|it|making|allowing|providing|or|using)\b|\s-\s|\s(which|because|while|although|in order to|so that|whereas)\s|\.\s")]
    private static partial Regex ClauseEnd();

    [GeneratedRegex(@"\s(and|that|with|using|for|when|where|such as|including|like)\s|,\s")]
    private static partial Regex Conjunction();

    [GeneratedRegex(@"\b(a|an|the|of|to|and|or|for|with|in|on|by|from|as|is|are|that|your|its|their|such|both|not|e\.g|i\.e)$|^(which|that|although|while|like|since|because|instead|and|or|but|if|as|when|then|these|those|they|both|however|by|for|in|from|to)\b|""", RegexOptions.IgnoreCase)]
    private static partial Regex Unfinished();
}
