using System.Net.ServerSentEvents;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;

namespace Flywheel.Studio.Serving;

/// <summary>One request to an upstream: its choices come as they are written there.</summary>
internal sealed class UpstreamCall
{
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly UpstreamAnswer[] _answers;
    private readonly HttpClient _http;

    public UpstreamCall(HttpClient http, Upstream upstream, HttpRequestMessage request, int numChoices, CancellationToken cancellation)
    {
        (_http, Upstream) = (http, upstream);
        _answers = [.. Enumerable.Range(0, numChoices).Select(_ => new UpstreamAnswer())];
        _ = RunAsync(request, cancellation);
        // who does not stream does not wait for it
        _ = _started.Task.ContinueWith(started => started.Exception, TaskContinuationOptions.OnlyOnFaulted);
    }

    public Upstream Upstream { get; }

    /// <summary>Ends when the first piece of an answer is there; throws an <see cref="ApiException"/> where there will be none.</summary>
    public Task Started => _started.Task;

    public IReadOnlyList<UpstreamAnswer> Answers => _answers;

    private async Task RunAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        TimeSpan patience = TimeSpan.FromSeconds(Upstream.TimeoutS);
        Exception? fault = null;
        try
        {
            limit.CancelAfter(patience);
            using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (!response.IsSuccessStatusCode) throw await UpstreamErrors.OfAsync(Upstream, response, limit.Token);
            await using Stream stream = await response.Content.ReadAsStreamAsync(limit.Token);
            if (response.Content.Headers.ContentType?.MediaType == "text/event-stream") await ReadEventsAsync(stream, limit, patience);
            else Take(await ParseAsync(stream, limit.Token), whole: true); // some do not stream
            if (_answers.Any(answer => answer.Finish is null)) throw UpstreamErrors.Broken(Upstream, "it ended before the answer did");
        }
        catch (Exception) when (cancellation.IsCancellationRequested)
        {
            foreach (UpstreamAnswer answer in _answers) answer.Finish ??= FinishReason.Cancelled;
        }
        catch (OperationCanceledException)
        {
            fault = UpstreamErrors.TooSlow(Upstream);
        }
        catch (Exception e)
        {
            fault = e is ApiException ? e : UpstreamErrors.Of(Upstream, e, _started.Task.IsCompletedSuccessfully);
        }
        finally
        {
            request.Dispose();
        }
        foreach (UpstreamAnswer answer in _answers) answer.Complete(fault);
        if (fault is null) _started.TrySetResult();
        else _started.TrySetException(fault);
    }

    private async Task ReadEventsAsync(Stream stream, CancellationTokenSource limit, TimeSpan patience)
    {
        await foreach (SseItem<string> item in SseParser.Create(stream).EnumerateAsync(limit.Token))
        {
            limit.CancelAfter(patience);
            if (item.Data == "[DONE]") return;
            Take(Parse(item.Data), whole: false);
        }
    }

    private void Take(JsonObject json, bool whole)
    {
        if (json["error"] is JsonObject error) throw UpstreamErrors.Broken(Upstream, UpstreamErrors.Said(Upstream, error));
        if (json["usage"] is JsonObject usage && Count(usage["completion_tokens"]) is { } written)
        {
            (int read, int cached, int n) = (Count(usage["prompt_tokens"]) ?? 0,
                Count(usage["prompt_tokens_details"]?["cached_tokens"]) ?? 0, _answers.Length);
            for (int i = 0; i < n; i++) _answers[i].State(new UpstreamUsage(Part(read, i), Part(written, i)), Part(cached, i));

            int Part(int all, int i) => all / n + (i < all % n ? 1 : 0);
        }
        foreach (JsonNode? node in json["choices"] as JsonArray ?? [])
        {
            if (node is not JsonObject choice || Count(choice["index"]) is not { } index || index >= _answers.Length)
                throw UpstreamErrors.Broken(Upstream, "a choice has no index that was asked for");
            JsonNode? said = choice[whole ? "message" : "delta"];
            if (said?["tool_calls"] is JsonArray { Count: > 0 })
                throw UpstreamErrors.Broken(Upstream, "it calls a tool, and none was offered");
            if (said?["content"] is JsonValue content && content.TryGetValue(out string? text) && text.Length > 0)
                _answers[index].Add(text);
            if (choice["finish_reason"] is JsonValue reason && reason.TryGetValue(out string? why))
                _answers[index].Finish = why == "length" ? FinishReason.Length : FinishReason.Stop;
        }
        _started.TrySetResult();
    }

    private async Task<JsonObject> ParseAsync(Stream stream, CancellationToken cancellation)
    {
        using var reader = new StreamReader(stream);
        return Parse(await reader.ReadToEndAsync(cancellation));
    }

    private JsonObject Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text) as JsonObject ?? throw UpstreamErrors.Broken(Upstream, "it sends what is no JSON object");
        }
        catch (JsonException)
        {
            throw UpstreamErrors.Broken(Upstream, "it sends what is no JSON");
        }
    }

    private static int? Count(JsonNode? node) => node is JsonValue value && value.TryGetValue(out int count) && count >= 0 ? count : null;
}

/// <summary>One choice of an upstream: pieces of text, each as one "token" without an id.</summary>
internal sealed class UpstreamAnswer : IAnswerStream
{
    private readonly Channel<SampledToken> _pieces =
        Channel.CreateUnbounded<SampledToken>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    public IAsyncEnumerable<SampledToken> Tokens => _pieces.Reader.ReadAllAsync();

    public FinishReason FinishReason => Finish ?? FinishReason.Failed;

    internal FinishReason? Finish { get; set; }

    public string? AdapterHash => null;

    public int NumCachedPromptTokens { get; private set; }

    public UpstreamUsage? Usage { get; private set; }

    internal void Add(string text) => _pieces.Writer.TryWrite(new SampledToken(-1, float.NaN, float.NaN, text, []));

    internal void State(UpstreamUsage usage, int cached) => (Usage, NumCachedPromptTokens) = (usage, cached);

    internal void Complete(Exception? fault) => _pieces.Writer.TryComplete(fault);
}
