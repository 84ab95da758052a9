using CsCheck;
using Flywheel.Loop.Translation;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Translation;

public sealed class EditDistanceTests
{
    [Theory] // published examples of Levenshtein's distance
    [InlineData("kitten", "sitting", 3)]
    [InlineData("Saturday", "Sunday", 3)]
    [InlineData("intention", "execution", 5)]
    [InlineData("", "abc", 3)]
    [InlineData("abc", "", 3)]
    [InlineData("天气很好", "天气好", 1)]
    public void To_KnownPair_IsItsDistance(string a, string b, int expected) => Assert.Equal(expected, new EditDistance(a).To(b));

    [Fact]
    public void To_AnyTwoTexts_IsThatOfTheTable()
    {
        Gen<string> text = Gen.Char["abcd 中"].Array[0, 200].Select(chars => new string(chars));
        Gen.Select(text, text, Gen.Int[0, 200]).Sample((a, b, limit) =>
        {
            int expected = Table(a, b), found = new EditDistance(a).To(b, limit);
            if (expected <= limit) Assert.Equal(expected, found);
            else Assert.True(found > limit);
        }, iter: Fuzz.Iterations(400), seed: "0N0XIzNsQ0O2");
    }

    [Fact]
    public void LeastEdits_AnyTwoTexts_IsNeverMoreThanTheDistance()
    {
        Gen<string> text = Gen.Char["abcdefghij "].Array[0, 90].Select(chars => new string(chars));
        Gen.Select(text, text, Gen.Int[0, 90], Gen.Int[0, 10]).Sample((a, b, at, length) =>
        {
            string near = a[..Math.Min(at, a.Length)] + b[..Math.Min(length, b.Length)] + a[Math.Min(at + length, a.Length)..];
            foreach (string other in new[] { b, near })
                Assert.True(MemoryIndex.Pairs.Of(a).LeastEdits(MemoryIndex.Pairs.Of(other)) <= Table(a, other), $"'{a}' '{other}'");
        }, iter: Fuzz.Iterations(1000), seed: "0N0XIzNsQ0O2");
    }

    /// <summary>Wagner and Fischer's table.</summary>
    internal static int Table(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0]++;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }
}
