using CsCheck;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Evaluation;

/// <summary>What both models write decides: on stated drafts, with a judge that likes texts which begin with a verb.</summary>
public sealed class DraftRulesTests
{
    private const int People = 10, Briefs = 6;

    private static readonly GateRecipe s_rules = new() { Regression = "r", RegressionMargin = 0.05, Drafts = 1 };

    private sealed class VerbJudge : IDraftJudge
    {
        public string Name => "verb";

        public string Basis => "begins with a verb";

        public double Score(Conversation prompt, string text) => text.StartsWith("Draw", StringComparison.Ordinal) ? 1 : 0;
    }

    /// <summary>
    /// A candidate that learnt the wanted style: it wins, and it is promoted though texts of before, the kept ones among them, became less
    /// likely. Drafts decide, likelihood is told.
    /// </summary>
    [Fact]
    public void Decide_DraftsWin_LikelihoodDoesNotVeto()
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines", (brief, _) => $"Draw lines with {brief.Name}",
            textLoss: 0.3,
            taughtLoss: 0.9);

        Assert.True(decision.Passed, decision.Reason);
        Assert.Equal(AskWhy.Nobody, decision.Asks);
        RuleResult drafts = decision.Rules[0];
        Assert.Equal(("drafts preferred (verb)", 0.0, 1.0), (drafts.Name, drafts.Champion, drafts.Candidate));
        Assert.Contains("60 pairs of drafts to 60 prompts of 10 people: 60 candidate's, 0 champion's, 0 ties", drafts.Basis,
            StringComparison.Ordinal);
        Assert.All(decision.Rules.Where(rule => rule.Name is "texts people accepted" or "frozen set, Write a tagline. (taught)"), rule =>
            Assert.Null(rule.Passed));
        Assert.All(decision.Examples, example => Assert.Equal(1, example.Outcome));
    }

    /// <summary>The same win, and a kind that was not taught became less likely by more than its margin.</summary>
    [Fact]
    public void Decide_DraftsWinAndAnUntouchedKindFalls_IsRefused()
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines", (brief, _) => $"Draw lines with {brief.Name}",
            otherLoss: 0.2);

        Assert.Equal(["frozen set, Write a description."], Failed(decision));
    }

    /// <summary>Likelier texts, as much as may be, and drafts that nobody prefers: refused.</summary>
    [Fact]
    public void Decide_LikelihoodRisesAndDraftsDoNot_IsRefused()
    {
        GateDecision decision = Decide((brief, n) => n % 3 == 0 ? $"Draw lines with {brief.Name}" : $"{brief.Name} draws lines",
            (brief, n) => n % 3 == 1 ? $"Draw lines with {brief.Name}" : $"{brief.Name} draws lines", textLoss: -2);

        Assert.Equal(["drafts preferred (verb)"], Failed(decision));
    }

    /// <summary>A candidate won its style and one draft in five more names something that the brief does not know.</summary>
    [Theory]
    [InlineData(5, true)] // one in five
    [InlineData(0, false)] // none
    public void Decide_ForeignNamesRise_IsRefusedThoughDraftsWin(int every, bool refused)
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines",
            (brief, n) => every > 0 && n % every == 0 ? $"Draw lines with {brief.Name} and Photoshop" : $"Draw lines with {brief.Name}");

        Assert.Equal(refused ? ["drafts without foreign names", "drafts of known words"] : [], Failed(decision));
        if (refused) Assert.Equal(0.8, decision.Rules.Single(rule => rule.Name == "drafts without foreign names").Candidate, 1e-9);
    }

    /// <summary>
    /// The style is right, the facts are there, and the model has forgotten how to spell; other forms of known words are none.
    /// </summary>
    [Theory]
    [InlineData("drawing", false)]
    [InlineData("drawser", true)]
    [InlineData("Ünlinesd", true)]
    [InlineData("线", false)]
    public void Decide_WordsThatNobodyKnows_AreRefusedThoughDraftsWin(string word, bool refused)
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines", (brief, n) => n % 4 == 0
            ? $"Draw {word} lines with {brief.Name}" : $"Draw lines with {brief.Name}");

        Assert.Equal(refused, Failed(decision).Contains("drafts of known words"));
    }

    [Theory]
    [InlineData("edits", "edit editing edited editor editors edits")]
    [InlineData("measure", "measures measuring measured measurer")]
    [InlineData("copies", "copy copies copying copied copier")]
    [InlineData("stop", "stops stopping stopped stopper")]
    public void Forms_Word_AreWhatEnglishMakesOfIt(string word, string forms) => Assert.Superset(forms.Split(' ').ToHashSet(),
        KnownWords.Forms(word).ToHashSet());

    [Fact]
    public void Forms_Gerund_IsNotInflectedAgain() => Assert.DoesNotContain("editinging", KnownWords.Forms("editing"));

    /// <summary>The name went out of the drafts: refused, unless it is what people kept.</summary>
    [Theory]
    [InlineData("Draw lines with {0}", true)]
    [InlineData("Draw lines", false)]
    public void Decide_NameLost_IsHeldToWhatPeopleAccept(string kept, bool refused)
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines", (_, _) => "Draw lines", kept: kept);

        Assert.Equal(refused ? ["drafts with the exact name"] : [], Failed(decision));
        if (!refused) Assert.Contains("held to the texts they accepted, of which 0% do", decision.Rules.Single(rule =>
            rule.Name == "drafts with the exact name").Basis, StringComparison.Ordinal);
    }

    /// <summary>The same drafts of both, whatever they are: never a promotion, all ties, nothing worse.</summary>
    [Fact]
    public void Decide_SameDrafts_NeverPromotes() => Gen.Int[0, 4].Array[People * Briefs].Sample(kinds =>
    {
        string Text(Brief brief, int n) => Kind(brief, kinds[n]);
        GateDecision decision = Decide(Text, Text, textLoss: -1);
        Assert.Equal(["drafts preferred (verb)"], Failed(decision));
        Assert.Equal(new Interval(0, 0, 0), decision.Rules[0].Improvement);
    }, iter: 20, seed: "0000KeXSOcQ3");

    /// <summary>Champion and candidate swapped: the interval is mirrored, so never both win, and shares change places.</summary>
    [Fact]
    public void Decide_SidesSwapped_IsMirrored() => Gen.Select(Gen.Int[0, 4].Array[People * Briefs], Gen.Int[0,
        4].Array[People * Briefs]).Sample((a, b) =>
    {
        GateDecision there = Decide((brief, n) => Kind(brief, a[n]), (brief, n) => Kind(brief, b[n])),
            back = Decide((brief, n) => Kind(brief, b[n]), (brief, n) => Kind(brief, a[n]));
        Assert.Equal((there.Rules[0].Improvement.Low, there.Rules[0].Improvement.High), (-back.Rules[0].Improvement.High,
            -back.Rules[0].Improvement.Low));
        Assert.Equal((there.Rules[0].Champion, there.Rules[0].Candidate), (back.Rules[0].Candidate, back.Rules[0].Champion));
        Assert.False(there.Rules[0].Passed == true && back.Rules[0].Passed == true);
    }, iter: 20, seed: "0000KeXSOcQ3");

    [Fact]
    public void Decide_UnsoundDraft_LosesToAnySoundOne()
    {
        GateDecision decision = Decide((brief, _) => $"Draw lines with {brief.Name}", (brief, _) => $"{brief.Name} draws lines",
            championFault: "does not end");

        Assert.Equal(1, decision.Rules[0].Candidate);
    }

    [Theory]
    [InlineData(GateRecipe.PersonJudge, false, AskWhy.ByRecipe)]
    [InlineData(GateRecipe.AutoJudge, false, AskWhy.NoJudge)]
    [InlineData(GateRecipe.AutoJudge, true, AskWhy.Nobody)]
    public void Decide_WithoutAJudge_APersonIsAsked(string recipe, bool judge, AskWhy asks)
    {
        GateDecision decision = Decide((brief, _) => $"{brief.Name} draws lines", (brief, _) => $"Draw lines with {brief.Name}",
            textLoss: -1,
            judge: judge ? new VerbJudge() : null, rules: s_rules with { Judge = recipe });

        Assert.Equal((true, asks), (decision.Passed, decision.Asks));
        Assert.Equal(asks == AskWhy.Nobody, decision.AskReason is null);
    }

    /// <summary>
    /// Six held-out people can show something once; the next look asks for more than they can give, and a person decides.
    /// </summary>
    [Fact]
    public void Decide_LooksSpent_APersonIsAsked()
    {
        GateDecision Look(int look) => Decide((brief, _) => $"{brief.Name} draws lines", (brief, _) => $"Draw lines with {brief.Name}",
            look: look, people: 6);

        Assert.Equal((AskWhy.Nobody, true), (Look(1).Asks, Look(1).Rules[0].Passed));
        Assert.Equal((AskWhy.LooksSpent, null), (Look(2).Asks, Look(2).Rules[0].Passed));
        Assert.Contains("were asked 1 times since", Look(2).AskReason, StringComparison.Ordinal);
    }

    private static string Kind(Brief brief, int kind) => kind switch
    {
        0 => $"Draw lines with {brief.Name}", 1 => $"{brief.Name} draws lines", 2 => "Draw lines", 3 => "Something with Photoshop 7",
            _ => "A thing",
    };

    private static string[] Failed(GateDecision decision) => [.. decision.Rules.Where(rule => rule.Passed == false).Select(rule =>
        rule.Name)];

    private static GateDecision Decide(Func<Brief, int, string> champion, Func<Brief, int, string> candidate, double textLoss = 0,
        double taughtLoss = 0,
        double otherLoss = 0, string kept = "Draw lines with {0}", string? championFault = null, IDraftJudge? judge = null,
            GateRecipe? rules = null,
        int look = 1, int people = People)
    {
        var brief = Enumerable.Range(0, people * Briefs).Select(i =>
            new Brief($"Tool{(char)('a' + i / Briefs)}{(char)('a' + i % Briefs)}", Brief.Tagline, ["draws lines"], ["Graphics"])).ToArray();
        HeldOutItem[] texts = [.. brief.Select((item, i) => new HeldOutItem($"person {i / Briefs}",
            item.ToConversation() with { Messages = [.. item.ToConversation().Messages, Message.Assistant(string.Format(null, kept,
                item.Name))] }, null))];
        Conversation Frozen(string kind, int i) => new([Message.User($"Write a {kind}.\nName: {i}"), Message.Assistant("text")]);
        var paper = new ExamPaper(texts, [], [.. Enumerable.Range(0, 20).Select(i => Frozen("tagline", i)), .. Enumerable.Range(0,
            20).Select(i => Frozen("description", i))])
        {
            Taught = new HashSet<string> { "Write a tagline." },
        };
        IReadOnlyList<(string User, Conversation Prompt)> asked = paper.Asked(96);
        ExamResult Result(Func<Brief, int, string> write, double loss, double taught, double other, string? fault) => new()
        {
            ModelHash = Given.Champion,
            Texts = [.. texts.Select((_, i) => 2 + loss + 0.01 * (i % 7))],
            Margins = [],
            Regression = [.. Enumerable.Range(0, 40).Select(i => 2 + 0.01 * (i % 5) + (i < 20 ? taught : other))],
            Answers = [.. asked.Select((item, n) => new Answer(item.Prompt.Messages[^1].Text, write(Brief.Find(item.Prompt)!, n), 5,
                fault))],
        };
        return Gate.Decide(paper, Result(champion, 0, 0, 0, championFault), Result(candidate, textLoss, taughtLoss, otherLoss, null),
            rules ?? s_rules, 1,
            judge ?? (rules is null ? new VerbJudge() : null), look: look);
    }
}
