using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Chat;

/// <summary>How answers are sampled, as a person set it.</summary>
public sealed record ChatSettings
{
    /// <summary>Said to the model before everything else; empty says nothing.</summary>
    public string System { get; init; } = "";

    /// <summary>Null: the model's own default.</summary>
    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public int MaxTokens { get; init; } = 512;

    /// <summary>Name of an upstream that answers; null: whatever answers here.</summary>
    public string? Upstream { get; init; }
}

/// <summary>Answers in the making, by conversation. They belong to the server, not to the page: a reload finds them going on.</summary>
internal sealed class ChatWriter(Generator generator, Chats chats, TimeProvider time, ILogger<ChatWriter> log) : IAsyncDisposable
{
    private static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(40);

    private readonly ConcurrentDictionary<Guid, LiveAnswer> _live = [];

    /// <summary>An answer has grown or ended: the conversation's id.</summary>
    public event Action<Guid>? Progressed
    {
        add => _progressed.Add(value);
        remove => _progressed.Remove(value);
    }

    private readonly Bell _progressed = new();

    public LiveAnswer? Find(Guid conversation) => _live.GetValueOrDefault(conversation);

    /// <summary>Begins an answer to a message.</summary>
    /// <returns>How many of the oldest messages the model is not shown, because they do not fit.</returns>
    /// <exception cref="FlywheelException">The model cannot be talked to, or the last message alone is more than it can read.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task<int> StartAsync(Guid conversation, string person, Guid parent, ChatSettings settings)
    {
        ChatTree tree = await chats.FindAsync(conversation, person)
            ?? throw new FlywheelException($"there is no conversation {conversation} of yours");
        int left = 0;
        Conversation said = tree.Upto(parent);
        GenerationGroup group = generator.StartChat(model => Order(model, said, settings, person, out left),
            () => Ask(said, settings, person), fitsUpstream: true,
            settings.Upstream is { } named ? generator.Rollouts.Upstreams.Find(named) : null, person, CancellationToken.None);
        var live = new LiveAnswer(parent, group);
        if (!_live.TryAdd(conversation, live))
        {
            await group.DisposeAsync();
            return 0;
        }
        live.Running = RunAsync(conversation, person, live);
        _progressed.Ring(conversation);
        return left;
    }

    private async Task RunAsync(Guid conversation, string person, LiveAnswer live)
    {
        await using GenerationGroup group = live.Group;
        try
        {
            long drawn = time.GetTimestamp();
            await foreach ((Choice choice, SampledToken? token) in group.Events)
            {
                live.Text = choice.Text;
                if (token is not null && time.GetElapsedTime(drawn) < RedrawEvery) continue;
                drawn = time.GetTimestamp();
                _progressed.Ring(conversation);
            }
            Choice answer = group.Choices[0];
            await chats.AddAsync(conversation, person, live.Parent, Role.Assistant, answer.Text.Trim(), answer.Id);
        }
        catch (Exception e)
        {
            // What could not be recorded is not shown as an answer.
            log.LogError(e, "An answer failed");
            if (e is ApiException upstream) live.Fault = upstream.Message;
        }
        finally
        {
            _live.TryRemove(conversation, out _);
            _progressed.Ring(conversation);
        }
    }

    /// <summary>The server ends: what is being written ends too, and is recorded as far as it came.</summary>
    public async ValueTask DisposeAsync()
    {
        var running = _live.Values.ToArray();
        foreach (var one in running) one.Stop();
        await Task.WhenAll(running.Select(one => one.Running));
    }

    /// <summary>The same for somebody else's model, which knows itself how much it can read.</summary>
    private static (JsonObject Ask, GenerationOrder Order) Ask(Conversation conversation, ChatSettings settings, string person)
    {
        JsonObject ask = conversation.ToJson();
        if (settings.Temperature is { } temperature) ask["temperature"] = temperature;
        if (settings.TopP is { } topP) ask["top_p"] = topP;
        ask["max_tokens"] = settings.MaxTokens;
        return (ask, new GenerationOrder
        {
            Conversation = conversation,
            Prompts = [[]],
            MaxTokens = settings.MaxTokens,
            Sampler = new SamplerOptions { Temperature = (float)(settings.Temperature ?? 1), TopP = (float)(settings.TopP ?? 1) },
            User = person,
            App = Chats.App,
        });
    }

    private GenerationOrder Order(ServedModel model, Conversation conversation, ChatSettings settings, string person, out int left)
    {
        (Conversation shown, IReadOnlyList<int[]> prompts, left) = ContextFit.Of(conversation, [model], time.GetLocalNow());
        return new GenerationOrder
        {
            Conversation = shown,
            Prompts = prompts,
            MaxTokens = Math.Min(settings.MaxTokens, model.Folder.Config.MaxPositions - prompts[0].Length),
            Sampler = model.Defaults with { Temperature = (float)(settings.Temperature ?? model.Defaults.Temperature),
                TopP = (float)(settings.TopP ?? model.Defaults.TopP), Seed = generator.DrawSeed() },
            User = person,
            App = Chats.App,
        };
    }
}

/// <summary>An answer while it is written.</summary>
internal sealed class LiveAnswer(Guid parent, GenerationGroup group)
{
    /// <summary>The message that it answers.</summary>
    public Guid Parent => parent;

    internal GenerationGroup Group => group;

    public string Text { get; set; } = "";

    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Why somebody else's model gave no answer; null of one that came.</summary>
    public string? Fault { get; set; }

    /// <summary>What has come is the answer.</summary>
    public void Stop() => group.Cancel();
}

/// <summary>The last message alone is more than the model can read.</summary>
internal sealed class MessageTooLongException() : FlywheelException("the message is longer than the model's context");
