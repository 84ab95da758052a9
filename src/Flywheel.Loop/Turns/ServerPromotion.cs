using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>Makes a model the champion in the record, and in the server that runs on the home.</summary>
public static class ServerPromotion
{
    /// <summary>
    /// Asks the home's server, if one runs, to swap; then writes the record. A server that only comes up meanwhile makes itself known and
    /// then looks at the record: either it finds the release there, or it is found here and asked.
    /// </summary>
    /// <param name="home">Whose server is asked.</param>
    /// <param name="modelHash">The next champion.</param>
    /// <param name="reason">What the server's release says.</param>
    /// <param name="record">Writes the release; completes when it is on disk.</param>
    /// <param name="asks">Told before a server is asked.</param>
    /// <param name="cancellation">Stops.</param>
    /// <exception cref="FlywheelException">The server refused or cannot be reached; it goes on with its old model.</exception>
    public static async Task ReleaseAsync(FlywheelHome home, string modelHash, string reason, Func<Task> record,
        Action<RunningServer>? asks = null, CancellationToken cancellation = default)
    {
        bool asked = await AskAsync();
        await record();
        if (!asked) await AskAsync();

        async Task<bool> AskAsync()
        {
            if (RunningServer.Find(home) is not { } server) return false;
            asks?.Invoke(server);
            await server.PromoteAsync(modelHash, reason, cancellation);
            return true;
        }
    }

    /// <summary>Completes when new requests go to the model.</summary>
    /// <exception cref="FlywheelException">The server refused or cannot be reached; it goes on with its old model.</exception>
    private static async Task PromoteAsync(this RunningServer server, string modelHash, string reason, CancellationToken cancellation)
    {
        try
        {
            await server.PostAsync("/admin/promote", new() { ["model"] = modelHash, ["reason"] = reason[..Math.Min(reason.Length, 1000)] },
                cancellation);
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(
                $"the server at {server.Url} did not take model {modelHash[..12]}: {e.Message}; run the turn again to go on with the promotion", e);
        }
    }
}
