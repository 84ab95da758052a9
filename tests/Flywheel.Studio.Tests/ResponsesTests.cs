using System.ClientModel;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using OpenAI;
using OpenAI.Responses;

namespace Flywheel.Studio.Tests;

/// <summary><c>/v1/responses</c>, by OpenAI's own .NET client and by hand; their npm client is in client.mjs.</summary>
public sealed class ResponsesTests(ResponsesTests.Own one) : IClassFixture<ResponsesTests.Own>
{
    private const string Path = "/v1/responses";

    private readonly TestServer _server = one.Server;

    public sealed class Own : OneServer
    {
        private protected override Task<TestServer> StartAsync() => TestServer.StartAsync(context: 4096);
    }

#pragma warning disable OPENAI001 // marked as experimental by the client
    private ResponsesClient Client => new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions
    {
        Endpoint = new Uri($"{_server.Server.Url}/v1"),
        RetryPolicy = new System.ClientModel.Primitives.ClientRetryPolicy(0),
    }).GetResponsesClient();

    [Fact]
    public async Task Client_TurnsThatGoOn_AreStoredListedAndDeleted()
    {
        ResponseResult first = await Client.CreateResponseAsync(Options("Write a tagline.", "You write."));
        Assert.StartsWith("resp_", first.Id, StringComparison.Ordinal);
        Assert.Contains(first.Status!.Value, new[] { ResponseStatus.Completed, ResponseStatus.Incomplete });
        Assert.Equal(first.Usage.InputTokenCount + first.Usage.OutputTokenCount, first.Usage.TotalTokenCount);
        CreateResponseOptions next = Options("Shorter.");
        next.PreviousResponseId = first.Id;
        ResponseResult second = await Client.CreateResponseAsync(next);
        Assert.Equal(first.Id, second.PreviousResponseId);

        ResponseResult fetched = await Client.GetResponseAsync(second.Id);
        Assert.Equal((second.Id, second.GetOutputText(), "ada"), (fetched.Id, fetched.GetOutputText(), fetched.EndUserId));
        List<string> asked = [];
        await foreach (ResponseItem item in Client.GetResponseInputItemsAsync(second.Id)) asked.Add(((MessageResponseItem)item)
            .Content[0].Text);
        Assert.Equal(["Shorter."], asked);

        // What the model saw is the whole chain, without the first turn's instructions.
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.RecentGenerationsAsync(1))[0];
        Assert.Equal(["Write a tagline.", first.GetOutputText(), "Shorter."],
            record.Payload!.Conversation!.Messages.Select(message => message.Text));

        Assert.True((await Client.DeleteResponseAsync(first.Id)).Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => Client.GetResponseAsync(first.Id))).Status);
        ClientResultException broken = await Assert.ThrowsAsync<ClientResultException>(() => Client.CreateResponseAsync(next));
        Assert.Contains("previous_response_not_found", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_Streaming_GivesWhatPlainGives()
    {
        ResponseResult plain = await Client.CreateResponseAsync(Options("Write a tagline."));
        CreateResponseOptions options = Options("Write a tagline.");
        options.StreamingEnabled = true;
        var text = new StringBuilder();
        ResponseResult? last = null;
        await foreach (StreamingResponseUpdate update in await Client.CreateResponseStreamingAsync(options))
        {
            if (update is StreamingResponseOutputTextDeltaUpdate delta) text.Append(delta.Delta);
            if (update is StreamingResponseCompletedUpdate completed) last = completed.Response;
            if (update is StreamingResponseIncompleteUpdate incomplete) last = incomplete.Response;
        }
        Assert.Equal(plain.GetOutputText(), text.ToString());
        Assert.Equal(plain.GetOutputText(), last!.GetOutputText());
        Assert.Equal(plain.Usage.OutputTokenCount, last.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task Client_FunctionCall_IsMadeAndAnswered()
    {
        CreateResponseOptions options = Options("What is the weather?");
        options.MaxOutputTokenCount = 400;
        BinaryData parameters =
            BinaryData.FromString(
                """{"type":"object","properties":{"days":{"type":"integer","minimum":1,"maximum":7}},"required":["days"],"additionalProperties":false}""");
        options.Tools.Add(ResponseTool.CreateFunctionTool("get_weather", parameters, strictModeEnabled: true,
            functionDescription: "Tells the weather."));
        options.ToolChoice = ResponseToolChoice.CreateFunctionChoice("get_weather");
        ResponseResult called = await Client.CreateResponseAsync(options);
        FunctionCallResponseItem call = called.OutputItems.OfType<FunctionCallResponseItem>().First();
        Assert.Equal("get_weather", call.FunctionName);
        Assert.InRange((int)JsonNode.Parse(call.FunctionArguments.ToString())!["days"]!, 1, 7);

        CreateResponseOptions answer =
            new("flywheel", [ResponseItem.CreateFunctionCallOutputItem(call.CallId, "sunny")]) { PreviousResponseId = called.Id,
            MaxOutputTokenCount = 8 };
        Assert.NotNull((await Client.CreateResponseAsync(answer)).Value.Usage);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal("sunny", (await store.RecentGenerationsAsync(1))[0].Payload!.Conversation!.Messages[^1].Text);
    }

    private static CreateResponseOptions Options(string text, string? instructions = null) =>
        new("flywheel", [ResponseItem.CreateUserMessageItem(text)])
    {
        Instructions = instructions,
        MaxOutputTokenCount = 12,
        Temperature = 0,
        EndUserId = "ada",
    };
#pragma warning restore OPENAI001

    // platform.openai.com/docs/api-reference/responses-streaming
    [Fact]
    public async Task Stream_Text_HasTheOfficialEventsInOrder()
    {
        List<JsonObject> events = await StreamAsync(Request());
        string[] kinds = [.. events.Select(one => (string)one["type"]!)];
        string[] expected =
        [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                "response.output_text.delta",
            "response.output_text.done", "response.content_part.done", "response.output_item.done",
        ];
        Assert.Equal(expected, kinds[..^1].Where((kind, i) => i == 0 || kind != kinds[i - 1]));
        Assert.Contains(kinds[^1], new[] { "response.completed", "response.incomplete" });
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(one => (int)one["sequence_number"]!));
        string text =
            string.Concat(events.Where(one => (string)one["type"]! == "response.output_text.delta").Select(one => (string)one["delta"]!));
        Assert.Equal(text, (string)events.Single(one => (string)one["type"]! == "response.output_text.done")["text"]!);
        Assert.Equal(text, (string)events[^1]["response"]!["output"]![0]!["content"]![0]!["text"]!);
        Assert.Single(events.Select(one => (string?)one["item_id"] ?? (string?)one["item"]?["id"]).OfType<string>().Distinct());
    }

    [Fact]
    public async Task Stream_Calls_HasTheOfficialEventsInOrder()
    {
        JsonObject request = Request();
        request["max_output_tokens"] = 400;
        request["tools"] =
            JsonNode.Parse(
                """[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}}]""");
        request["tool_choice"] = "required";
        request["parallel_tool_calls"] = false;
        List<JsonObject> events = await StreamAsync(request);
        string[] kinds = [.. events.Select(one => (string)one["type"]!)];
        string[] expected =
        [
            "response.created", "response.in_progress", "response.output_item.added", "response.function_call_arguments.delta",
            "response.function_call_arguments.done", "response.output_item.done", "response.completed",
        ];
        Assert.Equal(expected, kinds.Where((kind, i) => i == 0 || kind != kinds[i - 1]));
        JsonNode item = events[^1]["response"]!["output"]![0]!;
        Assert.Equal(("function_call", "f"), ((string)item["type"]!, (string)item["name"]!));
        Assert.NotNull(JsonNode.Parse((string)item["arguments"]!)!["a"]);
        Assert.Equal((string)item["arguments"]!,
            string.Concat(events.Where(one => (string)one["type"]! == "response.function_call_arguments.delta")
            .Select(one => (string)one["delta"]!)));
    }

    [Fact]
    public async Task Answer_CutAtTheLimit_IsIncomplete()
    {
        JsonObject request = Request();
        request["max_output_tokens"] = 1;
        JsonObject answer = await _server.PostAsync(Path, request);
        Assert.Equal(("incomplete", "max_output_tokens"), ((string)answer["status"]!, (string)answer["incomplete_details"]!["reason"]!));
        Assert.Equal("incomplete", (string)answer["output"]![0]!["status"]!);
    }

    [Fact]
    public async Task Answer_OfASchema_FitsIt()
    {
        JsonObject request = Request();
        request["max_output_tokens"] = 200;
        request["text"] =
            JsonNode.Parse(
                """{"format":{"type":"json_schema","name":"copy","strict":true,"schema":{"type":"object","properties":{"tone":{"enum":["plain","warm"]}},"required":["tone"],"additionalProperties":false}}}""");
        JsonObject answer = await _server.PostAsync(Path, request);
        Assert.Contains((string)JsonNode.Parse((string)answer["output"]![0]!["content"]![0]!["text"]!)!["tone"]!,
            new[] { "plain", "warm" });
        Assert.Equal("copy", (string)answer["text"]!["format"]!["name"]!);
    }

    [Fact]
    public async Task Answer_WithLogprobs_TellsThem()
    {
        JsonObject request = Request();
        request["include"] = new JsonArray("message.output_text.logprobs");
        request["top_logprobs"] = 2;
        JsonNode part = (await _server.PostAsync(Path, request))["output"]![0]!["content"]![0]!;
        byte[] bytes = [.. part["logprobs"]!.AsArray().SelectMany(token => token!["bytes"]!.AsArray().Select(value => (byte)(int)value!))];
        Assert.Equal((string)part["text"]!, Encoding.UTF8.GetString(bytes));
        Assert.All(part["logprobs"]!.AsArray(), token => Assert.Equal(2, token!["top_logprobs"]!.AsArray().Count));
    }

    [Fact]
    public async Task Answer_NotToBeStored_CannotBeFoundAndLeavesCountsAlone()
    {
        JsonObject request = Request();
        request["store"] = false;
        JsonObject answer = await _server.PostAsync(Path, request);
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.GetAsync($"{Path}/{(string)answer["id"]!}")).StatusCode);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Null((await store.FindGenerationAsync(Guid.Parse((string)answer["generation_id"]!)))!.Payload);
    }

    [Fact]
    public async Task Delete_Response_TakesItsTextOutOfTheRecord()
    {
        JsonObject answer = await _server.PostAsync(Path, Request());
        using HttpResponseMessage deleted = await _server.Http.DeleteAsync($"{Path}/{(string)answer["id"]!}");
        Assert.True((bool)JsonNode.Parse(await deleted.Content.ReadAsStringAsync())!["deleted"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)answer["generation_id"]!)))!;
        Assert.Equal((null, StoreLevel.Counts), (record.Payload, record.Store));
        (HttpStatusCode status, _) =
            await _server.TryPostAsync("/feedback",
            new JsonObject { ["inference_id"] = (string)answer["generation_id"]!, ["metric_name"] = "keep",
            ["value"] = true }.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
    }

    [Fact]
    public async Task InputItems_Paged_ComeInEitherOrder()
    {
        JsonObject request = Request();
        request["input"] =
            new JsonArray([.. Enumerable.Range(0, 5)
            .Select(i => new JsonObject { ["role"] = i % 2 == 0 ? "user" : "assistant", ["content"] = $"text {i}" })]);
        string id = (string)(await _server.PostAsync(Path, request))["id"]!;
        foreach (bool ascending in new[] { true, false })
        {
            List<string> texts = [];
            for (string? after = null; ;)
            {
                JsonObject page =
                    await _server.GetAsync(
                        $"{Path}/{id}/input_items?limit=2&order={(ascending ? "asc" : "desc")}{(after is null ? "" : $"&after={after}")}");
                texts.AddRange(page["data"]!.AsArray().Select(item => (string)item!["content"]![0]!["text"]!));
                after = (string)page["last_id"]!;
                if (!(bool)page["has_more"]!) break;
            }
            Assert.Equal(Enumerable.Range(0, 5).Select(i => $"text {(ascending ? i : 4 - i)}"), texts);
        }
    }

    [Fact]
    public async Task Truncation_TooLongForTheContext_RefusesOrLeavesTheOldestOut()
    {
        JsonObject request = Request();
        request["input"] =
            new JsonArray([.. Enumerable.Range(0, 9)
            .Select(i =>
            new JsonObject { ["role"] = i % 2 == 0 ? "user" : "assistant",
            ["content"] = $"{i} {string.Concat(Enumerable.Repeat("zxq ", 300))}" })]);
        request["instructions"] = "Stay.";
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, request.ToJsonString());
        Assert.Equal((HttpStatusCode.BadRequest, "context_length_exceeded", "input"),
            (status, (string)answer["error"]!["code"]!, (string)answer["error"]!["param"]!));
        request["truncation"] = "auto";
        Assert.Equal("auto", (string)(await _server.PostAsync(Path, request))["truncation"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        IReadOnlyList<Flywheel.Model.Message> seen = (await store.RecentGenerationsAsync(1))[0].Payload!.Conversation!.Messages;
        Assert.Equal("Stay.", seen[0].Text);
        Assert.StartsWith("8 ", seen[^1].Text, StringComparison.Ordinal);
        Assert.InRange(seen.Count, 2, 8);
        Assert.Equal(Flywheel.Model.Role.User, seen[1].Role);
    }

    [Theory]
    [InlineData("input", "null", "input", "missing_required_parameter")]
    [InlineData("input", "[]", "input", "invalid_value")]
    [InlineData("input", "7", "input", "invalid_value")]
    [InlineData("input", """[{"type":"reasoning"}]""", "input[0].type", "invalid_value")]
    [InlineData("input", """[{"role":"wizard","content":"x"}]""", "input[0].role", "invalid_value")]
    [InlineData("input", """[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]""", "input[0].content[0].type",
        "invalid_value")]
    [InlineData("input", """[{"role":"user","content":"x"},{"type":"function_call_output","call_id":"c","output":"r"}]""",
        "input[1].call_id", "invalid_value")]
    [InlineData("input", """[{"type":"function_call","name":"f","arguments":"{}"}]""", "input[0].call_id", "invalid_value")]
    [InlineData("previous_response_id", "\"resp_7\"", "previous_response_id", "previous_response_not_found")]
    [InlineData("max_output_tokens", "0", "max_output_tokens", "invalid_value")]
    [InlineData("truncation", "\"some\"", "truncation", "invalid_value")]
    [InlineData("include", "[\"file_search_call.results\"]", "include", "invalid_value")]
    [InlineData("tools", """[{"type":"web_search"}]""", "tools[0].type", "invalid_value")]
    [InlineData("tools", """[{"type":"function"}]""", "tools[0].name", "invalid_value")]
    [InlineData("tool_choice", "\"required\"", "tool_choice", "invalid_value")]
    [InlineData("text", """{"format":{"type":"xml"}}""", "text.format.type", "invalid_value")]
    [InlineData("text", """{"format":{"type":"json_schema","name":"x"}}""", "text.format", "invalid_value")]
    [InlineData("background", "true", "background", "unsupported_parameter")]
    [InlineData("reasoning", """{"effort":7}""", "reasoning.effort", "invalid_value")]
    [InlineData("reasoning", """{"summary":"auto"}""", "reasoning.summary", "unsupported_parameter")]
    [InlineData("messages", "[]", "messages", "unknown_parameter")]
    [InlineData("model", "\"gpt-9\"", "model", "model_not_found")]
    [InlineData("temperature", "3", "temperature", "invalid_value")]
    public async Task Request_OneFieldWrong_IsRefusedByName(string field, string value, string param, string code)
    {
        JsonObject request = Request();
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, request.ToJsonString());
        Assert.InRange((int)status, 400, 404);
        Assert.Equal((param, code), ((string)answer["error"]!["param"]!, (string)answer["error"]!["code"]!));
    }

    [Fact]
    public async Task Requests_MutatedInside_NeverFailOnOurSide()
    {
        string[] odd =
            ["null", "true", "[]", "{}", "-1", "\"\"", "\"\\u0000\"", "[null]", "[[[]]]", "{\"\":0}", "\"function\"", "\"function_call\"",
            "{\"type\":\"object\"}", "\"resp_01937c1e7a1b7c3d8e4f5a6b7c8d9e0f\""];
        const string Good = """
            {"model":"flywheel","max_output_tokens":3,"instructions":"s","input":[{"role":"user","content":[{"type":"input_text","text":"t"}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"u","annotations":[]}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"r"}],"tools":[{"type":"function","name":"f","description":"d","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}],
            "tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"text"}},"truncation":"auto","metadata":{"a":"b"},"include":["message.output_text.logprobs"],"stream":false,"user":"u","store":true}
            """;
        var random = new Random(37);
        string[] pieces = [.. odd, .. Nodes(JsonNode.Parse(Good)!).Select(node => node.ToJsonString())];
        for (int i = 0; i < 400; i++)
        {
            JsonNode root = JsonNode.Parse(Good)!;
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                JsonNode[] all = [.. Nodes(root).Where(node => node.Parent is not null)];
                if (all.Length == 0) break;
                all[random.Next(all.Length)].ReplaceWith(JsonNode.Parse(pieces[random.Next(pieces.Length)]));
            }
            string sent = root.ToJsonString();
            using HttpResponseMessage response =
                await _server.Http.PostAsync(Path, new StringContent(sent, Encoding.UTF8, "application/json"));
            string answer = await response.Content.ReadAsStringAsync();
            Assert.True((int)response.StatusCode < 500, $"{sent}: {(int)response.StatusCode} {answer}");
        }

        static IEnumerable<JsonNode> Nodes(JsonNode node) => (node switch
        {
            JsonObject fields => fields.Select(field => field.Value),
            JsonArray items => items,
            _ => [],
        }).OfType<JsonNode>().SelectMany(Nodes).Prepend(node);
    }

    private static JsonObject Request() =>
        new() { ["model"] = "flywheel", ["input"] = "Write a tagline.", ["max_output_tokens"] = 12, ["seed"] = 7,
        ["metadata"] = new JsonObject { ["topic"] = "test" } };

    private async Task<List<JsonObject>> StreamAsync(JsonObject request)
    {
        request["stream"] = true;
        using HttpResponseMessage response =
            await _server.Http.PostAsync(Path, new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json"));
        string body = await response.Content.ReadAsStringAsync();
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return [.. body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(text =>
        {
            string[] lines = text.Split('\n');
            JsonObject data = JsonNode.Parse(lines[1]["data: ".Length..])!.AsObject();
            Assert.Equal($"event: {(string)data["type"]!}", lines[0]);
            return data;
        })];
    }
}
