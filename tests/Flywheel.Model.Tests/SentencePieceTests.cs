using System.Text;
using System.Text.Json;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>The oracle is ../shared: ids on which llama.cpp and huggingface/tokenizers agree.</summary>
public class SentencePieceTests
{
    private static Tokenizer Load(string model) => Tokenizer.Load(TestFiles.Shared("models", model, "tokenizer.json"));

    [Theory]
    [InlineData("stories260K")] // merges as pairs
    [InlineData("tiny-qwen3")] // merges as "a b"
    public void Encode_SharedCases_GivesTheirIds(string model)
    {
        Tokenizer tokenizer = Load(model);
        using JsonDocument document =
            JsonDocument.Parse(File.ReadAllText(TestFiles.Shared("models", "stories260K", "tokenizer-cases.json")));
        JsonElement[] cases = [.. document.RootElement.GetProperty("cases").EnumerateArray()];
        Assert.Equal(42, cases.Length);
        foreach (JsonElement item in cases)
        {
            string text = item.GetProperty("text").GetString()!;
            int[] ids = [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(ids[1..], tokenizer.Encode(text)); // the first is BOS
            Assert.Equal(text.Replace('\u2581', ' '), tokenizer.Decode(ids)); // SentencePiece cannot tell the two apart
        }
    }

    [Fact]
    public void Encode_AnyText_RoundTrips()
    {
        Tokenizer tokenizer = Load("stories260K");
        Gen.OneOf(Gen.String, Gen.String[Gen.Char["Once upon a time, <0x41>s/\n\té灯"], 0, 60]).Sample(text =>
        {
            string clean = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\u2581', '_');
            Assert.Equal(clean, tokenizer.Decode(tokenizer.Encode(clean)));
            Assert.Equal(tokenizer.Encode(clean), tokenizer.Encode(Encoding.UTF8.GetBytes(clean)));
        });
    }

    [Fact]
    public void Encode_TextThatSpellsASpecialToken_StaysText()
    {
        Tokenizer tokenizer = Load("stories260K");
        Assert.DoesNotContain(tokenizer.Encode("<s>a</s><unk>"), id => id < 3);
        Assert.Equal(1, tokenizer.Encode("<s>a", allowSpecial: true)[0]);
    }

    [Fact]
    public void ChatTemplate_TokenizerWithoutChatMl_SaysWhatIsMissing() =>
        Assert.Contains("<|im_start|>", Assert.Throws<FlywheelException>(() => new ChatTemplate(Load("stories260K"))).Message);
}
