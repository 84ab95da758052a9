using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Translate.Formats;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>A segment of a file.</summary>
/// <param name="Block">Number of the file's text that it is part of, from 0.</param>
/// <param name="After">Blanks between it and the next of the same text.</param>
public sealed record FileSegment(int Block, string Source, string After);

/// <summary>Files that can be translated: what is in them as segments, and back.</summary>
public static class TranslationFile
{
    /// <summary>Larger files are refused.</summary>
    public const int MaxBytes = 8 << 20;

    public const int MaxCharacters = 500_000, MaxSegments = 3000;

    internal static IReadOnlyList<ITextFormat> Formats { get; } = [new PlainText(), new MarkdownText(), new Subtitles(),
        new WordDocument()];

    /// <summary>Endings of the files.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [.. Formats.Select(format => format.Extension)];

    /// <summary>Name of the format of a file; null where it is none of ours.</summary>
    public static string? FormatOf(string fileName) => Path.GetExtension(fileName).ToLowerInvariant() switch
    {
        ".markdown" => "markdown",
        { } extension => Formats.FirstOrDefault(format => format.Extension == extension)?.Name,
    };

    internal static ITextFormat Named(string name) => Formats.First(format => format.Name == name);

    /// <summary>Segments in the order of the file.</summary>
    /// <param name="file">Its bytes.</param>
    /// <param name="format">Name of its format.</param>
    /// <param name="language">BCP 47 tag of its language.</param>
    /// <exception cref="FlywheelException">It is too large, or not of that format.</exception>
    public static IReadOnlyList<FileSegment> Read(byte[] file, string format, string language)
    {
        if (file.Length > MaxBytes)
            throw new FlywheelException($"the file has {file.Length:N0} bytes, expected at most {MaxBytes >> 20} MB");
        IReadOnlyList<TextBlock> blocks = Named(format).Read(file);
        long characters = blocks.Sum(block => (long)block.Text.Length);
        if (characters > MaxCharacters)
            throw new FlywheelException($"the file has {characters:N0} characters of text, expected at most {MaxCharacters:N0}; split it");
        List<FileSegment> segments = [.. blocks.SelectMany((block, i) => block.IsWhole ? [new FileSegment(i, block.Text, "")]
            : Segmenter.Split(block.Text, language).Select(sentence => new FileSegment(i, sentence.Text, sentence.After)))];
        if (segments.Count > MaxSegments)
            throw new FlywheelException($"the file has {segments.Count:N0} segments, expected at most {MaxSegments:N0}; split it");
        return segments.Count > 0 ? segments : throw new FlywheelException("there is no text in it, expected at least a word");
    }

    /// <summary>The file with each segment's translation, or where that is empty the source.</summary>
    /// <param name="file">As it was read.</param>
    /// <param name="format">Name of its format.</param>
    /// <param name="segments">Every segment of it, and the translation.</param>
    /// <param name="to">Language of the translations.</param>
    public static byte[] Write(byte[] file, string format, IReadOnlyList<(FileSegment Segment, string Target)> segments, string to)
    {
        bool unspaced = Language.Find(to)?.IsUnspaced == true;
        string[] texts = [.. segments.GroupBy(one => one.Segment.Block).OrderBy(block => block.Key).Select(block =>
        {
            var all = block.ToList();
            return string.Concat(all.Select((one, i) =>
            {
                bool translated = one.Target.Trim().Length > 0;
                string text = translated ? one.Target.Trim() : one.Segment.Source;
                if (i == all.Count - 1) return text;
                // Sentences of Chinese stand side by side, others with a blank between, whatever the source does.
                return text
                    + (!translated ? one.Segment.After : unspaced && one.Segment.After == " "
                        ? "" : one.Segment.After.Length == 0 && !unspaced ? " " : one.Segment.After);
            }));
        })];
        return Named(format).Write(file, texts);
    }
}
