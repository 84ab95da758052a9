using System.Text;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>A format whose files are text in UTF-8.</summary>
internal abstract class PieceFormat : ITextFormat
{
    public abstract string Name { get; }

    public abstract string Extension { get; }

    public abstract string MediaType { get; }

    public IReadOnlyList<TextBlock> Read(byte[] file) =>
        [.. Parse(Utf8File.Decode(file, "the file")).Where(piece => piece.Block is not null).Select(piece => piece.Block!)];

    public byte[] Write(byte[] file, IReadOnlyList<string> texts)
    {
        var written = new StringBuilder();
        int block = 0;
        foreach (Piece piece in Parse(Utf8File.Decode(file, "the file")))
            written.Append(piece.Block is null ? piece.Text : Fit(piece.Block, texts[block++]));
        return Encoding.UTF8.GetBytes(written.ToString());
    }

    /// <summary>All of a file in parts, of which those with a block are texts.</summary>
    protected abstract IReadOnlyList<Piece> Parse(string text);

    /// <summary>A text as it may stand in the place of a block.</summary>
    protected virtual string Fit(TextBlock block, string text) => text;

    /// <summary>Lines with their ends.</summary>
    protected static IEnumerable<(string Text, string End)> Lines(string text)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = text.IndexOfAny(['\n', '\r'], start);
            if (end < 0)
            {
                yield return (text[start..], "");
                yield break;
            }
            int next = text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? end + 2 : end + 1;
            yield return (text[start..end], text[end..next]);
            start = next;
        }
    }

    /// <summary>A text with the blanks around it set apart; nothing to translate without a letter or digit.</summary>
    protected static void Add(List<Piece> pieces, string text)
    {
        if (!text.Any(char.IsLetterOrDigit))
        {
            if (text.Length > 0) pieces.Add(new(text));
            return;
        }
        string trimmed = text.Trim();
        int start = text.IndexOf(trimmed, StringComparison.Ordinal);
        if (start > 0) pieces.Add(new(text[..start]));
        pieces.Add(new("", new TextBlock(trimmed)));
        if (start + trimmed.Length < text.Length) pieces.Add(new(text[(start + trimmed.Length)..]));
    }
}
