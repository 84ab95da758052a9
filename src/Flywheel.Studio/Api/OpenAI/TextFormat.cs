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

    // Two ids can show as the same text (halves of characters); the likelier one, which comes first, stands.
    private JsonObject Alternatives(ShownToken shown)
    {
        var alternatives = new JsonObject();
        foreach (TokenLogprob top in shown.Token.Top) alternatives.TryAdd(Model.TokenText(top.Id), Number(top.Logprob));
        return alternatives;
    }
}
