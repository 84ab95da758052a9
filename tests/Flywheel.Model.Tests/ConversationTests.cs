using System.Text.Json.Nodes;
using CsCheck;

namespace Flywheel.Model.Tests;

public class ConversationTests
{
    private static readonly Gen<Message> s_message =
        Gen.Select(Gen.Enum<Role>(), Gen.String, Gen.String.Array[1, 3], Gen.Bool, (role, text, parts, several) =>
        new Message(role, several ? [.. parts.Select(part => new TextPart(Clean(part)))] : [new TextPart(Clean(text))])
            { Fields = several
                ? new Dictionary<string, string> { ["name"] = System.Text.Json.JsonSerializer.Serialize(Clean(text), JsonText.Compact),
                    ["n"] = "12345678901234567890" } : [] });

    /// <summary>Half a surrogate pair is no text and does not survive UTF-8.</summary>
    private static string Clean(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));

    [Fact]
    public void ToString_AnyConversation_ParsesToAnEqualOne() => s_message.Array[1, 5].Sample(messages =>
        new Conversation(messages).Equals(Conversation.Parse(new Conversation(messages).ToString())));

    [Fact]
    public void Parse_FineTuningRow_HasItsMessages() => Assert.Equal(
        new Conversation([Message.System("Be kind."), Message.User("Hi"), Message.Assistant("Hello!")]),
        Conversation.Parse(
            """{"messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "Hello!", "refusal": null}]}"""));

    [Fact]
    public void Parse_FieldsBesideTheKnown_AreKept()
    {
        Conversation conversation =
            Conversation.Parse(
                """{"messages": [{"role": "assistant", "content": "a", "reasoning_content": "é", "n": 12345678901234567890}], "chat_template_kwargs": {"enable_thinking": false}}""");
        Assert.Equal(("\"é\"", "12345678901234567890", "false"),
            (conversation.Messages[0].Fields["reasoning_content"], conversation.Messages[0].Fields["n"],
                conversation.TemplateArguments["enable_thinking"]));
        Assert.Equal(conversation, Conversation.Parse(conversation.ToString()));
        Assert.NotEqual(conversation, conversation with { TemplateArguments = new Dictionary<string, string>() });
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "not valid JSON")]
    [InlineData("null", "'messages'")]
    [InlineData("[]", "'messages'")]
    [InlineData("5", "'messages'")]
    [InlineData("{}", "'messages' is missing")]
    [InlineData("""{"messages": {}}""", "'messages' is missing")]
    [InlineData("""{"messages": []}""", "'messages' is empty")]
    [InlineData("""{"messages": ["hi"]}""", "messages[0]")]
    [InlineData("""{"messages": [null]}""", "messages[0]")]
    [InlineData("""{"messages": [{"content": "x"}]}""", "'messages[0].role' is missing")]
    [InlineData("""{"messages": [{"role": 5, "content": "x"}]}""", "'messages[0].role'")]
    [InlineData("""{"messages": [{"role": "boss", "content": "x"}]}""",
        "'messages[0].role' is 'boss', expected system, user, assistant or tool")]
    [InlineData("""{"messages": [{"role": "user"}]}""", "'messages[0].content' is missing")]
    [InlineData("""{"messages": [{"role": "user", "content": 5}]}""", "'messages[0].content' is 5")]
    [InlineData("""{"messages": [{"role": "user", "content": []}]}""", "'messages[0].content' is empty")]
    [InlineData("""{"messages": [{"role": "user", "content": ["x"]}]}""", "'messages[0].content[0].type' is missing")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}""",
        "'messages[0].content[0].type' is 'image_url', expected 'text'")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "text"}]}]}""", "'messages[0].content[0].text' is missing")]
    [InlineData("""{"messages": [{"role": "user", "role": "system", "content": "x"}]}""", "not valid JSON")]
    [InlineData("""{"messages": [{"role": "user", "content": "\ud800"}]}""", "'messages' is malformed")]
    [InlineData("""{"messages": [{"role": "user", "content": "x", "name": "\ud800"}]}""", "'messages' is malformed")]
    [InlineData("""{"messages": [{"role": "assistant", "content": "x", "function_call": {}}]}""",
        "'messages[0].function_call' is not supported, expected 'tool_calls'")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": [1]}""",
        "'chat_template_kwargs' is [1], expected an object")]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": {"tools": 1}}""",
        "'chat_template_kwargs.tools'")]
    public void Parse_Invalid_NamesTheField(string json, string expected) =>
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => Conversation.Parse(json)).Message);

    [Fact]
    public void FromJson_FieldGivenTwice_IsRefused()
    {
        var body = JsonNode.Parse("""{"messages": [{"role": "user", "content": "x", "content": "y"}]}""")!;
        Assert.Contains("messages", Assert.Throws<FlywheelException>(() => Conversation.FromJson(body["messages"]!.AsArray())).Message);
    }

    [Fact]
    public void Parse_MutatedText_FailsOnlyWithAFlywheelException()
    {
        const string Valid =
            """{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi \u00e9"}]}, {"role": "assistant", "content": "Hello!"}]}""";
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Char["{}[]\",:\\u0dn 5é"]).Array[1, 6].Sample(changes =>
        {
            char[] text = Valid.ToCharArray();
            foreach ((int at, char with) in changes) text[at] = with;
            try
            {
                Conversation.Parse(new string(text)).ToString();
            }
            catch (FlywheelException)
            {
            }
        }, iter: 3000);
    }
}
