using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>A file that was uploaded, or that a job made.</summary>
/// <param name="Id"><c>file-</c> and 32 hexadecimal digits.</param>
/// <param name="Name">As its owner called it.</param>
/// <param name="Purpose">What it may be used for.</param>
/// <param name="NumBytes">Its size.</param>
/// <param name="Created">When it was complete.</param>
/// <param name="User">Whose it is; empty without accounts.</param>
public sealed record UploadedFile(string Id, string Name, string Purpose, long NumBytes, DateTimeOffset Created, string User)
{
    public string Workspace { get; init; } = WorkspaceRow.Default;
}

/// <summary>Files of the API in the home's folder <c>files</c>: one folder each, which is there as a whole or not at all.</summary>
public sealed partial class UploadedFiles(FlywheelHome home, TimeProvider time)
{
    public const string FineTune = "fine-tune", FineTuneResults = "fine-tune-results";

    private string Root => Path.Combine(home.Path, "files");

    /// <summary>Keeps what is written; nothing of it remains when that fails.</summary>
    /// <param name="write">Writes the content, and then knows the name and the purpose.</param>
    /// <param name="user">Whose it is.</param>
    public async Task<UploadedFile> AddAsync(Func<Stream, Task<(string Name, string Purpose)>> write, string user)
    {
        DateTimeOffset now = time.GetUtcNow();
        string id = $"file-{Guid.CreateVersion7(now):N}", folder = Path.Combine(Root, id), unfinished = folder + ".tmp";
        Directory.CreateDirectory(unfinished);
        try
        {
            (string name, string purpose) = ("", "");
            long length;
            await using (FileStream content = File.Create(Path.Combine(unfinished, "content")))
            {
                (name, purpose) = await write(content);
                content.Flush(flushToDisk: true);
                length = content.Length;
            }
            var file = new UploadedFile(id, name, purpose, length, now, user) { Workspace = Actor.Here };
            AtomicFile.WriteText(Path.Combine(unfinished, "file.json"), JsonSerializer.Serialize(file, JsonText.Compact));
            Directory.Move(unfinished, folder);
            return file;
        }
        catch
        {
            Directory.Delete(unfinished, recursive: true);
            throw;
        }
    }

    /// <summary>Null: there is none with that id.</summary>
    public UploadedFile? Find(string id) => Id().IsMatch(id) ? Read(Path.Combine(Root, id)) : null;

    /// <summary>All, oldest first.</summary>
    public IReadOnlyList<UploadedFile> List() => !Directory.Exists(Root) ? []
        : [.. Directory.GetDirectories(Root).Where(folder => Id().IsMatch(Path.GetFileName(folder))).Select(Read).OfType<UploadedFile>()
            .OrderBy(file => file.Created).ThenBy(file => file.Id, StringComparer.Ordinal)];

    /// <summary>Where its bytes lie.</summary>
    public string PathOf(UploadedFile file) => Path.Combine(Root, file.Id, "content");

    /// <summary>Removes it; what has opened it already reads on.</summary>
    public void Delete(UploadedFile file)
    {
        string folder = Path.Combine(Root, file.Id), leaving = folder + ".tmp";
        Directory.Move(folder, leaving); // gone at once, however long the rest takes
        Directory.Delete(leaving, recursive: true);
    }

    private static UploadedFile? Read(string folder)
    {
        try
        {
            var file = JsonSerializer.Deserialize<UploadedFile>(File.ReadAllText(Path.Combine(folder, "file.json")), JsonText.Compact);
            return Actor.Workspace is null || file?.Workspace == Actor.Workspace ? file : null; // as the record's rows are
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null; // deleted meanwhile
        }
    }

    [GeneratedRegex("^file-[0-9a-f]{32}$")]
    private static partial Regex Id();
}
