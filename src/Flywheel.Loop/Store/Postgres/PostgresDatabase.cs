using System.Data;
using System.Data.Common;
using System.Net.Sockets;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Flywheel.Loop;

/// <summary>The record in a database of a PostgreSQL server, which servers of several machines may share.</summary>
internal sealed class PostgresDatabase : IRecordDatabase
{
    /// <summary>Advisory locks (postgresql.org/docs/current/explicit-locking.html) are numbers: this one is of transactions.</summary>
    private const long TransactionLock = 0x666c_7977_6865_656c; // "flywheel"

    private readonly DbContextOptions<PostgresDb> _inOrder, _beside;
    private readonly NpgsqlConnectionStringBuilder _connection;

    /// <exception cref="FlywheelException">The text is no connection string.</exception>
    public PostgresDatabase(string connection)
    {
        _connection = Parse(connection);
        _beside = Options().Options;
        _inOrder = Options().AddInterceptors(InOrder.Instance).Options;
    }

    public bool IsShared => true;

    /// <summary>For people: where it is, without a password.</summary>
    public string Name =>
        $"the PostgreSQL database {_connection.Database} on {_connection.Host}{(_connection.Port == NpgsqlConnection.DefaultPort ? "" : $":{_connection.Port}")}";

    public FlywheelDb Open(bool inOrder = true) => new PostgresDb(inOrder ? _inOrder : _beside);

    public async Task<FlywheelDb> OpenSnapshotAsync(CancellationToken cancellation)
    {
        FlywheelDb db = Open(inOrder: false);
        try
        {
            await db.Database.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellation);
            return db;
        }
        catch
        {
            await db.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has the home remember which database it is used with.</summary>
    public void NoteIn(FlywheelHome home)
    {
        var open = new NpgsqlConnectionStringBuilder(home.Server) { Password = null, Passfile = null, SslPassword = null };
        string line = open.ConnectionString + "\n";
        if (!File.Exists(home.ServerFile) || File.ReadAllText(home.ServerFile) != line) AtomicFile.WriteText(home.ServerFile, line);
    }

    public async Task PrepareAsync(CancellationToken cancellation)
    {
        try
        {
            await using FlywheelDb db = Open();
            await CheckDurableAsync(db, cancellation);
            List<string> known = [.. db.Database.GetMigrations()];
            List<string> applied = await AppliedAsync(db, cancellation);
            if (applied.Except(known).ToList() is [var newer, ..])
                throw new FlywheelException(
                    $"{Name} was written by a newer Flywheel (schema {newer}; this one knows up to {known[^1]}); use that one, or another database");
            if (applied.Count < known.Count) await MigrateAsync(db, cancellation);
        }
        catch (Exception e) when (Refusal(e) is { } why)
        {
            throw new FlywheelException($"{Name} {why}", e);
        }
    }

    /// <summary>Rows are never overwritten in place here: <see cref="CompactAsync"/> rewrites what is left.</summary>
    public Task OverwriteDeletedAsync(FlywheelDb db, CancellationToken cancellation) => Task.CompletedTask;

    public async Task CompactAsync(Action<string> say, CancellationToken cancellation)
    {
        await using FlywheelDb db = Open();
        db.Database.SetCommandTimeout(TimeSpan.FromHours(1));
        try
        {
            await db.Database.ExecuteSqlRawAsync("VACUUM (FULL)", cancellation);
            say("The tables were rewritten. What was removed may still lie in the server's log (WAL) until that is recycled, and in backups.");
        }
        catch (Exception e) when (StoreFaults.Of(e) == StoreFault.Locked)
        {
            say("The database is busy: what was removed stays in its free space until VACUUM FULL is run.");
        }
    }

    public Task EmptyLogAsync(Action<string> say, CancellationToken cancellation) => CompactAsync(say, cancellation);

    /// <summary>Held by a connection of its own; the server drops it with that.</summary>
    public async Task<IAsyncDisposable?> TryLockAsync(string name, CancellationToken cancellation)
    {
        var alone = new NpgsqlConnectionStringBuilder(_connection.ConnectionString) { Pooling = false, KeepAlive = 30 };
        var connection = new NpgsqlConnection(alone.ConnectionString);
        try
        {
            await connection.OpenAsync(cancellation);
            await using var command = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", connection);
            command.Parameters.Add(new() { Value = $"flywheel {name}" });
            if (await command.ExecuteScalarAsync(cancellation) is true) return new Held(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
        await connection.DisposeAsync();
        return null;
    }

    /// <summary>A lock of a connection. It is given up by name: the server notices only some time after a connection is closed.</summary>
    private sealed class Held(NpgsqlConnection connection) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            try
            {
                await using var command = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", connection);
                await command.ExecuteNonQueryAsync();
            }
            catch (Exception e) when (e is NpgsqlException or InvalidOperationException)
            {
                // The connection is lost, and with it the lock.
            }
            await connection.DisposeAsync();
        }
    }

    /// <summary>By postgresql.org/docs/current/errcodes-appendix.html.</summary>
    public static StoreFault? FaultOf(Exception e) => e switch
    {
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => StoreFault.Full,
        PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected
            or PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.QueryCanceled } => StoreFault.Locked,
        // connection, resources (too many connections), operator (shutting down, starting)
        PostgresException { SqlState: ['0', '8', ..] or ['5', '3', ..] or ['5', '7', ..] } => StoreFault.Unreachable,
        // authorization, no such database, read-only, system
        PostgresException { SqlState: ['2', '8', ..] or ['3', 'D', ..] or PostgresErrorCodes.ReadOnlySqlTransaction or ['5', '8', ..] } =>
            StoreFault.Unavailable,
        PostgresException => null,
        NpgsqlException => StoreFault.Unreachable, // no answer, or none in time
        _ => null,
    };

    public void Dispose()
    {
        using var any = new NpgsqlConnection(_connection.ConnectionString);
        NpgsqlConnection.ClearPool(any);
    }

    private static NpgsqlConnectionStringBuilder Parse(string connection)
    {
        const string Expected = "expected one of PostgreSQL, such as Host=db.example.com;Database=flywheel;Username=flywheel;Password=...";
        NpgsqlConnectionStringBuilder given;
        try
        {
            given = new NpgsqlConnectionStringBuilder(connection);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            // Its message may quote a value, and a value may be the password.
            throw new FlywheelException(
                $"the connection string of the database (--database or FLYWHEEL_DATABASE) cannot be read, {Expected}");
        }
        if (string.IsNullOrEmpty(given.Host) || string.IsNullOrEmpty(given.Database))
            throw new FlywheelException(
                $"the connection string of the database names no {(string.IsNullOrEmpty(given.Host) ? "Host" : "Database")}, {Expected}");
        if (!given.ContainsKey("Timeout")) given.Timeout = 5;
        // two servers and their commands within the usual 100 connections
        if (!given.ContainsKey("Maximum Pool Size")) given.MaxPoolSize = 30;
        if (!given.ContainsKey("Application Name")) given.ApplicationName = "flywheel";
        // Patience with others' locks as with SQLite's, and a machine that died in a transaction does not hold one for hours.
        given.Options =
            $"-c lock_timeout=15s -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 {given.Options}"
                .TrimEnd();
        return given;
    }

    private DbContextOptionsBuilder<PostgresDb> Options() => new DbContextOptionsBuilder<PostgresDb>()
        .UseNpgsql(_connection.ConnectionString)
        .AddInterceptors(PostgresDb.LikeAsInSqlite.Instance);

    /// <summary>A commit is what is acknowledged, so it must be on disk.</summary>
    private async Task CheckDurableAsync(FlywheelDb db, CancellationToken cancellation)
    {
        foreach (string setting in new[] { "fsync", "full_page_writes", "synchronous_commit" })
            if (await db.Database.SqlQuery<string>($"SELECT current_setting({setting}) AS \"Value\"").SingleAsync(cancellation) == "off")
                throw new FlywheelException(
                    $"{Name} has {setting} = off, so what it acknowledges may be lost; set it to on in postgresql.conf, or by ALTER DATABASE for this database");
    }

    private async Task<List<string>> AppliedAsync(FlywheelDb db, CancellationToken cancellation)
    {
        const string History =
            "SELECT count(*)::int AS \"Value\" FROM pg_tables WHERE schemaname = current_schema() AND tablename = '__EFMigrationsHistory'";
        const string Tables = "SELECT count(*)::int AS \"Value\" FROM pg_tables WHERE schemaname = current_schema()";
        if (await db.Database.SqlQueryRaw<int>(History).SingleAsync(cancellation) > 0)
            return [.. await db.Database.GetAppliedMigrationsAsync(cancellation)];
        if (await db.Database.SqlQueryRaw<int>(Tables).SingleAsync(cancellation) > 0)
            throw new FlywheelException(
                $"{Name} holds tables that Flywheel did not make; use another database, or another schema (Search Path)");
        return [];
    }

    /// <summary>One transaction for everything: a process killed half-way leaves the old schema. It waits for others that do the
    /// same.</summary>
    private async Task MigrateAsync(FlywheelDb db, CancellationToken cancellation)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        string? last = (await AppliedAsync(db, cancellation)).LastOrDefault();
        if (last == db.Database.GetMigrations().Last()) return;
        string script = db.GetService<IMigrator>().GenerateScript(last, options: MigrationsSqlGenerationOptions.NoTransactions);
        // Not as a command of EF's, for which braces are parameters.
        await using DbCommand command = db.Database.GetDbConnection().CreateCommand();
        (command.CommandText, command.CommandTimeout) = (script, 3600);
        await command.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Why it cannot be opened, and what helps, to go after its name; null: something else went wrong.</summary>
    private string? Refusal(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
            switch (e)
            {
                case PostgresException { SqlState: PostgresErrorCodes.InvalidPassword
                    or PostgresErrorCodes.InvalidAuthorizationSpecification } refused:
                    return $"does not let {_connection.Username ?? "this user"} in ({refused.MessageText}); give user and password in FLYWHEEL_DATABASE, or in ~/.pgpass";
                case PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName }:
                    return "does not exist; make it with createdb";
                case PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege
                    or PostgresErrorCodes.InvalidSchemaName } refused:
                    return $"does not let {_connection.Username ?? "this user"} make tables ({refused.MessageText}); make the user its owner";
                case PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable }:
                    return "is locked by another program; end what holds it and start again";
                case PostgresException refused when FaultOf(refused) is not null:
                    return $"cannot be used now ({refused.MessageText})";
                case SocketException or TimeoutException:
                    return $"cannot be reached ({e.Message}); see that the server runs and that Host and Port are right";
                case NpgsqlException when e.Message.StartsWith("No password", StringComparison.Ordinal):
                    return $"does not let {_connection.Username} in without a password; give it in FLYWHEEL_DATABASE, or in ~/.pgpass";
                case NpgsqlException { InnerException: null }:
                    return $"cannot be opened ({e.Message})";
            }
        return null;
    }

    /// <summary>Takes the one lock of transactions at the begin of each, which falls at its end.</summary>
    private sealed class InOrder : DbTransactionInterceptor
    {
        public static InOrder Instance { get; } = new();

        public override DbTransaction TransactionStarted(DbConnection connection, TransactionEndEventData eventData, DbTransaction result)
        {
            using DbCommand command = Command(connection, result);
            command.ExecuteNonQuery();
            return result;
        }

        public override async ValueTask<DbTransaction> TransactionStartedAsync(DbConnection connection, TransactionEndEventData eventData,
            DbTransaction result, CancellationToken cancellationToken = default)
        {
            await using DbCommand command = Command(connection, result);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return result;
        }

        private static DbCommand Command(DbConnection connection, DbTransaction transaction)
        {
            DbCommand command = connection.CreateCommand();
            (command.Transaction, command.CommandText) = (transaction, $"SELECT pg_advisory_xact_lock({TransactionLock})");
            return command;
        }
    }
}
