using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

/// <summary>From the sources that a task's file names to items and training conversations.</summary>
public sealed class TaskItemsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private FlywheelHome Home => new(_folder["home"]);

    private TaskFolder Task(string sources, string more = "", params string[] rows)
    {
        string path = Directory.CreateDirectory(_folder["double"]).FullName;
        File.WriteAllLines(Path.Combine(path, "rows.jsonl"), rows);
        File.WriteAllText(Path.Combine(path, "task.yaml"), $$$"""
            name: double
            title: {en: Double, zh-CN: 翻倍}
            about: {en: Twice a number., zh-CN: 一个数的两倍。}
            licence: Apache-2.0
            fields:
              - {name: number, label: {en: Number, zh-CN: 数字}, widget: number}
            form: {ask: "Twice {{ number }}?", answer: "It is {{ answer }}.", output: "{{ answer|replace('It is ', '')|replace('.', '') }}"}
            metrics: [exact]
            {{{more}}}
            sources:
            {{{sources}}}
            """);
        return TaskFolder.Open(path);
    }

    private const string Drawn = """
              - source: draw
                limit: 300
                draws: [{name: n, from: 1, to: 500}]
                fields: {number: "{{ n }}"}
                answer: "{{ n * 2 }}"
                licence: CC0-1.0
            """;

    [Fact]
    public void Read_Draws_AreDistinctRightAndTheSameEachTime()
    {
        TaskItem[] items = [.. TaskItems.Read(Task(Drawn), Home)];
        Assert.Equal(300, items.Length);
        Assert.Equal(300, items.DistinctBy(item => item.Fields["number"]).Count());
        Assert.All(items, item => Assert.Equal($"{2 * int.Parse(item.Fields["number"])}", item.Answer));
        Assert.All(items, item => Assert.Equal("CC0-1.0", item.Licence));
        Assert.Equal(items.Select(item => item.Id), TaskItems.Read(Task(Drawn), Home).Select(item => item.Id));
        // The first of many are the same as of few, on the same sides.
        TaskItem[] few = [.. TaskItems.Read(Task(Drawn.Replace("300", "40", StringComparison.Ordinal)), Home)];
        Assert.Equal(items[..40].Select(item => (item.Answer, item.Split)), few.Select(item => (item.Answer, item.Split)));
        Assert.InRange(items.Count(item => item.Split == Split.Validation), 5, 30); // a twentieth
    }

    /// <summary>What is held out is held out whatever the limit, the seed, the recipe; and nothing of it is learnt from.</summary>
    [Fact]
    public void Collect_RecipeWithATask_TrainsOnWhatIsNotHeldOut()
    {
        TaskFolder task = Task(Drawn);
        HashSet<string> heldOut = [.. TaskItems.HeldOut(task, Home).Select(item => $"It is {item.Answer}.")];
        foreach (int seed in new[] { 1, 2 })
        {
            Recipe recipe = RecipeFile.Parse($"""
                name: mix
                seed: {seed}
                tokenizer: {"{"} vocab: 300 {"}"}
                model: {"{"} hidden: 16, intermediate: 24, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, context: 64 {"}"}
                data: [{"{"} source: task, path: double, repeat: 2 {"}"}]
                train: {"{"} objective: supervised, steps: 1 {"}"}
                """, "mix");
            DataCollection collection = DataCollection.Collect(recipe, _folder.Path, Home);
            Conversation[] learnt =
                [.. collection.Items(Split.Train).SelectMany(item => item.Examples)
                    .Select(example => ((ConversationExample)example).Conversation)];
            Assert.Equal(2 * (300 - heldOut.Count), learnt.Length);
            Assert.DoesNotContain(learnt, conversation => heldOut.Contains(conversation.Messages[^1].Text));
            Assert.Equal(heldOut.Count, collection.Items(Split.Validation).Count());
            Assert.Contains(learnt, conversation => conversation.Messages[0].Text.StartsWith("Twice ", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Read_SplitBy_KeepsEqualKeysOnOneSide()
    {
        TaskFolder task = Task("""
              - source: draw
                limit: 400
                draws: [{name: n, from: 1, to: 999}]
                fields: {number: "{{ n }}"}
                answer: "x"
            """, "split: {by: \"{{ number|int % 10 }}\", held_out: 0.3}");
        var sides = TaskItems.Read(task, Home).GroupBy(item => int.Parse(item.Fields["number"]) % 10)
            .ToDictionary(group => group.Key, group => group.Select(item => item.Split).Distinct().Count());
        Assert.Equal(10, sides.Count);
        Assert.All(sides.Values, count => Assert.Equal(1, count));
    }

    [Fact]
    public void Read_Jsonl_TakesColumnsAndTemplates()
    {
        TaskFolder task = Task("""
              - {source: jsonl, path: rows.jsonl, fields: {number: "{{ n }}"}, answer: "{{ twice }}", keep: "{{ n != 3 }}"}
            """, "", """{"n": 1, "twice": "2"}""", """{"n": 3, "twice": "6"}""", "", """{"n": 1, "twice": "2"}""",
            """{"n": 2, "twice": "4"}""");
        Assert.Equal([("1", "2"), ("2", "4")], TaskItems.Read(task, Home).Select(item => (item.Fields["number"], item.Answer)));
        Assert.Equal("Twice 2?|It is 4.",
            string.Join('|',
                ((ConversationExample)TaskItems.Conversations(task, 1, Home).Last().Examples[0]).Conversation.Messages.Select(message =>
                    message.Text)));
    }

    [Theory]
    [InlineData("""{"m": 1, "twice": "2"}""", "rows.jsonl:1: has no 'n', which field 'sources[0].fields.number' uses; it has m, twice")]
    [InlineData("""{"n": "many", "twice": "2"}""", "rows.jsonl:1: field 'number' is 'many', expected a number")]
    [InlineData("""{"n": 1, "twice": ""}""", "rows.jsonl:1: the answer is empty, expected one")]
    [InlineData("""{"n": 1, "twice": "2""", "rows.jsonl:1: not valid JSON")]
    [InlineData("[1]", "rows.jsonl:1: is not a JSON object")]
    public void Read_RowThatDoesNotFit_IsNamedWithFileAndLine(string row, string expected)
    {
        TaskFolder task = Task("""
              - {source: jsonl, path: rows.jsonl, fields: {number: "{{ n }}"}, answer: "{{ twice }}"}
            """, "", row);
        Assert.StartsWith($"{Path.Combine(task.Path, expected)}",
            Assert.Throws<FlywheelException>(() => TaskItems.Read(task, Home).ToList()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void HeldOut_File_IsMeasuredOnAndAllSourcesAreLearntFrom()
    {
        TaskFolder task = Task(Drawn, "split: {file: rows.jsonl, fields: {number: \"{{ n }}\"}}", """{"n": 7, "answer": "14"}""",
            """{"n": 8, "answer": "16"}""");
        Assert.Equal([("7", "14"), ("8", "16")], TaskItems.HeldOut(task, Home).Select(item => (item.Fields["number"], item.Answer)));
        Assert.All(TaskItems.Read(task, Home), item => Assert.Equal(Split.Train, item.Split));
    }

    /// <summary>The shipped sums, computed again by other code; and no pair of numbers is on both sides, in whatever order.</summary>
    [Fact]
    public void Read_Arithmetic_IsRightAndSplitByItsNumbers()
    {
        TaskFolder task = TaskFolder.Open(Path.Combine(TestFiles.Root, "tasks", "arithmetic"));
        TaskItem[] items = [.. TaskItems.Read(task, Home).Take(4000)];
        var sides = new Dictionary<(int, int), Split>();
        foreach (TaskItem item in items)
        {
            (int a, int b) = (int.Parse(item.Fields["a"]), int.Parse(item.Fields["b"]));
            Assert.Equal(item.Fields["op"] switch { "+" => a + b, "-" => a - b, _ => a * b }, int.Parse(item.Answer));
            (int, int) pair = (Math.Min(a, b), Math.Max(a, b));
            Assert.Equal(item.Split, sides.TryAdd(pair, item.Split) ? item.Split : sides[pair]);
            Assert.Equal(item.Answer, task.Output(task.Answer(item.Fields, item.Answer)));
        }
        Assert.Equal(3, items.Select(item => item.Fields["op"]).Distinct().Count());
        Assert.Contains(items, item => item.Split == Split.Validation);
    }

    [Fact]
    public void CmuDictionary_BothForms_GiveTheSamePhones()
    {
        File.WriteAllText(_folder["cmu.txt"],
            ";;; comment\nAARDVARK  AA1 R D V AA1 R K\nA(2)  EY1\nallergan AO1 L ER0 JH AH0 N # place\n'TIS  T IH1 Z\nK2  K EY1 T UW1\nAARDVARK(2)  AA1\n");
        File.WriteAllText(_folder["festival.out"],
            "MNCL\n(\"aardvark\" nil (((aa r d) 1) ((v aa r k) 1)))\n(\"a\" n (((ey) 1)))\n(\"allergan\" nil (((ao) 1) ((l er) 0) ((jh ax n) 0)))\n(\"'tis\" nil (((t ih z) 1)))\n");
        string[] expected = ["aardvark: AA1 R D V AA1 R K", "a: EY1", "allergan: AO1 L ER0 JH AH0 N", "'tis: T IH1 Z"];
        Assert.Equal(expected, Rows("cmu.txt"));
        Assert.Equal(expected, Rows("festival.out"));
        File.WriteAllText(_folder["bad.txt"], "CAT  K AE9 T\n");
        Assert.StartsWith($"{_folder["bad.txt"]}:1: the entry holds 'AE9', expected symbols of 'phone'",
            Assert.Throws<FlywheelException>(() => Rows("bad.txt")).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder["worse.out"], "(\"cat\" nil)\n");
        Assert.Contains("expected an entry such as", Assert.Throws<FlywheelException>(() => Rows("worse.out")).Message,
            StringComparison.Ordinal);

        string[] Rows(string file) => [.. CmuDictionary.Read(_folder[file]).Select(row => $"{row["word"]}: {row["phones"]}")];
    }

    [Fact]
    public void CmuDictionary_AnyText_IsReadOrRefusedWithALine() => Gen.String[Gen.Char["()\"ab 1nil\nAHK;#"], 0, 60].Sample(text =>
    {
        string path = _folder["fuzz.txt"];
        File.WriteAllText(path, text);
        try
        {
            foreach (JsonObject row in CmuDictionary.Read(path)) Assert.NotEqual("", (string)row["phones"]!);
        }
        catch (FlywheelException e)
        {
            Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
        }
    }, iter: 300, threads: 1);

    [Fact]
    public void PackageTranslations_Join_ByTheTextThatWasTranslated()
    {
        const string English =
            "Package: cat\nDescription-md5: 1\nDescription-en: joins files\n Long.\n\nPackage: dog\nDescription-md5: 2\nDescription-en: guards files\n\nPackage: new\nDescription-md5: 3\nDescription-en: a new text\n";
        const string German =
            "Package: cat\nDescription-md5: 1\nDescription-de: verbindet Dateien\n Lang.\n\nPackage: new\nDescription-md5: 9\nDescription-de: alter Text\n\nPackage: dog\nDescription-md5: 2\nDescription-de: guards files\n";
        JsonObject row = Assert.Single(PackageTranslations.Read(new StringReader(English), new StringReader(German), "de"));
        Assert.Equal("""{"package":"cat","english":"joins files","translation":"verbindet Dateien"}""", row.ToJsonString());
    }
}
