using System.Collections.Concurrent;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Text;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>
/// A model in memory and the thread that runs it. Requests are batched step by step; each one's result does not depend on
/// the others.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    private const int MaxGrammars = 64;

    private readonly ModelFolder? _model;
    private readonly ModelConfig _config;
    private readonly ConcurrentDictionary<string, GrammarMasks> _masks = new(StringComparer.Ordinal);
    private readonly TokenSpelling? _spelling;
    private readonly TokenIds _ids;
    private readonly IReadOnlyList<int> _endTokens;
    private readonly Lazy<TokenTrie> _trie;
    private readonly LoadedAdapters _adapters;

    private InferenceEngine(ModelFolder? model, ModelConfig config, Tokenizer? tokenizer, TokenIds ids, EngineLoop loop)
    {
        (_model, _config, Loop, _adapters) = (model, config, loop, new LoadedAdapters(loop));
        (_ids, _endTokens) = (ids, [.. config.EosTokenIds.Where(ids.Contains)]);
        _spelling = tokenizer is null ? null : TokenSpelling.Of(tokenizer, model);
        _trie = new Lazy<TokenTrie>(() => new TokenTrie(_spelling!, ids.End));
    }

    public ModelFolder Model => _model ?? throw new InvalidOperationException("this engine was loaded from bare weights");

    internal EngineLoop Loop { get; }

    /// <summary>Name of the kernel table in use.</summary>
    public string Kernels => Loop.Kernels;

    /// <summary>Bytes of weights that one token's step reads.</summary>
    public long BytesPerStep => Loop.BytesPerStep;

    /// <summary>Requests that wait or run.</summary>
    public int NumLive => Loop.NumLive;

    /// <summary>Requests in the batch; a moment's view.</summary>
    public int NumRunning => Loop.NumRunning;

    /// <summary>Requests in the queue; a moment's view.</summary>
    public int NumWaiting => Math.Max(0, NumLive - NumRunning);

    /// <summary>Pages that the cache may have.</summary>
    public long NumCachePages => Loop.MaxPages;

    /// <summary>Memory that the cache may still come to take, bytes.</summary>
    public long CacheBytesToCome => Loop.CacheBytesToCome;

    /// <summary>The broken invariant that ended the engine: it answers nothing any more. Null of a sound one.</summary>
    public Exception? Defect => Loop.Defect;

    /// <summary>Pages of the cache that running requests hold; exact while nothing runs.</summary>
    public long NumPagesInUse => Loop.NumPagesInUse;

    /// <summary>Adapters that requests may name, and their content hashes.</summary>
    public IReadOnlyDictionary<string, string> Adapters => _adapters.Hashes;

    /// <summary>The bytes that a token adds to an answer's text; nothing for a special token, unless the model writes tool calls with
    /// it.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) => _spelling is null ? [] : _spelling.Bytes(id);

    /// <summary>Makes an adapter of this model available; one of the same name is replaced for new requests.</summary>
    /// <exception cref="FlywheelException">It is another model's.</exception>
    public void LoadAdapter(string name, AdapterFolder adapter)
    {
        if (_model is not null) adapter.CheckFits(_model);
        _adapters.Load(name, adapter);
    }

    /// <summary>New requests can no longer name it; those that run end with it. False when there is none.</summary>
    public bool UnloadAdapter(string name) => _adapters.Unload(name);

    /// <exception cref="FlywheelException">The weights are missing, malformed or do not fit in memory.</exception>
    public static InferenceEngine Load(ModelFolder model, EngineOptions? options = null)
    {
        options ??= new();
        using IWeightFile file = model.OpenWeights();
        if (options.Draft is not { } small || !options.Speculate) return Load(file, model.Config, model.Tokenizer, options, model);
        DraftSource.CheckVocabulary(model.Tokenizer, small.Tokenizer, small.Path);
        using IWeightFile draft = small.OpenWeights();
        return Load(file, model.Config, model.Tokenizer, options, model, draft: DraftSource.Of(draft, small.Config, options.DraftWeights));
    }

    /// <summary>From bare weights; without a tokenizer, tokens carry no text.</summary>
    internal static InferenceEngine Load(IWeightFile file, ModelConfig config, Tokenizer? tokenizer, EngineOptions options,
        ModelFolder? model = null, string? kernels = null, DraftSource? draft = null)
    {
        if (options.Threads < 0) throw new FlywheelException($"threads is {options.Threads}, expected 0 (all cores) or more");
        if (options.MaxBatch < 1) throw new FlywheelException($"max_batch is {options.MaxBatch}, expected at least 1");
        if (options.CacheBytes < 0) throw new FlywheelException($"cache_bytes is {options.CacheBytes}, expected 0 (automatic) or more");
        if (options.MaxQueue < 0) throw new FlywheelException($"max_queue is {options.MaxQueue}, expected at least 0");
        KernelTable table = KernelTable.Select(kernels ?? Environment.GetEnvironmentVariable(KernelTable.EnvironmentVariable));
        int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
        // a second model is loaded beside the one that it replaces
        long available = options.AvailableBytes ?? MachineMemory.AvailableBytes();
        long needed = MatrixLoader.NumBytes(config, file, options.Weights);
        if (needed > available)
            throw new FlywheelException(
                $"{file.Path}: {config.NumParameters} weights need {Math.Max(1, needed >> 20)} MiB as {options.Weights}, and {available >> 20} MiB of memory are free here; "
            + "free some, take a smaller model or coarser weights, or stop the server that runs and start it with this model");
        var arena = new NativeArena();
        try
        {
            DecoderWeights weights = DecoderWeights.Load(arena, table, config, file, options.Weights, model?.Hash,
                new PanelCache(Path.Combine(new FlywheelHome().Cache, "panels")));
            DecoderWeights? small = draft?.Load(arena, table);
            var ids = new TokenIds(config.VocabSize, tokenizer);
            long pages = MaxPages(config, weights.Shape, small?.Shape, options, available - needed);
            return new InferenceEngine(model, config, tokenizer, ids,
                new EngineLoop(arena, weights, table, options, threads, pages, ids, small));
        }
        catch (OutOfMemoryException e)
        {
            arena.Dispose();
            throw new FlywheelException($"{file.Path}: the model does not fit in memory", e);
        }
        catch
        {
            arena.Dispose();
            throw;
        }
    }

    /// <exception cref="FlywheelException">The prompt is empty or does not leave room for one token.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public GenerationStream Submit(GenerationRequest request, CancellationToken cancellation = default)
    {
        CheckTokens(request.PromptTokens);
        int room = (int)Math.Min(_config.MaxPositions, Loop.MaxPages * AttentionJob.PageTokens) - request.PromptTokens.Length;
        if (room < 1)
            throw new FlywheelException(
                $"the prompt has {request.PromptTokens.Length} tokens; the model's longest text is {room + request.PromptTokens.Length} tokens and one must be left for the answer");
        if (request.MaxTokens < 1) throw new FlywheelException($"max_tokens is {request.MaxTokens}, expected at least 1");
        if (request.TopLogprobs < 0 || request.TopLogprobs > _ids.Count)
            throw new FlywheelException($"top_logprobs is {request.TopLogprobs}, expected 0 to {_ids.Count}");
        if (request.Stop.Any(string.IsNullOrEmpty))
            throw new FlywheelException("stop holds an empty text, expected texts of at least one character");
        request.Sampler.Validate(_ids);
        var sequence = new GenerationSequence(request, Math.Min(request.MaxTokens, room), _endTokens, _spelling,
            Cursor(request.Sampler.Grammar), Loop.Cancel)
        {
            User = request.User ?? "",
            Priority = request.Priority,
            Adapter = _adapters.Use(request.Adapter),
        };
        if (Loop.DraftPrice is { } price) sequence.AddDraft(price);
        sequence.Stream.AdapterHash = sequence.Adapter?.Hash;
        Add(sequence, cancellation);
        return sequence.Stream;
    }

    /// <summary>
    /// Log-probabilities of each token of a text given those before it: the first is 0. For evaluation and tests.
    /// </summary>
    public Task<float[]> ScoreAsync(int[] tokens, CancellationToken cancellation = default) => ScoreAsync(tokens, null, cancellation);

    /// <summary>The same with a loaded adapter.</summary>
    public Task<float[]> ScoreAsync(int[] tokens, string? adapter, CancellationToken cancellation = default)
    {
        CheckText(tokens);
        var sequence = new ScoreSequence(tokens) { Adapter = _adapters.Use(adapter) };
        Add(sequence, cancellation);
        return sequence.Result;
    }

    /// <summary>
    /// Reads a prompt, takes the likeliest of some tokens for what follows, and reads what the model gives other tokens after it: two
    /// distributions of one sequence, as a search over moves and their values asks for. Batched with everything else, and the same alone.
    /// </summary>
    /// <param name="prompt">Tokens to read.</param>
    /// <param name="choices">Tokens of which the likeliest is taken; of equals the first.</param>
    /// <param name="then">Tokens that are weighed after it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">A token is none of the model's, or the prompt is empty or too long.</exception>
    public Task<WeighedTokens> WeighAsync(int[] prompt, int[] choices, int[] then, CancellationToken cancellation = default)
    {
        CheckText([.. prompt, .. choices[..1]]);
        CheckTokens(choices);
        CheckTokens(then);
        var sequence = new WeighingSequence(prompt, choices, then);
        Add(sequence, cancellation);
        return sequence.Result;
    }

    /// <summary>
    /// The model's state after its final norm, pooled over a text, [C]. Batched with everything else; the vector does not
    /// depend on it.
    /// </summary>
    /// <param name="tokens">The text.</param>
    /// <param name="pooling">Over all tokens, or the last one's alone.</param>
    /// <param name="normalize">To length 1, so that a dot product is the cosine.</param>
    /// <param name="user">Who asks; see <see cref="GenerationRequest.User"/>.</param>
    /// <param name="adapter">Name of a loaded adapter.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The text is empty or too long, or the adapter is not loaded.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public Task<float[]> EmbedAsync(int[] tokens, Pooling pooling, bool normalize = true, string? user = null, string? adapter = null,
        CancellationToken cancellation = default)
    {
        CheckText(tokens);
        var sequence = new EmbeddingSequence(tokens, _config.HiddenSize, pooling, normalize) { User = user ?? "",
            Adapter = _adapters.Use(adapter) };
        Add(sequence, cancellation);
        return sequence.Result;
    }

    /// <summary>Logits after the last of <paramref name="tokens"/>, [V]. For tests.</summary>
    public Task<float[]> LogitsAsync(int[] tokens, CancellationToken cancellation = default) => LogitsAsync(tokens, null, cancellation);

    /// <summary>The same with a loaded adapter.</summary>
    public Task<float[]> LogitsAsync(int[] tokens, string? adapter, CancellationToken cancellation = default) =>
        LogitsAsync(tokens, tokens.Length - 1, adapter, cancellation);

    /// <summary>Logits after each token from position <paramref name="first"/> on, [tokens, V].</summary>
    internal Task<float[]> LogitsAsync(int[] tokens, int first, CancellationToken cancellation) =>
        LogitsAsync(tokens, first, null, cancellation);

    private Task<float[]> LogitsAsync(int[] tokens, int first, string? adapter, CancellationToken cancellation)
    {
        CheckText(tokens);
        var sequence = new LogitsSequence(tokens, first, _config.VocabSize) { Adapter = _adapters.Use(adapter) };
        Add(sequence, cancellation);
        return sequence.Result;
    }

    /// <summary>Lets running generations end, refuses new ones, then frees the memory.</summary>
    public async ValueTask DisposeAsync()
    {
        await Loop.DisposeAsync().ConfigureAwait(false);
        _adapters.UnloadAll();
    }

    private void Add(Sequence sequence, CancellationToken cancellation)
    {
        try
        {
            Loop.Add(sequence);
        }
        catch
        {
            sequence.Release();
            throw;
        }
        if (cancellation.CanBeCanceled) sequence.CancelWith(cancellation.Register(() => Loop.Cancel(sequence)));
    }

    /// <summary>Masks are kept, because an application asks for the same form again and again.</summary>
    private GrammarCursor? Cursor(string? grammar)
    {
        if (grammar is null) return null;
        if (_spelling is null) throw new FlywheelException("a grammar needs a model with a tokenizer");
        if (_masks.Count >= MaxGrammars) _masks.Clear();
        return new GrammarCursor(_masks.GetOrAdd(grammar, source => new GrammarMasks(Grammar.Parse(source), _trie.Value, _endTokens)),
            _spelling);
    }

    private void CheckText(int[] tokens)
    {
        CheckTokens(tokens);
        if (tokens.Length > _config.MaxPositions || KvPool.PagesFor(tokens.Length) > Loop.MaxPages)
            throw new FlywheelException(
                $"the text has {tokens.Length} tokens, the model's longest is {Math.Min(_config.MaxPositions, Loop.MaxPages * AttentionJob.PageTokens)}");
    }

    private void CheckTokens(int[] tokens)
    {
        if (tokens.Length == 0) throw new FlywheelException("the prompt is empty, expected at least one token");
        foreach (int token in tokens)
            if (!_ids.Contains(token))
                throw new FlywheelException($"the prompt holds token {token}, expected ids of tokens, from 0 to {_ids.End - 1}");
    }

    /// <summary>Room for a full batch of longest texts at most, and always for a page.</summary>
    private static long MaxPages(ModelConfig config, DecoderShape shape, DecoderShape? draft, EngineOptions options, long free)
    {
        // both read the same texts
        long perSequence = KvPool.PagesFor(config.MaxPositions), pageBytes = PageBytes(shape) + (draft is null ? 0 : PageBytes(draft));
        return options.CacheBytes > 0
            ? Math.Max(1, options.CacheBytes / pageBytes) : Math.Clamp(free / 4 / pageBytes, 1, options.MaxBatch * perSequence);

        long PageBytes(DecoderShape model) => new KvPool(model, options.KvType, 0).PageBytes;
    }
}
