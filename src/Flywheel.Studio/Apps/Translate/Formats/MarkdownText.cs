using System.Text.RegularExpressions;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>
/// Markdown (CommonMark with tables and front matter): paragraphs, headings, items and cells are texts, with their inline marks as they
/// stand;
/// code, HTML blocks, link definitions and everything that makes the form stay as they are. A paragraph becomes one line.
/// </summary>
internal sealed partial class MarkdownText : PieceFormat
{
    public override string Name => "markdown";

    public override string Extension => ".md";

    public override string MediaType => "text/markdown; charset=utf-8";

    protected override IReadOnlyList<Piece> Parse(string text)
    {
        List<Piece> pieces = [];
        List<(string Text, string End)> lines = [.. Lines(text)];
        string paragraph = "", paragraphEnd = "";
        bool inTable = false, inList = false;
        int i = 0;
        if (lines.Count > 0 && lines[0].Text.TrimEnd() == "---"
            && lines.FindIndex(1, line => line.Text.TrimEnd() is "---" or "...") is > 0 and int last)
            for (; i <= last; i++) Keep(lines[i].Text + lines[i].End);
        for (; i < lines.Count; i++)
        {
            (string line, string end) = lines[i];
            bool open = paragraph.Length > 0;
            string bare = Quote().Replace(line, "");
            if (bare.Trim().Length == 0)
            {
                Keep(line + end);
                inTable = false;
                continue;
            }
            if (Fence().Match(bare) is { Success: true } fence)
            {
                Keep(line + end);
                string mark = fence.Groups[1].Value;
                while (++i < lines.Count)
                {
                    Keep(lines[i].Text + lines[i].End);
                    string closing = Quote().Replace(lines[i].Text, "").Trim();
                    if (closing.Length >= mark.Length && closing.All(c => c == mark[0])) break;
                }
                continue;
            }
            if (!open && HtmlBlock().IsMatch(bare))
            {
                bool comment = bare.TrimStart().StartsWith("<!--", StringComparison.Ordinal);
                for (; i < lines.Count; i++)
                {
                    if (!comment && lines[i].Text.Trim().Length == 0) break;
                    Keep(lines[i].Text + lines[i].End);
                    if (comment && lines[i].Text.Contains("-->", StringComparison.Ordinal)) break;
                }
                if (!comment) i--;
                continue;
            }
            if (Rule().IsMatch(bare) || (!open && (Definition().IsMatch(bare) || (!inList && IndentedCode().IsMatch(bare)))))
            {
                Keep(line + end);
                continue;
            }
            if (inTable
                || (bare.Contains('|', StringComparison.Ordinal) && i + 1 < lines.Count
                    && Delimiter().IsMatch(Quote().Replace(lines[i + 1].Text, ""))))
            {
                Close();
                inTable = true;
                if (Delimiter().IsMatch(bare)) Keep(line + end);
                else
                {
                    int at = 0;
                    foreach (Match bar in Bar().Matches(line))
                    {
                        Add(pieces, line[at..bar.Index]);
                        pieces.Add(new("|"));
                        at = bar.Index + 1;
                    }
                    Add(pieces, line[at..]);
                    pieces.Add(new(end));
                }
                continue;
            }
            Match prefix = Prefix().Match(line);
            string content = line[prefix.Length..];
            bool heading = prefix.Groups["heading"].Success, item = prefix.Groups["item"].Success;
            if (item) inList = true;
            else if (!open && prefix.Length == 0) inList = false;
            if (heading || item || !open)
            {
                Close();
                pieces.Add(new(prefix.Value));
                paragraph = content;
            }
            else paragraph = $"{paragraph.TrimEnd()} {content.TrimStart()}";
            paragraphEnd = end;
            if (heading && ClosingMarks().Match(paragraph) is { Success: true } marks)
            {
                (paragraph, paragraphEnd) = (paragraph[..marks.Index], marks.Value + end);
            }
            // Two blanks or a backslash at the end break the line there.
            if (heading || content.EndsWith("  ", StringComparison.Ordinal) || content.EndsWith('\\'))
            {
                if (content.EndsWith('\\') && !heading) (paragraph, paragraphEnd) = (paragraph[..^1], "\\" + end);
                Close();
            }
        }
        Close();
        return pieces;

        void Keep(string kept)
        {
            Close();
            pieces.Add(new(kept));
        }

        void Close()
        {
            Add(pieces, paragraph);
            if (paragraphEnd.Length > 0) pieces.Add(new(paragraphEnd));
            (paragraph, paragraphEnd) = ("", "");
        }
    }

    protected override string Fit(TextBlock block, string text) => text.ReplaceLineEndings(" ");

    [GeneratedRegex(@"^(?:\s{0,3}>\s?)+")]
    private static partial Regex Quote();

    [GeneratedRegex("^\\s*(`{3,}|~{3,})")]
    private static partial Regex Fence();

    [GeneratedRegex(@"^\s{0,3}<(?:!--|!|\?|/?(?:address|article|aside|blockquote|body|center|details|dialog|dd|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|meta|nav|ol|option|p|picture|pre|script|section|source|style|summary|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|track|ul|video)\b)", RegexOptions.IgnoreCase)]
    private static partial Regex HtmlBlock();

    [GeneratedRegex(@"^\s{0,3}(?:=+|-+|(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})\s*$")]
    private static partial Regex Rule();

    [GeneratedRegex(@"^\s{0,3}\[[^\]]+\]:\s*\S")]
    private static partial Regex Definition();

    [GeneratedRegex(@"^(?: {4}|\t)")]
    private static partial Regex IndentedCode();

    [GeneratedRegex(@"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")]
    private static partial Regex Delimiter();

    [GeneratedRegex(@"(?<!\\)\|")]
    private static partial Regex Bar();

    [GeneratedRegex(@"\s+#+\s*$")]
    private static partial Regex ClosingMarks();

    [GeneratedRegex(@"^(?:\s{0,3}>\s?)*\s*(?<item>(?:[-*+]|[0-9]{1,9}[.)])\s+(?:\[[ xX]\]\s+)?)*(?<heading>#{1,6}\s+)?")]
    private static partial Regex Prefix();
}
