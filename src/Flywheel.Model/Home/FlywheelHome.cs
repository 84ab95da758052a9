namespace Flywheel.Model;

/// <summary>
/// The folder that holds everything Flywheel makes: database, models, runs, datasets, fetched sources. It is given by
/// FLYWHEEL_HOME, else <c>.flywheel</c> in the current folder (the launcher makes that the project's).
/// </summary>
public sealed class FlywheelHome
{
    public FlywheelHome(string? path = null)
    {
        path ??= Environment.GetEnvironmentVariable("FLYWHEEL_HOME");
        Path = System.IO.Path.GetFullPath(string.IsNullOrEmpty(path) ? ".flywheel" : path);
    }

    public string Path { get; }

    /// <summary>SQLite database of the record (generations, feedback, runs, models, ...).</summary>
    public string Database => System.IO.Path.Combine(Path, "flywheel.db");

    /// <summary>Model folders, each named by its hash.</summary>
    public string Models => Folder("models");

    /// <summary>Run folders: recipe, log, checkpoints, curve, result.</summary>
    public string Runs => Folder("runs");

    /// <summary>Tokenised datasets, each named by its hash.</summary>
    public string Datasets => Folder("datasets");

    /// <summary>Third-party data as fetched.</summary>
    public string Sources => Folder("sources");

    /// <summary>What can be made again: repacked weights, mended native libraries.</summary>
    public string Cache => Folder("cache");

    private string Folder(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, name)).FullName;
}
