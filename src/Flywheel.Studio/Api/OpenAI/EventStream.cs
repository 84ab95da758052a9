using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary>Server-sent events as OpenAI sends them: one line of JSON an event, at the end <c>[DONE]</c>.</summary>
internal sealed class EventStream
{
    private readonly HttpContext _http;

    public EventStream(HttpContext http)
    {
        _http = http;
        http.Response.ContentType = "text/event-stream; charset=utf-8";
        http.Response.Headers.CacheControl = "no-cache";
        http.Response.Headers["X-Accel-Buffering"] = "no"; // a reverse proxy must not collect the events
    }

    public Task SendAsync(JsonObject json) => SendAsync(json.ToJsonString(JsonText.Compact));

    /// <summary>An event that is named by its type, as the Responses API has them.</summary>
    public Task SendNamedAsync(JsonObject json) =>
        WriteAsync($"event: {(string?)json["type"]}\ndata: {json.ToJsonString(JsonText.Compact)}\n\n");

    public Task EndAsync() => SendAsync("[DONE]");

    private Task SendAsync(string data) => WriteAsync($"data: {data}\n\n");

    private async Task WriteAsync(string text)
    {
        await _http.Response.WriteAsync(text, Encoding.UTF8, _http.RequestAborted);
        await _http.Response.Body.FlushAsync(_http.RequestAborted);
    }
}
