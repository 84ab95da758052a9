using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>What is SQLite's own about the record.</summary>
public sealed class SqliteTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        folder.Dispose();
    }

    [Fact]
    public async Task Open_Connection_SyncsEachCommit()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"], ""));
        await using FlywheelDb db = store.Tables();
        Assert.Equal("wal", await db.Database.SqlQueryRaw<string>("SELECT journal_mode AS Value FROM pragma_journal_mode").SingleAsync());
        Assert.Equal(2, await db.Database.SqlQueryRaw<int>("SELECT synchronous AS Value FROM pragma_synchronous").SingleAsync());
    }

    [Theory]
    [InlineData("this is no database, it is a text file that is long enough to have a header", "not a readable SQLite database")]
    [InlineData(null, "tables that Flywheel did not make")]
    public async Task Open_ForeignFile_IsRefused(string? content, string said)
    {
        var home = new FlywheelHome(folder["other"]);
        Directory.CreateDirectory(home.Path);
        if (content is not null) await File.WriteAllTextAsync(home.Database, content);
        else
        {
            using var connection = new SqliteConnection($"Data Source={home.Database}");
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "CREATE TABLE recipes (name TEXT)";
            command.ExecuteNonQuery();
        }

        Assert.Contains(said, (await Assert.ThrowsAsync<FlywheelException>(() => FlywheelStore.OpenAsync(home))).Message);
    }
}
