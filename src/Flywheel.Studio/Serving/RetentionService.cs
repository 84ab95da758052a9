using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>Takes texts out of the record once they are older than <c>settings.yaml</c> of the home keeps them.</summary>
internal sealed class RetentionService(FlywheelStore store, TimeProvider time, ILogger<RetentionService> log) : BackgroundService
{
    private static readonly TimeSpan s_first = TimeSpan.FromMinutes(1), s_pause = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (TimeSpan wait = s_first; ; wait = s_pause)
            {
                await Task.Delay(wait, time, stoppingToken);
                try
                {
                    if (await ApplyAsync(store, time, stoppingToken) is { } done)
                        log.LogInformation("Retention: texts of {Answers} answers and {Feedback} feedback removed", done.Answers,
                            done.Feedback);
                }
                catch (FlywheelException e)
                {
                    // A turn runs, or the settings are wrong: tried again, and said each time, because somebody relies on it.
                    log.LogWarning("What is too old stays in the record for now: {Message}", e.Message);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    log.LogError(e, "What is too old stays in the record for now");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // the server ends
        }
    }

    /// <summary>Does once what the settings say; null where there was nothing to do.</summary>
    internal static async Task<RetentionResult?> ApplyAsync(FlywheelStore store, TimeProvider time, CancellationToken cancellation)
    {
        HomeSettings settings = HomeSettings.Read(store.Home);
        if (settings.Retention.Count == 0) return null;
        RetentionResult done = await new Retention(store, time) { InBackground = true }.RunAsync(settings.Retention,
            cancellation: cancellation);
        return done.Answers + done.Feedback + done.StoredAnswers > 0 ? done : null;
    }
}
