using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>What must not be forgotten, kind by kind, and measured from the first release on.</summary>
public sealed class FrozenSetTests
{
    private static readonly GateRecipe s_rules = new() { Regression = "r", RegressionMargin = 0.05 };

    /// <summary>Falls of the taught kind and of two others; the average over all hides what happens to one.</summary>
    [Theory]
    [InlineData(0.0, 0.0, 0.0, "")]
    [InlineData(0.34, 0.02, 0.03, "")] // the style of taglines was taught; the rest hardly moves
    [InlineData(0.7, 0.0, 0.0, "frozen set, Write a tagline. (taught)")]
    [InlineData(-0.3, 0.1, -0.3, "frozen set, Write a description.")]
    [InlineData(0.0, 0.1, 0.1, "frozen set, Write a description.; frozen set, Write a list.")]
    public void Rules_FallOfOneKind_IsJudgedByItself(double taught, double second, double third, string failing)
    {
        double[] falls = [taught, second, third];
        ExamPaper paper = Paper(20) with { Taught = new HashSet<string> { "Write a tagline." } };

        IEnumerable<RuleResult> rules = FrozenSet.Rules(paper, Result(_ => 2), Result(i => 2 + falls[i / 20]), null, s_rules, 1);

        Assert.Equal(failing, string.Join("; ", rules.Where(rule => rule.Passed == false).Select(rule => rule.Name)));
    }

    /// <summary>Each turn may lose a little against its champion; together they may lose no more than one may.</summary>
    [Fact]
    public void Rules_LittleLostAtEachPromotion_AddsUpAgainstTheFirstRelease()
    {
        double[] fall = [0, 0.03, 0.06, 0.09];
        List<string> failed = [];
        for (int turn = 1; turn < fall.Length; turn++)
        {
            int now = turn;
            IEnumerable<RuleResult> rules = FrozenSet.Rules(Paper(20), Result(_ => 2 + fall[now - 1]), Result(_ => 2 + fall[now]),
                now == 1 ? null : Result(_ => 2), s_rules, 1);
            failed.AddRange(rules.Where(rule => rule.Passed == false).Select(rule => $"{now}: {rule.Name}"));
        }

        Assert.Equal(6, failed.Count);
        Assert.All(failed, name => Assert.Contains("since the first release", name, StringComparison.Ordinal));
        Assert.All(failed, name => Assert.True(name[0] is '2' or '3'));
    }

    [Fact]
    public void Rules_KindThatAnEarlierTurnTaught_IsNotHeldToTheFirstRelease()
    {
        ExamPaper paper = Paper(20) with { TaughtBefore = new HashSet<string> { "Write a tagline." } };

        RuleResult[] rules = [.. FrozenSet.Rules(paper, Result(i => i < 20 ? 2.4 : 2), Result(i => i < 20 ? 2.4 : 2), Result(_ => 2),
            s_rules, 1)];

        Assert.All(rules, rule => Assert.True(rule.Passed));
        Assert.Equal(5, rules.Length); // three kinds against the champion, two against the first release
    }

    /// <summary>What an earlier turn raised without teaching it may be given back, down to where the first release stood and no
    /// further.</summary>
    [Theory]
    [InlineData(0.36, 0.10, false, "")]
    [InlineData(0.36, 0.34, false, "")]
    [InlineData(0.36, 0.37, false, "frozen set, Write a list.")] // below the first release, though within the margin against it
    [InlineData(0.36, 0.50, false, "frozen set, Write a list.; frozen set, Write a list., since the first release")]
    [InlineData(0.00, 0.10, false, "frozen set, Write a list.; frozen set, Write a list., since the first release")]
    [InlineData(0.36, 0.10, true, "frozen set, Write a list.")] // an earlier turn taught it: that is not given back
    public void Rules_FallOfWhatAnEarlierTurnRaised_IsHeldToTheFirstRelease(double raised, double fall, bool taughtBefore, string failing)
    {
        ExamPaper paper = Paper(20) with { TaughtBefore = taughtBefore ? new HashSet<string> { "Write a list." } : [] };
        double At(int i, double value) => 3 + (i >= 40 ? value : 0);

        IEnumerable<RuleResult> rules = FrozenSet.Rules(paper, Result(i => At(i, -raised)), Result(i => At(i, fall - raised)),
            Result(i => At(i, 0)), s_rules, 1);

        Assert.Equal(failing, string.Join("; ", rules.Where(rule => rule.Passed == false).Select(rule => rule.Name)));
    }

    /// <summary>A model that a person released is no heir of the one before it, nor do its turns answer for what that one's had
    /// taught.</summary>
    [Fact]
    public async Task FirstRelease_OfAChampion_IsWhatItsTurnsBeganFrom()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        await using (FlywheelDb db = store.AllTables())
        {
            (string, string, TurnState)[] turns = [("a", "b", TurnState.Promoted), ("b", "c", TurnState.Promoted),
                ("c", "x", TurnState.Rejected), ("imported", "d", TurnState.Promoted),
                // of which forgetting left nothing to learn
                ("b", "b", TurnState.Promoted), ("d", "d", TurnState.Promoted)];
            db.Turns.AddRange(turns.Select((turn, i) => new TurnRow
            {
                Id = Guid.NewGuid(), Number = i + 1, Started = default, Ended = DateTimeOffset.UnixEpoch, Recipe = "", FeedbackThrough = 0,
                Champion = turn.Item1, Candidate = turn.Item2, State = turn.Item3,
            }));
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        var ledger = new TurnLedger(store, TimeProvider.System);
        async Task<string> First(string champion) => (await ledger.FirstReleaseAsync(champion, TestContext.Current.CancellationToken)).Hash;

        Assert.Equal(["a", "a", "a", "x", "imported", "imported"],
            [await First("a"), await First("b"), await First("c"), await First("x"), await First("imported"), await First("d")]);
    }

    [Fact]
    public void Kinds_ConversationsThatBeginUnlike_AreOneKindTogether()
    {
        Conversation[] frozen = [.. Paper(8).Regression, .. Enumerable.Range(0, 7)
            .Select(i => Chat($"Say {i}.")), .. Enumerable.Range(0, 3).Select(_ => Chat("Few."))];

        Assert.Equal([("Write a description.", 8), ("Write a list.", 8), ("Write a tagline.", 8), ("others", 10)],
            FrozenSet.Kinds(frozen).CountBy(kind => kind).Select(count => (count.Key, count.Value))
                .OrderBy(count => count.Key, StringComparer.Ordinal));
        Assert.Equal("frozen set",
            Assert.Single(FrozenSet.Rules(new([], [], [Chat("a"), Chat("b")]), Result(_ => 2), Result(_ => 2), null, s_rules, 1)).Name);
    }

    [Fact]
    public void Kinds_FrozenSetOfThisProject_AreItsSixForms()
    {
        string[] lines = File.ReadAllLines(Path.Combine(TestFiles.Root, "models", "first", "regression.jsonl"));

        Assert.Equal([12, 12, 12, 52, 52, 52], FrozenSet.Kinds([.. lines.Select(Conversation.Parse)]).CountBy(kind => kind)
            .Select(count => count.Value).Order());
    }

    [Fact]
    public void TaughtBy_CuratedDataset_NamesTheKindsOfWhatIsLearnt()
    {
        using var folder = new TempFolder();
        CuratedExample Row(ExampleKind kind, string user, string prompt) => new()
        {
            Kind = kind, User = user, Prompt = new([Message.User($"{prompt}\nName: {user}")]), Preferred = "good",
                Rejected = kind == ExampleKind.Preference ? "bad" : null,
            GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
        };
        Dictionary<string, Split> sides = Enumerable.Range(0, 6).ToDictionary(i => $"p{i}", i => i == 0 ? Split.HeldOut : Split.Train);
        CuratedDataset dataset = CuratedDataset.Create(
            [Row(ExampleKind.Supervised, "p0", "Held out."), .. Enumerable.Range(1, 5)
                .Select(i => Row(ExampleKind.Supervised, $"p{i}", "Text.")), Row(ExampleKind.Preference, "p1", "Pair.")],
            Given.Split(sides));

        Assert.Equal(["Pair.", "Text."], FrozenSet.TaughtBy(dataset.Write(folder.Path)).Order(StringComparer.Ordinal));
        Assert.Empty(FrozenSet.TaughtBy(folder["nothing"]));
    }

    /// <summary>A second turn holds its candidate to the model that was released first, not only to its champion.</summary>
    [Fact]
    public async Task Turn_AfterAPromotion_IsHeldToTheFirstRelease()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);
        TurnOutcome first = await new TurnRunner(store)
            .RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path, cancellation: TestContext.Current.CancellationToken);
        Assert.True(first.Promoted, first.Turn.Reason);
        Assert.DoesNotContain(first.Decision.Rules, rule => rule.Name.Contains("first release", StringComparison.Ordinal));
        for (int i = 0; i < 48; i++)
        {
            Generation generation = Given.Generation(user: $"person {i % 24}", text: $"Go on with {i}.",
                prompt: $"Write a tagline.\nName: thing {i}", model: first.Turn.Candidate);
            await store.RecordAsync(generation, TestContext.Current.CancellationToken);
            await store.AddFeedbackAsync(new(generation.Id, Metrics.Keep, true), TestContext.Current.CancellationToken);
        }

        TurnOutcome second = await new TurnRunner(store)
            .RunAsync(MiniLoop.Recipe(store.Home.Path, supervisedSteps: 5), store.Home.Path,
            cancellation: TestContext.Current.CancellationToken);

        RuleResult frozen = first.Decision.Rules.Single(rule => rule.Name == "frozen set");
        RuleResult anchor = second.Decision.Rules.Single(rule => rule.Name == "frozen set, since the first release");
        Assert.Equal(frozen.Champion, anchor.Champion);
        Assert.Equal(frozen.Candidate, second.Decision.Rules.Single(rule => rule.Name == "frozen set").Champion);
        Assert.NotEqual(frozen.Champion, frozen.Candidate);
    }

    private static ExamPaper Paper(int ofEach) => new([], [],
        [.. new[] { "tagline", "description", "list" }.SelectMany(kind =>
            Enumerable.Range(0, ofEach).Select(i => Chat($"Write a {kind}.\nName: {i}")))]);

    private static ExamResult Result(Func<int, double> frozen) => new()
    {
        ModelHash = Given.Champion, Texts = [], Margins = [], Answers = [],
            Regression = [.. Enumerable.Range(0, 60).Select(i => frozen(i) + 0.01 * (i % 5))],
    };

    private static Conversation Chat(string prompt) => new([Message.User(prompt), Message.Assistant("text")]);
}
