using System.Collections.Concurrent;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests;

/// <summary>The databases that hold a record; what is tested of the store is tested on each.</summary>
public enum Provider { Sqlite, Postgres }

/// <summary>Homes of a test, each with a database of its own.</summary>
internal sealed class TestRecord(Provider provider) : IDisposable
{
    /// <summary>Made once, copied for each test.</summary>
    private static readonly Lazy<Task<string>> s_template = new(async () =>
    {
        PostgresCluster cluster = await PostgresCluster.SharedAsync();
        string connection = await cluster.CreateDatabaseAsync();
        using var folder = new TempFolder();
        await (await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"], connection))).DisposeAsync();
        return NameIn(connection);
    });

    private const string Clean = """
        DO $$ DECLARE name text; BEGIN
            SET session_replication_role = replica;
            FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('workspace', '__EFMigrationsHistory')
            LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
            DELETE FROM workspace WHERE id <> 'default';
            DELETE FROM "__EFMigrationsHistory" WHERE "MigrationId" > '2900';
        END $$
        """;

    /// <summary>Databases with all tables whose tests have ended.</summary>
    private static readonly ConcurrentBag<string> s_used = [];

    private readonly List<string> _taken = [];

    public TempFolder Folder { get; } = new();

    public bool IsPostgres => provider == Provider.Postgres;

    /// <summary>A new home; on PostgreSQL with a database that holds no rows.</summary>
    /// <param name="name">Of its folder.</param>
    /// <param name="empty">The database does not even hold tables.</param>
    public async Task<FlywheelHome> HomeAsync(string name = "home", bool empty = false)
    {
        if (!IsPostgres) return new(Folder[name], "");
        PostgresCluster cluster = await PostgresCluster.SharedAsync();
        string template = await s_template.Value;
        if (empty) return new(Folder[name], await cluster.CreateDatabaseAsync());
        // To empty one is quicker than to make one.
        if (s_used.TryTake(out string? connection)) await cluster.SqlAsync(NameIn(connection), Clean);
        else connection = await cluster.CreateDatabaseAsync(template);
        _taken.Add(connection);
        return new(Folder[name], connection);
    }

    public void Dispose()
    {
        foreach (string connection in _taken) s_used.Add(connection);
        SqliteConnection.ClearAllPools();
        Folder.Dispose();
    }

    private static string NameIn(string connection) => connection.Split("Database=")[1].Split(';')[0];
}
