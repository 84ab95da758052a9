using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>Pictures over the API: for a model with a codec they become its tokens, in a task's field and in a chat's part alike.</summary>
public sealed class PictureApiTests
{
    private const string Look = """
        name: look
        title: {en: Look, zh-CN: 看}
        about: {en: What a picture shows., zh-CN: 图片里是什么。}
        licence: Apache-2.0
        fields:
          - {name: picture, label: {en: Picture, zh-CN: 图片}, modality: image, widget: picture}
        form: {ask: "What is it?", max_tokens: 4}
        """;

    [Fact]
    public async Task Picture_InAFieldAndInAChat_IsReadAsTheSameTokens()
    {
        Tokenizer tokenizer = Tokenizer.Train(["What is it? a shirt"], 300, [.. ReservedTokens.Groups[PictureCodec.Modality]]);
        byte[] picture = [.. Enumerable.Range(0, 64).Select(i => (byte)(i / 8 is > 0 and < 4 && i % 8 is > 0 and < 7 ? 200 : 0))];
        await using TestServer server = await TestServer.StartAsync(tokenizer: tokenizer, edit: model =>
            PictureCodec.Fit([picture], side: 8, patch: 4, numCentres: 8, seed: 1, Path.Combine(model, PictureCodec.File), samples: 50));
        string folder = Directory.CreateDirectory(Path.Combine(server.Home.Path, "tasks", "look")).FullName;
        File.WriteAllText(Path.Combine(folder, "task.yaml"), Look);
        string url = PictureReader.ToDataUrl(picture), symbols = PictureCodec.Of(server.Server.Model)!.Encode(picture);

        string asked =
            (string)(await server.PostAsync("/v1/tasks/look",
                new() { ["fields"] = new JsonObject { ["picture"] = url } }))["generation_id"]!;
        await server.PostAsync("/v1/chat/completions", new()
        {
            ["model"] = "flywheel", ["max_tokens"] = 4,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = new JsonArray(
                new JsonObject { ["type"] = "text", ["text"] = "What is it?" },
                new JsonObject { ["type"] = "image_url", ["image_url"] = new JsonObject { ["url"] = url } }) }),
        });
        await using FlywheelStore store = await server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        Generation[] recorded = await db.Generations.Include(row => row.Payload).ToArrayAsync();
        Assert.Equal(2, recorded.Length);
        Assert.Contains(recorded, row => row.Id == Guid.Parse(asked));
        Assert.All(recorded,
            row => Assert.Equal([new TextPart("What is it?"), new SymbolsPart(PictureCodec.Modality, symbols)],
                row.Payload!.Conversation!.Messages[0].Parts));

        foreach ((string path, string body, string param, string message) in new[]
        {
            ("/v1/tasks/look", """{"fields": {"picture": "data:image/png;base64,AAAA"}}""", "fields.picture",
                "field 'fields.picture' is no picture that can be read, expected PNG, JPEG, WebP, GIF or BMP"),
            ("/v1/tasks/look", """{"fields": {"picture": "https://example.org/a.png"}}""", "fields.picture",
                "field 'fields.picture' is 'https://example.org/a.png', expected a data URL"),
            ("/v1/tasks/look", """{"fields": {}}""", "fields.picture",
                "field 'fields.picture' is missing or empty, expected a picture, as a data URL"),
            ("/v1/chat/completions",
                """{"model": "flywheel", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}""", "messages[0].content[0].image_url.url", "field 'messages[0].content[0].image_url.url' is no picture"),
            ("/v1/chat/completions",
                """{"model": "flywheel", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}""",
                "messages[0].content[0].image_url.url", "field 'messages[0].content[0].image_url.url' is missing"),
            ("/v1/chat/completions",
                """{"model": "flywheel", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}, "text": "a"}]}]}""", "messages[0].content[0].text", "field 'messages[0].content[0].text' stands in a part"),
        })
        {
            (HttpStatusCode status, JsonObject error) = await server.TryPostAsync(path, body);
            string told = (string)error["error"]!["message"]!;
            Assert.True(status == HttpStatusCode.BadRequest && told.StartsWith(message, StringComparison.Ordinal)
                && param == (string?)error["error"]!["param"], $"{body}: {status} {error}");
        }
        Assert.Equal(2, (await store.CountAsync()).Generations);
    }
}
