using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests;

/// <summary>Models trained again from what their runs left. A turn's passes, a preference pass among them, are rebuilt in
/// <see cref="ForgetTests"/>.</summary>
public sealed class RebuildTests : IAsyncLifetime
{
    private const string Tune = """
        name: NAME
        base: BASE
        data: [{ source: jsonl, path: chats.jsonl }]
        train: { objective: supervised, steps: 3, batch_tokens: 256, micro_tokens: 128 }
        """;

    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private ModelFolder _base = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        _base = MiniLoop.Champion(_store.Home.Models);
        await _store.RegisterModelAsync(_base);
        File.WriteAllLines(_folder["chats.jsonl"], Enumerable.Range(0, 60).Select(i =>
            new Conversation([Message.User($"Say number {i}"), Message.Assistant($"It is {i}, as you said.")]).ToString()));
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Rebuild_SupervisedModelWhoseWeightsAreGone_PutsTheSameBack()
    {
        FinishedRun first = await TrainAsync("first", _base.Path), second = await TrainAsync("second", first.Result.Path);
        foreach (FinishedRun run in new[] { first, second }) Directory.Delete(run.Result.Path, recursive: true);

        RebuiltModel rebuilt = await new Rebuild(_store).RunAsync("second");

        Assert.True(rebuilt.IsEqual);
        Assert.Empty(rebuilt.Notes);
        Assert.Equal(second.Result.Hash, ModelFolder.Open(second.Result.Path).Hash); // opened with its hash checked
        Assert.Equal(first.Result.Hash, ModelFolder.Open(first.Result.Path).Hash); // its base, on the way
    }

    [Fact]
    public async Task Rebuild_Adapter_GivesTheSameHash()
    {
        FinishedRun run = await TrainAsync("adapter", _base.Path, "train.lora.rank=2", "train.lora.alpha=4");
        Assert.NotNull(run.Result.Adapter);

        Assert.Equal(run.Result.Hash, (await new Rebuild(_store).RunAsync(run.Result.Hash[..8])).Got);

        ModelFolder merged = run.Whole(_store.Home.Models);
        await _store.RegisterModelAsync(merged);
        Assert.Equal(merged.Hash, (await new Rebuild(_store).RunAsync(merged.Hash)).Got);
    }

    [Fact]
    public async Task Rebuild_SomethingIsMissing_SaysWhat()
    {
        FinishedRun run = await TrainAsync("lonely", _base.Path);
        Directory.Delete(run.Data.TrainPath, recursive: true);
        Directory.Delete(_base.Path, recursive: true);
        string both = await RefusedAsync("lonely");
        Assert.Contains(
            $"its base {_base.ShortHash} (mini {_base.ShortHash} was not trained in {_store.Home.Path}: there is no run to do again)",
            both);
        Directory.Delete(run.RunFolder, recursive: true);
        Assert.Contains($"missing is the folder of its run, {run.RunFolder}, with recipe.yaml and run.json", await RefusedAsync("lonely"));
        Assert.Contains("'nothing' names no model", await RefusedAsync("nothing"));
    }

    [Fact]
    public async Task Rebuild_DataIsGone_IsMadeAgainOnlyIfItIsTheSame()
    {
        FinishedRun run = await TrainAsync("data", _base.Path);
        Directory.Delete(run.Data.TrainPath, recursive: true);
        string missing = await RefusedAsync("data");
        Assert.Contains($"missing is its tokenised data {run.Data.TrainPath} (and its sources cannot be read:", missing);
        File.Copy(_folder["chats.jsonl"], Path.Combine(run.RunFolder, "chats.jsonl")); // where the recipe looks for it now
        Assert.True((await new Rebuild(_store).RunAsync("data")).IsEqual);
        Directory.Delete(run.Data.TrainPath, recursive: true);
        File.WriteAllLines(Path.Combine(run.RunFolder, "chats.jsonl"), File.ReadLines(_folder["chats.jsonl"]).Take(50));
        Assert.Contains("they have changed", await RefusedAsync("data"));
    }

    private async Task<string> RefusedAsync(string model) =>
        (await Assert.ThrowsAsync<FlywheelException>(() => new Rebuild(_store).RunAsync(model))).Message;

    private async Task<FinishedRun> TrainAsync(string name, string from, params string[] overrides)
    {
        await File.WriteAllTextAsync(_folder[$"{name}.yaml"],
            Tune.Replace("NAME", name, StringComparison.Ordinal).Replace("BASE", from, StringComparison.Ordinal));
        FinishedRun run = new RecipeRunner(_store.Home) { NumThreads = 1 }.Run(_folder[$"{name}.yaml"], overrides);
        await _store.RecordRunAsync(run);
        return run;
    }
}
