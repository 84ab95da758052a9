using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>What a request came to: tokens of an answer in full, or why there is none.</summary>
internal readonly record struct Answer(int NumTokens, string? Failure = null);

/// <summary>A client of any server that speaks OpenAI's completions, with a clock.</summary>
internal sealed class CompletionClient(HttpClient http, Uri server, string model)
{
    public static async Task<CompletionClient> ConnectAsync(HttpClient http, Uri server, CancellationToken cancellation)
    {
        try
        {
            JsonNode? list = await http.GetFromJsonAsync<JsonNode>(new Uri(server, "/v1/models"), cancellation);
            return new CompletionClient(http, server,
                (string?)list?["data"]?[0]?["id"] ?? throw new FlywheelException($"{server}: /v1/models names no model"));
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"{server}: no OpenAI server answers there: {e.Message}", e);
        }
    }

    /// <summary>Streams one answer. At temperature 1, because a model of random weights repeats itself when it is greedy, and guessing
    /// would look good.</summary>
    /// <param name="prompt">Token ids.</param>
    /// <param name="maxTokens">Most tokens of the answer.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="onText">Called for every piece of text with the time since the one before, or since the request.</param>
    /// <param name="cancellation">Leaves the stream.</param>
    public async Task<Answer> AskAsync(IEnumerable<int> prompt, int maxTokens, int seed, Action<TimeSpan> onText,
        CancellationToken cancellation)
    {
        var body = new JsonObject
        {
            ["model"] = model,
            ["prompt"] = new JsonArray([.. prompt.Select(id => JsonValue.Create(id))]),
            ["max_tokens"] = maxTokens,
            ["temperature"] = 1,
            ["seed"] = seed,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        };
        using var request = new HttpRequestMessage(HttpMethod.Post,
            new Uri(server, "/v1/completions")) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        int pieces = 0;
        int? counted = null;
        try
        {
            long last = Stopwatch.GetTimestamp();
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (!response.IsSuccessStatusCode)
                return new Answer(0,
                    $"status {(int)response.StatusCode}: {Shorten(await response.Content.ReadAsStringAsync(cancellation))}");
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                if (line == "data: [DONE]") return new Answer(counted ?? pieces);
                if (!line.StartsWith("data: ", StringComparison.Ordinal))
                {
                    if (line.Length > 0 && line[0] != ':')
                        return new Answer(0, $"after {pieces} pieces of text, a line that is no event's data: {Shorten(line)}");
                    continue;
                }
                JsonNode piece = JsonNode.Parse(line["data: ".Length..])!;
                if (piece["error"] is { } error) return new Answer(0, $"after {pieces} pieces of text, {Shorten(error.ToJsonString())}");
                if (piece["usage"] is { } usage) counted = (int?)usage["completion_tokens"];
                if (string.IsNullOrEmpty((string?)piece["choices"]?.AsArray().FirstOrDefault()?["text"])) continue;
                TimeSpan elapsed = Stopwatch.GetElapsedTime(last);
                last = Stopwatch.GetTimestamp();
                pieces++;
                onText(elapsed);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            return new Answer(0, $"after {pieces} pieces of text, {e.GetType().Name}: {Shorten((e.InnerException ?? e).Message)}");
        }
        return new Answer(0, $"the stream ended after {pieces} pieces of text without [DONE]");
    }

    private static string Shorten(string text) => text.Length <= 200 ? text : text[..200] + "...";
}
