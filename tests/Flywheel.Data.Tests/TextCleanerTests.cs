using CsCheck;

namespace Flywheel.Data.Tests;

public class TextCleanerTests
{
    [Theory]
    [InlineData("  Edit \t pictures\n fast ", "Edit pictures fast")]
    [InlineData("\u201cFast\u201d \u2014 it\u2019s&nbsp;done\u2026", "\"Fast\" - it's done...")]
    [InlineData("R&amp;amp;D", "R&D")]
    [InlineData("Lists files like ls(1) and cp(1)", "Lists files like ls and cp")]
    [InlineData("A viewer (see https://viewer.example/home) for maps", "A viewer for maps")]
    [InlineData("Wait , what ?", "Wait, what?")]
    [InlineData("Sketch\u2122 Pad\u00ae", "Sketch Pad")]
    public void Line_Raw_IsPlain(string raw, string expected) => Assert.Equal(expected, TextCleaner.Line(raw));

    [Fact]
    public void Line_AnyText_IsCleanAndStaysSo() =>
    Gen.String[Gen.Frequency((3, Gen.Char), (3, Gen.Char["  \t\n&;lt#38\u2019\u2026()'\"<>https:/"]), (2, Gen.Char.AlphaNumeric)), 0, 40]
        .Sample(raw =>
    {
        string line = TextCleaner.Line(raw);
        Assert.Equal(line, TextCleaner.Line(line));
        Assert.DoesNotContain("  ", line, StringComparison.Ordinal);
        Assert.DoesNotContain(line, char.IsControl);
        Assert.Equal(line.Trim(), line);
    }, iter: 20_000, seed: "0000KYlZqMsY");

    [Fact]
    public void Sentences_Joined_AreTheParagraph() => Gen.String[Gen.Char["ab AB.!?e.g. 1\"("], 0, 60].Sample(raw =>
    {
        string paragraph = TextCleaner.Line(raw);
        Assert.Equal(paragraph, string.Join(' ', TextCleaner.Sentences(paragraph)));
    }, iter: 20_000, seed: "0000KYlZqMsY");

    [Fact]
    public void Sentences_Abbreviations_DoNotEnd() =>
        Assert.Equal(["It reads formats, e.g. PNG, from disk.", "It is fast!", "Version 2 is here."],
            TextCleaner.Sentences("It reads formats, e.g. PNG, from disk. It is fast! Version 2 is here."));

    [Theory]
    [InlineData("Draws maps from walks and rides.", null)]
    [InlineData("This package contains the data files.", "talks about packaging")]
    [InlineData("See https://maps.example for more.", "address or path")]
    [InlineData("01:02 03:04 05:06 #### ====", "hardly any words")]
    [InlineData("Zeichnet schöne Wörter über Gärten für Köche.", "not English")]
    [InlineData("It draws caf\uFFFD maps.", "broken characters")]
    [InlineData("It is Donaudampfschifffahrtsgesellschaftskapitaen here.", "overlong word")]
    public void Fault_Sentence_IsNamed(string sentence, string? expected) => Assert.Equal(expected, TextCleaner.Fault(sentence));

    [Theory]
    [InlineData("The editor lets you draw and mix layers, and it saves them in the formats that you need.", true)]
    [InlineData("Das Programm zeichnet Karten aus Wanderungen und Fahrten, mischt sie mit Bildern und druckt alles schnell aus.", false)]
    public void IsEnglish_Prose_IsTold(string text, bool expected) => Assert.Equal(expected, TextCleaner.IsEnglish(text));

    [Fact]
    public void Normalise_DifferentForm_IsEqual() =>
    Assert.Equal(TextCleaner.Normalise("Edit, pictures - FAST!"), TextCleaner.Normalise("edit pictures fast"));
}
