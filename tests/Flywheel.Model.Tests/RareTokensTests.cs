using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public class RareTokensTests
{
    private static readonly string[] Texts =
        ["the lamp, the light, the lighthouse and the lighting", "Murmelgold murmurs of the mural", "naïve café 😀 灯塔 灯塔"];

    private static readonly Tokenizer Full = Tokenizer.Train([.. Texts, .. Texts], 330);

    /// <summary>Whatever was counted: every text has the ids that plain byte pair encoding finds by the merges that are left, and they say
    /// that text; a token that is dropped occurs in none.</summary>
    [Fact]
    public void Drop_AnyCounts_SpellsEveryTextWithoutWhatWasRare() =>
        Gen.Select(Gen.Long[0, 20].Array[Full.VocabSize], Gen.Long[1, 15], Gen.OneOf(Gen.OneOf(Texts), Gen.String))
            .Sample((counts, fewest, text) =>
        {
            (Tokenizer left, IReadOnlyList<string> dropped) = RareTokens.Drop(Full, counts, fewest);
            using var folder = new TempFolder();
            left.Save(folder["tokenizer.json"]);
            int[] ids = left.Encode(text);
            Assert.Equal(new NaiveBytePairs(File.ReadAllText(folder["tokenizer.json"])).Encode(text), ids);
            Assert.Equal(Full.Decode(Full.Encode(text)), left.Decode(ids));
            Assert.Equal(Full.VocabSize, left.VocabSize);
            Assert.DoesNotContain(ids, id => dropped.Contains(ByteAlphabet.FromBytes(left.Bytes(id).ToArray())));
        }, iter: 200);

    [Fact]
    public void Drop_SeenSeldom_DropsItAndWhatIsMadeOfItUnlessThatIsSeenOften()
    {
        long[] counts = new long[Full.VocabSize];
        foreach (int id in Texts.SelectMany(text => Full.Encode(text))) counts[id] += 10;
        int[] often = Full.Encode(" the");
        Assert.Single(often); // one token, which some that stand nowhere alone are merged to
        (Tokenizer left, IReadOnlyList<string> dropped) = RareTokens.Drop(Full, counts, 1);
        Assert.Equal(often, left.Encode(" the"));
        counts[often[0]] = 0;
        (Tokenizer without, IReadOnlyList<string> more) = RareTokens.Drop(Full, counts, 1);
        Assert.NotEqual(often, without.Encode(" the"));
        Assert.True(more.Count > dropped.Count);
        Assert.Equal(" the", without.Decode(without.Encode(" the")));
    }

    [Fact]
    public void Drop_WordsThatAreFoundWithoutMerges_SaysSo()
    {
        using var folder = new TempFolder();
        Full.Save(folder["tokenizer.json"]);
        string json = File.ReadAllText(folder["tokenizer.json"])
            .Replace("\"ignore_merges\": false", "\"ignore_merges\": true", StringComparison.Ordinal);
        var tokenizer = Tokenizer.Parse(System.Text.Encoding.UTF8.GetBytes(json), "tokenizer.json");
        var refused = Assert.Throws<FlywheelException>(() => RareTokens.Drop(tokenizer, new long[tokenizer.VocabSize], 1));
        Assert.Contains("ignore_merges", refused.Message, StringComparison.Ordinal);
    }
}
