using System.Diagnostics;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>
/// The thread that runs the model. Each step takes one token of every decoding sequence and, under a budget, tokens of
/// prompts, so that nobody's stream stalls for another's prompt.
/// </summary>
internal sealed unsafe class EngineLoop : IAsyncDisposable
{
    /// <summary>Most prompt tokens in a step: enough to use the matrix kernels well.</summary>
    private const int PrefillRows = 128;

    private readonly NativeArena _arena;
    private readonly KvPool _pool;
    private readonly PrefixCache _cache;
    private readonly KernelTeam _team;
    private readonly Decoder _decoder;
    private readonly LogitsReader _reader;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AutoResetEvent _work = new(false);
    private readonly Lock _lock = new();
    private readonly Queue<Sequence> _arriving = new();
    private bool _stopping;

    // Of the engine's thread alone.
    private readonly Queue<Sequence> _waiting = new();
    private readonly List<Sequence> _running = [];
    private readonly Stack<int> _freeSlots;
    private readonly nint* _pageTables;
    private readonly int _pagesPerSlot;
    private readonly (Sequence Sequence, int Position)[] _logitOwners;
    private readonly Exception?[] _faults;
    private readonly PrefillBudget _budget = new(PrefillRows);
    private int _numLive;

    public EngineLoop(NativeArena arena, DecoderWeights weights, KernelTable kernels, EngineOptions options, int threads, long maxPages)
    {
        _arena = arena;
        _pool = new KvPool(weights.Shape, maxPages);
        _cache = new PrefixCache(_pool);
        _team = new KernelTeam(threads, Step);
        int logitRows = Math.Max(options.MaxBatch, 32);
        _decoder = new Decoder(arena, weights, kernels, _pool, _team, options.MaxBatch + PrefillRows, logitRows);
        _logitOwners = new (Sequence, int)[logitRows];
        _faults = new Exception?[logitRows];
        int vocab = weights.Shape.Config.VocabSize;
        _reader = new LogitsReader(kernels, vocab, [.. Enumerable.Range(0, threads).Select(_ => new SamplerScratch(arena, vocab))]);
        _freeSlots = new Stack<int>(Enumerable.Range(0, options.MaxBatch).Reverse());
        _pagesPerSlot = KvPool.PagesFor(weights.Shape.Config.MaxPositions);
        _pageTables = arena.Allocate<nint>((long)options.MaxBatch * _pagesPerSlot);
        _thread = new Thread(Serve) { IsBackground = true, Name = "engine" };
        _thread.Start();
    }

    /// <summary>Sequences that wait or run.</summary>
    public int NumLive => Volatile.Read(ref _numLive);

    /// <summary>Kernel threads that are not parked, the engine's own excluded.</summary>
    public int NumAwake => _team.NumAwake;

    /// <summary>Pages of prompts that were taken over instead of computed.</summary>
    public long NumSharedPages => _cache.NumHits;

    public long MaxPages => _pool.MaxPages;

    /// <summary>Bytes that the engine's thread has allocated in steps, without handing tokens over; for the allocation gate.</summary>
    public long StepAllocatedBytes { get; private set; }

    /// <returns>False when too many are alive.</returns>
    public bool TryAdd(Sequence sequence, int maxLive)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopping, typeof(InferenceEngine));
            if (_numLive >= maxLive) return false;
            _numLive++;
            _arriving.Enqueue(sequence);
            _work.Set();
        }
        return true;
    }

    /// <summary>The sequence ends before the next step.</summary>
    public void Cancel(Sequence sequence)
    {
        sequence.Cancelled = true;
        lock (_lock)
        {
            if (_ended.Task.IsCompleted) return;
            _work.Set();
        }
    }

    /// <summary>Refuses new work, ends when all that was accepted has ended, and frees the memory.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _stopping = true;
            if (!_ended.Task.IsCompleted) _work.Set();
        }
        return new ValueTask(_ended.Task);
    }

    private void Serve()
    {
        try
        {
            while (true)
            {
                if (!Receive()) return;
                Admit();
                if (_running.Count == 0)
                {
                    _work.WaitOne();
                    continue;
                }
                long before = GC.GetAllocatedBytesForCurrentThread();
                int decoding = Plan();
                long start = Stopwatch.GetTimestamp();
                _team.Run();
                _budget.Observe(decoding, _decoder.NumRows - decoding, Stopwatch.GetTimestamp() - start);
                foreach (Sequence sequence in _running) SharePages(sequence);
                StepAllocatedBytes += GC.GetAllocatedBytesForCurrentThread() - before;
                Publish();
            }
        }
        finally
        {
            _team.Dispose();
            _pool.Dispose();
            _arena.Dispose();
            lock (_lock) _ended.SetResult();
            _work.Dispose();
        }
    }

    /// <summary>Takes arrivals over and drops what was cancelled; false when there is nothing left to do, ever.</summary>
    private bool Receive()
    {
        lock (_lock)
        {
            if (_stopping && _numLive == 0) return false;
            while (_arriving.TryDequeue(out Sequence? sequence)) _waiting.Enqueue(sequence);
        }
        for (int i = _waiting.Count; i > 0; i--)
        {
            Sequence sequence = _waiting.Dequeue();
            if (!sequence.Cancelled) _waiting.Enqueue(sequence);
            else Leave(sequence, () => sequence.Abort(null));
        }
        for (int i = _running.Count - 1; i >= 0; i--)
            if (_running[i] is { Cancelled: true } sequence) Remove(i, () => sequence.Abort(null));
        return true;
    }

    private void Admit()
    {
        while (_freeSlots.Count > 0 && _waiting.TryPeek(out Sequence? next) && _pool.TryReserve(next.ReservedPages))
        {
            _waiting.Dequeue();
            next.Slot = _freeSlots.Pop();
            _running.Add(next);
        }
    }

    private void Remove(int index, Action end)
    {
        Sequence sequence = _running[index];
        _running.RemoveAt(index);
        nint* pages = Pages(sequence);
        for (int page = sequence.NumPages - 1; page >= sequence.Nodes.Count; page--) _pool.Return((float*)pages[page]);
        for (int page = sequence.Nodes.Count - 1; page >= 0; page--) _cache.Release(sequence.Nodes[page]);
        _pool.Release(sequence.ReservedPages);
        _freeSlots.Push(sequence.Slot);
        Leave(sequence, end);
    }

    private void Leave(Sequence sequence, Action end)
    {
        sequence.Unregister();
        lock (_lock) _numLive--;
        end();
    }

    private nint* Pages(Sequence sequence) => _pageTables + (long)sequence.Slot * _pagesPerSlot;

    /// <summary>
    /// Chooses the rows of the next step: everyone who decodes, then prompts in order of arrival. Returns how many decode.
    /// </summary>
    private int Plan()
    {
        _decoder.NumRows = _decoder.NumSegments = _decoder.NumLogitRows = 0;
        foreach (Sequence sequence in _running)
            if (!sequence.IsPrefilling) AddRows(sequence, 1);
        int decoding = _decoder.NumRows, budget = _budget.For(decoding);
        foreach (Sequence sequence in _running)
        {
            if (!sequence.IsPrefilling || !TakeSharedPages(sequence)) continue;
            budget -= AddRows(sequence, Math.Min(budget, sequence.Prompt.Length - sequence.NumCached));
            if (budget == 0) break;
        }
        return decoding;
    }

    /// <summary>Takes over pages that exist; false when another sequence is computing the next one.</summary>
    private bool TakeSharedPages(Sequence sequence)
    {
        Span<int> tokens = stackalloc int[PageNode.NumTokens];
        while (sequence.Nodes.Count == sequence.NumPages && NextPage(sequence, sequence.NumCached, tokens) && _cache.Find(sequence.Nodes.LastOrDefault(), tokens) is { } node)
        {
            if (!node.Ready) return false;
            _cache.Use(node);
            sequence.Nodes.Add(node);
            Pages(sequence)[sequence.NumPages++] = (nint)node.Page;
            sequence.NumCached += PageNode.NumTokens;
        }
        return true;
    }

    /// <summary>The tokens of the page that starts at a position, if it lies in the prompt and none of its logits are wanted.</summary>
    private static bool NextPage(Sequence sequence, int start, Span<int> tokens)
    {
        if (start % PageNode.NumTokens != 0 || start + PageNode.NumTokens > sequence.Prompt.Length) return false;
        for (int i = 0; i < PageNode.NumTokens; i++)
        {
            if (sequence.Wants(start + i)) return false;
            tokens[i] = sequence.Prompt[start + i];
        }
        return true;
    }

    /// <summary>Adds up to <paramref name="count"/> of a sequence's next tokens; fewer when the logits would not fit.</summary>
    private int AddRows(Sequence sequence, int count)
    {
        int first = _decoder.NumRows, added = 0;
        for (; added < count; added++)
        {
            int position = sequence.NumCached + added;
            if (sequence.Wants(position))
            {
                if (_decoder.NumLogitRows == _decoder.MaxLogitRows) break;
                _logitOwners[_decoder.NumLogitRows] = (sequence, position);
                _decoder.LogitRows[_decoder.NumLogitRows++] = first + added;
            }
            if (position / PageNode.NumTokens == sequence.NumPages) AddPage(sequence, position);
            _decoder.Tokens[first + added] = sequence[position];
        }
        if (added == 0) return 0;
        _decoder.Segments[_decoder.NumSegments++] = new Segment { FirstRow = first, NumRows = added, Start = sequence.NumCached, Pages = (float**)Pages(sequence) };
        _decoder.NumRows += added;
        sequence.NumCached += added;
        return added;
    }

    /// <summary>A page to write from a position on, announced to others that will want the same.</summary>
    private void AddPage(Sequence sequence, int start)
    {
        Span<int> tokens = stackalloc int[PageNode.NumTokens];
        float* page = _cache.Rent();
        bool follows = sequence.Nodes.Count == sequence.NumPages;
        Pages(sequence)[sequence.NumPages++] = (nint)page;
        if (follows && NextPage(sequence, start, tokens) && _cache.Add(sequence.Nodes.LastOrDefault(), tokens, page, ready: false) is { } node) sequence.Nodes.Add(node);
    }

    /// <summary>Pages that the step has filled become shared: those announced before, and those of answers.</summary>
    private void SharePages(Sequence sequence)
    {
        Span<int> tokens = stackalloc int[PageNode.NumTokens];
        int full = sequence.NumCached / PageNode.NumTokens;
        for (int page = Math.Min(full, sequence.Nodes.Count) - 1; page >= 0 && !sequence.Nodes[page].Ready; page--) sequence.Nodes[page].Ready = true;
        while (sequence.Nodes.Count < full)
        {
            int index = sequence.Nodes.Count;
            for (int i = 0; i < PageNode.NumTokens; i++) tokens[i] = sequence[index * PageNode.NumTokens + i];
            if (_cache.Add(sequence.Nodes.LastOrDefault(), tokens, (float*)Pages(sequence)[index], ready: true) is not { } node) return;
            sequence.Nodes.Add(node);
        }
    }

    /// <summary>One member's part of a step; rows that are read are dealt out in turn.</summary>
    private void Step(int id)
    {
        _decoder.Run(id);
        for (int i = id; i < _decoder.NumLogitRows; i += _team.Size)
        {
            (Sequence sequence, int position) = _logitOwners[i];
            try
            {
                sequence.Read(_decoder.Logits + (long)i * _decoder.Shape.Vocab, position, _reader, id);
            }
            catch (Exception defect) // must not end the process: it becomes this request's failure
            {
                _faults[i] = defect;
            }
        }
    }

    private void Publish()
    {
        for (int i = 0; i < _decoder.NumLogitRows; i++)
        {
            if (_faults[i] is not { } defect) continue;
            _faults[i] = null;
            Sequence sequence = _logitOwners[i].Sequence;
            int index = _running.IndexOf(sequence);
            if (index >= 0) Remove(index, () => sequence.Abort(defect));
        }
        for (int i = _running.Count - 1; i >= 0; i--)
            if (_running[i].Publish()) Remove(i, () => { });
    }
}
