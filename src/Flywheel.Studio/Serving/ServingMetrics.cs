using System.Diagnostics.Metrics;
using Flywheel.Engine;
using Flywheel.Studio.OpenAI;

namespace Flywheel.Studio.Serving;

/// <summary>
/// What the server counts and measures, for <c>GET /metrics</c>. Names, units and bounds are those of OpenTelemetry's conventions for
/// generative AI (opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics) where it has one; the others begin with <c>flywheel</c>.
/// </summary>
internal sealed class ServingMetrics
{
    public const string MeterName = "Flywheel.Studio";

    private static readonly InstrumentAdvice<double>
        OfRequests = new() { HistogramBucketBoundaries = [.. Enumerable.Range(0, 14).Select(i => 0.01 * (1 << i))] },
        OfFirstTokens =
            new() { HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
        OfTokens = new() { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] },
        OfRecords = new() { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15] };

    private static readonly InstrumentAdvice<long> OfCounts =
        new() { HistogramBucketBoundaries = [.. Enumerable.Range(0, 14).Select(i => 1L << (2 * i))] };

    private readonly Histogram<double> _request, _firstToken, _perToken, _record;
    private readonly Histogram<long> _usage;
    private readonly Counter<long> _cached, _feedback, _characters;
    private readonly Counter<double> _speech;

    public ServingMetrics(IMeterFactory factory, ModelHost host)
    {
        Meter meter = factory.Create(MeterName);
        _request =
            meter.CreateHistogram("gen_ai.server.request.duration", "s", "From a request's arrival to its last token.", advice: OfRequests);
        _firstToken =
            meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "From a request's arrival to its first token.",
            advice: OfFirstTokens);
        _perToken = meter.CreateHistogram("gen_ai.server.time_per_output_token", "s", "Time of a token after the first.", advice: OfTokens);
        _usage = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of a request, read and sampled.", advice: OfCounts);
        _cached =
            meter.CreateCounter<long>("flywheel.prompt.cached", "{token}",
            "Tokens of prompts that were found in the cache instead of computed.");
        _record =
            meter.CreateHistogram("flywheel.record.duration", "s", "From the end of a generation to its record on disk.",
            advice: OfRecords);
        _feedback = meter.CreateCounter<long>("flywheel.feedback", "{feedback}", "Feedback that was stored.");
        _speech = meter.CreateCounter<double>("flywheel.speech.duration", "s", "Sound that was spoken.");
        _characters = meter.CreateCounter<long>("flywheel.speech.characters", "{character}", "Characters of texts to speak.");
        meter.CreateObservableGauge("flywheel.engine.running", () =>
            host.Current.Engine.NumRunning, "{request}", "Requests in the engine's batch.");
        meter.CreateObservableGauge("flywheel.engine.waiting", () =>
            host.Current.Engine.NumWaiting, "{request}", "Requests in the engine's queue.");
        meter.CreateObservableGauge("flywheel.engine.cache.pages.used", () =>
            host.Current.Engine.NumPagesInUse, "{page}", "Pages of the cache that running requests hold.");
        meter.CreateObservableGauge("flywheel.engine.cache.pages.limit", () =>
            host.Current.Engine.NumCachePages, "{page}", "Pages that the cache may have.");
        meter.CreateObservableGauge("flywheel.model", () =>
            new Measurement<int>(1, new("name", host.Current.Name), new("hash", host.Current.Hash)),
            description: "The model that answers now.");
    }

    /// <summary>A request that ran, whole or not.</summary>
    /// <param name="operation"><c>chat</c>, <c>text_completion</c>, <c>embeddings</c>, <c>speech</c> or <c>transcription</c>.</param>
    /// <param name="model">Name of the model or adapter that answered.</param>
    /// <param name="app">The application that asked.</param>
    /// <param name="took">From its arrival on.</param>
    /// <param name="error">Null when it ended by itself.</param>
    public void Request(string operation, string model, string app, TimeSpan took, string? error)
    {
        KeyValuePair<string, object?>[] tags = [.. Tags(operation, model), new("flywheel.app", app)];
        _request.Record(took.TotalSeconds, error is null ? tags : [.. tags, new("error.type", error)]);
    }

    public void Tokens(string operation, string model, int input, int cached, int output)
    {
        _usage.Record(input, [.. Tags(operation, model), new("gen_ai.token.type", "input")]);
        if (output > 0) _usage.Record(output, [.. Tags(operation, model), new("gen_ai.token.type", "output")]);
        _cached.Add(cached, Tags(operation, model));
    }

    public void FirstToken(string operation, string model, TimeSpan sinceArrival) =>
        _firstToken.Record(sinceArrival.TotalSeconds, Tags(operation, model));

    public void TokensAfterFirst(string operation, string model, TimeSpan took, int count)
    {
        if (count > 0) _perToken.Record(took.TotalSeconds / count, Tags(operation, model));
    }

    public void Recorded(TimeSpan took) => _record.Record(took.TotalSeconds);

    public void Feedback(string metric) => _feedback.Add(1, new KeyValuePair<string, object?>("metric", metric));

    public void Speech(string voice, int numCharacters, double seconds)
    {
        _characters.Add(numCharacters, new KeyValuePair<string, object?>("voice", voice));
        _speech.Add(seconds, new KeyValuePair<string, object?>("voice", voice));
    }

    private static KeyValuePair<string, object?>[] Tags(string operation, string model) =>
        [new("gen_ai.operation.name", operation), new("gen_ai.provider.name", "flywheel"), new("gen_ai.response.model", model)];
}
