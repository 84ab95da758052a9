using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;

namespace Flywheel.Studio.Serving;

/// <summary>What an upstream refuses or fails with, in our words: who, what, and whose turn it is.</summary>
internal static class UpstreamErrors
{
    private const string ServerError = "server_error";

    public static async Task<ApiException> OfAsync(Upstream upstream, HttpResponseMessage response, CancellationToken cancellation)
    {
        JsonObject? error = null;
        try
        {
            string body = await response.Content.ReadAsStringAsync(cancellation);
            error = (JsonNode.Parse(body[..Math.Min(body.Length, 100_000)]) as JsonObject)?["error"] as JsonObject;
        }
        catch (Exception e) when (e is JsonException or HttpRequestException)
        {
            // a proxy's page, or nothing
        }
        int status = (int)response.StatusCode;
        string said = error is null ? "" : $": {Said(upstream, error)}", who = $"the upstream '{upstream.Name}'";
        TimeSpan? wait = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - TimeProvider.System.GetUtcNow() is { Ticks: > 0 } left ? left : TimeSpan.Zero,
            _ => null,
        };
        return status switch
        {
            401 or 403 =>
                new(502, $"{who} refuses the key{(upstream.KeyFrom is { } name ? $" of the environment variable {name}" : ", for none is configured")} ({status}){said}", code: "upstream_unauthorized", type: ServerError),
            429 => new(429, $"{who} takes no more for now (429){said}", code: "rate_limit_exceeded",
                type: "rate_limit_error") { RetryAfter = wait },
            400 or 413 or 422 => new(400, $"{who} refuses the request ({status}){said}",
                error?["param"] is JsonValue field && field.TryGetValue(out string? param) ? WithoutKey(upstream, param) : null,
                "upstream_invalid_request"),
            404 => new(502, $"{who} has no model '{upstream.Model}' at {upstream.BaseUrl} (404){said}", code: "upstream_not_found",
                type: ServerError),
            503 => new(503, $"{who} is not ready (503){said}", code: "upstream_unavailable", type: ServerError) { RetryAfter = wait },
            _ => new(502, $"{who} failed with status {status.ToString(CultureInfo.InvariantCulture)}{said}", code: "upstream_error",
                type: ServerError),
        };
    }

    public static ApiException TooSlow(Upstream upstream) => new(504,
        string.Create(CultureInfo.InvariantCulture, $"the upstream '{upstream.Name}' said nothing for {upstream.TimeoutS:0.##} seconds"),
        code: "upstream_timeout", type: ServerError);

    public static ApiException Broken(Upstream upstream, string how) =>
        new(502, $"the answer of the upstream '{upstream.Name}' broke off: {how}", code: "upstream_broken", type: ServerError);

    /// <summary>Of the connection.</summary>
    /// <param name="upstream">Whose.</param>
    /// <param name="e">What happened.</param>
    /// <param name="begun">A part of the answer was there.</param>
    public static Exception Of(Upstream upstream, Exception e, bool begun) => e switch
    {
        HttpRequestException or IOException when begun => Broken(upstream, e.Message),
        HttpRequestException or IOException => new ApiException(502,
            $"the upstream '{upstream.Name}' cannot be reached at {upstream.BaseUrl}: {e.Message}", code: "upstream_unreachable",
            type: ServerError),
        _ => e,
    };

    /// <summary>The text of OpenAI's error object, of a reasonable length.</summary>
    public static string Said(Upstream upstream, JsonObject error)
    {
        string text =
            WithoutKey(upstream, error["message"] is JsonValue value && value.TryGetValue(out string? message)
                ? message : error.ToJsonString(JsonText.Compact));
        return text.Length <= 500 ? text : text[..500] + "...";
    }

    /// <summary>Some quote the key that they refuse; who asks here is not to see it.</summary>
    private static string WithoutKey(Upstream upstream, string text) =>
        upstream.KeyFrom is { } name && Environment.GetEnvironmentVariable(name)?.Trim() is { Length: > 0 } key
            ? text.Replace(key, "(the key)", StringComparison.Ordinal) : text;
}
