using System.IO.Compression;
using System.Text;
using System.Text.Unicode;
using Flywheel.Data;
using Flywheel.Model;
using Flywheel.Studio.Apps.Translate.Formats;
using Flywheel.Studio.Apps.Write.Bulk;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Apps.Learn;

/// <summary>Why files cannot be learnt from, in words that the page has in each language.</summary>
/// <param name="key">Of the words.</param>
/// <param name="about">What is filled into them.</param>
internal sealed class LearnException(string key, params object?[] about) : FlywheelException(Strings.Of("en").Format(key, about))
{
    public string In(Strings words) => words.Format(key, about);
}

/// <summary>A file that was not read, and why.</summary>
internal sealed record UnreadFile(string File, string Why);

/// <summary>
/// Texts of files: plain text, Markdown, Word, web pages, tables, and archives of them. Nothing is unpacked onto the disk, so that a name
/// within an archive leads nowhere; what is unpacked is counted while it is.
/// </summary>
/// <param name="words">In which it is said why a file was not read.</param>
internal sealed class OwnFiles(Strings words)
{
    /// <summary>Of all files together, of one, and of what archives unpack to.</summary>
    public const long MaxBytes = 64 << 20, MaxFile = 8 << 20, MaxUnpacked = 128 << 20;

    private const int MaxEntries = 10_000, MaxUnread = 100;

    /// <summary>Texts are seldom packed more than 20 times; a bomb has 1,000.</summary>
    private const long MaxRatio = 200, SmallEnough = 1 << 20;

    public static IReadOnlyList<string> Extensions { get; } = [".txt", ".md", ".markdown", ".html", ".htm", ".docx", ".csv", ".tsv",
        ".zip"];

    private readonly List<OwnText> _texts = [];
    private readonly List<UnreadFile> _unread = [];
    private long _unpacked;

    public IReadOnlyList<OwnText> Texts => _texts;

    /// <summary>The first hundred.</summary>
    public IReadOnlyList<UnreadFile> Unread => _unread;

    /// <summary>Files that gave texts.</summary>
    public int NumRead { get; private set; }

    /// <summary>Takes the texts of a file in; one that cannot be read is noted.</summary>
    /// <exception cref="LearnException">An archive that nothing is taken from.</exception>
    public void Add(string name, byte[] file)
    {
        if (Path.GetExtension(name).Equals(".zip", StringComparison.OrdinalIgnoreCase)) AddArchive(name, file);
        else AddFile(name, file);
    }

    private void AddFile(string name, byte[] file)
    {
        try
        {
            int before = _texts.Count;
            _texts.AddRange(Read(name, file).Where(text => text.Text.Trim().Length > 0));
            if (_texts.Count == before) Note(name, words["learn.file-empty"]);
            else NumRead++;
        }
        catch (LearnException e)
        {
            Note(name, e.In(words));
        }
        catch (BulkException e)
        {
            Note(name, e.In(words));
        }
        catch (FlywheelException e)
        {
            Note(name, e.Message);
        }
    }

    private static IEnumerable<OwnText> Read(string name, byte[] file)
    {
        if (file.Length > MaxFile) throw new LearnException("learn.file-large", MaxFile >> 20);
        string called = Called(name);
        switch (Path.GetExtension(name).ToLowerInvariant())
        {
            case ".txt":
                (string title, string text) = PlainText(Decode(file));
                return [new(name, title.Length > 0 ? title : called, text)];
            case ".md" or ".markdown":
                return [WebText.Read(name, called, Markdig.Markdown.ToHtml(WithoutFrontMatter(Decode(file)), s_markdown))];
            case ".html" or ".htm":
                return [WebText.Read(name, called, Decode(file))];
            case ".docx":
                IReadOnlyList<(string Text, bool IsHeading, bool IsItem)> paragraphs = new WordDocument().Plain(file);
                string heading = paragraphs.FirstOrDefault(paragraph => paragraph.IsHeading).Text ?? "";
                return [new(name, heading.Length > 0 ? heading : called,
                    string.Join("\n\n",
                        paragraphs.Where(paragraph => !paragraph.IsHeading)
                            .Select(paragraph => paragraph.IsItem ? "- " + paragraph.Text : paragraph.Text))
                            .Replace("\n\n- ", "\n- ", StringComparison.Ordinal))];
            case ".csv" or ".tsv":
                return Table(name, BulkTable.Read(file));
            default:
                throw new LearnException("learn.file-kind", string.Join(", ", Extensions));
        }
    }

    private static readonly Markdig.MarkdownPipeline s_markdown =
        Markdig.MarkdownExtensions.DisableHtml(new Markdig.MarkdownPipelineBuilder()).Build();

    /// <summary>Each row a text: of the column that is called so, else of the one with the most letters; its name is the column that a
    /// brief's name would be.</summary>
    private static IEnumerable<OwnText> Table(string file, BulkTable table)
    {
        string[] columns = [.. table.Columns.Select(column => column.Trim().ToLowerInvariant())];
        int text =
            Array.FindIndex(columns,
                column =>
                    column is "text" or "copy" or "body" or "content" or "chosen" or "description" or "tagline" or "正文" or "文案" or "内容"
                        or "描述");
        if (text < 0)
            text = Enumerable.Range(0, columns.Length).MaxBy(i => table.Rows.Sum(row => i < row.Cells.Count ? row.Cells[i].Length : 0));
        int name = columns.Length < 2 ? -1 : BulkColumns.Guess(table.Columns).IndexOf("name");
        foreach (BulkRow row in table.Rows)
            if (text < row.Cells.Count)
                yield return new($"{file}:{row.Line}", name >= 0 && name != text && name < row.Cells.Count ? row.Cells[name] : "",
                    row.Cells[text]);
    }

    private void AddArchive(string name, byte[] file)
    {
        try
        {
            using var zip = new ZipArchive(new MemoryStream(file), ZipArchiveMode.Read);
            if (zip.Entries.Count > MaxEntries) throw new LearnException("learn.zip-many", name, zip.Entries.Count, MaxEntries);
            foreach (ZipArchiveEntry entry in zip.Entries)
            {
                string path = entry.FullName.Replace('\\', '/');
                if (path.EndsWith('/') || path.StartsWith("__MACOSX/", StringComparison.Ordinal) || Path.GetFileName(path).StartsWith('.'))
                    continue;
                if (path.StartsWith('/') || path.Contains(':', StringComparison.Ordinal) || path.Split('/').Contains(".."))
                    Note(path, words["learn.zip-path"]);
                else if (path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase)) Note(path, words["learn.zip-in-zip"]);
                else if (!Extensions.Contains(Path.GetExtension(path).ToLowerInvariant()))
                    Note(path, words.Format("learn.file-kind", string.Join(", ", Extensions)));
                else if (Unpack(name, entry) is { } content) AddFile(path, content);
                else Note(path, words.Format("learn.file-large", MaxFile >> 20));
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException or ArgumentException)
        {
            throw new LearnException("learn.zip-damaged", name, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>What an entry holds; null when that is more than one file may. What the directory says of its length may be a
    /// lie.</summary>
    private byte[]? Unpack(string archive, ZipArchiveEntry entry)
    {
        using Stream stream = entry.Open();
        using var content = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        long length = 0;
        for (int read; (read = stream.Read(buffer)) > 0;)
        {
            (length, _unpacked) = (length + read, _unpacked + read);
            if (_unpacked > MaxUnpacked) throw new LearnException("learn.zip-unpacks", archive, MaxUnpacked >> 20);
            if (length > SmallEnough && length > MaxRatio * Math.Max(1, entry.CompressedLength))
                throw new LearnException("learn.zip-bomb", archive, MaxRatio);
            if (length <= MaxFile) content.Write(buffer, 0, read);
        }
        return length <= MaxFile ? content.ToArray() : null;
    }

    private void Note(string file, string why)
    {
        if (_unread.Count < MaxUnread) _unread.Add(new(file.Length <= 120 ? file : file[..117] + "...", why));
    }

    private static string Decode(byte[] file)
    {
        if (file is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
            return (file[0] == 0xFF ? Encoding.Unicode : Encoding.BigEndianUnicode).GetString(file, 2, file.Length - 2);
        return Utf8.IsValid(file) ? Encoding.UTF8.GetString(file).TrimStart('\uFEFF') : throw new LearnException("learn.not-utf8");
    }

    /// <summary>A first line that stands alone, is short and ends no sentence is what the text is about.</summary>
    private static (string Title, string Text) PlainText(string text)
    {
        string[] lines = text.ReplaceLineEndings("\n").TrimStart('\n').Split('\n', 3);
        return lines is [var first, var second, var rest] && second.Trim().Length == 0 && first.Trim() is { Length: > 0 and <= 80 } title
            && title[^1] is not ('.' or '!' or '?' or ':' or '。' or '！') ? (title, rest) : ("", text);
    }

    private static string WithoutFrontMatter(string text) =>
        text.StartsWith("---\n", StringComparison.Ordinal) && text.IndexOf("\n---\n", 3, StringComparison.Ordinal) is > 0 and int end
            ? text[(end + 5)..] : text;

    /// <summary>A file's name as words; empty where it is only numbers and signs.</summary>
    private static string Called(string file)
    {
        string name =
            string.Join(' ',
                Path.GetFileNameWithoutExtension(file.Replace('\\', '/')).Split(['-', '_', ' '], StringSplitOptions.RemoveEmptyEntries));
        return name.Count(char.IsLetter) * 2 > name.Length ? name : "";
    }
}
