namespace Flywheel.Studio.Apps;

/// <summary>
/// An event whose handlers run as who subscribed: a page hears of what somebody else did, perhaps in another workspace, and looks at the
/// record as its own
/// person (<see cref="Flywheel.Loop.Actor"/>), not as the one who rang.
/// </summary>
internal sealed class Bell
{
    private readonly Lock _lock = new();
    private (Delegate Handler, ExecutionContext? Context)[] _handlers = [];

    public void Add(Delegate? handler)
    {
        if (handler is null) return;
        lock (_lock) _handlers = [.. _handlers, (handler, ExecutionContext.Capture())];
    }

    public void Remove(Delegate? handler)
    {
        lock (_lock)
        {
            int index = Array.FindLastIndex(_handlers, one => one.Handler == handler);
            if (index >= 0) _handlers = [.. _handlers[..index], .. _handlers[(index + 1)..]];
        }
    }

    public void Ring() => Ring(handler => ((Action)handler)());

    public void Ring<T>(T what) => Ring(handler => ((Action<T>)handler)(what));

    private void Ring(Action<Delegate> call)
    {
        foreach ((Delegate handler, ExecutionContext? context) in _handlers)
            if (context is null) call(handler);
            else ExecutionContext.Run(context, _ => call(handler), null);
    }
}
