using System.ClientModel;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using OpenAI;
using OpenAI.Chat;

namespace Flywheel.Studio.Tests;

/// <summary>Tool calls over HTTP: by plain requests, by OpenAI's .NET client, and in the record.</summary>
public sealed class ToolCallTests : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(context: 4096);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Required_Call_FitsTheSchemaAndIsRecorded()
    {
        JsonObject request = Ask();
        request["tool_choice"] = "required";
        request["parallel_tool_calls"] = false;
        JsonObject answer = await _server.PostAsync(Path, request);
        JsonNode choice = answer["choices"]![0]!;
        Assert.Equal("tool_calls", (string)choice["finish_reason"]!);
        Assert.Null(choice["message"]!["content"]);
        JsonNode call = Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!;
        Assert.Equal("function", (string)call["type"]!);
        CheckArguments((string)call["function"]!["name"]!, (string)call["function"]!["arguments"]!);
        string id = (string)choice["generation_id"]!;
        Assert.Equal($"call_{id.Replace("-", "", StringComparison.Ordinal)}0", (string)call["id"]!);

        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse(id)))!;
        Assert.Equal(["get_weather", "get_time"], record.Payload!.Conversation!.Tools.Select(tool => tool.Name));
        Assert.StartsWith(ToolText.CallStart, record.Payload.Text, StringComparison.Ordinal);
        Assert.Contains("get_weather", record.Payload.Sampler.Grammar, StringComparison.Ordinal);

        // The result comes back, and the model goes on from it.
        request["messages"]!.AsArray().Add(choice["message"]!.DeepClone());
        request["messages"]!.AsArray()
            .Add(new JsonObject { ["role"] = "tool", ["tool_call_id"] = (string)call["id"]!, ["content"] = "sunny" });
        request["tool_choice"] = "none";
        JsonObject next = await _server.PostAsync(Path, request);
        Assert.Null(next["choices"]![0]!["message"]!["tool_calls"]);
        record = (await store.FindGenerationAsync(Guid.Parse((string)next["choices"]![0]!["generation_id"]!)))!;
        Assert.Equal((string)call["id"]!, record.Payload!.Conversation!.Messages[^1].ToolCallId);
        Assert.Single(record.Payload.Conversation.Messages[^2].ToolCalls);
    }

    [Fact]
    public async Task Stream_OfCalls_EqualsPlain()
    {
        JsonObject request = Ask();
        request["tool_choice"] = "required";
        request["n"] = 2;
        request["logprobs"] = true;
        JsonObject plain = await _server.PostAsync(Path, request);
        List<JsonObject> events = await _server.StreamAsync(Path, request);
        foreach (JsonNode? whole in plain["choices"]!.AsArray())
        {
            JsonNode[] chunks =
                [.. events.Select(chunk => chunk["choices"]![0]!).Where(choice => (int)choice["index"]! == (int)whole!["index"]!)];
            Assert.Equal((string)whole!["finish_reason"]!, (string)chunks[^1]["finish_reason"]!);
            var calls = chunks.SelectMany(chunk => chunk["delta"]!["tool_calls"]?.AsArray() ?? []).GroupBy(call => (int)call!["index"]!)
                .ToArray();
            JsonArray expected = whole["message"]!["tool_calls"]!.AsArray();
            Assert.Equal(expected.Count, calls.Length);
            for (int i = 0; i < calls.Length; i++)
            {
                Assert.StartsWith("call_", (string)calls[i].First()!["id"]!, StringComparison.Ordinal);
                Assert.Equal((string)expected[i]!["function"]!["name"]!, (string)calls[i].First()!["function"]!["name"]!);
                Assert.Equal((string)expected[i]!["function"]!["arguments"]!,
                    string.Concat(calls[i].Select(call => (string)call!["function"]!["arguments"]!)));
                Assert.All(calls[i].Skip(1), call => Assert.Null(call!["id"]));
            }
            Assert.Equal(whole["logprobs"]!["content"]!.AsArray().Count,
                chunks.Sum(chunk => (chunk["logprobs"]?["content"] as JsonArray)?.Count ?? 0));
        }
    }

    private static ChatClient Client(TestServer server) =>
        new OpenAIClient(new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri($"{server.Server.Url}/v1"),
                RetryPolicy = new System.ClientModel.Primitives.ClientRetryPolicy(0) }).GetChatClient("flywheel");

    /// <summary>Two functions, of which the first must be called.</summary>
    private static ChatCompletionOptions NamedCall() => new()
    {
        Tools = { ChatTool.CreateFunctionTool("get_weather", "Of a city.", BinaryData.FromString(Schema), functionSchemaIsStrict: true),
            ChatTool.CreateFunctionTool("get_time") },
        ToolChoice = ChatToolChoice.CreateFunctionChoice("get_weather"),
#pragma warning disable OPENAI001
        Seed = 4,
#pragma warning restore OPENAI001
    };

    [Fact]
    public async Task Client_OfOpenAI_GetsTheNamedCallPlainAndStreaming()
    {
        ChatClient chat = Client(_server);
        ChatCompletionOptions options = NamedCall();
        List<ChatMessage> messages = [new UserChatMessage("Weather?")];
        ChatCompletion completion = await chat.CompleteChatAsync(messages, options);
        Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
        ChatToolCall call = Assert.Single(completion.ToolCalls);
        Assert.Equal("get_weather", call.FunctionName);
        CheckArguments(call.FunctionName, call.FunctionArguments.ToString());

        var arguments = new StringBuilder();
        string id = "", name = "";
        await foreach (StreamingChatCompletionUpdate update in chat.CompleteChatStreamingAsync(messages, options))
            foreach (StreamingChatToolCallUpdate part in update.ToolCallUpdates)
            {
                (id, name) = (part.ToolCallId ?? id, part.FunctionName ?? name);
                arguments.Append(part.FunctionArgumentsUpdate);
            }
        Assert.Equal((call.FunctionName, call.FunctionArguments.ToString()), (name, arguments.ToString()));
        Assert.NotEmpty(id);

        messages.Add(new AssistantChatMessage(completion));
        messages.Add(new ToolChatMessage(call.Id, "sunny"));
        ChatCompletion last = await chat.CompleteChatAsync(messages, new ChatCompletionOptions { MaxOutputTokenCount = 10 });
        Assert.Empty(last.ToolCalls);
    }

    /// <summary>Models of other families, their special tokens included, by OpenAI's client: a call, its stream, and its result
    /// back.</summary>
    [Theory]
    [InlineData(ToolTemplates.Listed, "[TOOL_CALLS]")]
    [InlineData(ToolTemplates.Bare, "{")]
    [InlineData(ToolTemplates.Sections, "<calls>")]
    public async Task Client_OfOpenAI_ModelThatWritesCallsItsOwnWay_GetsTheSame(string template, string begin)
    {
        await using TestServer server = await TestServer.StartAsync(context: 4096, edit: folder =>
        {
            // The token that opens messages in ChatML is Mistral's here.
            string tokenizer = System.IO.Path.Combine(folder, "tokenizer.json");
            File.WriteAllText(tokenizer,
                File.ReadAllText(tokenizer).Replace(Tokenizer.MessageStart, "[TOOL_CALLS]", StringComparison.Ordinal));
            File.WriteAllText(System.IO.Path.Combine(folder, "chat_template.jinja"),
                template.Replace(Tokenizer.MessageStart, "<begin>", StringComparison.Ordinal));
        });
        ChatClient chat = Client(server);
        ChatCompletionOptions options = NamedCall();
        List<ChatMessage> messages = [new UserChatMessage("Weather?")];
        ChatCompletion completion = await chat.CompleteChatAsync(messages, options);
        ChatToolCall call = Assert.Single(completion.ToolCalls);
        Assert.Equal((ChatFinishReason.ToolCalls, "get_weather", 0),
            (completion.FinishReason, call.FunctionName, completion.Content.Count));
        CheckArguments(call.FunctionName, call.FunctionArguments.ToString());
        await using FlywheelStore store = await server.OpenStoreAsync();
        Assert.StartsWith(begin, (await store.RecentGenerationsAsync(1))[0].Payload!.Text.TrimStart(), StringComparison.Ordinal);

        var arguments = new StringBuilder();
        await foreach (StreamingChatCompletionUpdate update in chat.CompleteChatStreamingAsync(messages, options))
        {
            Assert.Empty(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            foreach (StreamingChatToolCallUpdate part in update.ToolCallUpdates) arguments.Append(part.FunctionArgumentsUpdate);
        }
        Assert.Equal(call.FunctionArguments.ToString(), arguments.ToString());

        messages.Add(new AssistantChatMessage(completion));
        messages.Add(new ToolChatMessage(call.Id, "sunny"));
        Assert.Empty((await chat.CompleteChatAsync(messages, new ChatCompletionOptions { MaxOutputTokenCount = 10 })).Value.ToolCalls);
    }

    /// <summary>A model without a chat template continues texts, and says that it cannot be talked to.</summary>
    [Fact]
    public async Task Model_WithoutChatTemplate_ContinuesTextsOnly()
    {
        await using TestServer server = await TestServer.StartAsync(edit: folder =>
        {
            string tokenizer = System.IO.Path.Combine(folder, "tokenizer.json");
            File.WriteAllText(tokenizer, File.ReadAllText(tokenizer).Replace(Tokenizer.MessageStart, "<begin>", StringComparison.Ordinal));
            File.Delete(System.IO.Path.Combine(folder, "chat_template.jinja"));
        });
        Assert.Equal("length",
            (string)(await server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "The", ["max_tokens"] = 4,
                    ["logit_bias"] = new JsonObject { ["0"] = -100, ["2"] = -100 } }))["choices"]![0]!["finish_reason"]!);
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync(Path, TestServer.Chat().ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("no chat template", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Grammar_InGbnf_IsFollowed()
    {
        foreach (string path in new[] { Path, "/v1/completions" })
        {
            JsonObject request = TestServer.Chat(maxTokens: 60);
            if (path != Path)
            {
                request.Remove("messages");
                request["prompt"] = "The";
            }
            request["grammar"] = "root ::= (\"red\" | \"blue\"){2} \"!\"";
            JsonNode choice = (await _server.PostAsync(path, request))["choices"]![0]!;
            Assert.Matches("^(red|blue){2}!$", (string)(choice["message"]?["content"] ?? choice["text"])!);
        }
    }

    [Theory]
    [InlineData("tools", """[{"type": "function"}]""", "tools[0].function", "missing")]
    [InlineData("tools", """[{"type": "retrieval"}]""", "tools[0].type", "retrieval")]
    [InlineData("tools", """[{"type": "function", "function": {"name": "a b"}}]""", "tools[0].function.name", "a b")]
    [InlineData("tools", """[{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "a"}}]""", "tools",
        "two functions")]
    [InlineData("tools",
        """[{"type": "function", "function": {"name": "a", "strict": true, "parameters": {"type": "object", "properties": {"x": {"contains": {"const": 1}}}}}}]""", "tools", "'a': #/properties/x: keyword 'contains'")]
    [InlineData("tools", """{"a": 1}""", "tools", "array")]
    [InlineData("tool_choice", "\"always\"", "tool_choice", "always")]
    [InlineData("tool_choice", """{"type": "function", "function": {"name": "get_fish"}}""", "tool_choice", "get_fish")]
    [InlineData("parallel_tool_calls", "1", "parallel_tool_calls", "true or false")]
    [InlineData("grammar", "\"root ::= [\"", "grammar", "together")]
    [InlineData("messages", """[{"role": "tool", "content": "x", "tool_call_id": "call_1"}]""", "messages[0].tool_call_id", "call_1")]
    [InlineData("messages", """[{"role": "user", "content": "x", "tool_calls": []}]""", "messages[0].tool_calls", "assistant")]
    [InlineData("messages", """[{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "b"}}]}]""",
        "messages[0].tool_calls[0].function.arguments", "missing")]
    [InlineData("service_tier", "\"gold\"", "service_tier", "gold")]
    public async Task Field_Wrong_IsRefusedByName(string field, string value, string param, string says)
    {
        JsonObject request = Ask();
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, request.ToJsonString());
        Assert.True(status == HttpStatusCode.BadRequest, answer.ToJsonString());
        Assert.Equal(param, (string)answer["error"]!["param"]!);
        Assert.Contains(says, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    private const string Schema =
        """{"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer", "minimum": 1, "maximum": 7}}, "required": ["city", "days"], "additionalProperties": false}""";

    private static JsonObject Ask()
    {
        JsonObject request = TestServer.Chat("How is the weather?", maxTokens: 1000);
        request["tools"] =
            JsonNode.Parse(
                $$$"""[{"type": "function", "function": {"name": "get_weather", "description": "Of a city.", "parameters": {{{Schema}}}}}, {"type": "function", "function": {"name": "get_time"}}]""");
        return request;
    }

    private static void CheckArguments(string name, string arguments)
    {
        JsonObject given = JsonNode.Parse(arguments)!.AsObject();
        if (name == "get_time")
        {
            Assert.Empty(given);
            return;
        }
        Assert.Equal("get_weather", name);
        Assert.Equal(["city", "days"], given.Select(pair => pair.Key));
        Assert.Equal(JsonValueKind.String, given["city"]!.GetValueKind());
        Assert.InRange((int)given["days"]!, 1, 7);
    }
}
