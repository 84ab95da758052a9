using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class SqliteRollbackTests() : RollbackTests(Provider.Sqlite);

public sealed class PostgresRollbackTests() : RollbackTests(Provider.Postgres);

public abstract class RollbackTests(Provider provider) : IDisposable
{
    private readonly TestRecord _record = new(provider);

    public void Dispose() => _record.Dispose();

    [Fact]
    public async Task Run_TwoReleases_GoesBackAndForth()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(await _record.HomeAsync());
        Assert.Contains("no model was released yet",
            (await Assert.ThrowsAsync<FlywheelException>(() => Rollback.RunAsync(store, null))).Message, StringComparison.Ordinal);
        ModelFolder first = await ReleaseAsync(store, 1);
        Assert.Contains("the only model", (await Assert.ThrowsAsync<FlywheelException>(() => Rollback.RunAsync(store, null))).Message,
            StringComparison.Ordinal);
        ModelFolder second = await ReleaseAsync(store, 2), third = await ReleaseAsync(store, 3);

        (ModelRow from, ModelRow to) = await Rollback.RunAsync(store, null);
        Assert.Equal((third.Hash, second.Hash), (from.Hash, to.Hash));
        Assert.Equal(second.Hash, (await store.ChampionAsync())!.Hash);
        Assert.Contains(third.ShortHash, (await store.ReleasesAsync())[0].Reason, StringComparison.Ordinal);
        Assert.Equal(first.Hash, (await Rollback.RunAsync(store, first.ShortHash)).To.Hash);
        Assert.Equal(second.Hash, (await Rollback.RunAsync(store, null)).To.Hash);
    }

    [Fact]
    public async Task Run_HashOfNoReleasedModel_NamesThoseThereAre()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(await _record.HomeAsync());
        ModelFolder first = await ReleaseAsync(store, 1), second = await ReleaseAsync(store, 2);
        string error = (await Assert.ThrowsAsync<FlywheelException>(() => Rollback.RunAsync(store, "zzzz"))).Message;
        Assert.Contains(first.ShortHash, error, StringComparison.Ordinal);
        Assert.Contains("champion already",
            (await Assert.ThrowsAsync<FlywheelException>(() => Rollback.RunAsync(store, second.ShortHash))).Message,
            StringComparison.Ordinal);
        Directory.Delete(first.Path, recursive: true);
        await Assert.ThrowsAsync<FlywheelException>(() => Rollback.RunAsync(store, null));
        Assert.Equal(second.Hash, (await store.ChampionAsync())!.Hash);
    }

    private async Task<ModelFolder> ReleaseAsync(FlywheelStore store, int seed)
    {
        ModelFolder model = TinyModel.Create(store.Home.Models, seed);
        await store.RegisterModelAsync(model);
        await store.ReleaseAsync(model.Hash, $"seed {seed}");
        return model;
    }
}
