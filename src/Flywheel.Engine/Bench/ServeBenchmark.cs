using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Bench;

/// <summary>What the clients of a benchmark ask for.</summary>
public sealed record ServeLoad
{
    /// <summary>Clients that ask at the same time, each once a round.</summary>
    public int Clients { get; init; } = 16;

    /// <summary>Words that all prompts of a round begin with.</summary>
    public int SharedWords { get; init; } = 300;

    /// <summary>Words of each client's own.</summary>
    public int OwnWords { get; init; } = 15;

    /// <summary>Most tokens of an answer.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <exception cref="FlywheelException">A number is not positive; it is named.</exception>
    internal void Validate()
    {
        foreach ((string name, int value) in new[] { ("clients", Clients), ("own", OwnWords), ("tokens", MaxTokens) })
            if (value < 1) throw new FlywheelException($"{name} is {value}, expected at least 1");
        if (SharedWords < 0) throw new FlywheelException($"shared is {SharedWords}, expected at least 0");
    }
}

/// <summary>Half, 95 and 99 in a hundred of the measurements lie below these.</summary>
public readonly record struct Percentiles(double P50, double P95, double P99)
{
    public static Percentiles Of(List<double> values)
    {
        values.Sort();
        return values.Count == 0 ? default : new(At(0.5), At(0.95), At(0.99));

        double At(double part) => values[(int)Math.Min(values.Count - 1, Math.Ceiling(part * values.Count) - 1)];
    }
}

/// <summary>How a server did in one kind of round.</summary>
/// <param name="TokensPerSecond">Of all clients together, from the first request to the last token.</param>
/// <param name="FirstMs">From a request to its first text.</param>
/// <param name="BetweenMs">From one piece of text to the next.</param>
/// <param name="NumFailed">Requests that were not answered in full.</param>
public sealed record ServerFigures(double TokensPerSecond, Percentiles FirstMs, Percentiles BetweenMs, int NumFailed);

/// <summary>Clients with a shared prefix against any server that speaks OpenAI's completions.</summary>
public static class ServeBenchmark
{
    private static readonly string[] Words = "the a wheel turn model data team write read keep small plain light north river stone open quick quiet morning paper letter garden tool maker song copper".Split(' ');

    /// <summary>
    /// Rounds in turn between servers: in a cold one the shared words are new, in the warm one after it they are known.
    /// </summary>
    /// <returns>For each server, cold and warm.</returns>
    /// <exception cref="FlywheelException">A server does not answer.</exception>
    public static async Task<IReadOnlyList<(ServerFigures Cold, ServerFigures Warm)>> RunAsync(IReadOnlyList<Uri> servers, ServeLoad load, int rounds, CancellationToken cancellation = default)
    {
        load.Validate();
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = load.Clients }) { Timeout = TimeSpan.FromMinutes(30) };
        var models = new List<string>();
        foreach (Uri server in servers) models.Add(await ModelAsync(http, server, cancellation));
        Round[,] found = new Round[servers.Count, 2];
        for (int i = 0; i < servers.Count; i++) (found[i, 0], found[i, 1]) = (new Round(), new Round());
        for (int round = -1; round < rounds; round++) // the first warms up
            for (int i = 0; i < servers.Count; i++)
                for (int warm = 0; warm < 2; warm++)
                    await AskAsync(http, servers[i], models[i], load, round, warm, round < 0 ? new Round() : found[i, warm], cancellation);
        return [.. Enumerable.Range(0, servers.Count).Select(i => (found[i, 0].Figures, found[i, 1].Figures))];
    }

    private static async Task<string> ModelAsync(HttpClient http, Uri server, CancellationToken cancellation)
    {
        try
        {
            JsonNode? list = await http.GetFromJsonAsync<JsonNode>(new Uri(server, "/v1/models"), cancellation);
            return (string?)list?["data"]?[0]?["id"] ?? throw new FlywheelException($"{server}: /v1/models names no model");
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"{server}: no OpenAI server answers there: {e.Message}", e);
        }
    }

    private static async Task AskAsync(HttpClient http, Uri server, string model, ServeLoad load, int round, int warm, Round into, CancellationToken cancellation)
    {
        string shared = Text(new Random(round), load.SharedWords);
        long start = Stopwatch.GetTimestamp();
        int[] tokens = await Task.WhenAll(Enumerable.Range(0, load.Clients).Select(client =>
            AnswerAsync(http, server, model, $"{shared} {Text(new Random(HashCode.Combine(round, warm, client)), load.OwnWords)}", load.MaxTokens, into, cancellation)));
        into.Rates.Add(tokens.Sum() / Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    /// <summary>One request; returns the tokens of its answer.</summary>
    private static async Task<int> AnswerAsync(HttpClient http, Uri server, string model, string prompt, int maxTokens, Round into, CancellationToken cancellation)
    {
        var body = new JsonObject { ["model"] = model, ["prompt"] = prompt, ["max_tokens"] = maxTokens, ["temperature"] = 0, ["stream"] = true, ["stream_options"] = new JsonObject { ["include_usage"] = true } };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server, "/v1/completions")) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        int pieces = 0;
        int? counted = null;
        bool done = false;
        try
        {
            long last = Stopwatch.GetTimestamp();
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            response.EnsureSuccessStatusCode();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                if (line == "data: [DONE]")
                {
                    done = true;
                    break;
                }
                JsonNode piece = JsonNode.Parse(line["data: ".Length..])!;
                if (piece["usage"] is { } usage) counted = (int?)usage["completion_tokens"];
                if (string.IsNullOrEmpty((string?)piece["choices"]?.AsArray().FirstOrDefault()?["text"])) continue;
                double milliseconds = Stopwatch.GetElapsedTime(last).TotalMilliseconds;
                last = Stopwatch.GetTimestamp();
                lock (into) (pieces++ == 0 ? into.First : into.Between).Add(milliseconds);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            done = false; // counted below
        }
        if (!done) lock (into) into.NumFailed++;
        return counted ?? pieces;
    }

    private static string Text(Random random, int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Words[random.Next(Words.Length)]));

    private sealed class Round
    {
        public List<double> Rates { get; } = [];

        public List<double> First { get; } = [];

        public List<double> Between { get; } = [];

        public int NumFailed { get; set; }

        public ServerFigures Figures => new(Percentiles.Of(Rates).P50, Percentiles.Of(First), Percentiles.Of(Between), NumFailed);
    }
}
