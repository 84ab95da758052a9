using System.Text.Json;
using Flywheel.Loop.Keeping;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>From what people did over a reviewer's word into a model, and out again.</summary>
public sealed class ReviewLoopTests : IDisposable
{
    private const int People = 12;

    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Review_FromTheQueueIntoAModelAndOut_DecidesWhatWasLearnt()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], People);
        var queue = new ReviewQueue(store);
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path, supervisedSteps: 6);
        recipe = recipe with { Gate = recipe.Gate with { SanityPrompts = 2, Drafts = 1, MaxTokens = 4 } };
        new HomeSettings { RequireReview = true }.Write(store.Home);
        TurnPreview before = await new TurnRunner(store).PreviewAsync(recipe, store.Home.Path);
        Assert.Contains("72 awaits_review", before.Missing, StringComparison.Ordinal);

        ReviewList list = await queue.ListAsync(new() { Reviewer = "bo" });
        Assert.Equal((36, 36, 0), (list.Items.Count, list.NumAll, list.NumDecided)); // one an answer that was taken, not one an act
        foreach (ReviewItem item in list.Items.Skip(2))
            await queue.DecideAsync(new() { Item = item.Id, Act = ReviewAct.Approve, Reviewer = "bo" });
        (ReviewItem corrected, ReviewItem rejected) = (list.Items[0], list.Items[1]);
        await queue.DecideAsync(new() { Item = corrected.Id, Act = ReviewAct.Correct, Text = "Write with a quokkarium.", Reviewer = "bo" });
        await queue.DecideAsync(new() { Item = rejected.Id, Act = ReviewAct.Reject, Reason = "not true", Reviewer = "bo" });
        TurnOutcome turn = await new TurnRunner(store).RunAsync(recipe, store.Home.Path, force: true);

        List<CuratedExample> learnt = [.. turn.Dataset.Rows.Where(row => row.Drop is null && row.Kind == ExampleKind.Supervised)];
        Assert.Equal(35, learnt.Count);
        Assert.Contains(learnt, row => row.GenerationId == corrected.GenerationId && row.Preferred == "Write with a quokkarium.");
        Assert.DoesNotContain(learnt, row => row.GenerationId == rejected.GenerationId);
        Assert.Contains((DropReasons.RejectedByReviewer, 2), turn.Dataset.Drops); // what was taken, and what was thrown away beside it
        Assert.Empty((await queue.ListAsync(new() { View = ReviewView.All })).Items);
        Assert.Contains("settled",
            (await Assert.ThrowsAsync<ReviewGoneException>(() =>
                queue.DecideAsync(new() { Item = corrected.Id, Act = ReviewAct.Approve }))).Message);
        string fate = string.Join('\n', await RowFate.ExplainAsync(store, $"{rejected.Id}"));
        Assert.Contains("reviewed: reject by bo", fate, StringComparison.Ordinal);
        Assert.Contains("because not true", fate, StringComparison.Ordinal);
        Assert.Contains("turn 1 (promoted): left out, rejected_by_reviewer", fate, StringComparison.Ordinal);
        Assert.Contains("Write with a quokkarium.", string.Join('\n', await RowFate.ExplainAsync(store, $"{corrected.GenerationId}")),
            StringComparison.Ordinal);

        // What a released model learnt is held, and named.
        var retention = new Retention(store, new Given.Clock(Given.Monday.AddDays(400)));
        RetentionResult kept = await retention.RunAsync([new() { Days = 90 }]);
        Assert.Equal((0, turn.Turn.Candidate), (kept.Answers, Assert.Single(kept.Held).Model));
        Assert.True((await new Rebuild(store).RunAsync(turn.Turn.Candidate![..12])).IsEqual);

        // Without the reviewer nothing had been let in but by others: the model that learnt their words goes.
        ForgetPreview preview = await new Forget(store).PreviewAsync("bo");
        Assert.Equal([1], preview.Turns);
        await new Forget(store).RunAsync("bo");
        SqliteConnection.ClearAllPools();
        Assert.DoesNotContain(Directory.EnumerateFiles(store.Home.Path, "*", SearchOption.AllDirectories),
            file => File.ReadAllText(file).Contains("quokkarium", StringComparison.Ordinal));
        await using FlywheelDb db = store.Tables();
        Assert.Empty(await db.Examples.Where(row => row.DropReason == null).ToListAsync());
    }

    [Fact]
    public async Task Retention_AlsoTaughtAndStopped_RemovesAllTextsWhenItGoesOnAndWhoIsForgottenLaterHasTheModelRetired()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], People);
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path, supervisedSteps: 2);
        recipe = recipe with { Stages = [recipe.Stages[0]], Gate = recipe.Gate with { SanityPrompts = 2, Drafts = 1, MaxTokens = 4 } };
        TurnOutcome turn = await new TurnRunner(store).RunAsync(recipe, store.Home.Path, force: true);

        string first = turn.Turn.Champion;

        using var stop = new CancellationTokenSource();
        RetentionRule[] rules = [new() { App = "test", Days = 90 }, new() { Days = 90 }];
        RetentionResult gone = await new Retention(store, new Given.Clock(Given.Monday.AddDays(400))).PreviewAsync(rules, alsoTaught: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            new Retention(store, new StoppingClock(stop)).RunAsync(rules, alsoTaught: true, stop.Token));
        // the rows went, and then it was stopped
        await using (FlywheelDb db = store.Tables()) Assert.Equal(0, await db.Set<GenerationPayload>().CountAsync());
        await new Retention(store, new Given.Clock(Given.Monday.AddDays(400))).RunAsync(rules);

        Assert.Equal((108, 72, turn.Turn.Candidate), (gone.Answers, gone.Feedback, Assert.Single(gone.NotRebuilt)));
        SqliteConnection.ClearAllPools();
        Assert.DoesNotContain(Directory.EnumerateFiles(store.Home.Path, "*", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/models/", StringComparison.Ordinal)),
            file => File.ReadAllText(file).Contains("simply the best of all", StringComparison.Ordinal));
        Assert.Contains("missing",
            (await Assert.ThrowsAsync<FlywheelException>(() => new Rebuild(store).RunAsync(turn.Turn.Candidate![..12]))).Message);
        Assert.Equal(turn.Turn.Candidate, (await store.ChampionAsync())!.Hash); // it serves on

        CuratedExample heldOut = turn.Dataset.Rows.First(row => row is { Drop: null, Split: Split.HeldOut }),
            taught = turn.Dataset.Rows.First(row => row is { Drop: null, Split: Split.Train });
        await new Forget(store).RunAsync(heldOut.User);
        Assert.Equal(turn.Turn.Candidate, (await store.ChampionAsync())!.Hash); // it was only tested on them
        DeletionRow deletion = await new Forget(store).RunAsync(taught.User);
        ForgottenModel model = Assert.Single(JsonSerializer.Deserialize<ForgottenModel[]>(deletion.Models, JsonText.Compact)!);
        Assert.Equal((turn.Turn.Candidate, null, "retired: texts it learnt from were removed by retention"),
            (model.Before, model.After, model.How));
        Assert.Equal(first, (await store.ChampionAsync())!.Hash);
    }

    /// <summary>Long after, and it stops who asks for the fourth time: when the second of two rules is applied.</summary>
    private sealed class StoppingClock(CancellationTokenSource stop) : TimeProvider
    {
        private int _asked;

        public override DateTimeOffset GetUtcNow()
        {
            if (++_asked == 4) stop.Cancel();
            return Given.Monday.AddDays(400);
        }
    }

    [Theory]
    [InlineData(Provider.Sqlite)]
    [InlineData(Provider.Postgres)]
    public async Task Queue_FiltersSignalsAndTwoReviewersAtOnce_AreAsStated(Provider provider)
    {
        using var record = new TestRecord(provider);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(await record.HomeAsync());
        Guid[] ids = [.. Enumerable.Range(0, 5).Select(i => new Guid($"00000000-0000-7000-8000-00000000000{i}"))];
        string[] texts = ["Draw anything, fast.", "qwrtpsd fghjklz xcvbnmq", "Ask ann@example.org.", "Draw anything, fast.",
            "A draft beside it, not taken."];
        for (int i = 0; i < 5; i++)
            await store.RecordAsync(Given.Generation(ids[i], ids[i == 4 ? 0 : i], i == 3 ? "cy" : "ann", texts[i], choice: i == 4 ? 1 : 0));
        FeedbackReceipt[] said =
            [.. await Task.WhenAll(
                ids.Take(4).Select((id, i) => store.AddFeedbackAsync(new(id, i == 3 ? Metrics.Discard : Metrics.Keep, true))))];
        await store.AddFeedbackAsync(new(ids[4], Metrics.Comment, "a remark"));
        var queue = new ReviewQueue(store);

        ReviewList list = await queue.ListAsync(new() { Reviewer = "bo" });
        Dictionary<Guid, ReviewItem> items = list.Items.ToDictionary(item => item.GenerationId);
        Assert.Equal(4, list.Items.Count);
        Assert.Equal([ReviewSignals.Contradiction], items[ids[0]].Signals);
        Assert.Equal([ReviewSignals.Garbage], items[ids[1]].Signals);
        Assert.Equal([ReviewSignals.PersonalData], items[ids[2]].Signals);
        Assert.Equal(ReviewedAct.Discarded, items[ids[3]].Did);
        Assert.Equal([ids[4]], items[ids[0]].Others.Select(other => other.GenerationId));
        Assert.Single((await queue.ListAsync(new() { Signal = ReviewSignals.Garbage })).Items);
        Assert.Empty((await queue.ListAsync(new() { App = "chat" })).Items);
        Assert.Equal([("test", 4)], list.Apps);

        // Two decide on the same item at once: both are heard, and it waits.
        Guid same = items[ids[0]].Id;
        await Task.WhenAll(queue.DecideAsync(new() { Item = same, Act = ReviewAct.Approve, Reviewer = "bo" }),
            queue.DecideAsync(new() { Item = same, Act = ReviewAct.Reject, Reason = "no", Reviewer = "cy" }));
        ReviewItem disputed = Assert.Single((await queue.ListAsync(new() { View = ReviewView.Disputed })).Items);
        Assert.Equal((ReviewOutcome.Disputed, 2), (disputed.State.Outcome, disputed.State.Standing.Count));
        Assert.Contains(ReviewSignals.LowAgreement, disputed.Signals);
        Assert.Equal(1, (await ReviewAgreement.ReadAsync(store)).All.Items);
        Assert.Empty((await queue.ListAsync(new() { View = ReviewView.Second, Reviewer = "bo" })).Items);
        Assert.Single((await queue.ListAsync(new() { View = ReviewView.Second, Reviewer = "dee" })).Items);

        // Compared blind: one that disagrees with the person is a rejection, and may be undone, once.
        ReviewReceipt compared =
            await queue.DecideAsync(new() { Item = same, Act = ReviewAct.Compare, Preferred = ids[4], Over = ids[0], Reviewer = "bo" });
        Assert.Equal(ReviewOutcome.Rejected, compared.Item.State.Outcome);
        await queue.DecideAsync(new() { Item = same, Act = ReviewAct.Undo, Reviewer = "cy" });
        await Assert.ThrowsAsync<FlywheelException>(() => queue.DecideAsync(new() { Item = same, Act = ReviewAct.Undo, Reviewer = "cy" }));
        Assert.Equal(2, Enumerable.Range(0, 20).Select(i => disputed.PairFor($"r{i}")![0].GenerationId).Distinct().Count()); // shuffled
        Assert.Equal(disputed.PairFor("bo"), disputed.PairFor("bo"));

        // Import: answered twice, recorded once; of an item that the person has changed since, it is said.
        string csv = $"id,decision,reason,reviewer\n{items[ids[1]].Id},reject,noise,eve\n{items[ids[2]].Id},approve,,eve";
        IReadOnlyList<ReviewInput> answers = ReviewFile.Read(csv, "a.csv", "");
        foreach (int _ in new[] { 1, 2 })
            Assert.Equal((2, 0), (await queue.ImportAsync(answers, "a.csv")) is var (recorded, gone) ? (recorded, gone.Count) : default);
        await using (FlywheelDb db = store.Tables()) Assert.Equal(2,
            await db.Feedback.CountAsync(row => row.Metric == Metrics.Review && row.User == "eve"));
        await store.AddFeedbackAsync(new(ids[2], Metrics.Retract, true));
        Assert.Single((await queue.ImportAsync(answers, "a.csv")).Gone);
        FlywheelException unknown =
            await Assert.ThrowsAsync<FlywheelException>(() =>
                queue.ImportAsync([new() { Item = Guid.NewGuid(), Act = ReviewAct.Approve }], "a.csv"));
        Assert.Contains("which is no item of the queue", unknown.Message);

        // Of a person whose act was reviewed, nothing of the review stays either.
        await store.AddFeedbackAsync(new(ids[3], Metrics.Demonstration, "zed wrote this here", "zed"));
        Guid zed = (await queue.ListAsync(new() { View = ReviewView.All })).Items.Single(item => item.Person == "zed").Id;
        await queue.DecideAsync(new() { Item = zed, Act = ReviewAct.Correct, Text = "zed wrote this there", Reviewer = "bo" });
        await new Forget(store).RunAsync("zed");
        await using FlywheelDb after = store.Tables();
        Assert.DoesNotContain(await after.Feedback.ToListAsync(), row => row.Value.Contains("zed wrote", StringComparison.Ordinal));
        Assert.NotEmpty(said);
    }
}
