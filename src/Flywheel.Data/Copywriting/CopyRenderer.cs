using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Asks for a product's own texts with briefs whose facts are phrases of those texts: a text keeps only sentences that a fact stands
/// for, and names the product, mostly by an invented name, since names are to be copied and not remembered.
/// </summary>
public static class CopyRenderer
{
    private const int DescriptionMaximum = 420, SentencesMaximum = 4, FeaturesMaximum = 7;

    /// <param name="product">Clean.</param>
    /// <param name="variants">Renderings of each kind of text; equal ones fall together.</param>
    /// <param name="seed">With the product's id, decides every draw.</param>
    public static IReadOnlyList<Example> Render(Product product, int variants, int seed)
    {
        (string Text, string Fact)[] sentences =
            [.. product.Paragraphs.SelectMany(TextCleaner.Sentences)
                .Select(sentence => (sentence, Facts.FromSentence(sentence, product.Name) ?? "")).Where(pair => pair.Item2.Length > 0)];
        string[] items = [.. product.Items.Where(item => item.Length is >= 8 and <= 90)];
        List<Conversation> conversations = [];
        for (int variant = 0; variant < variants; variant++)
        {
            Random random = StableHash.Stream($"{product.Id}\n{variant}", seed);
            string name = random.Next(4) > 0 ? InventedName.Draw(random, "software") : product.Name;
            Regex word = new($@"(?<![\w-]){Regex.Escape(product.Name)}(?![\w])");
            string Named(string text) => word.Replace(text, name.Replace("$", "$$", StringComparison.Ordinal));
            if (product.Summary.Length > 0) Add(Brief.Tagline, Tagline(product.Summary, name, random, out string[] phrases), phrases);
            if (Description(product.Name, sentences, random, out string[] facts) is { } description && Named(description) is var text
                && text.Contains(name, StringComparison.Ordinal)) Add(Brief.Description, text, [.. facts.Select(Named)]);
            if (items.Length >= 3)
            {
                string[] shown = [.. items.Take(random.Next(3, FeaturesMaximum + 1)).Select(Named)];
                Add(Brief.Features, string.Join('\n', shown.Select(item => "- " + GrammarText.Capital(item))),
                    [.. shown.Select(item => Facts.FromItem(item) ?? item)]);
            }

            void Add(string kind, string answer, string[] stated)
            {
                string audience = random.Next(4) == 0 && Audience.Of(product.Categories, random) is { Length: > 0 } people
                    && answer.Contains(people, StringComparison.OrdinalIgnoreCase) ? people : "";
                IReadOnlyList<string> categories = random.Next(4) > 0 ? [.. product.Categories.Take(random.Next(1, 4))] : [];
                var brief = new Brief(name, kind, stated, categories, audience,
                    Length: kind == Brief.Description && random.Next(3) == 0 ? BriefForms.LengthOf(answer, random) : "");
                conversations.Add(new Conversation([BriefForms.Ask(brief, random), Message.Assistant(answer)]));
            }
        }
        return [.. conversations.Distinct().Select(conversation => new ConversationExample(conversation))];
    }

    /// <summary>The summary with the name before it; its facts are its parts.</summary>
    private static string Tagline(string summary, string name, Random random, out string[] facts)
    {
        string[] parts =
            [.. Regex.Split(summary, @"\s+(?:for|and|with|using|from)\s+|,\s+").Select(part => part.Trim()).Where(part => part.Length > 3)];
        facts = [.. (parts.Length is > 1 and < 5 && random.Next(3) > 0 ? parts : [summary]).Select(Lower)];
        return $"{name}: {Lower(summary)}";
    }

    /// <summary>Some of the sentences that a fact stands for, in their order, the first with the name as its subject.</summary>
    private static string? Description(string product, (string Text, string Fact)[] sentences, Random random, out string[] facts)
    {
        facts = [];
        if (sentences.Length == 0) return null;
        int wanted = random.Next(1, SentencesMaximum + 1);
        int start = Array.FindIndex(sentences, pair => pair.Text.Contains(product, StringComparison.Ordinal) || Subject.IsMatch(pair.Text));
        if (start < 0) return null;
        List<(string Text, string Fact)> chosen = [];
        foreach ((string Text, string Fact) pair in sentences.Skip(start).Take(wanted))
        {
            if (chosen.Sum(other => other.Text.Length) + pair.Text.Length > DescriptionMaximum) break;
            chosen.Add(pair);
        }
        if (chosen.Count == 0) return null;
        facts = [.. chosen.Select(pair => pair.Fact)];
        string first = chosen[0].Text.Contains(product, StringComparison.Ordinal)
            ? chosen[0].Text : Subject.Replace(chosen[0].Text, product + " ", 1);
        return string.Join(' ', chosen.Skip(1).Select(pair => pair.Text).Prepend(first));
    }

    private static readonly Regex Subject =
        new(@"^(This (program|application|game|tool|software|utility|app|package|editor)|It)\s+(?=is|has|can|lets|allows|offers|provides|supports|features|contains|will|also)");

    /// <summary>Sentences start with a capital, notes do not; acronyms keep theirs.</summary>
    private static string Lower(string text) =>
        text.Length > 1 && !char.IsUpper(text[1]) && !char.IsDigit(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;
}
