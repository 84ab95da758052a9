using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>The served model as a translator: asked like in a chat, a generation for each text, recorded like any other.</summary>
internal sealed class ModelEngine(Generator generator, TimeProvider time) : IDraftEngine
{
    private const int AtOnce = 4;

    public string Name => "model";

    /// <summary>Models from elsewhere follow orders; what a recipe here trained can what it was taught, which translation is not
    /// yet.</summary>
    public Task<EngineState> StateAsync(string from, string to, CancellationToken cancellation = default)
    {
        ServedModel model = generator.Host.Current;
        return Task.FromResult(new EngineState(!model.HasTemplate ? EngineStatus.NoSuchPair : model.Folder.Manifest.Run is null
            ? EngineStatus.Ready : EngineStatus.Untrained));
    }

    public async Task<IReadOnlyList<EngineDraft>> DraftAsync(IReadOnlyList<string> texts, string from, string to, DraftCaller caller,
        CancellationToken cancellation = default)
    {
        var drafts = new EngineDraft[texts.Count];
        // One model drafts what is asked together, also where nobody says who asks.
        string unit = caller.User.Length > 0 ? caller.User : $"request\n{Guid.NewGuid()}";
        await Parallel.ForAsync(0, texts.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation },
            async (i, stop) =>
        {
            await using GenerationGroup group = generator.StartChat(model => Order(model, texts[i], from, to, caller),
                () => Ask(texts[i], from, to, caller), fitsUpstream: true, upstream: null, unit, stop);
            await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
            stop.ThrowIfCancellationRequested();
            Choice answer = group.Choices[0];
            drafts[i] = new EngineDraft(answer.Text.Trim(), answer.Id);
        });
        return drafts;
    }

    /// <summary>The same for somebody else's model, which knows itself how much it can read.</summary>
    private static (JsonObject Ask, GenerationOrder Order) Ask(string text, string from, string to, DraftCaller caller)
    {
        Conversation conversation = TranslationPrompt.Ask(text, from, to);
        JsonObject ask = conversation.ToJson();
        int most = 32 + 3 * text.Length; // tokens: none is shorter than a letter
        (ask["temperature"], ask["max_tokens"]) = (0, most);
        return (ask, new GenerationOrder
        {
            Conversation = conversation,
            Prompts = [[]],
            MaxTokens = most,
            Sampler = new SamplerOptions { Temperature = 0 },
            User = caller.User,
            Owner = caller.Owner,
            App = caller.App,
        });
    }

    private GenerationOrder Order(ServedModel model, string text, string from, string to, DraftCaller caller)
    {
        Conversation ask = TranslationPrompt.Ask(text, from, to);
        int[] prompt = model.Template.Prompt(ask, time.GetLocalNow());
        int room = model.Folder.Config.MaxPositions - prompt.Length;
        if (room < 16)
            throw new FlywheelException(
                $"a segment has {prompt.Length} tokens, expected at most {model.Folder.Config.MaxPositions - 16} for this model's context; shorten it or take another engine");
        return new GenerationOrder
        {
            Conversation = ask,
            Prompts = [prompt],
            MaxTokens = Math.Min(room, 32 + 3 * prompt.Length), // a translation is seldom twice as long
            Sampler = model.Defaults with { Temperature = 0, Seed = generator.DrawSeed() },
            User = caller.User,
            Owner = caller.Owner,
            App = caller.App,
            Adapter = model.OwnHere?.Adapter,
        };
    }
}
