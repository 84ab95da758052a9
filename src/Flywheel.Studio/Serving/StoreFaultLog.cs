using Flywheel.Loop;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>
/// Writes what is logged to another log; but of the record's database, without which everything fails at once and again until it is back,
/// one line a minute, with how many it stands for.
/// </summary>
internal sealed class StoreFaultLog(ILoggerProvider inner, TimeProvider time) : ILoggerProvider
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMinutes(1);

    private readonly Lock _change = new();
    private long? _written;
    private int _unwritten;

    public ILogger CreateLogger(string categoryName) => new Lines(this, inner.CreateLogger(categoryName));

    public void Dispose() => inner.Dispose();

    /// <returns>How many were not written since the last that was; null: this one is not to be written either.</returns>
    private int? TakeTurn()
    {
        lock (_change)
        {
            if (_written is { } last && time.GetElapsedTime(last) < s_pause)
            {
                _unwritten++;
                return null;
            }
            (_written, int others, _unwritten) = (time.GetTimestamp(), _unwritten, 0);
            return others;
        }
    }

    private sealed class Lines(StoreFaultLog all, ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (StoreFaults.Of(exception) is null) inner.Log(logLevel, eventId, state, exception, formatter);
            else if (IsEnabled(logLevel) && all.TakeTurn() is { } others)
                inner.Log(logLevel, eventId, state, null, (_, _) =>
                    $"{formatter(state, exception)} ({exception!.GetBaseException().Message})"
                    + (others == 0 ? "" : $", and {others} other failures of the record's database since the last line about it"));
        }
    }
}
