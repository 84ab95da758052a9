using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// A brief in the forms that a model meets: mostly as the page sends it, else with its fields in another order, its facts with
/// capitals, or a field under another name.
/// </summary>
internal static class BriefForms
{
    private static readonly string[] Labels = ["What it is", "Category", "Product", "Type"];

    public static Message Ask(Brief brief, Random random)
    {
        if (random.Next(8) == 0) brief = brief with { Language = "English" };
        string[] facts = [.. brief.Facts];
        if (random.Next(2) == 0) random.Shuffle(facts);
        if (random.Next(5) == 0) facts = [.. facts.Select(GrammarText.Capital)];
        if (random.Next(20) == 0) facts = [.. facts.Select(fact => fact + ".")];
        brief = brief with { Facts = facts };
        string[] fields = [.. brief.Fields()];
        if (random.Next(4) == 0) random.Shuffle(fields);
        if (random.Next(8) == 0)
            fields = [
                .. fields.Select(field => field.StartsWith("Categories: ", StringComparison.Ordinal)
                    ? $"{Labels[random.Next(Labels.Length)]}: {field["Categories: ".Length..]}" : field)];
        if (random.Next(20) == 0 && facts.Length > 0)
            fields = [
                .. fields.Select(field => field.StartsWith("Facts:", StringComparison.Ordinal)
                    ? "Facts: " + string.Join("; ", facts) : field)];
        return Message.User(string.Join('\n', fields.Prepend(brief.Order)));
    }

    /// <summary>How long a text is, as a brief would ask for it.</summary>
    public static string LengthOf(string text, Random random)
    {
        int sentences = TextCleaner.Sentences(text).Count, words = text.Count(c => c == ' ') + 1;
        return random.Next(text.Contains('\n', StringComparison.Ordinal) ? 2 : 3) switch // points are no sentences
        {
            0 => $"about {Math.Max(1, (words + 2) / 5) * 5} words",
            1 => words < 14 ? "short" : words < 32 ? "medium" : "long",
            _ => sentences switch { 1 => "one sentence", 2 => "two sentences", 3 => "three sentences", 4 => "four sentences",
                _ => $"{sentences} sentences" },
        };
    }
}
