using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.OpenAI;

/// <summary>A token that is shown, and where its text begins in the answer, in code points.</summary>
internal readonly record struct ShownToken(SampledToken Token, int Offset);

/// <summary>How one of the two completion APIs writes answers: the envelope is here, the choices are the format's.</summary>
internal abstract class AnswerFormat(GenerationGroup group, bool withLogprobs)
{
    private readonly Dictionary<Choice, LogprobBuffer> _buffers = [];

    protected ServedModel Model => group.Model;

    protected abstract string IdPrefix { get; }

    protected abstract string ObjectName(bool chunk);

    /// <summary>The first event of a choice, where the format has one.</summary>
    public virtual JsonObject? Opening(Choice choice) => null;

    protected bool ReadsToolCalls => group.ReadsToolCalls;

    protected abstract JsonObject Delta(string text);

    protected abstract JsonObject Whole(Choice choice);

    /// <summary>What a piece of text adds to the answer; a format may hold it back.</summary>
    protected virtual IReadOnlyList<JsonObject> Deltas(Choice choice, string text) => text.Length == 0 ? [] : [Delta(text)];

    /// <summary>What was held back, at the end.</summary>
    protected virtual IReadOnlyList<JsonObject> LastDeltas(Choice choice) => [];

    protected virtual string? Finish(Choice choice) => choice.FinishReason?.ToString().ToLowerInvariant();

    protected abstract JsonNode Logprobs(IReadOnlyList<ShownToken> tokens);

    /// <summary>The events of a token: none when nothing of it can be shown yet (half a character, perhaps a stop text).</summary>
    public IEnumerable<JsonObject> Events(Choice choice, SampledToken token)
    {
        IReadOnlyList<JsonObject> deltas = Deltas(choice, token.Text);
        JsonNode? logprobs = null;
        if (withLogprobs)
        {
            if (!_buffers.TryGetValue(choice, out LogprobBuffer? buffer)) _buffers[choice] = buffer = new LogprobBuffer(Model);
            IReadOnlyList<ShownToken> shown = buffer.Take(token);
            if (shown.Count == 0 && deltas.Count == 0) return [];
            if (deltas.Count == 0) deltas = [Delta("")];
            logprobs = Logprobs(shown);
        }
        return deltas.Select((delta, i) =>
        {
            delta["logprobs"] = i == 0 ? logprobs : null;
            return ChoiceJson(choice, delta, null);
        });
    }

    /// <summary>The last events of a choice, which has ended and is recorded.</summary>
    public IEnumerable<JsonObject> EndEvents(Choice choice)
    {
        JsonObject[] deltas = [.. LastDeltas(choice), Delta("")];
        return deltas.Select((delta, i) =>
        {
            delta["logprobs"] = null;
            return ChoiceJson(choice, delta, i == deltas.Length - 1 ? Finish(choice) : null);
        });
    }

    /// <summary>A whole choice, which has ended and is recorded.</summary>
    public JsonObject WholeChoice(Choice choice)
    {
        JsonObject whole = Whole(choice);
        whole["logprobs"] = withLogprobs ? Logprobs([.. choice.Tokens.SelectMany(new LogprobBuffer(Model).Take)]) : null;
        return ChoiceJson(choice, whole, Finish(choice));
    }

    protected static JsonObject ChoiceJson(Choice choice, JsonObject content, string? finish)
    {
        content["index"] = choice.Index;
        content["finish_reason"] = finish;
        content["generation_id"] = choice.Id.ToString();
        if (choice.Rank is { } rank) content["candidate_score"] = rank.Score;
        return content;
    }

    public JsonObject Envelope(bool chunk, params JsonObject[] choices)
    {
        var envelope = new JsonObject
        {
            ["id"] = $"{IdPrefix}-{group.Choices[0].Id}",
            ["object"] = ObjectName(chunk),
            ["created"] = group.Arrived.ToUnixTimeSeconds(),
            ["model"] = group.ModelName,
            ["model_hash"] = group.ModelHash,
            ["system_fingerprint"] = group.ModelHash is { } hash ? $"fw_{hash[..12]}" : null,
        };
        if (group.Upstream is { } upstream) envelope["upstream"] = upstream.Name;
        if (group.AdapterHash is { } adapter) envelope["adapter_hash"] = adapter;
        envelope["choices"] = new JsonArray([.. choices]);
        return envelope;
    }

    /// <summary>Null where an upstream did not say.</summary>
    public JsonObject? Usage() => !group.KnowsUsage ? null : new()
    {
        ["prompt_tokens"] = group.NumPromptTokens,
        ["completion_tokens"] = group.NumTokens,
        ["total_tokens"] = group.NumPromptTokens + group.NumTokens,
        ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = group.NumCachedPromptTokens },
    };

    /// <summary>JSON has no minus infinity; OpenAI writes -9999.</summary>
    protected static JsonNode Number(float logprob) => JsonValue.Create(float.IsNegativeInfinity(logprob) ? -9999f : logprob);

    /// <summary>
    /// Holds back the tokens whose text is held back, so that tokens and text always tell the same: the end token and
    /// what spells a stop text never show.
    /// </summary>
    private sealed class LogprobBuffer(ServedModel model)
    {
        private readonly List<ShownToken> _held = [];
        private int _offset;

        public IReadOnlyList<ShownToken> Take(SampledToken token)
        {
            if (!model.IsEnd(token.Id))
            {
                _held.Add(new ShownToken(token, _offset));
                foreach (byte value in model.TokenBytes(token.Id))
                    if ((value & 0xC0) != 0x80) _offset++; // a code point's other bytes continue it
            }
            if (token.Text.Length == 0) return [];
            ShownToken[] shown = [.. _held];
            _held.Clear();
            return shown;
        }
    }
}
