using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Text;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>What the step's threads share when they read logits.</summary>
internal sealed record LogitsReader(KernelTable Kernels, int VocabSize, SamplerScratch[] Scratch);

/// <summary>One text in the engine: its tokens, its pages, and what is done with its logits.</summary>
internal abstract unsafe class Sequence(int[] prompt, int maxTokens)
{
    public int[] Prompt { get; } = prompt;

    /// <summary>Tokens that may be sampled.</summary>
    public int MaxTokens { get; } = maxTokens;

    /// <summary>Number of this sequence among those that run; names its place for pages.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>Pages promised to it.</summary>
    public int ReservedPages => KvPool.PagesFor(Prompt.Length + MaxTokens);

    public int NumPages { get; set; }

    /// <summary>Its first pages, as far as they are in the tree of shared pages.</summary>
    public List<PageNode> Nodes { get; } = new(KvPool.PagesFor(prompt.Length + maxTokens));

    /// <summary>Tokens that were sampled.</summary>
    public List<int> Answer { get; } = new(maxTokens);

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int NumCached { get; set; }

    public volatile bool Cancelled;

    private readonly Lock _lock = new();
    private CancellationTokenRegistration _registration;
    private bool _ended;

    /// <summary>Keeps the registration until the sequence ends, which may already be so.</summary>
    public void CancelWith(CancellationTokenRegistration registration)
    {
        lock (_lock)
        {
            if (!_ended) _registration = registration;
            else registration.Unregister();
        }
    }

    public void Unregister()
    {
        lock (_lock)
        {
            _ended = true;
            _registration.Unregister();
        }
    }

    /// <summary>The token at a position of prompt and answer.</summary>
    public int this[int position] => position < Prompt.Length ? Prompt[position] : Answer[position - Prompt.Length];

    public bool IsPrefilling => NumCached < Prompt.Length;

    /// <summary>Whether the logits after the token at a position are used.</summary>
    public abstract bool Wants(int position);

    /// <summary>Reads the logits after the token at a position, [V]; on any thread of the step.</summary>
    public abstract void Read(float* logits, int position, LogitsReader reader, int threadId);

    /// <summary>After a step, on the engine's thread; true when the sequence has ended.</summary>
    public abstract bool Publish();

    /// <summary>Ends it early, with a defect or because it was cancelled.</summary>
    public abstract void Abort(Exception? defect);
}

/// <summary>A generation for <see cref="InferenceEngine.Submit"/>.</summary>
internal sealed unsafe class GenerationSequence : Sequence
{
    private readonly GenerationRequest _request;
    private readonly IReadOnlyList<int> _endTokens;
    private readonly Sampler _sampler;
    private readonly Tokenizer? _tokenizer;
    private readonly TextAssembler? _text;
    private readonly TokenLogprob[] _top;
    private Draw _draw;
    private bool _sampled;

    public GenerationSequence(GenerationRequest request, int maxTokens, IReadOnlyList<int> endTokens, Tokenizer? tokenizer, Action<GenerationSequence> cancel)
        : base(request.PromptTokens, maxTokens)
    {
        _request = request;
        _endTokens = endTokens;
        _sampler = new Sampler(request.Sampler, request.PromptTokens);
        _tokenizer = tokenizer;
        _text = tokenizer is null ? null : new TextAssembler(request.Stop);
        _top = new TokenLogprob[request.TopLogprobs];
        Stream = new GenerationStream(() => cancel(this));
    }

    public GenerationStream Stream { get; }

    public override bool Wants(int position) => position >= Prompt.Length - 1;

    public override void Read(float* logits, int position, LogitsReader reader, int threadId)
    {
        if (_top.Length > 0) FindTop(logits, reader);
        _draw = _sampler.Next(reader.Kernels, logits, reader.VocabSize, Answer.Count, reader.Scratch[threadId]);
        _sampled = true;
    }

    public override bool Publish()
    {
        if (!_sampled) return false;
        _sampled = false;
        Answer.Add(_draw.Id);
        bool end = _endTokens.Contains(_draw.Id);
        string text = _text is null ? "" : end ? _text.Flush() : _text.Append(_tokenizer!.Bytes(_draw.Id));
        bool stopped = end || _text is { Stopped: true };
        bool full = !stopped && Answer.Count == MaxTokens;
        if (full && _text is not null) text += _text.Flush();
        Stream.Publish(new SampledToken(_draw.Id, _draw.Logprob, _draw.SamplerLogprob, text, _top.Length == 0 ? [] : [.. _top]));
        if (stopped || full) Stream.Finish(stopped ? FinishReason.Stop : FinishReason.Length);
        return stopped || full;
    }

    public override void Abort(Exception? defect)
    {
        if (defect is null) Stream.Finish(FinishReason.Cancelled);
        else Stream.Fail(defect);
    }

    /// <summary>The most likely tokens, best first, ties by id.</summary>
    private void FindTop(float* logits, LogitsReader reader)
    {
        float* summary = stackalloc float[2];
        reader.Kernels.LogSumExp(logits, reader.VocabSize, summary);
        float normalizer = summary[0] + MathF.Log(summary[1]);
        Array.Fill(_top, new TokenLogprob(-1, float.NegativeInfinity));
        for (int id = 0; id < reader.VocabSize; id++)
        {
            float logprob = logits[id] - normalizer;
            if (!(logprob > _top[^1].Logprob)) continue;
            int place = _top.Length - 1;
            for (; place > 0 && logprob > _top[place - 1].Logprob; place--) _top[place] = _top[place - 1];
            _top[place] = new TokenLogprob(id, logprob);
        }
    }
}

/// <summary>Log-probability of every token of a text given those before it.</summary>
internal sealed unsafe class ScoreSequence(int[] tokens) : Sequence(tokens, 0)
{
    private readonly float[] _logprobs = new float[tokens.Length];
    private readonly TaskCompletionSource<float[]> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<float[]> Result => _result.Task;

    public override bool Wants(int position) => position < Prompt.Length - 1;

    public override void Read(float* logits, int position, LogitsReader reader, int threadId)
    {
        float* summary = stackalloc float[2];
        reader.Kernels.LogSumExp(logits, reader.VocabSize, summary);
        _logprobs[position + 1] = logits[Prompt[position + 1]] - (summary[0] + MathF.Log(summary[1]));
    }

    public override bool Publish() => !IsPrefilling && _result.TrySetResult(_logprobs);

    public override void Abort(Exception? defect)
    {
        if (defect is null) _result.TrySetCanceled();
        else _result.TrySetException(defect);
    }
}

/// <summary>Logits after the last token of a text.</summary>
internal sealed unsafe class LogitsSequence(int[] tokens) : Sequence(tokens, 0)
{
    private float[]? _logits;
    private readonly TaskCompletionSource<float[]> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<float[]> Result => _result.Task;

    public override bool Wants(int position) => position == Prompt.Length - 1;

    public override void Read(float* logits, int position, LogitsReader reader, int threadId) =>
        _logits = new ReadOnlySpan<float>(logits, reader.VocabSize).ToArray();

    public override bool Publish() => _logits is not null && _result.TrySetResult(_logits);

    public override void Abort(Exception? defect)
    {
        if (defect is null) _result.TrySetCanceled();
        else _result.TrySetException(defect);
    }
}
