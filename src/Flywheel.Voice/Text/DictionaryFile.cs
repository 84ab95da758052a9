using System.Text;
using System.Xml;
using System.Xml.Linq;
using Flywheel.Model;
using nietras.SeparatedValues;

namespace Flywheel.Voice;

/// <summary>Pronunciations in files: CSV with all that we keep, and PLS (W3C Pronunciation Lexicon Specification 1.0), which other programs
/// read.</summary>
public static class DictionaryFile
{
    public const int MaxBytes = 64 << 20;

    private static readonly string[] Columns = ["word", "language", "voice", "ipa", "respelling"];
    private static readonly XNamespace Pls = "http://www.w3.org/2005/01/pronunciation-lexicon";

    /// <summary>By its ending, .csv or .pls.</summary>
    /// <exception cref="FlywheelException">No such file, or a fault in it; the message names file and line.</exception>
    public static IReadOnlyList<Pronunciation> Read(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        if (new FileInfo(path).Length > MaxBytes) throw new FlywheelException($"{path}: has more than {MaxBytes >> 20} MiB");
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".csv" => ParseCsv(Utf8File.ReadText(path), path),
            ".pls" or ".xml" => ParsePls(Utf8File.ReadText(path), path),
            _ => throw new FlywheelException($"{path}: is no dictionary by its name, expected .csv or .pls"),
        };
    }

    /// <param name="text">With a first line of names, of which word and one of ipa and respelling are needed.</param>
    /// <param name="name">Of the file, for messages.</param>
    public static IReadOnlyList<Pronunciation> ParseCsv(string text, string name)
    {
        var entries = new List<Pronunciation>();
        try
        {
            using SepReader reader = Sep.New(',').Reader(options => options with { Unescape = true, DisableColCountCheck = true })
                .FromText(text.TrimStart('\uFEFF'));
            string? unknown = reader.Header.ColNames.FirstOrDefault(column => !Columns.Contains(column));
            if (unknown is not null)
                throw new FlywheelException($"{name}: line 1: the column '{unknown}' is not known{NearestName.Hint(unknown, Columns)}");
            if (!reader.Header.ColNames.Contains("word"))
                throw new FlywheelException($"{name}: line 1: there is no column 'word'; expected {string.Join(',', Columns)}");
            int[] at = [.. Columns.Select(column => reader.Header.TryIndexOf(column, out int index) ? index : -1)];
            foreach (SepReader.Row row in reader)
            {
                if (row.ColCount == 1 && row[0].Span.IsWhiteSpace()) continue;
                if (row.ColCount > reader.Header.ColNames.Count)
                    throw new FlywheelException(
                        $"{name}: line {row.LineNumberFrom}: has {row.ColCount} fields, expected {reader.Header.ColNames.Count}; a comma in a field needs quotes around it");
                var fields = new string[Columns.Length];
                for (int i = 0; i < fields.Length; i++) fields[i] = at[i] >= 0 && at[i] < row.ColCount ? row[at[i]].ToString().Trim() : "";
                var entry = new Pronunciation { Word = fields[0], Language = fields[1], Voice = fields[2], Ipa = Text(fields[3]),
                    Respelling = Text(fields[4]) };
                entry.Validate($"{name}: line {row.LineNumberFrom}");
                entries.Add(entry);
            }
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or NotSupportedException or KeyNotFoundException
            or IndexOutOfRangeException)
        {
            throw new FlywheelException($"{name}: cannot be read as CSV: {e.Message}", e);
        }
        return entries;

        static string? Text(string field) => field.Length > 0 ? field : null;
    }

    public static string WriteCsv(IEnumerable<Pronunciation> entries)
    {
        var text = new StringBuilder().AppendJoin(',', Columns).Append('\n');
        foreach (Pronunciation entry in entries)
            text.AppendJoin(',', new[] { entry.Word, entry.Language, entry.Voice, entry.Ipa, entry.Respelling }.Select(Quote)).Append('\n');
        return text.ToString();

        static string Quote(string? field) => string.IsNullOrEmpty(field) ? ""
            : field.AsSpan().ContainsAny(",\"\r\n") ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;
    }

    /// <summary>Each grapheme of a lexeme becomes an entry, by its first phoneme or alias.</summary>
    public static IReadOnlyList<Pronunciation> ParsePls(string text, string name)
    {
        try
        {
            var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null,
                MaxCharactersInDocument = MaxBytes };
            using XmlReader reader = XmlReader.Create(new StringReader(text), settings);
            XElement root = XDocument.Load(reader, LoadOptions.SetLineInfo).Root!;
            if (root.Name != Pls + "lexicon") throw Wrong(root, $"the root is '{root.Name.LocalName}', expected lexicon of {Pls}");
            string alphabet = (string?)root.Attribute("alphabet") ?? "ipa",
                language = ((string?)root.Attribute(XNamespace.Xml + "lang") ?? "").ToLowerInvariant();
            var entries = new List<Pronunciation>();
            foreach (XElement lexeme in root.Elements(Pls + "lexeme"))
            {
                XElement said = lexeme.Elements().FirstOrDefault(each => each.Name == Pls + "phoneme" || each.Name == Pls + "alias")
                    ?? throw Wrong(lexeme, "a lexeme has neither phoneme nor alias");
                bool isIpa = said.Name == Pls + "phoneme";
                string written = (string?)said.Attribute("alphabet") ?? alphabet;
                if (isIpa && written != "ipa") throw Wrong(said, $"the alphabet is '{written}', expected ipa");
                foreach (XElement grapheme in lexeme.Elements(Pls + "grapheme"))
                {
                    var entry = new Pronunciation { Word = grapheme.Value.Trim(), Language = language,
                        Ipa = isIpa ? said.Value.Trim() : null, Respelling = isIpa ? null : said.Value.Trim() };
                    entry.Validate(Place(grapheme));
                    entries.Add(entry);
                }
            }
            return entries;
        }
        catch (XmlException e)
        {
            throw new FlywheelException($"{name}: line {Math.Max(1, e.LineNumber)}: is no PLS: {e.Message}", e);
        }

        string Place(XElement element) => $"{name}: line {((IXmlLineInfo)element).LineNumber}";
        FlywheelException Wrong(XElement element, string what) => new($"{Place(element)}: {what}");
    }

    /// <summary>Entries of one language that hold for all voices: a PLS file can say no more.</summary>
    public static string WritePls(IEnumerable<Pronunciation> entries, string language)
    {
        var root = new XElement(Pls + "lexicon", new XAttribute("version", "1.0"), new XAttribute("alphabet", "ipa"),
            new XAttribute(XNamespace.Xml + "lang", language),
            entries.Where(entry => entry.Voice.Length == 0 && entry.Language.Equals(language, StringComparison.OrdinalIgnoreCase))
                .Select(entry => new XElement(Pls + "lexeme",
                new XElement(Pls + "grapheme", entry.Word),
                entry.Ipa is null ? new XElement(Pls + "alias", entry.Respelling) : new XElement(Pls + "phoneme", entry.Ipa))));
        return $"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}\n";
    }
}
