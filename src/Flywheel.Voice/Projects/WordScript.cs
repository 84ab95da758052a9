using System.IO.Compression;
using System.Text.RegularExpressions;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Scripts of word processors (DOCX): screenplays, in which a name in capitals stands above what is said; tables with a column of names;
/// else a line a
/// paragraph, with labels as in subtitles. What stands in a screenplay for the reader (scenes, action, how something is said) is not
/// spoken.
/// </summary>
public static partial class WordScript
{
    private const long MaxUnpacked = 64 << 20;

    private const int MaxNameLength = 40;

    private static readonly string[] Headings = ["character", "name", "role", "speaker", "who"];

    /// <exception cref="FlywheelException">It is no DOCX file, or unpacks to too much.</exception>
    public static IReadOnlyList<VoiceLine> Read(Stream file, string name, IReadOnlyCollection<string>? roles = null)
    {
        using var bytes = new MemoryStream();
        file.CopyTo(bytes);
        try
        {
            Guard(bytes, name);
            using WordprocessingDocument document = WordprocessingDocument.Open(bytes, isEditable: false);
            if (document.MainDocumentPart?.Document?.Body is not { } body) throw new FlywheelException($"{name}: holds no text");
            var styles =
                (document.MainDocumentPart.StyleDefinitionsPart?.Styles?.Elements<Style>() ?? [])
                    .Where(style => style.StyleId?.Value is not null)
                .GroupBy(style => style.StyleId!.Value!)
                .ToDictionary(style => style.Key, style => style.First().StyleName?.Val?.Value ?? style.Key);
            List<ScriptParagraph> paragraphs =
                [.. body.Elements()
                    .SelectMany(element => element is Table table
                        ? Rows(table) : element.Descendants<Paragraph>().Prepend(element as Paragraph).OfType<Paragraph>().Distinct()
                            .Select(OfParagraph))];
            return Number(paragraphs.Any(paragraph => paragraph.Kind == "character" || Scene().IsMatch(paragraph.Text))
                ? Screenplay(paragraphs) : Plain(paragraphs, roles));

            ScriptParagraph OfParagraph(Paragraph paragraph)
            {
                string style = paragraph.ParagraphProperties?.ParagraphStyleId?.Val?.Value is { } id
                    ? styles.GetValueOrDefault(id, id) : "";
                return new ScriptParagraph(TextOf(paragraph), style.ToLowerInvariant() switch
                {
                    var known when known.Contains("character", StringComparison.Ordinal) => "character",
                    var known when known.Contains("dialog", StringComparison.Ordinal) => "dialogue",
                    var known when known.Contains("parenthetical", StringComparison.Ordinal) => "parenthetical",
                    var known when known.Contains("scene", StringComparison.Ordinal) || known.Contains("action", StringComparison.Ordinal)
                        || known.Contains("transition", StringComparison.Ordinal) || known.Contains("slug", StringComparison.Ordinal) =>
                        "action",
                    _ => "",
                }, null);
            }
        }
        catch (Exception e) when (e is OpenXmlPackageException or InvalidDataException or System.Xml.XmlException
            or InvalidOperationException or ArgumentException or NotSupportedException or EndOfStreamException or FileFormatException)
        {
            throw new FlywheelException($"{name}: is no DOCX file that can be opened: {e.Message}", e);
        }
    }

    private sealed record ScriptParagraph(string Text, string Kind, string? Role);

    /// <summary>What is shown: text that was deleted under change tracking is not.</summary>
    private static string TextOf(OpenXmlElement element) => Spaces().Replace(string.Concat(element.Descendants().Select(part => part switch
    {
        Text text => text.Text,
        Break or CarriageReturn or TabChar => " ",
        NoBreakHyphen => "-",
        _ => "",
    })), " ").Trim();

    /// <summary>Rows whose first cell is a name; the last one is what is said.</summary>
    private static IEnumerable<ScriptParagraph> Rows(Table table)
    {
        foreach ((int number, TableRow row) in table.Elements<TableRow>().Index())
        {
            string[] cells = [.. row.Elements<TableCell>().Select(TextOf)];
            if (cells.Length == 0 || cells[^1].Length == 0 || number == 0 && cells.Any(cell => Headings.Contains(cell.ToLowerInvariant())))
                continue;
            string? role = cells.Length > 1 && cells[0].Length is > 0 and <= MaxNameLength && !Time().IsMatch(cells[0])
                ? cells[0] : cells.Length > 2 && cells[^2].Length is > 0 and <= MaxNameLength ? cells[^2] : null;
            yield return new ScriptParagraph(cells[^1], "", role);
        }
    }

    private static IEnumerable<VoiceLine> Screenplay(List<ScriptParagraph> paragraphs)
    {
        string? role = null;
        bool isSaid = false; // the paragraph before is spoken text
        foreach ((int i, ScriptParagraph paragraph) in paragraphs.Index())
        {
            string text = paragraph.Text;
            // Without a blank paragraph between them, a name stands between what one says and what the next one does.
            bool isName = paragraph.Kind.Length == 0 && IsName(text)
                && (role is null || isSaid && i + 1 < paragraphs.Count && IsSpoken(paragraphs[i + 1]));
            isSaid = false;
            if (paragraph.Role is not null) yield return new VoiceLine { Id = "", Role = paragraph.Role, Text = text };
            else if (text.Length == 0 || paragraph.Kind == "action" || Scene().IsMatch(text)) role = null;
            else if (paragraph.Kind == "character" || isName) role = Extension().Replace(text, "").Trim();
            else if (paragraph.Kind == "parenthetical" || text[0] == '(' && text[^1] == ')') continue;
            else if (role is not null)
            {
                isSaid = true;
                yield return new VoiceLine { Id = "", Role = role, Text = Parenthesis().Replace(text, " ").Trim() };
            }
        }

        static bool IsSpoken(ScriptParagraph next) =>
            next is { Role: null, Kind: "", Text.Length: > 0 } && !Scene().IsMatch(next.Text) && !IsName(next.Text);
    }

    private static bool IsName(string text) =>
        text.Length is > 0 and <= MaxNameLength && text[0] != '(' && !text.Any(char.IsLower) && text.Any(char.IsLetter)
            && text[^1] is not ('.' or '!' or '?' or ':');

    private static IEnumerable<VoiceLine> Plain(List<ScriptParagraph> paragraphs, IReadOnlyCollection<string>? roles)
    {
        foreach (ScriptParagraph paragraph in paragraphs.Where(paragraph => paragraph.Text.Length > 0))
        {
            if (paragraph.Role is not null) yield return new VoiceLine { Id = "", Role = paragraph.Role, Text = paragraph.Text };
            else
                foreach ((string? role, string text) in SpeakerLabels.Split(paragraph.Text, roles)) yield return new VoiceLine { Id = "",
                    Role = role, Text = text };
        }
    }

    private static IReadOnlyList<VoiceLine> Number(IEnumerable<VoiceLine> lines) =>
        [.. lines.Where(line => line.Text.Length > 0)
            .Select((line, i) => line with { Id = (i + 1).ToString(System.Globalization.CultureInfo.InvariantCulture) })];

    /// <summary>What the directory says of lengths may be a lie: it is counted.</summary>
    private static void Guard(MemoryStream file, string name)
    {
        file.Position = 0;
        using var zip = new ZipArchive(file, ZipArchiveMode.Read, leaveOpen: true);
        byte[] piece = new byte[1 << 16];
        long all = 0;
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            using Stream stream = entry.Open();
            for (int read; (read = stream.Read(piece)) > 0;)
                if ((all += read) > MaxUnpacked)
                    throw new FlywheelException($"{name}: unpacks to more than {MaxUnpacked >> 20} MiB; it is not opened");
        }
        file.Position = 0;
    }

    [GeneratedRegex(@"^\d*\s*(INT|EXT|EST|I/E)\b[./ ]", RegexOptions.CultureInvariant)]
    private static partial Regex Scene();

    [GeneratedRegex(@"\([^()]*\)", RegexOptions.CultureInvariant)]
    private static partial Regex Extension();

    [GeneratedRegex(@"\s*\([^()]*\)\s*", RegexOptions.CultureInvariant)]
    private static partial Regex Parenthesis();

    [GeneratedRegex(@"^[\d:.,;\s–-]+$", RegexOptions.CultureInvariant)]
    private static partial Regex Time();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Spaces();
}
