using System.Globalization;

namespace Flywheel.Model.Tests;

/// <summary>
/// Pages may be in any language while every number, date and comparison stays as it is: .editorconfig leaves the analyzers that ask
/// for a culture switched off because of this.
/// </summary>
public sealed class CultureTests
{
    [Theory]
    [InlineData("de")]
    [InlineData("de-DE")]
    [InlineData("zh-Hans")]
    [InlineData("ar")]
    [InlineData("tr-TR")]
    public void CurrentCulture_OfAnyLanguage_ChangesNoNumberDateOrLetter(string name)
    {
        (CultureInfo before, CultureInfo beforeUi) = (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture);
        try
        {
            CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.GetCultureInfo(name);
            Assert.Equal(name, CultureInfo.CurrentUICulture.Name, ignoreCase: true); // without ICU, zh-Hans spells itself zh-HANS
            Assert.Equal("1,234.5 12.0% 1.5E-05", $"{1234.5:N1} {0.12:P1} {1.5e-5}".Replace(" %", "%", StringComparison.Ordinal));
            Assert.Equal(1.5, double.Parse("1.5"));
            Assert.Equal("11/29/2026 21:05:00", new DateTime(2026, 11, 29, 21, 5, 0).ToString());
            Assert.Equal("title i", "TITLE I".ToLower());
            Assert.Equal(["B", "a", "ä"], new[] { "ä", "a", "B" }.Order());
            bool begins = "a.b".StartsWith("a.");
            Assert.True(begins);
            Assert.Equal("small", RecipeFile.Parse(Recipe, "x.yaml").Name);
            Assert.Equal(0.25, RecipeFile.Parse(Recipe, "x.yaml").Train.LearningRate);
            Assert.Contains("learning_rate: 0.25\n", RecipeFile.ToYaml(RecipeFile.Parse(Recipe, "x.yaml")), StringComparison.Ordinal);
        }
        finally
        {
            (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (before, beforeUi);
        }
    }

    private const string Recipe = """
        name: small
        base: starter
        data: [{ source: text, path: a.txt }]
        train: { objective: supervised, steps: 1, learning_rate: 0.25 }
        """;
}
