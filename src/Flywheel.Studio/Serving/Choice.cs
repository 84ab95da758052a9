using System.Text;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>One answer in the making: what was asked of the engine and what has come back so far.</summary>
internal sealed class Choice
{
    private readonly List<SampledToken> _tokens = [];
    private readonly StringBuilder _text = new();

    private readonly IReadOnlyDictionary<int, string>? _symbols;

    /// <param name="index">Among the answers.</param>
    /// <param name="request">To the engine.</param>
    /// <param name="symbols">What tokens that are no text are called, where the answer is made of them.</param>
    public Choice(int index, GenerationRequest request, IReadOnlyDictionary<int, string>? symbols = null) =>
        (Index, Request, _symbols) = (index, request, symbols);

    /// <summary>UUID v7, known before the first token.</summary>
    public Guid Id { get; } = Guid.CreateVersion7();

    /// <summary>Among the answers; of a draft that is ranked, its place.</summary>
    public int Index { get; private set; }

    /// <summary>Of a draft that was ranked.</summary>
    public RankedDraft? Rank { get; private set; }

    private int? _numCandidates;

    /// <summary>Of how many drafts it came at which place, from 0.</summary>
    public void Place(RankedDraft rank, int place, int numCandidates) => (Rank, Index, _numCandidates) = (rank, place, numCandidates);

    public GenerationRequest Request { get; }

    public IReadOnlyList<SampledToken> Tokens => _tokens;

    /// <summary>What has come so far; read by others while it grows.</summary>
    public string Text
    {
        get
        {
            lock (_text) return _text.ToString();
        }
    }

    /// <summary>Null while it runs; set only once the generation is recorded.</summary>
    public FinishReason? FinishReason { get; private set; }

    private double FirstTokenMs { get; set; }

    public void Add(SampledToken token, TimeSpan sinceArrival)
    {
        if (_tokens.Count == 0) FirstTokenMs = sinceArrival.TotalMilliseconds;
        _tokens.Add(token);
        lock (_text)
        {
            _text.Append(token.Text);
            if (_symbols?.GetValueOrDefault(token.Id) is { } symbol) _text.Append(_text.Length > 0 ? " " : "").Append(symbol);
        }
    }

    /// <summary>Tokens of the prompt that the engine had in its cache.</summary>
    public int NumCachedPromptTokens { get; private set; }

    /// <summary>What somebody else's model says that it read and wrote; null of ours, which is counted.</summary>
    public UpstreamUsage? Usage { get; set; }

    public void End(FinishReason reason, int numCachedPromptTokens) =>
        (FinishReason, NumCachedPromptTokens) = (reason, numCachedPromptTokens);

    public Generation ToRecord(Guid group, DateTimeOffset arrived, string modelHash, string? adapterHash, GenerationOrder order,
        FinishReason reason, TimeSpan latency, Exception? fault = null, Upstream? upstream = null) => new()
    {
        Upstream = upstream?.Name,
        // Of our own as if it had the machine alone, which is the most that it can have cost.
        Cost = upstream is null ? order.MachinePerHour * latency.TotalHours : Usage is { } usage
            ? upstream.CostOf(usage.PromptTokens, usage.Tokens) : null,
        Rollout = order.Rollout,
        Variant = order.Variant,
        Propensity = order.Propensity,
        Id = Id,
        Group = group,
        Choice = order.PlaceOf(Index),
        Time = arrived,
        App = order.App,
        User = order.User,
        Owner = order.Owner,
        ModelHash = modelHash,
        AdapterHash = adapterHash,
        CandidateScore = Rank?.Score,
        CandidateRank = Rank is null ? null : Index,
        NumCandidates = _numCandidates,
        FinishReason = reason,
        Fault = fault is null ? null : $"{fault.GetType().Name}: {fault.Message}",
        NumPromptTokens = Usage?.PromptTokens ?? Request.PromptTokens.Length,
        NumTokens = Usage?.Tokens ?? _tokens.Count,
        FirstTokenMs = FirstTokenMs,
        LatencyMs = latency.TotalMilliseconds,
        PromptExamples =
            [.. order.PromptExamples.Select((feedback, place) =>
                new PromptExample { GenerationId = Id, Place = place, FeedbackId = feedback })],
        Store = order.Store ? StoreLevel.Full : StoreLevel.Counts,
        Payload = !order.Store ? null : new GenerationPayload
        {
            GenerationId = Id,
            Conversation = order.Conversation,
            Text = Text,
            PromptTokens = Request.PromptTokens,
            // Somebody else's model gives text alone.
            Tokens = upstream is null ? [.. _tokens.Select(token => token.Id)] : [],
            Logprobs = upstream is null ? [.. _tokens.Select(token => token.Logprob)] : [],
            SamplerLogprobs = upstream is null ? [.. _tokens.Select(token => token.SamplerLogprob)] : [],
            Sampler = Request.Sampler,
            MaxTokens = Request.MaxTokens,
            Stop = Request.Stop,
        },
    };
}

/// <summary>Something that happened to a choice: a token, or (null) its end, when it is recorded and has its finish reason.</summary>
internal readonly record struct ChoiceEvent(Choice Choice, SampledToken? Token);
