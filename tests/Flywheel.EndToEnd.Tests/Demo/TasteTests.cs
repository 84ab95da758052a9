using CsCheck;
using Flywheel.Cli.Demo;
using Flywheel.Model;

namespace Flywheel.EndToEnd.Tests.Demo;

public class TasteTests
{
    private static readonly Brief Viewer = new("Moss Thumbnailer", Brief.Tagline,
        ["shows folders of pictures as a grid", "reads RAW files", "rates pictures with one key"], ["Graphics", "Viewer"], "photographers");

    [Theory]
    [InlineData("short-verb", "View pictures in a grid", "")]
    [InlineData("short-verb", "Search engine for pictures", "begins with a noun")]
    [InlineData("short-verb", "Search and sort tool", "")]
    [InlineData("short-verb", "Map design tool for pictures", "begins with a noun")]
    [InlineData("short-verb", "Design player skins", "")]
    [InlineData("short-verb", "A picture viewer", "does not begin with a verb")]
    [InlineData("short-verb", "View pictures in a powerful grid.", "praises ('powerful'), ends with a full stop")]
    [InlineData("short-verb", "View pictures in a grid that grows and shrinks with the window", "is too long")]
    [InlineData("short-verb", "View", "says next to nothing")]
    [InlineData("short-verb", "View pictures\nRate pictures", "is more than one line")]
    [InlineData("plain", "Viewer for pictures", "")]
    [InlineData("plain", "An editor for those who paint", "")]
    [InlineData("plain", "Picture viewer", "does not say for whom or what")]
    [InlineData("plain", "For pictures: a viewer", "does not say for whom or what")]
    [InlineData("plain", "What is this viewer for", "does not say for whom or what")]
    [InlineData("plain", "A grid for pictures", "does not say what it is")]
    [InlineData("plain", "A fast picture viewer for all!", "praises ('fast'), exclaims")]
    [InlineData("two-things", "Show and rate pictures", "")]
    [InlineData("two-things", "Show pictures", "does not join two things")]
    [InlineData("two-things", "And now pictures and", "does not join two things")]
    [InlineData("two-things", "Show, rate and print great pictures", "has a comma, praises ('great')")]
    [InlineData("concrete", "Rate pictures", "")]
    [InlineData("concrete", "Shows a picture folder", "")]
    [InlineData("concrete", "Picture viewer", "does not speak of the facts")]
    [InlineData("concrete", "Pictures, pictures, pictures", "does not speak of the facts")]
    [InlineData("concrete", "A beautiful grid of pictures", "praises ('beautiful')")]
    public void Judge_Text_GivesEveryComplaint(string taste, string text, string complaints) =>
        Assert.Equal(complaints, string.Join(", ", Taste.Named(taste).Judge(Viewer, text).Reasons));

    [Theory]
    [InlineData("short-verb", "A simple picture viewer for GNOME.", "View pictures for GNOME")]
    [InlineData("short-verb", "Views RAW files", "View RAW files")]
    [InlineData("short-verb", "Displaying pictures and films on a screen that is very far away from you",
        "Display pictures and films on a screen that is far away")]
    [InlineData("short-verb", "Sliding puzzle with pictures", "Play a sliding puzzle with pictures")]
    [InlineData("short-verb", "Whatever you like", "Show folders of pictures as a grid")]
    [InlineData("plain", "Fast picture viewer!", "Picture viewer for photographers")]
    [InlineData("plain", "View RAW files", "Viewer for showing folders of pictures as a grid")]
    [InlineData("plain", "Chess for everyone", "Viewer for showing folders of pictures as a grid")]
    [InlineData("two-things", "Show & rate great pictures", "Show and rate pictures")]
    [InlineData("two-things", "Picture viewer", "Show folders of pictures as a grid and read RAW files")]
    [InlineData("concrete", "Picture viewer", "Picture viewer: shows folders of pictures as a grid")]
    [InlineData("concrete", "Chess against the computer", "Shows folders of pictures as a grid")]
    public void Edit_NearMiss_MendsOrWritesFromFacts(string taste, string text, string edited) =>
        Assert.Equal(edited, Taste.Named(taste).Edit(Viewer, text));

    [Fact]
    public void Edit_AnyText_IsAcceptableOrRefusedAndStays()
    {
        string[] words =
            [.. "A An the simple powerful View Edits playing image viewer editor game puzzle for and with, of RAW files grid pictures very fast! tool. : é 漢 3D".Split(' ')];
        Gen.Int[0, words.Length - 1].Array[0, 14].Select(picks => string.Join(' ', picks.Select(pick => words[pick]))).Sample(text =>
        {
            foreach (Taste taste in Taste.All)
            {
                if (taste.Edit(Viewer, text) is not { } edited) continue;
                Assert.True(taste.Judge(Viewer, edited).Accepted, $"{taste.Name} edits '{text}' to '{edited}'");
                Assert.Equal(edited, taste.Edit(Viewer, edited));
                if (taste.Judge(Viewer, text).Accepted) Assert.Equal(text, edited);
            }
        }, seed: "0N0XIzNsQ0O2", iter: 3_000);
    }

    [Fact]
    public void Edit_WithoutFactsToWriteFrom_Refuses() =>
        Assert.Null(new ConcreteTaste().Edit(new Brief("X", Brief.Tagline, [], []), "Nothing of use"));

    [Fact]
    public void Named_UnknownTaste_SaysWhichThereAre() =>
        Assert.Equal("taste 'loud' is unknown, expected one of short-verb, plain, two-things, concrete, coin",
            Assert.Throws<FlywheelException>(() => Taste.Named("loud")).Message);

    [Theory]
    [InlineData("cuts wood", "cutting wood")]
    [InlineData("makes maps", "making maps")]
    [InlineData("plays music", "playing music")]
    [InlineData("ties knots", null)]
    [InlineData("sees far", "seeing far")]
    public void Gerund_ThirdPerson_IsSpelt(string fact, string? gerund) => Assert.Equal(gerund, Wording.Gerund(fact));

    [Theory]
    [InlineData("images", "image")]
    [InlineData("imaging", "image")]
    [InlineData("player", "plays")]
    [InlineData("files", "file")]
    public void Stem_FormsOfOneWord_FallTogether(string one, string other) => Assert.Equal(Wording.Stem(other), Wording.Stem(one));
}
