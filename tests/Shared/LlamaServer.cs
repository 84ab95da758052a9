using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;

namespace Flywheel.Testing;

/// <summary>llama-server on a free port.</summary>
internal sealed class LlamaServer : IDisposable
{
    private readonly Process _process;
    private readonly HttpClient _http;

    private LlamaServer(Process process, HttpClient http) => (_process, _http) = (process, http);

    public static async Task<LlamaServer> StartAsync(string model, params string[] arguments)
    {
        int port;
        using (var probe = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0))
        {
            probe.Start();
            port = ((System.Net.IPEndPoint)probe.LocalEndpoint).Port;
        }
        var start = new ProcessStartInfo(LlamaCpp.Find("llama-server"),
            ["--model", model, "--port", $"{port}", "--no-warmup", .. arguments]) { RedirectStandardError = true,
                RedirectStandardOutput = true };
        Process process = Process.Start(start)!;
        var log = new StringBuilder();
        process.ErrorDataReceived += (_, line) => log.AppendLine(line.Data);
        process.OutputDataReceived += (_, line) => log.AppendLine(line.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        for (int attempt = 0; attempt < 600; attempt++)
        {
            Assert.False(process.HasExited, $"llama-server ended: {log}");
            try
            {
                if ((await http.GetAsync(new Uri("/health", UriKind.Relative))).IsSuccessStatusCode) return new LlamaServer(process, http);
            }
            catch (HttpRequestException)
            {
            }
            await Task.Delay(100);
        }
        throw new TimeoutException($"llama-server did not answer: {log}");
    }

    private async Task<JsonNode> CompleteAsync(JsonObject request)
    {
        using HttpResponseMessage response = await _http.PostAsync(new Uri("/completion", UriKind.Relative), JsonContent.Create(request));
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return JsonNode.Parse(body)!;
    }

    /// <summary>The most likely tokens after a prompt, and their log-probabilities.</summary>
    public async Task<(int Id, double LogProb)[]> NextAsync(int[] prompt, int count)
    {
        JsonNode answer =
            await CompleteAsync(new JsonObject { ["prompt"] = Ids(prompt), ["n_predict"] = 1, ["n_probs"] = count, ["temperature"] = 0,
                ["cache_prompt"] = false });
        JsonArray top = answer["completion_probabilities"]![0]!["top_logprobs"]!.AsArray();
        Assert.Equal(count, top.Count);
        return [.. top.Select(entry => ((int)entry!["id"]!, (double)entry["logprob"]!))];
    }

    /// <summary>The most likely token, again and again.</summary>
    public async Task<int[]> GreedyAsync(int[] prompt, int count)
    {
        JsonNode answer =
            await CompleteAsync(new JsonObject { ["prompt"] = Ids(prompt), ["n_predict"] = count, ["temperature"] = 0,
                ["cache_prompt"] = false, ["ignore_eos"] = true, ["return_tokens"] = true });
        return [.. answer["tokens"]!.AsArray().Select(id => (int)id!)];
    }

    private static JsonArray Ids(int[] tokens) => [.. tokens.Select(id => JsonValue.Create(id))];

    public void Dispose()
    {
        _http.Dispose();
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
