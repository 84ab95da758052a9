using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Asks for a product's own texts with briefs: its summary as the tagline, its paragraphs as the description, its
/// lists as the features. Each variant draws other facts, so that the model learns to write from what it is given.
/// Some variants carry an invented name through brief and answer: names are to be copied, not remembered.
/// </summary>
public static class CopyRenderer
{
    private const int DescriptionMaximum = 600, DescriptionMinimum = 70, FeaturesMaximum = 7;

    /// <param name="product">Clean.</param>
    /// <param name="variants">Renderings of each kind of text; equal ones fall together.</param>
    /// <param name="seed">With the product's id, decides every draw.</param>
    public static IReadOnlyList<Example> Render(Product product, int variants, int seed)
    {
        var material = new Material(product);
        List<Conversation> conversations = [];
        for (int variant = 0; variant < variants; variant++)
        {
            Random random = StableHash.Stream($"{product.Id}\n{variant}", seed);
            string? alias = random.NextDouble() < (variant == 0 ? 0.2 : 0.6) ? InventedName.Draw(random) : null;
            foreach (string kind in Brief.Kinds)
                if (Answer(material, kind, variant, random) is { } answer)
                    conversations.Add(Ask(material, kind, answer, alias, random));
        }
        return [.. conversations.Distinct().Select(conversation => new ConversationExample(conversation))];
    }

    /// <summary>What the facts and answers of one product are drawn from.</summary>
    private sealed class Material(Product product)
    {
        public Product Product { get; } = product;

        public IReadOnlyList<string> Sentences { get; } = [.. product.Paragraphs.SelectMany(TextCleaner.Sentences)];

        public IReadOnlyList<string> Items { get; } = [.. product.Items];

        /// <summary>Whole paragraphs, then whole sentences, as long as they fit; some variants stop earlier.</summary>
        public string Description(int limit)
        {
            var text = new System.Text.StringBuilder();
            foreach (string paragraph in Product.Paragraphs)
            {
                string separator = text.Length == 0 ? "" : "\n\n";
                foreach (string sentence in TextCleaner.Sentences(paragraph))
                {
                    if (text.Length + sentence.Length + separator.Length > limit) return text.ToString();
                    text.Append(separator).Append(sentence);
                    separator = " ";
                }
            }
            return text.ToString();
        }
    }

    private static string? Answer(Material material, string kind, int variant, Random random)
    {
        switch (kind)
        {
            case Brief.Tagline:
                return material.Product.Summary.Length > 0 ? material.Product.Summary : null;
            case Brief.Description:
                string text = material.Description(variant % 2 == 0 ? DescriptionMaximum : random.Next(150, 400));
                return text.Length >= DescriptionMinimum ? text : null;
            default:
                string[] items = [.. material.Items.Where(item => item.Length is >= 8 and <= 110).Take(FeaturesMaximum)];
                return items.Length >= 3 ? string.Join('\n', items.Select(item => "- " + char.ToUpperInvariant(item[0]) + item[1..])) : null;
        }
    }

    private static Conversation Ask(Material material, string kind, string answer, string? alias, Random random)
    {
        Product product = material.Product;
        string plainAnswer = TextCleaner.Normalise(answer);
        IEnumerable<string?> sentences = material.Sentences.Select(sentence => Facts.FromSentence(sentence, product.Name));
        IEnumerable<string?> items = material.Items.Select(Facts.FromItem);
        IEnumerable<string> keywords = product.Keywords.Where(keyword => !product.Name.Contains(keyword, StringComparison.OrdinalIgnoreCase));
        // An answer's own sentences are its best facts, but a line of it must not be given away whole.
        (IEnumerable<string?> Own, IEnumerable<string?> Other) facts = kind switch
        {
            Brief.Tagline => (sentences.Concat(items), keywords),
            Brief.Description => (sentences.Where(fact => fact is not null && plainAnswer.Contains(TextCleaner.Normalise(fact), StringComparison.Ordinal)), items.Concat(keywords)),
            _ => (items.Where((_, i) => i % 2 == 0), sentences.Concat(keywords)),
        };
        // One brief in ten has next to nothing; the model has to manage.
        bool bare = random.NextDouble() < 0.1;
        string[] own = Choose(facts.Own, plainAnswer, random, bare ? 0 : 1, bare ? 1 : kind == Brief.Description ? 4 : 3);
        string[] other = Choose(facts.Other, plainAnswer, random, 0, bare ? 1 : 2);
        string[] chosen = [.. own.Concat(other).Distinct(StringComparer.OrdinalIgnoreCase)];
        random.Shuffle(chosen);
        if (random.NextDouble() < 0.3) chosen = [.. chosen.Select(fact => char.ToUpperInvariant(fact[0]) + fact[1..])];
        IReadOnlyList<string> categories = random.NextDouble() < 0.75 ? [.. product.Categories.Take(3)] : [];
        string audience = random.NextDouble() < 0.5 ? Audience.Of(product.Categories, random) : "";
        string name = product.Name;
        Regex word = new($@"(?<![\w-]){Regex.Escape(name)}(?![\w])");
        // A description that calls the product otherwise would contradict an invented name.
        if (alias is not null && (kind != Brief.Description || word.IsMatch(answer)))
        {
            answer = word.Replace(answer, alias);
            chosen = [.. chosen.Select(fact => word.Replace(fact, alias))];
            name = alias;
        }
        Conversation brief = new Brief(name, kind, chosen, categories, audience).ToConversation();
        return new Conversation([.. brief.Messages, Message.Assistant(answer)]);
    }

    private static string[] Choose(IEnumerable<string?> candidates, string plainAnswer, Random random, int least, int most)
    {
        string[] usable = [.. candidates.OfType<string>().Where(fact => TextCleaner.Normalise(fact) is var plain && plain != plainAnswer && !(plainAnswer.Length < 100 && plain.Contains(plainAnswer, StringComparison.Ordinal))).Distinct()];
        random.Shuffle(usable);
        return usable[..Math.Min(usable.Length, random.Next(least, most + 1))];
    }
}
