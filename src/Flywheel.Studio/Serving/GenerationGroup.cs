using System.Threading.Channels;
using Flywheel.Engine;
using Flywheel.Loop;

namespace Flywheel.Studio.Serving;

/// <summary>
/// The choices of one request while they run, on one model. Each is recorded the moment the engine is done with it,
/// whether or not anybody still listens, and its end is told only when the record is on disk.
/// </summary>
internal sealed class GenerationGroup : IAsyncDisposable
{
    private readonly CancellationTokenSource _cancellation;
    private readonly Channel<ChoiceEvent> _events = Channel.CreateUnbounded<ChoiceEvent>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _pump;

    private GenerationGroup(ServedModel model, GenerationOrder order, IReadOnlyList<(Choice Choice, GenerationStream Stream)> running, FlywheelStore store, TimeProvider time, CancellationTokenSource cancellation)
    {
        Model = model;
        Arrived = time.GetUtcNow();
        Prompts = order.Prompts;
        (Adapter, AdapterHash, ReadsToolCalls) = (order.Adapter, running[0].Stream.AdapterHash, order.ReadsToolCalls);
        Choices = [.. running.Select(one => one.Choice)];
        _cancellation = cancellation;
        _pump = PumpAllAsync(order, running, store, time, time.GetTimestamp());
    }

    /// <summary>UUID v7 of the request; its choices share it.</summary>
    public Guid Id { get; } = Guid.CreateVersion7();

    public DateTimeOffset Arrived { get; }

    public ServedModel Model { get; }

    public IReadOnlyList<int[]> Prompts { get; }

    public string? Adapter { get; }

    /// <summary>Content hash of the adapter that answers.</summary>
    public string? AdapterHash { get; }

    public bool ReadsToolCalls { get; }

    public IReadOnlyList<Choice> Choices { get; }

    /// <summary>Tokens and ends of all choices as they come. Read once. Throws when an answer could not be recorded.</summary>
    public IAsyncEnumerable<ChoiceEvent> Events => _events.Reader.ReadAllAsync();

    /// <summary>Hands every choice to the engine. The model must be acquired; from here on it is the group's to release.</summary>
    /// <exception cref="QueueFullException">Too many wait; nothing was started.</exception>
    public static GenerationGroup Start(ServedModel model, GenerationOrder order, FlywheelStore store, TimeProvider time, CancellationToken cancellation)
    {
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var running = new List<(Choice, GenerationStream)>();
        try
        {
            for (int index = 0; index < order.Prompts.Count * order.NumChoices; index++)
            {
                int[] prompt = order.Prompts[index / order.NumChoices];
                int room = model.Folder.Config.MaxPositions - prompt.Length;
                var choice = new Choice(index, new GenerationRequest
                {
                    PromptTokens = prompt,
                    MaxTokens = Math.Min(order.MaxTokens ?? room, room),
                    Sampler = order.Sampler with { Seed = SeedOf(order.Sampler.Seed, index) },
                    Stop = order.Stop,
                    TopLogprobs = order.TopLogprobs,
                    Adapter = order.Adapter,
                    User = order.User,
                    Priority = order.Priority,
                });
                running.Add((choice, model.Engine.Submit(choice.Request, cancel.Token)));
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
        return new GenerationGroup(model, order, running, store, time, cancel);
    }

    /// <summary>Nobody waits for the answer any more: what runs ends now and is recorded as cancelled.</summary>
    public void Cancel() => _cancellation.Cancel();

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

    private async Task PumpAllAsync(GenerationOrder order, IReadOnlyList<(Choice Choice, GenerationStream Stream)> running, FlywheelStore store, TimeProvider time, long start)
    {
        try
        {
            await Task.WhenAll(running.Select(one => PumpAsync(one.Choice, one.Stream)));
            _events.Writer.Complete();
        }
        catch (Exception e)
        {
            _events.Writer.Complete(e); // the reader of the events gets it
        }
        finally
        {
            Model.Release();
        }

        async Task PumpAsync(Choice choice, GenerationStream stream)
        {
            await foreach (SampledToken token in stream.Tokens)
            {
                choice.Add(token, time.GetElapsedTime(start));
                _events.Writer.TryWrite(new ChoiceEvent(choice, token));
            }
            await store.RecordAsync(choice.ToRecord(Id, Arrived, Model.Hash, stream.AdapterHash, order, stream.FinishReason, time.GetElapsedTime(start)));
            choice.End(stream.FinishReason, stream.NumCachedPromptTokens);
            _events.Writer.TryWrite(new ChoiceEvent(choice, null));
        }
    }
}
