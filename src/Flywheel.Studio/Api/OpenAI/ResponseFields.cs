using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary>The fields of <c>POST /v1/responses</c> beside its input: read, put into the chat API's words, and told again in the
/// answer.</summary>
internal sealed partial class ResponseFields
{
    // The same in both APIs.
    private static readonly string[] Shared =
    [
        "model", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias",
        "seed", "stop",
        "parallel_tool_calls", "user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "chat_template_kwargs",
    ];

    private readonly RequestBody _body;
    private readonly string? _effort;
    private readonly JsonArray? _tools;
    private readonly JsonNode? _toolChoice;
    private readonly JsonObject? _format;

    private ResponseFields(RequestBody body)
    {
        _body = body;
        foreach (string name in new[] { "prompt", "conversation", "max_tool_calls", "context_management" }) GenerationFields.Refuse(body,
            name, "leave it out");
        GenerationFields.Refuse(body, "background", "expected false, or leave it out", value =>
            value is JsonValue flag && flag.TryGetValue(out bool on) && !on);
        GenerationFields.RefuseUnknownBut(body,
            [.. Shared, "input", "instructions", "previous_response_id", "stream", "stream_options", "max_output_tokens", "tools",
            "tool_choice", "text", "truncation",
            "include", "top_logprobs", "reasoning", "prompt", "conversation", "max_tool_calls", "context_management", "background"]);
        Instructions = body.Text("instructions");
        Stream = body.Flag("stream") ?? false;
        Store = body.Flag("store") ?? true;
        User = body.Text("user", maxLength: 200) ?? "";
        Metadata = body.Labels("metadata");
        MaxOutputTokens = body.Count("max_output_tokens", 1, int.MaxValue);
        if (body.Text("previous_response_id") is { } previous)
            Previous = ResponsesEndpoint.TryParseId(previous, out Guid id) ? id
                : throw new ApiException(404, $"previous response with id '{previous}' not found", "previous_response_id",
                "previous_response_not_found");
        Truncates = body.Text("truncation") switch
        {
            null or "disabled" => false,
            "auto" => true,
            _ => throw RequestBody.Wrong("truncation", body["truncation"], "auto or disabled"),
        };
        IReadOnlyList<string> include = body.Texts("include", maxCount: 8);
        if (include.FirstOrDefault(name => name != "message.output_text.logprobs") is { } other)
            throw ApiException.BadField("include", $"field 'include' names '{other}', expected message.output_text.logprobs");
        TopLogprobs = body.Count("top_logprobs", 0, 20) ?? 0;
        WithLogprobs = include.Count > 0 || body["top_logprobs"] is not null;
        _effort = Effort(body);
        _tools = Tools(body);
        _toolChoice = ToolChoice(body);
        _format = Format(body);
    }

    public string? Instructions { get; }

    public Guid? Previous { get; }

    public bool Stream { get; }

    public bool Store { get; }

    /// <summary>Leaves the oldest turns out where the context does not hold all.</summary>
    public bool Truncates { get; }

    public bool WithLogprobs { get; }

    public int TopLogprobs { get; }

    public string User { get; }

    private IReadOnlyDictionary<string, string> Metadata { get; }

    private int? MaxOutputTokens { get; }

    public static ResponseFields Read(RequestBody body) => new(body);

    /// <summary>The request as the chat API would have it.</summary>
    public RequestBody ToChat(JsonArray messages)
    {
        var chat = new JsonObject { ["messages"] = messages };
        foreach (string name in Shared)
            if (_body[name] is { } value) chat[name] = value.DeepClone();
        if (MaxOutputTokens is { } most) chat["max_completion_tokens"] = most;
        if (_effort is not null) chat["reasoning_effort"] = _effort;
        if (_tools is { Count: > 0 }) chat["tools"] = new JsonArray([.. _tools.Select(tool => ChatTool(tool!.AsObject()))]);
        if (_toolChoice is not null) chat["tool_choice"] = _toolChoice is JsonObject function
            ? new JsonObject { ["type"] = "function", ["function"] = new JsonObject { ["name"] = function["name"]?.DeepClone() } }
            : _toolChoice.DeepClone();
        if (_format is not null) chat["response_format"] = ChatFormatOf(_format);
        return _body.As(chat);
    }

    /// <summary>Runs what reads <see cref="ToChat"/>; its errors come out in this API's names.</summary>
    public T Named<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (ApiException e)
        {
            throw new ApiException(e.Status, Renamed(e.Message), e.Param is null ? null : Renamed(e.Param), e.Code, e.Type);
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(Renamed(e.Message), e);
        }

        static string Renamed(string text) => ToolField().Replace(text, "$1.")
            .Replace("response_format.json_schema", "text.format", StringComparison.Ordinal)
                .Replace("response_format", "text.format", StringComparison.Ordinal)
            .Replace("max_completion_tokens", "max_output_tokens", StringComparison.Ordinal)
                .Replace("reasoning_effort", "reasoning.effort", StringComparison.Ordinal);
    }

    /// <summary>The response before its output: what was asked, with the defaults that were filled in.</summary>
    public JsonObject Envelope(GenerationGroup group, Choice choice) => new()
    {
        ["id"] = ResponsesEndpoint.IdOf(group.Id),
        ["object"] = "response",
        ["created_at"] = group.Arrived.ToUnixTimeSeconds(),
        ["status"] = "in_progress",
        ["background"] = false,
        ["error"] = null,
        ["incomplete_details"] = null,
        ["instructions"] = Instructions,
        ["max_output_tokens"] = MaxOutputTokens,
        ["model"] = group.Adapter ?? group.Model.Name,
        ["output"] = new JsonArray(),
        ["parallel_tool_calls"] = _body.Flag("parallel_tool_calls") ?? true,
        ["previous_response_id"] = Previous is { } previous ? ResponsesEndpoint.IdOf(previous) : null,
        ["reasoning"] = new JsonObject { ["effort"] = _effort, ["summary"] = null },
        ["service_tier"] = _body.Text("service_tier") ?? "default",
        ["store"] = Store,
        ["temperature"] = choice.Request.Sampler.Temperature,
        ["text"] = new JsonObject { ["format"] = _format?.DeepClone() ?? new JsonObject { ["type"] = "text" } },
        ["tool_choice"] = _toolChoice?.DeepClone() ?? "auto",
        ["tools"] = _tools?.DeepClone() ?? new JsonArray(),
        ["top_logprobs"] = TopLogprobs,
        ["top_p"] = choice.Request.Sampler.TopP,
        ["truncation"] = Truncates ? "auto" : "disabled",
        ["usage"] = null,
        ["user"] = User.Length > 0 ? User : null,
        ["metadata"] = new JsonObject(Metadata.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))),
        ["generation_id"] = choice.Id.ToString(),
        ["model_hash"] = group.Model.Hash,
    };

    /// <summary>How long to think, as the model's template reads it; the thoughts themselves are not summed up.</summary>
    private static string? Effort(RequestBody body)
    {
        if (body.Object("reasoning") is not { } reasoning) return null;
        string? other = reasoning.FirstOrDefault(field => field.Key != "effort" && field.Value is not null).Key;
        if (other is not null) throw ApiException.Unsupported($"reasoning.{other}", "expected effort alone");
        return reasoning["effort"] switch
        {
            null => null,
            JsonValue value when value.TryGetValue(out string? effort) => effort,
            var wrong => throw RequestBody.Wrong("reasoning.effort", wrong, "a text"),
        };
    }

    private static JsonArray? Tools(RequestBody body)
    {
        if (body["tools"] is not { } given) return null;
        if (given is not JsonArray tools) throw RequestBody.Wrong("tools", given, "an array of functions");
        return [.. tools.Select((node, i) =>
        {
            if (node is not JsonObject tool) throw RequestBody.Wrong($"tools[{i}]", node, "an object");
            if (Text(tool["type"]) != "function") throw RequestBody.Wrong($"tools[{i}].type", tool["type"],
                "function: this server runs no tools of its own");
            var read = (JsonObject)tool.DeepClone();
            read.TryAdd("strict", false);
            return read;
        })];
    }

    private static JsonObject ChatTool(JsonObject tool)
    {
        var function = (JsonObject)tool.DeepClone();
        function.Remove("type");
        return new() { ["type"] = "function", ["function"] = function };
    }

    private static JsonNode? ToolChoice(RequestBody body) => body["tool_choice"] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? _) => value,
        JsonObject function when Text(function["type"]) == "function" => function,
        var other => throw RequestBody.Wrong("tool_choice", other, "none, auto, required, or {\"type\": \"function\", \"name\": ...}"),
    };

    private static JsonObject? Format(RequestBody body)
    {
        if (body.Object("text") is not { } text) return null;
        if (text["verbosity"] is { } verbosity && Text(verbosity) != "medium")
            throw ApiException.Unsupported("text.verbosity", "expected medium, or leave it out");
        if (text.FirstOrDefault(field => field.Key is not ("format" or "verbosity")).Key is { } name)
            throw ApiException.BadField($"text.{name}", $"field 'text.{name}' is not known here; known are format, verbosity",
                "unknown_parameter");
        return text["format"] switch
        {
            null => null,
            JsonObject format => format,
            var other => throw RequestBody.Wrong("text.format", other, "an object with a type"),
        };
    }

    private static JsonObject ChatFormatOf(JsonObject format)
    {
        if (Text(format["type"]) != "json_schema") return (JsonObject)format.DeepClone();
        var schema = (JsonObject)format.DeepClone();
        schema.Remove("type");
        return new() { ["type"] = "json_schema", ["json_schema"] = schema };
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    [GeneratedRegex(@"(tools\[\d+\])\.function\.?")]
    private static partial Regex ToolField();
}
