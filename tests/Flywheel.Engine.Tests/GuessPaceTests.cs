namespace Flywheel.Engine.Tests;

public class GuessPaceTests
{
    [Theory]
    [InlineData(GuessPace.RowPrice)]
    [InlineData(0.4)]
    [InlineData(0.7)]
    public void Most_TextCannotBeGuessed_GuessesCostAFewPerCent(double price)
    {
        (int tokens, int steps, int made) = Generate(new GuessPace(price), 400, _ => false);
        Assert.Equal(tokens, steps);
        Assert.InRange(made * price / steps, 0, 0.03);
    }

    [Fact]
    public void Most_TextIsGuessedRight_AsManyAsAStepChecks()
    {
        var pace = new GuessPace(0.3);
        (int tokens, int steps, _) = Generate(pace, 400, _ => true);
        Assert.Equal(GenerationSequence.MaxGuesses, pace.Most);
        Assert.InRange(tokens / (double)steps, 7, 8);
    }

    // Prose that cannot be guessed, then a passage that is copied: found within the longest pause.
    [Fact]
    public void Most_TextTurnsEasy_GuessesAgain()
    {
        var pace = new GuessPace(0.3);
        Generate(pace, 500, _ => false);
        (int tokens, int steps, _) = Generate(pace, 300, _ => true);
        Assert.InRange(tokens - steps, 180, 300);
    }

    // Each guess is right with the same chance, from never to always: what guessing costs is never much more than what it
    // saves, and where it pays well, most of what can be had is.
    [Theory]
    [InlineData(GuessPace.RowPrice)]
    [InlineData(0.4)]
    public void Most_AnyChanceOfBeingRight_NeverCostsMuchAndPaysWhereItCan(double price)
    {
        for (double chance = 0; chance <= 1; chance += 0.05)
        {
            var random = new Random(7);
            (int tokens, int steps, int made) = Generate(new GuessPace(price), 20_000, _ => random.NextDouble() < chance);
            double cost = (steps + made * price) / tokens; // 1 without guessing
            Assert.True(cost < 1.04, $"cost {cost:F3} at chance {chance:F2}, price {price}");
            if (chance > price + 0.25) Assert.True(cost < 1, $"cost {cost:F3} at chance {chance:F2}, price {price}");
        }
    }

    private static (int Tokens, int Steps, int Made) Generate(GuessPace pace, int numTokens, Func<int, bool> isRight)
    {
        int tokens = 0, steps = 0, made = 0;
        while (tokens < numTokens)
        {
            int most = pace.Most, right = 0;
            while (right < most && isRight(tokens + right)) right++;
            pace.Observe(most, right);
            made += most;
            tokens += right + 1;
            steps++;
        }
        return (tokens, steps, made);
    }
}
