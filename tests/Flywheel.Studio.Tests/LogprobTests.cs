using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary>Log-probabilities tell the same text as the answer, whatever the tokenizer and wherever characters are cut.</summary>
public sealed class LogprobTests
{
    private static Tokenizer SentencePiece => Tokenizer.Parse(Encoding.UTF8.GetBytes(TestTokenizers.SentencePieceJson), "test");

    public static TheoryData<bool, double> Kinds => new() { { true, 1 }, { true, 2 }, { false, 1 }, { false, 2 } };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Text_Logprobs_TellTheText(bool sentencePiece, double temperature)
    {
        await using TestServer server = await TestServer.StartAsync(tokenizer: sentencePiece ? SentencePiece : null);
        int numTokens = 0;
        for (int seed = 0; seed < 12; seed++)
        {
            var request = new JsonObject { ["model"] = "flywheel", ["prompt"] = "the a", ["max_tokens"] = 40, ["temperature"] = temperature,
                ["seed"] = seed, ["logprobs"] = 5 };
            JsonNode choice = (await server.PostAsync("/v1/completions", request))["choices"]![0]!;
            string text = (string)choice["text"]!;
            JsonNode logprobs = choice["logprobs"]!;
            string[] tokens = [.. logprobs["tokens"]!.AsArray().Select(token => (string)token!)];
            numTokens += tokens.Length;
            if (!text.Contains('\uFFFD') && !tokens.Any(token => token.Contains('\uFFFD'))) Assert.Equal(text, string.Concat(tokens));
            int[] offsets = [.. logprobs["text_offset"]!.AsArray().Select(offset => (int)offset!)];
            Rune[] runes = [.. text.EnumerateRunes()];
            for (int i = 0; i < tokens.Length; i++)
            {
                JsonObject top = logprobs["top_logprobs"]![i]!.AsObject();
                Assert.InRange(top.Count, 5, 6);
                Assert.DoesNotContain("", top.Select(pair => pair.Key));
                float sampled = (float)logprobs["token_logprobs"]![i]!;
                Assert.Contains(top, pair => (float)pair.Value! == sampled); // the sampled token is always among them
                Assert.Equal(i == 0 ? 0 : offsets[i], offsets[i]);
                if (!text.Contains('\uFFFD') && !tokens[i].Contains('\uFFFD'))
                    Assert.Equal(tokens[i], string.Concat(runes[offsets[i]..].Take(tokens[i].EnumerateRunes().Count())));
            }
        }
        Assert.True(numTokens > 100, $"{numTokens} tokens");
    }

    [Fact]
    public async Task Chat_Logprobs_TokensAreTheirBytes()
    {
        await using TestServer server = await TestServer.StartAsync(tokenizer: SentencePiece,
            edit: path =>
                File.WriteAllText(Path.Combine(path, "chat_template.jinja"), "{% for m in messages %}{{ m.content }}{% endfor %}"));
        JsonObject request = TestServer.Chat("the a", maxTokens: 30);
        (request["logprobs"], request["top_logprobs"], request["temperature"]) = (true, 3, 2);
        JsonNode choice = (await server.PostAsync("/v1/chat/completions", request))["choices"]![0]!;
        JsonArray tokens = choice["logprobs"]!["content"]!.AsArray();
        Assert.NotEmpty(tokens);
        foreach (JsonNode? token in tokens.SelectMany(token => token!["top_logprobs"]!.AsArray().Prepend(token)))
        {
            byte[] bytes = [.. token!["bytes"]!.AsArray().Select(value => (byte)(int)value!)];
            if (bytes.Length > 0) Assert.Equal(Encoding.UTF8.GetString(bytes), (string)token["token"]!);
        }
        byte[] all = [.. tokens.SelectMany(token => token!["bytes"]!.AsArray()).Select(value => (byte)(int)value!)];
        Assert.Equal((string)choice["message"]!["content"]!, Encoding.UTF8.GetString(all));
    }
}
