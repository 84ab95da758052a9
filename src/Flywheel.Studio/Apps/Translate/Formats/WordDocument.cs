using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>
/// Office Open XML documents: paragraphs of the text, of tables, text boxes, headers, footers and notes. Where the form changes within a
/// paragraph, numbered tags stand in its text (see <see cref="WordParagraph"/>).
/// </summary>
internal sealed class WordDocument : ITextFormat
{
    private const long MaxCharactersInPart = 48 << 20;

    public string Name => "docx";

    public string Extension => ".docx";

    public string MediaType => "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

    public IReadOnlyList<TextBlock> Read(byte[] file) => Open(file, editable: false, (document, _) =>
        (IReadOnlyList<TextBlock>)[.. Paragraphs(document).Select(paragraph => new WordParagraph(paragraph))
            .Where(paragraph => paragraph.HasText).Select(paragraph => new TextBlock(paragraph.Text))]);

    public byte[] Write(byte[] file, IReadOnlyList<string> texts) => Open(file, editable: true, (document, stream) =>
    {
        int block = 0;
        foreach (WordParagraph paragraph in Paragraphs(document).Select(paragraph => new WordParagraph(paragraph))
            .Where(paragraph => paragraph.HasText).ToList()) paragraph.Write(texts[block++]);
        document.Save();
        document.Dispose();
        return stream.ToArray();
    });

    /// <summary>The paragraphs as a reader reads them, without form: whether each is a heading, or stands in a list.</summary>
    /// <exception cref="FlywheelException">It is no Word document, or unpacks to too much.</exception>
    public IReadOnlyList<(string Text, bool IsHeading, bool IsItem)> Plain(byte[] file) => Open(file, editable: false, (document, _) =>
        (IReadOnlyList<(string, bool, bool)>)[.. document.MainDocumentPart!.Document!.Body!.Descendants<Paragraph>()
            .Select(paragraph => (Text: string.Concat(paragraph.Descendants<Text>().Select(text => text.Text)).Trim(),
                Style: paragraph.ParagraphProperties?.ParagraphStyleId?.Val?.Value ?? "", Properties: paragraph.ParagraphProperties))
            .Where(one => one.Text.Length > 0)
            .Select(one => (one.Text, one.Style.StartsWith("Heading", StringComparison.OrdinalIgnoreCase) || one.Style == "Title",
                one.Properties?.NumberingProperties is not null || one.Style.StartsWith("List", StringComparison.Ordinal)))]);

    private static T Open<T>(byte[] file, bool editable, Func<WordprocessingDocument, MemoryStream, T> work)
    {
        ZipGuard.Check(file);
        var stream = new MemoryStream();
        stream.Write(file);
        stream.Position = 0;
        try
        {
            using WordprocessingDocument document = WordprocessingDocument.Open(stream, editable,
                new OpenSettings { MaxCharactersInPart = MaxCharactersInPart, AutoSave = false });
            return document.MainDocumentPart?.Document?.Body is null
                ? throw new FlywheelException("the DOCX file has no text, expected a Word document") : work(document, stream);
        }
        catch (Exception e) when (e is OpenXmlPackageException or FileFormatException or System.Xml.XmlException or InvalidDataException
            or InvalidOperationException or UriFormatException or ArgumentException or KeyNotFoundException or IOException
            or NotSupportedException)
        {
            throw new FlywheelException($"the DOCX file cannot be read: {e.Message.Split('\n')[0].Trim()}", e);
        }
    }

    private static IEnumerable<Paragraph> Paragraphs(WordprocessingDocument document)
    {
        MainDocumentPart main = document.MainDocumentPart!;
        OpenXmlElement?[] roots =
        [
            main.Document!.Body,
            .. main.HeaderParts.OrderBy(part => part.Uri.ToString(), StringComparer.Ordinal).Select(part => part.Header),
            .. main.FooterParts.OrderBy(part => part.Uri.ToString(), StringComparer.Ordinal).Select(part => part.Footer),
            main.FootnotesPart?.Footnotes, main.EndnotesPart?.Endnotes,
        ];
        // What programs that know less show instead is the same text again.
        return roots.OfType<OpenXmlElement>().SelectMany(root => root.Descendants<Paragraph>())
            .Where(paragraph => !paragraph.Ancestors().Any(ancestor => ancestor.LocalName is "Fallback" or "del"));
    }
}
