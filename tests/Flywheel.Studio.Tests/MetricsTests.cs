using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary><c>GET /metrics</c>. Meters are the process's, so no other server may run beside.</summary>
[Collection(Alone.Name)]
public sealed partial class MetricsTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Metrics_AfterRequests_CountWhatTheAnswersSaid()
    {
        Dictionary<string, double> before = await ReadAsync();
        long input = 0, output = 0, cached = 0;
        for (int i = 0; i < 3; i++)
        {
            JsonObject request = TestServer.Chat("Zebras examined forty jugs of pink vinegar.", maxTokens: 9);
            request["n"] = 2;
            JsonObject usage = (await _server.PostAsync("/v1/chat/completions", request))["usage"]!.AsObject();
            (input, output) = (input + (long)usage["prompt_tokens"]!, output + (long)usage["completion_tokens"]!);
            cached += (long)usage["prompt_tokens_details"]!["cached_tokens"]!;
        }
        JsonObject embedded = await _server.PostAsync("/v1/embeddings", new() { ["model"] = "flywheel", ["input"] = "a text" });
        await _server.TryPostAsync("/v1/chat/completions", "{}");
        foreach (bool dryrun in new[] { true, false, false })
            await _server.PostAsync("/feedback",
                new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "keep", ["value"] = true, ["dryrun"] = dryrun });

        Dictionary<string, double> after = await ReadAsync();
        Assert.Equal(3, Grown("gen_ai_server_request_duration_seconds_count", "gen_ai_operation_name=\"chat\""));
        Assert.Equal(1, Grown("gen_ai_server_request_duration_seconds_count", "gen_ai_operation_name=\"embeddings\""));
        Assert.Equal(3, Grown("gen_ai_server_time_to_first_token_seconds_count", "chat"));
        Assert.Equal(input, Grown("gen_ai_client_token_usage_sum", "chat", "gen_ai_token_type=\"input\""));
        Assert.Equal(output, Grown("gen_ai_client_token_usage_sum", "chat", "gen_ai_token_type=\"output\""));
        Assert.Equal((double)embedded["usage"]!["prompt_tokens"]!, Grown("gen_ai_client_token_usage_sum", "embeddings"));
        Assert.Equal(cached, Grown("flywheel_prompt_cached", "chat"));
        Assert.Equal(6, Grown("flywheel_record_duration_seconds_count"));
        Assert.Equal(2, Grown("flywheel_feedback", "metric=\"keep\""));
        Assert.Equal(1, Grown("http_server_request_duration_seconds_count", "http_response_status_code=\"400\""));
        Assert.Equal(0, Value(after, "flywheel_engine_running") + Value(after, "flywheel_engine_waiting"));
        Assert.Equal(1, Value(after, "flywheel_model", _server.Server.Model.Hash));

        double Grown(string name, params string[] labels) => Value(after, name, labels) - Value(before, name, labels);
    }

    // Prometheus' text format 0.0.4: comments, or a name, labels with quoted values, a number.
    [Fact]
    public async Task Metrics_EveryLine_IsOfTheFormat()
    {
        await _server.PostAsync("/v1/chat/completions", TestServer.Chat());
        using HttpResponseMessage response = await _server.Http.GetAsync("/metrics");
        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        string[] lines = (await response.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, line => Assert.Matches(Line(), line));
        Assert.Contains(lines, line =>
            line.StartsWith("# TYPE gen_ai_server_time_to_first_token_seconds histogram", StringComparison.Ordinal));
    }

    private async Task<Dictionary<string, double>> ReadAsync()
    {
        var values = new Dictionary<string, double>();
        foreach (string line in (await _server.Http.GetStringAsync("/metrics")).Split('\n'))
            if (Line().Match(line) is { Success: true } match && match.Groups["value"].Success) values[match.Groups["series"].Value] =
                double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture);
        return values;
    }

    private static double Value(Dictionary<string, double> values, string name, params string[] labels) =>
        values.Where(series =>
            Regex.IsMatch(series.Key, $"^{name}(_total)?(\\{{|$)")
            && labels.All(label => series.Key.Contains(label, StringComparison.Ordinal))).Sum(series => series.Value);

    [GeneratedRegex("""^(# .*|(?<series>[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})?) (?<value>[-+0-9.eEInfNa]+)( \d+)?)$""")]
    private static partial Regex Line();
}
