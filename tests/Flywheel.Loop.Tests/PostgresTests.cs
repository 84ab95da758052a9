using System.Diagnostics;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>A server for tests that kill it.</summary>
public sealed class MortalCluster : IAsyncLifetime
{
    private PostgresCluster? _cluster;

    internal async Task<PostgresCluster> StartAsync() => _cluster ??= await PostgresCluster.StartAsync();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null) await _cluster.DisposeAsync();
    }
}

/// <summary>What is PostgreSQL's own about the record: who may not open it, and what several processes do on it.</summary>
public sealed class PostgresTests(MortalCluster mortal) : IClassFixture<MortalCluster>, IDisposable
{
    private readonly TestRecord _record = new(Provider.Postgres);

    public void Dispose() => _record.Dispose();

    [Theory]
    [InlineData("Host=127.0.0.1;Port=1;Database=flywheel", "cannot be reached")]
    [InlineData("Host=/nowhere;Database=flywheel", "cannot be reached")]
    [InlineData("Database=flywheel", "names no Host")]
    [InlineData("Host=localhost", "names no Database")]
    [InlineData("postgres://ann:sesame@localhost/flywheel", "cannot be read")]
    [InlineData("Host=a;Port=sesame", "cannot be read")]
    public async Task Open_ConnectionOfNoServer_IsRefusedInOneLine(string connection, string said)
    {
        string error =
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                FlywheelStore.OpenAsync(new FlywheelHome(_record.Folder["home"], connection)))).Message;
        Assert.Contains(said, error);
        Assert.DoesNotContain("\n", error);
        Assert.DoesNotContain("sesame", error);
    }

    [Fact]
    public async Task Open_WrongPassword_IsRefusedAndThePasswordWrittenNowhere()
    {
        PostgresCluster cluster = await PostgresCluster.SharedAsync();
        await cluster.AskForPasswordAsync("guest", "sesame");
        string open = await cluster.CreateDatabaseAsync(), name = open.Split("Database=")[1].Split(';')[0];
        await cluster.SqlAsync("postgres", $"ALTER DATABASE {name} OWNER TO guest");
        var home = new FlywheelHome(_record.Folder["home"], cluster.Connection(name, "guest") + ";Password=wrong-sesame");

        string error = (await Assert.ThrowsAsync<FlywheelException>(() => FlywheelStore.OpenAsync(home))).Message;
        Assert.Contains("does not let guest in", error);
        Assert.DoesNotContain("sesame", error);
        await using (FlywheelStore store =
            await FlywheelStore.OpenAsync(new FlywheelHome(home.Path, cluster.Connection(name, "guest") + ";Password=sesame")))
            Assert.DoesNotContain("sesame", store.Name);
        // The next command finds the database without being told, and says what it lacks.
        foreach (string file in Directory.EnumerateFiles(home.Path)) Assert.DoesNotContain("sesame", await File.ReadAllTextAsync(file));
        Assert.Contains("does not let guest in",
            (await Assert.ThrowsAsync<FlywheelException>(() => FlywheelStore.OpenAsync(new FlywheelHome(home.Path)))).Message);
        // Somebody else's tables, and one who may make none.
        await cluster.SqlAsync("postgres", "CREATE DATABASE closed");
        await cluster.SqlAsync("closed", "CREATE TABLE recipes (name text)");
        Assert.Contains("did not make", await RefusalAsync(cluster.Connection("closed")));
        await cluster.SqlAsync("closed", "DROP TABLE recipes");
        Assert.Contains("does not let guest make tables", await RefusalAsync(cluster.Connection("closed", "guest") + ";Password=sesame"));
        Assert.Contains("does not exist", await RefusalAsync(cluster.Connection("absent")));
        await cluster.SqlAsync("postgres", $"ALTER DATABASE {name} SET synchronous_commit = off");
        Assert.Contains("synchronous_commit = off", await RefusalAsync(open));
    }

    [Fact]
    public async Task AddFeedback_SameKeysAtSeveralServers_IsOneFeedbackEach()
    {
        FlywheelHome home = await _record.HomeAsync();
        FlywheelStore[] stores = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => FlywheelStore.OpenAsync(home)));
        Guid generation = Guid.CreateVersion7();

        FeedbackReceipt[] receipts =
            await Task.WhenAll(Enumerable.Range(0, 200)
                .Select(i => stores[i % 4].AddFeedbackAsync(new(generation, Metrics.Keep, true, idempotencyKey: $"{i / 20}"))));

        Assert.Equal(10, receipts.Select(receipt => receipt.Id).Distinct().Count());
        Assert.Equal(10, (await stores[0].CountAsync()).Feedback);
        byte[][] secrets = await Task.WhenAll(stores.Select(store => store.SecretAsync("salt")));
        Assert.Single(secrets.Select(Convert.ToHexString).Distinct());
        foreach (FlywheelStore store in stores) await store.DisposeAsync();
    }

    [Fact]
    public async Task LockTurns_OfAnotherServer_IsRefusedUntilItEnds()
    {
        FlywheelHome one = await _record.HomeAsync("one"), two = new(_record.Folder["two"], one.Server);
        await using FlywheelStore first = await FlywheelStore.OpenAsync(one), second = await FlywheelStore.OpenAsync(two);
        await using (await first.LockTurnsAsync())
            Assert.Contains("already runs on this record",
                (await Assert.ThrowsAsync<FlywheelException>(() => second.LockTurnsAsync())).Message);
        await (await second.LockTurnsAsync()).DisposeAsync();
    }

    [Fact]
    public async Task Model_OfAnotherServer_IsFoundWhereItLiesOrInTheOwnHome()
    {
        FlywheelHome one = await _record.HomeAsync("one"), two = new(_record.Folder["two"], one.Server);
        await using FlywheelStore first = await FlywheelStore.OpenAsync(one), second = await FlywheelStore.OpenAsync(two);
        ModelFolder model = TinyModel.Create(one.Models);
        await first.RegisterModelAsync(model);
        await first.ReleaseAsync(model.Hash, "test");
        ModelRow champion = (await second.ChampionAsync())!;
        Assert.Equal(model.Path, second.FolderOf(champion));
        string copy = Path.Combine(two.Models, model.ShortHash);
        Directory.Move(model.Path, copy);
        Assert.Equal(copy, second.FolderOf(champion));
    }

    [Fact]
    public async Task Backup_OfAHomeOnAServer_SaysThatTheRecordIsNotInIt()
    {
        FlywheelHome home = await _record.HomeAsync();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        await store.RegisterModelAsync(TinyModel.Create(home.Models));
        BackupManifest manifest = await HomeBackup.WriteAsync(home, _record.Folder["home.zip"]);
        Assert.Contains("pg_dump", Assert.Single(manifest.Missing));
        Assert.Contains(manifest.Files, file => file.Path.EndsWith("model.safetensors", StringComparison.Ordinal));
        Assert.DoesNotContain(manifest.Files, file => file.Path is "flywheel.db" or "database.txt");
        await HomeRestore.ReadAsync(_record.Folder["home.zip"], new FlywheelHome(_record.Folder["again"], ""));
        Assert.True(Directory.Exists(_record.Folder["again/models"]));
    }

    /// <summary>The server process is killed while two recorders work; then one of the recorders.</summary>
    [Fact]
    public async Task Record_KillMinusNineOfServerAndRecorder_LosesAndDoublesNothingAcknowledged()
    {
        PostgresCluster cluster = await mortal.StartAsync();
        var home = new FlywheelHome(_record.Folder["home"], await cluster.CreateDatabaseAsync());
        await (await FlywheelStore.OpenAsync(home)).DisposeAsync();
        HashSet<string> acknowledged = [];
        var random = new Random(13);
        for (int round = 0; round < 3; round++)
        {
            using Process child = Program.StartChild(nameof(KillTests), home.Path, home.Server!);
            int killAfter = random.Next(20, 200);
            for (int line = 0; line <= killAfter && await child.StandardOutput.ReadLineAsync() is { } said; line++) acknowledged.Add(said);
            if (round % 2 == 0) await cluster.KillAsync();
            else child.Kill();
            foreach (string said in (await child.StandardOutput.ReadToEndAsync()).Split('\n').SkipLast(1)) acknowledged.Add(said);
            await child.WaitForExitAsync();
            if (round % 2 == 0) await cluster.BeginAsync();
        }
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        await using FlywheelDb db = store.Tables();
        List<string> found = [.. (await db.Generations.Select(row => row.Id).ToListAsync()).Select(id => $"g {id}"),
            .. (await db.Feedback.Select(row => row.Id).ToListAsync()).Select(id => $"f {id}")];
        Assert.True(acknowledged.Count > 80, $"only {acknowledged.Count} were acknowledged");
        Assert.Subset(found.ToHashSet(), acknowledged);
        Assert.Equal(found.Count, found.Distinct().Count());
        Assert.Equal(await db.Generations.CountAsync(), await db.Set<GenerationPayload>().CountAsync());
        // one each was given
        Assert.Equal(await db.Feedback.CountAsync(), await db.Feedback.Select(row => row.GenerationId).Distinct().CountAsync());
    }

    [Fact]
    public async Task Record_DatabaseGoneAndBack_FailsAsUnavailableAndGoesOnByItself()
    {
        PostgresCluster cluster = await mortal.StartAsync();
        await using FlywheelStore store =
            await FlywheelStore.OpenAsync(new FlywheelHome(_record.Folder["home"], await cluster.CreateDatabaseAsync()));
        Generation before = Given.Generation(), during = Given.Generation(), after = Given.Generation();
        await store.RecordAsync(before);
        await cluster.EndAsync();
        Exception fault = await Assert.ThrowsAnyAsync<Exception>(() => store.RecordAsync(during));
        Assert.Equal(StoreFault.Unreachable, StoreFaults.Of(fault));
        Assert.Equal(StoreFault.Unreachable, StoreFaults.Of(await Assert.ThrowsAnyAsync<Exception>(() => store.ChampionAsync())));
        await cluster.BeginAsync();
        await store.RecordAsync(after);
        Assert.NotNull(await store.FindGenerationAsync(before.Id));
        Assert.NotNull(await store.FindGenerationAsync(after.Id));
        Assert.Null(await store.FindGenerationAsync(during.Id));
        await cluster.KillAsync();
        await cluster.BeginAsync();
        Assert.NotNull(await Eventually(() => store.FindGenerationAsync(after.Id)));
    }

    /// <summary>Connections that lay in the pool while the server died may each fail once.</summary>
    private static async Task<T> Eventually<T>(Func<Task<T>> ask)
    {
        for (int tries = 1; ; tries++)
        {
            try
            {
                return await ask();
            }
            catch (Exception e) when (tries < 10 && StoreFaults.Of(e) == StoreFault.Unreachable)
            {
                // once more
            }
        }
    }

    private async Task<string> RefusalAsync(string connection) =>
        (await Assert.ThrowsAsync<FlywheelException>(() =>
            FlywheelStore.OpenAsync(new FlywheelHome(_record.Folder["other"], connection)))).Message;
}
