using Bunit;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>A structure drawn along its chain: a sign for each residue, and the same in words for whoever hears the page.</summary>
public sealed class StructureDrawingTests : BunitContext
{
    private IRenderedComponent<StructureDrawing> Draw(string sequence, string structure, string language = "en") =>
        Render<StructureDrawing>(parameters => parameters
        .AddCascadingValue(new Visit("ann", Strings.Of(language), null, TimeSpan.Zero)).Add(one => one.Sequence, sequence)
        .Add(one => one.Structure, structure));

    [Fact]
    public void Structure_OfTwelveResidues_IsDrawnInTwoPiecesAndSaid()
    {
        IRenderedComponent<StructureDrawing> drawn = Draw("M T P A V T T Y K L V I", "CHHHHCEEECCE");
        Assert.Equal((2, 4, 4, 4), (drawn.FindAll("svg").Count, drawn.FindAll(".chain .helix").Count, drawn.FindAll(".chain .strand").Count,
            drawn.FindAll(".chain .coil").Count));
        Assert.Equal(2, drawn.FindAll("path.strand").Count); // an arrow's head ends each strand
        Assert.Equal("MTPAVTTYKLVI", string.Concat(drawn.FindAll(".residue").Select(letter => letter.TextContent)));
        Assert.Equal(["1", "11"], drawn.FindAll(".place").Select(place => place.TextContent));
        Assert.Equal("helix from 2 to 5, strand from 7 to 9, strand from 12 to 12", drawn.Find(".chain").GetAttribute("aria-label"));
        Assert.Contains("33", drawn.Find("figcaption").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void Structure_OfNothingOrCoilAlone_IsSaidInThePersonsLanguage()
    {
        Assert.Equal("全为卷曲", Draw("MK", "C C", "zh-CN").Find(".chain").GetAttribute("aria-label"));
        Assert.Empty(Draw("", "").FindAll("svg"));
    }
}
