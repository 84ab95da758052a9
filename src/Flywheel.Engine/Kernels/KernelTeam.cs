using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Flywheel.Engine;

/// <summary>
/// A few threads that run a list of phases, one after the other, each cut into pieces of work. Each member begins with its
/// own share of them, neighbours in order and the same in every run, so that it reads memory in one stream and finds in its
/// cache what it wrote before; then it takes what others have left. A phase ends when its pieces are done, not when all
/// threads have come: one that a neighbour on the machine keeps from its core holds nobody up unless it is in the middle of
/// a piece, and joins later phases where they are. Where most of the time is lost so, the caller works alone for a while:
/// two threads that wait for each other's turns are slower than one. Waiting
/// spins, because a phase lasts microseconds and waking a thread costs tens of them; then it yields; and without work it
/// parks, so that an idle engine uses no CPU.
/// </summary>
internal sealed class KernelTeam : IDisposable
{
    /// <summary>Most pieces of a phase.</summary>
    public const int MaxPieces = 60_000;

    /// <summary>
    /// A few hundred microseconds, longer than most phases: who yields sooner gives its core for a scheduler's turn to
    /// whatever runs in the background, and the others wait for it.
    /// </summary>
    private const int SpinsBeforeYield = 10_000;

    /// <summary>Looks at one's own ticket for every look at the others', while waiting.</summary>
    private const int SpinsPerLook = 32;

    /// <summary>Numbers from one ticket to the next.</summary>
    private const int TicketStep = 16;
    private const int Idle = int.MaxValue;
    private const int FewestRunsAlone = 64, MostRunsAlone = 256;

    /// <summary>Weight of the newest run in the share of time that is lost.</summary>
    private const double NewestShare = 0.1;

    private static readonly long ParkAfter = Stopwatch.Frequency / 2_000;

    /// <summary>A wait of this length means that someone has lost its core: a scheduler's turn is 3 ms or more.</summary>
    private static readonly long StallTicks = Stopwatch.Frequency * 3 / 1000;

    private readonly Action<int, int, int> _work;
    private readonly Thread[] _threads;
    private readonly Parking[] _parking;
    private readonly int[] _pieces;

    /// <summary>
    /// A ticket for every member, on cache lines of their own: a phase, the end of the member's share of pieces, and the next of
    /// them, in one number. So whoever takes one knows whether it is still good without a second look, for which it could come too late.
    /// </summary>
    private readonly long[] _tickets;
    private Counter _done;
    private long _stalledTicks;
    private int _numPhases, _runsAlone = FewestRunsAlone, _aloneLeft;
    private double _lost;
    private bool _isBound;
    private volatile bool _stopping, _alone;

    /// <param name="size">Members, the caller included.</param>
    /// <param name="maxPhases">Phases of a run.</param>
    /// <param name="work">Does one piece, given its phase, its number, and the member that does it.</param>
    public KernelTeam(int size, int maxPhases, Action<int, int, int> work)
    {
        Size = size;
        _work = work;
        _pieces = new int[maxPhases];
        _tickets = new long[(size + 1) * TicketStep];
        Publish(Idle);
        _parking = [.. Enumerable.Range(0, size).Select(_ => new Parking())];
        _threads =
            [.. Enumerable.Range(1, size - 1).Select(id => new Thread(() => Serve(id)) { IsBackground = true, Name = $"kernel {id}" })];
        foreach (Thread thread in _threads) thread.Start();
    }

    public int Size { get; }

    /// <summary>A team of all cores: each member keeps one, and the calling thread, which <see cref="Run"/> is always called on, the
    /// first.</summary>
    public void BindCaller()
    {
        _isBound = BindsMembers;
        if (_isBound) Cores.Bind(0);
    }

    private bool BindsMembers => Size > 1 && Size == Cores.Count;

    /// <summary>The caller works without the others for now.</summary>
    public bool IsAlone => _alone;

    /// <summary>Members, without the caller, that are not parked.</summary>
    public int NumAwake => _parking.Skip(1).Count(place => !place.IsAsleep);

    /// <summary>Runs phases of so many pieces each (none to skip a phase but the first); returns when all are done.</summary>
    public void Run(ReadOnlySpan<int> pieces)
    {
        if (pieces[0] == 0) throw new ArgumentException("the first phase has no pieces", nameof(pieces));
        pieces.CopyTo(_pieces);
        _numPhases = pieces.Length;
        if (Publish(0)) Advance(0);
        Interlocked.MemoryBarrier(); // so that a member that is about to park sees the work, or is seen
        if (!_alone) for (int id = 1; id < Size; id++) _parking[id].Wake();
        long start = Stopwatch.GetTimestamp();
        TakePart(0);
        if (Size > 1) Judge(Stopwatch.GetTimestamp() - start);
    }

    public void Dispose()
    {
        _stopping = true;
        Interlocked.MemoryBarrier();
        for (int id = 1; id < Size; id++) _parking[id].Wake();
        foreach (Thread thread in _threads) thread.Join();
        foreach (Parking place in _parking) place.Dispose();
    }

    private ref long Ticket(int id) => ref _tickets[(id + 1) * TicketStep];

    private bool IsIdle(int id) => (int)(Volatile.Read(ref Ticket(id)) >> 32) == Idle;

    private bool HasWork(int id) => !_alone && !IsIdle(id);

    private void Serve(int id)
    {
        if (BindsMembers) Cores.Bind(id);
        while (!_stopping)
        {
            if (HasWork(id)) TakePart(id);
            else AwaitWork(id);
        }
    }

    /// <summary>Takes pieces until the run has ended.</summary>
    private void TakePart(int id)
    {
        long since = 0;
        for (int spins = 0; !IsIdle(id); spins++)
        {
            if (TryTake(id, spins, out int phase, out int piece))
            {
                NoteWait(since);
                (since, spins) = (0, -1);
                int pieces = _pieces[phase];
                _work(phase, piece, id);
                if (Interlocked.Increment(ref _done.Value) == pieces + 1) Advance(phase);
            }
            else if (spins < SpinsBeforeYield) Thread.SpinWait(1);
            else
            {
                if (since == 0) since = Stopwatch.GetTimestamp();
                Thread.Yield();
            }
        }
        NoteWait(since);
    }

    /// <summary>A piece of one's own share, or of another's: at once, and then seldom, because looking slows the other down.</summary>
    private bool TryTake(int id, int spins, out int phase, out int piece)
    {
        int others = spins % SpinsPerLook == 0 ? Size : 1;
        for (int i = 0; i < others; i++)
        {
            ref long ticket = ref Ticket((id + i) % Size);
            long seen = Volatile.Read(ref ticket);
            if ((seen & 0xFFFF) >= (seen >> 16 & 0xFFFF)) continue;
            long taken = Interlocked.Increment(ref ticket) - 1;
            (phase, piece) = ((int)(taken >> 32), (int)(taken & 0xFFFF));
            if (piece < (taken >> 16 & 0xFFFF)) return true;
        }
        (phase, piece) = (0, 0);
        return false;
    }

    private void NoteWait(long since)
    {
        long waited = since == 0 ? 0 : Stopwatch.GetTimestamp() - since;
        if (waited > StallTicks) Interlocked.Add(ref _stalledTicks, waited);
    }

    /// <summary>
    /// After a run: works alone when that is quicker, because members wait for each other so much that less than one's work
    /// is done at a time; tries again later, ever later while it is so. A program that wants a core for a while slows a team
    /// of two by a third, working alone by half.
    /// </summary>
    private void Judge(long ticks)
    {
        if (_alone)
        {
            if (--_aloneLeft > 0) return;
            _alone = false;
            _lost = 0;
            if (_isBound) Cores.Bind(0);
            return;
        }
        double waited = (double)Interlocked.Exchange(ref _stalledTicks, 0) / (Size - 1);
        _lost += NewestShare * (waited / ticks - _lost);
        double tolerated = 1 - 1.0 / Size;
        if (_lost < tolerated / 10) _runsAlone = FewestRunsAlone;
        if (_lost <= tolerated) return;
        _alone = true;
        if (_isBound) Cores.Release();
        _aloneLeft = _runsAlone;
        _runsAlone = Math.Min(2 * _runsAlone, MostRunsAlone);
    }

    /// <summary>
    /// Publishes the phase after a finished one. Publishing counts as a piece: members may finish what they see of a phase
    /// before all of it is published, and none may go on to the next until then.
    /// </summary>
    private void Advance(int phase)
    {
        do
        {
            do phase++;
            while (phase < _numPhases && _pieces[phase] == 0);
            if (phase == _numPhases)
            {
                Publish(Idle);
                return;
            }
        }
        while (Publish(phase));
    }

    /// <summary>True when all its pieces are done already.</summary>
    private bool Publish(int phase)
    {
        int pieces = phase == Idle ? 0 : _pieces[phase];
        Volatile.Write(ref _done.Value, 0);
        for (int id = Size - 1; id >= 0; id--) // the caller last: when it sees the end of a run, it may begin the next
            Volatile.Write(ref Ticket(id), (long)phase << 32 | (long)Share(id + 1) << 16 | (long)Share(id));
        return phase != Idle && Interlocked.Increment(ref _done.Value) == pieces + 1;

        int Share(int id) => (pieces * id + Size - 1) / Size;
    }

    private void AwaitWork(int id)
    {
        long since = Stopwatch.GetTimestamp();
        for (int spins = 0; !HasWork(id) && !_stopping; spins++)
        {
            if (spins < SpinsBeforeYield) Thread.SpinWait(1);
            else if (Stopwatch.GetTimestamp() - since < ParkAfter) Thread.Yield();
            else Park(id);
        }
    }

    private void Park(int id)
    {
        Parking place = _parking[id];
        place.Announce();
        // Work that came before the announcement is seen here; whoever brings work after it sees the announcement.
        if ((!HasWork(id) && !_stopping) || !place.Withdraw()) place.Sleep();
    }

    /// <summary>On cache lines of its own, because all members change it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Counter
    {
        [FieldOffset(128)] public int Value;
    }

    /// <summary>Where one member sleeps. Waking one that does not sleep costs one read.</summary>
    private sealed class Parking : IDisposable
    {
        private readonly SemaphoreSlim _signal = new(0);
        private int _asleep;

        public bool IsAsleep => Volatile.Read(ref _asleep) == 1;

        public void Announce() => Interlocked.Exchange(ref _asleep, 1);

        /// <summary>False when a signal is already under way, which then must be taken.</summary>
        public bool Withdraw() => Interlocked.Exchange(ref _asleep, 0) == 1;

        public void Sleep() => _signal.Wait();

        public void Wake()
        {
            if (Volatile.Read(ref _asleep) == 1 && Withdraw()) _signal.Release();
        }

        public void Dispose() => _signal.Dispose();
    }
}
