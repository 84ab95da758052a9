using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

/// <summary>Tool calls in an answer: what their grammar lets pass, and how they are taken apart again.</summary>
public class ToolTests
{
    private static readonly ToolDefinition Weather = new("get_weather", "Of a city.", """{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city"]}""");
    private static readonly ToolDefinition Time = new("get_time", null, """{"type":"object","properties":{}}""");

    [Theory]
    [InlineData("It is sunny < 3 <tool_ </tool_call> <b>", true)]
    [InlineData("", true)]
    [InlineData("I look. <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\", \"days\": 3}}</tool_call>", true)]
    [InlineData("<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>", true)]
    [InlineData("<<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call>", true)]
    [InlineData("<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call>", true)]
    [InlineData("<tool_call>", false)]
    [InlineData("<tool_call> or not", false)]
    [InlineData("<tool_call>{\"name\": \"get_fish\", \"arguments\": {}}</tool_call>", false)]
    [InlineData("<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"days\": 3}}</tool_call>", false)]
    [InlineData("<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\", \"days\": 8}}</tool_call>", false)]
    [InlineData("<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call> and text", false)]
    public void Grammar_Auto_TextOrWholeCalls(string answer, bool fits) =>
        Assert.Equal(fits, GrammarReader.Accepts(Grammar.OfTools([Weather, Time], ToolUse.Auto, parallel: true), answer));

    [Fact]
    public void Grammar_RequiredOrSchema_NoFreeText()
    {
        const string Call = "<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call>";
        Grammar required = Grammar.OfTools([Time], ToolUse.Required, parallel: false);
        Assert.Equal((true, false, false), (GrammarReader.Accepts(required, Call), GrammarReader.Accepts(required, Call + Call), GrammarReader.Accepts(required, "hello")));
        Grammar schema = Grammar.OfTools([Time], ToolUse.Auto, parallel: true, JsonNode.Parse("""{"type":"integer"}"""));
        Assert.Equal((true, true, false), (GrammarReader.Accepts(schema, Call), GrammarReader.Accepts(schema, "12"), GrammarReader.Accepts(schema, "hello")));
    }

    [Fact]
    public void Grammar_SchemaNotSupported_RefusedOnlyWhereItIsPromised()
    {
        var odd = new ToolDefinition("odd", null, """{"type":"object","properties":{"a":{"not":{}}}}""");
        Assert.True(GrammarReader.Accepts(Grammar.OfTools([odd], ToolUse.Auto, parallel: true), "<tool_call>{\"name\": \"odd\", \"arguments\": {\"b\": [1]}}</tool_call>"));
        foreach ((ToolDefinition tool, ToolUse use) in new[] { (odd with { Strict = true }, ToolUse.Auto), (odd, ToolUse.Required) })
            Assert.Contains("'odd': #/properties/a: keyword 'not'", Assert.Throws<FlywheelException>(() => Grammar.OfTools([tool], use, parallel: true)).Message, StringComparison.Ordinal);
    }

    // However the answer is cut into pieces, the same comes out.
    [Fact]
    public void Reader_AnyCut_GivesTheSameParts()
    {
        const string Answer = "  Let me <see>. \n<tool_call>\n{\"name\": \"a\\u0062\", \"arguments\": {\"x\": \"}\\\"</tool_call>{\", \"y\": [{}]}}\n</tool_call>\n<tool_call>{\"name\":\"c\",\"arguments\":{}}</tool_call>";
        var random = new Random(5);
        for (int i = 0; i < 300; i++)
        {
            var reader = new ToolCallReader();
            var pieces = new List<ToolPiece>();
            for (int at = 0, length; at < Answer.Length; at += length) pieces.AddRange(reader.Append(Answer.Substring(at, length = Math.Min(random.Next(0, 12), Answer.Length - at))));
            pieces.AddRange(reader.Flush());
            Assert.Equal("  Let me <see>.", string.Concat(pieces.Select(piece => piece.Content)));
            Assert.Equal(["ab", "c"], pieces.Where(piece => piece.Name is not null).Select(piece => piece.Name));
            Assert.Equal("{\"x\": \"}\\\"</tool_call>{\", \"y\": [{}]}|{}", string.Join('|', pieces.Where(piece => piece.Call >= 0).GroupBy(piece => piece.Call).Select(call => string.Concat(call.Select(piece => piece.Arguments)))));
        }
    }

    [Theory]
    [InlineData("a < b <tool", "a < b <tool")]
    [InlineData("text \n", "text \n")]
    [InlineData("<tool_call>{\"name\": \"x", "")]
    public void Reader_UnfinishedAnswer_KeepsItsText(string answer, string content)
    {
        var reader = new ToolCallReader();
        List<ToolPiece> pieces = [.. answer.SelectMany(c => reader.Append($"{c}"))];
        pieces.AddRange(reader.Flush());
        Assert.Equal(content, string.Concat(pieces.Select(piece => piece.Content)));
    }
}
