using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>What a model cannot read is refused by its place in the request, wherever it stands; nothing is dropped in silence.</summary>
public sealed class ContentPartTests
{
    [Fact]
    public async Task Chat_PartsThatAreNoText_AreRefusedByName()
    {
        await using TestServer server = await TestServer.StartAsync();
        foreach ((string message, string param) in new[]
        {
            ("""{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}""", "messages[0].content[1].type"),
            ("""{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}""",
                "messages[0].content[0].type"),
            ("""{"role": "user", "content": [{"type": "file", "file": {"file_data": "AAAA"}}]}""", "messages[0].content[0].type"),
            ("""{"role": "user", "content": [{"type": "smell", "smell": "roses"}]}""", "messages[0].content[0].type"),
            ("""{"role": "user", "content": [{"type": "text", "text": "a", "image_url": {"url": "x"}}]}""",
                "messages[0].content[0].image_url"),
            ("""{"role": "user", "content": "a", "images": ["AAAA"]}""", "messages[0].images"),
            ("""{"role": "user", "content": "a", "attachments": [{"file_id": "x"}]}""", "messages[0].attachments"),
            ("""{"role": "user", "content": [{"type": "phone", "phone": "K AE1 T"}]}""", "messages[0].content"),
            ("""{"role": "user", "content": [{"type": "phone", "phone": "K AE9 T"}]}""", "messages[0].content[0].phone"),
        })
        {
            (HttpStatusCode status, JsonObject answer) =
                await server.TryPostAsync("/v1/chat/completions", $$"""{"model": "flywheel", "messages": [{{message}}]}""");
            Assert.True(status == HttpStatusCode.BadRequest && (string?)answer["error"]!["param"] == param,
                $"{message}: {status} {answer}");
        }
        foreach ((string item, string param) in new[]
        {
            ("""{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}""", "input[0].content[0].type"),
            ("""{"role": "user", "content": [{"type": "input_text", "text": "a", "image_url": "x"}]}""", "input[0].content[0].image_url"),
        })
        {
            (HttpStatusCode status, JsonObject answer) =
                await server.TryPostAsync("/v1/responses", $$"""{"model": "flywheel", "input": [{{item}}]}""");
            Assert.True(status == HttpStatusCode.BadRequest && (string?)answer["error"]!["param"] == param, $"{item}: {status} {answer}");
        }
        await using FlywheelStore store = await server.OpenStoreAsync();
        Assert.Equal(0, (await store.CountAsync()).Generations);
    }
}
