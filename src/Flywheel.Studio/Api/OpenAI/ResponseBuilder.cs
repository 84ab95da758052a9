using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary>
/// Makes a response of the Responses API out of the chat API's chunks, and the events that tell of its growth in OpenAI's order
/// (platform.openai.com/docs/api-reference/responses-streaming).
/// </summary>
internal sealed class ResponseBuilder
{
    private readonly JsonObject _response;
    private readonly JsonArray _output = [];
    private readonly Choice _choice;
    private readonly StringBuilder _text = new();
    private JsonArray _logprobs = [];
    private JsonObject? _open;
    private int _numEvents;

    /// <param name="response">All fields that are known before the answer.</param>
    /// <param name="choice">The answer.</param>
    public ResponseBuilder(JsonObject response, Choice choice)
    {
        (_response, _choice) = (response, choice);
        _response["status"] = "in_progress";
        _response["output"] = _output;
    }

    /// <summary>As it is now.</summary>
    public JsonObject Response => _response;

    public IEnumerable<JsonObject> Begin() => [OfResponse("response.created"), OfResponse("response.in_progress")];

    /// <summary>What a chunk's choice adds.</summary>
    public IEnumerable<JsonObject> Add(JsonObject choice)
    {
        JsonNode delta = choice["delta"]!;
        if ((string?)delta["content"] is { Length: > 0 } text)
        {
            if (!IsOpen("message"))
                foreach (JsonObject one in Close("completed").Concat(OpenMessage())) yield return one;
            JsonArray logprobs = choice["logprobs"]?["content"] is JsonArray tokens ? (JsonArray)tokens.DeepClone() : [];
            foreach (JsonNode? token in logprobs) _logprobs.Add(token!.DeepClone());
            _text.Append(text);
            yield return OfPart("response.output_text.delta", ("delta", text), ("logprobs", logprobs));
        }
        foreach (JsonNode? call in delta["tool_calls"] as JsonArray ?? [])
        {
            if ((string?)call!["id"] is { } id)
                foreach (JsonObject one in Close("completed").Concat(OpenCall(id, (string)call["function"]!["name"]!))) yield return one;
            if ((string?)call["function"]?["arguments"] is not { Length: > 0 } arguments) continue;
            _text.Append(arguments);
            yield return OfItem("response.function_call_arguments.delta", ("delta", arguments));
        }
    }

    /// <summary>The answer has ended.</summary>
    /// <param name="finish">The chat API's reason.</param>
    /// <param name="usage">The chat API's counts.</param>
    /// <returns>What is told before the response itself: it comes once it is stored.</returns>
    public IReadOnlyList<JsonObject> End(string finish, JsonObject usage)
    {
        bool whole = finish != "length";
        List<JsonObject> events = _open is null ? [.. OpenMessage()] : []; // an answer of no text is an empty message
        events.AddRange(Close(whole ? "completed" : "incomplete"));
        _response["status"] = whole ? "completed" : "incomplete";
        _response["incomplete_details"] = whole ? null : new JsonObject { ["reason"] = "max_output_tokens" };
        _response["usage"] = new JsonObject
        {
            ["input_tokens"] = (int)usage["prompt_tokens"]!,
            ["input_tokens_details"] = usage["prompt_tokens_details"]!.DeepClone(),
            ["output_tokens"] = (int)usage["completion_tokens"]!,
            ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
            ["total_tokens"] = (int)usage["total_tokens"]!,
        };
        return events;
    }

    /// <summary>The last event: <c>response.completed</c> or <c>response.incomplete</c>.</summary>
    public JsonObject Ended() => OfResponse($"response.{(string)_response["status"]!}");

    /// <summary>The last event of a response that failed after its beginning.</summary>
    public JsonObject Failed(ApiException error)
    {
        _response["status"] = "failed";
        _response["error"] = new JsonObject { ["code"] = "server_error", ["message"] = error.Message };
        return OfResponse("response.failed");
    }

    private bool IsOpen(string type) => (string?)_open?["type"] == type;

    private IEnumerable<JsonObject> OpenMessage()
    {
        JsonObject item =
            new() { ["id"] = $"msg_{_choice.Id:N}{_output.Count}", ["type"] = "message", ["status"] = "in_progress",
            ["role"] = "assistant", ["content"] = new JsonArray() };
        yield return Open(item);
        yield return OfPart("response.content_part.added", ("part", Part("", [])));
    }

    private IEnumerable<JsonObject> OpenCall(string id, string name)
    {
        yield return Open(new() { ["id"] = $"fc_{_choice.Id:N}{_output.Count}", ["type"] = "function_call", ["status"] = "in_progress",
            ["call_id"] = id, ["name"] = name, ["arguments"] = "" });
    }

    private JsonObject Open(JsonObject item)
    {
        _open = item;
        _text.Clear();
        _logprobs = [];
        return Event("response.output_item.added", ("output_index", _output.Count), ("item", item.DeepClone()));
    }

    private List<JsonObject> Close(string status)
    {
        var events = new List<JsonObject>();
        if (_open is not { } item) return events;
        string text = _text.ToString();
        if (IsOpen("message"))
        {
            events.Add(OfPart("response.output_text.done", ("text", text), ("logprobs", _logprobs.DeepClone())));
            events.Add(OfPart("response.content_part.done", ("part", Part(text, _logprobs))));
            item["content"] = new JsonArray(Part(text, _logprobs));
        }
        else
        {
            events.Add(OfItem("response.function_call_arguments.done", ("name", (string)item["name"]!), ("arguments", text)));
            item["arguments"] = text;
        }
        item["status"] = status;
        events.Add(Event("response.output_item.done", ("output_index", _output.Count), ("item", item.DeepClone())));
        _output.Add(item);
        _open = null;
        return events;
    }

    private static JsonObject Part(string text, JsonArray logprobs) =>
        new() { ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = logprobs.DeepClone() };

    private JsonObject OfResponse(string type) => Event(type, ("response", _response.DeepClone()));

    private JsonObject OfItem(string type, params (string, JsonNode?)[] fields) =>
        Event(type, [("item_id", (string)_open!["id"]!), ("output_index", _output.Count), .. fields]);

    private JsonObject OfPart(string type, params (string, JsonNode?)[] fields) => OfItem(type, [("content_index", 0), .. fields]);

    private JsonObject Event(string type, params (string Name, JsonNode? Value)[] fields)
    {
        var json = new JsonObject { ["type"] = type, ["sequence_number"] = _numEvents++ };
        foreach ((string name, JsonNode? value) in fields) json[name] = value;
        return json;
    }
}
