using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>POST /v1/chat/completions</c> and <c>POST /v1/completions</c>.</summary>
internal static class Completions
{
    private const int MaxPrompts = 64;

    public static async Task ChatAsync(HttpContext http, Generator generator, FlywheelStore store, ILogger<Generator> log)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.Refuse(body, "functions", "expected no functions; use 'tools'", value => value is JsonArray { Count: 0 });
        GenerationFields.Refuse(body, "function_call", "expected 'none', or leave it out; use 'tool_choice'", Is("none"));
        GenerationFields.Refuse(body, "modalities", "expected [\"text\"], or leave it out",
            value => value is JsonArray { Count: 1 } kinds && kinds[0] is { } only && Is("text")(only));
        foreach (string name in new[] { "audio", "web_search_options", "verbosity", "prediction" })
            GenerationFields.Refuse(body, name, "leave it out");
        GenerationFields.RefuseUnknown(body, "messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice",
            "parallel_tool_calls", "functions", "function_call", "modalities", "chat_template_kwargs", "reasoning_effort", "candidates");
        if (body["candidates"] is not null && body.Flag("stream") == true)
            throw ApiException.BadField("candidates",
                "field 'candidates' is not allowed when 'stream' is true: drafts are ranked when all are written");

        bool withLogprobs = body.Flag("logprobs") ?? false;
        int? topLogprobs = body.Count("top_logprobs", 0, 20);
        if (topLogprobs is not null && !withLogprobs)
            throw ApiException.BadField("top_logprobs", "field 'top_logprobs' is only allowed when 'logprobs' is true");

        Upstream? upstream = generator.Rollouts.Upstreams.Find(body.RequiredText("model"));
        bool passedOn = http.Request.Headers.ContainsKey(UpstreamClient.PassedOn);
        if (passedOn && upstream is not null)
            throw new ApiException(508,
                $"the upstream '{upstream.Name}' leads back here, or to another server's upstream: a request is passed on once", "model",
                "upstream_loop");
        await AnswerAsync(http, log, body, withLogprobs, (group, with) => new ChatFormat(group, with), () => generator.StartChat(
            model => Named(body, model, () => ChatOrder(body, model, generator, topLogprobs ?? 0, "messages")),
            () => UpstreamFields.Read(body, upstream), !passedOn && UpstreamFields.Fits(body), upstream, UpstreamFields.UnitOf(body),
            http.RequestAborted),
            body.Flag("store") == true ? (group, answer) => StoredChats.KeepAsync(store, body, group, answer) : null);
    }

    /// <summary>What a chat asks for.</summary>
    /// <param name="body">The fields of the chat API.</param>
    /// <param name="model">Who answers.</param>
    /// <param name="generator">Draws the seed.</param>
    /// <param name="topLogprobs">Alternatives a token.</param>
    /// <param name="promptField">Where the client wrote the messages, for errors.</param>
    public static GenerationOrder ChatOrder(RequestBody body, ServedModel model, Generator generator, int topLogprobs, string promptField)
    {
        ToolFields tools = ToolFields.Read(body, model.Template.ToolCalls);
        Conversation conversation =
            Conversation.FromJson(body["messages"] is JsonArray messages
                ? PictureReader.Messages(messages, model.Folder) : throw (body["messages"] is { } wrong
            ? RequestBody.Wrong("messages", wrong, "an array of messages")
            : ApiException.BadField("messages", "field 'messages' is missing, expected an array of messages",
                "missing_required_parameter")), templateArguments: TemplateArguments(body)) with { Tools = tools.Offered };
        int[] prompt = model.Template.Prompt(conversation, TimeProvider.System.GetLocalNow());
        GenerationOrder order = GenerationFields.Order(body, model, promptField, [prompt], topLogprobs, generator.DrawSeed());
        // Ours: so many drafts are sampled and ranked, and the n best are the answers.
        int candidates = body.Count("candidates", order.NumChoices, GenerationFields.MaxChoices) ?? 0;
        string? grammar =
            tools.Grammar ?? (candidates > 0 && tools.Offered.Count == 0 ? DraftWords.GrammarOf(conversation, model.FolderHere) : null);
        return order with
        {
            Conversation = conversation,
            Candidates = candidates,
            Varied = body["temperature"] is null,
            ReadsToolCalls = tools.Offered.Count > 0,
            Sampler = order.Sampler with { Grammar = grammar },
        };
    }

    public static async Task TextAsync(HttpContext http, Generator generator, ILogger<Generator> log)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.Refuse(body, "suffix", "leave it out", Is(""));
        GenerationFields.Refuse(body, "echo", "expected false, or leave it out",
            value => value is JsonValue flag && flag.TryGetValue(out bool on) && !on);
        GenerationFields.Refuse(body, "best_of", "expected the same number as 'n', or leave it out",
            value => JsonNode.DeepEquals(value, body["n"] ?? 1));
        GenerationFields.RefuseUnknown(body, "prompt", "suffix", "echo", "best_of");
        int? topLogprobs = body.Count("logprobs", 0, 5);
        string? grammar = ToolFields.Read(body, ToolCallForm.Hermes).Grammar; // tools are refused above, as unknown

        await AnswerAsync(http, log, body, topLogprobs is not null, (group, with) => new TextFormat(group, with),
            () => generator.Start(model => Named(body, model, () =>
            {
                GenerationOrder order = GenerationFields.Order(body, model, "prompt",
                    TextInput.Read(body, "prompt", model.Folder, MaxPrompts), topLogprobs ?? 0, generator.DrawSeed());
                return order with { Sampler = order.Sampler with { Grammar = grammar } };
            }), http.RequestAborted, UpstreamFields.UnitOf(body)));
    }

    /// <summary>What the chat template is given by name: vLLM's <c>chat_template_kwargs</c>, and OpenAI's <c>reasoning_effort</c> as one of
    /// them.</summary>
    private static JsonObject? TemplateArguments(RequestBody body)
    {
        const string Effort = "reasoning_effort";
        JsonObject? arguments = body.Object("chat_template_kwargs");
        if (body.Text(Effort) is not { } effort) return arguments;
        if (effort is not ("none" or "minimal" or "low" or "medium" or "high" or "xhigh"))
            throw RequestBody.Wrong(Effort, effort, "none, minimal, low, medium, high or xhigh");
        arguments = arguments?.DeepClone().AsObject() ?? [];
        arguments.TryAdd(Effort, effort);
        return arguments;
    }

    /// <summary>An unknown name is told before anything that depends on the model.</summary>
    private static GenerationOrder Named(RequestBody body, ServedModel model, Func<GenerationOrder> makeOrder)
    {
        GenerationFields.Adapter(body, model);
        return makeOrder();
    }

    private static async Task AnswerAsync(HttpContext http, ILogger log, RequestBody body, bool withLogprobs,
        Func<GenerationGroup, bool, AnswerFormat> makeFormat, Func<GenerationGroup> start,
        Func<GenerationGroup, JsonObject, Task>? keep = null)
    {
        (bool stream, bool withUsage) = GenerationFields.Streaming(body);
        body.Labels("metadata");
        Func<GenerationGroup, Task> ended = keep is null ? _ => Task.CompletedTask : group =>
            keep(group, Answers.Whole(group, makeFormat(group, withLogprobs)));
        await using GenerationGroup group = start();
        AnswerFormat format = makeFormat(group, withLogprobs);
        if (stream) await Answers.SendStreamAsync(http, group, format, withUsage, ended, log);
        else await Answers.SendWholeAsync(http, group, format, ended);
    }

    private static Func<JsonNode, bool> Is(string expected) =>
        value => value is JsonValue text && text.TryGetValue(out string? given) && given == expected;
}
