using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class SsmlTests
{
    private const string Valid =
        "<speak>Hello <break time=\"250ms\"/><prosody rate=\"120%\" pitch=\"+2st\">big <emphasis>world</emphasis></prosody> <say-as interpret-as=\"characters\">abc</say-as> "
        + "<phoneme alphabet=\"ipa\" ph=\"təˈmɑːtoʊ\">tomato</phoneme> <sub alias=\"et cetera\">etc.</sub> &amp; more</speak>";

    private static string Shown(string markup, string language = "en-us") =>
        string.Join(" | ", Ssml.Parse(markup, "test", language).Select(piece => piece switch
    {
        BreakPiece pause => $"pause {pause.Length.TotalMilliseconds}",
        SpokenPiece spoken =>
            $"{spoken.Text}{(spoken.Ipa is null ? "" : $"/{spoken.Ipa}/")}{(spoken.Prosody == Prosody.Plain ? "" : $" {spoken.Prosody.Speed:0.###},{spoken.Prosody.Pitch:0.###},{spoken.Prosody.Volume}")}",
        _ => "?",
    }));

    [Fact]
    public void Parse_OfAllElements_GivesPiecesInOrder() => Assert.Equal(
        "Hello  | pause 250 | big  1.2,2,0 | world 1.14,3,2 |   | A B C |   | tomato/təˈmɑːtoʊ/ |   | et cetera |  & more", Shown(Valid));

    [Theory]
    [InlineData("<say-as interpret-as=\"digits\">1984</say-as>", "1 9 8 4")]
    [InlineData("<say-as interpret-as=\"telephone\">+44 20-7946</say-as>", "plus, 4 4, 2 0, 7 9 4 6")]
    [InlineData("<say-as interpret-as=\"ordinal\">112</say-as>", "112th")]
    [InlineData("<say-as interpret-as=\"ordinal\">23</say-as>", "23rd")]
    [InlineData("<say-as interpret-as=\"cardinal\">1 000</say-as>", "1000")]
    [InlineData("a<break/>b<break strength=\"none\"/>", "a | pause 400 | b | pause 0")]
    [InlineData("<prosody volume=\"-6dB\" pitch=\"+100%\" rate=\"slow\">x</prosody>", "x 0.75,12,-6")]
    [InlineData("no markup at all", "no markup at all")]
    public void Parse_OfOneElement_GivesWhatIsSaid(string markup, string expected) => Assert.Equal(expected, Shown(markup));

    [Theory]
    [InlineData("a\n<brake/>", "test: line 2, column 2: the element 'brake' is not known; did you mean 'break'?")]
    [InlineData("<break time=\"5\"/>", "test: line 1, column 2: time is '5', expected a length such as 500ms or 1.5s, at most 60s")]
    [InlineData("<break time=\"61s\"/>", "test: line 1, column 2: time is '61s'")]
    [InlineData("<break length=\"1s\"/>", "test: line 1, column 8: the attribute 'length' is not known here")]
    [InlineData("<prosody rate=\"9\">x</prosody>", "test: line 1, column 2: rate is '9'")]
    [InlineData("<prosody pitch=\"200Hz\">x</prosody>", "test: line 1, column 2: pitch is '200Hz'")]
    [InlineData("<prosody volume=\"NaN\">x</prosody>", "test: line 1, column 2: volume is 'NaN'")]
    [InlineData("<say-as interpret-as=\"date\">x</say-as>", "test: line 1, column 2: interpret-as is 'date', expected characters")]
    [InlineData("<phoneme alphabet=\"x-sampa\" ph=\"a\">x</phoneme>", "test: line 1, column 2: alphabet is 'x-sampa', expected ipa")]
    [InlineData("<phoneme>x</phoneme>", "test: line 1, column 2: 'phoneme' lacks its attribute 'ph'")]
    [InlineData("<sub alias=\"a\"><break/></sub>", "test: line 1, column 17: 'sub' holds 'break', expected text alone")]
    [InlineData("<speak>a", "test: line 1, column 9: ")]
    [InlineData("a & b", "test: line 1, column 4: ")]
    [InlineData("<speak><speak>a</speak></speak>", "test: line 1, column 9: the element 'speak' is not known")]
    [InlineData("<!DOCTYPE speak [<!ENTITY a \"aa\">]><speak>&a;</speak>", "test: line 1, column 3: a document type is not taken")]
    [InlineData("<speak>&lol;</speak>", "test: line 1, column 9: ")]
    [InlineData("<?xml version=\"1.0\"?><!DOCTYPE x SYSTEM \"file:///etc/passwd\"><speak/>",
        "test: line 1, column 24: a document type is not taken")]
    public void Parse_OfWhatIsWrong_SaysLineAndColumn(string markup, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => Ssml.Parse(markup, "test", "en-us")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Parse_OfBombs_RefusesDepthAndSize()
    {
        string deep = string.Concat(Enumerable.Repeat("<emphasis>", 100_0));
        Assert.Contains("deep", Assert.Throws<FlywheelException>(() => Ssml.Parse(deep, "test", "en")).Message, StringComparison.Ordinal);
        Assert.Contains("100001 characters",
            Assert.Throws<FlywheelException>(() => Ssml.Parse(new string('a', 100_001), "test", "en")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ordinal_InAnotherLanguageThanEnglish_IsRefused() =>
        Assert.Contains("interpret-as is 'ordinal'",
            Assert.Throws<FlywheelException>(() => Ssml.Parse("<say-as interpret-as=\"ordinal\">1</say-as>", "test", "it")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Parse_OfMutatedMarkup_GivesPiecesOrALine() =>
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Char["<>/&;\"= aé1%"]).Array[1, 5].Sample(changes =>
        {
            char[] text = Valid.ToCharArray();
            foreach ((int at, char letter) in changes) text[at] = letter;
            try
            {
                Ssml.Parse(new string(text), "f", "en");
            }
            catch (FlywheelException e)
            {
                Assert.Matches(@"^f: line \d+, column \d+: ", e.Message);
            }
        }, iter: Fuzz.Iterations(3000));
}
