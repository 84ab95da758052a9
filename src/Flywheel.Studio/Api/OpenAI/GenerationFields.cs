using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary>What chat and plain completions have in common, from JSON to an order; and the fields that either refuses.</summary>
internal static class GenerationFields
{
    /// <summary>Any current model answers to this name, so that a client need not know of releases.</summary>
    public const string AnyModel = "flywheel";

    /// <summary>Answers of one request.</summary>
    public const int MaxChoices = 128;

    private const int MaxStopLength = 1000, MaxBiases = 1024;

    private static readonly string[] Known =
    [
        "model", "n", "seed", "stop", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k", "min_p",
        "repetition_penalty",
        "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "user", "store", "metadata",
        "response_format", "grammar", "service_tier",
        // Say how to serve, not what to answer: accepted, nothing to do.
        "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    ];

    /// <summary>A name that we do not know could be a meaning that we miss, so it is refused, as OpenAI does.</summary>
    public static void RefuseUnknown(RequestBody body, params string[] alsoKnown) => RefuseUnknownBut(body, [.. alsoKnown, .. Known]);

    public static void RefuseUnknownBut(RequestBody body, params string[] known)
    {
        foreach (string name in body.Names)
            if (!known.Contains(name))
                throw ApiException.BadField(name, $"field '{name}' is not known here; known are {string.Join(", ", known)}",
                    "unknown_parameter");
    }

    /// <summary>Refuses texts that do not leave so many tokens of the context.</summary>
    public static void CheckContext(ServedModel model, IReadOnlyList<int[]> texts, string field, int left)
    {
        int context = model.Folder.Config.MaxPositions;
        if (texts.Max(text => text.Length) is var longest && longest > context - left)
            throw new ApiException(400,
                $"the {field} has {longest} tokens; this model's context holds {context}{(left > 0 ? $", prompt and answer together, so at most {context - left} of prompt" : "")}", field, "context_length_exceeded");
    }

    /// <summary>The adapter that the request's <c>model</c> names; null when it names the model itself.</summary>
    public static string? Adapter(RequestBody body, ServedModel model)
    {
        string name = body.RequiredText("model");
        if (model.Adapters.ContainsKey(name)) return name;
        return IsNamed(model, name) ? null : throw ApiException.ModelNotFound(name, [.. NamesOf(model), .. model.Adapters.Keys]);
    }

    /// <summary>How urgent: OpenAI's tiers, of which "flex" is cheaper and waits.</summary>
    private static Priority PriorityOf(RequestBody body) => body.Text("service_tier") switch
    {
        null or "auto" or "default" => Priority.Normal,
        "priority" => Priority.Interactive,
        "flex" => Priority.Batch,
        var other => throw RequestBody.Wrong("service_tier", other, "auto, default, priority or flex"),
    };

    public static bool IsNamed(ServedModel model, string name) =>
        NamesOf(model).Contains(name) || name == model.Hash || name == model.Folder.ShortHash;

    public static IReadOnlyList<string> NamesOf(ServedModel model) => model.Name == AnyModel ? [AnyModel] : [AnyModel, model.Name];

    public static GenerationOrder Order(RequestBody body, ServedModel model, string promptField, IReadOnlyList<int[]> prompts,
        int topLogprobs, ulong drawnSeed)
    {
        CheckContext(model, prompts, promptField, left: 1);
        int choices = body.Count("n", 1, MaxChoices) ?? 1;
        if (prompts.Count * choices > MaxChoices)
            throw ApiException.BadField("n",
                $"field 'n' is {choices} with {prompts.Count} prompts, expected at most {MaxChoices} answers in all");
        string[] stop = [.. body.Texts("stop", maxCount: 16)];
        if (stop.Contains(""))
            throw ApiException.BadField("stop", "field 'stop' holds an empty text, expected texts of at least one character");
        if (stop.FirstOrDefault(text => text.Length > MaxStopLength) is { } endless) throw ApiException.BadField("stop",
            $"field 'stop' holds a text of {endless.Length} characters, expected at most {MaxStopLength}");
        SamplerOptions defaults = model.Defaults;
        return new GenerationOrder
        {
            Prompts = prompts,
            NumChoices = choices,
            MaxTokens = body.Count("max_completion_tokens", 1, int.MaxValue) ?? body.Count("max_tokens", 1, int.MaxValue),
            Stop = stop,
            TopLogprobs = topLogprobs,
            User = body.Text("user", maxLength: 200) ?? "",
            Owner = body.Owner,
            App = "api",
            Store = body.Flag("store") ?? true,
            Adapter = Adapter(body, model),
            Priority = PriorityOf(body),
            Sampler = defaults with
            {
                Temperature = (float?)body.Number("temperature", 0, 2) ?? defaults.Temperature,
                TopP = (float?)body.Number("top_p", 0, 1) ?? defaults.TopP,
                TopK = body.Count("top_k", 0, int.MaxValue) ?? defaults.TopK,
                MinP = (float?)body.Number("min_p", 0, 1) ?? defaults.MinP,
                RepetitionPenalty = (float?)body.Number("repetition_penalty", 0.01, 10) ?? defaults.RepetitionPenalty,
                PresencePenalty = (float?)body.Number("presence_penalty", -2, 2) ?? 0,
                FrequencyPenalty = (float?)body.Number("frequency_penalty", -2, 2) ?? 0,
                LogitBias = Bias(body, model.Folder.Config.VocabSize),
                Seed = body.Integer("seed", long.MinValue, long.MaxValue) is { } seed ? unchecked((ulong)seed) : drawnSeed,
            },
        };
    }

    /// <summary>Whether to stream, and whether the last event tells the usage.</summary>
    public static (bool Stream, bool WithUsage) Streaming(RequestBody body)
    {
        bool stream = body.Flag("stream") ?? false;
        if (body.Object("stream_options") is not { } options) return (stream, false);
        if (!stream) throw ApiException.BadField("stream_options", "field 'stream_options' is only allowed when 'stream' is true");
        return (stream, options["include_usage"] switch
        {
            null => false,
            JsonValue value when value.TryGetValue(out bool with) => with,
            var other => throw RequestBody.Wrong("stream_options.include_usage", other, "true or false"),
        });
    }

    /// <summary>Refuses a field unless it says what happens anyway.</summary>
    public static void Refuse(RequestBody body, string name, string expected, Func<JsonNode, bool>? harmless = null)
    {
        if (body[name] is { } value && harmless?.Invoke(value) != true) throw ApiException.Unsupported(name, expected);
    }

    private static Dictionary<int, float>? Bias(RequestBody body, int vocabSize)
    {
        if (body.Object("logit_bias") is not { Count: > 0 } given) return null;
        if (given.Count > MaxBiases) throw ApiException.BadField("logit_bias",
            $"field 'logit_bias' has {given.Count} entries, expected at most {MaxBiases}");
        var bias = new Dictionary<int, float>();
        foreach ((string key, JsonNode? value) in given)
        {
            if (!int.TryParse(key, out int id) || id < 0 || id >= vocabSize)
                throw ApiException.BadField("logit_bias",
                    $"field 'logit_bias' names token '{key}', expected an id from 0 to {vocabSize - 1}");
            if (value is not JsonValue number || !number.TryGetValue(out double amount) || !(amount is >= -100 and <= 100))
                throw RequestBody.Wrong($"logit_bias.{key}", value, "a number from -100 to 100");
            bias[id] = (float)amount;
        }
        return bias;
    }
}
