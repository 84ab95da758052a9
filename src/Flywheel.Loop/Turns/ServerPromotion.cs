using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
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
        // Loading and warming up a large model takes its time.
        using var client = new HttpClient(Direct()) { BaseAddress = new Uri(server.Url), Timeout = TimeSpan.FromMinutes(10) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret.Read(server.Home));
        try
        {
            var body = new JsonObject { ["model"] = modelHash, ["reason"] = reason[..Math.Min(reason.Length, 1000)] };
            using var content = new StringContent(body.ToJsonString(JsonText.Compact), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await client.PostAsync(new Uri("/admin/promote", UriKind.Relative), content, cancellation);
            if (response.IsSuccessStatusCode) return;
            throw new FlywheelException($"the server at {server.Url} did not take model {modelHash[..12]}: {Message(await response.Content.ReadAsStringAsync(cancellation))}; run the turn again to go on with the promotion");
        }
        catch (HttpRequestException e)
        {
            throw new FlywheelException($"the server at {server.Url} cannot be reached ({e.Message}); run the turn again to go on with the promotion", e);
        }
    }

    // The server is on this machine: no proxy of the environment may hear the secret, nor any address that an answer points to.
    private static SocketsHttpHandler Direct() => new() { UseProxy = false, AllowAutoRedirect = false };

    /// <summary>The text of OpenAI's error object.</summary>
    private static string Message(string body)
    {
        try
        {
            return JsonNode.Parse(body)?["error"]?["message"]?.GetValue<string>() ?? body;
        }
        catch (JsonException)
        {
            return body;
        }
    }
}
