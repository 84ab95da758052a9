using CsCheck;

namespace Flywheel.Data.Tests;

public class NearDuplicatesTests
{
    private static readonly string[] Words = ["tea", "river", "opens", "at", "seven", "the", "red", "oak"];

    private static readonly Gen<string> Text =
        Gen.Int[0, 7].Array[1, 60].Select(numbers => string.Join(' ', numbers.Select(number => Words[number])));

    /// <summary>The oracle compares with every text that was kept: none of the kept is near another, and what was dropped is near
    /// one.</summary>
    [Fact]
    public void Add_AnyTexts_AgreesWithComparingEveryPair() =>
    Gen.Select(Text.Array[1, 12], Gen.Double[0.8, 1]).Sample((texts, threshold) =>
    {
        // Near ones too: each text once more without its last word.
        string[] all =
            [.. texts.SelectMany(text => new[] { text, text.Contains(' ', StringComparison.Ordinal) ? text[..text.LastIndexOf(' ')] : text,
                text })];
        var near = new NearDuplicates(threshold);
        List<string> kept = [];
        foreach (string text in all)
        {
            bool isNear = kept.Any(other => NearDuplicates.Resemblance(other, text) >= threshold);
            Assert.Equal(!isNear, near.Add(text));
            if (!isNear) kept.Add(text);
        }
    }, iter: 200);

    [Fact]
    public void Resemblance_KnownTexts_IsTheJaccardIndex()
    {
        Assert.Equal(1, NearDuplicates.Resemblance("The tea is ready.", "the TEA is ready!"));
        Assert.Equal(1.0 / 3, NearDuplicates.Resemblance("a b c d e f", "b c d e f g"), 12); // two stretches each, one shared
        Assert.Equal(0, NearDuplicates.Resemblance("one two three four five", "six seven eight nine ten"));
        Assert.Equal(1, NearDuplicates.Resemblance("", "!"));
    }
}
