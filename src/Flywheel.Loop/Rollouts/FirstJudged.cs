namespace Flywheel.Loop.Rollouts;

/// <summary>The first requests that a person judged, each at its last value: together they make one observation.</summary>
internal sealed class FirstJudged
{
    private readonly List<(Guid Request, double Value, bool Final)> _values = [];

    public int Count => _values.Count;

    /// <summary>Of the values; there must be one.</summary>
    public double Mean => _values.Average(one => one.Value);

    /// <summary>Takes what a person says now of a request.</summary>
    /// <param name="request">Which.</param>
    /// <param name="value">0 to 1; null takes back.</param>
    /// <param name="final">No draft of the request is left that could make it more.</param>
    /// <returns>The observation is whole: with the fifth, once every request in it has its value; where a draft may still make one more,
    /// with the sixth.</returns>
    public bool Put(Guid request, double? value, bool final)
    {
        int known = _values.FindIndex(one => one.Request == request);
        if (value is not { } given)
        {
            if (known >= 0) _values.RemoveAt(known);
            return false;
        }
        if (known >= 0) _values[known] = (request, given, final);
        else if (_values.Count == RolloutTracker.PerPerson) return true;
        else _values.Add((request, given, final));
        return _values.Count == RolloutTracker.PerPerson && _values.TrueForAll(one => one.Final);
    }
}
