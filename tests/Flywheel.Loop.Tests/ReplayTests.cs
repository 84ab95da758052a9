using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests;

/// <summary>What a turn learns again beside people's texts.</summary>
public sealed class ReplayTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Turn_WithReplay_LearnsItsShareAndNamesItInTheDataset()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], 12);
        WriteOld(200);
        TurnOutcome plain = await TurnAsync(store, 0), turn = await TurnAsync(store, 0.5, more: true);

        string folder = turn.Dataset.FolderIn(store.Home);
        string[] replayed = File.ReadAllLines(Path.Combine(folder, "replay", "train.jsonl"));
        int texts = turn.Dataset.Of(ExampleKind.Supervised, Split.Train).Count();
        Assert.Equal(texts, replayed.Length); // a share of a half
        int taught = replayed.Count(line => JsonNode.Parse(line)!["user"] is not null),
            old = replayed.Count(line => line.Contains("old answer", StringComparison.Ordinal));
        Assert.Equal(replayed.Length, taught + old);
        Assert.Equal(replayed.Length / 2, taught); // the first turn's texts, and what the champion was made from
        Assert.Equal(replayed.Length, replayed.Distinct().Count());
        Assert.Contains($"| replay | {texts} | 0 |", File.ReadAllText(Path.Combine(folder, "report.md")));
        Assert.DoesNotContain("Say what it is.", FrozenSet.TaughtBy(folder)); // replay is nothing that people asked to be changed
        Assert.False(Directory.Exists(Path.Combine(plain.Dataset.FolderIn(store.Home), "replay")));
        // Held-out texts stay unlearnt.
        string heldOut = File.ReadAllText(Path.Combine(folder, "supervised", "heldout.jsonl"));
        Assert.DoesNotContain(replayed,
            line => heldOut.Contains((string)JsonNode.Parse(line)!["messages"]![0]!["content"]!, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Turn_ReplayOfATaskThatTheChampionWasNotTrainedFor_IsLeftOut()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], 12);
        string task = Directory.CreateDirectory(_folder["riddles"]).FullName;
        File.WriteAllText(Path.Combine(task, TaskFolder.FileName), "name: riddles");
        WriteOld(40, Path.Combine(task, "old.jsonl"));
        List<string> said = [];
        TurnOutcome turn = await TurnAsync(store, 0.5, path: Path.Combine(task, "old.jsonl"), said: said);
        Assert.False(Directory.Exists(Path.Combine(turn.Dataset.FolderIn(store.Home), "replay")));
        Assert.Contains(said, line => line.Contains("was not trained for riddles", StringComparison.Ordinal));
        Assert.Contains(said, line => line.Contains("0 texts instead of", StringComparison.Ordinal));
    }

    [Fact]
    public void Recipe_ShareOfOne_IsRefusedByName()
    {
        string recipe = RecipeFile.ToYaml(MiniLoop.Recipe("/home")).Replace("share: 0\n", "share: 1\n", StringComparison.Ordinal);
        Assert.Contains("field 'replay.share' is 1, expected a share of at least 0, below 1",
            Assert.Throws<FlywheelException>(() => RecipeFile.ParseTurn(recipe, "turn.yaml")).Message);
    }

    private void WriteOld(int count, string? path = null) =>
        File.WriteAllLines(path ?? _folder["old.jsonl"], Enumerable.Range(0, count).Select(i =>
        new Conversation([Message.User($"Say what it is.\n{i}"), Message.Assistant($"An old answer {i}.")]).ToString()));

    private async Task<TurnOutcome> TurnAsync(FlywheelStore store, double share, bool more = false, string? path = null,
        List<string>? said = null)
    {
        if (more) await MiniLoop.AskMoreAsync(store, 12, -1);
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path, supervisedSteps: 2);
        recipe = recipe with
        {
            Gate = recipe.Gate with { SanityPrompts = 2, Drafts = 1, MaxTokens = 4 },
            Replay = new() { Share = share, Data = [new SourceRecipe { Source = "jsonl", Path = path ?? _folder["old.jsonl"] }] },
        };
        return await new TurnRunner(store, new() { Say = line => said?.Add(line) }).RunAsync(recipe, store.Home.Path, force: true);
    }
}
