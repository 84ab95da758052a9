using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Places to stay from Inside Airbnb (insideairbnb.com, "Get the data"; CC BY 4.0): titles and descriptions as hosts wrote them. Rows:
/// <c>{"title", "description", "property", "neighbourhood", "amenities": [...], ...}</c>. Facts are cut out of the text itself.
/// </summary>
public static partial class InsideAirbnb
{
    public const string Name = "inside-airbnb", Publisher = "https://insideairbnb.com/get-the-data/";

    private const int DescriptionMaximum = 260, DescriptionMinimum = 50;

    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<FactText> Read(string path)
    {
        int number = 0;
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            number++;
            string category = Category(SourceFiles.Text(row, "property", where));
            string id = $"{Name}:{number}";
            string title = TextCleaner.Line(SourceFiles.Text(row, "title", where)),
                description = Opening(TextCleaner.Line(SourceFiles.Text(row, "description", where)));
            if (Named(description) is { } named && Clauses(description) is { Count: >= 2 and <= 6 } clauses && Covers(clauses, description))
                yield return new FactText(id, id, Brief.Description, Placeholder, category, clauses, named);
            string[] parts = [.. TitleParts().Split(title).Select(part => Small(part.Trim())).Where(part => part.Length > 3)];
            if (title.Split(' ').Length is >= 4 and <= 9 && !Odd().IsMatch(title) && parts.Length > 0)
                yield return new FactText(id + ":title", id, Brief.Tagline, "", category, parts, title);
        }
    }

    /// <summary>Stands for the place's name, which the data set does not give; the renderer puts an invented one in its place.</summary>
    public const string Placeholder = "Placeholdername";

    /// <summary>Whole documents, to read.</summary>
    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<SourceItem> Texts(string path)
    {
        int number = 0;
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string id = $"{Name}:{++number}", text = TextCleaner.Line(SourceFiles.Text(row, "description", where));
            if (text.Length >= 120 && !Odd().IsMatch(text))
                yield return new SourceItem(id, id,
                    [new TextExample($"{TextCleaner.Line(SourceFiles.Text(row, "title", where))}\n\n{text}")], "CC-BY-4.0");
        }
    }

    private static string Category(string property)
    {
        string place = property.Replace("Entire ", "", StringComparison.Ordinal)
            .Replace("Private room in ", "Room in ", StringComparison.Ordinal)
            .Replace("rental unit", "apartment", StringComparison.Ordinal);
        return place.Length == 0 ? "Holiday home" : char.ToUpperInvariant(place[0]) + place[1..];
    }

    /// <summary>Whole sentences, as many as fit.</summary>
    private static string Opening(string description)
    {
        string text = "";
        foreach (string sentence in TextCleaner.Sentences(description))
        {
            if (text.Length + sentence.Length > DescriptionMaximum || sentence[^1] is not ('.' or '!')) break;
            text = text.Length == 0 ? sentence : $"{text} {sentence}";
        }
        return text.Length < DescriptionMinimum || Odd().IsMatch(text) ? "" : text;
    }

    /// <summary>The description with a name as its subject; null where its beginning does not lend itself.</summary>
    private static string? Named(string text)
    {
        if (text.Length == 0) return null;
        string first = text.Split(' ')[0].TrimEnd(',');
        if (Adjectives.Contains(first.ToLowerInvariant()))
            return Fragment().IsMatch(TextCleaner.Sentences(text)[0])
                ? null : $"{Placeholder} is {("aeiou".Contains(char.ToLowerInvariant(first[0])) && !first.StartsWith("uni", StringComparison.OrdinalIgnoreCase) ? "an" : "a")} {char.ToLowerInvariant(text[0])}{text[1..]}";
        if (Welcome().IsMatch(text)) return Welcome().Replace(text, $"Welcome to {Placeholder}", 1);
        return Subject().IsMatch(text) ? Subject().Replace(text, $"{Placeholder} $2", 1) : null;
    }

    /// <summary>Short stretches of the text that can stand in a brief.</summary>
    private static List<string> Clauses(string text) =>
        [.. ClauseEnds().Split(text).Select(clause => clause.Trim(' ', '.', '!', '?', ':', '*', '-'))
            .Where(clause => clause.Split(' ').Length is >= 2 and <= 7 && !Unfit().IsMatch(clause)).Select(Small).Distinct()];

    /// <summary>Whether most of the text's words are in its clauses: the rest would have to be invented.</summary>
    private static bool Covers(IEnumerable<string> clauses, string text) =>
        clauses.Sum(clause => clause.Split(' ').Length) * 10 >= text.Split(' ').Length * 6;

    /// <summary>Without the capital of a sentence's start.</summary>
    private static string Small(string clause) =>
        clause.Length > 0 && clause.Split(' ')[0] is var first
            && (Adjectives.Contains(first.ToLowerInvariant())
                || first is "The" or "A" or "An" or "Free" or "Fast" or "Walking" or "Close" or "Easy")
                ? char.ToLowerInvariant(clause[0]) + clause[1..] : clause;

    private static readonly HashSet<string> Adjectives =
        [.. "beautiful cozy cosy bright spacious modern stylish charming lovely large stunning luxury luxurious elegant comfortable newly fully fantastic gorgeous quiet central private boutique unique light sunny contemporary traditional superb peaceful immaculate warm airy perfect small huge historic renovated clean two-bedroom one-bedroom three-bedroom entire self-contained family victorian georgian".Split(' ')];

    [GeneratedRegex(@"[^\u0000-\u00ff]|[*|_#/~]|[A-Z]{5,}|!!")]
    private static partial Regex Odd();

    [GeneratedRegex(@"(?<=[.!?])\s+|,|;| - |\bwith\b|\band\b")]
    private static partial Regex ClauseEnds();

    [GeneratedRegex(@",|\bwith\b|\bin\b|\bnear\b|&|\band\b|-")]
    private static partial Regex TitleParts();

    [GeneratedRegex(@"^(you|we|our|it|there|this|they|i|is|are|please|which|that|so|or|but|if|will|can|has|have|my|all)\b|\b(the|a|of|to|in|on|at|for|from|is|are)$", RegexOptions.IgnoreCase)]
    private static partial Regex Unfit();

    [GeneratedRegex(@"^Welcome to [^.!,]*?(?=[.,!])")]
    private static partial Regex Welcome();

    [GeneratedRegex(@"^(This|The|Our)\b[^.,]*?\b(is|has|offers)\b")]
    private static partial Regex Subject();

    /// <summary>A sentence with a verb of its own cannot follow "is a".</summary>
    [GeneratedRegex(@"\b(is|are|has|have|you|we|offers?|will)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Fragment();
}
