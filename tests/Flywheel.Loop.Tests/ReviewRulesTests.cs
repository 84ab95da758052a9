using CsCheck;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>The queue on a record: imports, counts that are kept up to date, sides of reviewers, and turns that are curated
/// again.</summary>
public sealed class ReviewRulesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Import_DecisionThatWasChangedAndChangedBack_IsHeardEachTime()
    {
        (FlywheelStore store, ReviewQueue queue, IReadOnlyList<ReviewItem> items) = await QueueAsync(1);
        await using FlywheelStore _ = store;
        foreach ((string decision, ReviewOutcome expected, int reviews) in new[]
        {
            ("approve,,", ReviewOutcome.Approved, 1), ("approve,,", ReviewOutcome.Approved, 1), ("reject,,no", ReviewOutcome.Rejected, 2),
            ("approve,,", ReviewOutcome.Approved, 3), ("approve,,", ReviewOutcome.Approved, 3),
            ("correct,another text,", ReviewOutcome.Corrected, 4),
            ("correct,a third text,", ReviewOutcome.Corrected, 5), ("correct,another text,", ReviewOutcome.Corrected, 6),
            ("reject,,no", ReviewOutcome.Rejected, 7),
        })
        {
            await queue.ImportAsync(ReviewFile.Read($"id,decision,corrected,reason\n{items[0].Id},{decision}", "a.csv", "bo"), "a.csv");
            ReviewState state = (await queue.FindAsync(items[0].Id)).State;
            Assert.Equal((expected, reviews), (state.Outcome, state.Ids.Count));
            if (expected == ReviewOutcome.Corrected) Assert.Equal(decision.Split(',')[1], state.Text);
        }
    }

    [Fact]
    public async Task Import_LastOfManyAnswersWrong_RecordsNone()
    {
        (FlywheelStore store, ReviewQueue queue, IReadOnlyList<ReviewItem> items) = await QueueAsync(3);
        await using FlywheelStore _ = store;
        Guid comment = (await store.AddFeedbackAsync(new(items[0].GenerationId, Metrics.Comment, "fine", "ann"))).Id;
        ReviewInput[] good = [.. items.Select(item => new ReviewInput { Item = item.Id, Act = ReviewAct.Approve, Reviewer = "bo" })];
        ReviewInput thrownAway = new() { Item = items[2].Id, Act = ReviewAct.Correct, Text = items[2].Text + "\r\n", Reviewer = "bo" };
        Assert.Contains("which the person did not want",
            (await Assert.ThrowsAsync<FlywheelException>(() => queue.ImportAsync([.. good, thrownAway], "a.csv"))).Message);
        Assert.Contains("which is no item of the queue",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                queue.ImportAsync([.. good, good[0] with { Item = Guid.NewGuid() }], "a.csv"))).Message);
        using var left = new CancellationTokenSource(); // whoever had brought them has left the page
        left.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queue.ImportAsync(good, "a.csv", left.Token));
        await using (FlywheelDb db = store.Tables()) Assert.Equal(0, await db.Feedback.CountAsync(row => row.Metric == Metrics.Review));

        (int recorded, IReadOnlyList<string> gone) =
            await queue.ImportAsync([.. good, new ReviewInput { Item = comment, Act = ReviewAct.Approve, Reviewer = "bo" }], "a.csv");
        Assert.Equal((3, 1), (recorded, gone.Count));
        // at once, once
        await Task.WhenAll(Enumerable.Range(0, 4)
            .Select(_ => queue.ImportAsync([good[0] with { Act = ReviewAct.Reject, Reason = "no" }], "a.csv")));
        Assert.Equal(2, (await queue.FindAsync(items[0].Id)).State.Ids.Count);
    }

    /// <summary>What the writer is given together is stored together: a key that was used for something else takes its neighbours with
    /// it.</summary>
    [Fact]
    public async Task Feedback_GivenTogetherWithOneThatConflicts_StoresNone()
    {
        (FlywheelStore store, ReviewQueue _, IReadOnlyList<ReviewItem> items) = await QueueAsync(2);
        await using FlywheelStore _1 = store;
        FeedbackInput one = new(items[0].GenerationId, Metrics.Comment, "first", "cy", null, "k1"),
            other = new(items[1].GenerationId, Metrics.Comment, "second", "cy", null, "k2");
        await store.AddFeedbackAsync(one);
        FeedbackInput changed = new(items[0].GenerationId, Metrics.Comment, "changed", "cy", null, "k1");
        await Assert.ThrowsAsync<IdempotencyConflictException>(() => store.AddAllFeedbackAsync([other, changed]));
        Assert.DoesNotContain(await store.FeedbackAsync(items[1].GenerationId), row => row.IdempotencyKey == "k2");
        IReadOnlyList<FeedbackReceipt> both = await store.AddAllFeedbackAsync([other, one]);
        Assert.Equal(2, both.Select(receipt => receipt.Id).Distinct().Count());
        Assert.Single(await store.FeedbackAsync(items[1].GenerationId), row => row.IdempotencyKey == "k2");
    }

    /// <summary>Any decisions: the counts that are kept up to date are those of a queue that is read anew, and so is the
    /// agreement.</summary>
    [Fact]
    public async Task List_AfterAnyDecisions_CountsAsReadAnew()
    {
        (FlywheelStore store, ReviewQueue queue, IReadOnlyList<ReviewItem> _) = await QueueAsync(9);
        await using FlywheelStore _1 = store;
        var filter = new ReviewFilter { View = ReviewView.All };
        ReviewList list = await queue.ListAsync(filter);
        ReviewAgreement agreement = await ReviewAgreement.ReadAsync(store);
        var random = new Random(11);
        for (int step = 0; step < 40; step++)
        {
            ReviewItem item = list.Items[random.Next(list.Items.Count)];
            string who = random.Next(2) == 0 ? "bo" : "cy";
            ReviewInput input = random.Next(5) switch
            {
                0 => new() { Item = item.Id, Act = ReviewAct.Approve },
                1 => new() { Item = item.Id, Act = ReviewAct.Reject, Reason = "no" },
                2 => new() { Item = item.Id, Act = ReviewAct.Correct, Text = $"corrected {step}" },
                3 => new() { Item = item.Id, Act = ReviewAct.Label, Label = $"l{step % 3}" },
                _ => new() { Item = item.Id, Act = ReviewAct.Undo },
            };
            if (input.Act == ReviewAct.Undo && item.State.By(who) is null) continue;
            ReviewItem now = ReviewSignals.Keep((await queue.DecideAsync(input with { Reviewer = who })).Item, item);
            (list, agreement) = (list.With(item, now), agreement.With(now));
        }
        ReviewList anew = await queue.ListAsync(filter);
        Assert.Equal((anew.NumDecided, anew.NumAll), (list.NumDecided, list.NumAll));
        Assert.Equal(anew.Signals, list.Signals);
        Assert.NotInRange(list.NumDecided, 0, 1);
        foreach (ReviewItem item in anew.Items)
        {
            ReviewItem same = list.Items.Single(one => one.Id == item.Id);
            Assert.Equal((item.State.Outcome, item.State.Text, string.Join(' ', item.Signals)),
                (same.State.Outcome, same.State.Text, string.Join(' ', same.Signals)));
        }
        Assert.Equal((await ReviewAgreement.ReadAsync(store)).All, agreement.All);
    }

    /// <summary>Whoever corrects whose rows: nobody's texts are learnt from and tested on, and who was held out before teaches
    /// nothing.</summary>
    [Fact]
    public void Split_AnyCorrections_KeepsTheTextsOfEachReviewerOnOneSide() =>
        Gen.Select(Gen.Int[0, 11].Array[30, 60], Gen.Int[-1, 11].Array[60], Gen.Int[0, 11].HashSet[0, 3])
            .Sample((people, authors, heldOut) =>
        {
            CuratedExample[] rows = [.. people.Select((person, i) => new CuratedExample
            {
                Kind = ExampleKind.Supervised, User = $"person {person}", Prompt = new([Message.User($"prompt {i}")]),
                Preferred = $"text {i}",
                GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
                Author = authors[i] < 0 || authors[i] == person ? null : $"person {authors[i]}",
            })];
            CuratedDataset dataset = CuratedDataset.Create(rows,
                Given.Split(heldOut.ToDictionary(person => $"person {person}", _ => Split.HeldOut)));
            if (dataset.IsOfFewPeople) return;
            List<CuratedExample> used = [.. dataset.Rows.Where(row => row.Drop is null)];
            HashSet<string> taught = [.. used.Where(row => row.Split == Split.Train).Select(Writer)],
                tested = [.. used.Where(row => row.Split == Split.HeldOut).Select(Writer)];
            Assert.Empty(taught.Intersect(tested));
            Assert.DoesNotContain(taught, person => heldOut.Any(one => person == $"person {one}"));
            Assert.Contains(dataset.Rows,
                row => row.Drop == DropReasons.ReviewersSide || rows.All(one => one.Author is null)
                    || used.Count == dataset.Rows.Count(one => one.Drop is not DropReasons.Capped));

            static string Writer(CuratedExample row) => row.Author ?? row.Person;
        }, iter: 300, seed: "0000KeXSOcQ3");

    /// <summary>
    /// Of two texts that ann kept, a reviewer has let in one: the other waits, and is no worse for it. Curated again, as when somebody is
    /// forgotten, the turn learns the same; what was said after it is not in it. Whoever wrote a correction that was learnt from is learnt
    /// from.
    /// </summary>
    [Fact]
    public async Task Turn_CuratedAgainWithRowsThatWait_LearnsTheSame()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), new Given.Clock(Given.Monday));
        for (int request = 0; request < 6; request++)
        {
            var group = Guid.NewGuid();
            Guid[] ids = [.. Enumerable.Range(0, 3).Select(_ => Guid.NewGuid())];
            for (int choice = 0; choice < 3; choice++)
                await store.RecordAsync(Given.Generation(ids[choice], group, "ann", $"text {choice} of {request}", $"prompt {request}",
                    choice));
            Guid[] kept = [(await store.AddFeedbackAsync(new(ids[0], Metrics.Keep, true, "ann"))).Id,
                (await store.AddFeedbackAsync(new(ids[1], Metrics.Keep, true, "ann"))).Id];
            await new ReviewQueue(store).DecideAsync(request == 0
                ? new() { Item = kept[1], Act = ReviewAct.Correct, Text = "as bo would say it", Reviewer = "bo" }
                : new() { Item = kept[1], Act = ReviewAct.Approve, Reviewer = "bo" });
        }
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
        recipe = recipe with { Curate = recipe.Curate with { RequireReview = true } };
        await using FlywheelDb db = store.Tables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, new(), false, TestContext.Current.CancellationToken);
        CuratedDataset dataset = await TurnCuration.CurateAsync(store, recipe, null, intake, TestContext.Current.CancellationToken);
        TurnRow turn = await new TurnLedger(store, TimeProvider.System).BeginAsync(new ModelRow { Hash = Given.Champion, Path = "m" },
            RecipeFile.ToYaml(recipe), dataset, intake, TestContext.Current.CancellationToken);
        foreach (Shown answer in intake.Shown) await store.AddFeedbackAsync(new(answer.Id, Metrics.Discard, true, "ann"));

        FeedbackIntake again = await FeedbackReader.AgainAsync(db, turn, false, TestContext.Current.CancellationToken);
        CuratedDataset same = await TurnCuration.CurateAsync(store, recipe, null, again, TestContext.Current.CancellationToken);

        Assert.Equal(6, dataset.Rows.Count(row => row.Drop == DropReasons.AwaitsReview));
        Assert.DoesNotContain(same.Rows,
            row => row is { Drop: null, Kind: ExampleKind.Preference } && row.Rejected!.StartsWith("text 0", StringComparison.Ordinal));
        Assert.Equal(dataset.Hash, same.Hash);
        FeedbackIntake next = await FeedbackReader.ReadAsync(db, new(), false, TestContext.Current.CancellationToken);
        Assert.Equal(dataset.Rows.Any(row => row is { Drop: null, Author: "bo", Split: Split.Train }) ? Split.Train : Split.HeldOut,
            next.People["bo"]);
    }

    /// <summary>Items of ann's, two in three kept and the third thrown away; some stand out.</summary>
    private async Task<(FlywheelStore Store, ReviewQueue Queue, IReadOnlyList<ReviewItem> Items)> QueueAsync(int count)
    {
        FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), new Given.Clock(Given.Monday));
        string[] texts = ["Draw anything, fast.", "qwrtpsd fghjklz xcvbnmq", "Ask ann@example.org."];
        for (int i = 0; i < count; i++)
        {
            Guid id = Guid.NewGuid();
            await store.RecordAsync(Given.Generation(id, Guid.NewGuid(), i % 5 == 0 ? "dee" : "ann", $"{texts[i % 3]} {i / 3}",
                $"prompt {i % 2}"));
            await store.AddFeedbackAsync(new(id, i % 3 == 2 ? Metrics.Discard : Metrics.Keep, true));
        }
        var queue = new ReviewQueue(store, new Given.Clock(Given.Monday));
        return (store, queue,
            [.. (await queue.ListAsync(new() { View = ReviewView.All })).Items.OrderBy(item => item.Did == ReviewedAct.Discarded)]);
    }
}
