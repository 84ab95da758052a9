using System.Diagnostics;

namespace Flywheel.Data;

/// <summary>Says every few seconds how far long work is, so that nobody takes it for hung.</summary>
internal sealed class Ticker
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly Action<string>? _say;
    private readonly string _what, _unit;
    private long _told = Stopwatch.GetTimestamp();

    /// <param name="say">Takes the line; null says nothing.</param>
    /// <param name="what">Is done, such as <c>reading packages</c>; said at once.</param>
    /// <param name="unit">That is counted.</param>
    public Ticker(Action<string>? say, string what, string unit)
    {
        (_say, _what, _unit) = (say, what, unit);
        say?.Invoke(what);
    }

    /// <param name="done">So far.</param>
    /// <param name="all">Of so many; 0 where nobody knows.</param>
    public void At(long done, long all = 0)
    {
        if (_say is null || Stopwatch.GetElapsedTime(_told) < Interval) return;
        _told = Stopwatch.GetTimestamp();
        _say(all > 0 ? $"{_what}: {done:N0} of {all:N0} {_unit}" : $"{_what}: {done:N0} {_unit}");
    }
}
