using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Flywheel.Engine;

/// <summary>
/// A few threads that run the same program, with barriers between its phases. The caller is member 0. Waiting spins,
/// because a phase lasts microseconds and waking a thread costs tens of them; it yields when a neighbour has the core,
/// and parks when no work comes, so that an idle engine uses no CPU.
/// </summary>
internal sealed class KernelTeam : IDisposable
{
    private const int SpinsBeforeYield = 2_000;
    private static readonly long ParkAfter = Stopwatch.Frequency / 2_000;

    private readonly Action<int> _program;
    private readonly Thread[] _threads;
    private readonly Parking[] _parking;
    private Counters _counters;
    private volatile bool _stopping;

    /// <param name="size">Members, the caller included.</param>
    /// <param name="program">What every member runs, given its number.</param>
    public KernelTeam(int size, Action<int> program)
    {
        Size = size;
        _program = program;
        _parking = [.. Enumerable.Range(0, size).Select(_ => new Parking())];
        _threads = [.. Enumerable.Range(1, size - 1).Select(id => new Thread(() => Serve(id)) { IsBackground = true, Name = $"kernel {id}" })];
        foreach (Thread thread in _threads) thread.Start();
    }

    public int Size { get; }

    /// <summary>Members, without the caller, that are not parked.</summary>
    public int NumAwake => _parking.Skip(1).Count(place => !place.IsAsleep);

    /// <summary>Runs the program on all members; returns when all have ended.</summary>
    public void Run()
    {
        if (Size > 1)
        {
            Interlocked.Increment(ref _counters.Started);
            for (int id = 1; id < Size; id++) _parking[id].Wake();
        }
        _program(0);
        Barrier();
    }

    /// <summary>Waits until every member has come here.</summary>
    public void Barrier()
    {
        if (Size == 1) return;
        int phase = Volatile.Read(ref _counters.Phase);
        if (Interlocked.Increment(ref _counters.Arrived) == Size)
        {
            _counters.Arrived = 0;
            Volatile.Write(ref _counters.Phase, phase + 1);
            return;
        }
        for (int spins = 0; Volatile.Read(ref _counters.Phase) == phase; spins++)
        {
            if (spins < SpinsBeforeYield) Thread.SpinWait(1);
            else Thread.Yield();
        }
    }

    public void Dispose()
    {
        _stopping = true;
        Interlocked.Increment(ref _counters.Started);
        for (int id = 1; id < Size; id++) _parking[id].Wake();
        foreach (Thread thread in _threads) thread.Join();
        foreach (Parking place in _parking) place.Dispose();
    }

    private void Serve(int id)
    {
        for (int round = 0; ; round++)
        {
            WaitForRound(id, round);
            if (_stopping) return;
            _program(id);
            Barrier();
        }
    }

    private void WaitForRound(int id, int round)
    {
        int spins = 0;
        long since = 0;
        while (Volatile.Read(ref _counters.Started) == round)
        {
            if (++spins < SpinsBeforeYield)
            {
                Thread.SpinWait(1);
                continue;
            }
            if (since == 0) since = Stopwatch.GetTimestamp();
            if (Stopwatch.GetTimestamp() - since < ParkAfter) Thread.Yield();
            else Park(id, round);
        }
    }

    private void Park(int id, int round)
    {
        Parking place = _parking[id];
        place.Announce();
        // Work that came before the announcement is seen here; whoever brings work after it sees the announcement.
        if (Volatile.Read(ref _counters.Started) == round || !place.Withdraw()) place.Sleep();
    }

    /// <summary>The counters that members watch lie on cache lines of their own.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Counters
    {
        [FieldOffset(128)] public int Started;
        [FieldOffset(256)] public int Phase;
        [FieldOffset(384)] public int Arrived;
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
