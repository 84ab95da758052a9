namespace Flywheel.Training;

/// <summary>
/// Tells from their messages when ranks no longer get on although none has died: one is not heard any more, or none of them
/// finishes a step or computes. Steps may be as long as they like.
/// </summary>
/// <param name="silence">A rank that is not heard for so long has been stopped, or its machine is gone.</param>
/// <param name="idle">Ranks that do nothing for so long wait in vain, such as for a disk.</param>
/// <param name="time">The clock.</param>
public sealed class RankWatch(TimeSpan silence, TimeSpan idle, TimeProvider time)
{
    /// <summary>A rank that uses less than this part of one processor waits: waiting for others uses some, to look whether they are
    /// there.</summary>
    private const double WorkingShare = 0.25;

    private readonly Lock _lock = new(); // lines come on one thread, the question on another
    private readonly Dictionary<int, long> _heard = [];
    private readonly Dictionary<int, (long At, double Seconds)> _worked = [];
    private long _alive = time.GetTimestamp(), _asked = time.GetTimestamp();

    /// <param name="message">Of any rank.</param>
    public void Hear(RankMessage message)
    {
        using Lock.Scope scope = _lock.EnterScope();
        long now = time.GetTimestamp();
        if (message.Progress is not null) _alive = now;
        if (message.Beat is not { } beat) return;
        for (int rank = 0; rank < beat.Size; rank++) _heard.TryAdd(rank, now);
        _heard[beat.Rank] = now;
        if (_worked.TryGetValue(beat.Rank, out var since) && time.GetElapsedTime(since.At, now) < silence / 2) return;
        if (since.At > 0 && beat.ProcessorSeconds - since.Seconds >= WorkingShare * time.GetElapsedTime(since.At, now).TotalSeconds)
            _alive = now;
        _worked[beat.Rank] = (now, beat.ProcessorSeconds);
    }

    /// <summary>Why the world is to be started again; null while there is no reason. To be asked every few seconds.</summary>
    public string? Fault()
    {
        using Lock.Scope scope = _lock.EnterScope();
        long now = time.GetTimestamp();
        // we were stopped ourselves: what was said meanwhile is still to be read
        bool slept = time.GetElapsedTime(_asked, now) > silence / 2;
        _asked = now;
        if (slept)
        {
            _alive = now;
            foreach (int rank in _heard.Keys) _heard[rank] = now;
        }
        foreach ((int rank, long at) in _heard)
            if (time.GetElapsedTime(at, now) is var quiet && quiet > silence)
                return $"rank {rank} has not been heard for {quiet.TotalSeconds:F0} s";
        return time.GetElapsedTime(_alive, now) is var waited && waited > idle
            ? $"no rank has computed anything for {waited.TotalSeconds:F0} s" : null;
    }
}
