using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

/// <summary>A person's own texts become a data set: what stays, what goes and why, and how a text is asked for.</summary>
public sealed class OwnTextsTests
{
    private static readonly Gen<string> AnyText =
        Gen.Frequency((1, Gen.String), (3, Gen.String[Gen.Char["abc dE.!\n-•轮子\t\u00A0"], 0, 300]));

    [Fact]
    public void Clean_AlikeBrokenAndShortTexts_AreLeftOutWithTheReason()
    {
        const string Good = "Lanternfish sorts your photos by place and date, and it edits raw files from most cameras without a network.";
        OwnText[] texts =
        [
            new("a", "", Good), new("b", "", Good.ToUpperInvariant()), new("c", "", Good + " Really."), new("d", "", "Tiny"),
            new("e", "", "This one was br\uFFFDken on the way here."), new("f", "", "12345 678 90 2024-11-30 17:00 +1 555 0100"),
            new("g", "", "Quill keeps every version of every chapter."),
        ];
        (IReadOnlyList<OwnItem> items, SourceReport report) = OwnTexts.Clean(texts, _ => true);
        Assert.Equal(["a", "g"], items.Select(item => item.Group));
        Assert.Equal((7, 2), (report.Read, report.Kept));
        Assert.Equal([("broken", 1), ("duplicate", 1), ("few-words", 1), ("near-duplicate", 1), ("short", 1)],
            report.Drops.Select(drop => (drop.Key, drop.Value.Count)));
        Assert.StartsWith("b: LANTERNFISH", report.Drops["duplicate"].Example, StringComparison.Ordinal);
        Assert.Equal(7, OwnTexts.Clean(texts, _ => false).Report.Drops.Values.Sum(drop => drop.Count));
    }

    [Theory]
    [InlineData("Lanternfish", "Lanternfish works offline and sorts photos by place.", "tagline",
        "works offline and sorts photos by place")]
    [InlineData("Quill", "Quill is a text editor for novelists. It keeps every version of a chapter. Write on.", "description",
        "text editor for novelists|keeps every version of a chapter")]
    [InlineData("Quill", "What it does:\n- Counts words by chapter\n- Keeps every version\n- Exports to Word", "features",
        "counts words by chapter|keeps every version|exports to Word")]
    [InlineData("", "轮子转动。它保留每个版本。", "description", "")]
    public void Ask_Form_DecidesKindAndFacts(string name, string text, string kind, string facts)
    {
        Conversation conversation = OwnTexts.Ask(name, text);
        Assert.Equal(text, conversation.Messages[^1].Text);
        Assert.Equal(new Brief(name, kind, facts.Length == 0 ? [] : facts.Split('|'), []).ToConversation().Messages[0].Text,
            conversation.Messages[0].Text);
    }

    [Fact]
    public void Clean_LongText_IsCutBetweenParagraphsAndStaysOnOneSide()
    {
        string[] paragraphs =
            [.. Enumerable.Range(0, 40)
                .Select(i =>
                    $"Paragraph number {i} says what the workshop number {i * 7} made in the week {i * 3}, and it says so slowly.")];
        (IReadOnlyList<OwnItem> items, SourceReport report) =
            OwnTexts.Clean([new("long", "Workshop", string.Join("\n\n", paragraphs)),
                new("other", "", "Something else entirely is said here.")], _ => true);
        string[] passages = [.. items.Where(item => item.Group == "long").Select(item => item.Conversation.Messages[^1].Text)];
        Assert.Equal(paragraphs, passages.SelectMany(passage => passage.Split("\n\n")));
        Assert.All(passages, passage => Assert.InRange(passage.Length, 1, 1000));
        Assert.Single(items.Where(item => item.Group == "long").Select(item => item.HeldOut).Distinct());
        Assert.Equal(report.Read, passages.Length + 1);
    }

    [Fact]
    public void Clean_AnyTexts_CountsEveryPassageAndHoldsATenthOut() => AnyText.Array[0, 80].Sample(texts =>
    {
        (IReadOnlyList<OwnItem> items, SourceReport report) =
            OwnTexts.Clean(texts.Select((text, i) => new OwnText($"{i}", text, text)), _ => true);
        Assert.Equal(report.Read, report.Kept + report.Drops.Values.Sum(drop => drop.Count));
        Assert.Equal(report.Kept, items.Count);
        int groups = items.Select(item => item.Group).Distinct().Count();
        Assert.Equal(Math.Max(Math.Min(5, groups / 2), groups / 10),
            items.Where(item => item.HeldOut).Select(item => item.Group).Distinct().Count());
        Assert.All(items, item => Assert.NotEmpty(item.Conversation.Messages[^1].Text));
    }, iter: 300, seed: "0N0XIzNsQ0O2");

    /// <summary>What is written is what a recipe reads, split as it was.</summary>
    [Fact]
    public void Write_Items_AreReadAsADataset()
    {
        using var folder = new TempFolder();
        (IReadOnlyList<OwnItem> items, SourceReport report) =
            OwnTexts.Clean(
                Enumerable.Range(0, 60)
                    .Select(i => new OwnText($"{i}.txt", $"Thing {i}",
                        $"Thing {i} is made by hand in week {i}. It weighs {i * 31} grams and it is \"fine\".")), _ => true);
        OwnTexts.Write(folder["own"], items, report);
        SourceItem[] read = [.. JsonlSource.ReadCurated(folder["own"])];
        Assert.Equal(items.OrderBy(item => item.HeldOut).Select(item => (item.Id, item.Conversation.ToString(), item.HeldOut)),
            read.Select(item => (item.Id, ((ConversationExample)item.Examples[0]).Conversation.ToString(),
                item.Split == Split.Validation)));
        Assert.True(File.Exists(Path.Combine(folder["own"], "report.json")));
    }
}
