using System.Text.Json.Nodes;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>chat.completion</c> and its chunks.</summary>
internal sealed class ChatFormat(GenerationGroup group, bool withLogprobs) : AnswerFormat(group, withLogprobs)
{
    protected override string IdPrefix => "chatcmpl";

    protected override string ObjectName(bool chunk) => chunk ? "chat.completion.chunk" : "chat.completion";

    public override JsonObject Opening(Choice choice) =>
        ChoiceJson(choice, new() { ["delta"] = new JsonObject { ["role"] = "assistant", ["content"] = "" }, ["logprobs"] = null }, null);

    protected override JsonObject Delta(string text, JsonNode? logprobs) => new()
    {
        ["delta"] = text.Length == 0 ? [] : new JsonObject { ["content"] = text },
        ["logprobs"] = logprobs,
    };

    protected override JsonObject Whole(string text, JsonNode? logprobs) => new()
    {
        ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text, ["refusal"] = null },
        ["logprobs"] = logprobs,
    };

    protected override JsonNode Logprobs(IReadOnlyList<ShownToken> tokens) => new JsonObject
    {
        ["content"] = new JsonArray([.. tokens.Select(shown =>
        {
            JsonObject entry = Entry(shown.Token.Id, shown.Token.Logprob);
            entry["top_logprobs"] = new JsonArray([.. shown.Token.Top.Select(top => Entry(top.Id, top.Logprob))]);
            return entry;
        })]),
        ["refusal"] = null,
    };

    private JsonObject Entry(int id, float logprob) => new()
    {
        ["token"] = Model.TokenText(id),
        ["logprob"] = Number(logprob),
        ["bytes"] = new JsonArray([.. Model.TokenBytes(id).Select(value => JsonValue.Create((int)value))]),
    };
}
