namespace Flywheel.Model.Tests;

public class ToolTextTests
{
    private const string Row = """
        {"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather in Bern and Rome?"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"}},{"id":"c2","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Rome\"}"}}]},
        {"role":"tool","content":"sunny","tool_call_id":"c1"},{"role":"tool","content":"rain","tool_call_id":"c2"},{"role":"assistant","content":"Sun in Bern, rain in Rome."}],
        "tools":[{"type":"function","function":{"name":"weather","description":"Of a city.","parameters":{"type":"object","properties":{"city":{"type":"string"}}},"strict":true}}]}
        """;

    [Fact]
    public void Conversation_WithTools_ComesBackFromItsJson()
    {
        Conversation conversation = Conversation.Parse(Row);
        Assert.Equal(conversation, Conversation.Parse(conversation.ToString()));
        Assert.Equal(("weather", true), (conversation.Tools[0].Name, conversation.Tools[0].Strict));
        Assert.Equal(["c1", "c2"], conversation.Messages[2].ToolCalls.Select(call => call.Id));
        Assert.Empty(conversation.Messages[2].Parts);
        Assert.NotEqual(conversation, conversation with { Tools = [] });
    }

    [Fact]
    public void Lower_CallsAndResults_BecomeText()
    {
        Conversation text = ToolText.Lower(Conversation.Parse(Row));
        Assert.Equal([Role.System, Role.User, Role.Assistant, Role.User, Role.Assistant], text.Messages.Select(message => message.Role));
        Assert.StartsWith("Be brief.\n\n", text.Messages[0].Text, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"weather\"", text.Messages[0].Text, StringComparison.Ordinal);
        Assert.Equal(
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>", text.Messages[2].Text);
        Assert.Equal("<tool_response>\nsunny\n</tool_response>\n<tool_response>\nrain\n</tool_response>", text.Messages[3].Text);
        Conversation plain = new([Message.User("x")]);
        Assert.Same(plain, ToolText.Lower(plain));
    }

    // The calls are the assistant's words: training learns them, and not the results.
    [Fact]
    public void Document_WithCalls_HasThemAsTargets()
    {
        Tokenizer tokenizer = Tokenizer.Train(["Weather in Bern? sunny rain tool_call name arguments"], 300);
        (int[] tokens, byte[] targets) = new ChatTemplate(tokenizer).Document(Conversation.Parse(Row));
        string learnt = tokenizer.Decode([.. tokens.Where((_, i) => targets[i] == 1)]);
        Assert.Contains("{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}", learnt, StringComparison.Ordinal);
        Assert.Contains("Sun in Bern", learnt, StringComparison.Ordinal);
        Assert.DoesNotContain("sunny", learnt, StringComparison.Ordinal);
        Assert.DoesNotContain("Be brief", learnt, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"tool","content":"x","tool_call_id":"c9"}]}""", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"user","content":"x","tool_call_id":"c9"}]}""", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"a b"}}]}""",
        "tools[0].function.name")]
    [InlineData("""{"messages":[{"role":"assistant","content":null}]}""", "messages[0].content")]
    public void Conversation_Malformed_NamesTheField(string row, string field) =>
        Assert.Contains(field, Assert.Throws<FlywheelException>(() => Conversation.Parse(row)).Message, StringComparison.Ordinal);
}
