using System.Text;
using System.Text.Json;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public class TokenizerTests
{
    private static readonly string[] s_texts =
    [
        "The lighthouse keeper's lamp wasn't lit; nobody knew why. They'll ask him tomorrow, they've time.",
        "GIMP edits images.\nInkscape edits drawings.\n\n  * layers\n  * paths\n\tand 1024 more things in 3 clicks!",
        "他们说的是真的吗？是的，灯塔的灯没有亮。没有人知道为什么。",
        "naïve café Ünïcödé — “quotes”, ½, ①, Ⅷ, x²; e\u0301; 😀 wörds 😀😀 𝒜lpha 𐐷𐐷 𝟙𝟚",
        "for (int i = 0; i < n; i++) { total += values[i]; }   // sum\r\n\r\nreturn total;",
        "the the the then there these those the lamp the light the lighthouse lighting lit",
    ];

    internal static Tokenizer Small { get; } = Tokenizer.Train(s_texts, 330);

    private static readonly NaiveBytePairs s_naive = new(SavedText(Small));

    private static readonly Gen<string> s_text = Gen.OneOf(
        Gen.String,
        Gen.String[Gen.Char["thelampig' \n\t\r.0aé灯\u00A0"], 0, 60],
        Gen.OneOf(s_texts),
        Gen.OneOf("😀", "a", " ", "𝒜", "𝟙", "<|im_end|>", "'s", "'LL", "\uD800", "\n").Array[0, 20].Select(string.Concat));

    private static string SavedText(Tokenizer tokenizer)
    {
        using var folder = new TempFolder();
        tokenizer.Save(folder["tokenizer.json"]);
        return File.ReadAllText(folder["tokenizer.json"]);
    }

    [Fact]
    public void Encode_AnyText_RoundTrips() => s_text.Sample(text =>
        Small.Decode(Small.Encode(text)) == Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Encode_AnyBytes_RoundTrips() =>
    Gen.OneOf(Gen.Byte.Array,
        Gen.Select(s_text, Gen.Byte.Array[0, 4], s_text,
            (a, b, c) => (byte[])[.. Encoding.UTF8.GetBytes(a), .. b, .. Encoding.UTF8.GetBytes(c)])).Sample(bytes =>
        bytes.SequenceEqual(Small.Encode(bytes).SelectMany(id => Small.Bytes(id).ToArray())));

    [Fact]
    public void Encode_TextAsUtf8_GivesTheIdsOfTheText() => s_text.Sample(text =>
        Small.Encode(text).SequenceEqual(Small.Encode(Encoding.UTF8.GetBytes(text))));

    [Fact]
    public void Encode_AnyText_NeverGivesASpecialToken() => s_text.Sample(text =>
        !Small.Encode("<|im_start|>" + text + "<|endoftext|>").Any(Small.SpecialTokens.Values.Contains));

    [Fact]
    public void Encode_SpecialAllowed_GivesItsId() =>
        Assert.Equal([1, .. Small.Encode("user\nhi"), 2, .. Small.Encode("\n"), 0],
            Small.Encode("<|im_start|>user\nhi<|im_end|>\n<|endoftext|>", allowSpecial: true));

    [Fact]
    public void Encode_BasicPlane_AgreesWithNaiveMerging() => Gen.OneOf(
        Gen.String[Gen.Char["thelampigs' \n\t\r.;0129aéü灯的\u00A0\u2028½²"], 0, 80],
        Gen.OneOf([.. s_texts.Where(text => !text.Any(char.IsSurrogate))]))
        .Sample(text => Assert.Equal(s_naive.Encode(text), Small.Encode(text)), iter: 300);

    [Fact]
    public void Encode_WordsOfBytes_AgreesWithNaiveMerging() => Gen.Byte[(byte)'a', (byte)'t'].Array[0, 90].Sample(
        word => Assert.Equal(s_naive.EncodeWord(word), Small.Encode(word)), iter: 300);

    public static TheoryData<string, int[]> OutsideCases()
    {
        var data = new TheoryData<string, int[]>();
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Fixture("cases.json")));
        foreach (JsonElement item in document.RootElement.EnumerateArray())
            data.Add(item.GetProperty("text").GetString()!, [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())]);
        return data;
    }

    private static string Fixture(string name) =>
        Path.Combine(TestFiles.Root, "tests", "Flywheel.Model.Tests", "Fixtures", "byte-level-bpe", name);

    private static readonly Lazy<Tokenizer> s_fixture = new(() => Tokenizer.Load(Fixture("tokenizer.json")));

    /// <summary>The fixture's make.mjs says where the ids come from.</summary>
    [Theory]
    [MemberData(nameof(OutsideCases))]
    public void Encode_FixtureText_GivesTheIdsOfAnotherImplementation(string text, int[] ids)
    {
        Assert.Equal(ids, s_fixture.Value.Encode(text, allowSpecial: true));
        Assert.Equal(text, s_fixture.Value.Decode(s_fixture.Value.Encode(text)));
    }

    [Fact]
    public void Train_SmallTexts_LearnsTheMergesOfCountingAnew()
    {
        string[] texts = [.. s_texts.Where(text => !text.Any(char.IsSurrogate))];
        using JsonDocument document = JsonDocument.Parse(SavedText(Tokenizer.Train(texts, Tokenizer.MinVocabSize + 80)));
        Assert.Equal(NaiveBytePairs.Learn(texts, 80),
            document.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()));
    }

    [Fact]
    public void Train_RandomTexts_LearnsTheMergesOfCountingAnew() => Gen.String[Gen.Char["ab "], 0, 30].Array[1, 6].Sample(
        texts =>
        {
            using JsonDocument document = JsonDocument.Parse(SavedText(Tokenizer.Train(texts, Tokenizer.MinVocabSize + 20)));
            Assert.Equal(NaiveBytePairs.Learn(texts, 20),
                document.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()));
        }, iter: 200);

    [Fact]
    public void Train_TextsInAnyOrder_LearnsTheSame() =>
        Assert.Equal(Small.Hash, Tokenizer.Train(s_texts.Reverse(), 330).Hash);

    [Fact]
    public void Train_FewTexts_LearnsAsManyTokensAsTheyHold() =>
        Assert.Equal(Tokenizer.MinVocabSize + 1, Tokenizer.Train(["ababx", "ba"], 1000).VocabSize);

    [Fact]
    public void Train_SpecialTokens_ComeFirst()
    {
        Assert.Equal(330, Small.VocabSize);
        Assert.Equal(new Dictionary<string, int> { ["<|endoftext|>"] = 0, ["<|im_start|>"] = 1, ["<|im_end|>"] = 2 }, Small.SpecialTokens);
        for (int value = 0; value < 256; value++) Assert.Equal([(byte)value], Small.Bytes(3 + value).ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(258)]
    [InlineData(-5)]
    public void Train_VocabularyTooSmall_SaysHowSmall(int size) =>
        Assert.Contains("at least 259", Assert.Throws<FlywheelException>(() => Tokenizer.Train(s_texts, size)).Message);

    [Fact]
    public void Encode_WordOfAMegabyte_EndsSoon()
    {
        string word = string.Concat(Enumerable.Repeat("lighthouse", 100_000));
        Assert.Equal(word, Small.Decode(Small.Encode(word)));
        string spaces = new(' ', 1_000_000);
        Assert.Equal(spaces + "x", Small.Decode(Small.Encode(spaces + "x")));
    }

    [Fact]
    public void Load_SavedTokenizer_IsTheSame()
    {
        using var folder = new TempFolder();
        Small.Save(folder["tokenizer.json"]);
        Tokenizer loaded = Tokenizer.Load(folder["tokenizer.json"]);
        Assert.Equal(Small.Hash, loaded.Hash);
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(folder["tokenizer.json"]))),
            loaded.Hash);
        foreach (string text in s_texts) Assert.Equal(Small.Encode(text), loaded.Encode(text));
    }

    [Fact]
    public void Bytes_IdOutsideTheVocabulary_AreNone()
    {
        Assert.True(Small.Bytes(330).IsEmpty);
        Assert.True(Small.Bytes(-1).IsEmpty);
        Assert.True(Small.Bytes(0).IsEmpty);
    }

    [Fact]
    public void Encode_ManyThreads_GivesTheSameIds()
    {
        Tokenizer shared = Tokenizer.Train(s_texts, 330);
        Parallel.For(0, 64, i => Assert.Equal(Small.Encode(s_texts[i % s_texts.Length]), shared.Encode(s_texts[i % s_texts.Length])));
    }
}
