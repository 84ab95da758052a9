using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary>A chat that somebody else's model may answer: what goes out, and what cannot.</summary>
internal static class UpstreamFields
{
    /// <summary>What changes the answer and is the same everywhere. Who asks and labels stay here: a person's name is nobody else's
    /// business.</summary>
    private static readonly string[] s_passed =
    [
        "messages", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty",
        "frequency_penalty", "response_format", "reasoning_effort",
    ];

    /// <summary>What only a model of ours can do, or means tokens of one vocabulary.</summary>
    private static readonly string[] s_ours =
    [
        "logit_bias", "top_logprobs", "top_k", "min_p", "repetition_penalty", "grammar", "candidates", "chat_template_kwargs", "tools",
        "tool_choice", "parallel_tool_calls",
    ];

    /// <summary>Who is split by a rollout: the user, else whom the request says to hang together; null when it names its model.</summary>
    public static string? UnitOf(RequestBody body) => (body.Text("model") ?? GenerationFields.AnyModel) != GenerationFields.AnyModel ? null
        : body.Text("user", 200) is { Length: > 0 } user ? user
        : (body.Text("safety_identifier") ?? body.Text("prompt_cache_key")) is { Length: > 0 } key ? $"key\n{key}" : "";

    /// <summary>Whether an upstream can be asked this.</summary>
    public static bool Fits(RequestBody body) => body.Flag("logprobs") != true && s_ours.All(name => body[name] is null);

    /// <exception cref="ApiException">A field has no meaning there, or a wrong value.</exception>
    public static (JsonObject Ask, GenerationOrder Order) Read(RequestBody body, Upstream? named)
    {
        if (named is not null
            && s_ours.Append("logprobs")
                .FirstOrDefault(name => name == "logprobs" ? body.Flag(name) == true : body[name] is not null) is { } field)
            throw ApiException.Unsupported(field,
                $"'{named.Name}' is an upstream, which gives text alone: leave it out, or ask a model of this server");
        var messages = body["messages"] as JsonArray
            ?? throw (body["messages"] is { } wrong ? RequestBody.Wrong("messages", wrong, "an array of messages")
            : ApiException.BadField("messages", "field 'messages' is missing, expected an array of messages",
                "missing_required_parameter"));
        var ask = new JsonObject();
        foreach (string name in s_passed)
            if (body[name] is { } value) ask[name] = value.DeepClone();
        return (ask, new GenerationOrder
        {
            Conversation = Conversation.FromJson(messages),
            Prompts = [[]],
            NumChoices = body.Count("n", 1, GenerationFields.MaxChoices) ?? 1,
            MaxTokens = body.Count("max_completion_tokens", 1, int.MaxValue) ?? body.Count("max_tokens", 1, int.MaxValue),
            Stop = [.. body.Texts("stop", maxCount: 16)],
            User = body.Text("user", maxLength: 200) ?? "",
            Owner = body.Owner,
            App = "api",
            Store = body.Flag("store") ?? true,
            Sampler = new SamplerOptions
            {
                Temperature = (float?)body.Number("temperature", 0, 2) ?? 1,
                TopP = (float?)body.Number("top_p", 0, 1) ?? 1,
                Seed = body.Integer("seed", long.MinValue, long.MaxValue) is { } seed ? unchecked((ulong)seed) : 0,
            },
        });
    }
}
