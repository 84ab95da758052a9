using System.Text.Json.Nodes;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary>
/// <c>GET /health/live</c>: the process can do its work, or must be restarted. <c>GET /health/ready</c>: it takes requests now.
/// <c>GET /health</c>: both. 200 or 503, and why.
/// </summary>
internal static class HealthEndpoints
{
    public static Task LiveAsync(HttpContext http, ModelHost host) => AnswerAsync(http, host, Fault(host));

    public static Task ReadyAsync(HttpContext http, ModelHost host, ServerEnding ending) =>
        AnswerAsync(http, host, Fault(host) ?? Busy(ending));

    public static Task BothAsync(HttpContext http, ModelHost host, ServerEnding ending) =>
        AnswerAsync(http, host, Fault(host)
            ?? Busy(ending), ("live", Fault(host) is null), ("ready", (Fault(host) ?? Busy(ending)) is null));

    private static string? Fault(ModelHost host) =>
        host.Current.Engine.Defect is { } defect
            ? $"the engine of the model broke an invariant ({defect.GetType().Name}: {defect.Message}): promote a model or restart the server" : null;

    private static string? Busy(ServerEnding ending) => ending.Stopping ? "the server is stopping" : null;

    private static Task AnswerAsync(HttpContext http, ModelHost host, string? reason, params (string Name, bool Value)[] parts)
    {
        var answer = new JsonObject { ["status"] = reason is null ? "ok" : "unavailable", ["model_hash"] = host.Current.Hash };
        foreach ((string name, bool value) in parts) answer[name] = value;
        if (reason is not null) (answer["reason"], http.Response.StatusCode) = (reason, StatusCodes.Status503ServiceUnavailable);
        return Answers.Json(http, answer);
    }
}
