using Flywheel.Model;
using Npgsql;

namespace Flywheel.Loop;

/// <summary>A schema of its own in a PostgreSQL database, for measurements; dropped with all that is in it on dispose.</summary>
public sealed class ScratchSchema : IAsyncDisposable
{
    private readonly string _database, _name;

    private ScratchSchema(string database, string name) => (_database, _name) = (database, name);

    /// <summary>Connection string with which a store puts its tables into the schema.</summary>
    public string Connection => new NpgsqlConnectionStringBuilder(_database) { SearchPath = _name }.ConnectionString;

    /// <exception cref="FlywheelException">The database cannot be reached, or lets the user make no schema.</exception>
    public static async Task<ScratchSchema> CreateAsync(string database)
    {
        string name = $"flywheel_bench_{Guid.NewGuid():N}";
        try
        {
            await RunAsync(database, $"CREATE SCHEMA {name}");
        }
        catch (Exception e) when (e is NpgsqlException or ArgumentException)
        {
            throw new FlywheelException(
                $"no schema could be made in the database to measure: {(e as PostgresException)?.MessageText ?? e.GetBaseException().Message}", e);
        }
        return new(database, name);
    }

    public async ValueTask DisposeAsync() => await RunAsync(_database, $"DROP SCHEMA {_name} CASCADE");

    private static async Task RunAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
