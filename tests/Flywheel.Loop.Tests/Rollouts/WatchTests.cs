using CsCheck;
using Flywheel.Engine;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests.Rollouts;

/// <summary>A release is watched: what is no worse is rarely taken back, what is worse soon is, and all of it is read from the record.</summary>
public sealed class WatchTests(ITestOutputHelper output) : IDisposable
{
    private static readonly DateTimeOffset s_release = Given.Monday.AddDays(10);

    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    /// <summary>Many people, few, and newcomers alone; skewed towards few judged answers of before.</summary>
    [Theory]
    [InlineData(300, 8, 0.6)]
    [InlineData(12, 3, 1.0)]
    [InlineData(40, 5, 0.0)]
    [InlineData(4, 20, 1.0)]
    public void Watch_SameModel_IsRarelyTakenBackOrAskedAbout(int people, int judged, double returning)
    {
        SimulatedWatch[] ended = WatchSimulation.Many(new WatchWorld { People = people, JudgedBefore = judged, Returning = returning, PeopleAnHour = Math.Min(20, people / 2.0) }, 120, seed: 3);
        int wrong = ended.Count(one => one.Move != WatchMove.Watch);
        output.WriteLine($"{wrong} of {ended.Length}: {string.Join(", ", ended.CountBy(one => one.Move))}");
        Assert.InRange(wrong, 0, 6); // 5%
    }

    [Theory]
    [InlineData(-0.2, 0, 0, WatchMove.TakeBack, 24 * 7)]
    [InlineData(0, 0.2, 0, WatchMove.TakeBack, 24)]
    [InlineData(0, 0, 0.5, WatchMove.Ask, 24)] // the machine may be busy
    public void Watch_WorseModel_IsTakenBackOrAskedAboutInTime(double gain, double failing, double slow, WatchMove expected, int hours)
    {
        SimulatedWatch[] ended = WatchSimulation.Many(new WatchWorld(gain, failing, slow), 40, seed: 4);
        TimeSpan median = ended.Select(one => one.Lasted).Order().ElementAt(20);
        output.WriteLine($"{ended.Count(one => one.Move == expected)} of 40, median {median.TotalHours:0.0} h");
        Assert.InRange(ended.Count(one => one.Move == expected), 36, 40);
        Assert.True(median < TimeSpan.FromHours(hours), $"{median}");
    }

    /// <summary>A few people whose texts were mostly kept and now are not: certain of their texts, not of others; so one is asked.</summary>
    [Fact]
    public void Watch_FallAmongFewPeople_AsksAndDoesNotAct()
    {
        var tracker = new WatchTracker(Enumerable.Range(0, 4).ToDictionary(person => $"{person}", _ => Enumerable.Repeat(1.0, 20).ToArray()), new WatchedAnswers());
        for (int i = 0; i < 40; i++) tracker.Judged(s_release.AddHours(i), $"{i % 4}", Guid.NewGuid(), i % 5 == 0 ? 1 : 0);
        tracker.Advance(s_release.AddDays(5));
        Assert.Equal((WatchMove.Ask, 4), (tracker.Verdict().Move, tracker.NumPeople));
        Assert.Contains("too few to speak of others", tracker.Verdict().Reason);
    }

    /// <summary>Whatever comes in whatever order: figures stay in their bounds, and nobody counts twice.</summary>
    [Fact]
    public void Watch_AnyEvents_KeepsItsBounds() =>
        Gen.Select(Gen.Int[0, 9].Array[0, 200], Gen.Double[0, 1].Array[200], Gen.Int[0, 20].Array[10]).Sample((people, values, before) =>
        {
            var tracker = new WatchTracker(before.Index().ToDictionary(one => $"{one.Index}", one => Enumerable.Repeat(0.5, one.Item).ToArray()), new WatchedAnswers());
            for (int i = 0; i < people.Length; i++)
            {
                string person = people[i] == 9 ? "" : $"{people[i]}";
                tracker.Answered(s_release.AddMinutes(i), person, values[i] < 0.1, values[i] > 0.9, 10);
                tracker.Judged(s_release.AddMinutes(i), person, new Guid(i / 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), values[i] < 0.05 ? null : values[i]);
            }
            tracker.Advance(s_release.AddDays(2));
            Assert.InRange(tracker.NumPeople, 0, people.Where(person => person != 9).Distinct().Count());
            if (tracker.Acceptance is { } mean) Assert.InRange(mean, 0, 1);
            if (tracker.Change is { } change) Assert.InRange(change, -1, 1);
            Assert.InRange(tracker.AtMost, -1.0001, 1.0001);
            _ = tracker.Verdict();
        }, iter: 200, seed: "0000KeXSOcQ3");

    /// <summary>From the record: who promoted, who is compared with whom, and that taken back the turn's feedback is open again.</summary>
    [Fact]
    public async Task Watch_OfATurnsRelease_IsReadTakenBackAndNotWatchedAgain()
    {
        await using FlywheelStore store = await StoreAsync();
        ReleaseWatch watch = (await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)))!;
        Assert.Equal((Given.Champion, 30, 30, WatchMove.TakeBack), (watch.Former, watch.Seen.NumPeople, watch.Seen.NumOwn, watch.Verdict.Move));
        Assert.Equal((1.0, 0.0), (watch.Seen.AcceptanceBefore, watch.Seen.Acceptance));
        Assert.InRange(watch.Seen.AtMost, -1, -0.1);
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release + ReleaseWatch.Lasts + TimeSpan.FromMinutes(1)));

        await watch.TakeBackAsync(store, watch.Reason, s_release.AddDays(3));
        Assert.Equal(Given.Champion, (await store.ChampionAsync())!.Hash);
        ReleaseRow release = (await store.ReleasesAsync())[0];
        Assert.StartsWith("taken back: bbbbbbbbbbbb, because people accept fewer of its answers: 0.0% against 100.0% a person (30 and 30 people, 30 of them the same)", release.Reason);
        await using FlywheelDb db = store.Tables();
        TurnRow turn = Assert.Single(db.Turns);
        Assert.Equal(TurnState.Rejected, turn.State);
        Assert.EndsWith(" (it had been promoted because it was better)", turn.Reason);
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)));
        await Assert.ThrowsAsync<FlywheelException>(() => watch.TakeBackAsync(store, watch.Reason, s_release.AddDays(3))); // on another server it was done already
    }

    [Fact]
    public async Task Watch_OfAReleaseThatAPersonKeepsOrMade_DoesNothing()
    {
        await using FlywheelStore store = await StoreAsync();
        await ReleaseWatch.KeepAsync(store, s_release.AddDays(3));
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)));
        await store.ReleaseAsync(Given.Champion, "served again by ann"); // by hand: a person's decision
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)));
        await Assert.ThrowsAsync<FlywheelException>(() => ReleaseWatch.KeepAsync(store, s_release.AddDays(3)));
    }

    /// <summary>Thirty people kept each of three texts; then a turn released another model, of which they keep none.</summary>
    private async Task<FlywheelStore> StoreAsync()
    {
        FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""), new Given.Clock(s_release.AddDays(4)));
        string next = new('b', 64);
        var turn = new TurnRow { Id = Guid.NewGuid(), Number = 1, Started = s_release, Ended = s_release, State = TurnState.Promoted, Champion = Given.Champion, Candidate = next, Recipe = "", Reason = "it was better" };
        await using FlywheelDb db = store.Tables();
        foreach (string hash in new[] { Given.Champion, next }) db.Models.Add(new ModelRow { Hash = hash, Path = hash, Created = Given.Monday });
        db.Turns.Add(turn);
        db.Releases.Add(new ReleaseRow { Time = Given.Monday, ModelHash = Given.Champion, Reason = "first" });
        await db.SaveChangesAsync();
        db.Releases.Add(new ReleaseRow { Time = s_release, ModelHash = next, Reason = "turn 1: it was better", TurnId = turn.Id });
        for (int i = 0; i < 180; i++)
        {
            (bool after, string person) = (i >= 90, $"person {i % 30}");
            Generation answer = At(after ? s_release.AddMinutes(i) : s_release.AddDays(-2).AddMinutes(i), after ? next : Given.Champion, person);
            db.Generations.Add(answer);
            db.Feedback.Add(new Feedback { Id = Guid.NewGuid(), Time = answer.Time.AddSeconds(30), GenerationId = answer.Id, Metric = after ? Metrics.Discard : Metrics.Keep, Value = "true", User = person });
        }
        await db.SaveChangesAsync();
        return store;
    }

    private static Generation At(DateTimeOffset time, string model, string person)
    {
        var id = Guid.CreateVersion7(time);
        return new()
        {
            Id = id, Group = id, Time = time, User = person, App = "write", ModelHash = model, FinishReason = FinishReason.Stop, NumTokens = 12, LatencyMs = 300,
            Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [], Logprobs = [], SamplerLogprobs = [], Sampler = new() },
        };
    }
}
