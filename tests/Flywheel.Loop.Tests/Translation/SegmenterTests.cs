using CsCheck;
using Flywheel.Loop.Translation;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Translation;

public sealed class SegmenterTests
{
    // A bar stands where a translator would cut. Kinds of cases after the rules that SRX files for LanguageTool and OmegaT state.
    [Theory]
    [InlineData("en", "Hello world. |How are you? |Fine!")]
    [InlineData("en", "Dr. Smith met Mrs. Jones at 5 p.m. in St. Paul. |They talked.")]
    [InlineData("en", "It costs 3.50 dollars, i.e. 10% more. |Cheap?")]
    [InlineData("en", "He has J. R. R. Tolkien's books. |All of them.")]
    [InlineData("en", "\"Why?\" he asked. |\"Because.\" |She left (at last). |The end")]
    [InlineData("en", "See fig. 3 and No. 7. |No. |I won't.")]
    [InlineData("en", "Use apples, pears, etc. in summer, etc. |Then stop.")]
    [InlineData("en", "1. Open the door. |2. Go in.")]
    [InlineData("en", "Wait... what? |Yes... |Then it ended.")]
    [InlineData("en", "Visit www.example.com or mail a.b@c.org. |Version 1.2.3 is out.")]
    [InlineData("en", "Really?! |Yes!")]
    [InlineData("es", "El Sr. Pérez y la Dra. Gil llegaron. |¿Qué hora es? |¡Las dos!")]
    [InlineData("es", "Véase la pág. 4 del art. 12. |Fin.")]
    [InlineData("de", "Am 3. Oktober kam Hr. Maier. |Das war z.B. gut. |Im Jahr 2024. |Danach nicht.")]
    [InlineData("fr", "M. Dupont est là. |Il dit : « Bonjour. » |Puis il part.")]
    [InlineData("zh", "今天天气很好。|我们去公园吧！|你呢？|好。")]
    [InlineData("zh", "他说：“我来了。”|然后走了。 |价格是3.5元。")]
    [InlineData("ja", "これはペンです。|本当ですか？|はい。")]
    public void Split_SentencesOfALanguage_CutsWhereATranslatorWould(string language, string marked)
    {
        string[] expected = [.. marked.Split('|').Select(part => part.Trim())];
        IReadOnlyList<Sentence> found = Segmenter.Split(marked.Replace("|", "", StringComparison.Ordinal), language);
        Assert.Equal(expected, found.Select(sentence => sentence.Text));
    }

    [Fact]
    public void Split_AnyText_LosesNoCharacter()
    {
        Gen<string> text =
            Gen.OneOf("a", "B", ".", "!", "?", "。", "…", " ", "\n", "\"", ")", "Dr", "3", "”", "中", "etc",
                "é").Array[0, 40].Select(string.Concat);
        Gen.Select(text, Gen.OneOf("en", "de", "zh", "es")).Sample((given, language) =>
        {
            IReadOnlyList<Sentence> found = Segmenter.Split(given, language);
            Assert.Equal(given, string.Concat(found.Select(sentence => sentence.Text + sentence.After)));
            Assert.All(found, sentence => Assert.Equal(sentence.Text.Trim(), sentence.Text));
            Assert.DoesNotContain(found.Skip(1), sentence => sentence.Text.Length == 0);
        }, iter: Fuzz.Iterations(2000), seed: "0N0XIzNsQ0O2");
    }

    [Fact]
    public void Split_HundredThousandMarks_TakesNoLongerThanItsLength()
    {
        Assert.Equal(100_000,
            Segmenter.Split(string.Concat(Enumerable.Repeat("A. ", 100_000)) + new string('.', 100_000), "en")
                .Sum(sentence => sentence.Text.Count(c => c == 'A')));
    }

    [Theory]
    [InlineData("Press **Save** and see [the page](http://x.y/a(b)c).", "**", "**", "[", "](http://x.y/a(b)c)")]
    [InlineData("Run `dotnet build`, then {name} or ${x} of {{y}}: %1$s and %d.", "`dotnet build`", "{name}", "${x}", "{{y}}", "%1$s",
        "%d")]
    [InlineData("<i>Hello</i> <br/> &nbsp; a@b.org https://x.org/a?b=c.", "<i>", "</i>", "<br/>", "&nbsp;", "a@b.org",
        "https://x.org/a?b=c")]
    [InlineData("A *small* step: 2 * 3 * 4 is 50% of it, a < b and c > d", "*", "*")]
    public void Protected_MarksAndPlaceholders_AreFound(string text, params string[] expected) =>
    Assert.Equal(expected, ProtectedParts.Of(text));
}
