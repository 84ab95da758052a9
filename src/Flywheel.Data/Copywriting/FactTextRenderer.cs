using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Asks for a source's texts with the facts that they state; names are invented ones in brief and text alike.</summary>
internal static class FactTextRenderer
{
    /// <param name="item">The text and its facts.</param>
    /// <param name="variants">Renderings, each with another name.</param>
    /// <param name="seed">With the item's id, decides every draw.</param>
    public static SourceItem Render(FactText item, int variants, int seed)
    {
        List<Example> examples = [];
        for (int variant = 0; variant < variants; variant++)
        {
            Random random = StableHash.Stream($"{item.Id}\n{variant}", seed);
            string name = item.Name.Length == 0 ? random.Next(2) == 0 ? InventedName.Draw(random) : ""
                : item.Name == InsideAirbnb.Placeholder || random.Next(5) > 0 || item.Name.All(c => !char.IsUpper(c))
                ? InventedName.Draw(random, "stay") : item.Name;
            string Named(string text) =>
                item.Name.Length == 0
                    ? text : Regex.Replace(text, $@"(?<!\w)(?:the )?{Regex.Escape(item.Name)}(?!\w)",
                        name.Replace("$", "$$", StringComparison.Ordinal), RegexOptions.IgnoreCase);
            // A title that names nothing gets the name before it.
            string answer = item.Name.Length == 0 && name.Length > 0 ? $"{name}: {item.Text}" : Named(item.Text);
            var brief = new Brief(name, item.Kind, [.. item.Facts.Take(6).Select(Named)], [item.Category],
                Length: item.Kind == Brief.Description && random.Next(3) == 0 ? BriefForms.LengthOf(answer, random) : "");
            examples.Add(new ConversationExample(new Conversation([BriefForms.Ask(brief, random), Message.Assistant(answer)])));
        }
        return new SourceItem(item.Id, item.Group, examples);
    }
}
