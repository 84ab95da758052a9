using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>One of the variants that a request was answered with.</summary>
internal sealed record Variant(string GenerationId, string Text);

/// <summary>The public HTTP API of a running server, as any other client meets it.</summary>
/// <param name="url">Its address.</param>
/// <param name="secret">Its home's <see cref="AdminSecret"/>: the demo asks for the status, and may meet a server that wants a key.</param>
internal sealed class StudioClient(string url, string secret) : IDisposable
{
    /// <summary>Requests in flight: enough for the engine to batch.</summary>
    private const int MaxParallel = 8;

    /// <summary>Longer than any tagline; a text that runs on is cut, as the page does.</summary>
    private const int MaxTokens = 64;

    /// <summary>As the page Write samples.</summary>
    private const double Temperature = 0.8, TopP = 0.95;

    private readonly HttpClient http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false })
    {
        BaseAddress = new Uri(url),
        Timeout = TimeSpan.FromMinutes(2),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", secret) },
    };

    /// <summary>What <c>GET /admin/status</c> says.</summary>
    public async Task<ServerStatus> StatusAsync(CancellationToken cancellation)
    {
        JsonNode body = await ReadAsync(await http.GetAsync("/admin/status", cancellation), cancellation);
        return new((string)body["model_hash"]!, (string)body["model"]!, (string)body["home"]!);
    }

    /// <summary>Asks for <paramref name="count"/> variants of the brief.</summary>
    public async Task<IReadOnlyList<Variant>> AskAsync(Ask ask, int count, CancellationToken cancellation)
    {
        JsonObject request = ask.Brief.ToConversation().ToJson();
        request["model"] = "flywheel";
        request["n"] = count;
        request["candidates"] = count; // drafts of known words, as the page writes them; none is held back
        request["seed"] = ask.Seed;
        request["temperature"] = Temperature;
        request["top_p"] = TopP;
        request["max_tokens"] = MaxTokens;
        request["user"] = ask.User;
        JsonNode body = await ReadAsync(await http.PostAsJsonAsync("/v1/chat/completions", request, cancellation), cancellation);
        return [.. body["choices"]!.AsArray()
            .Select(choice => new Variant((string)choice!["generation_id"]!, ((string)choice["message"]!["content"]!).Trim()))];
    }

    /// <summary>Tells what the user did; a repeated call with the same generation and metric counts once.</summary>
    public async Task TellAsync(string user, string generationId, string metric, JsonNode value, CancellationToken cancellation)
    {
        var request = new JsonObject
        {
            ["inference_id"] = generationId,
            ["metric_name"] = metric,
            ["value"] = value,
            ["user"] = user,
            ["source"] = "simulated",
            ["idempotency_key"] = $"demo-{generationId}-{metric}",
        };
        await ReadAsync(await http.PostAsJsonAsync("/feedback", request, cancellation), cancellation);
    }

    /// <summary>Says no to the candidate of the turn that waits for a person.</summary>
    public async Task RefuseAsync(CancellationToken cancellation)
    {
        JsonNode turns = await ReadAsync(await http.GetAsync("/admin/turns", cancellation), cancellation);
        await ReadAsync(await http.PostAsJsonAsync($"/admin/turns/{turns["turns"]![0]!["number"]}",
            new JsonObject { ["accept"] = false, ["user"] = "simulated" }, cancellation), cancellation);
    }

    /// <summary>Runs one job an item, several at a time; results in the order of the items.</summary>
    public static async Task<TResult[]> EachAsync<TItem, TResult>(IReadOnlyList<TItem> items,
        Func<TItem, CancellationToken, Task<TResult>> job, Action<int> progress, CancellationToken cancellation)
    {
        var results = new TResult[items.Count];
        int done = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = MaxParallel, CancellationToken = cancellation };
        await Parallel.ForAsync(0, items.Count, options, async (i, stop) =>
        {
            results[i] = await job(items[i], stop);
            progress(Interlocked.Increment(ref done));
        });
        return results;
    }

    public void Dispose() => http.Dispose();

    private static async Task<JsonNode> ReadAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        using (response)
        {
            string text = await response.Content.ReadAsStringAsync(cancellation);
            if (!response.IsSuccessStatusCode)
                throw new FlywheelException(
                    $"the server answered {(int)response.StatusCode} to {response.RequestMessage!.RequestUri!.AbsolutePath}: {text}");
            return JsonNode.Parse(text)!;
        }
    }
}

/// <summary>Which model a server serves and on which home.</summary>
internal sealed record ServerStatus(string ModelHash, string Model, string Home);
