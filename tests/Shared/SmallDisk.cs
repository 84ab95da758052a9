using System.Diagnostics;

namespace Flywheel.Testing;

/// <summary>A file system of a few megabytes in memory, to be full for real. Needs the right to mount; skips without.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _path;

    public SmallDisk(string path, int numBytes)
    {
        Directory.CreateDirectory(_path = path);
        if (Run("mount", "-t", "tmpfs", "-o", $"size={numBytes}", "tmpfs", path) != 0) Assert.Skip("mounting a tmpfs needs root");
    }

    /// <summary>Leaves no byte free.</summary>
    public static void Fill(string file)
    {
        using var stream = new FileStream(file, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            for (byte[] piece = new byte[1 << 12]; ;) stream.Write(piece);
        }
        catch (IOException)
        {
        }
    }

    private static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }

    public void Dispose() => Run("umount", "-l", _path);
}
