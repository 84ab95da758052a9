using System.Diagnostics;

namespace Flywheel.Engine;

/// <summary>The waiting line is full; HTTP answers 429.</summary>
public sealed class QueueFullException(string message, TimeSpan retryAfter) : Exception(message)
{
    /// <summary>About when a place will be free: as long as a generation runs at present.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}

/// <summary>
/// How many requests may be alive. A named user may, beyond a full batch, take no more places than are still free
/// afterwards (the dynamic threshold of Choudhury and Hahne 1998 for shared buffers): one alone fills half of the line, and
/// there is always room for another. Not thread-safe.
/// </summary>
internal sealed class QueueLimit(int maxBatch, int maxQueue)
{
    /// <summary>Weight of the newest interval between two endings.</summary>
    private const double NewestShare = 0.1;

    private static readonly TimeSpan LeastRetry = TimeSpan.FromSeconds(1), MostRetry = TimeSpan.FromMinutes(2);

    private readonly Dictionary<string, int> _liveOf = new(StringComparer.Ordinal);
    private double _ticksBetweenEndings;
    private long _lastEnding;

    /// <summary>Requests that wait or run.</summary>
    public int NumLive { get; private set; }

    /// <param name="user">Who asks; an empty name is limited by the whole line only.</param>
    /// <param name="now">A timestamp of <see cref="Stopwatch"/>.</param>
    /// <exception cref="QueueFullException">There is no place.</exception>
    public void Enter(string user, long now)
    {
        int free = maxBatch + maxQueue - NumLive, own = _liveOf.GetValueOrDefault(user);
        if (free <= 0) throw new QueueFullException($"{maxBatch} generations run and {maxQueue} wait; try again later", RetryAfter());
        if (user.Length > 0 && own - maxBatch >= free)
            throw new QueueFullException(
                $"{own} requests of user '{user}' run or wait and {free} places are free, which are for others; try again later",
                RetryAfter());
        if (NumLive++ == 0) _lastEnding = now;
        _liveOf[user] = own + 1;
    }

    public void Leave(string user, long now)
    {
        NumLive--;
        if (--_liveOf[user] == 0) _liveOf.Remove(user);
        double ticks = now - _lastEnding;
        _ticksBetweenEndings = _ticksBetweenEndings == 0 ? ticks : _ticksBetweenEndings + NewestShare * (ticks - _ticksBetweenEndings);
        _lastEnding = now;
    }

    /// <summary>By Little's law: those that run, over the rate at which they end.</summary>
    private TimeSpan RetryAfter()
    {
        var estimate = TimeSpan.FromSeconds(Math.Min(maxBatch, NumLive) * _ticksBetweenEndings / Stopwatch.Frequency);
        return estimate < LeastRetry ? LeastRetry : estimate > MostRetry ? MostRetry : estimate;
    }
}
