using Flywheel.Model;

namespace Flywheel.Loop.Tests.Evaluation;

public sealed class JudgeTests
{
    /// <summary>
    /// The American League of 1987 (Agresti, Categorical Data Analysis, table of wins of seven teams); the printed fit of Bradley and
    /// Terry's
    /// model sets Baltimore to 0.
    /// </summary>
    [Fact]
    public void Fit_BaseballOf1987_IsThePrintedModel()
    {
        string[] teams = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"];
        int[][] wins =
        [
            [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
            [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
        ];
        List<double[]> games = [];
        for (int winner = 0; winner < teams.Length; winner++)
            for (int loser = 0; loser < teams.Length; loser++)
                for (int game = 0; game < wins[winner][loser]; game++)
                    games.Add([.. Enumerable.Range(0, 6).Select(team => (team == winner ? 1.0 : 0) - (team == loser ? 1 : 0))]);

        double[] fitted = PairwiseLogistic.Fit(games, ridge: 1e-9);

        double[] printed = [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839];
        for (int team = 0; team < printed.Length; team++) Assert.Equal(printed[team], fitted[team], 5e-4);
    }

    [Fact]
    public void Fit_ChoicesTurnedRound_IsMirrored()
    {
        var random = new Random(2);
        List<double[]> choices = [.. Enumerable.Range(0, 50).Select(_ => new[] { random.NextDouble() - 0.3, random.NextDouble() - 0.5 })];

        double[] there = PairwiseLogistic.Fit(choices, 1), back = PairwiseLogistic.Fit([.. choices.Select(x => x.Select(value =>
            -value).ToArray())], 1);

        for (int i = 0; i < 2; i++) Assert.Equal(there[i], -back[i], 1e-9);
    }

    /// <summary>
    /// People who prefer short texts that begin with a verb; the judge has met other people, other briefs and other verbs.
    /// </summary>
    [Fact]
    public void Fit_PeopleWithATaste_AgreesWithPeopleHeldOut()
    {
        (PreferenceJudge? judge, string why) = PreferenceJudge.Fit(Paper(random: false), 0.6, 1);

        Assert.NotNull(judge);
        Assert.True(judge.Agreement.Low > 0.9, why);
        Assert.Contains("of 48 choices of 8 held-out people", why, StringComparison.Ordinal);
        Conversation prompt = Ask("Quill", "draws lines");
        Assert.True(judge.Score(prompt, "Draw lines fast") > judge.Score(prompt,
            "The Quill is a very good thing, and it is the best of all."));
    }

    [Fact]
    public void Fit_PeopleWhoChooseAtRandom_Abstains()
    {
        for (int seed = 1; seed <= 5; seed++)
        {
            (PreferenceJudge? judge, string why) = PreferenceJudge.Fit(Paper(random: true, seed), 0.6, 1);
            Assert.Null(judge);
            Assert.Contains("the preference model abstains: it agrees with", why, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Fit_TooFewChoicesOrPeople_AbstainsAndSaysWhatIsNeeded()
    {
        ExamPaper paper = Paper(random: false);
        Assert.Contains("23 choices to fit it on, 24 needed",
            PreferenceJudge.Fit(paper with { TeachingPairs = [.. paper.TeachingPairs.Take(23)] }, 0.6, 1).Why, StringComparison.Ordinal);
        Assert.Contains("choices of 5 held-out people",
            PreferenceJudge.Fit(paper with { Pairs = [.. paper.Pairs.Where(pair => pair.User is not ("p0" or "p1" or "p2"))] }, 0.6,
                1).Why, StringComparison.Ordinal);
    }

    /// <summary>Where answers were judged one by one, what a person liked stands beside what the same person did not.</summary>
    [Fact]
    public void Choices_OfJudgedAnswers_PairWhatOnePersonSaid()
    {
        HeldOutItem Item(string user, string text, bool liked) => new(user, new([Message.User("p " + text), Message.Assistant(text)]),
            null) { Liked = liked };
        IReadOnlyList<Choice> choices = PreferenceJudge.Choices([],
            [Item("ann", "a", true), Item("ann", "b", true), Item("ann", "c", false), Item("bob", "d", true), Item("cid", "e", false)]);

        Assert.Equal([("ann", "a", "c"), ("ann", "b", "c")], choices.Select(choice => (choice.User, choice.Chosen, choice.Not)));
    }

    [Fact]
    public void FidelityJudge_InventedName_IsWorseThanTheBriefsOwn()
    {
        var judge = new FidelityJudge();
        Conversation prompt = Ask("Quill", "draws lines");

        Assert.True(judge.Score(prompt, "Quill draws lines") > judge.Score(prompt, "It draws lines"));
        Assert.True(judge.Score(prompt, "It draws lines") > judge.Score(prompt, "It draws lines with Photoshop 7"));
        Assert.Equal(judge.Score(new([Message.User("hello")]), "a"), judge.Score(new([Message.User("hello")]), "b"));
    }

    internal static Conversation Ask(string name, params string[] facts) =>
        new Brief(name, Brief.Tagline, facts, ["Graphics"]).ToConversation();

    private static ExamPaper Paper(bool random, int seed = 1)
    {
        var chance = new Random(seed);
        string[] verbs = ["Draw", "Write", "Play", "Read", "Mix", "Sort", "Find", "Cut"];
        HeldOutItem Pair(int person, int n)
        {
            Conversation prompt = Ask($"Tool{person}{n}", "draws lines", "saves as PNG");
            string good = $"{verbs[(person + n) % verbs.Length]} lines {(n % 2 == 0 ? "fast" : "well")}",
                bad = $"The Tool{person}{n} is a very good thing, and it is the best of all.";
            if (random && chance.Next(2) == 0) (good, bad) = (bad, good);
            return new HeldOutItem($"p{person}", With(good), With(bad));

            Conversation With(string text) => prompt with { Messages = [.. prompt.Messages, Message.Assistant(text)] };
        }
        HeldOutItem[] all = [.. Enumerable.Range(0, 24).SelectMany(person => Enumerable.Range(0, 6).Select(n => Pair(person, n)))];
        return new ExamPaper([], all[..48], []) { TeachingPairs = all[48..] };
    }
}
