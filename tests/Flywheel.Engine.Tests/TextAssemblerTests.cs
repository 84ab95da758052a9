using System.Text;
using CsCheck;
using Flywheel.Engine.Text;

namespace Flywheel.Engine.Tests;

public class TextAssemblerTests
{
    [Fact]
    public void Append_EmojiOverFourTokens_ShowsItWhole()
    {
        var text = new TextAssembler([]);
        byte[] emoji = Encoding.UTF8.GetBytes("😀");
        Assert.Equal(["", "", "", "😀"], emoji.Select(b => text.Append([b])));
    }

    [Fact]
    public void Append_StopAcrossTokens_EndsBeforeIt()
    {
        var text = new TextAssembler(["\n\nEnd"]);
        Assert.Equal("Hello", text.Append("Hello\n"u8));
        Assert.Equal("", text.Append("\nE"u8));
        Assert.Equal("", text.Append("nd and more"u8));
        Assert.True(text.Stopped);
    }

    [Fact]
    public void Append_StopThatDoesNotComplete_ShowsHeldTextLater()
    {
        var text = new TextAssembler(["STOP"]);
        Assert.Equal("a", text.Append("aST"u8));
        Assert.Equal("STx", text.Append("x"u8));
        Assert.Equal("", text.Append("S"u8));
        Assert.Equal("S", text.Flush());
        Assert.False(text.Stopped);
    }

    [Fact]
    public void Flush_UnfinishedCharacter_BecomesReplacement()
    {
        var text = new TextAssembler([]);
        Assert.Equal("", text.Append([0xE4, 0xBD]));
        Assert.Equal("\uFFFD", text.Flush());
    }

    [Fact]
    public void Append_AnySplit_EqualsTextCutAtTheFirstStop()
    {
        Gen<string> pieces = OneOf("a", "b", "ab", "é", "中", "😀", "\n", "aab");
        Gen.Select(pieces.Array[0, 20], OneOf("ab", "aab", "中\n", "bb", "😀", "é").Array[0, 3], Gen.Int[0, 1_000_000])
            .Sample((parts, stops, seed) =>
        {
            string whole = string.Concat(parts);
            int cut = stops.Select(stop => whole.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
            byte[] bytes = Encoding.UTF8.GetBytes(whole);
            var random = new Random(seed);
            var text = new TextAssembler(stops);
            var shown = new StringBuilder();
            for (int at = 0; at < bytes.Length && !text.Stopped;)
            {
                int count = Math.Min(random.Next(1, 4), bytes.Length - at);
                string piece = text.Append(bytes.AsSpan(at, count));
                Assert.DoesNotContain('\uFFFD', piece);
                shown.Append(piece);
                at += count;
            }
            if (!text.Stopped) shown.Append(text.Flush());
            Assert.Equal(cut >= 0, text.Stopped);
            Assert.Equal(cut >= 0 ? whole[..cut] : whole, shown.ToString());
        });
    }

    [Fact]
    public void Append_AnyBytes_EqualsDecodingThemAtOnce()
    {
        Gen.Byte.Array[0, 40].Sample(bytes =>
        {
            var text = new TextAssembler([]);
            string shown = string.Concat(bytes.Select(b => text.Append([b]))) + text.Flush();
            Assert.Equal(Encoding.UTF8.GetString(bytes), shown);
        });
    }

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);
}
