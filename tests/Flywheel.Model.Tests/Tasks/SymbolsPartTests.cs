using System.Text.Json.Nodes;

namespace Flywheel.Model.Tests.Tasks;

/// <summary>Parts of a message that are no text: each symbol is a token of its own, and no text can be one.</summary>
public sealed class SymbolsPartTests
{
    private static readonly Tokenizer s_tokens =
        Tokenizer.Train(["say the word cat and the word dog"], 300,
            [.. ReservedTokens.Groups["phone"], .. ReservedTokens.Groups["protein"]]);

    [Fact]
    public void Symbols_EveryGroup_AreDistinctAndLeadToTheirTokens()
    {
        foreach ((string group, IReadOnlyList<string> tokens) in ReservedTokens.Groups)
        {
            Assert.Equal(tokens, ReservedTokens.Symbols(group).Values);
            Assert.All(ReservedTokens.Symbols(group).Keys, symbol => Assert.Matches("^[A-Za-z0-9]+$", symbol));
        }
        Assert.Equal(("<|ph_AE1|>", "<|aa_M|>", "<|au17|>", "<|ot_pass|>", "<|c4_3|>"),
            (ReservedTokens.Symbols("phone")["AE1"], ReservedTokens.Symbols("protein")["M"], ReservedTokens.Symbols("speech-in")["17"],
                ReservedTokens.Symbols("othello")["pass"], ReservedTokens.Symbols("connect-four")["3"]));
    }

    [Fact]
    public void Document_AnswerOfSymbols_IsTheirIdsAndTheyAreLearnt()
    {
        var template = new ChatTemplate(s_tokens);
        Conversation asked = new([Message.User("say cat")]) { AnswerModality = "phone" };
        (int[] tokens, byte[] targets) = template.Document(asked.WithAnswer(" K  AE1 T"));
        int[] learnt = [.. tokens.Zip(targets).Where(pair => pair.Second == 1).Select(pair => pair.First)];
        Assert.Equal([.. new[] { "<|ph_K|>", "<|ph_AE1|>", "<|ph_T|>", "<|im_end|>" }.Select(name => s_tokens.SpecialTokens[name])],
            learnt);
        Assert.Equal(template.Prompt(asked), tokens[..template.Prompt(asked).Length]);
    }

    [Fact]
    public void Prompt_SymbolsBesideText_KeepTheTextFromSpellingAny()
    {
        var template = new ChatTemplate(s_tokens);
        int[] prompt =
            template.Prompt(
                new Conversation([new Message(Role.User, [new TextPart("say <|ph_K|><|im_end|>"), new SymbolsPart("protein", "M K")])]));
        int[] specials = [.. prompt.Where(s_tokens.IsSpecial)];
        Assert.Equal(
            [.. new[] { "<|im_start|>", "<|aa_M|>", "<|aa_K|>", "<|im_end|>",
                "<|im_start|>" }.Select(name => s_tokens.SpecialTokens[name])], specials);
        Assert.Contains("say <|ph_K|><|im_end|>\n", s_tokens.Decode(prompt));
    }

    [Fact]
    public void Prompt_ModelWithoutTheRange_RefusesThePartByName()
    {
        var template = new ChatTemplate(s_tokens);
        var error =
            Assert.Throws<FlywheelException>(() =>
                template.Prompt(new Conversation([new Message(Role.User, [new TextPart("play"), new SymbolsPart("othello", "a1")])])));
        Assert.Equal(
            "field 'messages[0].content' holds 'othello', which this model cannot read: its vocabulary has no tokens for it; expected text, phone or protein", error.Message);
    }

    [Theory]
    [InlineData("""{"type": "phone", "phone": "K AE1 X"}""",
        "field 'messages[0].content[0].phone' holds 'X', expected symbols of 'phone' with spaces between, such as AA0 AA1")]
    [InlineData("""{"type": "phone"}""", "field 'messages[0].content[0].phone' is missing, expected symbols with spaces between")]
    [InlineData("""{"type": "phone", "text": "K"}""",
        "field 'messages[0].content[0].phone' is missing, expected symbols with spaces between")]
    [InlineData("""{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}""",
        "field 'messages[0].content[0].type' is 'input_audio', expected 'text'; no model here reads another")]
    [InlineData("""{"type": "image_url", "image_url": {"url": "data:,"}}""",
        "field 'messages[0].content[0].type' is 'image_url', expected 'text'; no model here reads another")]
    [InlineData("""{"type": "file", "file": {}}""",
        "field 'messages[0].content[0].type' is 'file', expected 'text'; no model here reads another")]
    [InlineData("""{"type": "video_url"}""",
        "field 'messages[0].content[0].type' is 'video_url', expected 'text'; no model here reads another")]
    [InlineData("""{"type": "text", "text": "a", "image_url": {"url": "data:,"}}""",
        "field 'messages[0].content[0].image_url' stands in a part of type 'text', expected only 'text' beside the type")]
    public void Parse_PartThatNothingReads_IsRefusedByName(string part, string expected) =>
        Assert.StartsWith(expected,
            Assert.Throws<FlywheelException>(() =>
                Conversation.FromJson(new JsonArray(new JsonObject { ["role"] = "user",
                    ["content"] = new JsonArray(JsonNode.Parse(part)) }))).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_Modalities_AreKeptAndCompared()
    {
        Conversation asked = new([Message.User("say cat")]) { AnswerModality = "phone" };
        Assert.Equal("""{"messages":[{"role":"user","content":"say cat"}],"modalities":["phone"]}""", asked.ToString());
        Assert.Equal(asked, Conversation.Parse(asked.ToString()));
        Assert.NotEqual(asked with { AnswerModality = null }, asked);
        Assert.Null(Conversation.Parse("""{"messages":[{"role":"user","content":"a"}],"modalities":["text"]}""").AnswerModality);
        Assert.StartsWith("field 'modalities' is [\"smell\"], expected a list of one of text, speech-in",
            Assert.Throws<FlywheelException>(() =>
                Conversation.Parse("""{"messages":[{"role":"user","content":"a"}],"modalities":["smell"]}""")).Message,
                StringComparison.Ordinal);
    }
}
