using Flywheel.Data;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>The experiment on one model for many tasks: its stages on two small tasks, and what its figures say.</summary>
public sealed class UnifiedStudyTests : IDisposable
{
    private const string Recipe = """
        name: tiny
        tasks:
          - {task: copy, metric: exact, margin: 0.01}
          - {task: shout, metric: character-error, margin: 0.02}
        exceptions: 0
        tokenizer: {vocab: 270}
        context: 64
        train: {objective: supervised, epochs: 1, batch_tokens: 512, micro_tokens: 256, learning_rate: 3e-3}
        """;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private FlywheelHome Home => new(_folder["home"]);

    private string Prepared()
    {
        foreach ((string name, string answer) in new[] { ("copy", "{{ text }}"), ("shout", "{{ text|upper }}") })
        {
            string task = Directory.CreateDirectory(Path.Combine(Home.Path, "tasks", name)).FullName;
            File.WriteAllText(Path.Combine(task, "task.yaml"), $$$"""
                name: {{{name}}}
                title: {en: T, zh-CN: 题}
                about: {en: About., zh-CN: 说明。}
                licence: Apache-2.0
                fields: [{name: text, label: {en: Text, zh-CN: 文字}}]
                form: {ask: "{{{name}}} {{ text }}", max_tokens: 8, temperature: 0}
                sources:
                  - source: draw
                    limit: 200
                    draws: [{name: text, of: [{{{string.Join(", ", Enumerable.Range(0, 26 * 26).Select(i => $"a{(char)('a' + i / 26)}{(char)('a' + i % 26)}"))}}}]}]
                    answer: "{{{answer}}}"
                split: {held_out: 0.2}
                metrics: [exact, character-error]
                baseline: {name: {en: commonest, zh-CN: 最常见}, kind: common}
                """);
        }
        File.WriteAllText(_folder["tiny.yaml"], Recipe);
        return _folder["tiny.yaml"];
    }

    /// <summary>Data, vocabulary, five runs and their answers once; the second time all is there, and the same is found. A seed more trains
    /// only that.</summary>
    [Fact]
    public async Task Run_TwoTasks_FillsTheTableAndIsKept()
    {
        string recipe = Prepared();
        var scale = new UnifiedScale(30e3, 6000, 1, 20);
        int steps = 0;
        List<string> said = [];
        UnifiedStudy Study(UnifiedScale of) =>
            new(recipe, of, Home) { Progress = (_, progress) => steps += progress.Line?.Loss is null ? 0 : 1, Say = said.Add };
        UnifiedResult first = await Study(scale).RunAsync(TestContext.Current.CancellationToken);
        int trained = steps;
        Assert.InRange(trained, 5, 200);
        Assert.DoesNotContain("–", first.ToMarkdown().Split('\n').First(line => line.StartsWith("| copy", StringComparison.Ordinal)),
            StringComparison.Ordinal);
        Assert.Matches("^The claim ", first.Conclusion());
        Assert.Equal(first.ToMarkdown(), File.ReadAllText(Path.Combine(Study(scale).Folder, "table.md")));
        Assert.Equal("svg", System.Xml.Linq.XDocument.Load(Path.Combine(Study(scale).Folder, "gains.svg")).Root!.Name.LocalName);

        UnifiedResult second = await Study(scale).RunAsync(TestContext.Current.CancellationToken);
        Assert.Equal((first.ToMarkdown(), trained), (second.ToMarkdown(), steps));
        await Study(scale with { Seeds = 2 }).RunAsync(TestContext.Current.CancellationToken);
        Assert.Equal(2 * trained, steps);
    }

    /// <summary>Every arm sees the same documents of a task, and the one model those of all tasks.</summary>
    [Fact]
    public void Portion_Tokens_AreTheFewestThatReachWhatIsWanted()
    {
        var tokenizer = Tokenizer.Train(["a"], 260);
        SourceItem[] items =
            [.. Enumerable.Range(0, 40)
                .Select(i => new SourceItem($"item {i}", $"{i}",
                    [new ConversationExample(new Conversation([Message.User("q"), Message.Assistant(new string('a', i % 7 + 1))]))]))
            .OrderBy(item => StableHash.ShareOf(item.Id))];
        var template = new ChatTemplate(tokenizer);
        int[] lengths = [.. items.Select(item => template.Document(((ConversationExample)item.Examples[0]).Conversation).Tokens.Length)];
        UnifiedPortion some = UnifiedStudy.Portion("t", items, template, 300, 1000);
        Assert.Equal((1, lengths.Take(some.Items).Sum()), (some.Repeat, (int)some.Tokens));
        Assert.InRange(some.Tokens, 300, 300 + lengths.Max() - 1);
        Assert.Equal(some.Items, items.Count(item => StableHash.ShareOf(item.Id) < some.Share));
        UnifiedPortion many = UnifiedStudy.Portion("t", items, template, lengths.Sum() * 5 / 2, 1000);
        Assert.Equal(3, many.Repeat);
        Assert.InRange(many.Tokens, lengths.Sum() * 5 / 2, lengths.Sum() * 5 / 2 + 3 * lengths.Max());
        Assert.Contains("no training documents of at most 3 tokens",
            Assert.Throws<FlywheelException>(() => UnifiedStudy.Portion("t", items, template, 10, 3)).Message, StringComparison.Ordinal);
    }

    private static UnifiedResult Result(int items, Func<int, bool> one, Func<int, bool> specialist, Func<int, bool> small)
    {
        TaskItem[] held =
            [.. Enumerable.Range(0, items)
                .Select(i => new TaskItem($"{i}", new Dictionary<string, string>(), "yes", Data.Split.Validation, ""))];
        UnifiedRecipe recipe =
            UnifiedRecipe.Parse(Recipe.Replace("character-error, margin: 0.02", "exact, margin: 0.05", StringComparison.Ordinal),
                "tiny.yaml");
        var result = new UnifiedResult(recipe, new UnifiedScale(1, 1, 1, items), [], [("copy", held), ("shout", held)]);
        foreach (string task in new[] { "copy", "shout" })
            foreach ((UnifiedArm arm, Func<int, bool> right) in new[] { (UnifiedArm.One, one), (UnifiedArm.Specialist, specialist),
                (UnifiedArm.SmallSpecialist, small) })
                result.Add(arm, task, 1, [.. held.Select((_, i) => right(i) ? "yes" : "no")], 1, 1);
        return result;
    }

    /// <summary>Equal answers but for a few in a thousand are within five points and cannot be told from one; far worse ones are outside;
    /// nothing learnt is no proof.</summary>
    [Fact]
    public void Verdict_KnownDifferences_AreCalledByTheirNames()
    {
        UnifiedResult alike = Result(1000, i => i % 10 != 0 && i != 1, i => i % 10 != 0 && i != 2, i => i % 2 == 0);
        Assert.Equal((UnifiedVerdict.Holds, UnifiedVerdict.Holds), (alike.WithinMargin("shout"), alike.BetterThanSmall("shout")));
        Assert.StartsWith("The claim holds: U is within the margin of S on 2 of 2", alike.Conclusion(), StringComparison.Ordinal);
        UnifiedResult worse = Result(1000, i => i % 2 == 0, i => i % 10 != 0, i => i % 10 != 0);
        Assert.Equal((UnifiedVerdict.Fails, UnifiedVerdict.Fails), (worse.WithinMargin("copy"), worse.BetterThanSmall("copy")));
        Assert.StartsWith("The claim fails", worse.Conclusion(), StringComparison.Ordinal);
        Assert.Equal(UnifiedVerdict.Open, Result(50, _ => false, _ => false, _ => false).WithinMargin("copy"));
        // By hand: 50% against 90% is forty points less.
        Assert.Equal(-0.4, worse.Gain(UnifiedArm.Specialist, "copy")!.Value.Estimate, 12);
    }

    [Fact]
    public void Gain_OfAnErrorRate_IsPositiveWhereTheOneModelErrsLess()
    {
        TaskItem[] held =
            [.. Enumerable.Range(0, 10)
                .Select(i => new TaskItem($"{i}", new Dictionary<string, string>(), "abcd", Data.Split.Validation, ""))];
        var result = new UnifiedResult(UnifiedRecipe.Parse(Recipe, "tiny.yaml"), new UnifiedScale(1, 1, 1, 10), [],
            [("copy", held), ("shout", held)]);
        result.Add(UnifiedArm.One, "shout", 1, [.. held.Select(_ => "abcx")], 1, 1);
        result.Add(UnifiedArm.Specialist, "shout", 1, [.. held.Select(_ => "abxx")], 1, 1);
        Assert.Equal(0.25, result.Gain(UnifiedArm.Specialist, "shout")!.Value.Estimate, 12);
    }

    [Theory]
    [InlineData("metric: exact", "metric: exactly",
        "tiny.yaml line 3: field 'tasks[0].metric' is 'exactly', expected exact, one-of, chrf, word-error, symbol-error, character-error or per-letter")]
    [InlineData("margin: 0.01", "margin: 0", "tiny.yaml line 3: field 'tasks[0].margin' is 0, expected a number above 0")]
    [InlineData("task: shout", "task: copy", "tiny.yaml line 4: field 'tasks[1].task' is 'copy', expected each task once")]
    [InlineData("exceptions: 0", "exceptions: 2", "tiny.yaml line 5: field 'exceptions' is 2, expected a number from 0 to 1")]
    public void Parse_InvalidExperiment_NamesFileLineFieldAndExpectation(string from, string to, string expected) =>
        Assert.Equal(expected,
            Assert.Throws<FlywheelException>(() =>
                UnifiedRecipe.Parse(Recipe.Replace(from, to, StringComparison.Ordinal), "tiny.yaml")).Message);

    [Fact]
    public void Load_ExperimentOfTheRepository_IsValidAndItsTasksAreThere()
    {
        string path = Path.Combine(TestFiles.Root, "recipes", "experiments", "unified.yaml");
        UnifiedRecipe recipe = UnifiedRecipe.Load(path);
        Assert.NotNull(new UnifiedStudy(path, new UnifiedScale(1e5, 1000, 1, 10), Home).Folder);
        var reserved = recipe.Tokenizer.Reserve.ToHashSet();
        foreach (UnifiedTask task in recipe.Tasks)
        {
            TaskDescription about = TaskFolder.Open(Path.Combine(TestFiles.Root, "tasks", task.Task)).Description;
            Assert.Subset(reserved,
                about.Fields.Select(field => field.Modality).Append(about.Output.Modality).Where(modality => modality != TaskField.Text)
                    .ToHashSet());
        }
    }

    [Theory]
    [InlineData("600k", 600e3)]
    [InlineData("1.5M", 1.5e6)]
    [InlineData("300", 300)]
    public void Short_Numbers_ReadAsTheyAreWritten(string text, double number) =>
    Assert.Equal((text, number), (Amounts.Short(number), Amounts.ParseShort(text, "--size")));

    [Theory]
    [InlineData("")]
    [InlineData("k")]
    [InlineData("-3M")]
    [InlineData("NaN")]
    [InlineData("many")]
    public void ParseShort_NoNumber_NamesTheOption(string text) =>
        Assert.Equal($"--size is '{text}', expected a number above 0 such as 600k or 1.5M",
            Assert.Throws<FlywheelException>(() => Amounts.ParseShort(text, "--size")).Message);
}
