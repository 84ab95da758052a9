using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Data;

/// <summary>The two ways in which catalogues lay out a description, read to blocks of clean text.</summary>
public static partial class DescriptionParser
{
    /// <summary>AppStream's subset of HTML: <c>p</c>, <c>ul</c>, <c>ol</c>, <c>li</c>; inline tags fall away.</summary>
    public static IReadOnlyList<Block> FromHtml(string html)
    {
        List<Block> blocks = [];
        List<string> items = [];
        int start = 0;
        bool inItem = false;
        void Close(int end)
        {
            string text = TextCleaner.Line(Tag().Replace(html[start..end], " "));
            if (text.Length == 0) return;
            if (inItem) items.Add(text);
            else AddParagraph(blocks, text);
        }
        foreach (Match tag in BlockTag().Matches(html))
        {
            Close(tag.Index);
            start = tag.Index + tag.Length;
            string name = tag.Groups["name"].Value.ToLowerInvariant();
            bool closes = tag.Groups["close"].Length > 0;
            if (name == "li") inItem = !closes;
            else if (items.Count > 0 && closes)
            {
                blocks.Add(new Block(BlockKind.List, [.. items]));
                items.Clear();
                inItem = false;
            }
        }
        Close(html.Length);
        if (items.Count > 0) blocks.Add(new Block(BlockKind.List, [.. items]));
        return blocks;
    }

    /// <summary>
    /// The long part of a Debian package description (Policy 5.6.13): a dot line ends a paragraph, indented lines
    /// stand verbatim, and lists are drawn with bullets.
    /// </summary>
    public static IReadOnlyList<Block> FromControl(string description)
    {
        List<Block> blocks = [];
        List<string> items = [];
        var text = new StringBuilder();
        bool inItem = false;
        void Close()
        {
            string line = TextCleaner.Line(text.ToString());
            text.Clear();
            if (line.Length == 0) return;
            if (inItem) items.Add(line);
            else AddParagraph(blocks, line);
        }
        void CloseList()
        {
            Close();
            inItem = false;
            if (items.Count > 0) blocks.Add(new Block(BlockKind.List, [.. items]));
            items.Clear();
        }
        foreach (string raw in description.Split('\n'))
        {
            string line = raw.StartsWith(' ') ? raw[1..] : raw;
            Match bullet = Bullet().Match(line);
            if (line.Trim() is "." or "")
            {
                CloseList();
            }
            else if (bullet.Success)
            {
                if (!inItem) CloseList();
                else Close();
                inItem = true;
                text.Append(line.AsSpan(bullet.Length)).Append(' ');
            }
            else if (line[0] == ' ' && inItem)
            {
                text.Append(line).Append(' ');
            }
            else if (line[0] == ' ')
            {
                Close();
                blocks.Add(new Block(BlockKind.Verbatim, [line]));
            }
            else
            {
                if (inItem) CloseList();
                text.Append(line).Append(' ');
            }
        }
        CloseList();
        return blocks;
    }

    /// <summary>Some lists arrive as one paragraph with the bullets inside it.</summary>
    private static void AddParagraph(List<Block> blocks, string text)
    {
        string[] parts = InlineBullet().Split(text);
        if (parts.Length < 3)
        {
            blocks.Add(Block.Paragraph(text));
            return;
        }
        if (parts[0].Trim().Length > 0) blocks.Add(Block.Paragraph(parts[0].Trim()));
        string[] items = [.. parts[1..].Select(part => part.Trim()).Where(part => part.Length > 0)];
        if (items.Length > 0) blocks.Add(new Block(BlockKind.List, [.. items]));
    }

    [GeneratedRegex(@"<(?<close>/?)(?<name>p|ul|ol|li)\b[^>]*>", RegexOptions.IgnoreCase)]
    private static partial Regex BlockTag();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tag();

    [GeneratedRegex(@"^(\s*[-*+•·]|\s+o)\s+(?=\S)")]
    private static partial Regex Bullet();

    [GeneratedRegex(@"(?:^|\s)\*\s+(?=\S)")]
    private static partial Regex InlineBullet();
}
