using System.Data;
using System.Data.Common;
using Flywheel.Model;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Flywheel.Loop;

/// <summary>The record in a file of the home, for the processes of one machine.</summary>
internal sealed class SqliteDatabase(string path) : IRecordDatabase
{
    private readonly DbContextOptions<FlywheelDb> _options = Options(path);

    public bool IsShared => false;

    public static DbContextOptions<FlywheelDb> Options(string path) => new DbContextOptionsBuilder<FlywheelDb>()
        .UseSqlite(new SqliteConnectionStringBuilder { DataSource = path, ForeignKeys = true }.ToString())
        .AddInterceptors(Durable.Instance)
        .Options;

    /// <remarks>A transaction begins as BEGIN IMMEDIATE: nobody else writes until it ends.</remarks>
    public FlywheelDb Open(bool inOrder = true) => new(_options);

    public async Task<FlywheelDb> OpenSnapshotAsync(CancellationToken cancellation)
    {
        FlywheelDb db = Open();
        try
        {
            await db.Database.OpenConnectionAsync(cancellation);
            // Deferred, it never asks for the lock of who writes. Closing the connection ends it.
            await db.Database.UseTransactionAsync(
                ((SqliteConnection)db.Database.GetDbConnection()).BeginTransaction(IsolationLevel.Serializable, deferred: true),
                cancellation);
            return db;
        }
        catch
        {
            await db.DisposeAsync();
            throw;
        }
    }

    public async Task PrepareAsync(CancellationToken cancellation)
    {
        await using FlywheelDb db = Open();
        try
        {
            List<string> known = [.. db.Database.GetMigrations()];
            List<string> applied = await AppliedAsync(db, cancellation);
            if (applied.Except(known).ToList() is [var newer, ..])
                throw new FlywheelException(
                    $"{path} was written by a newer Flywheel (schema {newer}; this one knows up to {known[^1]}); use that one, or another FLYWHEEL_HOME");
            if (applied.Count < known.Count) await MigrateAsync(db, cancellation);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 26 or 11) // not a database, malformed
        {
            throw new FlywheelException(
                $"{path} is not a readable SQLite database ({e.Message}); move it away or use another FLYWHEEL_HOME", e);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 5 or 6) // busy, locked
        {
            throw new FlywheelException($"{path} is locked by another program ({e.Message}); end what holds it and start again", e);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 8 or 10 or 13 or 14) // read-only, disk error, disk full, cannot open
        {
            throw new FlywheelException(
                $"{path} cannot be written ({e.Message}); free space, mend its permissions, or use another FLYWHEEL_HOME", e);
        }
    }

    /// <summary>Freed bytes become zeros in the pages that are written anyway.</summary>
    public async Task OverwriteDeletedAsync(FlywheelDb db, CancellationToken cancellation)
    {
        await db.Database.OpenConnectionAsync(cancellation);
        await db.Database.ExecuteSqlRawAsync("PRAGMA secure_delete = ON", cancellation);
    }

    public async Task CompactAsync(Action<string> say, CancellationToken cancellation)
    {
        await using FlywheelDb db = Open();
        try
        {
            await db.Database.ExecuteSqlRawAsync("VACUUM", cancellation);
        }
        catch (SqliteException e) when (FaultOf(e) == StoreFault.Locked)
        {
            say("The database is busy: its free pages, which were overwritten with zeros, are kept.");
        }
        await EmptyLogAsync(say, cancellation);
    }

    public async Task EmptyLogAsync(Action<string> say, CancellationToken cancellation)
    {
        await using FlywheelDb db = Open();
        try
        {
            await db.Database.ExecuteSqlRawAsync("PRAGMA wal_checkpoint(TRUNCATE)", cancellation);
        }
        catch (SqliteException e) when (FaultOf(e) == StoreFault.Locked)
        {
            say("The database is busy: its log is emptied when the last program closes it.");
        }
    }

    /// <summary>Processes of one machine lock files.</summary>
    public Task<IAsyncDisposable?> TryLockAsync(string name, CancellationToken cancellation)
    {
        try
        {
            return Task.FromResult<IAsyncDisposable?>(new FileStream(Path.Combine(Path.GetDirectoryName(path)!, $"{name}.lock"),
                FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException)
        {
            return Task.FromResult<IAsyncDisposable?>(null);
        }
    }

    /// <summary>By sqlite.org/rescode.html.</summary>
    public static StoreFault? FaultOf(Exception e) => e is not SqliteException sqlite ? null : sqlite.SqliteErrorCode switch
    {
        5 or 6 => StoreFault.Locked, // BUSY, LOCKED
        8 or 10 or 14 => StoreFault.Unavailable, // READONLY, IOERR, CANTOPEN
        13 => StoreFault.Full,
        _ => null,
    };

    public void Dispose()
    {
    }

    private async Task<List<string>> AppliedAsync(FlywheelDb db, CancellationToken cancellation)
    {
        var applied = (await db.Database.GetAppliedMigrationsAsync(cancellation)).ToList();
        const string Foreign =
            "SELECT count(*) AS Value FROM sqlite_master WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__EFMigrationsHistory')";
        if (applied.Count == 0 && await db.Database.SqlQueryRaw<int>(Foreign).SingleAsync(cancellation) > 0)
            throw new FlywheelException($"{path} holds tables that Flywheel did not make; use another FLYWHEEL_HOME");
        return applied;
    }

    // One transaction for everything: a process killed half-way leaves the old schema. (EF's own MigrateAsync leaves a
    // lock row behind when it is killed, and then waits for it for ever.)
    private async Task MigrateAsync(FlywheelDb db, CancellationToken cancellation)
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
            string? last = (await AppliedAsync(db, cancellation)).LastOrDefault();
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
