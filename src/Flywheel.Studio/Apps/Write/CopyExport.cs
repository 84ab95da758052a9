using System.Net;
using System.Text;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Loop;

namespace Flywheel.Studio.Apps.Write;

/// <summary>Texts that leave the Studio.</summary>
internal static class CopyExport
{
    /// <summary>Name of a format, its media type and the file's ending.</summary>
    public static IReadOnlyList<(string Format, string MediaType, string Extension)> Formats { get; } =
    [
        ("markdown", "text/markdown; charset=utf-8", "md"),
        ("html", "text/html; charset=utf-8", "html"),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("csv", "text/csv; charset=utf-8", "csv"),
    ];

    /// <param name="format">One of <see cref="Formats"/>.</param>
    /// <param name="texts">What is exported, in this order.</param>
    /// <param name="kindName">A kind as people call it.</param>
    public static byte[] Write(string format, IReadOnlyList<KeptText> texts, Func<string, string> kindName) => format switch
    {
        "markdown" => Encoding.UTF8.GetBytes(Markdown(texts, kindName)),
        "html" => Encoding.UTF8.GetBytes(Html(texts, kindName)),
        "docx" => Docx(texts, kindName),
        // the mark without which Excel reads another encoding
        "csv" => [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(Csv(texts, kindName))],
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "no format of export"),
    };

    private static string Markdown(IReadOnlyList<KeptText> texts, Func<string, string> kindName) =>
        string.Join("\n\n", texts.Select(text => $"## {OneLine(text.Name)}: {kindName(text.Kind)}\n\n{text.Text.Trim()}")) + "\n";

    private static string Html(IReadOnlyList<KeptText> texts, Func<string, string> kindName)
    {
        var html = new StringBuilder("<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Flywheel</title></head>\n<body>\n");
        foreach (KeptText text in texts)
        {
            html.Append("<section>\n<h2>").Append(WebUtility.HtmlEncode($"{text.Name}: {kindName(text.Kind)}")).Append("</h2>\n");
            bool list = false;
            foreach (string line in Lines(text.Text))
            {
                bool item = IsItem(line, out string content);
                if (item != list) html.Append(item ? "<ul>\n" : "</ul>\n");
                list = item;
                string tag = item ? "li" : "p";
                html.Append('<').Append(tag).Append('>').Append(WebUtility.HtmlEncode(content)).Append("</").Append(tag).Append(">\n");
            }
            html.Append(list ? "</ul>\n</section>\n" : "</section>\n");
        }
        return html.Append("</body>\n</html>\n").ToString();
    }

    private static byte[] Docx(IReadOnlyList<KeptText> texts, Func<string, string> kindName)
    {
        using var stream = new MemoryStream();
        using (var document = WordprocessingDocument.Create(stream, WordprocessingDocumentType.Document))
        {
            MainDocumentPart main = document.AddMainDocumentPart();
            var body = new Body();
            foreach (KeptText text in texts)
            {
                var heading = new RunProperties(new Bold(), new FontSize { Val = "28" });
                body.Append(new Paragraph(new Run(heading, Words($"{text.Name}: {kindName(text.Kind)}"))));
                foreach (string line in Lines(text.Text))
                    body.Append(new Paragraph(new Run(Words(IsItem(line, out string content) ? $"• {content}" : content))));
                body.Append(new Paragraph());
            }
            main.Document = new DocumentFormat.OpenXml.Wordprocessing.Document(body);
        }
        return stream.ToArray();

        // XML 1.0 has no place for most control characters, nor for half of a surrogate pair.
        static Text Words(string text) =>
            new(string.Concat(text.EnumerateRunes().Where(rune => !Rune.IsControl(rune) && rune.Value is not (0xFFFE or 0xFFFF))))
                { Space = SpaceProcessingModeValues.Preserve };
    }

    private static string Csv(IReadOnlyList<KeptText> texts, Func<string, string> kindName)
    {
        var csv = new StringBuilder("name,kind,text\r\n");
        foreach (KeptText text in texts)
            csv.AppendJoin(',', new[] { text.Name, kindName(text.Kind), text.Text }.Select(Cell)).Append("\r\n");
        return csv.ToString();
    }

    /// <summary>A cell by RFC 4180, which no spreadsheet takes for a formula.</summary>
    internal static string Cell(string text) => $"\"{CsvCell.Harmless(text).Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static IEnumerable<string> Lines(string text) =>
        text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool IsItem(string line, out string content)
    {
        bool item = line.Length > 2 && line[0] is '-' or '*' or '•' && line[1] == ' ';
        content = item ? line[2..].TrimStart() : line;
        return item;
    }

    private static string OneLine(string text) => string.Join(' ', Lines(text));
}
