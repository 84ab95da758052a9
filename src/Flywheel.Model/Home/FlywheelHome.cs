namespace Flywheel.Model;

/// <summary>
/// The folder that holds everything Flywheel makes: database, models, runs, datasets, fetched sources. It is given by
/// FLYWHEEL_HOME, else <c>.flywheel</c> in the current folder (the launcher makes that the project's). The database may also be
/// one of a PostgreSQL server, which homes of several machines share.
/// </summary>
public sealed class FlywheelHome
{
    /// <param name="path">The folder; null: as FLYWHEEL_HOME says.</param>
    /// <param name="server">Connection string of the database server that keeps the record; null: as FLYWHEEL_DATABASE says, else as
    /// <see cref="ServerFile"/> does; empty: none, the record is a file of the home.</param>
    public FlywheelHome(string? path = null, string? server = null)
    {
        path ??= Environment.GetEnvironmentVariable("FLYWHEEL_HOME");
        Path = System.IO.Path.GetFullPath(string.IsNullOrEmpty(path) ? ".flywheel" : path);
        server ??= Environment.GetEnvironmentVariable("FLYWHEEL_DATABASE") is { Length: > 0 } given ? given
            : File.Exists(ServerFile) ? File.ReadAllText(ServerFile).Trim() : null;
        Server = string.IsNullOrEmpty(server) ? null : server;
    }

    public string Path { get; }

    /// <summary>SQLite database of the record (generations, feedback, runs, models, ...), where no <see cref="Server"/> keeps it.</summary>
    public string Database => System.IO.Path.Combine(Path, "flywheel.db");

    /// <summary>Connection string of the PostgreSQL database that keeps the record, perhaps with a password; null: it is
    /// <see cref="Database"/>.</summary>
    public string? Server { get; }

    /// <summary>Says which server's database the home was used with, without the password, so that no later command makes a second
    /// record beside it.</summary>
    public string ServerFile => System.IO.Path.Combine(Path, "database.txt");

    /// <summary>There is a record to be opened.</summary>
    public bool HasRecord => Server is not null || File.Exists(Database);

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
