using System.Diagnostics;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>
/// The thread that runs the model. Each step takes one token of every decoding sequence and, under a budget, tokens of
/// prompts, so that nobody's stream stalls for another's prompt.
/// </summary>
internal sealed unsafe class EngineLoop : IAsyncDisposable
{
    /// <summary>Most prompt tokens in a step: enough to use the matrix kernels well.</summary>
    private const int PrefillRows = 128;

    /// <summary>A prompt of so many tokens is read in a few steps.</summary>
    private const int ShortPrompt = 4 * PrefillRows;

    /// <summary>Texts that are scored want logits of every token; so many fit in a step.</summary>
    private const int LeastLogitRows = 32;

    /// <summary>Guessed tokens in a step: with few streams a step waits for memory and has arithmetic to spare.</summary>
    private const int GuessedRows = 8;

    private readonly NativeArena _arena;
    private readonly PageTables _pages;
    private readonly KernelTeam _team;
    private readonly Decoder _decoder;
    private readonly LogitsReader _reader;
    private readonly bool _guesses;
    private readonly DraftModel? _draft;
    private readonly Action<Decoder, int> _run;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AutoResetEvent _work = new(false);
    private readonly Lock _lock = new();
    private readonly Queue<Sequence> _arriving = new();
    private readonly QueueLimit _limit;
    private bool _stopping;

    // Of the engine's thread alone.
    private readonly Scheduler _scheduler;
    private readonly List<Sequence> _decoding = [];
    private readonly Reading[] _readings;
    private readonly int[] _phases;
    private readonly PrefillBudget _budget;
    private int _numReadings, _numDecoderPhases;
    private Decoder _atWork;

    public EngineLoop(NativeArena arena, DecoderWeights weights, KernelTable kernels, EngineOptions options, int threads, long maxPages,
        TokenIds ids, DecoderWeights? draft = null)
    {
        (_arena, Kernels, BytesPerStep) = (arena, kernels.Name, weights.BytesPerStep);
        var pool = new KvPool(weights.Shape, options.KvType, maxPages);
        _pages = new PageTables(arena, pool, options.MaxBatch, weights.Shape.Config.MaxPositions);
        int logitRows = Math.Max(options.MaxBatch, LeastLogitRows) + GuessedRows;
        _decoder = new Decoder(arena, weights, kernels, pool, threads, options.MaxBatch + GuessedRows + PrefillRows, logitRows);
        _phases = new int[Decoder.MaxPhases(Math.Max(weights.Layers.Length, draft?.Layers.Length ?? 0)) + 1];
        _team = new KernelTeam(threads, _phases.Length, Work);
        _readings = new Reading[logitRows];
        _reader = new LogitsReader(kernels, ids, [.. Enumerable.Range(0, threads).Select(_ => new SamplerScratch(arena, ids.VocabSize))]);
        _budget = new PrefillBudget(PrefillRows, options.MaxBatch + GuessedRows);
        _guesses = options.Speculate;
        _draft = draft is null ? null : new DraftModel(arena, draft, kernels, options.KvType, options.MaxBatch, threads, maxPages, _reader);
        DraftPrice = (double?)draft?.BytesPerStep / BytesPerStep;
        _run = Run;
        _atWork = _decoder;
        _scheduler = new Scheduler(_pages, options.MaxBatch, _draft is null ? null : _draft.Free);
        _limit = new QueueLimit(options.MaxBatch, options.MaxQueue);
        new Thread(Serve) { IsBackground = true, Name = "engine" }.Start();
    }

    public string Kernels { get; }

    public long BytesPerStep { get; }

    /// <summary>Sequences that wait or run.</summary>
    public int NumLive
    {
        get
        {
            lock (_lock) return _limit.NumLive;
        }
    }

    /// <summary>Sequences in the batch; a moment's view from another thread.</summary>
    public int NumRunning => _scheduler.Running.Count;

    /// <summary>The broken invariant that ended the engine before it was told to end.</summary>
    public Exception? Defect { get; private set; }

    /// <summary>Kernel threads that are not parked, the engine's own excluded.</summary>
    public int NumAwake => _team.NumAwake;

    /// <summary>Pages of prompts that were taken over instead of computed.</summary>
    public long NumSharedPages => _pages.NumHits;

    /// <summary>Tokens beside those pages that were copied instead of computed.</summary>
    public long NumCopiedTokens => _pages.NumCopied;

    /// <summary>How often a request had to give its pages or its place to another.</summary>
    public long NumPostponed => _scheduler.NumPostponed;

    /// <summary>Users that are remembered.</summary>
    public int NumAccounts => _scheduler.NumAccounts;

    /// <summary>Guesses of ended generations, and those that were right: their tokens cost no step of their own.</summary>
    public long NumChecked { get; private set; }

    public long NumGuessed { get; private set; }

    /// <summary>Steps of the model that a step of the draft costs, by what they read; null without a draft.</summary>
    public double? DraftPrice { get; }

    public long MaxPages => _pages.MaxPages;

    /// <summary>Bytes of pages that are not made yet; a moment's view.</summary>
    public long CacheBytesToCome => _pages.BytesToCome;

    /// <summary>Pages that running requests hold; exact while nothing runs.</summary>
    public long NumPagesInUse => _pages.MaxPages - _pages.NumAvailable;

    /// <summary>Packs an adapter for the model; on the caller's thread.</summary>
    public AdapterWeights LoadAdapter(AdapterFolder folder, int number) =>
        AdapterWeights.Load(folder, _decoder.Shape, _reader.Kernels, number, _decoder.MaxRows);

    /// <summary>Bytes that the engine's thread has allocated in steps, without handing tokens over; for the allocation gate.</summary>
    public long StepAllocatedBytes { get; private set; }

    /// <exception cref="QueueFullException">Too many are alive.</exception>
    /// <exception cref="EngineFailedException">A broken invariant has ended the engine.</exception>
    public void Add(Sequence sequence)
    {
        lock (_lock)
        {
            if (Defect is not null) throw new EngineFailedException(Defect);
            ObjectDisposedException.ThrowIf(_stopping, typeof(InferenceEngine));
            _limit.Enter(sequence.User, Stopwatch.GetTimestamp());
            _arriving.Enqueue(sequence);
            _work.Set();
        }
    }

    /// <summary>The sequence ends before the next step.</summary>
    public void Cancel(Sequence sequence)
    {
        sequence.Cancel();
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
        _team.BindCaller();
        try
        {
            while (Receive())
            {
                _scheduler.Admit();
                if (_scheduler.Running.Count > 0) RunStep();
                else if (!_pages.MakeAhead() && _draft?.MakeAhead() != true) _work.WaitOne();
            }
        }
        catch (Exception defect) // a broken invariant: nobody may be left waiting for it
        {
            lock (_lock)
            {
                (_stopping, Defect) = (true, defect);
                foreach (Sequence sequence in _scheduler.Running.Concat(_scheduler.Waiting).Concat(_arriving))
                {
                    sequence.Release();
                    sequence.Abort(defect);
                }
            }
        }
        finally
        {
            _team.Dispose();
            _pages.Dispose();
            _draft?.Dispose();
            _arena.Dispose();
            lock (_lock) _ended.SetResult();
            _work.Dispose();
        }
    }

    private void RunStep()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        _scheduler.MakeRoom();
        _scheduler.Sort();
        Plan();
        while (_decoder.NumRows == 0) // prompts that hold each other's pages
        {
            _scheduler.PostponeLast();
            Plan();
        }
        long start = Stopwatch.GetTimestamp();
        Run(_decoder, _numReadings);
        _budget.Observe(Stopwatch.GetTimestamp() - start);
        StepAllocatedBytes += GC.GetAllocatedBytesForCurrentThread() - before;
        Publish();
    }

    /// <summary>Runs a planned step of a model and reads its results.</summary>
    private void Run(Decoder decoder, int numReadings)
    {
        ReadOnlySpan<int> phases = decoder.Plan();
        phases.CopyTo(_phases);
        _phases[phases.Length] = numReadings;
        (_atWork, _numDecoderPhases) = (decoder, phases.Length);
        _team.Run(_phases.AsSpan(0, phases.Length + 1));
    }

    /// <summary>Takes arrivals over and drops what was cancelled; false when there is nothing left to do, ever.</summary>
    private bool Receive()
    {
        lock (_lock)
        {
            if (_stopping && _limit.NumLive == 0) return false;
            while (_arriving.TryDequeue(out Sequence? sequence)) _scheduler.Add(sequence);
        }
        DropCancelled(_scheduler.Waiting);
        DropCancelled(_scheduler.Running);
        return true;
    }

    private void DropCancelled(List<Sequence> sequences)
    {
        for (int i = sequences.Count - 1; i >= 0; i--)
            if (sequences[i] is { Cancelled: true } sequence)
            {
                Remove(sequence);
                sequence.Abort(null);
            }
    }

    /// <summary>Takes a sequence out; the caller tells it how it ended.</summary>
    private void Remove(Sequence sequence)
    {
        _scheduler.Remove(sequence);
        sequence.Release();
        lock (_lock) _limit.Leave(sequence.User, Stopwatch.GetTimestamp());
    }

    /// <summary>Chooses the rows of the next step: everyone who decodes, then prompts in order.</summary>
    private void Plan()
    {
        _decoder.NumRows = _decoder.NumSegments = _decoder.NumLogitRows = _decoder.NumStateRows = _numReadings = 0;
        FindDecoding();
        int spare = GuessedRows - _decoding.Count;
        _draft?.Guess(_decoding, spare, _run);
        foreach (Sequence sequence in _decoding)
        {
            ReadOnlySpan<int> guesses = [];
            if (sequence is GenerationSequence generation)
            {
                if (_guesses && _draft is null) generation.LookUp(spare);
                guesses = generation.Guesses;
            }
            spare -= guesses.Length;
            AddRows(sequence, 1 + guesses.Length, guesses);
        }
        _budget.Begin(_decoder.NumRows, NumWaiting());
        foreach (Sequence sequence in _scheduler.Running)
        {
            if (!sequence.IsPrefilling) continue;
            int before = sequence.NumCached;
            bool mayRead = _pages.TakeShared(sequence);
            sequence.NoteFound(before);
            if (!mayRead) continue;
            int position = sequence.NumCached, most = Math.Min(_budget.For(position), sequence.Tokens.Length - position);
            if (most == 0) break;
            long room = (sequence.NumPages + _pages.NumAvailable) * PageNode.NumTokens - position;
            _budget.Take(position, AddRows(sequence, (int)Math.Min(room, most), []));
        }
    }

    /// <summary>Prompts whose readers matter as much as any that is being answered; a long one is no reason to hurry for the others'
    /// sake.</summary>
    private double NumWaiting()
    {
        int urgency = int.MaxValue;
        double waiting = 0;
        foreach (Sequence sequence in _decoding) urgency = Math.Min(urgency, FairOrder.Urgency(sequence));
        foreach (Sequence sequence in _scheduler.Running)
            if (sequence.IsPrefilling && FairOrder.Urgency(sequence) <= urgency)
                waiting += Math.Min(1, ShortPrompt / (double)(sequence.Tokens.Length - sequence.NumCached));
        return waiting;
    }

    /// <summary>Those with the same adapter side by side, so that they share a pass over its weights.</summary>
    private void FindDecoding()
    {
        _decoding.Clear();
        foreach (Sequence sequence in _scheduler.Running)
        {
            if (sequence.IsPrefilling) continue;
            int place = _decoding.Count;
            _decoding.Add(sequence);
            for (; place > 0 && Number(_decoding[place - 1]) > Number(sequence); place--) _decoding[place] = _decoding[place - 1];
            _decoding[place] = sequence;
        }

        static int Number(Sequence sequence) => sequence.Adapter?.Number ?? 0;
    }

    /// <summary>Adds up to <paramref name="count"/> of a sequence's next tokens, guesses last; fewer when the logits would not
    /// fit.</summary>
    private int AddRows(Sequence sequence, int count, ReadOnlySpan<int> guesses)
    {
        int first = _decoder.NumRows, firstRead = -1, numRead = 0, added = 0;
        int firstResult = sequence.ReadsStates ? _decoder.NumStateRows : _decoder.NumLogitRows;
        ReadOnlySpan<int> tokens = sequence.Tokens;
        for (; added < count; added++)
        {
            int position = sequence.NumCached + added;
            if (sequence.Wants(position))
            {
                if (!sequence.ReadsStates && _decoder.NumLogitRows == _decoder.MaxLogitRows) break;
                if (numRead++ == 0) firstRead = position;
                if (sequence.ReadsStates) _decoder.StateRows[_decoder.NumStateRows++] = first + added;
                else _decoder.LogitRows[_decoder.NumLogitRows++] = first + added;
            }
            _pages.Extend(sequence, position);
            _decoder.Tokens[first + added] = position < tokens.Length ? tokens[position] : guesses[position - tokens.Length];
        }
        if (added == 0) return 0;
        _decoder.Segments[_decoder.NumSegments++] = new Segment { FirstRow = first, NumRows = added, Start = sequence.NumCached,
            Pages = _pages.Of(sequence), Adapter = sequence.Adapter };
        _decoder.NumRows += added;
        FairOrder.Charge(sequence, added, sequence.IsPrefilling);
        sequence.NumCached += added;
        sequence.NoteRead();
        if (numRead > 0) _readings[_numReadings++] = new Reading(sequence, firstResult, numRead, firstRead);
        return added;
    }

    /// <summary>A piece of the decoder's phases, or of the last one, in which results are read.</summary>
    private void Work(int phase, int piece, int id)
    {
        if (phase < _numDecoderPhases)
        {
            _atWork.Run(phase, piece, id);
            return;
        }
        if (_atWork != _decoder)
        {
            _draft!.Read(piece, id);
            return;
        }
        ref Reading reading = ref _readings[piece];
        try
        {
            bool states = reading.Sequence.ReadsStates;
            long ld = states ? _decoder.Shape.Hidden : _decoder.Shape.Vocab;
            reading.Sequence.Read((states ? _decoder.States : _decoder.Logits) + reading.First * ld, ld, reading.Count, reading.Position,
                _reader, id);
        }
        catch (Exception defect) // must not end the process: it becomes this request's failure
        {
            reading.Fault = defect;
        }
    }

    private void Publish()
    {
        for (int i = 0; i < _numReadings; i++)
            if (_readings[i] is { Fault: { } defect, Sequence: var sequence })
            {
                Remove(sequence);
                sequence.Abort(defect);
            }
        for (int i = _scheduler.Running.Count - 1; i >= 0; i--)
        {
            Sequence sequence = _scheduler.Running[i];
            bool ended = sequence.Publish();
            _pages.Share(sequence);
            if (sequence is GenerationSequence generation)
            {
                _draft?.Settle(generation);
                if (ended) (NumChecked, NumGuessed) = (NumChecked + generation.NumChecked, NumGuessed + generation.NumAccepted);
            }
            if (ended) Remove(sequence);
        }
        Array.Clear(_readings, 0, _numReadings);
    }

    /// <summary>Logits or states of consecutive positions of a sequence, read by one thread.</summary>
    private record struct Reading(Sequence Sequence, int First, int Count, int Position, Exception? Fault = null);
}
