using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Forgetting a person, against a home in which that person never acted.</summary>
public sealed partial class ForgetTests : IDisposable
{
    private const string Person = "person 5";

    private const int People = 12;

    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Forget_OnePersonOfTwoTurns_LeavesTheWorldInWhichTheyNeverActed()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], People);
        await using FlywheelStore other = await MiniLoop.CreateAsync(_folder["other"], People, without: 5);
        await AddSecretTextAsync(store);
        TurnOutcome first = await TurnAsync(store), elsewhere = await TurnAsync(other);
        Assert.Contains(first.Dataset.Rows, row => row.User == Person && row.Split == Split.Train && row.Drop is null);
        foreach (FlywheelStore home in new[] { store, other }) await MiniLoop.AskMoreAsync(home, People, without: home == other ? 5 : -1);
        TurnOutcome second = await TurnAsync(store), later = await TurnAsync(other);
        Assert.NotEqual(later.Turn.Candidate, second.Turn.Candidate);
        ForgetPreview preview = await new Forget(store).PreviewAsync(Person);
        Assert.True(preview.Champion);
        Assert.Equal([1, 2], preview.Turns);

        DeletionRow row = await new Forget(store).RunAsync(Person);

        await EqualsAsync(store, other);
        Assert.Equal(later.Turn.Candidate, (await store.ChampionAsync())!.Hash);
        Assert.NotNull(row.Finished);
        Assert.Null(row.Plan);
        Assert.Equal(await Forget.HashOfAsync(store, Person), row.Person);
        ForgottenModel[] models = JsonSerializer.Deserialize<ForgottenModel[]>(row.Models, JsonText.Compact)!;
        Assert.Contains(models,
            model => model is { Learnt: true } && model.Before == first.Turn.Candidate && model.After == elsewhere.Turn.Candidate);
        Assert.Contains(models,
            model => model is { Learnt: true } && model.Before == second.Turn.Candidate && model.After == later.Turn.Candidate);
        NothingIsLeft(store, first, second);
        Assert.Contains("forgotten before",
            (await Assert.ThrowsAsync<FlywheelException>(() => new Forget(store).RunAsync(Person))).Message);
        Assert.True((await new Rebuild(store).RunAsync(later.Turn.Candidate![..12])).IsEqual);
        await TurnAsync(store, because: "no feedback to learn from"); // what was used stays used
    }

    [Fact]
    public async Task Forget_WhoPromotedOrSteppedARollout_LeavesNoNameInItsReasons()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""));
        await using FlywheelDb db = store.Tables();
        db.Models.Add(new ModelRow { Hash = Given.Champion, Name = "m", Path = "models/m", Created = Given.Monday });
        string[] reasons = ["promoted by ann", "5% by ann", "rolled back by anna", "stopped by ann (too long)",
            "taken back: 1c2d, by ann because people accept fewer"];
        foreach (string reason in reasons)
        {
            db.Rollouts.Add(new RolloutRow { Champion = "a", Candidate = "b", Started = Given.Monday, StepStarted = Given.Monday,
                State = RolloutState.Stopped, Reason = reason });
            db.Releases.Add(new ReleaseRow { Time = Given.Monday, ModelHash = Given.Champion, Reason = $"rollout 1: {reason}" });
        }
        await db.SaveChangesAsync();
        await new PersonRows(db, "ann").DeleteAsync(CancellationToken.None);
        await using FlywheelDb after = store.Tables();
        string[] expected = ["promoted by somebody who was forgotten", "5% by somebody who was forgotten", "rolled back by anna",
            "stopped by somebody who was forgotten (too long)",
            "taken back: 1c2d, by somebody who was forgotten because people accept fewer"];
        Assert.Equal(expected, await after.Rollouts.OrderBy(row => row.Id).Select(row => row.Reason).ToListAsync());
        Assert.Equal(expected.Select(reason => $"rollout 1: {reason}"),
            await after.Releases.OrderBy(row => row.Id).Select(row => row.Reason).ToListAsync());
    }

    /// <summary>Killed at what it says, a little later each time, and run again; what comes of it is the same.</summary>
    [Fact]
    public async Task Forget_KilledAgainAndAgain_EndsAsIfItHadNotBeen()
    {
        await using FlywheelStore other = await MiniLoop.CreateAsync(_folder["other"], People, without: 5);
        await TurnAsync(other);
        await using (FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], People))
        {
            await TurnAsync(store);
            await new JobQueue(store).EnqueueAsync(ForgetJob.Kind, $$"""{"user":"{{Person}}"}""", maxAttempts: 100);
        }
        int lines = 0;
        for (bool ended = false; !ended;)
        {
            using Process child = Program.StartChild(nameof(ForgetTests), _folder["home"]);
            for (int line = 0; line <= lines && !ended; line++) ended = await child.StandardOutput.ReadLineAsync() is null or "done";
            child.Kill();
            await child.WaitForExitAsync();
            lines += 3;
        }
        Assert.True(lines > 2, $"{lines}");

        await using FlywheelStore again = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        await EqualsAsync(again, other);
        await using FlywheelDb db = again.Tables();
        JobRow job = await db.Jobs.Include(found => found.Payload).SingleAsync();
        Assert.Equal((JobState.Done, "{}"), (job.State, job.Payload!.Input));
        Assert.NotNull((await db.Deletions.SingleAsync()).Finished);
        NothingIsLeft(again);
    }

    /// <summary>The child: does the job that waits, and says what it does.</summary>
    internal static async Task ForgetAloud(string homePath)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(homePath));
        var queue = new JobQueue(store);
        var forget = new ForgetJob(store, queue, TimeProvider.System) { Progress = new() { Say = Console.WriteLine } };
        var worker = new JobWorker(queue, new Dictionary<string, JobHandler> { [ForgetJob.Kind] = forget.RunAsync })
        {
            Lease = TimeSpan.FromMilliseconds(400), Poll = TimeSpan.FromMilliseconds(50),
            Failed = (what, e) => Console.WriteLine($"{what}: {e}"),
        };
        using var stop = new CancellationTokenSource();
        Task work = worker.RunAsync(stop.Token);
        await using FlywheelDb db = store.Tables();
        while (await db.Jobs.AnyAsync(job => job.State != JobState.Done)) await Task.Delay(50);
        Console.WriteLine("done");
        await stop.CancelAsync();
        await work;
    }

    private static async Task EqualsAsync(FlywheelStore store, FlywheelStore other)
    {
        await using FlywheelDb db = store.Tables();
        await using FlywheelDb there = other.Tables();
        Assert.Empty(await db.Generations.Where(found => found.User == Person).ToListAsync());
        Assert.Equal(await there.Examples.CountAsync(), await db.Examples.CountAsync());
        foreach ((TurnRow turn,
            TurnRow same) in (await db.Turns.OrderBy(row => row.Number).ToListAsync()).Zip(
                await there.Turns.OrderBy(row => row.Number).ToListAsync()))
        {
            Assert.Equal((same.Dataset, same.Champion, same.Candidate), (turn.Dataset, turn.Champion, turn.Candidate));
            Assert.Equal(FilesOf(other, same.Dataset!), FilesOf(store, turn.Dataset!));
            Assert.Equal(Bytes(other, same.Candidate!), Bytes(store, turn.Candidate!));
        }
        Assert.Equal(await Names(there.Models.Select(row => row.Hash)), await Names(db.Models.Select(row => row.Hash)));
        Assert.Equal(await Names(there.Runs.Select(row => row.Model!)), await Names(db.Runs.Select(row => row.Model!)));
        Assert.Equal((await other.ReleasesAsync()).Select(release => release.ModelHash),
            (await store.ReleasesAsync()).Select(release => release.ModelHash));

        static Task<List<string>> Names(IQueryable<string> hashes) => hashes.Order().ToListAsync();
    }

    /// <summary>Nobody would find the name or a word of theirs in any file of the home.</summary>
    private static void NothingIsLeft(FlywheelStore store, params TurnOutcome[] turns)
    {
        SqliteConnection.ClearAllPools();
        foreach (string file in Directory.EnumerateFiles(store.Home.Path, "*", SearchOption.AllDirectories))
        {
            string text = Encoding.Latin1.GetString(File.ReadAllBytes(file));
            Assert.DoesNotContain("zanzibarium", text);
            Assert.DoesNotContain($"\"{Person}\"", text);
        }
        foreach (TurnOutcome turn in turns) Assert.False(Directory.Exists(Path.Combine(store.Home.Models, turn.Turn.Candidate![..12])));
    }

    private static async Task AddSecretTextAsync(FlywheelStore store)
    {
        Generation kept = Given.Generation(Guid.CreateVersion7(Given.Monday), user: Person, text: "Write better with zanzibarium.",
            prompt: "Write a tagline.\nName: zanzibarium",
            model: (await store.ChampionAsync())!.Hash);
        await store.RecordAsync(kept);
        await store.AddFeedbackAsync(new(kept.Id, Metrics.Keep, true));
        string upload = Directory.CreateDirectory(Path.Combine(store.Home.Path, "files", "file-1")).FullName;
        await File.WriteAllTextAsync(Path.Combine(upload, "file.json"), $$"""{"id":"file-1","user":"{{Person}}"}""");
    }

    /// <summary>A turn of a second or two, promoted whatever its gate says.</summary>
    private static async Task<TurnOutcome> TurnAsync(FlywheelStore store, string? because = null)
    {
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path, supervisedSteps: 6);
        recipe = recipe with { Gate = recipe.Gate with { SanityPrompts = 2, Drafts = 1, MaxTokens = 4 } };
        Task<TurnOutcome> run = new TurnRunner(store).RunAsync(recipe, store.Home.Path, force: true);
        if (because is null) return await run;
        Assert.Contains(because, (await Assert.ThrowsAsync<FlywheelException>(() => run)).Message);
        return null!;
    }

    private static byte[] Bytes(FlywheelStore store, string model) =>
        File.ReadAllBytes(Path.Combine(store.Home.Models, model[..12], "model.safetensors"));

    private static string[] FilesOf(FlywheelStore store, string dataset)
    {
        string folder = Path.Combine(store.Home.Datasets, CuratedDataset.FolderName(dataset));
        return [.. Directory.EnumerateFiles(folder, "*.jsonl", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(file => FeedbackIds().Replace(File.ReadAllText(file), ""))]; // these are drawn
    }

    [GeneratedRegex("\"feedback_ids\":\\[[^]]*\\]")]
    private static partial Regex FeedbackIds();
}
