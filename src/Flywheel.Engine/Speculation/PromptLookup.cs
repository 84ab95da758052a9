namespace Flywheel.Engine;

/// <summary>
/// Guesses the next tokens of a text that repeats itself: what followed the last time its newest tokens appeared (prompt
/// lookup decoding, A. Saxena 2023). Guesses are checked in one step with the next token, so wrong ones cost little and
/// the result is the same token for token.
/// </summary>
internal static class PromptLookup
{
    /// <summary>Newest tokens that must have appeared before: three, or else two.</summary>
    private const int LongestMatch = 3, ShortestMatch = 2;

    /// <summary>Fills in guesses and returns how many.</summary>
    public static int Guess(ReadOnlySpan<int> tokens, Span<int> guesses)
    {
        for (int length = LongestMatch; length >= ShortestMatch; length--)
        {
            if (tokens.Length <= length) continue;
            int at = tokens[..^1].LastIndexOf(tokens[^length..]);
            if (at < 0) continue;
            ReadOnlySpan<int> following = tokens[(at + length)..];
            int count = Math.Min(following.Length, guesses.Length);
            following[..count].CopyTo(guesses);
            return count;
        }
        return 0;
    }
}
