using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>One person, or a few, can turn the wheel; and nothing is promoted to them that they did not say yes to.</summary>
public sealed class FewPeopleTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Turn_OfOnePerson_WaitsForAYesAndThenPromotes()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], people: 1, requests: 30);
        string champion = (await store.ChampionAsync(Stop))!.Hash;
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(recipe, store.Home.Path, cancellation: Stop);

        Assert.True(outcome.Waits, outcome.Turn.Reason);
        Assert.Null(outcome.Turn.Ended);
        Assert.Equal(champion, (await store.ChampionAsync(Stop))!.Hash);
        Assert.NotEmpty(outcome.SideBySide);
        Assert.All(outcome.SideBySide, draft => Assert.Equal(draft.Champion.Prompt, draft.Candidate.Prompt));
        Assert.All(outcome.Decision.Rules.Where(rule => rule.Name is "texts people accepted" or "preferred over rejected"), rule =>
            Assert.Null(rule.Passed));
        string markdown = await File.ReadAllTextAsync(Path.ChangeExtension(outcome.Report, "md"), Stop);
        Assert.StartsWith("# Turn 1: waiting", markdown, StringComparison.Ordinal);
        Assert.Contains("say little about anybody else", markdown, StringComparison.Ordinal);
        Assert.Contains("turn --accept 1", await File.ReadAllTextAsync(outcome.Report, Stop), StringComparison.Ordinal);

        // The same verb again trains nothing and waits on.
        TurnOutcome again = await new TurnRunner(store).RunAsync(recipe, store.Home.Path, cancellation: Stop);
        Assert.True(again.Waits);
        Assert.Equal(outcome.Turn.Id, again.Turn.Id);
        (TurnRow shown, IReadOnlyList<(Answer, Answer)> drafts) = await new TurnRunner(store).SideBySideAsync(1, Stop);
        Assert.Equal(outcome.Turn.Id, shown.Id);
        Assert.Equal(outcome.SideBySide, drafts);
        Assert.Contains("turn 1 with candidate",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
            new TurnRunner(store).AnswerAsync("2", accept: true, cancellation: Stop))).Message, StringComparison.Ordinal);

        List<string> swapped = [];
        TurnRow turn = await new TurnRunner(store).AnswerAsync("1", accept: true, "ann", (hash, reason) =>
        {
            swapped.Add(hash);
            return Task.CompletedTask;
        }, Stop);

        Assert.Equal(TurnState.Promoted, turn.State);
        Assert.StartsWith("accepted by ann after a comparison side by side", turn.Reason, StringComparison.Ordinal);
        Assert.Equal([turn.Candidate!], swapped);
        Assert.Equal(turn.Candidate, (await store.ChampionAsync(Stop))!.Hash);
        Assert.StartsWith("# Turn 1: promoted", await File.ReadAllTextAsync(Path.ChangeExtension(outcome.Report, "md"), Stop),
            StringComparison.Ordinal);
        Assert.Contains("none does",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
            new TurnRunner(store).AnswerAsync("1", accept: true, cancellation: Stop))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Turn_OfThreePeopleRefused_KeepsTheChampionAndTheirFeedback()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], people: 3, requests: 10);
        string champion = (await store.ChampionAsync(Stop))!.Hash;
        TurnOutcome outcome = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path, cancellation: Stop);
        Assert.True(outcome.Waits, outcome.Turn.Reason);

        TurnRow turn = await new TurnRunner(store).AnswerAsync(outcome.Turn.Candidate![..8], accept: false, cancellation: Stop);

        Assert.Equal((TurnState.Rejected, champion), (turn.State, (await store.ChampionAsync(Stop))!.Hash));
        Assert.NotNull(turn.Ended);
        await using FlywheelDb db = store.Tables();
        Assert.True((await FeedbackReader.ReadAsync(db, new(), withTokens: false, Stop)).NumOpen > 0);
        // Who was learnt from is not tested on when more people come, though some of their prompts were.
        Assert.All((await FeedbackReader.ReadAsync(db, new(), withTokens: false, Stop)).People.Values,
            side => Assert.Equal(Split.Train, side));
    }

    [Fact]
    public async Task Turn_ChampionChangedWhileItWaited_IsNotPromoted()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"], people: 1, requests: 30);
        TurnOutcome outcome = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path, cancellation: Stop);
        await using (FlywheelDb db = store.Tables())
        {
            db.Models.Add(new ModelRow { Hash = new('f', 64), Path = "models/other" });
            await db.SaveChangesAsync(Stop);
        }
        await store.ReleaseAsync(new('f', 64), "by hand", cancellation: Stop);

        TurnRow turn = await new TurnRunner(store).AnswerAsync($"{outcome.Turn.Id}", accept: true, cancellation: Stop);

        Assert.Equal(TurnState.Rejected, turn.State);
        Assert.Contains("the champion was changed", turn.Reason, StringComparison.Ordinal);
    }

    /// <summary>What a person would be shown must have passed what needs no person.</summary>
    [Theory]
    [InlineData(-0.5, true, null)]
    [InlineData(0.0, true, null)]
    [InlineData(0.5, false, false)]
    public void Decide_PersonDecides_StopsOnlyWhatIsCertainlyWorse(double loss, bool passes, bool? texts)
    {
        HeldOutItem[] items = [.. Enumerable.Range(0, 12)
            .Select(i => new HeldOutItem("ann", new([Message.User($"p{i}"), Message.Assistant("t")]), null))];
        var random = new Random(2);
        double[] before = [.. items.Select(_ => 2 + random.NextDouble())],
            after = [.. before.Select(value => value + loss + 0.1 * (random.NextDouble() - 0.5))];
        ExamResult Of(double[] values) =>
            new() { ModelHash = Given.Champion, Texts = values, Margins = [], Regression = [2, 2.1], Answers = [new("p", "t", 5, null)] };
        var paper = new ExamPaper(items, [], [items[0].Preferred, items[1].Preferred]);

        GateDecision decision = Gate.Decide(paper, Of(before), Of(after), new GateRecipe { Regression = "r", RegressionMargin = 0.05 }, 1,
            fewPeople: true);

        Assert.Equal(passes, decision.Passed);
        Assert.Equal(texts, decision.Rules[0].Passed);
        if (!passes) Assert.Contains("certainly worse", decision.Reason, StringComparison.Ordinal);
    }
}
