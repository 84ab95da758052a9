using System.Text;
using System.Text.RegularExpressions;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Wordprocessing;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>
/// A paragraph of a Word document as a text with numbered tags: <c>&lt;1&gt;...&lt;/1&gt;</c> around what has another form than most of the
/// paragraph, or is a link; <c>&lt;2/&gt;</c> for what is no text (a picture, a tab, a note's mark, a field). Within a link the form is
/// that of
/// its beginning. Where the text itself looks like such tags, the form within the paragraph is lost.
/// </summary>
internal sealed partial class WordParagraph
{
    private readonly Paragraph _paragraph;
    private readonly List<Part> _parts = [];
    private readonly List<OpenXmlElement> _carried = [];
    private readonly string _base;

    public WordParagraph(Paragraph paragraph)
    {
        _paragraph = paragraph;
        int depth = 0;
        foreach (OpenXmlElement child in paragraph.ChildElements) Take(child, ref depth);
        if (_parts.Any(part => part.Kind != PartKind.Thing && Tag().IsMatch(part.Words.ToString())))
            foreach (Part part in _parts.Where(part => part.Kind == PartKind.Words)) part.Form = "";
        _base = _parts.Where(part => part.Kind == PartKind.Words).GroupBy(part => part.Form)
            .OrderByDescending(group => group.Sum(part => part.Words.Length)).FirstOrDefault()?.Key ?? "";
        int number = 0;
        var text = new StringBuilder();
        foreach (Part part in _parts)
        {
            if (part.Kind == PartKind.Words && part.Form == _base) text.Append(part.Words);
            else
            {
                part.Number = ++number;
                text.Append(part.Kind == PartKind.Thing ? $"<{number}/>" : $"<{number}>{part.Words}</{number}>");
            }
        }
        Text = text.ToString();
    }

    public string Text { get; }

    public bool HasText => _parts.Any(part => part.Kind != PartKind.Thing && part.Words.ToString().Any(char.IsLetterOrDigit));

    /// <summary>Puts another text in its place. What is no text stays, at the end where the text has no place for it.</summary>
    public void Write(string text)
    {
        List<OpenXmlElement> content = [];
        HashSet<int> used = [];
        Part? form = null;
        int at = 0;
        foreach (Match tag in Tag().Matches(text))
        {
            if (!int.TryParse(tag.Groups[2].Value, out int number) || _parts.Find(part => part.Number == number) is not { } part) continue;
            Say(text[at..tag.Index], form);
            at = tag.Index + tag.Length;
            if (part.Kind == PartKind.Thing)
            {
                if (used.Add(number)) content.AddRange(part.Elements);
            }
            else form = tag.Groups[1].Length > 0 ? null : part;
        }
        Say(text[at..], form);
        foreach (Part part in _parts.Where(part => part.Kind == PartKind.Thing && !used.Contains(part.Number)))
            content.AddRange(part.Elements);

        OpenXmlElement? properties = _paragraph.ParagraphProperties;
        foreach (OpenXmlElement child in _paragraph.ChildElements.ToList()) child.Remove();
        foreach (OpenXmlElement? element in (IEnumerable<OpenXmlElement?>)[properties, .. _carried, .. content])
        {
            if (element is null) continue;
            if (element.Parent is not null) element.Remove();
            _paragraph.AppendChild(element);
        }

        void Say(string words, Part? part)
        {
            if (words.Length == 0) return;
            Run run = MakeRun(words, part?.Form ?? _base);
            if (part?.Kind != PartKind.Link) content.Add(run);
            else if (content.Count > 0 && content[^1] is Hyperlink open && ReferenceEquals(open.Annotation<Part>(), part))
                open.AppendChild(run);
            else
            {
                var link = (Hyperlink)part.Elements[0].CloneNode(false);
                link.AddAnnotation(part);
                link.AppendChild(run);
                content.Add(link);
            }
        }
    }

    private static Run MakeRun(string words, string form)
    {
        var run = new Run();
        if (form.Length > 0) run.RunProperties = new RunProperties(form);
        string[] lines = words.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            if (i > 0) run.AppendChild(new Break());
            // XML 1.0 has no place for most control characters, nor for half of a surrogate pair.
            string line =
                string.Concat(
                    lines[i].EnumerateRunes()
                        .Where(rune => rune.Value == '\t' || (!Rune.IsControl(rune) && rune.Value is not (0xFFFE or 0xFFFF))));
            if (line.Length > 0) run.AppendChild(new Text(line) { Space = SpaceProcessingModeValues.Preserve });
        }
        return run;
    }

    private void Take(OpenXmlElement element, ref int fieldDepth)
    {
        switch (element)
        {
            case ParagraphProperties or ProofError:
                return;
            case BookmarkStart or BookmarkEnd or CommentRangeStart or CommentRangeEnd or PermStart or PermEnd:
                _carried.Add(element); // stays in the paragraph, at its beginning
                return;
            case { LocalName: "ins" or "smartTag" } when fieldDepth == 0:
                foreach (OpenXmlElement child in element.ChildElements) Take(child, ref fieldDepth);
                return;
            case Hyperlink link when fieldDepth == 0 && link.Descendants<Run>().All(IsWords):
                _parts.Add(new Part(PartKind.Link, FormOf(link.GetFirstChild<Run>())) { Elements = { link },
                    Words = { } }.With(string.Concat(link.Descendants<Run>().Select(WordsOf))));
                return;
            case Run run when fieldDepth == 0 && IsWords(run):
                string form = FormOf(run);
                if (_parts.Count == 0 || _parts[^1].Kind != PartKind.Words || _parts[^1].Form != form)
                    _parts.Add(new Part(PartKind.Words, form));
                _parts[^1].Words.Append(WordsOf(run));
                return;
        }
        // Everything else is a thing; a field is one from its beginning to its end.
        if (fieldDepth > 0) _parts[^1].Elements.Add(element);
        else _parts.Add(new Part(PartKind.Thing, "") { Elements = { element } });
        foreach (FieldChar field in element.Descendants<FieldChar>())
        {
            if (field.FieldCharType?.Value == FieldCharValues.Begin) fieldDepth++;
            else if (field.FieldCharType?.Value == FieldCharValues.End) fieldDepth = Math.Max(0, fieldDepth - 1);
        }
    }

    private static bool IsWords(Run run) =>
        run.ChildElements.All(child =>
            child is RunProperties or DocumentFormat.OpenXml.Wordprocessing.Text or NoBreakHyphen or SoftHyphen or LastRenderedPageBreak
                || IsLineBreak(child));

    private static bool IsLineBreak(OpenXmlElement child) =>
        child is Break { Type: null } || (child is Break { Type: { } type } && type.Value == BreakValues.TextWrapping);

    private static string WordsOf(Run run) => string.Concat(run.ChildElements.Select(child => child switch
    {
        DocumentFormat.OpenXml.Wordprocessing.Text text => text.Text,
        NoBreakHyphen => "\u2011",
        Break => "\n",
        _ => "",
    }));

    /// <summary>A run's form without what says nothing of how it looks.</summary>
    private static string FormOf(Run? run)
    {
        if (run?.RunProperties is not { } properties) return "";
        var form = (RunProperties)properties.CloneNode(true);
        foreach (OpenXmlElement silent in form.ChildElements.Where(child => child is Languages or NoProof).ToList()) silent.Remove();
        return form.HasChildren ? form.OuterXml : "";
    }

    [GeneratedRegex("<(/?)([0-9]{1,4})(/?)>")]
    private static partial Regex Tag();

    private enum PartKind { Words, Link, Thing }

    private sealed class Part(PartKind kind, string form)
    {
        public PartKind Kind => kind;

        /// <summary>XML of the run's properties; empty where it has none.</summary>
        public string Form { get; set; } = form;

        public StringBuilder Words { get; } = new();

        public List<OpenXmlElement> Elements { get; } = [];

        /// <summary>Of its tag; 0 of what has none.</summary>
        public int Number { get; set; }

        public Part With(string words)
        {
            Words.Append(words);
            return this;
        }
    }
}
