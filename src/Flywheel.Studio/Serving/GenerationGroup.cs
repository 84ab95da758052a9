using System.Runtime.ExceptionServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>
/// The choices of one request while they run, on one model. Each is recorded the moment the engine is done with it,
/// whether or not anybody still listens, and its end is told only when the record is on disk. Drafts that are to be ranked are
/// recorded, all of them with score and place, when the last has ended; then the best are told.
/// </summary>
internal sealed class GenerationGroup : IAsyncDisposable
{
    private readonly CancellationTokenSource _cancellation;
    private readonly Channel<ChoiceEvent> _events =
        Channel.CreateUnbounded<ChoiceEvent>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _pump;
    private readonly IReadOnlyList<Choice> _sampled;

    private readonly ServedModel? _model;
    private readonly GenerationOrder _order;

    private GenerationGroup(ServedModel? model, UpstreamCall? upstream, GenerationOrder order,
        IReadOnlyList<(Choice Choice, IAnswerStream Stream)> running,
        ServingContext serving, CancellationTokenSource cancellation)
    {
        (_model, Upstream, Started) = (model, upstream?.Upstream, upstream?.Started ?? Task.CompletedTask);
        Id = order.Group ?? Guid.CreateVersion7();
        _order = order;
        Arrived = serving.Time.GetUtcNow();
        Prompts = order.Prompts;
        (AdapterHash, ReadsToolCalls) = (running[0].Stream.AdapterHash, order.ReadsToolCalls);
        if (order.Adapter is { } named && !OwnModel.IsName(named)) Adapter = named;
        Choices = _sampled = [.. running.Select(one => one.Choice)];
        _cancellation = cancellation;
        _pump = PumpAllAsync(order, running, serving, serving.Time.GetTimestamp());
    }

    /// <summary>UUID v7 of the request; its choices share it.</summary>
    public Guid Id { get; }

    /// <summary>Place of a choice, by its index, among all that are shown for the request.</summary>
    public int PlaceOf(int index) => _order.PlaceOf(index);

    public DateTimeOffset Arrived { get; }

    /// <summary>The model of ours that answers.</summary>
    public ServedModel Model =>
        _model ?? throw new InvalidOperationException($"the upstream '{Upstream!.Name}' answers, and no model of ours");

    /// <summary>Somebody else's model that answers; null when one of ours does.</summary>
    public Upstream? Upstream { get; }

    /// <summary>Ends when it is known that there will be an answer; throws what an upstream refused with.</summary>
    public Task Started { get; }

    /// <summary>What the answer calls its model.</summary>
    public string ModelName => Upstream?.Name ?? Adapter ?? Model.Name;

    /// <summary>Hash of the weights; null of somebody else's.</summary>
    public string? ModelHash => _model?.Hash;

    public IReadOnlyList<int[]> Prompts { get; }

    /// <summary>The adapter that was asked for by its name; null where a workspace's own answers by itself.</summary>
    public string? Adapter { get; }

    /// <summary>Content hash of the adapter that answers.</summary>
    public string? AdapterHash { get; }

    public bool ReadsToolCalls { get; }

    /// <summary>The answers; of drafts that are ranked, the best, once all have ended.</summary>
    public IReadOnlyList<Choice> Choices { get; private set; }

    /// <summary>Tokens that went in, once a prompt.</summary>
    public int NumPromptTokens =>
        Upstream is null ? Prompts.Sum(tokens => tokens.Length) : _sampled.Sum(choice => choice.Usage?.PromptTokens ?? 0);

    /// <summary>False where an upstream did not say what it read and wrote.</summary>
    public bool KnowsUsage => Upstream is null || _sampled.All(choice => choice.Usage is not null);

    /// <summary>
    /// Those of them that were found in the cache. Of the answers to one prompt, one reads it and the others find it: what that one
    /// found was there before the request.
    /// </summary>
    public int NumCachedPromptTokens =>
        Upstream is not null
            ? _sampled.Sum(choice => choice.NumCachedPromptTokens) : _sampled.Chunk(_sampled.Count / Prompts.Count)
                .Sum(answers => answers.Min(choice => choice.NumCachedPromptTokens));

    /// <summary>Every token that was sampled, end tokens and drafts that are not shown included.</summary>
    public int NumTokens => _sampled.Sum(choice => choice.Usage?.Tokens ?? choice.Tokens.Count);

    /// <summary>Tokens and ends of all choices as they come. Read once. Throws when an answer could not be recorded.</summary>
    public IAsyncEnumerable<ChoiceEvent> Events => _events.Reader.ReadAllAsync();

    /// <summary>Hands every choice to the engine. The model must be acquired; from here on it is the group's to release.</summary>
    /// <exception cref="QueueFullException">Too many wait; nothing was started.</exception>
    public static GenerationGroup Start(ServedModel model, GenerationOrder order, ServingContext serving, CancellationToken cancellation)
    {
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellation, serving.Ending.Cut);
        var running = new List<(Choice, IAnswerStream)>();
        try
        {
            var symbols = order.Conversation?.AnswerModality is { } modality
                ? ReservedTokens.SymbolsById(model.Folder.Tokenizer, modality) : null;
            int perPrompt = Math.Max(order.NumChoices, order.Candidates);
            for (int index = 0; index < order.Prompts.Count * perPrompt; index++)
            {
                int[] prompt = order.Prompts[index / perPrompt];
                int room = model.Folder.Config.MaxPositions - prompt.Length;
                var choice = new Choice(index, new GenerationRequest
                {
                    PromptTokens = prompt,
                    MaxTokens = Math.Min(order.MaxTokens ?? room, room),
                    Sampler = (order.Varied ? DraftSampling.Of(order.Sampler, index, order.Candidates) : order.Sampler)
                        with { Seed = SeedOf(order.Sampler.Seed, index) },
                    Stop = order.Stop,
                    TopLogprobs = order.TopLogprobs,
                    Adapter = order.Adapter,
                    User = order.User,
                    Priority = order.Priority,
                }, symbols);
                running.Add((choice, new EngineAnswer(model.Engine.Submit(choice.Request, cancel.Token))));
            }
        }
        catch
        {
            // Those that were let in produced nothing that anybody saw.
            cancel.Cancel();
            cancel.Dispose();
            model.Release();
            throw;
        }
        return new GenerationGroup(model, null, order, running, serving, cancel);
    }

    /// <summary>Asks somebody else's model.</summary>
    /// <param name="client">Reaches it.</param>
    /// <param name="upstream">Which.</param>
    /// <param name="ask">What it is asked, in OpenAI's words.</param>
    /// <param name="order">The same for the record; it has no prompt tokens.</param>
    /// <param name="serving">The server's.</param>
    /// <param name="cancellation">Ends it.</param>
    public static GenerationGroup Start(UpstreamClient client, Upstream upstream, JsonObject ask, GenerationOrder order,
        ServingContext serving, CancellationToken cancellation)
    {
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellation, serving.Ending.Cut);
        try
        {
            UpstreamCall call = client.Call(upstream, ask, order.NumChoices, cancel.Token);
            (Choice, IAnswerStream)[] running = [.. call.Answers.Select((answer, index) =>
                (new Choice(index, new GenerationRequest { PromptTokens = [], MaxTokens = order.MaxTokens ?? 0, Sampler = order.Sampler,
                    Stop = order.Stop }), (IAnswerStream)answer))];
            return new GenerationGroup(null, call, order, running, serving, cancel);
        }
        catch
        {
            cancel.Dispose();
            throw;
        }
    }

    /// <summary>Nobody waits for the answer any more: what runs ends now and is recorded as cancelled.</summary>
    public void Cancel()
    {
        try
        {
            _cancellation.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended in this moment. Thrown into whoever stops several things at once, it failed the job that had asked.
        }
    }

    /// <summary>Cancels what still runs and returns when it is recorded.</summary>
    public async ValueTask DisposeAsync()
    {
        await _cancellation.CancelAsync();
        try
        {
            await _pump;
        }
        finally
        {
            _cancellation.Dispose();
        }
    }

    // The first choice has the request's own seed, so that n = 1 and n = 3 begin alike; the step is the golden ratio's.
    private static ulong SeedOf(ulong seed, int index) => unchecked(seed + (ulong)index * 0x9E37_79B9_7F4A_7C15);

    private async Task PumpAllAsync(GenerationOrder order, IReadOnlyList<(Choice Choice, IAnswerStream Stream)> running,
        ServingContext serving, long start)
    {
        string operation = order.Conversation is null ? "text_completion" : "chat", model = ModelName;
        Exception? failure = null;
        serving.Ending.Enter();
        try
        {
            if (order.Candidates == 0) await Task.WhenAll(running.Select(one => PumpAsync(one.Choice, one.Stream)));
            else await RankAsync();
        }
        catch (Exception e)
        {
            failure = e; // the reader of the events gets it
        }
        finally
        {
            bool cancelled = Choices.Any(choice => choice.FinishReason == FinishReason.Cancelled);
            // Counted before anybody is told of the end, so that who was told finds it counted.
            serving.Metrics.Request(operation, model, order.App, SinceStart(), failure?.GetType().Name ?? (cancelled ? "cancelled" : null));
            serving.Metrics.Tokens(operation, model, NumPromptTokens, NumCachedPromptTokens, NumTokens);
            failure = await CountAsync() ?? failure;
            _events.Writer.Complete(failure);
            _model?.Release();
            serving.Ending.Leave();
        }

        async Task<Exception?> CountAsync()
        {
            if (Actor.LimitedKey is not { } key) return null;
            try
            {
                await serving.Keys.CountTokensAsync(key, NumPromptTokens + NumTokens);
                return null;
            }
            catch (Exception e)
            {
                return e; // as when it cannot be recorded
            }
        }

        TimeSpan SinceStart() => serving.Time.GetElapsedTime(start);

        async Task PumpAsync(Choice choice, IAnswerStream stream) =>
            await RecordAsync(choice, stream, await SampleAsync(choice, stream, tell: true), SinceStart(), tell: true);

        async Task RankAsync()
        {
            (ExceptionDispatchInfo? Fault, TimeSpan Latency)[] ends =
                await Task.WhenAll(running.Select(async one => (await SampleAsync(one.Choice, one.Stream, tell: false), SinceStart())));
            Brief? brief = order.Conversation is null ? null : Brief.Find(order.Conversation);
            IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(brief, [.. running.Select(one => Draft(one.Choice, one.Stream))],
                DraftWords.TaughtOf(order.Conversation, Model.Folder));
            foreach ((int place, RankedDraft rank) in ranked.Index()) running[rank.Index].Choice.Place(rank, place, ranked.Count);
            Choices = [.. ranked.Take(order.NumChoices).Select(rank => running[rank.Index].Choice)];
            await Task.WhenAll(
                ranked.Select(rank =>
                    RecordAsync(running[rank.Index].Choice, running[rank.Index].Stream, ends[rank.Index].Fault, ends[rank.Index].Latency,
                        tell: Choices.Contains(running[rank.Index].Choice))));
        }

        static Draft Draft(Choice choice, IAnswerStream stream) =>
            Loop.Ranking.Draft.Of(choice.Tokens, stream.FinishReason == FinishReason.Stop);

        async Task<ExceptionDispatchInfo?> SampleAsync(Choice choice, IAnswerStream stream, bool tell)
        {
            try
            {
                await foreach (SampledToken token in stream.Tokens)
                {
                    if (choice.Tokens.Count == 0 && choice.Index == 0) serving.Metrics.FirstToken(operation, model, SinceStart());
                    choice.Add(token, SinceStart());
                    if (tell) _events.Writer.TryWrite(new ChoiceEvent(choice, token));
                }
                return null;
            }
            catch (Exception e)
            {
                return ExceptionDispatchInfo.Capture(e); // somebody may have seen what came before it: that is recorded all the same
            }
        }

        async Task RecordAsync(Choice choice, IAnswerStream stream, ExceptionDispatchInfo? fault, TimeSpan latency, bool tell)
        {
            FinishReason reason = fault is null ? stream.FinishReason : FinishReason.Failed;
            choice.Usage = stream.Usage;
            Generation record = choice.ToRecord(Id, Arrived, ModelHash ?? "", stream.AdapterHash, order, reason, latency,
                fault?.SourceException, Upstream);
            serving.Metrics.TokensAfterFirst(operation, model, TimeSpan.FromMilliseconds(record.LatencyMs - record.FirstTokenMs),
                record.NumTokens - 1);
            long ended = serving.Time.GetTimestamp();
            await serving.Store.RecordAsync(record);
            serving.Metrics.Recorded(serving.Time.GetElapsedTime(ended));
            choice.End(reason, stream.NumCachedPromptTokens);
            fault?.Throw();
            if (tell) _events.Writer.TryWrite(new ChoiceEvent(choice, null));
        }
    }
}
