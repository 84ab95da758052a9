namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>Text without marks. Each line is a text, but lines that were broken at a width are one paragraph.</summary>
internal sealed class PlainText : PieceFormat
{
    /// <summary>Between these, lines of a paragraph look as if they were broken by a program.</summary>
    private const int MinWidth = 45, MaxWidth = 100, MaxRagged = 30;

    public override string Name => "text";

    public override string Extension => ".txt";

    public override string MediaType => "text/plain; charset=utf-8";

    protected override IReadOnlyList<Piece> Parse(string text)
    {
        List<Piece> pieces = [];
        List<(string Text, string End)> paragraph = [];
        foreach ((string line, string end) in Lines(text))
        {
            if (line.Any(c => !char.IsWhiteSpace(c)))
            {
                paragraph.Add((line, end));
                continue;
            }
            Close();
            pieces.Add(new(line + end));
        }
        Close();
        return pieces;

        void Close()
        {
            if (IsBroken(paragraph))
            {
                Add(pieces, string.Join(' ', paragraph.Select((line, i) => i == 0 ? line.Text.TrimEnd() : line.Text.Trim())));
                if (paragraph[^1].End.Length > 0) pieces.Add(new(paragraph[^1].End));
            }
            else
                foreach ((string line, string end) in paragraph)
                {
                    Add(pieces, line);
                    if (end.Length > 0) pieces.Add(new(end));
                }
            paragraph.Clear();
        }
    }

    private static bool IsBroken(List<(string Text, string End)> lines)
    {
        if (lines.Count < 2) return false;
        int[] widths = [.. lines.SkipLast(1).Select(line => line.Text.Trim().Length)];
        return widths.Min() >= MinWidth && widths.Max() <= MaxWidth && widths.Max() - widths.Min() <= MaxRagged
            && lines[^1].Text.Trim().Length <= MaxWidth;
    }
}
