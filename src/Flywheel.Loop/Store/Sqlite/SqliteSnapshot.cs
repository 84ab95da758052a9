using Flywheel.Model;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop;

/// <summary>
/// A copy of the database as it was at one moment, while others read and write it (SQLite's online backup, sqlite.org/backup.html).
/// </summary>
internal static class SqliteSnapshot
{
    /// <param name="database">The file in use.</param>
    /// <param name="copy">The file to make.</param>
    public static void Take(string database, string copy)
    {
        using SqliteConnection from = Open(database, SqliteOpenMode.ReadWrite), to = Open(copy, SqliteOpenMode.ReadWriteCreate);
        from.BackupDatabase(to);
        using SqliteCommand command = to.CreateCommand();
        command.CommandText = "PRAGMA journal_mode = DELETE"; // one file, nothing beside it
        command.ExecuteNonQuery();
    }

    /// <exception cref="FlywheelException">Pages are damaged or do not fit together.</exception>
    public static void Check(string database, string name)
    {
        using SqliteConnection connection = Open(database, SqliteOpenMode.ReadWrite);
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "PRAGMA integrity_check";
        if (command.ExecuteScalar() is not "ok") throw new FlywheelException($"{name} holds a damaged database");
    }

    private static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = mode,
            Pooling = false }.ToString());
        connection.Open();
        return connection;
    }
}
