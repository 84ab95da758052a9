using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>What the step's threads share when they read logits.</summary>
internal sealed record LogitsReader(KernelTable Kernels, TokenIds Ids, SamplerScratch[] Scratch)
{
    public int VocabSize => Ids.VocabSize;
}

/// <summary>A text and the pages that hold one model's keys and values of it.</summary>
internal abstract class PagedText(int maxPages)
{
    /// <summary>As far as it is known.</summary>
    public abstract ReadOnlySpan<int> Tokens { get; }

    /// <summary>Number among those that run; names its place for pages.</summary>
    public int Slot { get; set; } = -1;

    public int NumPages { get; set; }

    /// <summary>Its first pages, as far as they are in the tree of shared pages.</summary>
    public List<PageNode> Nodes { get; } = new(maxPages);

    /// <summary>Stands before its first page in the tree; null for the model alone.</summary>
    public virtual PageNode? Root => null;

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int NumCached { get; set; }

    /// <summary>Whether the logits after the token at a position are used.</summary>
    public abstract bool Wants(int position);
}

/// <summary>One request in the engine: its text, and what is done with its logits.</summary>
internal abstract unsafe class Sequence : PagedText
{
    private readonly Lock _lock = new();
    private readonly List<int> _tokens;
    private CancellationTokenRegistration _registration;
    private int _numRead;
    private bool _ended;
    private volatile bool _cancelled;

    /// <param name="prompt">Tokens to read.</param>
    /// <param name="maxTokens">Tokens that may be sampled.</param>
    protected Sequence(int[] prompt, int maxTokens) : base(KvPool.PagesFor(prompt.Length + maxTokens))
    {
        _tokens = new List<int>(prompt.Length + maxTokens);
        _tokens.AddRange(prompt);
        (PromptLength, MaxTokens) = (prompt.Length, maxTokens);
    }

    /// <summary>Whose it is; empty when nobody said.</summary>
    public string User { get; init; } = "";

    public Priority Priority { get; init; } = Priority.Normal;

    /// <summary>What is added to the model's weights for it; held until it ends.</summary>
    public AdapterWeights? Adapter { get; init; }

    /// <summary>Its user's account, from its arrival on.</summary>
    public Account Account { get; set; } = null!;

    /// <summary>Number among all arrivals.</summary>
    public long Arrival { get; set; }

    /// <summary>Later requests that were let in before it.</summary>
    public int NumOvertaken { get; set; }

    public int PromptLength { get; }

    /// <summary>Tokens that may be sampled.</summary>
    public int MaxTokens { get; }

    /// <summary>Prompt and answer so far.</summary>
    public override ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);

    public override PageNode? Root => Adapter?.Root;

    /// <summary>
    /// It has more to read than its newest token: a new prompt, or a text that had to give its pages to others.
    /// </summary>
    public bool IsPrefilling => NumCached < Tokens.Length - (Tokens.Length > PromptLength ? 1 : 0);

    /// <summary>Tokens of the prompt whose keys and values were found in the cache instead of computed for it.</summary>
    public int NumFound { get; private set; }

    /// <summary>After the cache was asked: what it gave counts, unless it had been computed for this request before.</summary>
    public void NoteFound(int numCachedBefore)
    {
        NumFound += Math.Max(0, Math.Min(NumCached, PromptLength) - Math.Max(numCachedBefore, _numRead));
        NoteRead();
    }

    /// <summary>A request that gives its pages away and finds them again has found nothing new.</summary>
    public void NoteRead() => _numRead = Math.Max(_numRead, NumCached);

    public bool Cancelled => _cancelled;

    public void Cancel() => _cancelled = true;

    /// <summary>Keeps the registration until the sequence ends, which may already be so.</summary>
    public void CancelWith(CancellationTokenRegistration registration)
    {
        lock (_lock)
        {
            if (!_ended) _registration = registration;
            else registration.Unregister();
        }
    }

    /// <summary>Lets go of what it holds outside of the engine.</summary>
    public void Release()
    {
        lock (_lock)
        {
            _ended = true;
            _registration.Unregister();
        }
        Adapter?.Release();
    }

    /// <summary>It reads the states after the final norm, not the logits.</summary>
    public virtual bool ReadsStates => false;

    /// <summary>
    /// Reads the logits (or states) after the tokens at <paramref name="count"/> positions from <paramref name="position"/>
    /// on, [count, ld]; on any thread of the step.
    /// </summary>
    public abstract void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId);

    /// <summary>After a step, on the engine's thread; true when the sequence has ended.</summary>
    public abstract bool Publish();

    /// <summary>Ends it early, with a defect or because it was cancelled.</summary>
    public abstract void Abort(Exception? defect);

    protected void Append(int token) => _tokens.Add(token);
}

/// <summary>A text that is only read, for a result of one array.</summary>
internal abstract unsafe class ReadingSequence(int[] tokens) : Sequence(tokens, 0)
{
    private readonly TaskCompletionSource<float[]> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<float[]> Result => _result.Task;

    protected abstract float[] Values { get; }

    public sealed override bool Publish() => !IsPrefilling && _result.TrySetResult(Values);

    public sealed override void Abort(Exception? defect)
    {
        if (defect is null) _result.TrySetCanceled();
        else _result.TrySetException(defect);
    }
}

/// <summary>Log-probability of every token of a text given those before it.</summary>
internal sealed unsafe class ScoreSequence(int[] tokens) : ReadingSequence(tokens)
{
    protected override float[] Values { get; } = new float[tokens.Length];

    public override bool Wants(int position) => position < PromptLength - 1;

    public override void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId)
    {
        float* summary = stackalloc float[2];
        for (int i = 0; i < count; i++, position++, logits += ld)
        {
            reader.Kernels.LogSumExp(logits, reader.VocabSize, summary);
            Values[position + 1] = logits[Tokens[position + 1]] - (summary[0] + MathF.Log(summary[1]));
        }
    }
}

/// <summary>Logits after the tokens of a text from a position on, [positions, V].</summary>
internal sealed unsafe class LogitsSequence(int[] tokens, int first, int vocabSize) : ReadingSequence(tokens)
{
    protected override float[] Values { get; } = new float[(tokens.Length - first) * vocabSize];

    public override bool Wants(int position) => position >= first;

    public override void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId)
    {
        for (int i = 0; i < count; i++)
            new ReadOnlySpan<float>(logits + i * ld, vocabSize).CopyTo(Values.AsSpan((position + i - first) * vocabSize));
    }
}
