using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Microsoft.Data.Sqlite;

namespace Flywheel.Studio.Tests;

/// <summary><c>store: false</c>: an answer of which counts are recorded and nothing else.</summary>
public sealed class CountsOnlyTests : IAsyncLifetime
{
    private const string Secret = "Rhubarb-7741 must never be written down";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("/v1/chat/completions", false)]
    [InlineData("/v1/chat/completions", true)]
    [InlineData("/v1/completions", false)]
    [InlineData("/v1/completions", true)]
    public async Task Answer_NotToBeStored_LeavesCountsAlone(string path, bool stream)
    {
        JsonObject request = Request(path);
        request["store"] = false;
        JsonObject answer = stream ? (await _server.StreamAsync(path, request))[^1] : await _server.PostAsync(path, request);
        var id = Guid.Parse((string)answer["choices"]![0]!["generation_id"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(id))!;
        Assert.Null(record.Payload);
        Assert.Equal(_server.Server.Model.Hash, record.ModelHash);
        Assert.True(record is { NumPromptTokens: > 0, NumTokens: > 0, LatencyMs: > 0 });
        SqliteConnection.ClearAllPools();
        foreach (string file in Directory.GetFiles(_server.Home.Path, "flywheel.db*"))
            Assert.DoesNotContain(Secret, Encoding.Latin1.GetString(await ReadSharedAsync(file)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Feedback_OnSuchAnAnswer_IsRefusedWithTheReason()
    {
        JsonObject request = Request("/v1/chat/completions");
        request["store"] = false;
        string id = (string)(await _server.PostAsync("/v1/chat/completions", request))["choices"]![0]!["generation_id"]!;
        foreach (bool dryrun in new[] { true, false })
        {
            JsonObject feedback = new() { ["inference_id"] = id, ["metric_name"] = "demonstration", ["value"] = "better",
                ["dryrun"] = dryrun };
            (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync("/feedback", feedback.ToJsonString());
            Assert.Equal((HttpStatusCode.BadRequest, "inference_id"), (status, (string)answer["error"]!["param"]!));
            Assert.Contains("store: false", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        }
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(0, (await store.CountAsync()).Feedback);
    }

    [Fact]
    public async Task Answer_NothingSaid_IsStored()
    {
        string id =
            (string)(await _server.PostAsync("/v1/chat/completions", Request("/v1/chat/completions")))["choices"]![0]!["generation_id"]!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.NotEmpty((await store.FindGenerationAsync(Guid.Parse(id)))!.Payload!.Tokens);
    }

    private static JsonObject Request(string path) => path.EndsWith("chat/completions", StringComparison.Ordinal)
        ? TestServer.Chat(Secret)
        : new() { ["model"] = "flywheel", ["prompt"] = Secret, ["max_tokens"] = 4 };

    private static async Task<byte[]> ReadSharedAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var content = new MemoryStream();
        await file.CopyToAsync(content);
        return content.ToArray();
    }
}
