using CsCheck;

namespace Flywheel.Model.Tests;

public class NearestNameTests
{
    [Theory]
    [InlineData("learning_rte", "; did you mean 'learning_rate'?")]
    [InlineData("stpes", "; did you mean 'steps'?")]
    [InlineData("xyzzy_nothing", "; expected learning_rate, steps or save")]
    public void Hint_GivenName_NamesTheNearestOrAll(string name, string expected) =>
        Assert.Equal(expected, NearestName.Hint(name, ["learning_rate", "steps", "save"]));

    [Fact]
    public void Distance_AnyTexts_IsAMetric() => Gen.String[Gen.Char["abc"], 0, 6].Array[3].Sample(texts =>
    {
        (string a, string b, string c) = (texts[0], texts[1], texts[2]);
        Assert.Equal(a == b, NearestName.Distance(a, b) == 0);
        Assert.Equal(NearestName.Distance(a, b), NearestName.Distance(b, a));
        Assert.True(NearestName.Distance(a, c) <= NearestName.Distance(a, b) + NearestName.Distance(b, c));
        Assert.InRange(NearestName.Distance(a, b), Math.Abs(a.Length - b.Length), Math.Max(a.Length, b.Length));
    });
}
