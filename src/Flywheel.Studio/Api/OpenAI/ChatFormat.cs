using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Engine.Text;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>chat.completion</c> and its chunks.</summary>
internal sealed class ChatFormat(GenerationGroup group, bool withLogprobs) : AnswerFormat(group, withLogprobs)
{
    private readonly Dictionary<Choice, ToolCallReader> _readers = [];

    protected override string IdPrefix => "chatcmpl";

    protected override string ObjectName(bool chunk) => chunk ? "chat.completion.chunk" : "chat.completion";

    public override JsonObject? Opening(Choice choice) =>
        ChoiceJson(choice, new() { ["delta"] = new JsonObject { ["role"] = "assistant", ["content"] = "" }, ["logprobs"] = null }, null);

    protected override JsonObject Delta(string text) => new() { ["delta"] = text.Length == 0 ? [] : new JsonObject { ["content"] = text } };

    protected override IReadOnlyList<JsonObject> Deltas(Choice choice, string text) =>
        Reader(choice) is { } reader ? [.. reader.Append(text).Select(piece => ToDelta(choice, piece))] : base.Deltas(choice, text);

    protected override IReadOnlyList<JsonObject> LastDeltas(Choice choice) =>
        Reader(choice) is { } reader
            ? [.. reader.Flush(choice.FinishReason != FinishReason.Stop).Select(piece => ToDelta(choice, piece))] : [];

    protected override string? Finish(Choice choice) =>
        choice.FinishReason == FinishReason.Stop && Reader(choice) is { NumCalls: > 0 } ? "tool_calls" : base.Finish(choice);

    protected override JsonObject Whole(Choice choice)
    {
        var message = new JsonObject { ["role"] = "assistant", ["content"] = choice.Text, ["refusal"] = null };
        if (Reader(choice) is { } reader)
        {
            ToolPiece[] pieces = [.. reader.Append(choice.Text), .. reader.Flush(choice.FinishReason != FinishReason.Stop)];
            string content = string.Concat(pieces.Select(piece => piece.Content));
            message["content"] = content.Length == 0 && reader.NumCalls > 0 ? null : content;
            if (reader.NumCalls > 0)
                message["tool_calls"] =
                    new JsonArray([.. pieces.Where(piece => piece.Call >= 0).GroupBy(piece => piece.Call).Select(call => new JsonObject
                {
                    ["id"] = CallId(choice, call.Key),
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = call.First().Name,
                        ["arguments"] = string.Concat(call.Select(piece => piece.Arguments)) },
                })]);
        }
        return new() { ["message"] = message };
    }

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

    private JsonObject ToDelta(Choice choice, ToolPiece piece)
    {
        if (piece.Call < 0) return Delta(piece.Content);
        var call = new JsonObject { ["index"] = piece.Call };
        if (piece.Name is not null) (call["id"], call["type"]) = (CallId(choice, piece.Call), "function");
        call["function"] = piece.Name is null ? new JsonObject { ["arguments"] = piece.Arguments } : new JsonObject { ["name"] = piece.Name,
            ["arguments"] = piece.Arguments };
        return new() { ["delta"] = new JsonObject { ["tool_calls"] = new JsonArray(call) } };
    }

    private ToolCallReader? Reader(Choice choice)
    {
        if (!ReadsToolCalls) return null;
        if (!_readers.TryGetValue(choice, out ToolCallReader? reader))
            _readers[choice] = reader = new ToolCallReader(Model.Template.ToolCalls);
        return reader;
    }

    /// <summary>Made of the generation's own id, so that a call leads to its record.</summary>
    private static string CallId(Choice choice, int call) => $"call_{choice.Id:N}{call}";

    private JsonObject Entry(int id, float logprob) => new()
    {
        ["token"] = Model.TokenText(id),
        ["logprob"] = Number(logprob),
        ["bytes"] = new JsonArray([.. Model.TokenBytes(id).ToArray().Select(value => JsonValue.Create((int)value))]),
    };
}
