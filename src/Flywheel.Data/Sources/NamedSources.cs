using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>The sources that are read item by item, by the name that a recipe gives.</summary>
internal static class NamedSources
{
    /// <param name="source">Of the recipe.</param>
    /// <param name="path">Its path, from the recipe's folder.</param>
    /// <param name="seed">Of the recipe.</param>
    /// <param name="home">Where data sets lie that the mirror has not.</param>
    /// <returns>The items, and where they come from.</returns>
    /// <exception cref="FlywheelException">A file is missing.</exception>
    public static (IEnumerable<SourceItem> Items, string Origin) Read(SourceRecipe source, string path, int seed, FlywheelHome home)
    {
        var files = new SourceFiles(home);
        switch (source.Source)
        {
            case "text":
                return (TextSource.Read(path), path);
            case "jsonl":
                return (JsonlSource.Read(path), path);
            case "dataset":
                return (JsonlSource.ReadCurated(path), path);
            case "task":
                return (TaskItems.Conversations(TaskFolder.Open(path), seed, home), path);
            case "grammar":
                CopyGrammar grammar = CopyGrammar.Load(path,
                    source.Corpora != false ? files.Find("corpora", "corpora.tar.gz", "https://github.com/dariusk/corpora") : null);
                return (GrammarSource.Read(grammar, source.Limit, seed), path);
            case SchemaGuidedDialogue.Name:
                string dialogues = files.Find(SchemaGuidedDialogue.Name, "train.jsonl.gz", SchemaGuidedDialogue.Publisher);
                return (source.As == "copy"
                    ? Render(SchemaGuidedDialogue.Statements(dialogues)) : SchemaGuidedDialogue.Dialogues(dialogues),
                    SchemaGuidedDialogue.Publisher);
            case Rnnlg.Name:
                return (Render(
                    Rnnlg.Domains.SelectMany(domain =>
                        Rnnlg.Read(files.Find(Rnnlg.Name, $"{domain.File}-train.jsonl.gz", Rnnlg.Publisher), domain.Category))),
                        Rnnlg.Publisher);
            case InsideAirbnb.Name:
                string listings = files.Find(InsideAirbnb.Name, "listings.jsonl.gz", InsideAirbnb.Publisher);
                return (source.As == "copy" ? Render(InsideAirbnb.Read(listings)) : InsideAirbnb.Texts(listings), InsideAirbnb.Publisher);
            case PersonaChat.Name:
                return (PersonaChat.Read(files.Find(PersonaChat.Name, "conversations.jsonl.gz", PersonaChat.Publisher)),
                    PersonaChat.Publisher);
            case Masc.Name:
                return (Masc.Read(files.Find(Masc.Name, "texts.jsonl.gz", Masc.Publisher)), Masc.Publisher);
            default:
                throw new InvalidOperationException($"source '{source.Source}' has no reader");
        }

        // Held-out items are asked about once; training repeats with other names and other forms of the brief.
        IEnumerable<SourceItem> Render(IEnumerable<FactText> texts) =>
            texts.Select(text =>
                FactTextRenderer.Render(text, StableHash.SplitOf(text.Group) == Split.Validation ? 1 : source.Repeat, seed));
    }
}
