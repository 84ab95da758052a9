using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary>What a request says reaches the model's chat template, seen in the recorded prompt.</summary>
public class TemplateFieldTests
{
    private const string Path = "/v1/chat/completions";

    private const string Template = """
        {{ strftime_now("%Y-%m-%d") }}|{{ enable_thinking }}|{{ reasoning_effort }}|{% for m in messages %}[{{ m.role }} {{ m.name }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% if m.mood %}{{ m.mood.of }}{% endif %}{% endfor %}{% for t in tools %}({{ t.function.name + ': ' + t.function.description }}){% endfor %}
        """;

    [Fact]
    public async Task Chat_FieldsOfMessagesAndTemplate_ReachThePrompt()
    {
        await using TestServer server = await StartAsync(Template);
        JsonObject request = TestServer.Chat(maxTokens: 2);
        request["messages"] = JsonNode.Parse("""
            [{"role": "user", "name": "ann", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
             {"role": "assistant", "content": "sunny", "reasoning_content": "clouds?", "refusal": null},
             {"role": "user", "content": "and now?", "mood": {"of": 12345678901234567890123}}]
            """);
        request["tools"] = JsonNode.Parse("""[{"type": "function", "function": {"name": "look"}}]""");
        request["tool_choice"] = "auto";
        request["chat_template_kwargs"] = new JsonObject { ["enable_thinking"] = false };
        request["reasoning_effort"] = "low";
        string prompt = await PromptAsync(server, request);
        Assert.Contains($"{DateTime.Now:yyyy}-", prompt, StringComparison.Ordinal);
        Assert.Contains(
            "|False|low|[user ann]one\ntwo[assistant ]<think>clouds?</think>sunny[user ]and now?12345678901234567890123(look: )", prompt,
            StringComparison.Ordinal);

        // Recorded, so that what is learnt from it is asked for in the same way.
        await using FlywheelStore store = await server.OpenStoreAsync();
        Generation record = (await store.RecentGenerationsAsync(1))[0];
        Assert.Equal("false", record.Payload!.Conversation!.TemplateArguments["enable_thinking"]);
        Assert.Equal("\"clouds?\"", record.Payload.Conversation.Messages[1].Fields["reasoning_content"]);
    }

    [Theory]
    [InlineData("chat_template_kwargs", "[]", "field 'chat_template_kwargs' is []")]
    [InlineData("chat_template_kwargs", """{"messages": []}""", "'chat_template_kwargs.messages'")]
    [InlineData("reasoning_effort", "\"vast\"", "minimal")]
    [InlineData("messages",
        """[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "function_call": {"name": "f", "arguments": "{}"}}]""",
        "messages[1].function_call")]
    public async Task Chat_FieldOfAnotherKind_IsRefusedByName(string field, string value, string expected)
    {
        await using TestServer server = await StartAsync(Template);
        JsonObject request = TestServer.Chat();
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync(Path, request.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(expected, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    /// <summary>A template that does not parse, one that wants what is not there, several without a default: completions are served all the
    /// same.</summary>
    [Theory]
    [InlineData("{% for m in messages %}{{ m.role }", "line 1")]
    [InlineData("{{ messages | frobnicate }}", "frobnicate")]
    [InlineData(null, "only tool_use, rag")]
    public async Task Chat_TemplateThatCannotBeRead_CompletionsAreServed(string? template, string expected)
    {
        await using TestServer server = await StartAsync(template);
        Assert.NotNull(
            (await server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "The", ["max_tokens"] = 2 }))["choices"]);
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync(Path, TestServer.Chat().ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("cannot be talked to", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        Assert.Contains(expected, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(string? template) => TestServer.StartAsync(context: 1024, edit: folder =>
    {
        string file = System.IO.Path.Combine(folder, "chat_template.jinja"),
            settings = System.IO.Path.Combine(folder, "tokenizer_config.json");
        if (template is not null)
        {
            File.WriteAllText(file, template);
            return;
        }
        File.Delete(file);
        JsonObject config = JsonNode.Parse(File.ReadAllText(settings))!.AsObject();
        config["chat_template"] = JsonNode.Parse("""[{"name": "tool_use", "template": "a"}, {"name": "rag", "template": "b"}]""");
        File.WriteAllText(settings, config.ToJsonString());
    });

    private static async Task<string> PromptAsync(TestServer server, JsonObject request)
    {
        string id = (string)(await server.PostAsync(Path, request))["choices"]![0]!["generation_id"]!;
        await using FlywheelStore store = await server.OpenStoreAsync();
        return server.Server.Model.Tokenizer.Decode([.. (await store.FindGenerationAsync(Guid.Parse(id)))!.Payload!.PromptTokens]);
    }
}
