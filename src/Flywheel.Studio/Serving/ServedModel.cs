using System.Collections.Concurrent;
using System.Text;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>What a workspace has learnt for itself.</summary>
/// <param name="Adapter">As the engine calls it; requests cannot.</param>
/// <param name="Whole">Base and adapter as one model, as they were examined.</param>
internal sealed record OwnModel(string Adapter, ModelFolder Whole)
{
    private const string Prefix = "workspace:";

    public static bool IsName(string adapter) => adapter.StartsWith(Prefix, StringComparison.Ordinal);

    public static string NameOf(string workspace, AdapterFolder adapter) => $"{Prefix}{workspace}:{adapter.ShortHash}";
}

/// <summary>
/// A model in memory, ready to answer. It counts who uses it: the host as long as it is the current one, and each running
/// generation. The last to leave frees the memory, so a generation ends on the model on which it began.
/// </summary>
internal sealed class ServedModel
{
    private readonly TaskCompletionSource _unloaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<int, string> _specialTokens;
    private int _users = 1;

    private ServedModel(ModelFolder folder, SamplerOptions defaults, InferenceEngine engine)
    {
        Folder = folder;
        Defaults = defaults;
        Engine = engine;
        ChatFault = folder.FindChatFault();
        if (HasTemplate) _ = folder.ChatTemplate.ToolCalls; // found now, not in the first request
        _specialTokens = folder.Tokenizer.SpecialTokens.ToDictionary(token => token.Value, token => token.Key);
    }

    public ModelFolder Folder { get; }

    public InferenceEngine Engine { get; }

    /// <summary>Why it only continues texts: no chat template, or none that can be read. Null when it can be talked to.</summary>
    public string? ChatFault { get; }

    public bool HasTemplate => ChatFault is null;

    /// <exception cref="FlywheelException">It has none, or none that can be read.</exception>
    public ChatTemplate Template => HasTemplate ? Folder.ChatTemplate
        : throw new FlywheelException($"the model '{Name}' cannot be talked to: {ChatFault}; it continues texts: POST /v1/completions");

    public SamplerOptions Defaults { get; }

    public string Hash => Folder.Hash;

    /// <summary>What people call it; the short hash tells two of one name apart.</summary>
    public string Name => Folder.Manifest.Name is { Length: > 0 } name ? name : Folder.ShortHash;

    private readonly ConcurrentDictionary<string, OwnModel> _own = new(StringComparer.Ordinal);

    /// <summary>
    /// What answers in the workspace of whoever acts in this model's place: its own adapter on it, and both as one model. Null where the
    /// model that all share answers.
    /// </summary>
    public OwnModel? OwnHere => OwnIn(Actor.Here);

    /// <summary>The same of a workspace.</summary>
    public OwnModel? OwnIn(string workspace) => _own.GetValueOrDefault(workspace);

    /// <summary>The model as who acts is answered: where their workspace has its own, with what that knows.</summary>
    public ModelFolder FolderHere => OwnHere?.Whole ?? Folder;

    /// <summary>Adapters that requests may name, and their content hashes; those of workspaces answer there by themselves.</summary>
    public IReadOnlyDictionary<string, string> Adapters => Engine.Adapters.Where(adapter => !OwnModel.IsName(adapter.Key))
        .ToDictionary(adapter => adapter.Key, adapter => adapter.Value);

    /// <summary>Serves a workspace's own from the next request there on; null serves it the model that all share. What runs ends on what it
    /// began on.</summary>
    public void ServeIn(string workspace, OwnModel? own)
    {
        OwnModel? before = _own.GetValueOrDefault(workspace);
        if (before?.Whole.Hash == own?.Whole.Hash) return;
        if (own is null) _own.TryRemove(workspace, out _);
        else _own[workspace] = own;
        // A request that has just looked may still name the one before: it goes with the next change.
        if (before is not null && _left.TryRemove(workspace, out string? older) && older != own?.Adapter) Engine.UnloadAdapter(older);
        if (before is not null) _left[workspace] = before.Adapter;
    }

    private readonly ConcurrentDictionary<string, string> _left = new(StringComparer.Ordinal);

    /// <summary>Requests that use the model now, apart from the host.</summary>
    public int NumRunning => Math.Max(0, Volatile.Read(ref _users) - 1);

    /// <summary>Ends when nobody uses the model any more and its memory is free.</summary>
    public Task Unloaded => _unloaded.Task;

    /// <summary>Loads a model and generates a few tokens with it, so that code and weights are warm before the first request.</summary>
    /// <exception cref="FlywheelException">The folder is not a whole model.</exception>
    public static async Task<ServedModel> LoadAsync(ModelFolder folder, EngineOptions options, CancellationToken cancellation)
    {
        SamplerOptions defaults = SamplingDefaults.Read(folder);
        InferenceEngine engine = await Task.Run(() => InferenceEngine.Load(folder, options), cancellation);
        try
        {
            var model = new ServedModel(folder, defaults, engine);
            await model.WarmUpAsync(cancellation);
            return model;
        }
        catch
        {
            await engine.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes part in using the model; false when it is already being freed.</summary>
    public bool TryAcquire()
    {
        for (int users = Volatile.Read(ref _users); users > 0;)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users) return true;
            users = seen;
        }
        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) > 0) return;
        _ = Task.Run(async () =>
        {
            try
            {
                await Engine.DisposeAsync();
                _unloaded.SetResult();
            }
            catch (Exception e)
            {
                _unloaded.SetException(e); // whoever waits for the unloading sees it
            }
        });
    }

    /// <summary>
    /// A token as the API shows it: what it adds to a text, so that the tokens of an answer joined are its text; a special token by
    /// its name, a broken character as U+FFFD.
    /// </summary>
    public string TokenText(int id) =>
        _specialTokens.TryGetValue(id, out string? name) ? name : Encoding.UTF8.GetString(Engine.BytesOf(id));

    /// <summary>What the token adds to the text; nothing for a special token.</summary>
    public ReadOnlySpan<byte> TokenBytes(int id) => Engine.BytesOf(id);

    public bool IsEnd(int id) => Folder.Config.EosTokenIds.Contains(id);

    private async Task WarmUpAsync(CancellationToken cancellation)
    {
        const string Text = "Write a tagline.\nName: Flywheel";
        int[] prompt = HasTemplate ? Template.Prompt(new Conversation([Message.User(Text)])) : Folder.Tokenizer.EncodeWhole(Text);
        int room = Folder.Config.MaxPositions - 1;
        var request = new GenerationRequest { PromptTokens = prompt.Length > room ? prompt[..room] : prompt, MaxTokens = 8,
            Sampler = Defaults, TopLogprobs = 1 };
        // Twice side by side: the batched kernels are other code than those for one row.
        await Task.WhenAll(Drain(Engine.Submit(request, cancellation)), Drain(Engine.Submit(request, cancellation)));

        static async Task Drain(GenerationStream stream)
        {
            await foreach (SampledToken _ in stream.Tokens) { }
        }
    }
}
