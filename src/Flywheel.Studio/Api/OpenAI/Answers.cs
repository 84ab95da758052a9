using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary>Sends what a group of generations gives: in one piece, or as it comes.</summary>
internal static class Answers
{
    /// <summary>An answer in one piece, which has ended.</summary>
    public static JsonObject Whole(GenerationGroup group, AnswerFormat format)
    {
        JsonObject answer = format.Envelope(chunk: false, [.. group.Choices.Select(format.WholeChoice)]);
        answer["usage"] = format.Usage();
        return answer;
    }

    /// <param name="http">Who asked.</param>
    /// <param name="group">What runs.</param>
    /// <param name="format">How it is written.</param>
    /// <param name="ended">Called when all is recorded, before the client is told of the end.</param>
    public static async Task SendWholeAsync(HttpContext http, GenerationGroup group, AnswerFormat format, Func<GenerationGroup, Task> ended)
    {
        await foreach (ChoiceEvent _ in group.Events) { } // each choice ends recorded
        http.RequestAborted.ThrowIfCancellationRequested();
        if (group.Choices.Any(choice => choice.FinishReason == FinishReason.Cancelled)) throw Stopping();
        await ended(group);
        await Json(http, Whole(group, format));
    }

    public static async Task SendStreamAsync(HttpContext http, GenerationGroup group, AnswerFormat format, bool withUsage,
        Func<GenerationGroup, Task> ended, ILogger log)
    {
        await group.Started; // what an upstream refuses has a status of its own
        var stream = new EventStream(http);
        try
        {
            foreach (Choice choice in group.Choices)
                if (format.Opening(choice) is { } opening) await stream.SendAsync(Chunk(opening));
            await foreach ((Choice choice, SampledToken? token) in group.Events)
            {
                http.RequestAborted.ThrowIfCancellationRequested();
                if (token is null && choice.FinishReason == FinishReason.Cancelled) throw Stopping();
                foreach (JsonObject change in token is null ? format.EndEvents(choice) : format.Events(choice, token))
                    await stream.SendAsync(Chunk(change));
            }
            await ended(group);
            if (withUsage)
            {
                JsonObject last = format.Envelope(chunk: true);
                last["usage"] = format.Usage();
                await stream.SendAsync(last);
            }
            await stream.EndAsync();
        }
        catch (Exception e) when (http.Response.HasStarted && !http.RequestAborted.IsCancellationRequested)
        {
            // The status is sent already; OpenAI's clients look for an error in the events.
            ApiException error = ErrorAnswers.From(e);
            if (error.Status == 500) log.LogError(e, "A stream of {Path} failed", http.Request.Path);
            await stream.SendAsync(ErrorAnswers.ToJson(error));
        }

        JsonObject Chunk(JsonObject change)
        {
            JsonObject chunk = format.Envelope(chunk: true, change);
            if (withUsage) chunk["usage"] = null;
            return chunk;
        }
    }

    public static Task Json(HttpContext http, JsonObject answer)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(answer.ToJsonString(JsonText.Compact), http.RequestAborted);
    }

    public static ApiException Stopping() =>
        new(503, "the server is stopping; the answer was cut before its end", code: "server_stopping", type: "server_error");
}
