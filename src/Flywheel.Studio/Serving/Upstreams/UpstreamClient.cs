using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;

namespace Flywheel.Studio.Serving;

/// <summary>Tokens that an upstream says it read and wrote for one choice; of several choices, each has its part.</summary>
internal sealed record UpstreamUsage(int PromptTokens, int Tokens);

/// <summary>Asks other people's servers, as OpenAI documents its chat completions (platform.openai.com/docs/api-reference/chat).</summary>
internal sealed class UpstreamClient : IDisposable
{
    /// <summary>A request that one Flywheel passed on to another, or to itself: it is not passed on again.</summary>
    public const string PassedOn = "X-Flywheel-Passed-On";

    // Addresses that an answer points to are not followed: the key would go along.
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2) })
    {
        Timeout = Timeout.InfiniteTimeSpan, // each call has its own
    };

    /// <summary>Begins a call; it runs until it has ended or is cancelled.</summary>
    /// <param name="upstream">Whom.</param>
    /// <param name="ask">The request in OpenAI's words; model and streaming are filled in here.</param>
    /// <param name="numChoices">Answers that it asks for.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ApiException">The key is not there.</exception>
    public UpstreamCall Call(Upstream upstream, JsonObject ask, int numChoices, CancellationToken cancellation)
    {
        var body = (JsonObject)ask.DeepClone();
        body["model"] = upstream.Model;
        if (numChoices > 1) body["n"] = numChoices;
        (body["stream"], body["stream_options"]) = (true, new JsonObject { ["include_usage"] = true });
        var request = new HttpRequestMessage(HttpMethod.Post, upstream.BaseUrl.TrimEnd('/') + "/chat/completions")
        {
            Content = new StringContent(body.ToJsonString(JsonText.Compact), Encoding.UTF8, "application/json"),
        };
        try
        {
            if (upstream.Key is { } key) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
        catch (FlywheelException e)
        {
            throw new ApiException(503, e.Message, code: "upstream_not_configured", type: "server_error");
        }
        request.Headers.Add(PassedOn, "1");
        request.Headers.Accept.ParseAdd("text/event-stream");
        return new UpstreamCall(_http, upstream, request, numChoices, cancellation);
    }

    public void Dispose() => _http.Dispose();
}
