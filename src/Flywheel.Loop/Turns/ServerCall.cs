using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>Asks the home's own server for what only an administrator may do, with the home's secret.</summary>
public static class ServerCall
{
    /// <param name="server">That runs on the home.</param>
    /// <param name="path">Such as /admin/promote.</param>
    /// <param name="body">As JSON.</param>
    /// <param name="cancellation">Stops.</param>
    /// <returns>Its answer.</returns>
    /// <exception cref="FlywheelException">It refused, with its reason; or it cannot be reached.</exception>
    public static async Task<JsonObject> PostAsync(this RunningServer server, string path, JsonObject body,
        CancellationToken cancellation = default)
    {
        // Loading and warming up a large model takes its time.
        using var client = new HttpClient(Direct()) { BaseAddress = new Uri(server.Url), Timeout = TimeSpan.FromMinutes(10) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret.Read(server.Home));
        try
        {
            using var content = new StringContent(body.ToJsonString(JsonText.Compact), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await client.PostAsync(new Uri(path, UriKind.Relative), content, cancellation);
            string text = await response.Content.ReadAsStringAsync(cancellation);
            return response.IsSuccessStatusCode ? JsonNode.Parse(text)!.AsObject() : throw new FlywheelException(Message(text));
        }
        catch (HttpRequestException e)
        {
            throw new FlywheelException($"it cannot be reached ({e.Message})", e);
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
