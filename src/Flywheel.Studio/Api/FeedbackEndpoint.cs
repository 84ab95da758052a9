using Flywheel.Loop;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary><c>POST /feedback</c>: what a person did about a generation. Answered when it is on disk.</summary>
internal static class FeedbackEndpoint
{
    public static async Task HandleAsync(HttpContext http, FlywheelStore store, ServingMetrics metrics)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        FeedbackInput input = FeedbackInput.FromJson(body.Json) with { Owner = body.Owner };
        if (body.Flag("dryrun") == true)
        {
            await store.CheckStoredAsync(input, http.RequestAborted);
            await Answers.Json(http, new() { ["feedback_id"] = null, ["dryrun"] = true });
            return;
        }
        // A client that hangs up in the middle may still have been heard: the write is not cancelled.
        FeedbackReceipt receipt = await store.AddFeedbackAsync(input, CancellationToken.None);
        metrics.Feedback(input.Metric);
        await Answers.Json(http, new() { ["feedback_id"] = receipt.Id.ToString(), ["orphan"] = receipt.Orphan });
    }
}
