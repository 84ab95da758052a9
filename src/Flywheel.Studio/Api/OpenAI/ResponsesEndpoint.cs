using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>/v1/responses</c>: OpenAI's Responses API over the same generations as chat, with turns that the server remembers.</summary>
internal static class ResponsesEndpoint
{
    /// <summary>Turns that one answer may look back on.</summary>
    private const int MaxTurns = 1000;

    public static async Task CreateAsync(HttpContext http, Generator generator, FlywheelStore store, ILogger<Generator> log)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        var fields = ResponseFields.Read(body);
        JsonArray input = ResponseItems.Read(body, Guid.CreateVersion7());
        List<JsonObject> earlier = await EarlierItemsAsync(http, store, fields.Previous);
        JsonArray messages = ResponseItems.ToMessages([.. earlier, .. input.Select(item => item!.AsObject())], firstOfInput: earlier.Count);
        if (fields.Instructions is { } instructions) messages.Insert(0, new JsonObject { ["role"] = "system", ["content"] = instructions });
        RequestBody chat = fields.ToChat(messages);

        await using GenerationGroup group =
            generator.Start(model => fields.Named(() => Order(chat, model, generator, fields)), http.RequestAborted,
                UpstreamFields.UnitOf(chat));
        var format = new ChatFormat(group, fields.WithLogprobs);
        Choice choice = group.Choices[0];
        var builder = new ResponseBuilder(fields.Envelope(group, choice), choice);
        EventStream? stream = fields.Stream ? new EventStream(http) : null;
        try
        {
            await SendAsync(builder.Begin());
            await foreach ((_, SampledToken? token) in group.Events)
            {
                http.RequestAborted.ThrowIfCancellationRequested();
                if (token is not null)
                {
                    foreach (JsonObject chunk in format.Events(choice, token)) await SendAsync(builder.Add(chunk));
                    continue;
                }
                if (choice.FinishReason == FinishReason.Cancelled) throw Answers.Stopping();
                JsonObject[] last = [.. format.EndEvents(choice)];
                foreach (JsonObject chunk in last) await SendAsync(builder.Add(chunk));
                await SendAsync(builder.End((string)last[^1]["finish_reason"]!, format.Usage()!));
            }
            http.RequestAborted.ThrowIfCancellationRequested();
            if (fields.Store)
                await store.KeepAnswerAsync(new StoredAnswer
                {
                    Id = group.Id,
                    Kind = StoredAnswer.Response,
                    Time = group.Arrived,
                    User = fields.User,
                    Model = group.Adapter ?? group.Model.Name,
                    Previous = fields.Previous,
                    Input = input.ToJsonString(JsonText.Compact),
                    Answer = builder.Response.ToJsonString(JsonText.Compact),
                });
            await SendAsync([builder.Ended()]);
        }
        catch (Exception e) when (http.Response.HasStarted && !http.RequestAborted.IsCancellationRequested)
        {
            ApiException error = ErrorAnswers.From(e);
            if (error.Status == 500) log.LogError(e, "A stream of {Path} failed", http.Request.Path);
            await SendAsync([builder.Failed(error)]);
        }
        if (stream is null) await Answers.Json(http, builder.Response);

        async Task SendAsync(IEnumerable<JsonObject> events)
        {
            // Also when nobody listens: events are told while the response grows.
            foreach (JsonObject one in events)
                if (stream is not null) await stream.SendNamedAsync(one);
        }
    }

    /// <summary><c>GET /v1/responses/{id}</c></summary>
    public static async Task GetAsync(HttpContext http, string id, FlywheelStore store)
    {
        if (http.Request.Query["stream"] == "true") throw ApiException.Unsupported("stream", "a stored response is given whole");
        await Answers.Json(http, JsonNode.Parse((await FindAsync(http, store, id)).Answer)!.AsObject());
    }

    /// <summary><c>DELETE /v1/responses/{id}</c>: its text is gone; of the generation, counts stay.</summary>
    public static async Task DeleteAsync(HttpContext http, string id, FlywheelStore store)
    {
        StoredAnswer answer = await FindAsync(http, store, id);
        await store.ForgetAnswerAsync(answer.Id);
        await Answers.Json(http, new() { ["id"] = IdOf(answer.Id), ["object"] = "response", ["deleted"] = true });
    }

    /// <summary><c>GET /v1/responses/{id}/input_items</c></summary>
    public static async Task InputItemsAsync(HttpContext http, string id, FlywheelStore store)
    {
        StoredAnswer answer = await FindAsync(http, store, id);
        JsonObject[] items = [.. JsonNode.Parse(answer.Input)!.AsArray().Select(item => item!.AsObject())];
        await Answers.Json(http, Listing.Of(http.Request.Query, items));
    }

    public static string IdOf(Guid id) => $"resp_{id:N}";

    private static GenerationOrder Order(RequestBody chat, ServedModel model, Generator generator, ResponseFields fields)
    {
        GenerationFields.Adapter(chat, model); // an unknown name is told before anything that depends on the model
        while (true)
            try
            {
                return Completions.ChatOrder(chat, model, generator, fields.TopLogprobs, "input");
            }
            catch (ApiException e) when (e.Code == "context_length_exceeded" && fields.Truncates
                && DropOldestTurn((JsonArray)chat["messages"]!))
            {
                // Again with what is left.
            }
    }

    /// <summary>Takes the oldest turn out: what stands between system messages and the second message of the user. False when it is the
    /// only one.</summary>
    private static bool DropOldestTurn(JsonArray messages)
    {
        int first = Enumerable.Range(0, messages.Count).FirstOrDefault(i => Role(i) is not ("system" or "developer"), messages.Count);
        int next = Enumerable.Range(first + 1, Math.Max(0, messages.Count - first - 1))
            .FirstOrDefault(i => Role(i) == "user", messages.Count);
        if (next >= messages.Count) return false;
        while (next-- > first) messages.RemoveAt(first);
        return true;

        string Role(int i) => (string)messages[i]!["role"]!;
    }

    /// <summary>Items of the turns before, oldest first: input, then output.</summary>
    private static async Task<List<JsonObject>> EarlierItemsAsync(HttpContext http, FlywheelStore store, Guid? previous)
    {
        var turns = new List<StoredAnswer>();
        for (Guid? id = previous; id is { } wanted; id = turns[^1].Previous)
        {
            if (turns.Count == MaxTurns) throw ApiException.BadField("previous_response_id",
                $"field 'previous_response_id' looks back on more than {MaxTurns} turns");
            turns.Add(await FindAsync(http, store, wanted)
                ?? throw new ApiException(404,
                    $"previous response with id '{IdOf(wanted)}' not found: it was not stored, or it was deleted", "previous_response_id",
                    "previous_response_not_found"));
        }
        turns.Reverse();
        return [.. turns.SelectMany(turn =>
            JsonNode.Parse(turn.Input)!.AsArray().Concat(JsonNode.Parse(turn.Answer)!["output"]!.AsArray()))
            .Select(item => item!.AsObject())];
    }

    private static async Task<StoredAnswer> FindAsync(HttpContext http, FlywheelStore store, string id) =>
        (TryParseId(id, out Guid answer) ? await FindAsync(http, store, answer) : null)
        ?? throw new ApiException(404, $"response with id '{id}' not found: it was not stored, or it was deleted", "response_id",
            "response_not_found");

    /// <summary>Null also of an answer that the caller may not see.</summary>
    private static async Task<StoredAnswer?> FindAsync(HttpContext http, FlywheelStore store, Guid id) =>
        await store.FindAnswerAsync(id, StoredAnswer.Response, http.RequestAborted) is { } answer && Caller.MaySee(http.User, answer.User)
            ? answer : null;

    public static bool TryParseId(string id, out Guid parsed)
    {
        parsed = default;
        return id.StartsWith("resp_", StringComparison.Ordinal) && Guid.TryParseExact(id["resp_".Length..], "N", out parsed);
    }
}
