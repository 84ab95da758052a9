using System.Text;
using System.Text.Json.Nodes;

namespace Flywheel.EndToEnd.Tests;

/// <summary>A server that a test asks.</summary>
internal abstract class TestedServer : IAsyncDisposable
{
    public required string Url { get; init; }

    public required HttpClient Http { get; init; }

    public async Task<JsonObject> PostAsync(string path, JsonObject body)
    {
        using HttpResponseMessage response = await Http.PostAsync(path,
            new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path} {body.ToJsonString()}: {(int)response.StatusCode} {text}");
        return JsonNode.Parse(text)!.AsObject();
    }

    public virtual ValueTask DisposeAsync()
    {
        Http.Dispose();
        return ValueTask.CompletedTask;
    }
}
