namespace Flywheel.Training;

/// <summary>
/// Threads that wait for the next kernel: for a moment awake, because a step is some hundred kernels one after another and
/// waking a thread costs as much as a small one of them, then asleep, so that a server beside a training has the processor.
/// </summary>
/// <remarks>Who computes a part does not matter: a kernel's result follows from the number of parts alone.</remarks>
internal sealed class ThreadTeam
{
    /// <summary>Rounds of waiting awake, some 100 microseconds.</summary>
    private const int AwakeRounds = 400;

    private readonly Lock _use = new();
    private readonly object _sleep = new();
    private int _numWorkers, _round, _sleeping, _parts, _running;
    private Action<int> _body = _ => { };
    private Exception? _failure;

    public static ThreadTeam Shared { get; } = new();

    /// <summary>Calls <paramref name="body"/> with each of 0 .. <paramref name="parts"/> - 1, at the same time, and waits for
    /// all.</summary>
    public void Run(int parts, Action<int> body)
    {
        // Whoever finds the team at work (tests do) computes alone.
        if (parts == 1 || !_use.TryEnter())
        {
            for (int part = 0; part < parts; part++) body(part);
            return;
        }
        try
        {
            for (; _numWorkers < parts - 1; _numWorkers++)
            {
                (int part, int round) = (_numWorkers + 1, _round);
                new Thread(() => Work(part, round)) { IsBackground = true, Name = $"kernel {part}" }.Start();
            }
            (_body, _parts, _failure) = (body, parts, null);
            Volatile.Write(ref _running, _numWorkers);
            Interlocked.Increment(ref _round);
            if (Volatile.Read(ref _sleeping) > 0)
                lock (_sleep) Monitor.PulseAll(_sleep);
            try
            {
                body(0);
            }
            finally
            {
                for (var wait = new SpinWait(); Volatile.Read(ref _running) > 0;) wait.SpinOnce(sleep1Threshold: -1);
                _body = _ => { };
            }
            if (_failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
        finally
        {
            _use.Exit();
        }
    }

    private void Work(int part, int seen)
    {
        while (true)
        {
            for (int i = 0; Volatile.Read(ref _round) == seen; i++)
            {
                if (i < AwakeRounds) Thread.SpinWait(8);
                else Sleep(seen);
            }
            seen++;
            try
            {
                if (part < _parts) _body(part);
            }
            catch (Exception e)
            {
                _failure = e; // the caller of Run gets it
            }
            Interlocked.Decrement(ref _running);
        }
    }

    private void Sleep(int seen)
    {
        lock (_sleep)
        {
            Interlocked.Increment(ref _sleeping);
            while (Volatile.Read(ref _round) == seen) Monitor.Wait(_sleep);
            Interlocked.Decrement(ref _sleeping);
        }
    }
}
