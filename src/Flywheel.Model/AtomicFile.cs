namespace Flywheel.Model;

/// <summary>Files and folders that appear whole or not at all, also when the process or the machine dies half-way.</summary>
public static class AtomicFile
{
    /// <summary>Writes to a temporary neighbour, syncs it to disk and renames it over <paramref name="path"/>.</summary>
    public static void Write(string path, Action<Stream> write)
    {
        path = Path.GetFullPath(path);
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    public static void WriteText(string path, string text) =>
        Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Fills a temporary folder beside <paramref name="path"/> and renames it into place. If the folder is already
    /// there (content-addressed, so equal), the new one is dropped.
    /// </summary>
    public static void WriteFolder(string path, Action<string> fill)
    {
        path = Path.GetFullPath(path);
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        Directory.CreateDirectory(temporary);
        try
        {
            fill(temporary);
            if (!Directory.Exists(path)) Directory.Move(temporary, path);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }
}
