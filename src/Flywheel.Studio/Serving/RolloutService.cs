using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>Asks the rules of a rollout again and again, as long as the server runs.</summary>
internal sealed class RolloutService(RolloutHost rollouts, TimeProvider time, ILogger<RolloutService> log) : BackgroundService
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                long start = time.GetTimestamp();
                try
                {
                    await rollouts.CheckAsync(stoppingToken);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    log.LogError(e, "A rollout could not be looked at; it is again in a moment");
                }
                // Reading a large one takes a while; the requests come first.
                TimeSpan took = time.GetElapsedTime(start);
                await Task.Delay(s_pause + 10 * took, time, stoppingToken);
            }
        }
        catch (OperationCanceledException)
        {
            // the server ends
        }
    }
}
