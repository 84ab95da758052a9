using CsCheck;

namespace Flywheel.Engine.Tests;

public class PromptLookupTests
{
    [Fact]
    public void Guess_RepeatedText_IsWhatFollowedTheLatestTime()
    {
        int[] guesses = new int[3];
        Assert.Equal(3, PromptLookup.Guess([1, 2, 3, 9, 8, 1, 2, 3, 4, 5, 1, 2, 3], guesses));
        Assert.Equal([4, 5, 1], guesses);
        Assert.Equal(0, PromptLookup.Guess([1, 2, 3, 4, 5], guesses));
        Assert.Equal(0, PromptLookup.Guess([1], guesses));
        Assert.Equal(1, PromptLookup.Guess([7, 7, 7], guesses.AsSpan(0, 1)));
    }

    [Fact]
    public void Guess_AnyText_FollowsAnEarlierMatch()
    {
        Gen.Int[0, 3].Array[0, 40].Sample(tokens =>
        {
            int[] guesses = new int[4];
            int count = PromptLookup.Guess(tokens, guesses);
            if (count == 0) return;
            Assert.Contains(Enumerable.Range(0, tokens.Length - 2), at =>
                tokens.AsSpan(at, 2).SequenceEqual(tokens.AsSpan(tokens.Length - 2))
                    && tokens.AsSpan(at + 2).StartsWith(guesses.AsSpan(0, count)));
        });
    }
}
