using CsCheck;

namespace Flywheel.Data.Tests;

public class DescriptionParserTests
{
    [Fact]
    public void FromHtml_ParagraphsAndLists_AreBlocks()
    {
        IReadOnlyList<Block> blocks =
            DescriptionParser.FromHtml(
                "<p>Paint &amp; draw\n  with <em>ease</em>.</p>\n<p>Features:</p><ul>\n<li>Layers</li><li><p>Brushes</p></li></ul><p>Enjoy!</p>");
        Assert.Equal(["Paint & draw with ease.", "Features:", "- Layers\n- Brushes", "Enjoy!"], blocks.Select(block => block.Text));
        Assert.Equal([BlockKind.Paragraph, BlockKind.Paragraph, BlockKind.List, BlockKind.Paragraph], blocks.Select(block => block.Kind));
        Assert.True(blocks[1].Introduces);
    }

    [Fact]
    public void FromHtml_BulletsInsideAParagraph_AreAList() =>
        Assert.Equal(["It offers:", "- layers\n- brushes\n- masks"],
            DescriptionParser.FromHtml("<p>It offers: * layers * brushes * masks</p>").Select(block => block.Text));

    [Fact]
    public void FromControl_Layout_IsRead()
    {
        IReadOnlyList<Block> blocks =
            DescriptionParser.FromControl(
                " Paints walls\n and fences.\n .\n It can:\n  * mix colours\n    on a palette\n  * dry\n  - wait\n .\n   x = 1\n Done.");
        Assert.Equal(["Paints walls and fences.", "It can:", "- mix colours on a palette\n- dry\n- wait", "  x = 1", "Done."],
            blocks.Select(block => block.Text));
        Assert.Equal(BlockKind.Verbatim, blocks[3].Kind);
    }

    [Fact]
    public void Parsers_AnyText_GiveNonEmptyBlocks() => Gen.String[Gen.OneOf(Gen.Char, Gen.Char["<>/pulio \n.*-+&;"]), 0, 80].Sample(text =>
    {
        foreach (Block block in DescriptionParser.FromHtml(text).Concat(DescriptionParser.FromControl(text)))
        {
            Assert.NotEmpty(block.Texts);
            Assert.All(block.Texts, line => Assert.NotEqual("", line));
        }
    }, iter: 20_000, seed: "0000KYlZqMsY");
}
