using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests.Tasks;

/// <summary>The file that describes a task: what it may say, and what is said about one that is wrong.</summary>
public sealed class TaskFileTests
{
    internal const string Valid = """
        name: morse
        title: {en: Morse, zh-CN: 摩尔斯电码}
        about: {en: From letters to Morse code., zh-CN: 把字母变成摩尔斯电码。}
        licence: Apache-2.0
        fields:
          - name: text
            label: {en: Text, zh-CN: 文字}
            max_length: 20
          - name: style
            label: {en: Style, zh-CN: 样式}
            required: false
            choices: [dots, words]
        form:
          ask: "Morse: {{ text|upper }}{% if style %} as {{ style }}{% endif %}"
          output: "{{ answer|replace('_', '-') }}"
        sources:
          - source: draw
            limit: 100
            draws:
              - {name: text, of: [a, b, c]}
              - {name: twice, is: "{{ text + text }}"}
            fields: {style: dots}
            answer: "{{ '.-' if text == 'a' else '-...' }}"
        split:
          by: "{{ text }}"
        metrics: [exact]
        baseline:
          name: {en: the commonest answer, zh-CN: 最常见的答案}
          kind: common
        examples:
          - fields: {text: a}
            answer: .-
        """;

    [Fact]
    public void Parse_ValidTask_KeepsValuesAndDefaults()
    {
        TaskDescription task = TaskFolder.Parse(Valid, "task.yaml");
        Assert.Equal(("摩尔斯电码", "Morse"), (task.Title.In("zh-CN"), task.Title.In("en")));
        Assert.Equal(["line", "choice"], task.Fields.Select(field => field.WidgetOrDefault));
        Assert.Equal((20, 2000), (task.Fields[0].MaxLength, task.Fields[1].MaxLength));
        Assert.Equal("dots", task.Sources[0].Fields["style"]);
        Assert.Equal(".-", task.Examples[0].Answer);
        Assert.Equal(0.05, task.Split.HeldOut);
    }

    /// <summary>What the writer writes, the reader reads as the same: every value of every field survives.</summary>
    [Fact]
    public void Parse_WhatWasWritten_IsEqual()
    {
        foreach (string yaml in new[] { Valid }.Concat(Shipped().Select(path => File.ReadAllText(Path.Combine(path, "task.yaml")))))
        {
            TaskDescription task = TaskFolder.Parse(yaml, "task.yaml");
            string written = RecipeFile.Serialize(task);
            Assert.Equal(written, RecipeFile.Serialize(TaskFolder.Parse(written, "again.yaml")));
        }
    }

    [Theory]
    [InlineData("max_length: 20", "max_lenght: 20", "task.yaml line 8: unknown field 'fields[0].max_lenght'; did you mean 'max_length'?")]
    [InlineData("max_length: 20", "max_length: many", "task.yaml line 8: field 'fields[0].max_length' is 'many', expected a whole number")]
    [InlineData("max_length: 20", "modality: smell",
        "task.yaml line 8: field 'fields[0].modality' is 'smell', expected text, speech-in, image, image-colour, protein, structure, phone, duration, pitch, connect-four, othello, chess-from, chess-to, chess-promotion, value, language, task, spare, connect-four-column, othello-disc, chess-piece or chess-move")]
    [InlineData("max_length: 20", "widget: knob", "task.yaml line 8: field 'fields[0].widget' is 'knob', expected line, lines or number")]
    [InlineData("max_length: 20", "min: 3",
        "task.yaml line 8: field 'fields[0].min' is given, expected none, because the widget is no number")]
    [InlineData("name: style", "name: text", "task.yaml line 9: field 'fields[1].name' is 'text', expected each name once")]
    [InlineData("name: style", "name: The Style",
        "task.yaml line 9: field 'fields[1].name' is 'The Style', expected small letters, digits and '_', as templates call it by that name")]
    [InlineData("name: style", "name: answer",
        "task.yaml line 9: field 'fields[1].name' is 'answer', expected another name: templates call what comes out by that one")]
    [InlineData("{en: Style, zh-CN: 样式}", "{en: Style}", "task.yaml line 10: field 'fields[1].label.zh-CN' is missing")]
    [InlineData("{en: Style, zh-CN: 样式}", "Style", "task.yaml line 10: field 'fields[1].label' is 'Style', expected fields such as en")]
    [InlineData("[dots, words]", "[dots, dots]", "task.yaml line 12: field 'fields[1].choices[1]' is 'dots', expected a text, each once")]
    [InlineData("text|upper", "txt|upper",
        "task.yaml line 14: field 'form.ask' is a template that uses 'txt', expected only text or style; did you mean 'text'?")]
    [InlineData("{{ answer|replace('_', '-') }}", "{{ answer",
        "task.yaml line 15: field 'form.output' is no template (line 1: a tag has no end '}}'), expected Jinja, such as {{ text }}")]
    [InlineData("source: draw", "source: drawing",
        "task.yaml line 17: field 'sources[0].source' is 'drawing', expected jsonl, draw, cmu-dictionary, package-descriptions, flip-secondary-structure, fashion-mnist, appstream, packages, grammar, schema-guided-dialogue, rnnlg, inside-airbnb or persona-chat")]
    [InlineData("limit: 100", "limit: 0", "task.yaml line 18: field 'sources[0].limit' is 0, expected at least 1")]
    [InlineData("{name: twice, is: \"{{ text + text }}\"}", "{name: twice, is: \"{{ twice }}\"}",
        "task.yaml line 21: field 'sources[0].draws[1].is' is '{{ twice }}', expected values that are drawn before it, and 'twice' is itself: values cannot go in a circle")]
    [InlineData("of: [a, b, c]", "is: \"{{ twice }}\"",
        "task.yaml line 20: field 'sources[0].draws[0].is' is '{{ twice }}', expected values that are drawn before it, and 'twice' is not: values cannot go in a circle")]
    [InlineData("of: [a, b, c]", "from: 5, to: 2",
        "task.yaml line 20: field 'sources[0].draws[0]' is from 5 to 2, expected two whole numbers, the lower first")]
    [InlineData("of: [a, b, c]", "of: [a], from: 1, to: 2",
        "task.yaml line 20: field 'sources[0].draws[0]' is 'text' with several ways to a value, or none, expected from and to, or of, or is")]
    [InlineData("{style: dots}", "{styl: dots}",
        "task.yaml line 22: field 'sources[0].fields.styl' is 'styl', expected a field of the task: text or style")]
    [InlineData("by: \"{{ text }}\"", "held_out: 1", "task.yaml line 25: field 'split.held_out' is 1, expected a number between 0 and 1")]
    [InlineData("[exact]", "[exactly]",
        "task.yaml line 26: field 'metrics[0]' is 'exactly', expected exact, one-of, chrf, word-error, symbol-error, character-error, per-letter, name-exact, facts-restated or nothing-foreign")]
    [InlineData("[exact]", "[name-exact]",
        "task.yaml line 26: field 'metrics[0]' is 'name-exact', expected another metric, or the fields 'name' and 'facts', which this one compares with")]
    [InlineData("kind: common", "kind: template",
        "task.yaml line 28: field 'baseline.answer' is missing, expected a template, because the baseline's kind is template")]
    [InlineData("name: morse", "name: Morse Code",
        "task.yaml line 1: field 'name' is 'Morse Code', expected small letters, digits and '-', as it names a folder and an address")]
    [InlineData("licence: Apache-2.0\n", "", "task.yaml: field 'licence' is missing")]
    [InlineData("fields: {text: a}", "fields: {text: [a]}",
        "task.yaml line 31: field 'examples[0].fields.text' is a list, expected a text")]
    [InlineData("fields: {text: a}", "fields: {txt: a}",
        "task.yaml line 31: field 'examples[0].fields' is {txt: a}, expected values for the task's fields: field 'txt' is unknown to the task 'morse'; did you mean 'text'?")]
    [InlineData("fields: {text: a}", "fields: {text: a, style: flags}",
        "task.yaml line 31: field 'examples[0].fields' is {text: a, style: flags}, expected values for the task's fields: field 'style' is 'flags', expected dots or words")]
    public void Parse_InvalidTask_NamesFileLineFieldAndExpectation(string from, string to, string expected) =>
        Assert.Equal(expected,
            Assert.Throws<FlywheelException>(() =>
                TaskFolder.Parse(Valid.Replace(from, to, StringComparison.Ordinal), "task.yaml")).Message);

    [Theory]
    [InlineData("&a [*a]")]
    [InlineData("&a {name: *a}")]
    [InlineData("name: &a\n  - *a")]
    [InlineData("fields: &a\n  - name: *a")]
    public void Parse_FileThatLeadsBackToItself_IsRefused(string yaml) =>
        Assert.StartsWith("task.yaml", Assert.Throws<FlywheelException>(() => TaskFolder.Parse(yaml, "task.yaml")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Open_MissingFilesAndAnotherName_AreNamed()
    {
        using var folder = new TempFolder();
        string path = Directory.CreateDirectory(folder["morse"]).FullName;
        Assert.Equal($"{path}/task.yaml: no such file; expected the description of a task", Fault(path));
        string jsonl = Valid.Replace("source: draw", "source: jsonl\n    path: rows.jsonl", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(path, "task.yaml"), jsonl);
        Assert.Equal(
            $"{path}/task.yaml line 18: field 'sources[0].path' is 'rows.jsonl', expected a file that is there; there is no {path}/rows.jsonl", Fault(path));
        string other = Directory.CreateDirectory(folder["other"]).FullName;
        File.WriteAllText(Path.Combine(other, "task.yaml"), Valid);
        Assert.Equal($"{other}/task.yaml line 1: field 'name' is 'morse', expected 'other', the name of its folder", Fault(other));

        static string Fault(string path) => Assert.Throws<FlywheelException>(() => TaskFolder.Open(path)).Message;
    }

    [Fact]
    public void Parse_MutatedText_NeverFailsOtherwiseThanWithAFlywheelException() =>
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Char[' ', '~']).Array[1, 6].Sample(changes =>
        {
            char[] text = Valid.ToCharArray();
            foreach ((int at, char with) in changes) text[at] = with;
            try
            {
                TaskFolder.Parse(new string(text), "fuzzed.yaml");
            }
            catch (FlywheelException)
            {
            }
        }, iter: 1000);

    [Fact]
    public void Ask_Fields_BecomeTheUsersMessageAndTheAnswerTheOutput()
    {
        TaskFolder task = Opened(Valid);
        Conversation asked = task.Ask(task.Read(JsonNode.Parse("""{"text": " sos ", "style": "dots"}""")!.AsObject()));
        Assert.Equal([Message.User("Morse: SOS as dots")], asked.Messages);
        Assert.Equal("Morse: E", task.Ask(task.Read(new JsonObject { ["text"] = "e", ["style"] = null })).Messages[0].Text);
        Assert.Equal("... --- ...", task.Output("... ___ ...\n"));
    }

    [Theory]
    [InlineData("""{}""", "field 'text' is missing or empty, expected a text")]
    [InlineData("""{"text": "  "}""", "field 'text' is missing or empty, expected a text")]
    [InlineData("""{"text": 3}""", "field 'text' is '3', expected a text")]
    [InlineData("""{"text": ["a"]}""", "field 'text' is '[\"a\"]', expected a text")]
    [InlineData("""{"text": "a\nb"}""", "field 'text' is 'a\nb', expected one line")]
    [InlineData("""{"text": "a\u0000b"}""", "field 'text' is 'a\u0000b', expected a text without control characters")]
    [InlineData("""{"text": "aaaaaaaaaaaaaaaaaaaaaaaaa"}""", "field 'text' has 25 characters, expected at most 20")]
    [InlineData("""{"text": "a", "style": "flags"}""", "field 'style' is 'flags', expected dots or words")]
    [InlineData("""{"text": "a", "styl": "dots"}""", "field 'styl' is unknown to the task 'morse'; did you mean 'style'?")]
    public void Read_WrongValue_NamesTheField(string given, string expected)
    {
        TaskFolder task = Opened(Valid);
        Assert.Equal(expected, Assert.Throws<FlywheelException>(() => task.Read(JsonNode.Parse(given)!.AsObject())).Message);
    }

    [Fact]
    public void Read_NumbersListsAndSymbols_AreReadAndBounded()
    {
        TaskFolder task = Opened("""
            name: mixed
            title: {en: Mixed, zh-CN: 混合}
            about: {en: All kinds of fields., zh-CN: 各种字段。}
            licence: Apache-2.0
            fields:
              - {name: count, label: {en: Count, zh-CN: 数量}, widget: number, min: 1, max: 9}
              - {name: items, label: {en: Items, zh-CN: 条目}, many: true, max_items: 2, max_length: 5}
              - {name: chain, label: {en: Chain, zh-CN: 链}, modality: protein}
            output: {modality: structure}
            form: {ask: "{{ count }} of {{ items|join(' and ') }}"}
            """);
        IReadOnlyDictionary<string, string> values =
            task.Read(JsonNode.Parse("""{"count": 3, "items": ["one", " - two "], "chain": "M  K"}""")!.AsObject());
        Conversation asked = task.Ask(values);
        Assert.Equal([new TextPart("3 of one and two"), new SymbolsPart("protein", "M K")], asked.Messages[0].Parts);
        Assert.Equal("structure", asked.AnswerModality);
        Assert.Equal(asked, Conversation.Parse(asked.ToString()));
        Assert.Equal("H E C", task.Answer(values, "H E  C"));
        Assert.Equal("field 'count' is '10', expected a number from 1 to 9", Fault("""{"count": 10, "items": "a", "chain": "M"}"""));
        Assert.Equal("field 'items' has 3 items, expected at most 2", Fault("""{"count": 1, "items": "a\nb\nc", "chain": "M"}"""));
        Assert.Equal("field 'items' has an item of 6 characters, expected at most 5",
            Fault("""{"count": 1, "items": ["aaaaaa"], "chain": "M"}"""));
        Assert.Equal("field 'chain' holds 'J' at position 3 of 4, expected letters of 'protein': ACDEFGHIKLMNPQRSTVWYXUOBZ",
            Fault("""{"count": 1, "items": "a", "chain": "MKJ A"}"""));

        string Fault(string given) => Assert.Throws<FlywheelException>(() => task.Read(JsonNode.Parse(given)!.AsObject())).Message;
    }

    private const string Chain = """
        name: chain
        title: {en: Chain, zh-CN: 链}
        about: {en: A state for each residue., zh-CN: 每个残基一个状态。}
        licence: Apache-2.0
        fields:
          - {name: chain, label: {en: Chain, zh-CN: 链}, modality: protein, places: 6}
        output: {modality: structure, only: [H, E, C], as_long_as: chain}
        form: {ask: "Structure:", output: "{{ answer|replace(' ', '') }}"}
        """;

    /// <summary>However long a chain is, each residue stands at one distance from its place in the answer; the answer must be as
    /// long.</summary>
    [Fact]
    public void Ask_FieldWithPlaces_KeepsEachSymbolAtOneDistanceFromItsAnswer()
    {
        TaskFolder task = Opened(Chain);
        var tokenizer = Tokenizer.Train(["Structure: user assistant"], 280,
            [.. new[] { "protein", "structure", "spare" }.SelectMany(group => ReservedTokens.Groups[group])]);
        var template = new ChatTemplate(tokenizer);
        int[] distances = [.. new[] { "M", "mk", "M K A C D E" }.Select(chain =>
        {
            IReadOnlyDictionary<string, string> values = task.Check(new Dictionary<string, string> { ["chain"] = chain });
            return template.Prompt(task.Ask(values)).Length
                - Array.IndexOf(template.Prompt(task.Ask(values)), tokenizer.SpecialTokens["<|aa_M|>"]);
        })];
        Assert.Single(distances.Distinct());
        IReadOnlyDictionary<string, string> two = task.Check(new Dictionary<string, string> { ["chain"] = "mk" });
        Assert.Equal("H E", task.Answer(two, "he"));
        Assert.Equal("the answer has 3 symbols, expected 2, as many as 'chain' has",
            Assert.Throws<FlywheelException>(() => task.Answer(two, "HEC")).Message);
        Assert.Equal("the answer holds 'G', expected only H, E or C",
            Assert.Throws<FlywheelException>(() => task.Answer(two, "HG")).Message);
        Assert.Equal("field 'chain' has 7 symbols, expected at most 6",
            Assert.Throws<FlywheelException>(() => task.Check(new Dictionary<string, string> { ["chain"] = "MKACDEF" })).Message);
    }

    [Theory]
    [InlineData("places: 6", "places: -1",
        "task.yaml line 6: field 'fields[0].places' is -1, expected a number up to 4096, of a field of symbols")]
    [InlineData("only: [H, E, C]", "only: [H, Q]", "task.yaml line 7: field 'output.only[1]' is 'Q', expected H, E, C, G, I, S, T or B")]
    [InlineData("as_long_as: chain", "as_long_as: chian",
        "task.yaml line 7: field 'output.as_long_as' is 'chian', expected a field of symbols: chain")]
    public void Parse_InvalidChain_NamesFileLineFieldAndExpectation(string from, string to, string expected) =>
        Assert.Equal(expected,
            Assert.Throws<FlywheelException>(() =>
                TaskFolder.Parse(Chain.Replace(from, to, StringComparison.Ordinal), "task.yaml")).Message);

    /// <summary>Any values: either refused by the field's name, or a conversation that holds them.</summary>
    [Fact]
    public void Read_AnyText_IsRefusedByNameOrAsked()
    {
        TaskFolder task = Opened(Valid);
        Gen.String.Sample(text =>
        {
            try
            {
                IReadOnlyDictionary<string, string> values = task.Check(new Dictionary<string, string> { ["text"] = text });
                Assert.Equal($"Morse: {values["text"].ToUpperInvariant()}".Trim(), task.Ask(values).Messages[0].Text, ignoreCase: true);
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("field 'text'", e.Message, StringComparison.Ordinal);
            }
        }, iter: 500);
    }

    [Fact]
    public void List_TasksOfTheRepository_AreValidAndTheirExamplesCanBeAsked()
    {
        using var home = new TempFolder();
        List<string> problems = [];
        IReadOnlyList<TaskFolder> tasks = new TaskCatalog(new FlywheelHome(home.Path)).List(problems.Add);
        Assert.Empty(problems);
        Assert.Equal(Shipped().Select(Path.GetFileName).Order(StringComparer.Ordinal), tasks.Select(task => task.Name));
        foreach (TaskFolder task in tasks)
            foreach (TaskExample example in task.Description.Examples)
            {
                IReadOnlyDictionary<string, string> values = task.Check(example.Fields);
                task.Ask(values);
                if (example.Answer.Length > 0) Assert.Equal(example.Answer, task.Output(task.Answer(values, example.Answer)));
            }
    }

    /// <summary>The page Write, the training data and the task ask in the same words.</summary>
    [Fact]
    public void Ask_Copywriting_IsTheBriefsOwnRequest()
    {
        TaskFolder task = TaskFolder.Open(Path.Combine(TestFiles.Root, "tasks", "copywriting"));
        Gen<string> word = Of("Quill", "a roof terrace", "naïve 牙刷", "50% {{ off }}", "x");
        Gen.Select(Of([.. Brief.Kinds]), word, word.List[1, 4], word.List[0, 3], Of("", "writers"), Of("", "formal"),
            Of("", "two sentences")).Sample((kind, name, facts, categories, audience, tone, length) =>
        {
            IReadOnlyDictionary<string, string> values = task.Check(new Dictionary<string, string>
            {
                ["kind"] = kind, ["name"] = name, ["facts"] = string.Join('\n', facts), ["categories"] = string.Join('\n', categories),
                ["audience"] = audience, ["tone"] = tone, ["length"] = length,
            });
            Assert.Equal(new Brief(name, kind, facts, categories, audience, tone, length).ToConversation(), task.Ask(values));
        }, iter: 200);

        static Gen<string> Of(params string[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);
    }

    [Fact]
    public void Of_RecipeWithSourcesInTaskFolders_NamesTheTasks()
    {
        Recipe recipe = RecipeFile.Load(Path.Combine(TestFiles.Root, "recipes", "first.yaml"));
        Assert.Equal(["copywriting"], TaskCatalog.Of(recipe, Path.Combine(TestFiles.Root, "recipes")));
        recipe = recipe
            with { Data = [new SourceRecipe { Source = "task", Path = "../tasks/arithmetic" }, new SourceRecipe { Source = "masc" }] };
        Assert.Equal(["arithmetic"], TaskCatalog.Of(recipe, Path.Combine(TestFiles.Root, "recipes")));
    }

    internal static TaskFolder Opened(string yaml)
    {
        using var folder = new TempFolder();
        string path = Directory.CreateDirectory(folder[yaml.Split('\n')[0]["name: ".Length..].Trim()]).FullName;
        File.WriteAllText(Path.Combine(path, "task.yaml"), yaml);
        return TaskFolder.Open(path);
    }

    private static IEnumerable<string> Shipped() =>
        Directory.EnumerateDirectories(Path.Combine(TestFiles.Root, "tasks")).Where(path => File.Exists(Path.Combine(path, "task.yaml")));
}
