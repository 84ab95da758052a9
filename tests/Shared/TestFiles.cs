namespace Flywheel.Testing;

/// <summary>Finds the repository, the developers' shared models, and temporary folders that clean up after themselves.</summary>
internal static class TestFiles
{
    /// <summary>The repository root: the nearest folder above the test executable that holds Flywheel.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>
    /// A file or folder under ../shared, which only developers' and CI machines have; elsewhere the test is skipped.
    /// </summary>
    public static string Shared(params string[] parts)
    {
        string path = Path.Combine([Path.GetFullPath(Path.Combine(Root, "..", "shared")), .. parts]);
        if (!Path.Exists(path)) Assert.Skip($"{path} is not on this machine");
        return path;
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Flywheel.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"no Flywheel.slnx above {AppContext.BaseDirectory}");
    }
}

/// <summary>An empty folder under the system's temporary folder, removed on dispose.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("flywheel-test-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
    }
}
