using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class GateTests
{
    private static readonly GateRecipe Rules = new() { Regression = "regression.jsonl", RegressionMargin = 0.05 };

    /// <summary>About as many drafts in all, however few prompts are held out; and never fewer to each than the recipe says.</summary>
    [Theory]
    [InlineData(96, 4)]
    [InlineData(42, 9)]
    [InlineData(24, 16)]
    [InlineData(5, 16)]
    [InlineData(200, 4)]
    public void DraftsTo_FewerPrompts_AreMoreOfEach(int prompts, int drafts) => Assert.Equal(drafts, Rules.DraftsTo(prompts));

    /// <summary>Gains as means over people; each text adds noise of its own, the same in every case.</summary>
    [Theory]
    [InlineData(0.5, 2.0, 0.0, 1.0, "")]
    [InlineData(0.5, 2.0, -0.02, 1.0, "")] // a small fall within the margin
    [InlineData(0.0, 2.0, 0.0, 1.0, "texts people accepted")]
    [InlineData(-0.5, 2.0, 0.0, 1.0, "texts people accepted")]
    [InlineData(0.5, 0.0, 0.0, 1.0, "preferred over rejected")]
    [InlineData(0.5, 2.0, -0.2, 1.0, "frozen set")]
    [InlineData(0.5, 2.0, 0.0, 0.5, "sound drafts")]
    [InlineData(-0.5, -2.0, -0.2, 0.5, "texts people accepted; preferred over rejected; frozen set; sound drafts")]
    public void Decide_Gains_PassOrFailByTheRules(double textGain, double marginGain, double frozenGain, double soundShare, string failing)
    {
        GateDecision decision = Decide(people: 10, textGain, marginGain, frozenGain, soundShare);

        Assert.Equal(failing, string.Join("; ", decision.Rules.Where(rule => rule.Passed == false).Select(rule => rule.Name)));
        Assert.Equal(failing.Length == 0, decision.Passed);
        foreach (string name in failing.Split("; ", StringSplitOptions.RemoveEmptyEntries)) Assert.Contains(name, decision.Reason);
    }

    [Fact]
    public void Decide_FewPeople_SpeaksOfTheirTextsOnlyAndSaysSo()
    {
        GateDecision decision = Decide(people: 2, 0.5, 2, 0, 1);

        Assert.Equal("16 texts of 2 people; too few to speak of others", decision.Rules[0].Basis);
        Assert.Null(decision.Rules[0].Passed);
        Assert.Equal(AskWhy.FewHeldOut, decision.Asks);
    }

    [Fact]
    public void Decide_OnePrompt_ProvesNothingAndAPersonIsAsked()
    {
        HeldOutItem item = new("ann", Chat("prompt", "text"), null);
        var paper = new ExamPaper([item, item], [], [Chat("a", "b"), Chat("c", "d")]);

        GateDecision decision = Gate.Decide(paper, Result([1, 1], [], [1, 1], 1), Result([0, 0], [], [1, 1], 1), Rules, 1);

        Assert.Equal((AskWhy.FewHeldOut, null), (decision.Asks, decision.Rules[0].Passed));
        Assert.Contains("proves nothing", decision.Rules[0].Because);
    }

    [Fact]
    public void Decide_FewPairs_AreToldNotJudged()
    {
        HeldOutItem[] texts = [.. Enumerable.Range(0, 20).Select(i => new HeldOutItem($"person {i % 7}", Chat($"p{i}", "t"), null))];
        HeldOutItem[] pairs = [.. texts.Take(3).Select(item => item with { Rejected = Chat("p", "other") })];
        var paper = new ExamPaper(texts, pairs, [Chat("a", "b"), Chat("c", "d")]);

        GateDecision decision = Gate.Decide(paper, Result([.. texts.Select((_, i) => 2 + 0.01 * i)], [1, 2, 3], [1, 1], 1),
            Result([.. texts.Select((_, i) => 1 + 0.02 * i)], [-1, -2, -3], [1, 1], 1), Rules, 1);

        Assert.True(decision.Passed, decision.Reason);
        Assert.Null(decision.Rules.Single(rule => rule.Name == "preferred over rejected").Passed);
    }

    [Fact]
    public void Decide_WeakChampion_SetsTheFloorOfSoundAnswers()
    {
        GateDecision decision = Gate.Decide(Paper(10), Result(10, 0, 0, 0, 0.5), Result(10, 0.5, 2, 0, 0.5), Rules, 1);

        Assert.True(decision.Passed, decision.Reason);
    }

    [Theory]
    [InlineData("Draw anything, fast.", FinishReason.Stop, null)]
    [InlineData("", FinishReason.Stop, "is empty")]
    [InlineData(" \n ", FinishReason.Stop, "is empty")]
    [InlineData("Draw anything", FinishReason.Length, "does not end")]
    [InlineData("Draw \uFFFD", FinishReason.Stop, "is not text")]
    [InlineData("Draw \u0007", FinishReason.Stop, "is not text")]
    [InlineData("a good tool and a good tool and a good tool and a good tool", FinishReason.Stop, "goes in circles")]
    [InlineData("- Draws lines\n- Draws circles\n- Draws squares\n- Saves as PNG\n- Saves as SVG\n- Prints", FinishReason.Stop, null)]
    public void FaultOf_Answers_SaysWhatIsWrong(string text, FinishReason reason, string? fault) =>
    Assert.Equal(fault, Exam.FaultOf(text, reason));

    [Fact]
    public void Read_FrozenSetOfThisProject_IsWellFormed()
    {
        using var folder = new TempFolder();
        CuratedDataset dataset = CuratedDataset.Create([], Given.Split());

        ExamPaper paper = ExamPaper.Read(dataset.Write(folder.Path), Path.Combine(TestFiles.Root, "models", "first", "regression.jsonl"));

        Assert.True(paper.Regression.Count >= 50);
        Assert.All(paper.Regression, conversation => Assert.Equal(Role.Assistant, conversation.Messages[^1].Role));
        Assert.Equal(paper.Regression.Count, paper.Regression.Distinct().Count());
    }

    [Fact]
    public void Read_BadLine_NamesFileAndLine()
    {
        using var folder = new TempFolder();
        CuratedDataset dataset = CuratedDataset.Create([], Given.Split());
        File.WriteAllText(folder["frozen.jsonl"], Chat("a", "b") + "\n{\"messages\": 7}\n");

        Assert.Contains("frozen.jsonl:2: field 'messages'",
            Assert.Throws<FlywheelException>(() => ExamPaper.Read(dataset.Write(folder.Path), folder["frozen.jsonl"])).Message);
    }

    [Fact]
    public void LoadTurn_RecipeOfThisProject_IsValidAndKeepsItself()
    {
        TurnRecipe recipe = RecipeFile.LoadTurn(Path.Combine(TestFiles.Root, "recipes", "turn.yaml"));

        Assert.Equal(RecipeFile.ToYaml(recipe), RecipeFile.ToYaml(RecipeFile.ParseTurn(RecipeFile.ToYaml(recipe), "again")));
    }

    [Theory]
    [InlineData("curate.held_out_share=1", "curate.held_out_share")]
    [InlineData("gate.regression_margn=0.1", "did you mean 'regression_margin'")]
    [InlineData("gate.regression_margin=0", "gate.regression_margin")]
    [InlineData("curate.min_held_out=1", "curate.min_held_out")]
    public void LoadTurn_BadField_IsNamed(string change, string said) =>
        Assert.Contains(said,
            Assert.Throws<FlywheelException>(() =>
                RecipeFile.LoadTurn(Path.Combine(TestFiles.Root, "recipes", "turn.yaml"), change)).Message);

    private static GateDecision Decide(int people, double textGain, double marginGain, double frozenGain, double soundShare) =>
        Gate.Decide(Paper(people), Result(people, 0, 0, 0, 1), Result(people, textGain, marginGain, frozenGain, soundShare), Rules,
            seed: 1);

    private static ExamPaper Paper(int people)
    {
        HeldOutItem[] items =
            [.. Enumerable.Range(0, 8 * people)
                .Select(i => new HeldOutItem($"person {i / 8}", Chat($"prompt {i}", "kept"), Chat($"prompt {i}", "lost")))];
        return new(items, items, [.. Enumerable.Range(0, 60).Select(i => Chat($"frozen {i}", "text"))]);
    }

    private static ExamResult Result(int people, double textGain, double marginGain, double frozenGain, double soundShare)
    {
        var random = new Random(1 + (int)(1000 * textGain));
        double Noise(double size) => size * (random.NextDouble() - 0.5);
        return Result(
            [.. Enumerable.Range(0, 8 * people).Select(_ => 3 - textGain + Noise(0.3))],
            [.. Enumerable.Range(0, 8 * people).Select(_ => marginGain + Noise(1))],
            [.. Enumerable.Range(0, 60).Select(_ => 2 - frozenGain + Noise(0.05))],
            soundShare);
    }

    private static ExamResult Result(double[] texts, double[] margins, double[] frozen, double soundShare) => new()
    {
        ModelHash = Given.Champion,
        Texts = texts,
        Margins = margins,
        Regression = frozen,
        Answers = [.. Enumerable.Range(0, 20).Select(i => new Answer("prompt", "text", 5, i < 20 * soundShare ? null : "does not end"))],
    };

    private static Conversation Chat(string prompt, string text) => new([Message.User(prompt), Message.Assistant(text)]);
}
