using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

/// <summary>From files to tokens and back.</summary>
public sealed class DatasetTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FlywheelHome _home;
    private readonly Tokenizer _tokenizer =
        Tokenizer.Train(["the tea is ready and the kettle sings a song", "user assistant answer question"], 300);

    public DatasetTests() => _home = new FlywheelHome(_folder["home"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tokenise_Text_SplitsLongDocumentsAndLearnsAllButTheFirst()
    {
        string text = string.Join(' ', Enumerable.Range(0, 60).Select(i => $"the kettle sings song {i}"));
        File.WriteAllText(_folder["a.txt"], text);
        BuiltData built = DatasetBuilder.Build(Recipe("next-token", Text("a.txt")), _folder.Path, _home, _tokenizer, 32);
        using TokenDataset train = TokenDataset.Open(built.TrainPath);
        List<int> all = [];
        for (long i = 0; i < train.NumDocuments; i++)
        {
            (int[] tokens, byte[] targets) = Document(train, i);
            Assert.InRange(tokens.Length, 2, 32);
            Assert.Equal(0, targets[0]);
            Assert.All(targets[1..], mark => Assert.Equal(1, mark));
            all.AddRange(tokens);
        }
        Assert.Equal(_tokenizer.SpecialTokens["<|endoftext|>"], all[^1]);
        Assert.Equal(text, _tokenizer.Decode([.. all.SkipLast(1)]));
        Assert.Equal(train.Manifest.NumTokens, built.Report.Splits["train"].Tokens);
    }

    [Fact]
    public void Tokenise_Supervised_IsTheChatTemplateAndDropsWhatIsTooLong()
    {
        Rows("rows.jsonl", 40);
        File.AppendAllText(_folder["rows.jsonl"],
            $$"""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"{{new string('x', 500)}}"}],"id":"long","group":"prompt 0"}""" + "\n");
        Recipe recipe = Recipe("supervised", Jsonl("rows.jsonl"));
        DataCollection collection = DataCollection.Collect(recipe, _folder.Path, _home);
        BuiltData built = DatasetBuilder.Tokenise(collection, recipe, _home, _tokenizer, 128);
        Assert.Equal("long", built.Report.Sources[0].Drops["item: over 128 tokens"].Example);
        var template = new ChatTemplate(_tokenizer);
        (int[] Tokens, byte[] Targets)[] expected =
            [.. collection.Items(Split.Train).Where(item => item.Id != "long")
                .Select(item => template.Document(((ConversationExample)item.Examples[0]).Conversation))];
        using TokenDataset train = TokenDataset.Open(built.TrainPath);
        Assert.Equal(expected.Length, train.NumDocuments);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i].Tokens, Document(train, i).Tokens);
            Assert.Equal(expected[i].Targets, Document(train, i).Targets);
        }
        Assert.True(File.Exists(Path.Combine(built.TrainPath, "report.md")) && File.Exists(Path.Combine(built.TrainPath, "report.json")));
    }

    [Fact]
    public void Tokenise_Twice_GivesTheSameName()
    {
        Rows("rows.jsonl", 200);
        Recipe recipe = Recipe("supervised", Jsonl("rows.jsonl", repeat: 2));
        BuiltData first = DatasetBuilder.Build(recipe, _folder.Path, _home, _tokenizer, 128),
            second = DatasetBuilder.Build(recipe, _folder.Path, _home, _tokenizer, 128);
        Assert.Equal((first.TrainPath, first.ValidationPath), (second.TrainPath, second.ValidationPath));
        Assert.NotNull(first.ValidationPath);
        // The held-out examples are rows that can be read again, once each.
        SourceItem[] held = [.. JsonlSource.Read(Path.Combine(first.ValidationPath, "examples.jsonl"))];
        Assert.Equal(first.Report.Splits["validation"].Documents, held.Length);
        Assert.Equal(2 * (200 - held.Length), first.Report.Splits["train"].Documents);
    }

    [Fact]
    public void Tokenise_Pairs_StandSideBySide()
    {
        File.WriteAllLines(_folder["pairs.jsonl"],
            Enumerable.Range(0, 30)
                .Select(i =>
                    $$"""{"input":{"messages":[{"role":"user","content":"q{{i}}"}]},"preferred_output":[{"role":"assistant","content":"good {{i}}"}],"non_preferred_output":[{"role":"assistant","content":"bad {{i}}"}]}"""));
        BuiltData built = DatasetBuilder.Build(Recipe("preference", Jsonl("pairs.jsonl")), _folder.Path, _home, _tokenizer, 128);
        using TokenDataset train = TokenDataset.Open(built.TrainPath);
        Assert.True(train.Manifest.Pairs);
        Assert.Equal(0, train.NumDocuments % 2);
        for (long i = 0; i < train.NumDocuments; i += 2)
        {
            string preferred = _tokenizer.Decode(Document(train, i).Tokens), rejected = _tokenizer.Decode(Document(train, i + 1).Tokens);
            Assert.Contains("good", preferred, StringComparison.Ordinal);
            Assert.Equal(preferred, rejected.Replace("bad", "good", StringComparison.Ordinal));
        }
    }

    /// <summary>Each judged answer is followed by its own prompt with another's answer; only the last answer is learnt.</summary>
    [Fact]
    public void Tokenise_JudgedAnswers_StandBesideAnotherAnswer()
    {
        File.WriteAllLines(_folder["judged.jsonl"],
            Enumerable.Range(0, 30)
                .Select(i =>
                    $$"""{"messages":[{"role":"user","content":"q{{i % 15}}"},{"role":"assistant","content":"first"},{"role":"user","content":"again"},{"role":"assistant","content":"answer {{i}}"}],"label":{{(i % 3 == 0 ? "true" : "false")}}}"""));
        BuiltData built = DatasetBuilder.Build(Recipe("kto", Jsonl("judged.jsonl")), _folder.Path, _home, _tokenizer, 128);
        using TokenDataset train = TokenDataset.Open(built.TrainPath);
        Assert.True(train.Manifest.IsOf(DocumentForm.Judged));
        for (long i = 0; i < train.NumDocuments; i += 2)
        {
            string[] own = _tokenizer.Decode(Document(train, i).Tokens).Split("answer "),
                other = _tokenizer.Decode(Document(train, i + 1).Tokens).Split("answer ");
            Assert.Equal(own[0], other[0]);
            int number = int.Parse(own[1].Split('\n', '<')[0], System.Globalization.CultureInfo.InvariantCulture),
                foreign = int.Parse(other[1].Split('\n', '<')[0], System.Globalization.CultureInfo.InvariantCulture);
            Assert.NotEqual(number % 15, foreign % 15);
            Assert.Equal(number % 3 == 0 ? 1 : -1, train.Label(i));
            (int[] tokens, byte[] marks) = Document(train, i);
            Assert.StartsWith("answer", _tokenizer.Decode([.. tokens.Where((_, at) => marks[at] == 1)]), StringComparison.Ordinal);
        }
    }

    /// <summary>The ids are the sampled ones even where the tokenizer would cut the text otherwise.</summary>
    [Fact]
    public void Tokenise_SampledAnswers_KeepTheirTokensAndLogProbs()
    {
        File.WriteAllLines(_folder["sampled.jsonl"],
            Enumerable.Range(0, 30)
                .Select(i =>
                    $$"""{"messages":[{"role":"user","content":"q{{i}}"}],"tokens":[{{i + 1}},104,104],"logprobs":[-0.5,-{{i}}.25,-1],"reward":{{i % 2}}.5}"""));
        BuiltData built = DatasetBuilder.Build(Recipe("policy", Jsonl("sampled.jsonl")), _folder.Path, _home, _tokenizer, 128);
        using TokenDataset train = TokenDataset.Open(built.TrainPath);
        Assert.True(train.Manifest.IsOf(DocumentForm.Sampled));
        for (long i = 0; i < train.NumDocuments; i++)
        {
            (int[] tokens, byte[] marks) = Document(train, i);
            float[] logProbs = new float[tokens.Length];
            train.ReadLogProbs(i, 0, logProbs);
            int number = tokens[^3] - 1;
            Assert.Equal([104, 104], tokens[^2..]);
            Assert.Equal([1, 1, 1], marks[^3..]);
            Assert.Equal(3, marks.Sum(mark => mark));
            Assert.Equal([0, -0.5f, -number - 0.25f, -1], logProbs[^4..]);
            Assert.Equal(number % 2 + 0.5f, train.Label(i));
        }
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"label":"good"}""",
        "field 'label' is \"good\"")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tokens":[1,2],"logprobs":[-1],"reward":1}""", "have 2 and 1 numbers")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tokens":[1],"logprobs":[0.5],"reward":1}""", "at most 0")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tokens":["a"],"logprobs":[-1],"reward":1}""",
        "field 'tokens' is no list of numbers")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tokens":[1],"logprobs":[-1]}""", "field 'reward' is missing")]
    public void Parse_JudgementsThatAreNone_NamesTheField(string line, string expected) =>
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => JsonlSource.Parse(line, "x")).Message, StringComparison.Ordinal);

    [Fact]
    public void Collect_Split_IsDisjointByGroupAndStable()
    {
        File.WriteAllLines(_folder["rows.jsonl"], Enumerable.Range(0, 3000).Select(i => Row($"question {i % 1000}", $"answer {i}")));
        DataCollection collection = DataCollection.Collect(Recipe("supervised", Jsonl("rows.jsonl")), _folder.Path, _home);
        string[] train = [.. collection.Items(Split.Train).Select(item => item.Group).Distinct()],
            held = [.. collection.Items(Split.Validation).Select(item => item.Group).Distinct()];
        Assert.Empty(train.Intersect(held));
        Assert.Equal(1000, train.Length + held.Length);
        Assert.InRange(held.Length, 8, 35);
        // Fixed for ever: a new version must not train on what an old one was tested on.
        Assert.Equal([Split.Validation, Split.Train, Split.Train], new[] { "evince", "gimp", "kettle" }.Select(StableHash.SplitOf));
    }

    [Fact]
    public void Collect_Duplicates_AreKeptOnceAcrossSources()
    {
        File.WriteAllLines(_folder["a.jsonl"], [Row("q", "An answer."), Row("q", "an  answer"), Row("q", "another")]);
        File.WriteAllLines(_folder["b.jsonl"], [Row("Q!", "an answer"), Row("p", "an answer")]);
        DataCollection collection = DataCollection.Collect(Recipe("supervised", Jsonl("a.jsonl"), Jsonl("b.jsonl")), _folder.Path, _home);
        Assert.Equal([(3, 2), (2, 1)], collection.Report.Sources.Select(source => (source.Read, source.Kept)));
        Assert.Contains("| item: exact duplicate | 1 |", collection.Report.ToMarkdown(), StringComparison.Ordinal);
    }

    [Fact]
    public void Collect_Limit_KeepsTheFirst()
    {
        Rows("rows.jsonl", 40);
        DataCollection collection = DataCollection.Collect(Recipe("supervised", Jsonl("rows.jsonl") with { Limit = 7 }), _folder.Path,
            _home);
        Assert.Equal((7, 7), (collection.Report.Sources[0].Read, collection.Report.Sources[0].Kept));
    }

    [Fact]
    public void Collect_CuratedDataset_KeepsItsOwnSplit()
    {
        Directory.CreateDirectory(_folder["turn"]);
        File.WriteAllLines(_folder["turn/train.jsonl"], [.. Enumerable.Range(0, 99).Select(i => Row($"q{i}", "a")), Row("q0", "A.")]);
        File.WriteAllLines(_folder["turn/heldout.jsonl"], Enumerable.Range(100, 20).Select(i => Row($"q{i}", "a")));
        DataCollection collection = DataCollection.Collect(Recipe("supervised", new SourceRecipe { Source = "dataset", Path = "turn" }),
            _folder.Path, _home);
        Assert.Equal((100, 20), (collection.Items(Split.Train).Count(), collection.Items(Split.Validation).Count()));
    }

    [Theory]
    [InlineData("jsnl", "x", "supervised", "'jsnl', expected appstream")]
    [InlineData("jsonl", null, "supervised", "data[0].path")]
    [InlineData("jsonl", "none.jsonl", "supervised", "none.jsonl: no such file")]
    [InlineData("jsonl", "empty.jsonl", "supervised", "empty.jsonl: holds no item")]
    [InlineData("text", "none", "next-token", "none: no such file or folder")]
    [InlineData("text", "binary.txt", "next-token", "binary.txt:1: is not UTF-8 at byte 0xFF after 'AB'")]
    [InlineData("jsonl", "one.jsonl", "preference", "is a conversation; objective 'preference' expects preference pairs")]
    [InlineData("text", "one.jsonl", "supervised", "is plain text; objective 'supervised' expects conversations")]
    [InlineData("jsonl", "one.jsonl", "superviced", "'superviced', expected next-token")]
    public void Build_BadInput_SaysWhatAndWhere(string source, string? path, string objective, string expected)
    {
        File.WriteAllText(_folder["empty.jsonl"], "\n");
        File.WriteAllBytes(_folder["binary.txt"], [65, 66, 0xFF, 67]);
        File.WriteAllText(_folder["one.jsonl"], Row("kettle", "tea"));
        var error =
            Assert.Throws<FlywheelException>(() =>
                DatasetBuilder.Build(Recipe(objective, new SourceRecipe { Source = source, Path = path }), _folder.Path, _home, _tokenizer,
                    128));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_home.Datasets)); // nothing half-written
    }

    /// <summary>Every objective whose documents are dropped when they are too long; the report's sums must be what was tokenised.</summary>
    [Theory]
    [InlineData("supervised")]
    [InlineData("preference")]
    [InlineData("kto")]
    [InlineData("policy")]
    public void Build_SomeTooLong_AreNotCountedAsKept(string objective)
    {
        File.WriteAllLines(_folder["rows.jsonl"], Enumerable.Range(0, 9).Select(i =>
        {
            (string question, string answer) = ($"question {i}", i is 3 or 5 ? new string('x', 400) : $"answer {i}");
            string messages =
                $$"""[{"role":"user","content":"{{question}}"}{{(objective is "supervised" or "kto" ? $$""",{"role":"assistant","content":"{{answer}}"}""" : "")}}]""";
            return objective switch
            {
                "supervised" => $$"""{"messages":{{messages}}}""",
                "kto" => $$"""{"messages":{{messages}},"label":true}""",
                "policy" =>
                    $$"""{"messages":{{messages}},"tokens":[{{string.Join(',', Enumerable.Repeat(70, i is 3 or 5 ? 200 : 5))}}],"logprobs":[{{string.Join(',', Enumerable.Repeat(-1, i is 3 or 5 ? 200 : 5))}}],"reward":1}""",
                _ => $$"""{"input":{"messages":{{messages}}},"preferred_output":[{"role":"assistant","content":"{{answer}}"}],"non_preferred_output":[{"role":"assistant","content":"no"}]}""",
            };
        }));
        BuiltData built = DatasetBuilder.Build(Recipe(objective, Jsonl("rows.jsonl", repeat: 2)), _folder.Path, _home, _tokenizer, 128);
        SourceReport source = built.Report.Sources.Single();
        Assert.Equal((9, 7, 2), (source.Read, source.Kept, source.Drops["item: over 128 tokens"].Count));
        int documents = (int)built.Report.Splits.Values.Sum(split => split.Documents) / (objective is "preference" or "kto" ? 2 : 1);
        Assert.Equal(documents, source.Examples);
        Assert.Contains($"Read 9 items, kept 7 as {documents} examples", File.ReadAllText(Path.Combine(built.TrainPath, "report.md")),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Build_NothingFits_ShowsTheReport()
    {
        File.WriteAllText(_folder["one.jsonl"], Row("kettle", new string('x', 400)));
        var error =
            Assert.Throws<FlywheelException>(() =>
                DatasetBuilder.Build(Recipe("supervised", Jsonl("one.jsonl")), _folder.Path, _home, _tokenizer, 64));
        Assert.Contains("item: over 64 tokens", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_home.Datasets));
    }

    private void Rows(string name, int count) =>
        File.WriteAllLines(_folder[name], Enumerable.Range(0, count).Select(i => Row($"question {i}", $"the answer {i}")));

    private static string Row(string question, string answer) =>
        $$"""{"messages":[{"role":"user","content":"{{question}}"},{"role":"assistant","content":"{{answer}}"}]}""";

    private static Recipe Recipe(string objective, params SourceRecipe[] data) =>
        new() { Name = "test", Base = "base", Data = data, Train = new TrainRecipe { Objective = objective, Epochs = 1 } };

    private static SourceRecipe Jsonl(string path, int repeat = 1) => new() { Source = "jsonl", Path = path, Repeat = repeat };

    private static SourceRecipe Text(string path) => new() { Source = "text", Path = path };

    private static (int[] Tokens, byte[] Targets) Document(TokenDataset dataset, long index)
    {
        long[] tokens = new long[dataset.Length(index)];
        byte[] targets = new byte[tokens.Length];
        dataset.ReadTokens(index, 0, tokens);
        dataset.ReadTargets(index, 0, targets);
        return ([.. tokens.Select(token => (int)token)], targets);
    }
}
