using System.Text.Json.Nodes;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>How a model writes calls, as its chat template shows it.</summary>
public class ToolCallFormTests
{
    private static ChatTemplate Template(string jinja) =>
        new(TokenizerTests.Small, jinja, new JsonObject { ["eos_token"] = Tokenizer.MessageEnd });

    private static ToolCallForm Form(string jinja) => Template(jinja).ToolCalls;

    [Fact]
    public void Detect_TaggedJson_IsHermes() =>
        Assert.Equal(ToolCallForm.Hermes with { Specials = [] }, Form(ToolTemplates.Tagged) with { Specials = [] });

    [Fact]
    public void Detect_BareJson_IsOneCall() =>
        Assert.Equal(new ToolCallForm { Before = "{\"name\": ", Between = ", \"parameters\": ", After = "}", IsJson = true, Specials = [] },
            Form(ToolTemplates.Bare) with { Specials = [] });

    [Fact]
    public void Detect_ListBehindATag_FindsItsPartsAndTheIds() => Assert.Equal(
        new ToolCallForm { Tag = "[TOOL_CALLS]", Start = "[TOOL_CALLS][", Before = "{\"name\": ", Between = ", \"arguments\": ",
            After = $", \"id\": \"{ToolCallForm.Id}\"}}", Separator = ", ", End = "]", IsJson = true, IsParallel = true, Specials = [] },
        Form(ToolTemplates.Listed) with { Specials = [] });

    [Fact]
    public void Detect_NamesOutsideJson_AreFound()
    {
        Assert.Equal(new ToolCallForm { Tag = "<calls><call>function<sep>", Start = "<calls>", Before = "<call>function<sep>",
            Between = "\n```json\n", After = "\n```</call>", Separator = "\n", End = "</calls>", IsParallel = true, Specials = [] },
            Form(ToolTemplates.Sections) with { Specials = [] });
        Assert.Equal(new ToolCallForm { Tag = "<function=", Before = "<function=", Between = ">", After = "</function>", IsParallel = true,
            Specials = [] }, Form(ToolTemplates.Named) with { Specials = [] });
    }

    [Fact]
    public void Detect_IdsAndNoNames_FindsTheNameInTheId()
    {
        ToolCallForm form = Form(ToolTemplates.IdOnly);
        Assert.Equal(new ToolCallForm { Tag = "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
            Start = "<|tool_calls_section_begin|>", Before = "<|tool_call_begin|>functions.",
            Between = $":{ToolCallForm.Index}<|tool_call_argument_begin|>", After = "<|tool_call_end|>", End = "<|tool_calls_section_end|>",
            IsParallel = true, Specials = [] }, form with { Specials = [] });
        Assert.True(form.IsNamedById);
        Assert.False(Form(ToolTemplates.IdFirst).IsNamedById);
    }

    /// <summary>The ids of a client say nothing to such a model: each holds its call's name and number, and results keep to them, also
    /// where a client uses an id again.</summary>
    [Fact]
    public void Render_TemplateOfIdsAndNoNames_GetsTheNamesInTheIds()
    {
        Message Call(params string[] names) => new(Role.Assistant, [])
            { ToolCalls = [.. names.Select((name, i) => new ToolCall($"call_{i}", name, "{}"))] };
        Message Result(int call, string text) => new(Role.Tool, [new TextPart(text)]) { ToolCallId = $"call_{call}" };
        string text = Template(ToolTemplates.IdOnly).Render(new Conversation([Message.User("q"), Call("get_time", "get_weather"),
            Result(1, "sunny"), Result(0, "noon"), Call("get_time"), Result(0, "one")]), addGenerationPrompt: true);
        Assert.Equal(["<|tool_call_begin|>functions.get_time:0<", "<|tool_call_begin|>functions.get_weather:1<",
            "## Return of functions.get_weather:1\nsunny", "## Return of functions.get_time:0\nnoon",
            "<|tool_call_begin|>functions.get_time:2<", "## Return of functions.get_time:2\none"],
            System.Text.RegularExpressions.Regex.Matches(text, "<\\|tool_call_begin\\|>[^<]*<|## Return of [^<]*").Select(match => match.Value));
    }

    [Theory]
    [InlineData("{% for m in messages %}{{ m.content }}{% endfor %}")] // no tools
    [InlineData("{% for t in xml_tools or [] %}{{ t }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}")] // only the word
    // no JSON
    [InlineData("{{ tools | tojson }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}<f>{{ c.function.name }}<a>{{ c.function.arguments.probe_key }}</f>{% endfor %}{% endfor %}")]
    // calls are numbered
    [InlineData("{{ tools | tojson }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ loop.index0 }}:{{ c.function | tojson }}{% endfor %}{% endfor %}")]
    [InlineData("{{ tools | tojson }}{% for m in messages %}{% if m.tool_calls %}{{ raise_exception('none') }}{% endif %}{{ m.content }}{% endfor %}")]
    public void Detect_NothingThatIsUnderstood_IsHermes(string jinja) => Assert.Same(ToolCallForm.Hermes, Form(jinja));

    [Fact]
    public void Render_TemplateWithOnlyTheWord_TellsOfTheToolsAsText()
    {
        Conversation conversation = Conversation("call_1");
        Assert.Contains("get_weather",
            Template("{% for t in xml_tools or [] %}{{ t }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}")
                .Render(conversation, addGenerationPrompt: true));
    }

    /// <summary>Ids of OpenAI's clients go where a template takes only nine letters and digits.</summary>
    [Fact]
    public void Render_TemplateThatTakesShortIds_GetsTheirEnds()
    {
        string text = Template(ToolTemplates.Listed).Render(Conversation("call_0123456789abcdef0"), addGenerationPrompt: true);
        Assert.Contains("\"id\": \"89abcdef0\"}]", text, StringComparison.Ordinal);
        Assert.Contains("000000abc", Template(ToolTemplates.Listed).Render(Conversation("abc"), addGenerationPrompt: true),
            StringComparison.Ordinal);
    }

    private static Conversation Conversation(string id) =>
        new([Message.User("Weather?"), new Message(Role.Assistant,
            []) { ToolCalls = [new ToolCall(id, "get_weather", """{"city": "Bern"}""")] },
            new Message(Role.Tool, [new TextPart("sunny")]) { ToolCallId = id }])
    {
        Tools = [new ToolDefinition("get_weather", null, """{"type": "object", "properties": {"city": {"type": "string"}}}""")],
    };
}
