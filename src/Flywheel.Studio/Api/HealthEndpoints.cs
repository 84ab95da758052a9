using System.Text.Json.Nodes;
using Flywheel.Loop;
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

    public static async Task ReadyAsync(HttpContext http, ModelHost host, ServerEnding ending, FlywheelStore store) =>
        await AnswerAsync(http, host, await ReasonAsync(host, ending, store, http.RequestAborted));

    public static async Task BothAsync(HttpContext http, ModelHost host, ServerEnding ending, FlywheelStore store)
    {
        string? reason = await ReasonAsync(host, ending, store, http.RequestAborted);
        await AnswerAsync(http, host, reason, ("live", Fault(host) is null), ("ready", reason is null));
    }

    /// <summary>Why it takes no requests now; null: it does.</summary>
    private static async Task<string?> ReasonAsync(ModelHost host, ServerEnding ending, FlywheelStore store, CancellationToken cancellation)
    {
        if ((Fault(host) ?? Busy(ending)) is { } own) return own;
        try
        {
            await store.ChampionAsync(cancellation);
            return null;
        }
        catch (Exception e) when (StoreFaults.Of(e) is not null)
        {
            return ErrorAnswers.From(e).Message;
        }
    }

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
