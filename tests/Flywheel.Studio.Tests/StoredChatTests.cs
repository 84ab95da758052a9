using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>Chat completions that a client asks to be stored.</summary>
public sealed class StoredChatTests : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Completion_Stored_CanBeFetchedAndDeleted(bool stream)
    {
        JsonObject request = Request("x");
        JsonObject answer = stream ? (await _server.StreamAsync(Path, request))[0] : await _server.PostAsync(Path, request);
        string id = (string)answer["id"]!;
        JsonObject fetched = await _server.GetAsync($"{Path}/{id}");
        Assert.Equal((id, "chat.completion", "x"),
            ((string)fetched["id"]!, (string)fetched["object"]!, (string)fetched["metadata"]!["topic"]!));
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)fetched["choices"]![0]!["generation_id"]!)))!;
        Assert.Equal(record.Payload!.Text, (string)fetched["choices"]![0]!["message"]!["content"]!);
        JsonObject messages = await _server.GetAsync($"{Path}/{id}/messages");
        Assert.Equal(("Write a tagline.", $"{id}-0"), ((string)messages["data"]![0]!["content"]!, (string)messages["data"]![0]!["id"]!));

        using HttpResponseMessage deleted = await _server.Http.DeleteAsync($"{Path}/{id}");
        Assert.Equal("chat.completion.deleted", (string)JsonNode.Parse(await deleted.Content.ReadAsStringAsync())!["object"]!);
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.GetAsync($"{Path}/{id}")).StatusCode);
        Assert.Null((await store.FindGenerationAsync(record.Id))!.Payload);
    }

    [Fact]
    public async Task List_ByMetadataAndPage_GivesThoseAskedFor()
    {
        List<string> ids = [];
        foreach (string topic in new[] { "a", "b", "a", "a" }) ids.Add((string)(await _server.PostAsync(Path, Request(topic)))["id"]!);
        await _server.PostAsync(Path, TestServer.Chat()); // not asked to be stored
        Assert.Equal(ids, Ids(await _server.GetAsync(Path)));
        Assert.Equal([ids[0], ids[2], ids[3]], Ids(await _server.GetAsync($"{Path}?metadata[topic]=a")));
        JsonObject page = await _server.GetAsync($"{Path}?limit=2&order=desc&after={ids[3]}");
        Assert.Equal([ids[2], ids[1]], Ids(page));
        Assert.True((bool)page["has_more"]!);
        Assert.Empty(Ids(await _server.GetAsync($"{Path}?model=other")));
    }

    [Theory]
    [InlineData("?limit=0", "limit")]
    [InlineData("?order=up", "order")]
    [InlineData("?after=x", "after")]
    public async Task List_QueryWrong_IsRefusedByName(string query, string param)
    {
        using HttpResponseMessage response = await _server.Http.GetAsync(Path + query);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(param, (string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]!);
    }

    private static string[] Ids(JsonObject list) => [.. list["data"]!.AsArray().Select(item => (string)item!["id"]!)];

    private static JsonObject Request(string topic)
    {
        JsonObject request = TestServer.Chat();
        request["store"] = true;
        request["metadata"] = new JsonObject { ["topic"] = topic };
        return request;
    }
}
