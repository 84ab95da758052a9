using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>A disk on which nothing more fits is something that a person can mend.</summary>
internal static class FullDisk
{
    private const int NoSpaceUnix = 28, QuotaUnix = 122, DiskFullWindows = unchecked((int)0x80070070);

    public static bool Is(IOException e) => e.HResult is NoSpaceUnix or QuotaUnix or DiskFullWindows;

    public static FlywheelException Named(string path, IOException e) =>
        new($"{path}: no space left on the disk; free some and run again. What was rendered is kept, and nothing was half-written", e);
}
