using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Tests;

/// <summary>A server that speaks chat completions as OpenAI documents them (platform.openai.com/docs/api-reference/chat), or fails as the
/// model's name says.</summary>
internal sealed class FakeUpstream : IAsyncDisposable
{
    private WebApplication _app = null!;

    public string Url { get; private set; } = "";

    /// <summary>The last request, and its key.</summary>
    public JsonObject Asked { get; private set; } = [];

    public string? Key { get; private set; }

    public static async Task<FakeUpstream> StartAsync()
    {
        var fake = new FakeUpstream();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        fake._app = builder.Build();
        fake._app.MapPost("/v1/chat/completions", fake.AnswerAsync);
        await fake._app.StartAsync();
        fake.Url = fake._app.Urls.First() + "/v1";
        return fake;
    }

    private async Task AnswerAsync(HttpContext http)
    {
        JsonObject asked = (await JsonNode.ParseAsync(http.Request.Body))!.AsObject(); // two may be asked at once
        Asked = asked;
        Key = http.Request.Headers.Authorization;
        string model = (string)asked["model"]!;
        (int status, string code) = model switch
        {
            "unauthorized" => (401, "invalid_api_key"), "limited" => (429, "rate_limit_exceeded"), "unknown" => (404, "model_not_found"),
            "invalid" => (400, "invalid_value"), "down" => (500, "server_error"), _ => (200, ""),
        };
        if (status == 429) http.Response.Headers.RetryAfter = "7";
        if (status != 200)
        {
            http.Response.StatusCode = status;
            await http.Response.WriteAsJsonAsync(new { error = new { message = status == 401 ? $"it is {model}: {Key}" : $"it is {model}",
                type = "invalid_request_error", param = status == 400 ? "temperature" : null, code } });
            return;
        }
        if (model == "silent")
        {
            await Task.Delay(Timeout.Infinite, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return;
        }
        if (model == "whole")
        {
            await http.Response.WriteAsJsonAsync(new
            {
                id = "chatcmpl-1", @object = "chat.completion", created = 1, model,
                choices = new[] { new { index = 0, message = new { role = "assistant", content = "Hello there, friend." },
                    finish_reason = "stop" } },
                usage = new { prompt_tokens = 9, completion_tokens = 6, total_tokens = 15 },
            });
            return;
        }
        http.Response.ContentType = "text/event-stream";
        int choices = (int?)asked["n"] ?? 1;
        for (int i = 0; i < choices; i++)
            await SendAsync($$"""{"index":{{i}},"delta":{"role":"assistant","content":""},"finish_reason":null}""");
        // Each choice another, as one that is asked for several writes.
        string[] lines = ["Marque el 7.", "Marque ahora.", "Marque el 7 ahora.", "Por favor marque el número 7 en este mismo momento."];
        if (model == "shortener")
            for (int i = 0; i < choices; i++)
                await SendAsync(
                    $$"""{"index":{{i}},"delta":{"content":{{JsonValue.Create(lines[i % lines.Length]).ToJsonString()}}},"finish_reason":null}""");
        else foreach (string piece in model == "cobalt" ? new[] { "Good", " evening", " to you." } : ["Hello", " there,", " friend."])
            for (int i = 0; i < choices; i++)
            {
                await SendAsync(
                    $$"""{"index":{{i}},"delta":{"content":{{JsonValue.Create(piece).ToJsonString()}}},"finish_reason":null}""");
                if (model == "broken" && piece == " there,") return; // no end
                if (model == "garbage" && piece == " there,") await http.Response.WriteAsync("data: <html>\n\n");
            }
        for (int i = 0; i < choices; i++) await SendAsync($$"""{"index":{{i}},"delta":{},"finish_reason":"stop"}""");
        if (model != "countless")
            await http.Response.WriteAsync(
                """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4}}}""" + "\n\n");
        await http.Response.WriteAsync("data: [DONE]\n\n");

        async Task SendAsync(string choice)
        {
            await http.Response.WriteAsync(
                $$"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{choice}}],"usage":null}""" + "\n\n");
            await http.Response.Body.FlushAsync();
        }
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}
