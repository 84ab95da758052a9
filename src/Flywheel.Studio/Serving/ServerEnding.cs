using Flywheel.Studio.OpenAI;

namespace Flywheel.Studio.Serving;

/// <summary>How a server stops: new requests are refused, running answers have a while to end, then they are cut and recorded as
/// cancelled.</summary>
internal sealed class ServerEnding : IDisposable
{
    private readonly CancellationTokenSource _cut = new(), _begun = new();
    private int _running, _runningAtStop;

    /// <summary>Ends what still runs.</summary>
    public CancellationToken Cut { get; }

    /// <summary>Ends what nobody waits for, before anything new is refused: a job that was refused would count as failed.</summary>
    public CancellationToken Begun { get; }

    public ServerEnding() => (Cut, Begun) = (_cut.Token, _begun.Token); // a token outlives its source, which is disposed with the server

    public bool Stopping { get; private set; }

    /// <summary>Requests whose answers run.</summary>
    public int NumRunning => Volatile.Read(ref _running);

    public int NumCut { get; private set; }

    /// <summary>Answers that ran when the server was told to stop and ended by themselves.</summary>
    public int NumEnded => _runningAtStop - NumCut;

    /// <exception cref="ApiException">The server is stopping.</exception>
    public void RefuseWhenStopping()
    {
        if (Stopping) throw new ApiException(503, "the server is stopping and takes no new requests; try again in a moment",
            code: "server_stopping", type: "server_error") { RetryAfter = TimeSpan.FromSeconds(5) };
    }

    public void Enter() => Interlocked.Increment(ref _running);

    public void Leave() => Interlocked.Decrement(ref _running);

    /// <summary>From now on nothing new begins.</summary>
    public void Begin()
    {
        _begun.Cancel();
        Stopping = true;
        _runningAtStop = NumRunning;
    }

    /// <summary>The time is over.</summary>
    public void CutAll()
    {
        NumCut = NumRunning;
        _cut.Cancel();
    }

    public void Dispose()
    {
        _cut.Dispose();
        _begun.Dispose();
    }
}
