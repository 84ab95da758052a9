using System.IO.Compression;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Model;

namespace Flywheel.Voice.Tests;

/// <summary>Scripts from word processors.</summary>
public sealed class WordScriptTests
{
    private static MemoryStream Document(params OpenXmlElement[] content)
    {
        var file = new MemoryStream();
        using (WordprocessingDocument document = WordprocessingDocument.Create(file, WordprocessingDocumentType.Document))
            document.AddMainDocumentPart().Document = new Document(new Body(content));
        file.Position = 0;
        return file;
    }

    private static Paragraph Text(string text, string? style = null)
    {
        var paragraph = new Paragraph(new Run(new Text(text) { Space = SpaceProcessingModeValues.Preserve }));
        if (style is not null)
            paragraph.ParagraphProperties = new ParagraphProperties { ParagraphStyleId = new ParagraphStyleId { Val = style } };
        return paragraph;
    }

    private static string[] Said(MemoryStream file) =>
        [.. WordScript.Read(file, "script.docx").Select(line => $"{line.Id} {line.Role}: {line.Text}")];

    [Fact]
    public void Screenplay_ByStyles_GivesWhatIsSaidAndByWhom() =>
    Assert.Equal(["1 ANNA: Welcome aboard.", "2 ANNA: Mind the step.", "3 BEN: Thank you."], Said(Document(
        Text("INT. HARBOUR - DAY", "SceneHeading"), Text("A ship lies at the quay.", "Action"), Text("ANNA (V.O.)", "Character"),
        Text("(smiling)", "Parenthetical"), Text("Welcome aboard.", "Dialogue"),
        Text("Mind (beat) the step.", "Dialogue"), Text("BEN (CONT'D)", "Character"), Text("Thank you.", "Dialogue"),
        Text("CUT TO:", "Transition"))));

    [Fact]
    public void Screenplay_WithoutStyles_IsKnownByItsScenes() => Assert.Equal(["1 ANNA: Welcome.", "2 BEN: Thank you."], Said(Document(
        Text("EXT. QUAY - NIGHT"), Text("Rain."), Text(""), Text("ANNA"), Text("Welcome."), Text(""), Text("Ben steps forward."), Text(""),
        Text("BEN"), Text("(quietly)"), Text("Thank you."))));

    [Fact]
    public void Screenplay_WithoutStylesAndBlankParagraphs_GivesEachRoleItsOwn() =>
    Assert.Equal(["1 ANNA: Welcome.", "2 ANNA: Mind the step.", "3 BEN: Thank you.", "4 ANNA: Go."], Said(Document(
        Text("EXT. QUAY - NIGHT"), Text("ANNA"), Text("Welcome."), Text("Mind the step."), Text("BEN"), Text("(quietly)"),
        Text("Thank you."), Text("ANNA"), Text("Go."))));

    /// <summary>What is shouted is no name when nothing follows that its bearer could say.</summary>
    [Fact]
    public void Screenplay_WithCapitalsAtTheEndOfASpeech_StaysThatRoles() =>
    Assert.Equal(["1 ANNA: Stop.", "2 ANNA: NOW", "3 BEN: Yes."], Said(Document(
        Text("EXT. QUAY - NIGHT"), Text("ANNA"), Text("Stop."), Text("NOW"), Text(""), Text("BEN"), Text("Yes."))));

    [Fact]
    public void Table_OfNamesAndTexts_IsCast()
    {
        TableRow Row(params string[] cells) => new(cells.Select(cell => new TableCell(Text(cell))));
        Assert.Equal(["1 Anna: Welcome.", "2 Ben: Thank you."],
            Said(Document(new Table(Row("Time", "Character", "Text"), Row("00:01", "Anna", "Welcome."),
                Row("00:04", "Ben", "Thank you.")))));
    }

    [Fact]
    public void Prose_WithLabels_IsALineAParagraph()
    {
        Paragraph tracked = Text("He said yes");
        tracked.AppendChild(new DeletedRun(new Run(new DeletedText(" and no"))));
        tracked.AppendChild(new InsertedRun(new Run(new Text(".") { Space = SpaceProcessingModeValues.Preserve })));
        Assert.Equal(["1 ANNA: Welcome.", "2 : He said yes."], Said(Document(Text("ANNA: Welcome."), Text(""), tracked)));
    }

    [Fact]
    public void File_ThatIsNone_IsRefusedByItsName()
    {
        foreach (byte[] bytes in new[] { "hello"u8.ToArray(), [0x50, 0x4B, 3, 4, 0], [] })
            Assert.StartsWith("script.docx: ",
                Assert.Throws<FlywheelException>(() => WordScript.Read(new MemoryStream(bytes), "script.docx")).Message,
                StringComparison.Ordinal);
        var bomb = new MemoryStream();
        using (var zip = new ZipArchive(bomb, ZipArchiveMode.Create, leaveOpen: true))
        using (Stream entry = zip.CreateEntry("word/document.xml").Open())
            for (int i = 0; i < 70; i++) entry.Write(new byte[1 << 20]);
        bomb.Position = 0;
        Assert.Contains("64 MiB", Assert.Throws<FlywheelException>(() => WordScript.Read(bomb, "script.docx")).Message,
            StringComparison.Ordinal);
    }
}
