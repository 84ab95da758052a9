using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>People who only say of single answers whether they like them.</summary>
public sealed class ThumbsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Turn_OfThumbsAlone_MakesAModelThatTellsLikedFromDisliked()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"],
            acts: [(0, Metrics.Rating, true), (1, Metrics.Rating, false), (2, Metrics.Rating, 0.25)]);

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(Kto(store), store.Home.Path,
            cancellation: TestContext.Current.CancellationToken);

        Assert.True(outcome.Waits, outcome.Turn.Reason); // drafts of so small a model are for nobody to judge but a person
        Assert.Equal(AskWhy.ByRecipe, outcome.Decision.Asks);
        Assert.Equal(["drafts with the exact name", "drafts with a fact restated", "drafts without foreign names", "drafts of known words",
            "liked from disliked", "frozen set", "sound drafts"], outcome.Decision.Rules.Select(rule => rule.Name));
        RuleResult liking = outcome.Decision.Rules.Single(rule => rule.Name == "liked from disliked");
        Assert.Equal("54 answers of 6 people", liking.Basis);
        Assert.True(liking.Improvement.Low > 0.1, $"{liking}");
        Assert.Equal("learning from 162 judged answers of 18 people, testing on 54 judged answers of 6 others.", outcome.Dataset.Summary);
        string html = await File.ReadAllTextAsync(outcome.Report, TestContext.Current.CancellationToken);
        Assert.Contains("<dt>Liked from disliked</dt>", html, StringComparison.Ordinal);
        Assert.Contains("nats a token apart, higher is better", html, StringComparison.Ordinal);
    }

    /// <summary>The recipe that everybody has learns from texts; what would learn from these people is named.</summary>
    [Fact]
    public async Task Turn_OfThumbsWithoutAStageForThem_NamesTheRecipe()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"],
            acts: [(0, Metrics.Rating, true), (1, Metrics.Discard, true)]);
        TurnPreview preview = await new TurnRunner(store).PreviewAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path,
            TestContext.Current.CancellationToken);
        Assert.Contains("0 kept or edited texts of 0 people", preview.Missing, StringComparison.Ordinal);
        Assert.Equal("kto",
            Assert.Single(RecipeFile.LoadTurn(Path.Combine(TestFiles.Root, "recipes", "thumbs.yaml")).Stages).Train.Objective);
        Assert.EndsWith("144 ratings and discarded texts teach by themselves in a stage with objective kto, as in recipes/thumbs.yaml",
            preview.Missing, StringComparison.Ordinal);
    }

    /// <summary>Whoever likes everything cannot be tested by liking.</summary>
    [Fact]
    public async Task Turn_OfThumbsOfOneKind_SaysThatBothAreNeeded()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"],
            acts: [(0, Metrics.Rating, true), (2, Metrics.Rating, 0.75)]);
        TurnPreview preview = await new TurnRunner(store).PreviewAsync(Kto(store), store.Home.Path, TestContext.Current.CancellationToken);
        Assert.StartsWith("the answers of people held out are 36 liked and 0 disliked ones: a test by judged answers needs 4 of each kind",
            preview.Missing, StringComparison.Ordinal);
    }

    /// <summary>Each judged half as often as the other, and a candidate that finds every answer less likely: that alone is no
    /// gain.</summary>
    [Theory]
    [InlineData(0.0, 0.0, false)]
    [InlineData(-1.0, 0.0, false)]
    [InlineData(1.0, 0.0, false)]
    [InlineData(-1.0, 0.4, true)]
    [InlineData(0.0, 0.4, true)]
    [InlineData(0.0, -0.4, false)]
    public void Decide_ByJudgedAnswers_CountsWhatTellsThemApartOnly(double alike, double apart, bool passes)
    {
        var random = new Random(4);
        HeldOutItem[] items =
            [.. Enumerable.Range(0, 90).Select(i => new HeldOutItem($"person {i % 9}", Chat($"p{i}"), null) { Liked = i % 3 == 0 })];
        double[] before = [.. items.Select(_ => 3 + random.NextDouble())];
        double[] after =
            [.. items.Select((item, i) => before[i] - alike - (item.Liked ? apart / 2 : -apart / 2) + 0.2 * (random.NextDouble() - 0.5))];
        var paper = new ExamPaper([], [], [Chat("a"), Chat("b")]) { Judged = items };

        GateDecision decision = Gate.Decide(paper, Result(before), Result(after),
            new GateRecipe { Regression = "r", RegressionMargin = 0.05 }, 1);

        Assert.Equal(passes, decision.Passed);
        Assert.Equal(apart, decision.Rules[0].Improvement.Estimate, 0.05);
        // what both have in common widens nothing
        Assert.InRange(decision.Rules[0].Improvement.High - decision.Rules[0].Improvement.Low, 0.001, 0.15);
    }

    /// <summary>Candidates that are no better, judged by people who differ: one in forty may pass.</summary>
    [Fact]
    public void Decide_ByJudgedAnswersOfAModelThatIsNoBetter_RarelyPasses()
    {
        const int tries = 300;
        int passed = 0;
        for (int seed = 0; seed < tries; seed++)
        {
            var random = new Random(seed);
            double Noise(double size) => size * Enumerable.Range(0, 4).Sum(_ => random.NextDouble() - 0.5);
            (double Liked, double Disliked)[] people = [.. Enumerable.Range(0, 10).Select(_ => (0.5 + Noise(0.5), 0.5 + Noise(0.5)))];
            HeldOutItem[] items =
                [.. Enumerable.Range(0, 80)
                    .Select(i => new HeldOutItem($"person {i % 10}", Chat($"p{i}"),
                        null) { Liked = random.NextDouble() < 0.2 + 0.06 * (i % 10) })];
            double[] after = [.. items.Select((item, i) => 3 - (item.Liked ? people[i % 10].Liked : people[i % 10].Disliked) + Noise(0.3))];
            var paper = new ExamPaper([], [], [Chat("a"), Chat("b")]) { Judged = items };
            passed += Gate.Decide(paper, Result([.. items.Select(_ => 3.0)]), Result(after),
                new GateRecipe { Regression = "r", RegressionMargin = 0.05 }, seed).Passed ? 1 : 0;
        }
        Assert.InRange(passed, 0, 15); // 7.5 expected, 5% at the most
    }

    /// <summary>Few texts beside many judged answers are told; they cannot stop what the many say.</summary>
    [Fact]
    public void Decide_FewTextsBesideManyJudged_TellsTheTexts()
    {
        HeldOutItem[] items =
            [.. Enumerable.Range(0, 40).Select(i => new HeldOutItem($"person {i % 8}", Chat($"p{i}"), null) { Liked = i % 2 == 0 })];
        double[] before = [.. items.Select((_, i) => 3 + 0.01 * i)],
            after = [.. items.Select((item, i) => before[i] - (item.Liked ? 0.3 + 0.01 * i : 0))];
        var paper = new ExamPaper(items[..3], [], [Chat("a"), Chat("b")]) { Judged = items };

        GateDecision decision = Gate.Decide(paper, Result(before) with { Texts = [1, 1, 1] }, Result(after) with { Texts = [1.2, 0.9, 1] },
            new GateRecipe { Regression = "r", RegressionMargin = 0.05 }, 1);

        Assert.True(decision.Passed, decision.Reason);
        Assert.Equal([null, true], decision.Rules.Take(2).Select(rule => rule.Passed));
    }

    /// <summary>Where a recipe learns from sampled answers only, these are what it is tested on.</summary>
    [Fact]
    public void Read_SampledAnswersOnly_AreJudged()
    {
        CuratedExample[] rows = [.. Enumerable.Range(0, 12).Select(i => new CuratedExample
        {
            Kind = ExampleKind.Sampled, User = $"person {i / 2}", Prompt = new([Message.User($"Write {i}.")]), Preferred = $"Text {i}.",
            Reward = i % 2 == 0 ? 1 : -0.5, GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
            Served = new ServedTokens([1], [2, i], [-1, -2]),
        })];
        CuratedDataset dataset = CuratedDataset.Create(rows,
            Given.Split(new Dictionary<string, Split> { ["person 0"] = Split.HeldOut, ["person 1"] = Split.HeldOut }, 1.0 / 3));
        File.WriteAllLines(_folder["frozen.jsonl"], [$"{Chat("a")}", $"{Chat("b")}"]);

        ExamPaper paper = ExamPaper.Read(dataset.Write(_folder.Path), _folder["frozen.jsonl"]);

        Assert.Equal(["Text 0.", "Text 1.", "Text 2.", "Text 3."], paper.Judged.Select(item => item.Preferred.Messages[^1].Text).Order());
        Assert.All(paper.Judged, item => Assert.Equal(item.Liked, int.Parse(item.Preferred.Messages[^1].Text[5..6]) % 2 == 0));
        Assert.Equal(4, paper.Asked(32).Count);
    }

    private static TurnRecipe Kto(FlywheelStore store) => RecipeFile.ParseTurn($$"""
        name: thumbs
        seed: 3
        curate: { min_train: 8, min_held_out: 4 }
        stages:
          - train: { objective: kto, steps: 30, batch_tokens: 1024, micro_tokens: 512, learning_rate: 1e-3 }
        gate: { regression: "{{store.Home.Path}}/regression.jsonl", regression_margin: 1, sanity_prompts: 32, drafts: 2, max_tokens: 12, fidelity_margin: 1, judge: person }
        """, "thumbs");

    private static ExamResult Result(double[] judged) => new()
    {
        ModelHash = Given.Champion, Texts = [], Margins = [], Judged = judged, Regression = [2, 2.1],
        Answers = [.. Enumerable.Range(0, 20).Select(_ => new Answer("prompt", "text", 5, null))],
    };

    private static Conversation Chat(string prompt) => new([Message.User(prompt), Message.Assistant("text")]);
}
