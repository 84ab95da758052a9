using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>Whose stored answers a key shows: those of the user whose key it is, or, with an application's key, all.</summary>
public sealed class StoredAnswerAccessTests
{
    [Fact]
    public async Task StoredAnswers_OfAnotherUser_AreNotFound()
    {
        await using TestServer server = await TestServer.StartAsync(options: options => options with { Url = "http://0.0.0.0:0" });
        await using FlywheelStore store = await server.OpenStoreAsync();
        var keys = new ApiKeys(store, TimeProvider.System);
        using HttpClient ann = await ClientAsync("ann"), bob = await ClientAsync("bob"), shop = await ClientAsync("");

        JsonObject response = await PostAsync(ann, "/v1/responses",
            new() { ["model"] = "flywheel", ["input"] = "Hello.", ["max_output_tokens"] = 4 });
        JsonObject chat = TestServer.Chat();
        chat["store"] = true;
        JsonObject completion = await PostAsync(ann, "/v1/chat/completions", chat);
        string[] paths = [$"/v1/responses/{(string)response["id"]!}", $"/v1/responses/{(string)response["id"]!}/input_items",
            $"/v1/chat/completions/{(string)completion["id"]!}", $"/v1/chat/completions/{(string)completion["id"]!}/messages"];
        foreach (string path in paths)
        {
            Assert.Equal(HttpStatusCode.NotFound, (await bob.GetAsync(path)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await ann.GetAsync(path)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync(path)).StatusCode);
        }
        Assert.Equal(HttpStatusCode.NotFound, (await bob.DeleteAsync(paths[0])).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await bob.DeleteAsync(paths[2])).StatusCode);
        Assert.DoesNotContain((string)completion["id"]!, await bob.GetStringAsync("/v1/chat/completions"), StringComparison.Ordinal);
        Assert.Contains((string)completion["id"]!, await ann.GetStringAsync("/v1/chat/completions"), StringComparison.Ordinal);
        using var next =
            new StringContent(new JsonObject { ["model"] = "flywheel", ["input"] = "x",
                ["previous_response_id"] = (string)response["id"]! }.ToJsonString(), Encoding.UTF8, "application/json");
        Assert.Equal(HttpStatusCode.NotFound, (await bob.PostAsync("/v1/responses", next)).StatusCode);

        async Task<HttpClient> ClientAsync(string user)
        {
            (_, string key) = await keys.CreateAsync($"key of {(user.Length > 0 ? user : "the shop")}", [Scopes.Inference], user);
            var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(server.Server.Url) };
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
            return client;
        }
    }

    private static async Task<JsonObject> PostAsync(HttpClient client, string path, JsonObject body)
    {
        using HttpResponseMessage answer = await client.PostAsync(path,
            new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"));
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!.AsObject();
    }
}
