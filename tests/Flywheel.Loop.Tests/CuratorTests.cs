using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class CuratorTests
{
    private static readonly Guid Group = new("00000000-0000-7000-8000-000000000099");

    /// <summary>
    /// One request of ann's with the answers A, B and C. An act is letter, metric and value: <c>A keep</c>, <c>B edit new text</c>,
    /// <c>A retract</c>. What comes out is written as in the expectations.
    /// </summary>
    [Theory]
    [InlineData("A keep", "text A | A > B | A > C")]
    [InlineData("A keep; B discard", "text A | A > B | A > C")]
    [InlineData("A keep; B keep", "text A | A > C | text B | B > C")]
    [InlineData("A edit better A", "text better A | better A > A | better A > B | better A > C")]
    [InlineData("A edit better A; A keep", "text better A | better A > A | better A > B | better A > C")]
    [InlineData("A keep; A edit better A", "(replaced by later feedback) | text better A | better A > A | better A > B | better A > C")]
    [InlineData("A edit one; A edit another one",
        "(replaced by later feedback) | text another one | another one > A | another one > B | another one > C")]
    [InlineData("A keep; A discard", "(replaced by later feedback) | (discarded, but nothing was kept beside it)")]
    [InlineData("A discard; A keep", "(replaced by later feedback) | text A | A > B | A > C")]
    [InlineData("A edit better A; A discard; A keep",
        "(replaced by later feedback) | (replaced by later feedback) | text A | A > B | A > C")]
    [InlineData("A discard", "(discarded, but nothing was kept beside it)")]
    [InlineData("A keep; A retract", "(taken back) | (taken back)")]
    [InlineData("A keep; B discard; B retract", "(taken back) | (taken back) | text A | A > B | A > C")]
    [InlineData("A keep; A rate; A comment nice",
        "(rating or comment: kept, not trained on) | (rating or comment: kept, not trained on) | text A | A > B | A > C")]
    [InlineData("A edit A text of answer", "(edit equals the original: counts as kept) | text A | A > B | A > C")]
    [InlineData("A edit ok", "(too short)")]
    [InlineData("A edit B text of answer", "text B | B > A | (both texts are the same) | B > C")]
    [InlineData("A rate", "(rating or comment: kept, not trained on)")]
    public void Curate_Acts_GiveTheExamplesOfTheRules(string acts, string expected)
    {
        Shown[] shown = [.. "ABC".Select((letter, i) => Answer(letter, i))];
        IReadOnlyList<CuratedExample> rows = Curator.Curate(shown, Acts(acts), new CurationRules(3, _ => true));

        Assert.Equal(expected, string.Join(" | ", rows.Select(Write)));
        Assert.All(rows, row => Assert.NotEmpty(row.FeedbackIds));
    }

    [Fact]
    public void Curate_AnswerStoppedHalfWay_IsNoWorseThanTheKeptOne()
    {
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0), Answer('B', 1) with { Whole = false }], Acts("A keep"),
            new CurationRules(3, _ => true));

        Assert.Equal("text A | (the other answer was stopped half-way)", string.Join(" | ", rows.Select(Write)));
    }

    [Fact]
    public void Curate_PlainCompletion_IsDroppedWithItsReason()
    {
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0) with { Prompt = null }], Acts("A keep"),
            new CurationRules(3, _ => true));

        Assert.Equal("(plain completion: no conversation)", string.Join(" | ", rows.Select(Write)));
    }

    [Fact]
    public void Curate_TextsThatDoNotFitTheModel_AreDroppedWithTheirReason()
    {
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0), Answer('B', 1)], Acts("A keep"),
            new CurationRules(3, conversation => !conversation.Messages[^1].Text.StartsWith('B')));

        Assert.Equal("text A | (longer than the model's context)", string.Join(" | ", rows.Select(Write)));
    }

    [Fact]
    public void Curate_TwoPeopleOnTheSameAnswers_AreComparedEachWithTheirOwn()
    {
        Feedback[] acts = [.. Acts("A keep; B discard", user: "bea"), .. Acts("B keep", user: "carl", from: 10)];

        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0), Answer('B', 1)], acts, new CurationRules(3, _ => true));

        Assert.Equal("bea: text A | bea: A > B | carl: text B | carl: B > A",
            string.Join(" | ", rows.Select(row => $"{row.User}: {Write(row)}")));
    }

    /// <summary>Whatever people do, nothing is lost silently and nobody is on both sides.</summary>
    [Fact]
    public void Create_AnyFeedback_KeepsTheInvariants()
    {
        Gen<(int Request, int Choice, int Person, int Metric, int Text)> act =
            Gen.Select(Gen.Int[0, 5], Gen.Int[0, 2], Gen.Int[0, 4], Gen.Int[0, 5], Gen.Int[0, 3]);
        act.List[1, 60].Sample(acts =>
        {
            Shown[] shown =
                [.. Enumerable.Range(0, 18)
                    .Select(i => new Shown(Id(i), Id(1000 + i / 3), i % 3, $"asker {i / 3}", Prompt($"prompt {i / 6}"),
                        $"shown text {i % 4}", i % 7 != 6))];
            Feedback[] feedback =
                [.. acts.Select((a, i) => Row(i, Id(a.Request * 3 + a.Choice), FeedbackKind.All[a.Metric].Name, a.Metric switch
            {
                2 => $"shown text {a.Text}",
                4 => "a remark",
                _ => "true",
            }, a.Person == 0 ? "" : $"person {a.Person}"))];

            CuratedDataset dataset = CuratedDataset.Create(Curator.Curate(shown, feedback, new CurationRules(3, _ => true)), Given.Split());

            Assert.Superset(feedback.Select(row => row.Id).ToHashSet(), dataset.Rows.SelectMany(row => row.FeedbackIds).ToHashSet());
            Assert.Equal(feedback.Select(row => row.Id).ToHashSet(), dataset.Rows.SelectMany(row => row.FeedbackIds).ToHashSet());
            List<CuratedExample> kept = [.. dataset.Rows.Where(row => row.Drop is null)];
            Func<CuratedExample, string> unit = dataset.IsOfFewPeople ? row => row.PromptHash! : row => row.Person;
            Assert.All(kept.GroupBy(unit), one => Assert.Single(one.Select(row => row.Split).Distinct()));
            Assert.All(kept, row => Assert.NotNull(row.Split));
            Assert.Equal(kept.Count, kept.Select(CuratedDataset.HashOf).Distinct().Count());
            if (kept.Select(unit).Distinct().Count() > 1)
            {
                Assert.Contains(kept, row => row.Split == Split.HeldOut);
            }
            Assert.Equal(dataset.Hash,
                CuratedDataset.Create(Curator.Curate(shown.Reverse(), feedback, new CurationRules(3, _ => true)), Given.Split()).Hash);
        }, iter: 300, seed: "0000KeXSOcQ3");
    }

    [Fact]
    public void Write_Dataset_IsReadByTheDataStageAndNamedByContent()
    {
        using var folder = new TempFolder();
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0), Answer('B', 1)],
            [.. Acts("A edit better A", "bea"), .. Acts("B keep", "carl", 10)], new CurationRules(3, _ => true));
        CuratedDataset dataset = CuratedDataset.Create(rows,
            Given.Split(new Dictionary<string, Split> { ["bea"] = Split.Train, ["carl"] = Split.HeldOut }));

        string path = dataset.Write(folder.Path);

        Assert.Equal("curated-" + dataset.Hash[..16], Path.GetFileName(path));
        Assert.Equal(path, dataset.Write(folder.Path));
        var text =
            Assert.IsType<Data.ConversationExample>(
                Assert.Single(Data.JsonlSource.Read(Path.Combine(path, "supervised", "train.jsonl"))).Examples[0]);
        Assert.Equal("better A", text.Conversation.Messages[^1].Text);
        Assert.Equal(2, Data.JsonlSource.Read(Path.Combine(path, "preference", "train.jsonl")).Count());
        Assert.Equal("B text of answer",
            Assert.IsType<Data.PairExample>(
                Assert.Single(
                    Data.JsonlSource.Read(Path.Combine(path, "preference", "heldout.jsonl"))).Examples[0]).Preferred.Messages[^1].Text);
        JsonNode line = JsonNode.Parse(File.ReadLines(Path.Combine(path, "supervised", "train.jsonl")).Single())!;
        Assert.Equal("bea", line["user"]!.GetValue<string>());
        Assert.Equal(Id('A').ToString(), line["generation_id"]!.GetValue<string>());
        Assert.Contains("| people | 1 | 1 |", File.ReadAllText(Path.Combine(path, "report.md")));
    }

    [Fact]
    public void Create_SameTextOfTrainedAndTestedPeople_IsOnlyTestedOn()
    {
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0)], [.. Acts("A keep", "bea"), .. Acts("A keep", "carl", 10)],
            new CurationRules(3, _ => true));
        CuratedDataset dataset = CuratedDataset.Create(rows,
            Given.Split(new Dictionary<string, Split> { ["bea"] = Split.Train, ["carl"] = Split.HeldOut }));

        Assert.Empty(dataset.Of(ExampleKind.Supervised, Split.Train));
        Assert.Single(dataset.Of(ExampleKind.Supervised, Split.HeldOut));
        Assert.Equal([(DropReasons.HeldOut, 1)], dataset.Drops);
    }

    [Fact]
    public void Create_ExampleOfAnEarlierTurn_IsDropped()
    {
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer('A', 0)], Acts("A keep"), new CurationRules(3, _ => true));

        CuratedDataset dataset = CuratedDataset.Create(rows, Given.Split(used: new HashSet<string> { CuratedDataset.HashOf(rows[0]) }));

        Assert.Equal([(DropReasons.UsedBefore, 1)], dataset.Drops);
    }

    private static Conversation Prompt(string text) => new([Message.User(text)]);

    private static Guid Id(int n) => new($"00000000-0000-7000-8000-{n:d12}");

    private static Shown Answer(char letter, int choice) =>
        new(Id(letter), Group, choice, "ann", Prompt("Write."), $"{letter} text of answer", Whole: true);

    private static Feedback[] Acts(string acts, string user = "", int from = 0) => [.. acts.Split("; ").Select((act, i) =>
    {
        string[] words = act.Split(' ', 3);
        return words[1] switch
        {
            "edit" => Row(from + i, Id(words[0][0]), Metrics.Demonstration, words[2], user),
            "rate" => Row(from + i, Id(words[0][0]), Metrics.Rating, "1", user),
            "comment" => Row(from + i, Id(words[0][0]), Metrics.Comment, words[2], user),
            _ => Row(from + i, Id(words[0][0]), words[1], "true", user),
        };
    })];

    private static Feedback Row(int sequence, Guid generation, string metric, string value, string user) => new()
    {
        Sequence = sequence + 1,
        Id = Id(500_000 + sequence),
        Time = Given.Monday.AddSeconds(sequence),
        GenerationId = generation,
        Metric = metric,
        Value = new FeedbackInput(generation, metric,
            JsonNode.Parse(metric is Metrics.Demonstration or Metrics.Comment ? JsonValue.Create(value).ToJsonString() : value)).Value,
        User = user,
    };

    private static string Write(CuratedExample row)
    {
        if (row.Drop is not null) return $"({row.Drop})";
        string Short(string text) => text.Replace(" text of answer", "");
        return row.Kind == ExampleKind.Supervised ? $"text {Short(row.Preferred)}" : $"{Short(row.Preferred)} > {Short(row.Rejected!)}";
    }
}
