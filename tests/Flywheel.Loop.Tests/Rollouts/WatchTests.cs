using CsCheck;
using Flywheel.Engine;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests.Rollouts;

/// <summary>A release is watched: what is no worse is rarely taken back, what is worse soon is, and all of it is read from the
/// record.</summary>
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
    [InlineData(300, 8, 0.6, 0)]
    [InlineData(12, 3, 1.0, 0)]
    [InlineData(40, 5, 0.0, 0)]
    [InlineData(4, 20, 1.0, 0)]
    [InlineData(300, 8, 0.6, 1)] // of each set a draft is thrown away before another is kept
    [InlineData(4, 20, 1.0, 1)]
    public void Watch_SameModel_IsRarelyTakenBackOrAskedAbout(int people, int judged, double returning, double thrownFirst)
    {
        SimulatedWatch[] ended = WatchSimulation.Many(
            new WatchWorld { People = people, JudgedBefore = judged, Returning = returning, PeopleAnHour = Math.Min(20, people / 2.0),
                ThrownFirst = thrownFirst }, 120, seed: 3);
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

    /// <summary>A few people whose texts were mostly kept and now are not: certain of their texts, not of others; so one is
    /// asked.</summary>
    [Fact]
    public void Watch_FallAmongFewPeople_AsksAndDoesNotAct()
    {
        var tracker =
            new WatchTracker(Enumerable.Range(0, 4).ToDictionary(person => $"{person}", _ => Enumerable.Repeat(1.0, 20).ToArray()),
                new WatchedAnswers());
        for (int i = 0; i < 40; i++) tracker.Judged(s_release.AddHours(i), $"{i % 4}", Guid.NewGuid(), i % 5 == 0 ? 1 : 0);
        tracker.Advance(s_release.AddDays(5));
        Assert.Equal((WatchMove.Ask, 4), (tracker.Verdict().Move, tracker.NumPeople));
        Assert.Contains("too few to speak of others", tracker.Verdict().Reason);
    }

    /// <summary>Who throws a draft away and then keeps another of the same set kept a text, also where that is the last that
    /// counts.</summary>
    [Fact]
    public void Watch_DraftThrownAwayBeforeAnotherIsKept_CountsAsKept()
    {
        WatchTracker tracker = Knowing(60);
        for (int i = 0; i < 300; i++)
        {
            var request = Guid.NewGuid();
            tracker.Judged(s_release.AddMinutes(i), $"{i % 60}", request, 0, final: false);
            tracker.Judged(s_release.AddMinutes(i), $"{i % 60}", request, 1);
        }
        tracker.Advance(s_release.AddDays(5));
        Assert.Equal((WatchMove.Watch, 60, 1.0, 300), (tracker.Verdict().Move, tracker.NumPeople, tracker.Acceptance, tracker.NumJudged));
    }

    /// <summary>A request is one piece of evidence at its last value, however often it is spoken of.</summary>
    [Fact]
    public void Watch_RequestSpokenOfAgain_CountsOnceAtItsLastValue()
    {
        WatchTracker tracker = Knowing(4);
        for (int i = 0; i < 20; i++) tracker.Judged(s_release, $"{i % 4}", Guid.NewGuid(), 1);
        var bad = Guid.NewGuid();
        for (int i = 0; i < 60; i++) tracker.Judged(s_release.AddMinutes(i), "0", bad, 0);
        Assert.Equal((WatchMove.Watch, 21), (tracker.Verdict().Move, tracker.NumJudged));
        for (int i = 0; i < 60; i++)
        {
            var undecided = Guid.NewGuid();
            tracker.Judged(s_release.AddHours(2), $"{i % 4}", undecided, 0);
            tracker.Judged(s_release.AddHours(2), $"{i % 4}", undecided, null);
            tracker.Judged(s_release.AddHours(2), $"{i % 4}", undecided, 1);
        }
        Assert.Equal((WatchMove.Watch, 81), (tracker.Verdict().Move, tracker.NumJudged));
    }

    /// <summary>Where people who count are many, and only later answers of theirs are worse, nobody is called too few.</summary>
    [Fact]
    public void Watch_LaterAnswersOfManyPeopleAreWorse_AsksAndDoesNotCallThemTooFew()
    {
        WatchTracker tracker = Knowing(8);
        for (int i = 0; i < 40; i++) tracker.Judged(s_release, $"{i % 8}", Guid.NewGuid(), 1);
        for (int i = 0; i < 80; i++) tracker.Judged(s_release.AddHours(1), $"{i % 8}", Guid.NewGuid(), 0);
        Assert.Equal((WatchMove.Ask, 8), (tracker.Verdict().Move, tracker.NumPeople));
        Assert.Contains("certain of these answers and not of people", tracker.Verdict().Reason);
    }

    /// <summary>One client that tries again and again, and a fault of an hour, may be anything; what fails people for hours is the
    /// model.</summary>
    [Theory]
    [InlineData(0, 5, WatchMove.Ask)]
    [InlineData(40, 60, WatchMove.Ask)]
    [InlineData(40, 60 * 48, WatchMove.TakeBack)]
    public void Watch_AnswersThatFail_AreTakenBackOnlyWhereManyPeopleMeetThemForHours(int people, int minutes, WatchMove expected)
    {
        WatchTracker tracker = Knowing(40, answers: 500);
        for (int i = 0; i < 200; i++)
            tracker.Answered(s_release.AddMinutes(i * minutes / 200.0), people == 0 ? "" : $"{i / 5}", failed: true, slow: false, 10);
        tracker.Advance(s_release.AddDays(5));
        Assert.Equal(expected, tracker.Verdict().Move);
        Assert.StartsWith("more of its answers fail: 200 of 200, 0 of the last 500 of the former model", tracker.Verdict().Reason);
        Assert.Equal(expected == WatchMove.Ask, tracker.Verdict().Reason.Contains("technical fault"));
    }

    /// <summary>People who kept each of twenty texts of the former model, and its answers, none of which failed.</summary>
    private static WatchTracker Knowing(int people, int answers = 0)
    {
        var counted = new WatchedAnswers();
        for (int i = 0; i < answers; i++) counted.Add(failed: false, slow: false, 10);
        return new(Enumerable.Range(0, people).ToDictionary(person => $"{person}", _ => Enumerable.Repeat(1.0, 20).ToArray()), counted);
    }

    /// <summary>Whatever comes in whatever order: figures stay in their bounds, and nobody counts twice.</summary>
    [Fact]
    public void Watch_AnyEvents_KeepsItsBounds() =>
        Gen.Select(Gen.Int[0, 9].Array[0, 200], Gen.Double[0, 1].Array[200], Gen.Int[0, 20].Array[10]).Sample((people, values, before) =>
        {
            var tracker =
                new WatchTracker(before.Index().ToDictionary(one => $"{one.Index}", one => Enumerable.Repeat(0.5, one.Item).ToArray()),
                    new WatchedAnswers());
            for (int i = 0; i < people.Length; i++)
            {
                string person = people[i] == 9 ? "" : $"{people[i]}";
                tracker.Answered(s_release.AddMinutes(i), person, values[i] < 0.1, values[i] > 0.9, 10);
                tracker.Judged(s_release.AddMinutes(i), person, new Guid(i / 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                    values[i] < 0.05 ? null : values[i], final: values[i] > 0.5);
            }
            tracker.Advance(s_release.AddDays(2));
            Assert.InRange(tracker.NumPeople, 0, people.Where(person => person != 9).Distinct().Count());
            Assert.InRange(tracker.NumJudged, 0, (people.Length + 1) / 2);
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
        Assert.Equal((Given.Champion, 30, 30, WatchMove.TakeBack),
            (watch.Former, watch.Seen.NumPeople, watch.Seen.NumOwn, watch.Verdict.Move));
        Assert.Equal((1.0, 0.0), (watch.Seen.AcceptanceBefore, watch.Seen.Acceptance));
        Assert.InRange(watch.Seen.AtMost, -1, -0.1);
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release + ReleaseWatch.Lasts + TimeSpan.FromMinutes(1)));

        await watch.TakeBackAsync(store, watch.Reason, s_release.AddDays(3));
        Assert.Equal(Given.Champion, (await store.ChampionAsync())!.Hash);
        ReleaseRow release = (await store.ReleasesAsync())[0];
        Assert.StartsWith(
            "taken back: bbbbbbbbbbbb, because people accept fewer of its answers: 0.0% against 100.0% a person (30 and 30 people, 30 of them the same)", release.Reason);
        await using FlywheelDb db = store.Tables();
        TurnRow turn = Assert.Single(db.Turns);
        Assert.Equal(TurnState.Rejected, turn.State);
        Assert.EndsWith(" (it had been promoted because it was better)", turn.Reason);
        Assert.Null(await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)));
        // on another server it was done already
        await Assert.ThrowsAsync<FlywheelException>(() => watch.TakeBackAsync(store, watch.Reason, s_release.AddDays(3)));
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

    /// <summary>Somebody pressed Keep while the former model was loading.</summary>
    [Fact]
    public async Task Watch_KeptWhileItIsBeingTakenBack_Stays()
    {
        await using FlywheelStore store = await StoreAsync();
        ReleaseWatch watch = (await ReleaseWatch.ReadAsync(store, s_release.AddDays(3)))!;
        await ReleaseWatch.KeepAsync(store, s_release.AddDays(3));
        FlywheelException refused =
            await Assert.ThrowsAsync<FlywheelException>(() => watch.TakeBackAsync(store, watch.Reason, s_release.AddDays(3)));
        Assert.Equal("bbbbbbbbbbbb is watched no longer, so it is not taken back: somebody keeps it, or an upstream answers in its place",
            refused.Message);
        Assert.Equal(new string('b', 64), (await store.ChampionAsync())!.Hash);
    }

    /// <summary>Where an upstream answered before the release, or does in its place now, the model before it is nobody's choice.</summary>
    [Theory]
    [InlineData(4, "ours", "upstream:other", RolloutState.Promoted, false)] // it won after the release
    [InlineData(2.9, "upstream:other", "ours", RolloutState.Running, false)] // it is the champion of the rollout that runs
    [InlineData(-1, "former", "upstream:other", RolloutState.Promoted, false)] // it had won, and the release followed it
    [InlineData(-1, "upstream:other", "ours", RolloutState.Promoted, false)] // the release won against it
    [InlineData(-1, "former", "upstream:other", RolloutState.Stopped, true)]
    [InlineData(2.9, "ours", "upstream:other", RolloutState.Running, true)]
    [InlineData(-12, "former", "upstream:other", RolloutState.Promoted, true)] // before the former model was released
    public async Task Watch_WhereAnUpstreamAnsweredOrAnswers_DoesNothing(double day, string champion, string candidate, RolloutState state,
        bool watched)
    {
        await using FlywheelStore store = await StoreAsync();
        await using (FlywheelDb db = store.Tables())
        {
            DateTimeOffset began = s_release.AddDays(day);
            string Arm(string name) => name switch { "ours" => new string('b', 64), "former" => Given.Champion, _ => name };
            db.Rollouts.Add(new RolloutRow { Champion = Arm(champion), Candidate = Arm(candidate), State = state, Started = began,
                StepStarted = began, Ended = state == RolloutState.Running ? null : began.AddHours(6) });
            await db.SaveChangesAsync();
        }
        Assert.Equal(watched, await ReleaseWatch.ReadAsync(store, s_release.AddDays(5)) is not null);
    }

    /// <summary>Of sets of two drafts the first is thrown away, then the second kept, with both models: nothing fell. What was said later
    /// is read
    /// again; where nothing was, the former model's answers are not.</summary>
    [Fact]
    public async Task Watch_SetsOfDrafts_CountAtWhatTheirPersonGot()
    {
        await using FlywheelStore store = await StoreAsync(sets: true);
        DateTimeOffset now = s_release.AddDays(3);
        ReleaseWatch watch = (await ReleaseWatch.ReadAsync(store, now))!;
        Assert.Equal((WatchMove.Watch, 30, 1.0, 1.0),
            (watch.Verdict.Move, watch.Seen.NumPeople, watch.Seen.AcceptanceBefore, watch.Seen.Acceptance));

        (long Release, int Answers, long Said) known = await ReleaseWatch.CountAsync(store, now);
        Generation another = At(now.AddHours(-1), watch.Release.ModelHash, "person 1");
        await using (FlywheelDb db = store.Tables())
        {
            db.Generations.Add(another);
            await db.SaveChangesAsync();
        }
        Assert.Equal((known.Release, known.Answers + 1, known.Said), await ReleaseWatch.CountAsync(store, now));
        ReleaseWatch again = (await ReleaseWatch.ReadAsync(store, now, watch))!;
        Assert.Equal((watch.Seen.After.Count + 1, 30), (again.Seen.After.Count, again.Seen.NumPeople));
        Assert.Same(watch.Seen.Before, again.Seen.Before);
        await store.AddFeedbackAsync(new FeedbackInput(another.Id, Metrics.Keep, true, "person 1"));
        Assert.Equal(known.Said + 1, (await ReleaseWatch.CountAsync(store, now)).Said);
    }

    /// <summary>Thirty people kept each of three texts; then a turn released another model, of which they keep none. Or
    /// all of them are sets of two drafts, of which the first was thrown away, and then the second kept.</summary>
    private async Task<FlywheelStore> StoreAsync(bool sets = false)
    {
        FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""), new Given.Clock(s_release.AddDays(4)));
        string next = new('b', 64);
        var turn = new TurnRow { Id = Guid.NewGuid(), Number = 1, Started = s_release, Ended = s_release, State = TurnState.Promoted,
            Champion = Given.Champion, Candidate = next, Recipe = "", Reason = "it was better" };
        await using FlywheelDb db = store.Tables();
        foreach (string hash in new[] { Given.Champion, next })
            db.Models.Add(new ModelRow { Hash = hash, Path = hash, Created = Given.Monday });
        db.Turns.Add(turn);
        db.Releases.Add(new ReleaseRow { Time = Given.Monday, ModelHash = Given.Champion, Reason = "first" });
        await db.SaveChangesAsync();
        db.Releases.Add(new ReleaseRow { Time = s_release, ModelHash = next, Reason = "turn 1: it was better", TurnId = turn.Id });
        for (int i = 0; i < 180; i++)
        {
            (bool after, string person) = (i >= 90, $"person {i % 30}");
            Generation answer = At(after ? s_release.AddMinutes(i) : s_release.AddDays(-2).AddMinutes(i), after ? next : Given.Champion,
                person);
            db.Generations.Add(answer);
            db.Feedback.Add(new Feedback { Id = Guid.NewGuid(), Time = answer.Time.AddSeconds(30), GenerationId = answer.Id,
                Metric = after || sets ? Metrics.Discard : Metrics.Keep, Value = "true", User = person });
            if (!sets) continue;
            Generation second = At(answer.Time, answer.ModelHash, person, answer.Group);
            db.Generations.Add(second);
            db.Feedback.Add(new Feedback { Id = Guid.NewGuid(), Time = answer.Time.AddSeconds(40), GenerationId = second.Id,
                Metric = Metrics.Keep, Value = "true", User = person });
        }
        await db.SaveChangesAsync();
        return store;
    }

    private static Generation At(DateTimeOffset time, string model, string person, Guid? group = null)
    {
        var id = Guid.CreateVersion7(time);
        return new()
        {
            Id = id, Group = group ?? id, Time = time, User = person, App = "write", ModelHash = model, FinishReason = FinishReason.Stop,
            NumTokens = 12, LatencyMs = 300,
            Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [], Logprobs = [], SamplerLogprobs = [],
                Sampler = new() },
        };
    }
}
