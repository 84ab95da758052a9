namespace Flywheel.Data.Tests;

public class ProductCleanerTests
{
    private readonly ProductCleaner _cleaner = new(programsOnly: true);
    private readonly SourceReport _report = new("test", "test");

    [Fact]
    public void Clean_Product_KeepsProseAndCountsTheRest()
    {
        Product? clean =
            _cleaner.Clean(Fixtures.Product(summary: "Brushwood is a painting program.",
                paragraphs: ["It paints with twigs and leaves. See https://brushwood.example for more. It dries fast.",
                    "This package contains the program.", "Features:"]), _report);
        Assert.NotNull(clean);
        Assert.Equal("Painting program", clean.Summary);
        Assert.Equal(["It paints with twigs and leaves. It dries fast."], clean.Paragraphs);
        Assert.Equal(["paragraph: introduces nothing", "sentence: address or path", "sentence: talks about packaging"], _report.Drops.Keys);
    }

    [Fact]
    public void Clean_SharedParagraph_StaysWithTheFirst()
    {
        const string prose = "Brushwood mixes colours like wet paint, by hand.";
        Assert.NotNull(_cleaner.Clean(Fixtures.Product(paragraphs: prose), _report));
        Assert.Null(_cleaner.Clean(Fixtures.Product("packages:brushwood", paragraphs: prose.ToUpperInvariant().ToLowerInvariant()),
            _report));
        Assert.Equal(1, _report.Drops["paragraph: seen before"].Count);
        Assert.Equal(1, _report.Drops["summary: seen before"].Count);
        Assert.Equal("packages:brushwood", _report.Drops["item: nothing left"].Example);
    }

    [Theory]
    [InlineData("packages:libbrush1", "painting for everyone")]
    [InlineData("packages:brushwood-doc", "painting for everyone")]
    [InlineData("packages:brushwood", "transitional dummy package")]
    public void Clean_NoProgram_IsDroppedForCopyOnly(string id, string summary)
    {
        Product product = Fixtures.Product(id, summary: summary, paragraphs: "It paints with twigs and leaves, and dries fast.");
        Assert.Null(_cleaner.Clean(product, _report));
        Assert.Contains("item: data, library or transitional package", _report.Drops.Keys);
        Assert.NotNull(new ProductCleaner(programsOnly: false).Clean(product, _report));
    }

    [Fact]
    public void Clean_FirstSentenceFaulty_DropsTheParagraph() =>
        Assert.Empty(_cleaner.Clean(Fixtures.Product(paragraphs: "This package provides twigs. They can be bent in all directions."),
            _report)!.Blocks);
}
