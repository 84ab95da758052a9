using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>
/// Where files that people send lie while they are worked on: in the home, for its owner alone, left out of backups. What a crash left
/// there goes when a server
/// starts, the only one of its home.
/// </summary>
internal sealed class Uploads
{
    public Uploads(FlywheelHome home)
    {
        Folder = Path.Combine(home.Cache, "uploads");
        if (Directory.Exists(Folder)) Directory.Delete(Folder, recursive: true);
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(Folder);
        else Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Folder { get; }

    /// <summary>A new file; who asks for it deletes it.</summary>
    public FileStream Create()
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite,
            Options = FileOptions.Asynchronous };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new(Path.Combine(Folder, $"{Guid.NewGuid():N}"), options);
    }
}
