using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary>Chat completions that were asked for with <c>store: true</c>: <c>GET /v1/chat/completions</c> and below.</summary>
internal static class StoredChats
{
    private const string IdPrefix = "chatcmpl-";

    /// <summary>Keeps a whole answer, with the request's metadata.</summary>
    public static Task KeepAsync(FlywheelStore store, RequestBody body, GenerationGroup group, JsonObject answer)
    {
        answer["metadata"] =
            new JsonObject(body.Labels("metadata").Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value)));
        JsonNode[] messages = [.. body["messages"]!.AsArray().Select((message, i) =>
        {
            var copy = (JsonObject)message!.DeepClone();
            copy["id"] = $"{(string)answer["id"]!}-{i}";
            return copy;
        })];
        return store.KeepAnswerAsync(new StoredAnswer
        {
            Id = group.Id,
            Kind = StoredAnswer.Chat,
            Time = group.Arrived,
            User = body.Text("user") ?? "",
            Model = (string)answer["model"]!,
            Input = new JsonArray(messages).ToJsonString(JsonText.Compact),
            Answer = answer.ToJsonString(JsonText.Compact),
        });
    }

    /// <summary>Oldest first; the query may name a <c>model</c> and <c>metadata[KEY]</c>.</summary>
    public static async Task ListAsync(HttpContext http, FlywheelStore store)
    {
        var wanted = Listing.Labels(http.Request.Query);
        var found = new List<JsonObject>();
        await foreach (StoredAnswer answer in store.AnswersAsync(StoredAnswer.Chat, http.Request.Query["model"], http.RequestAborted))
        {
            if (!Caller.MaySee(http.User, answer.User)) continue;
            JsonObject completion = JsonNode.Parse(answer.Answer)!.AsObject();
            if (wanted.All(label => (string?)completion["metadata"]?[label.Key] == label.Value)) found.Add(completion);
        }
        await Answers.Json(http, Listing.Of(http.Request.Query, found, newestFirst: false));
    }

    public static async Task GetAsync(HttpContext http, string id, FlywheelStore store) =>
        await Answers.Json(http, JsonNode.Parse((await FindAsync(http, id, store)).Answer)!.AsObject());

    /// <summary>Its text is gone; of its generations, counts stay.</summary>
    public static async Task DeleteAsync(HttpContext http, string id, FlywheelStore store)
    {
        await store.ForgetAnswerAsync((await FindAsync(http, id, store)).Id);
        await Answers.Json(http, new() { ["id"] = id, ["object"] = "chat.completion.deleted", ["deleted"] = true });
    }

    public static async Task MessagesAsync(HttpContext http, string id, FlywheelStore store)
    {
        JsonArray messages = JsonNode.Parse((await FindAsync(http, id, store)).Input)!.AsArray();
        await Answers.Json(http, Listing.Of(http.Request.Query, [.. messages.Select(message => message!.AsObject())], newestFirst: false));
    }

    private static async Task<StoredAnswer> FindAsync(HttpContext http, string id, FlywheelStore store)
    {
        StoredAnswer? found = null;
        if (id.StartsWith(IdPrefix, StringComparison.Ordinal) && Guid.TryParse(id[IdPrefix.Length..], out Guid generation)
            // the id is that of its first choice
            && await store.FindGenerationAsync(generation, http.RequestAborted) is { Group: var request })
            found = await store.FindAnswerAsync(request, StoredAnswer.Chat, http.RequestAborted);
        return found is not null && Caller.MaySee(http.User, found.User)
            ? found
            : throw new ApiException(404,
            $"chat completion with id '{id}' not found: it was not asked for with store: true, or it was deleted", "completion_id",
            "completion_not_found");
    }
}
