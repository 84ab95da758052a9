using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Shell;

/// <summary>Looks again and again as long as a page is open. What goes wrong once is logged, and looked at again.</summary>
internal static class Following
{
    /// <param name="pause">Before each look.</param>
    /// <param name="time">Measures it.</param>
    /// <param name="look">Looks, and says whether to go on.</param>
    /// <param name="log">Is told what went wrong.</param>
    /// <param name="left">The page was left.</param>
    public static async Task RunAsync(TimeSpan pause, TimeProvider time, Func<Task<bool>> look, ILogger log, CancellationToken left)
    {
        try
        {
            bool more = true;
            while (more)
            {
                await Task.Delay(pause, time, left);
                try
                {
                    more = await look();
                }
                catch (Exception e) when (e is not ObjectDisposedException && !left.IsCancellationRequested)
                {
                    log.LogError(e, "An open page could not read what has changed; it does again in a moment");
                }
            }
        }
        catch (Exception) when (left.IsCancellationRequested)
        {
            // the page was left
        }
        catch (ObjectDisposedException)
        {
            // it was left while it drew
        }
    }
}
