using System.IO.Compression;
using System.Text;
using CsCheck;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Validation;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Model;
using Flywheel.Studio.Apps.Translate;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Translate;

public sealed class TranslationFileTests
{
    private const string Markdown = """
        ---
        title: Not translated
        ---
        # Getting *started* ##

        A paragraph that was
        broken into lines. A second sentence,
        with `code` and [a link](http://x.y).

        > Quoted words,
        > and more.

        - First item
          goes on here
        - [ ] Second item
        1. Numbered

            indented in the list

        ```csharp
        var text = "not translated";
        ```

        | Name | What it is |
        |------|:----------:|
        | a \| b | A cell |

        <div class="x">
        Raw HTML
        </div>

        Setext heading
        ==============

        First line  
        second line\
        third line

        [ref]: http://x.y "Title"
        ***
        """;

    [Fact]
    public void Markdown_OfEveryForm_GivesItsTextsAndKeepsTheForm()
    {
        IReadOnlyList<FileSegment> segments = Read(Markdown, "markdown");
        Assert.Equal(
        [
            "Getting *started*", "A paragraph that was broken into lines.", "A second sentence, with `code` and [a link](http://x.y).",
            "Quoted words, and more.", "First item goes on here", "Second item", "Numbered",
            "indented in the list", "Name", "What it is", "a \\| b", "A cell", "Setext heading", "First line", "second line", "third line",
        ], segments.Select(segment => segment.Source));
        string upper = Write(Markdown, "markdown", segments, text => text.ToUpperInvariant());
        Assert.Equal(Markdown.Replace("was\nbroken", "was broken", StringComparison.Ordinal)
            .Replace("sentence,\nwith", "sentence, with", StringComparison.Ordinal)
            .Replace("words,\n> and", "words, and", StringComparison.Ordinal)
            .Replace("item\n  goes", "item goes", StringComparison.Ordinal)
            .Replace("Getting *started*", "GETTING *STARTED*", StringComparison.Ordinal)
            .Replace("A paragraph that was broken into lines. A second sentence, with `code` and [a link](http://x.y).",
                "A PARAGRAPH THAT WAS BROKEN INTO LINES. A SECOND SENTENCE, WITH `CODE` AND [A LINK](HTTP://X.Y).",
                StringComparison.Ordinal)
            .Replace("Quoted words, and more.", "QUOTED WORDS, AND MORE.", StringComparison.Ordinal)
            .Replace("First item goes on here", "FIRST ITEM GOES ON HERE", StringComparison.Ordinal)
            .Replace("Second item", "SECOND ITEM", StringComparison.Ordinal)
            .Replace("Numbered", "NUMBERED", StringComparison.Ordinal)
            .Replace("indented in the list", "INDENTED IN THE LIST", StringComparison.Ordinal)
            .Replace("| Name | What it is |", "| NAME | WHAT IT IS |", StringComparison.Ordinal)
            .Replace("a \\| b | A cell", "A \\| B | A CELL", StringComparison.Ordinal)
            .Replace("Setext heading", "SETEXT HEADING", StringComparison.Ordinal)
            .Replace("First line", "FIRST LINE", StringComparison.Ordinal).Replace("second line", "SECOND LINE", StringComparison.Ordinal)
            .Replace("third line", "THIRD LINE", StringComparison.Ordinal), upper);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("markdown")]
    public void File_AnyTextWithNothingTranslated_KeepsEveryLetter(string format)
    {
        Gen.OneOf("word", "Two words.", "# ", "- ", "> ", "```", "| a | b |", "|---|---|", "\n", "\n\n", "    ", "\t", "<div>",
            "<!-- x -->", "---", "中文。", "  \n", "1. ", "[a]: b", "\r\n", "=").Array[0, 25].Select(string.Concat).Sample(text =>
        {
            if (!text.Any(char.IsLetterOrDigit)) return;
            try
            {
                IReadOnlyList<FileSegment> segments = Read(text, format);
                string written = Write(text, format, segments, source => source);
                Assert.Equal(string.Concat(text.Where(c => !char.IsWhiteSpace(c) && c is not '>' and not '#')),
                    string.Concat(written.Where(c => !char.IsWhiteSpace(c) && c is not '>' and not '#')));
                Read(written, format); // lines that were joined may read as other markup, but they read
            }
            catch (FlywheelException e)
            {
                Assert.Contains("there is no text", e.Message, StringComparison.Ordinal);
            }
        }, iter: Fuzz.Iterations(1500), seed: "0N0XIzNsQ0O2");
    }

    [Fact]
    public void PlainText_LinesAndBrokenParagraphs_AreToldApart()
    {
        const string Text =
            "Title\nSubtitle\n\nThis line was broken by some program at a certain\nwidth, as one sees. The next sentence begins in\nthe middle.\n\n  indented  \n***\n";
        IReadOnlyList<FileSegment> segments = Read(Text, "text");
        Assert.Equal(["Title", "Subtitle", "This line was broken by some program at a certain width, as one sees.",
            "The next sentence begins in the middle.", "indented"], segments.Select(segment => segment.Source));
        Assert.Equal("x\nx\n\nx x\n\n  x  \n***\n", Write(Text, "text", segments, _ => "x"));
    }

    [Fact]
    public void Srt_Translated_KeepsNumbersTimesAndMarkupToTheLetter()
    {
        const string Text =
            "\uFEFF1\r\n00:00:01,000 --> 00:00:03,500 X1:10\r\n<i>Hello there.</i>\r\nHow are you?\r\n\r\n2\r\n00:00:04,000 --> 00:00:05,000\r\n♪ ♪\r\n\r\n3\r\n00:01:00,000 --> 00:01:02,000\r\n- Fine.\r\n";
        IReadOnlyList<FileSegment> segments = Read(Text, "srt");
        Assert.Equal(["<i>Hello there.</i>\nHow are you?", "- Fine."], segments.Select(segment => segment.Source));
        string written = Write(Text, "srt", segments,
            source =>
                source.StartsWith('-')
                    ? "- Una respuesta que es bastante más larga que lo que cabe en una sola línea." : "<i>Hola.</i>\n\n--> ¿Qué tal?");
        Assert.Equal(
            "1\r\n00:00:01,000 --> 00:00:03,500 X1:10\r\n<i>Hola.</i>\n→ ¿Qué tal?\r\n\r\n2\r\n00:00:04,000 --> 00:00:05,000\r\n♪ ♪\r\n\r\n3\r\n00:01:00,000 --> 00:01:02,000\r\n- Una respuesta que es bastante más\nlarga que lo que cabe en una sola línea.\r\n", written.TrimStart('\uFEFF'));
        Assert.Equal(2, Read(written, "srt").Count);
    }

    [Theory]
    [InlineData("Just words.", "line 1")]
    [InlineData("1\n00:00:01,000 --> 00:00:03,500\nHi\n\n2\nno times\n", "line 6")]
    [InlineData(" ", "no subtitle")]
    public void Srt_Broken_IsRefusedWithItsLine(string text, string words) =>
    Assert.Contains(words, Assert.Throws<FlywheelException>(() => Read(text, "srt")).Message, StringComparison.Ordinal);

    [Fact]
    public void Docx_Translated_KeepsParagraphsRunsLinksPicturesAndTables()
    {
        byte[] file = Docx(main =>
        {
            string link = main.AddHyperlinkRelationship(new Uri("https://example.com"), true).Id;
            return
            [
                new Paragraph(new ParagraphProperties(new ParagraphStyleId { Val = "Heading1" }), Words("Getting started", null)),
                new Paragraph(new BookmarkStart { Id = "1", Name = "b" }, Words("Press the ", null), Words("red ", new Bold()),
                    Words("button", new Bold()), Words(" to start. Then ", null),
                    new Hyperlink(Words("read on", new Underline { Val = UnderlineValues.Single })) { Id = link },
                    new Run(new TabChar()), Words(".", null), new BookmarkEnd { Id = "1" }),
                new Table(new TableProperties(), new TableGrid(new GridColumn()),
                    new TableRow(new TableCell(new Paragraph(Words("A cell", new Italic()))))),
                new Paragraph(Words("***", null)),
            ];
        });
        IReadOnlyList<FileSegment> segments = TranslationFile.Read(file, "docx", "en");
        Assert.Equal(["Getting started", "Press the <1>red button</1> to start.", "Then <2>read on</2><3/>.", "A cell"],
            segments.Select(segment => segment.Source));

        string[] targets = ["Primeros pasos", "Pulse el <1>botón rojo</1> para empezar.", "Luego <2>siga leyendo</2>.", "Una celda"];
        byte[] written = TranslationFile.Write(file, "docx", [.. segments.Select((segment, i) => (segment, targets[i]))], "es");

        using WordprocessingDocument document = WordprocessingDocument.Open(new MemoryStream(written), false);
        Assert.Empty(new OpenXmlValidator().Validate(document).Select(error => error.Description)); // the oracle: Microsoft's own
        List<Paragraph> paragraphs = [.. document.MainDocumentPart!.Document!.Body!.Descendants<Paragraph>()];
        Assert.Equal("Heading1", paragraphs[0].ParagraphProperties!.ParagraphStyleId!.Val);
        Assert.Equal("Pulse el botón rojo para empezar. Luego siga leyendo.", paragraphs[1].InnerText);
        Assert.Equal("botón rojo", Assert.Single(paragraphs[1].Descendants<Run>(), run => run.RunProperties?.Bold is not null).InnerText);
        Assert.Equal("siga leyendo", paragraphs[1].GetFirstChild<Hyperlink>()!.InnerText);
        Assert.Single(paragraphs[1].Descendants<TabChar>()); // the text had no place for it: it is not lost
        Assert.NotNull(paragraphs[2].GetFirstChild<Run>()!.RunProperties!.Italic);
        Assert.Equal("***", paragraphs[3].InnerText);
    }

    [Fact]
    public void Docx_AnyRunsWithNothingTranslated_SayTheSame()
    {
        Gen<(string, bool, bool)> run = Gen.Select(Gen.OneOf("a", "Word ", "two words. ", "<1>", "</1>", "x & y", " ", "中文。", "é"),
            Gen.Bool, Gen.Bool);
        run.Array[1, 8].Array[1, 4].Sample(paragraphs =>
        {
            byte[] file =
                Docx(_ =>
                    [.. paragraphs.Select(runs =>
                        new Paragraph(runs.Select(one => Words(one.Item1, one.Item2 ? new Bold() : one.Item3 ? new Italic() : null))))]);
            string before = Text(file);
            if (!before.Any(char.IsLetterOrDigit)) return;
            IReadOnlyList<FileSegment> segments = TranslationFile.Read(file, "docx", "en");
            Assert.Equal(before, Text(TranslationFile.Write(file, "docx", [.. segments.Select(segment => (segment, ""))], "es")));
        }, iter: Fuzz.Iterations(60), seed: "0N0XIzNsQ0O2");

        static string Text(byte[] file)
        {
            using WordprocessingDocument document = WordprocessingDocument.Open(new MemoryStream(file), false);
            return string.Join('\n',
                document.MainDocumentPart!.Document!.Body!.Elements<Paragraph>().Select(paragraph => paragraph.InnerText.Trim()));
        }
    }

    [Fact]
    public void Docx_BombLieEntityOrGarbage_IsRefusedInWords()
    {
        Refused(Zip(("word/document.xml", new byte[100 << 20])), "it is not opened");
        Refused(Zip([.. Enumerable.Range(0, 2001).Select(i => ($"{i}", Array.Empty<byte>()))]), "2001 parts");
        Refused(Encoding.UTF8.GetBytes("no zip"), "cannot be opened");
        Refused(Zip(("word/document.xml", "<x/>"u8.ToArray())), "DOCX file");
        Refused(new byte[TranslationFile.MaxBytes + 1], "at most 8 MB");
        byte[] honest = Docx(_ => [new Paragraph(Words("Text", null))]);
        string entity =
            """<?xml version="1.0"?><!DOCTYPE w:document [<!ENTITY x SYSTEM "file:///etc/passwd">]><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>""";
        using var stream = new MemoryStream();
        stream.Write(honest);
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Update, leaveOpen: true))
        {
            string name = zip.Entries.Single(entry => entry.FullName.EndsWith("document.xml", StringComparison.Ordinal)).FullName;
            zip.GetEntry(name)!.Delete();
            using Stream part = zip.CreateEntry(name).Open();
            part.Write(Encoding.UTF8.GetBytes(entity));
        }
        Refused(stream.ToArray(), "cannot be read");

        static void Refused(byte[] file, string words) =>
            Assert.Contains(words, Assert.Throws<FlywheelException>(() => TranslationFile.Read(file, "docx", "en")).Message,
                StringComparison.Ordinal);

        static byte[] Zip(params (string Name, byte[] Content)[] entries)
        {
            using var stream = new MemoryStream();
            using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
                foreach ((string name, byte[] content) in entries)
                {
                    using Stream part = zip.CreateEntry(name).Open();
                    part.Write(content);
                }
            return stream.ToArray();
        }
    }

    [Fact]
    public void Docx_AnyDamage_IsReadOrRefused()
    {
        byte[] honest = Docx(_ => [new Paragraph(Words("Some text", new Bold()), Words(" and more", null))]);
        Gen.Select(Gen.Int[0, honest.Length - 1], Gen.Byte).Array[1, 20].Sample(changes =>
        {
            byte[] file = [.. honest];
            foreach ((int at, byte value) in changes) file[at] = value;
            try
            {
                TranslationFile.Read(file, "docx", "en");
            }
            catch (FlywheelException)
            {
                // Refused in words.
            }
        }, iter: Fuzz.Iterations(300), seed: "0N0XIzNsQ0O2");
    }

    [Theory]
    [InlineData("zh", "你好。再见。")]
    [InlineData("es", "你好。 再见。")]
    public void Write_SentencesOfAParagraph_StandAsTheLanguageSetsThem(string to, string expected)
    {
        IReadOnlyList<FileSegment> segments = Read("Hello. Goodbye.", "text");
        string[] targets = ["你好。", "再见。"];
        Assert.Equal(expected,
            Encoding.UTF8.GetString(TranslationFile.Write(Encoding.UTF8.GetBytes("Hello. Goodbye."), "text",
                [.. segments.Select((segment, i) => (segment, targets[i]))], to)));
    }

    private static IReadOnlyList<FileSegment> Read(string text, string format) =>
        TranslationFile.Read(Encoding.UTF8.GetBytes(text), format, "en");

    private static string Write(string text, string format, IReadOnlyList<FileSegment> segments, Func<string, string> translate) =>
        Encoding.UTF8.GetString(TranslationFile.Write(Encoding.UTF8.GetBytes(text), format,
            [.. segments.Select(segment => (segment, translate(segment.Source)))], "es"));

    private static Run Words(string text, OpenXmlElement? form)
    {
        var run = new Run(new Text(text) { Space = SpaceProcessingModeValues.Preserve });
        if (form is not null) run.PrependChild(new RunProperties(form));
        return run;
    }

    private static byte[] Docx(Func<MainDocumentPart, IEnumerable<OpenXmlElement>> content)
    {
        using var stream = new MemoryStream();
        using (WordprocessingDocument document = WordprocessingDocument.Create(stream, WordprocessingDocumentType.Document))
        {
            MainDocumentPart main = document.AddMainDocumentPart();
            main.Document = new Document(new Body(content(main)));
        }
        return stream.ToArray();
    }
}
