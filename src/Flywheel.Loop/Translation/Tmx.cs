using System.Globalization;
using System.Text;
using System.Xml;
using Flywheel.Model;

namespace Flywheel.Loop.Translation;

/// <summary>A unit as a TMX file has it.</summary>
public sealed record TmxUnit(string Source, string Target, string Context, DateTimeOffset? Changed);

/// <summary>
/// Translation Memory eXchange 1.4b (LISA OSCAR, 2005). Codes of other tools' formatting (bpt, ept, ph, it) are read as the text that they
/// hold. A document type is skipped unread: OmegaT and others write one; nothing that it declares is looked up or expanded.
/// </summary>
public static class Tmx
{
    private const long MaxCharacters = 128 << 20;

    private const string Before = "x-context-pre", XmlNamespace = "http://www.w3.org/XML/1998/namespace";

    private static readonly XmlReaderSettings s_settings = new()
    {
        DtdProcessing = DtdProcessing.Ignore, XmlResolver = null, MaxCharactersInDocument = MaxCharacters, MaxCharactersFromEntities = 1,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true, CloseInput = false,
    };

    /// <summary>The units in their order; null for one that has not both languages.</summary>
    /// <exception cref="FlywheelException">It is no TMX; the message names the line.</exception>
    public static IEnumerable<TmxUnit?> Read(Stream stream, string from, string to)
    {
        using XmlReader reader = XmlReader.Create(stream, s_settings);
        Guard(reader, () => reader.MoveToContent());
        if (reader.LocalName != "tmx") throw Wrong(reader, $"begins with the element '{reader.LocalName}', expected tmx");
        while (Guard(reader, () => reader.Read()))
        {
            if (reader.NodeType == XmlNodeType.Element && reader.LocalName == "tu")
                yield return Guard(reader, () => ReadUnit(reader, from, to));
        }
    }

    /// <param name="stream">Written to, and left open.</param>
    /// <param name="from">Language of the sources.</param>
    /// <param name="units">What it holds.</param>
    public static void Write(Stream stream, string from, IEnumerable<TranslationUnit> units)
    {
        using XmlWriter xml = XmlWriter.Create(stream,
            new XmlWriterSettings { Indent = true, Encoding = new UTF8Encoding(false), CloseOutput = false,
                NewLineHandling = NewLineHandling.Entitize });
        xml.WriteStartElement("tmx");
        xml.WriteAttributeString("version", "1.4");
        xml.WriteStartElement("header");
        foreach ((string name, string value) in new[] { ("creationtool", "Flywheel"), ("creationtoolversion", "1"), ("segtype", "sentence"),
            ("o-tmf", "flywheel"), ("adminlang", "en"), ("srclang", from), ("datatype", "plaintext") })
            xml.WriteAttributeString(name, value);
        xml.WriteEndElement();
        xml.WriteStartElement("body");
        foreach (TranslationUnit unit in units)
        {
            xml.WriteStartElement("tu");
            xml.WriteAttributeString("tuid", unit.Id.ToString());
            xml.WriteAttributeString("creationdate", Time(unit.Created));
            xml.WriteAttributeString("changedate", Time(unit.Updated));
            if (unit.User.Length > 0) xml.WriteAttributeString("changeid", Legal(unit.User));
            if (unit.Context.Length > 0)
            {
                xml.WriteStartElement("prop");
                xml.WriteAttributeString("type", Before);
                xml.WriteString(Legal(unit.Context));
                xml.WriteEndElement();
            }
            foreach ((string language, string text) in new[] { (unit.SourceLanguage, unit.Source), (unit.TargetLanguage, unit.Target) })
            {
                xml.WriteStartElement("tuv");
                xml.WriteAttributeString("xml", "lang", XmlNamespace, language);
                xml.WriteStartElement("seg");
                xml.WriteAttributeString("xml", "space", XmlNamespace, "preserve");
                xml.WriteString(Legal(text));
                xml.WriteEndElement();
                xml.WriteEndElement();
            }
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    private static TmxUnit? ReadUnit(XmlReader reader, string from, string to)
    {
        DateTimeOffset? changed = ReadTime(reader.GetAttribute("changedate") ?? reader.GetAttribute("creationdate"));
        string context = "";
        Dictionary<string, string> texts = new(StringComparer.OrdinalIgnoreCase);
        if (reader.IsEmptyElement) return null;
        int depth = reader.Depth;
        string? language = null;
        while (reader.Read() && reader.Depth > depth)
        {
            if (reader.NodeType != XmlNodeType.Element) continue;
            switch (reader.LocalName)
            {
                case "prop" when reader.GetAttribute("type") is Before or "prev":
                    context = TextOf(reader);
                    break;
                case "tuv":
                    language = reader.GetAttribute("lang", XmlNamespace) ?? reader.GetAttribute("lang");
                    break;
                case "seg" when language is not null:
                    string tag = language.Replace('_', '-');
                    texts.TryAdd(tag, TextOf(reader).Trim());
                    break;
            }
        }
        return Pick(texts, from) is { } source && Pick(texts, to) is { } target
            ? new TmxUnit(source, target, context.Trim(), changed) : null;
    }

    /// <summary>The text of a language: of the same tag, else of the same language elsewhere (en-GB for en).</summary>
    private static string? Pick(Dictionary<string, string> texts, string tag) => texts.GetValueOrDefault(tag)
        ?? texts.FirstOrDefault(text => Language.Find(text.Key) is { } known && known == Language.Find(tag)).Value;

    /// <summary>All text inside an element, that of the elements in it included; the reader then stands at its end.</summary>
    private static string TextOf(XmlReader reader)
    {
        if (reader.IsEmptyElement) return "";
        var text = new StringBuilder();
        int depth = reader.Depth;
        while (reader.Read() && reader.Depth > depth)
            if (reader.NodeType is XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.SignificantWhitespace or XmlNodeType.Whitespace)
                text.Append(reader.Value);
        return text.ToString();
    }

    private static T Guard<T>(XmlReader reader, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (XmlException e)
        {
            throw Wrong(reader, e.Message, e);
        }
        catch (DecoderFallbackException e)
        {
            throw Wrong(reader, e.Message, e);
        }
    }

    private static FlywheelException Wrong(XmlReader reader, string message, Exception? inner = null) =>
        new($"the TMX file, line {((IXmlLineInfo)reader).LineNumber}: {message}", inner!);

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);

    private static DateTimeOffset? ReadTime(string? text) =>
        DateTimeOffset.TryParseExact(text, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal,
            out DateTimeOffset time) ? time : null;

    /// <summary>XML 1.0 has no place for most control characters, nor for half of a surrogate pair.</summary>
    private static string Legal(string text) =>
        string.Concat(text.EnumerateRunes().Where(rune => rune.Value is '\t' or '\n' or '\r' or (>= 0x20 and not (0xFFFE or 0xFFFF))));
}
