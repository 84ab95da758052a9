using System.Text.RegularExpressions;
using CsCheck;
using Flywheel.Studio.Shell;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Shell;

/// <summary>The words of the pages: none is missing in a language, none is asked for that nobody wrote.</summary>
public sealed partial class StringsTests
{
    [Fact]
    public void Languages_EachKey_HasATextWithTheSamePlaces()
    {
        Strings english = Strings.Of("en"), chinese = Strings.Of("zh-CN");
        Assert.True(english.Keys.Count > 20);
        // A plural of its own is English's alone.
        string[] expected = [.. english.Keys.Where(key => !key.EndsWith(".one", StringComparison.Ordinal)).Order()];
        Assert.Equal(expected, chinese.Keys.Order());
        foreach (string key in expected)
        {
            Assert.NotEqual("", chinese[key].Trim());
            Assert.True(Places(english[key]).SetEquals(Places(chinese[key])),
                $"{key}: '{english[key]}' and '{chinese[key]}' fill in different places");
        }

        static HashSet<string> Places(string text) => [.. Place().Matches(text).Select(match => match.Value)];
    }

    [Fact]
    public void Sources_EachKeyThatTheyName_IsWritten()
    {
        Strings english = Strings.Of("en");
        HashSet<string> named = [];
        foreach (string file in Directory.EnumerateFiles(Path.Combine(TestFiles.Root, "src", "Flywheel.Studio"), "*",
            SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".razor", StringComparison.Ordinal) || file.EndsWith(".cs", StringComparison.Ordinal)))
            foreach (Match match in Named().Matches(File.ReadAllText(file))) named.Add(match.Groups[1].Value);
        Assert.True(named.Count > 10);
        Assert.All(named, key => Assert.Contains(key, english.Keys));
    }

    [Theory]
    [InlineData(null, null, "en")]
    [InlineData(null, "zh-TW,zh;q=0.9,en;q=0.8", "zh-CN")]
    [InlineData(null, "de-DE,de;q=0.9", "en")]
    [InlineData(null, "en;q=0.5, zh;q=0.9", "zh-CN")]
    [InlineData(null, "zh;q=0, en", "en")]
    [InlineData("zh-CN", "en", "zh-CN")]
    [InlineData("../../etc", "en", "en")]
    public void Choose_CookieAndHeader_GiveTheLanguage(string? cookie, string? header, string expected) =>
        Assert.Equal(expected, Strings.Choose(cookie, header).Language);

    [Fact]
    public void Choose_AnyHeader_GivesALanguage() =>
        Gen.String.Sample(header =>
            Assert.Contains(Strings.Choose(header, header).Language, Strings.Languages.Select(language => language.Tag)), iter: 2000);

    [Theory]
    [InlineData("2026-11-29T08:00:00Z", "today 09:00")]
    [InlineData("2026-11-28T22:59:00Z", "yesterday 23:59")]
    [InlineData("2026-03-02T12:00:00Z", "2 Mar")]
    [InlineData("2025-12-31T12:00:00Z", "31 Dec 2025")]
    public void When_Time_ReadsAsAPersonSaysIt(string time, string expected) =>
        Assert.Equal(expected,
            Strings.Of("en").When(DateTimeOffset.Parse(time), DateTimeOffset.Parse("2026-11-29T20:00:00Z"), TimeSpan.FromHours(1)));

    [GeneratedRegex(@"\{\d+\}")]
    private static partial Regex Place();

    [GeneratedRegex("""(?:Words|words)(?:\[|\.Format\(|\.Count\()"([a-z][a-z0-9.-]+)"[\],)]""")]
    private static partial Regex Named();
}
