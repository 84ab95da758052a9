using System.Data;
using System.Data.Common;
using Flywheel.Model;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Flywheel.Loop;

/// <summary>
/// What is SQLite's own about the record: opens the database file, makes it, brings an older one up to date, refuses what it does not
/// know. Another provider is another folder beside this one, with its own migrations.
/// </summary>
internal static class SqliteSchema
{
    public static DbContextOptions<FlywheelDb> Options(string path) => new DbContextOptionsBuilder<FlywheelDb>()
        .UseSqlite(new SqliteConnectionStringBuilder { DataSource = path, ForeignKeys = true }.ToString())
        .AddInterceptors(Durable.Instance)
        .Options;

    /// <exception cref="FlywheelException">Not a database of ours, or of a newer Flywheel.</exception>
    public static async Task PrepareAsync(FlywheelDb db, string path, CancellationToken cancellation)
    {
        try
        {
            List<string> known = [.. db.Database.GetMigrations()];
            List<string> applied = await AppliedAsync(db, path, cancellation);
            if (applied.Except(known).ToList() is [var newer, ..])
                throw new FlywheelException($"{path} was written by a newer Flywheel (schema {newer}; this one knows up to {known[^1]}); use that one, or another FLYWHEEL_HOME");
            if (applied.Count < known.Count) await MigrateAsync(db, path, cancellation);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 26 or 11) // not a database, malformed
        {
            throw new FlywheelException($"{path} is not a readable SQLite database ({e.Message}); move it away or use another FLYWHEEL_HOME", e);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 5 or 6) // busy, locked
        {
            throw new FlywheelException($"{path} is locked by another program ({e.Message}); end what holds it and start again", e);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 8 or 10 or 13 or 14) // read-only, disk error, disk full, cannot open
        {
            throw new FlywheelException($"{path} cannot be written ({e.Message}); free space, mend its permissions, or use another FLYWHEEL_HOME", e);
        }
    }

    private static async Task<List<string>> AppliedAsync(FlywheelDb db, string path, CancellationToken cancellation)
    {
        var applied = (await db.Database.GetAppliedMigrationsAsync(cancellation)).ToList();
        const string Foreign = "SELECT count(*) AS Value FROM sqlite_master WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__EFMigrationsHistory')";
        if (applied.Count == 0 && await db.Database.SqlQueryRaw<int>(Foreign).SingleAsync(cancellation) > 0)
            throw new FlywheelException($"{path} holds tables that Flywheel did not make; use another FLYWHEEL_HOME");
        return applied;
    }

    // One transaction for everything: a process killed half-way leaves the old schema. (EF's own MigrateAsync leaves a
    // lock row behind when it is killed, and then waits for it for ever.)
    private static async Task MigrateAsync(FlywheelDb db, string path, CancellationToken cancellation)
    {
        var migrator = db.GetService<IMigrator>();
        await db.Database.OpenConnectionAsync(cancellation);
        // Readers and the writer do not wait for each other. Kept in the file.
        await db.Database.ExecuteSqlRawAsync("PRAGMA journal_mode = WAL", cancellation);
        var connection = (SqliteConnection)db.Database.GetDbConnection();
        await using (SqliteTransaction transaction = connection.BeginTransaction(IsolationLevel.Serializable, deferred: false))
        {
            await db.Database.UseTransactionAsync(transaction, cancellation);
            // Another process may have done it while this one waited for the lock.
            string? last = (await AppliedAsync(db, path, cancellation)).LastOrDefault();
            if (last != db.Database.GetMigrations().Last())
            {
                using SqliteCommand command = connection.CreateCommand();
                command.Transaction = transaction;
                command.CommandText = migrator.GenerateScript(last, options: MigrationsSqlGenerationOptions.NoTransactions);
                await command.ExecuteNonQueryAsync(cancellation);
            }
            await transaction.CommitAsync(cancellation);
        }
        await db.Database.UseTransactionAsync(null, cancellation);
        await db.Database.CloseConnectionAsync();
    }

    /// <summary>A full sync at each commit, because a commit is what is acknowledged; and patience when another process writes.</summary>
    private sealed class Durable : DbConnectionInterceptor
    {
        public static Durable Instance { get; } = new();

        private const string Pragmas = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 15000;";

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using DbCommand command = connection.CreateCommand();
            command.CommandText = Pragmas;
            command.ExecuteNonQuery();
        }

        public override async Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData,
            CancellationToken cancellationToken = default)
        {
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = Pragmas;
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}
