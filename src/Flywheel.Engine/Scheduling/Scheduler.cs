namespace Flywheel.Engine;

/// <summary>
/// Which requests run and which wait. One that should run before others takes the place of one of them: the pages of what
/// steps aside stay in memory for as long as there is room, so that reading its text again is mostly finding it. Nothing
/// of this changes a result. The engine's thread only.
/// </summary>
internal sealed class Scheduler(PageTables pages, int maxRunning, Action<Sequence>? freed = null)
{
    private readonly FairOrder _order = new();
    private readonly List<Sequence> _waiting = [], _running = [];
    private readonly Stack<int> _freeSlots = new(Enumerable.Range(0, maxRunning).Reverse());

    /// <summary>In the order in which prompts are read, once <see cref="Sort"/> has been called.</summary>
    public List<Sequence> Running => _running;

    public List<Sequence> Waiting => _waiting;

    /// <summary>How often a request had to give its pages or its place to another.</summary>
    public long NumPostponed { get; private set; }

    /// <summary>Users that are remembered.</summary>
    public int NumAccounts => _order.NumAccounts;

    public void Add(Sequence sequence)
    {
        _order.Enter(sequence);
        _waiting.Add(sequence);
    }

    /// <summary>Takes a sequence out, wherever it is.</summary>
    public void Remove(Sequence sequence)
    {
        if (!_waiting.Remove(sequence)) Release(sequence);
        _order.Leave(sequence);
    }

    /// <summary>Lets requests in, in order, while there are pages for what they have to read and a page more for each that runs.</summary>
    public void Admit()
    {
        while (_waiting.Count > 0)
        {
            Sequence next = FairOrder.First(_waiting);
            while (_freeSlots.Count == 0 || (_running.Count > 0 && !Fits(next)))
            {
                if (GivesWayTo(next) is not { } other) return;
                Postpone(other);
            }
            _waiting.Remove(next);
            FairOrder.NoteOvertaken(_waiting, next);
            next.Slot = _freeSlots.Pop();
            next.Account.NumRunning++;
            _running.Add(next);
        }
    }

    /// <summary>
    /// Before a step: when texts have grown so far that the next tokens have no room, the last of the requests gives its
    /// pages up and waits to read its text again.
    /// </summary>
    public void MakeRoom()
    {
        while (_running.Count > 1)
        {
            long needed = 0;
            foreach (Sequence sequence in _running)
                if (!sequence.IsPrefilling)
                    needed += Math.Max(0, KvPool.PagesFor(sequence.NumCached + 1 + GenerationSequence.MaxGuesses) - sequence.NumPages);
            if (needed <= pages.NumAvailable) return;
            PostponeLast();
        }
    }

    /// <summary>The least urgent and latest of the running gives way. Not the most served: who that is changes while they run, and they
    /// would take turns.</summary>
    public void PostponeLast()
    {
        Sequence last = _running[0];
        foreach (Sequence sequence in _running)
            if ((FairOrder.Urgency(sequence), sequence.Arrival).CompareTo((FairOrder.Urgency(last), last.Arrival)) > 0) last = sequence;
        Postpone(last);
    }

    /// <summary>By insertion: little changes from step to step.</summary>
    public void Sort()
    {
        for (int i = 1; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            int place = i;
            for (; place > 0 && FairOrder.Compare(sequence, _running[place - 1]) < 0; place--) _running[place] = _running[place - 1];
            _running[place] = sequence;
        }
    }

    /// <summary>
    /// Who steps aside for a request, if anybody: the last of the less urgent; among the equally urgent, the last of a user
    /// who runs at least two more than the one who asks, so that nobody is sent back and forth.
    /// </summary>
    private Sequence? GivesWayTo(Sequence next)
    {
        Sequence? found = null;
        foreach (Sequence sequence in _running)
        {
            int less = FairOrder.Urgency(sequence).CompareTo(FairOrder.Urgency(next));
            bool mayAsk = less > 0 || (less == 0 && sequence.Account.NumRunning > next.Account.NumRunning + 1);
            if (mayAsk && (found is null || Rank(sequence).CompareTo(Rank(found)) > 0)) found = sequence;
        }
        return found;

        static (int, int, long) Rank(Sequence sequence) => (FairOrder.Urgency(sequence), sequence.Account.NumRunning, sequence.Arrival);
    }

    private bool Fits(Sequence next)
    {
        long promised = Demand(next);
        foreach (Sequence sequence in _running) promised += Demand(sequence);
        return promised <= pages.NumAvailable;

        static long Demand(Sequence sequence) => Math.Max(0, KvPool.PagesFor(sequence.Tokens.Length) - sequence.NumPages) + 1;
    }

    private void Postpone(Sequence sequence)
    {
        Release(sequence);
        _waiting.Add(sequence);
        NumPostponed++;
    }

    private void Release(Sequence sequence)
    {
        _running.Remove(sequence);
        pages.Free(sequence);
        freed?.Invoke(sequence);
        _freeSlots.Push(sequence.Slot);
        sequence.Account.NumRunning--;
    }
}
