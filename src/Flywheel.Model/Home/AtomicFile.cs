using System.Runtime.InteropServices;
using System.Text;

namespace Flywheel.Model;

/// <summary>Files and folders that appear whole or not at all, also when the process or the machine dies half-way.</summary>
public static class AtomicFile
{
    /// <summary>Writes to a temporary neighbour, syncs it to disk and renames it over <paramref name="path"/>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Fills it.</param>
    /// <param name="mode">Who may read it, from its first byte on; null: as the process makes files. Windows has no such modes.</param>
    /// <exception cref="FlywheelException">The disk is full; <paramref name="path"/> is as it was.</exception>
    public static void Write(string path, Action<Stream> write, UnixFileMode? mode = null)
    {
        path = Path.GetFullPath(path);
        string temporary = TemporaryName(path);
        NameFullDisk(path, () =>
        {
            try
            {
                var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None,
                    BufferSize = 1 << 16 };
                if (mode is not null && !OperatingSystem.IsWindows()) options.UnixCreateMode = mode;
                using (var stream = new FileStream(temporary, options))
                {
                    write(stream);
                    stream.Flush(flushToDisk: true);
                }
                File.Move(temporary, path, overwrite: true);
                SyncFolder(Path.GetDirectoryName(path)!);
            }
            finally
            {
                File.Delete(temporary); // nothing when it has been renamed
            }
        });
    }

    /// <summary>Copies content alone: File.Copy would copy a read-only mode too, and then nobody could sync or replace the copy.</summary>
    internal static void Copy(string source, string target)
    {
        using FileStream from = File.OpenRead(source), to = File.Create(target);
        from.CopyTo(to);
    }

    public static void WriteText(string path, string text, UnixFileMode? mode = null) =>
        Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)), mode);

    /// <summary>
    /// Fills a temporary folder beside <paramref name="path"/> and renames it into place. If the folder is already
    /// there (content-addressed, so equal), the new one is dropped.
    /// </summary>
    /// <exception cref="FlywheelException">The disk is full; nothing is left behind.</exception>
    public static void WriteFolder(string path, Action<string> fill)
    {
        path = Path.GetFullPath(path);
        WriteNamedFolder(Path.GetDirectoryName(path)!, temporary =>
        {
            fill(temporary);
            return Path.GetFileName(path);
        });
    }

    /// <summary>The same for a folder whose name follows from its content: <paramref name="fill"/> returns the name.</summary>
    /// <returns>The folder's path.</returns>
    public static string WriteNamedFolder(string parent, Func<string, string> fill)
    {
        parent = Path.GetFullPath(parent);
        string path = parent;
        NameFullDisk(parent, () =>
        {
            using var temporary = new TemporaryFolder(parent);
            path = Path.Combine(parent, fill(temporary.Path));
            Publish(temporary.Path, path);
        });
        return path;
    }

    /// <summary>Syncs a finished folder to disk and renames it; leaves it when <paramref name="path"/> is already there.</summary>
    internal static void Publish(string temporary, string path)
    {
        if (Directory.Exists(path)) return;
        foreach (string file in Directory.EnumerateFiles(temporary, "*", SearchOption.AllDirectories))
        {
            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(handle);
        }
        foreach (string folder in Directory.EnumerateDirectories(temporary, "*", SearchOption.AllDirectories)) SyncFolder(folder);
        SyncFolder(temporary);
        try
        {
            Directory.Move(temporary, path);
        }
        catch (IOException) when (Directory.Exists(path))
        {
            return; // another process published the same content in this moment
        }
        SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Runs <paramref name="write"/>; a full disk becomes an error that names the path.</summary>
    internal static void NameFullDisk(string path, Action write)
    {
        const int NoSpaceUnix = 28, QuotaUnix = 122, DiskFullWindows = unchecked((int)0x80070070);
        try
        {
            write();
        }
        catch (IOException e) when (e.HResult is NoSpaceUnix or QuotaUnix or DiskFullWindows)
        {
            throw new FlywheelException($"{path}: no space left on the disk; free some and run again. Nothing was half-written", e);
        }
    }

    private static string TemporaryName(string path) => $"{path}.{Guid.NewGuid():N}.tmp";

    /// <summary>Makes renames in a folder last through a power cut. Windows does so by itself.</summary>
    private static void SyncFolder(string path)
    {
        if (OperatingSystem.IsWindows()) return;
        int descriptor = Native.Open(Encoding.UTF8.GetBytes(path + '\0'), 0);
        if (descriptor < 0) return; // a folder that we may write but not read: the rename itself has succeeded
        _ = Native.Fsync(descriptor);
        _ = Native.Close(descriptor);
    }

    /// <summary>.NET opens no folders.</summary>
    private static class Native
    {
        [DllImport("libc", EntryPoint = "open")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "fsync")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Fsync(int descriptor);

        [DllImport("libc", EntryPoint = "close")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Close(int descriptor);
    }
}
