using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>text_completion</c>, whole and streamed.</summary>
internal sealed class TextFormat(GenerationGroup group, bool withLogprobs) : AnswerFormat(group, withLogprobs)
{
    protected override string IdPrefix => "cmpl";

    protected override string ObjectName(bool chunk) => "text_completion";

    protected override JsonObject Delta(string text) => new() { ["text"] = text };

    protected override JsonObject Whole(Choice choice) => Delta(choice.Text);

    protected override JsonNode Logprobs(IReadOnlyList<ShownToken> tokens) => new JsonObject
    {
        ["tokens"] = new JsonArray([.. tokens.Select(shown => JsonValue.Create(Model.TokenText(shown.Token.Id)))]),
        ["token_logprobs"] = new JsonArray([.. tokens.Select(shown => Number(shown.Token.Logprob))]),
        ["top_logprobs"] = new JsonArray([.. tokens.Select(Alternatives)]),
        ["text_offset"] = new JsonArray([.. tokens.Select(shown => JsonValue.Create(shown.Offset))]),
    };

    /// <summary>The likeliest tokens, and the sampled one even if it is none of them, as OpenAI has it.</summary>
    private JsonObject Alternatives(ShownToken shown)
    {
        var alternatives = new JsonObject();
        SampledToken token = shown.Token;
        bool isAmong = token.Top.Any(top => top.Id == token.Id);
        foreach ((int id, float logprob) in isAmong ? token.Top : [.. token.Top, new TokenLogprob(token.Id, token.Logprob)])
            alternatives[Key(id, alternatives)] = Number(logprob);
        return alternatives;
    }

    /// <summary>
    /// The token's text; its bytes, as OpenAI writes them, where they are part of a character; its number where another token has
    /// the same text (a letter and SentencePiece's token of its byte).
    /// </summary>
    private string Key(int id, JsonObject known)
    {
        string text = Model.TokenText(id);
        if (text.Contains('\uFFFD')) text = "bytes:" + string.Concat(Model.TokenBytes(id).ToArray().Select(value => $"\\x{value:x2}"));
        return text.Length == 0 || known.ContainsKey(text) ? $"token_id:{id}" : text;
    }
}
