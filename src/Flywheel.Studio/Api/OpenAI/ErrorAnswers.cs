using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary>Every failure under the API's paths leaves as <c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
internal static partial class ErrorAnswers
{
    /// <summary>ENOSPC (errno.h).</summary>
    private const int NoSpace = 28;

    private const int MaxQuoted = 2000;

    private static readonly PathString[] ApiPaths = ["/v1", "/feedback", "/admin", "/health"];

    public static async Task Middleware(HttpContext http, RequestDelegate next, ILogger log)
    {
        if (!IsApi(http.Request.Path))
        {
            await PageAsync(http, next, log);
            return;
        }
        try
        {
            await next(http);
            if (http.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null } response)
                await Write(http, FromStatus(http, response.StatusCode));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            ApiException answer = From(e);
            if (answer.Status >= 500)
                log.LogError(answer.Status == 500 || StoreFaults.Of(e) is not null ? e : null, "{Method} {Path} failed: {Message}",
                    http.Request.Method, http.Request.Path, answer.Message);
            await Write(http, answer);
        }
    }

    /// <summary>A path of programs, not of people's pages.</summary>
    public static bool IsApi(PathString path) => ApiPaths.Any(root => path.StartsWithSegments(root));

    /// <summary>How an exception is answered. What is not known here is a defect of ours: 500, with nothing of its inside told.</summary>
    public static ApiException From(Exception e) => e switch
    {
        ApiException known => known,
        QueueFullException full => ApiException.QueueFull(full),
        IdempotencyConflictException conflict => new ApiException(409, conflict.Message, FieldOf(conflict.Message), "idempotency_conflict"),
        Loop.Reviews.ReviewGoneException gone => new ApiException(409, gone.Message, FieldOf(gone.Message), "review_gone"),
        NotAllowedException denied => new ApiException(403, denied.Message, code: "insufficient_scope", type: "permission_error"),
        FlywheelException wrong => new ApiException(400, wrong.Message, FieldOf(wrong.Message), "invalid_value"),
        BadHttpRequestException { StatusCode: 413 } =>
            new ApiException(413, $"the request is larger than {RequestBody.MaxBytes} bytes", code: "request_too_large"),
        BadHttpRequestException bad => new ApiException(bad.StatusCode, bad.Message),
        EngineFailedException =>
            new ApiException(503, "the model's engine has failed and answers nothing more; promote a model or restart the server",
            type: "server_error", code: "engine_failed"),
        _ when StoreFaults.Of(e) == StoreFault.Locked =>
            new ApiException(503, "another program holds the lock of the record's database, so nothing can be recorded; try again later",
            type: "server_error", code: "record_locked") { RetryAfter = TimeSpan.FromSeconds(5) },
        _ when StoreFaults.Of(e) == StoreFault.Unreachable =>
            new ApiException(503, "the record's database does not answer, so no answer can be given; try again later",
            type: "server_error", code: "record_unavailable") { RetryAfter = TimeSpan.FromSeconds(5) },
        _ when StoreFaults.Of(e) == StoreFault.Unavailable =>
            new ApiException(503, "the record's database cannot be written (the server's log says why), so no answer can be given",
            type: "server_error", code: "record_unavailable"),
        _ when StoreFaults.Of(e) == StoreFault.Full || IsStorageFull(e) =>
            new ApiException(507,
                "the disk of the server's home is full: the answer could not be recorded, so it is not given; make room and ask again",
                type: "server_error", code: "insufficient_storage"),
        _ => new ApiException(500, "the server failed on this request; its log says why", type: "server_error", code: "internal_error"),
    };

    public static JsonObject ToJson(ApiException error) => new()
    {
        ["error"] = new JsonObject
        {
            ["message"] = Short(error.Message),
            ["type"] = error.Type,
            ["param"] = error.Param is null ? null : Short(error.Param),
            ["code"] = error.Code,
        },
    };

    // What is wrong is quoted, whose length is the client's choice: the beginning tells it, and so does the end.
    private static string Short(string text) => text.Length <= MaxQuoted ? text : $"{text[..(MaxQuoted / 2)]}...{text[^(MaxQuoted / 2)..]}";

    private static bool IsStorageFull(Exception? e) => e switch
    {
        null => false,
        IOException io when (io.HResult & 0xFFFF) == NoSpace => true,
        _ => IsStorageFull(e.InnerException),
    };

    // House style: a message about a field begins with it.
    private static string? FieldOf(string message) => FieldName().Match(message) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex("^field '([^']+)'")]
    private static partial Regex FieldName();

    /// <summary>What a page is refused, a person reads.</summary>
    private static async Task PageAsync(HttpContext http, RequestDelegate next, ILogger log)
    {
        try
        {
            await next(http);
        }
        catch (Exception e) when (!http.Response.HasStarted && (e is ApiException || StoreFaults.Of(e) is not null))
        {
            ApiException answer = From(e);
            if (answer.Status >= 500)
                log.LogError(StoreFaults.Of(e) is null ? null : e, "{Path} failed: {Message}", PageOf(http), answer.Message);
            http.Response.StatusCode = answer.Status;
            if (answer.RetryAfter is { } wait)
                http.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            http.Response.ContentType = "text/plain; charset=utf-8";
            await http.Response.WriteAsync(answer.Message + "\n", http.RequestAborted);
        }
    }

    /// <summary>Which page, as its route has it: what stands in the address may be the secret of a link.</summary>
    private static string PageOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText
        ?? (http.Request.Path.Value is { Length: > 1 } path && path.IndexOf('/', 1) is > 0 and var end
            ? path[..end] + "/..." : http.Request.Path.Value ?? "");

    private static async Task Write(HttpContext http, ApiException error)
    {
        http.Response.StatusCode = error.Status;
        if (error.RetryAfter is { } wait)
            http.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(ToJson(error).ToJsonString(JsonText.Compact), http.RequestAborted);
    }

    private static ApiException FromStatus(HttpContext http, int status) => status switch
    {
        404 => new ApiException(404,
            $"there is no {http.Request.Path} here; see /v1/models, /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, /v1/audio/speech, /feedback, /health, and /reference for all", code: "unknown_url"),
        405 => new ApiException(405, $"{http.Request.Path} does not take {http.Request.Method}, only {http.Response.Headers.Allow}",
            code: "method_not_allowed"),
        _ => new ApiException(status, $"the request was refused with status {status}"),
    };
}
