using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// A folder that gets its name when it is whole. A process that is killed while it writes one leaves it behind; the next that writes
/// beside it takes it away, but never one whose writer may live: a home may be on a disk that several machines share.
/// </summary>
/// <remarks>
/// The writer holds a lock on a file beside the folder, which names its machine and process. Not every file system keeps locks, and
/// fewer keep them between machines; so a writer counts as dead when its lock is free and its process is gone from this machine. What
/// another machine left, or nobody's lock explains, goes when nothing in it has changed for a week.
/// </remarks>
internal sealed partial class TemporaryFolder : IDisposable
{
    private const string LockEnding = ".lock";

    private static readonly TimeSpan s_abandoned = TimeSpan.FromDays(7);

    private readonly FileStream _claim;

    /// <param name="parent">Where the finished folder will lie; made when missing.</param>
    /// <exception cref="FlywheelException">The disk is full; nothing is left behind.</exception>
    public TemporaryFolder(string parent)
    {
        FileStream? claim = null;
        string path = System.IO.Path.Combine(System.IO.Path.GetFullPath(parent), $"folder.{Guid.NewGuid():N}.tmp");
        AtomicFile.NameFullDisk(parent, () =>
        {
            Directory.CreateDirectory(parent);
            Sweep(parent);
            // Before the folder: who sees it finds its lock taken.
            claim = new FileStream(path + LockEnding, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            try
            {
                claim.Write(System.Text.Encoding.UTF8.GetBytes(Owner(Environment.ProcessId)));
                Directory.CreateDirectory(path);
            }
            catch
            {
                File.Delete(path + LockEnding);
                claim.Dispose();
                throw;
            }
        });
        (Path, _claim) = (path, claim!);
    }

    public string Path { get; }

    private static string Owner(int process) => string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName} {process}");

    /// <summary>Takes away what killed processes left in a folder.</summary>
    internal static void Sweep(string parent)
    {
        foreach (string path in Directory.EnumerateFileSystemEntries(parent, "folder.*.tmp*"))
        {
            try
            {
                if (Ours().Match(System.IO.Path.GetFileName(path)) is not { Success: true } name) continue;
                if (name.Groups["lock"].Success ? !Directory.Exists(path[..^LockEnding.Length]) && IsAbandoned(path) : IsDead(path)
                    || IsAbandoned(path)) Delete(name.Groups["lock"].Success ? path[..^LockEnding.Length] : path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Somebody else writes it or is taking it away; if not, it is tried again next time.
            }
        }
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        File.Delete(folder + LockEnding);
    }

    /// <exception cref="IOException">The lock is taken.</exception>
    private static bool IsDead(string folder)
    {
        if (!File.Exists(folder + LockEnding)) return false;
        using var claim = new FileStream(folder + LockEnding, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        using var reader = new StreamReader(claim);
        string owner = reader.ReadToEnd();
        return int.TryParse(owner[(owner.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture, out int process) && owner == Owner(process)
            && !IsRunning(process);
    }

    private static bool IsRunning(int process)
    {
        try
        {
            using Process found = Process.GetProcessById(process);
            return !found.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static bool IsAbandoned(string path)
    {
        IEnumerable<FileSystemInfo> all = Directory.Exists(path)
            ? new DirectoryInfo(path).EnumerateFileSystemInfos("*", SearchOption.AllDirectories)
                .Append(new DirectoryInfo(path)) : [new FileInfo(path)];
        return all.Max(entry => entry.LastWriteTimeUtc) < DateTime.UtcNow - s_abandoned;
    }

    [GeneratedRegex(@"^folder\.[0-9a-f]{32}\.tmp(?<lock>\.lock)?$")]
    private static partial Regex Ours();

    /// <summary>Removes the folder, unless it has been renamed.</summary>
    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
        File.Delete(Path + LockEnding);
        _claim.Dispose();
    }
}
