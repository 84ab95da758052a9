using Flywheel.Loop.Games;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Games;

/// <summary>The sequential test errs no oftener than it says, and ratings find what made the results.</summary>
public sealed class MatchStatisticsTests
{
    private static readonly MatchRecipe s_recipe = new() { Elo0 = 0, Elo1 = 60, Alpha = 0.05, Beta = 0.05, MaxPairs = 2000 };

    [Theory]
    [InlineData(0, 0.2)]
    [InlineData(0, 0.6)]
    [InlineData(60, 0.2)]
    [InlineData(60, 0.6)]
    public void Judge_PlayersOfKnownStrength_ErrsAsOftenAsStated(double elo, double draws)
    {
        const int matches = 400;
        var test = new SequentialTest(s_recipe);
        var random = new Random(1);
        double win = SequentialTest.ScoreOf(elo);
        int wrong = 0, open = 0;
        for (int i = 0; i < matches; i++)
        {
            var pairs = new List<double>();
            while (pairs.Count < s_recipe.MaxPairs && test.Judge(pairs) == MatchVerdict.Open) pairs.Add(Game() + Game());
            MatchVerdict verdict = test.Judge(pairs);
            if (verdict == MatchVerdict.Open) open++;
            else if (verdict == MatchVerdict.Better != elo > 0) wrong++;
        }
        Assert.InRange(open, 0, 4);
        Assert.True(wrong <= 0.05 * matches + 3 * Math.Sqrt(0.05 * 0.95 * matches), $"{wrong} of {matches} were wrong");

        // The expected points are those of the strength, however many draws there are.
        double Game() => random.NextDouble() < draws ? 0.5 : random.NextDouble() < (win - draws / 2) / (1 - draws) ? 1 : 0;
    }

    /// <summary>Wald's bounds, and the sign of the ratio.</summary>
    [Fact]
    public void LogRatio_MatchOfOneSide_GoesToItsBound()
    {
        var test = new SequentialTest(s_recipe);
        Assert.Equal((Math.Log(0.05 / 0.95), Math.Log(0.95 / 0.05)), (test.Lower, test.Upper));
        double[] won = [.. Enumerable.Repeat(2.0, 20)], lost = [.. Enumerable.Repeat(0.0, 20)];
        Assert.Equal((MatchVerdict.Better, MatchVerdict.NotBetter, MatchVerdict.Open),
            (test.Judge(won), test.Judge(lost), test.Judge(won[..4])));
        Assert.Equal(0, test.LogRatio([.. Enumerable.Repeat(SequentialTest.ScoreOf(0) + SequentialTest.ScoreOf(60), 30)]), 1e-9);
    }

    [Fact]
    public void Fit_TwoPlayers_IsTheLogitOfTheirScore()
    {
        var match = new MatchResult("a", "zero", [.. Enumerable.Range(0, 1000).Select(i => i % 2 == 0 ? 2.0 : 1.0)]); // 75%
        EloRating rating = EloRatings.Fit([match], "zero").Single(one => one.Player == "a");
        Assert.Equal(400 * Math.Log10(3), rating.Elo, 1.5); // the prior pulls a little
        double error = 400 / Math.Log(10) / Math.Sqrt(2000 * 0.75 * 0.25);
        Assert.Equal(1.96 * error, rating.High - rating.Elo, 0.2);
    }

    [Fact]
    public void Fit_PlayersOfKnownStrength_FindsThemWithinTheIntervals()
    {
        string[] players = ["zero", "a", "b", "c", "d"];
        double[] truth = [0, 150, 320, 500, 640];
        var random = new Random(3);
        int inside = 0, all = 0;
        for (int trial = 0; trial < 60; trial++)
        {
            var matches = new List<MatchResult>();
            for (int i = 0; i + 1 < players.Length; i++)
                matches.Add(new MatchResult(players[i + 1], players[i],
                    [.. Enumerable.Range(0, 40).Select(_ => Game(truth[i + 1] - truth[i]) + Game(truth[i + 1] - truth[i]))]));
            foreach (EloRating rating in EloRatings.Fit(matches, "zero").Where(rating => rating.Player != "zero"))
            {
                all++;
                if (truth[Array.IndexOf(players, rating.Player)] is var elo && rating.Low <= elo && elo <= rating.High) inside++;
            }
        }
        Assert.InRange(inside / (double)all, 0.88, 1);

        double Game(double elo) => random.NextDouble() < SequentialTest.ScoreOf(elo) ? 1 : 0;
    }
}
