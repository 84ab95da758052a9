using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Tool calls in an answer: what their grammar lets pass, and how they are taken apart again.</summary>
public class ToolTests
{
    private static readonly ToolDefinition Weather = new("get_weather", "Of a city.",
        """{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city"]}""");
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
        Assert.Equal(fits,
            GrammarReader.Accepts(Grammar.OfTools(ToolCallForm.Hermes, [Weather, Time], ToolUse.Auto, parallel: true), answer));

    [Fact]
    public void Grammar_RequiredOrSchema_NoFreeText()
    {
        const string Call = "<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call>";
        Grammar required = Grammar.OfTools(ToolCallForm.Hermes, [Time], ToolUse.Required, parallel: false);
        Assert.Equal((true, false, false), (GrammarReader.Accepts(required, Call), GrammarReader.Accepts(required, Call + Call),
            GrammarReader.Accepts(required, "hello")));
        Grammar schema = Grammar.OfTools(ToolCallForm.Hermes, [Time], ToolUse.Auto, parallel: true,
            JsonNode.Parse("""{"type":"integer"}"""));
        Assert.Equal((true, true, false), (GrammarReader.Accepts(schema, Call), GrammarReader.Accepts(schema, "12"),
            GrammarReader.Accepts(schema, "hello")));
    }

    [Fact]
    public void Grammar_SchemaNotSupported_RefusedOnlyWhereItIsPromised()
    {
        var odd = new ToolDefinition("odd", null, """{"type":"object","properties":{"a":{"contains":{}}}}""");
        Assert.True(GrammarReader.Accepts(Grammar.OfTools(ToolCallForm.Hermes, [odd], ToolUse.Auto, parallel: true),
            "<tool_call>{\"name\": \"odd\", \"arguments\": {\"b\": [1]}}</tool_call>"));
        foreach ((ToolDefinition tool, ToolUse use) in new[] { (odd with { Strict = true }, ToolUse.Auto), (odd, ToolUse.Required) })
            Assert.Contains("'odd': #/properties/a: keyword 'contains'",
                Assert.Throws<FlywheelException>(() => Grammar.OfTools(ToolCallForm.Hermes, [tool], use, parallel: true)).Message,
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"type":"object"}""")]
    [InlineData("""{"type":"object","properties":{}}""")]
    [InlineData("""{"type":"object","properties":{},"required":[]}""")]
    [InlineData("""{"type":"object","description":"None.","$schema":"https://json-schema.org/draft/2020-12/schema"}""")]
    public void Grammar_ToolWithoutParameters_TakesNoArguments(string parameters)
    {
        Grammar grammar = Grammar.OfTools(ToolCallForm.Hermes, [new("ping", null, parameters)], ToolUse.Required, parallel: false);
        string Call(string arguments) => $"<tool_call>\n{{\"name\": \"ping\", \"arguments\": {arguments}}}\n</tool_call>";
        Assert.Equal((true, false), (GrammarReader.Accepts(grammar, Call("{}")), GrammarReader.Accepts(grammar, Call("{\"a\": 1}"))));
    }

    [Theory]
    [InlineData("""{"type":"object","additionalProperties":true}""")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""")]
    [InlineData("""{"type":"object","required":["a"]}""")]
    [InlineData("""{"type":"object","minProperties":1}""")]
    [InlineData("""{"type":"object","patternProperties":{"^a":{}}}""")]
    [InlineData("""{"type":"object","propertyNames":{"pattern":"^a"}}""")]
    public void Grammar_ToolThatAsksForFreeArguments_TakesThem(string parameters) =>
        Assert.True(
            GrammarReader.Accepts(Grammar.OfTools(ToolCallForm.Hermes, [new("ping", null, parameters)], ToolUse.Required, parallel: false),
                "<tool_call>{\"name\": \"ping\", \"arguments\": {\"a\": 1}}</tool_call>"));

    // However the answer is cut into pieces, the same comes out.
    [Fact]
    public void Reader_AnyCut_GivesTheSameParts()
    {
        const string Answer =
            "  Let me <see>. \n<tool_call>\n{\"name\": \"a\\u0062\", \"arguments\": {\"x\": \"}\\\"</tool_call>{\", \"y\": [{}]}}\n</tool_call>\n<tool_call>{\"name\":\"c\",\"arguments\":{}}</tool_call>";
        var random = new Random(5);
        for (int i = 0; i < 300; i++)
        {
            var reader = new ToolCallReader(ToolCallForm.Hermes);
            var pieces = new List<ToolPiece>();
            for (int at = 0, length; at < Answer.Length; at += length)
                pieces.AddRange(reader.Append(Answer.Substring(at, length = Math.Min(random.Next(0, 12), Answer.Length - at))));
            pieces.AddRange(reader.Flush());
            Assert.Equal("  Let me <see>.", string.Concat(pieces.Select(piece => piece.Content)));
            Assert.Equal(["ab", "c"], pieces.Where(piece => piece.Name is not null).Select(piece => piece.Name));
            Assert.Equal("{\"x\": \"}\\\"</tool_call>{\", \"y\": [{}]}|{}",
                string.Join('|',
                    pieces.Where(piece => piece.Call >= 0).GroupBy(piece => piece.Call)
                        .Select(call => string.Concat(call.Select(piece => piece.Arguments)))));
        }
    }

    [Theory]
    [InlineData("a < b <tool", "a < b <tool")]
    [InlineData("text \n", "text \n")]
    [InlineData("<tool_call>{\"name\": \"x", "")]
    public void Reader_UnfinishedAnswer_KeepsItsText(string answer, string content)
    {
        var reader = new ToolCallReader(ToolCallForm.Hermes);
        List<ToolPiece> pieces = [.. answer.SelectMany(c => reader.Append($"{c}"))];
        pieces.AddRange(reader.Flush());
        Assert.Equal(content, string.Concat(pieces.Select(piece => piece.Content)));
    }

    /// <summary>An answer that was cut inside the opening of a call shows nothing of it.</summary>
    [Theory]
    [InlineData(ToolTemplates.Tagged, "<tool_cal", "")]
    [InlineData(ToolTemplates.Tagged, "<", "")]
    [InlineData(ToolTemplates.Tagged, "I look. \n<tool_", "I look. \n")]
    [InlineData(ToolTemplates.Tagged, "3 <", "3 <")]
    [InlineData(ToolTemplates.Tagged, "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>\n<", "")]
    [InlineData(ToolTemplates.Tagged, "<tool_call>\n{\"name\": \"get_ti", "")]
    [InlineData(ToolTemplates.Bare, "{\"na", "")]
    [InlineData(ToolTemplates.Bare, " { \"name\": \"get_w", "")]
    [InlineData(ToolTemplates.Bare, "{\"city\": \"B", "{\"city\": \"B")]
    [InlineData(ToolTemplates.CallsOnly, "<cal", "")]
    [InlineData(ToolTemplates.IdOnly, "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_w", "")]
    public void Reader_AnswerThatWasCut_ShowsNoOpening(string jinja, string answer, string content)
    {
        var reader = new ToolCallReader(FormOf(jinja));
        List<ToolPiece> pieces = [.. answer.SelectMany(c => reader.Append($"{c}"))];
        pieces.AddRange(reader.Flush(cut: true));
        Assert.Equal(content.TrimEnd('\n'), string.Concat(pieces.Select(piece => piece.Content)).TrimEnd('\n'));
    }

    /// <summary>What a template writes of a call fits the grammar of the form that was found in it, and is read back.</summary>
    [Theory]
    [InlineData(ToolTemplates.Tagged)]
    [InlineData(ToolTemplates.Bare)]
    [InlineData(ToolTemplates.Listed)]
    [InlineData(ToolTemplates.Sections)]
    [InlineData(ToolTemplates.Named)]
    [InlineData(ToolTemplates.CallId)]
    [InlineData(ToolTemplates.IdFirst)]
    [InlineData(ToolTemplates.NameAsKey)]
    [InlineData(ToolTemplates.BareNameAsKey)]
    [InlineData(ToolTemplates.CallsOnly)]
    [InlineData(ToolTemplates.BlankLine)]
    [InlineData(ToolTemplates.IdOnly)]
    public void Form_SpellingOfTheTemplate_FitsItsGrammar(string jinja)
    {
        var template = new ChatTemplate(Tokens, jinja, new JsonObject { ["eos_token"] = Tokenizer.MessageEnd });
        Conversation asked = new([Message.User("q")]) { Tools = [Weather, Time] };
        Message answer = Message.Assistant("") with { ToolCalls = [new("call00001", "get_weather", """{"city": "Bern"}""")] };
        string prompt = template.Render(asked, addGenerationPrompt: true),
            whole = template.Render(asked with { Messages = [.. asked.Messages, answer] }, addGenerationPrompt: false);
        string written = whole[whole.AsSpan().CommonPrefixLength(prompt)..].Trim();
        if (written.EndsWith(Tokenizer.MessageEnd, StringComparison.Ordinal)) written = written[..^Tokenizer.MessageEnd.Length];
        Assert.True(GrammarReader.Accepts(Grammar.OfTools(template.ToolCalls, [Weather, Time], ToolUse.Required, parallel: false), written),
            $"{written} does not fit {template.ToolCalls}");
        var reader = new ToolCallReader(template.ToolCalls);
        ToolPiece[] pieces = [.. reader.Append(written), .. reader.Flush()];
        Assert.Equal(("", 1), (string.Concat(pieces.Select(piece => piece.Content)), reader.NumCalls));
    }

    /// <summary>A template that shows calls and no tools is told of them in the system message, in its own form.</summary>
    [Fact]
    public void Template_OfCallsOnly_DeclaresToolsAndKeepsItsCalls()
    {
        var template = new ChatTemplate(Tokens, ToolTemplates.CallsOnly, []);
        Message call = Message.Assistant("") with { ToolCalls = [new("1", "f", """{"a": 1}""")] };
        Assert.Contains("<call>f|{\"a\": 1}</call>",
            template.Render(new Conversation([Message.User("q"), call]), addGenerationPrompt: false), StringComparison.Ordinal);
        string declared = template.Render(new Conversation([Message.System("s"), Message.User("q")]) { Tools = [Time] },
            addGenerationPrompt: true);
        Assert.Contains("[system] s\n\n", declared, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"get_time\"", declared, StringComparison.Ordinal);
        Assert.Contains("<call>NAME|{...}</call>", declared, StringComparison.Ordinal);
    }

    /// <summary>Answers in the forms of other families: what the grammar lets pass, and what is read of it.</summary>
    [Theory]
    [InlineData(ToolTemplates.Bare, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Bern\"}}", "",
        "get_weather:{\"city\": \"Bern\"}", true)]
    [InlineData(ToolTemplates.Bare, " \n{\"name\":\"get_time\",\"parameters\":{} }", "", "get_time:{}", true)]
    [InlineData(ToolTemplates.Bare, "It is {sunny}", "It is {sunny}", "", true)]
    [InlineData(ToolTemplates.Bare, "{\"name\": \"get_fish\", \"parameters\": {}}", null, null, false)]
    [InlineData(ToolTemplates.Bare, "{\"name\": \"get_time\", \"arguments\": {}}", null, null, false)]
    [InlineData(ToolTemplates.Listed, "[TOOL_CALLS][{\"name\": \"get_time\", \"arguments\": {}, \"id\": \"abcDEF123\"}]", "", "get_time:{}",
        true)]
    [InlineData(ToolTemplates.Listed,
        "I look. [TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"]}\"}, \"id\": \"abcDEF123\"},{\"name\":\"get_time\",\"arguments\":{},\"id\":\"abcDEF124\"} ]", "I look.", "get_weather:{\"city\": \"]}\"}|get_time:{}", true)]
    [InlineData(ToolTemplates.Listed, "a [TOOL_CALL] b [", "a [TOOL_CALL] b [", "", true)]
    [InlineData(ToolTemplates.Listed, "[TOOL_CALLS] none", null, null, false)]
    [InlineData(ToolTemplates.Listed, "[TOOL_CALLS][{\"name\": \"get_time\", \"arguments\": {}, \"id\": \"abc\"}]", null, null, false)]
    [InlineData(ToolTemplates.Sections,
        "Look: <calls><call>function<sep>get_time\n```json\n{}\n```</call>\n<call>function<sep>get_weather\n```json\n{\"city\": \"Bern\"}\n```</call></calls>", "Look:", "get_time:{}|get_weather:{\"city\": \"Bern\"}", true)]
    [InlineData(ToolTemplates.Sections, "<calls><call>function<sep>get_time\n```json\n{}\n```</call>", null, null, false)]
    [InlineData(ToolTemplates.Named, "<function=get_time>{}</function><function=get_weather>{\"city\": \"</function>\"}</function>", "",
        "get_time:{}|get_weather:{\"city\": \"</function>\"}", true)]
    [InlineData(ToolTemplates.Named, "<function=get_timer>{}</function>", null, null, false)]
    [InlineData(ToolTemplates.CallId, "[TOOL_CALLS]get_time[CALL_ID]abcDEF123[ARGS]{}", "", "get_time:{}", true)]
    [InlineData(ToolTemplates.CallId,
        "So: [TOOL_CALLS]get_time[CALL_ID]abcDEF123[ARGS]{}[TOOL_CALLS]get_weather[CALL_ID]abcDEF124[ARGS]{\"city\": \"[ARGS]\"}", "So:",
        "get_time:{}|get_weather:{\"city\": \"[ARGS]\"}", true)]
    [InlineData(ToolTemplates.CallId, "[TOOL_CALLS]get_time[ARGS]{}", null, null, false)]
    [InlineData(ToolTemplates.IdFirst,
        "<call>{\"id\": \"abcDEF123\", \"name\": \"get_time\", \"arguments\": {}}</call><call>{\"id\": \"abcDEF124\", \"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\"}}</call>", "", "get_time:{}|get_weather:{\"city\": \"Bern\"}", true)]
    [InlineData(ToolTemplates.IdFirst, "<call>{\"name\": \"get_time\", \"arguments\": {}}</call>", null, null, false)]
    [InlineData(ToolTemplates.NameAsKey, "<call>{\"get_weather\": {\"city\": \"Bern\"}}</call><call>{\"get_time\": {}}</call>", "",
        "get_weather:{\"city\": \"Bern\"}|get_time:{}", true)]
    [InlineData(ToolTemplates.NameAsKey, "<call>{\"get_fish\": {}}</call>", null, null, false)]
    [InlineData(ToolTemplates.BareNameAsKey, "[{\"get_weather\": {\"city\": \"Bern\"}}, {\"get_time\": {}}]", "",
        "get_weather:{\"city\": \"Bern\"}|get_time:{}", true)]
    [InlineData(ToolTemplates.BareNameAsKey, "[{\"get_time\": []}]", null, null, false)]
    [InlineData(ToolTemplates.CallsOnly, "<call>get_time|{}</call><call>get_weather|{\"city\": \"Bern\"}</call>", "",
        "get_time:{}|get_weather:{\"city\": \"Bern\"}", true)]
    [InlineData(ToolTemplates.CallsOnly, "<tool_call>", "<tool_call>", "", true)]
    [InlineData(ToolTemplates.BlankLine, "<call>\n\n{\"name\": \"get_time\",\t \n \"arguments\": {}}</call>", "", "get_time:{}", true)]
    [InlineData(ToolTemplates.BlankLine, "<call>{\"name\": \"get_time\", \"arguments\": {}}</call>", "", "get_time:{}", true)]
    [InlineData(ToolTemplates.IdOnly,
        "I look. <|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_call_begin|>functions.get_weather:12<|tool_call_argument_begin|>{\"city\": \"<|tool_call_end|>\"}<|tool_call_end|><|tool_calls_section_end|>", "I look.", "get_time:{}|get_weather:{\"city\": \"<|tool_call_end|>\"}", true)]
    [InlineData(ToolTemplates.IdOnly,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:7<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", "", "get_time:{}", true)]
    [InlineData(ToolTemplates.IdOnly,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_fish:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", null, null, false)]
    [InlineData(ToolTemplates.IdOnly,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:01<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", null, null, false)]
    public void Form_OfATemplate_BindsAndIsRead(string jinja, string answer, string? content, string? calls, bool fits)
    {
        ToolCallForm form = FormOf(jinja);
        bool isCall = calls is { Length: > 0 };
        Assert.Equal(fits, GrammarReader.Accepts(Grammar.OfTools(form, [Weather, Time], ToolUse.Auto, parallel: true), answer));
        Assert.Equal(fits && isCall && string.IsNullOrEmpty(content),
            GrammarReader.Accepts(Grammar.OfTools(form, [Weather, Time], ToolUse.Required, parallel: true), answer.TrimStart()));
        if (isCall)
            Assert.Equal(fits && !calls!.Contains('|') && content!.Length == 0,
                GrammarReader.Accepts(Grammar.OfTools(form, [Weather, Time], ToolUse.Required, parallel: false), answer.TrimStart()));
        if (!fits) return;
        var random = new Random(3);
        for (int i = 0; i < 50; i++)
        {
            var reader = new ToolCallReader(form);
            var pieces = new List<ToolPiece>();
            for (int at = 0, length; at < answer.Length; at += length)
                pieces.AddRange(reader.Append(answer.Substring(at, length = Math.Min(random.Next(0, 9), answer.Length - at))));
            pieces.AddRange(reader.Flush());
            Assert.Equal(content, string.Concat(pieces.Select(piece => piece.Content)));
            Assert.Equal(calls,
                string.Join('|',
                    pieces.Where(piece => piece.Call >= 0).GroupBy(piece => piece.Call)
                        .Select(call => $"{call.First().Name}:{string.Concat(call.Select(piece => piece.Arguments))}")));
        }
    }

    /// <summary>A mind that only keeps to the grammar: whatever it writes is read back whole.</summary>
    [Theory]
    [InlineData(ToolTemplates.Tagged)]
    [InlineData(ToolTemplates.Bare)]
    [InlineData(ToolTemplates.Listed)]
    [InlineData(ToolTemplates.Sections)]
    [InlineData(ToolTemplates.Named)]
    [InlineData(ToolTemplates.CallId)]
    [InlineData(ToolTemplates.IdFirst)]
    [InlineData(ToolTemplates.NameAsKey)]
    [InlineData(ToolTemplates.BareNameAsKey)]
    [InlineData(ToolTemplates.CallsOnly)]
    [InlineData(ToolTemplates.BlankLine)]
    [InlineData(ToolTemplates.IdOnly)]
    public void Form_AnyAnswerOfItsGrammar_IsRead(string jinja)
    {
        ToolCallForm form = FormOf(jinja);
        int end = Tokens.SpecialTokens[Tokenizer.MessageEnd];
        var masks = new GrammarMasks(Grammar.OfTools(form, [Weather, Time], ToolUse.Required, parallel: true),
            new TokenTrie(new(Tokens), Tokens.VocabSize), [end]);
        var random = new Random(11);
        int read = 0;
        for (int i = 0; i < 40; i++)
        {
            if (GrammarReader.Write(masks, Tokens, random, patience: 60) is not { } answer) continue;
            var reader = new ToolCallReader(form);
            ToolPiece[] pieces = [.. reader.Append(answer), .. reader.Flush()];
            Assert.True(reader.NumCalls > 0, answer);
            Assert.Equal("", string.Concat(pieces.Select(piece => piece.Content)));
            foreach (IGrouping<int, ToolPiece> call in pieces.GroupBy(piece => piece.Call))
            {
                JsonObject arguments = JsonNode.Parse(string.Concat(call.Select(piece => piece.Arguments)))!.AsObject();
                Assert.Equal(call.First().Name == "get_weather", arguments.ContainsKey("city"));
            }
            read++;
        }
        Assert.InRange(read, 20, 40);
    }

    private static readonly Tokenizer Tokens = Tokenizer.Train(["the call of the tools: name, arguments, city, function"], 300);

    private static ToolCallForm FormOf(string jinja) =>
        new ChatTemplate(Tokens, jinja, new JsonObject { ["eos_token"] = Tokenizer.MessageEnd }).ToolCalls;
}
