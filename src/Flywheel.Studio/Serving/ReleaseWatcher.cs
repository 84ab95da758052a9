using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>Looks at a release that is watched as long as the server runs, and takes it back when a fall is certain.</summary>
internal sealed class ReleaseWatcher(FlywheelStore store, ModelSwitch models, TimeProvider time, ILogger<ReleaseWatcher> log)
    : BackgroundService
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(15);

    private readonly SemaphoreSlim _reading = new(1, 1);
    private ((long Release, int Answers, long Said) Known, ReleaseWatch? Watch)? _read;

    /// <summary>Why a release that should be taken back was not; null where it was, or need not be.</summary>
    public string? Fault { get; private set; }

    /// <summary>What is known of the release that is watched; null where none is. Read again only when something was added.</summary>
    public async Task<ReleaseWatch?> SeenAsync(CancellationToken cancellation = default)
    {
        await _reading.WaitAsync(cancellation);
        try
        {
            DateTimeOffset now = time.GetUtcNow();
            (long Release, int Answers, long Said) known = await ReleaseWatch.CountAsync(store, now, cancellation);
            if (_read is not { } read || read.Known != known)
                _read = (known,
                    await ReleaseWatch.ReadAsync(store, now,
                        _read is { } last && last.Known.Said == known.Said && last.Known.Answers <= known.Answers ? last.Watch : null,
                        cancellation));
            else read.Watch?.Seen.Advance(now);
            return _read.Value.Watch;
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <summary>Looks, and does what follows.</summary>
    public async Task CheckAsync(CancellationToken cancellation = default)
    {
        if (await SeenAsync(cancellation) is not { Verdict.Move: WatchMove.TakeBack } watch)
        {
            Fault = null;
            return;
        }
        try
        {
            await TakeBackAsync(watch, watch.Reason);
            Fault = null;
            log.LogWarning("Release {Id} was {Reason}", watch.Release.Id, watch.Reason);
        }
        catch (Exception e) when (e is FlywheelException or IOException)
        {
            if (Fault != e.Message)
                log.LogError("Release {Id} should be taken back, because {Reason}, and cannot be: {Message}", watch.Release.Id,
                    watch.Verdict.Reason, e.Message);
            Fault = e.Message;
        }
    }

    /// <summary>The former model answers again, because a person says so.</summary>
    /// <exception cref="FlywheelException">Nothing is watched, another model was released meanwhile, or the former one does not
    /// load.</exception>
    public async Task TakeBackAsync(string who)
    {
        ReleaseWatch watch =
            await SeenAsync()
                ?? throw new FlywheelException(
                    "no release is watched, so there is none to take back; ./flywheel models rollback goes back to an earlier one");
        await TakeBackAsync(watch,
            $"{ReleaseWatch.TakenBack}{watch.Release.ModelHash[..12]}, by {who}{(watch.Verdict.Reason is { Length: > 0 } why ? $" because {why}" : "")}");
    }

    /// <summary>A person has looked, and the release stays.</summary>
    /// <exception cref="FlywheelException">Nothing is watched.</exception>
    public Task KeepAsync() => ReleaseWatch.KeepAsync(store, time.GetUtcNow());

    private Task TakeBackAsync(ReleaseWatch watch, string reason) =>
        models.ServeAsync(watch.Former, _ => watch.TakeBackAsync(store, reason, time.GetUtcNow()));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            TimeSpan took = TimeSpan.Zero;
            while (true)
            {
                await Task.Delay(s_pause + 10 * took, time, stoppingToken); // reading a large record takes a while; the requests come first
                long start = time.GetTimestamp();
                try
                {
                    await CheckAsync(stoppingToken);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    log.LogError(e, "The release that is watched could not be looked at; it is again in a moment");
                }
                took = time.GetElapsedTime(start);
            }
        }
        catch (OperationCanceledException)
        {
            // the server ends
        }
    }
}
