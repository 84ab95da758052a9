using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Loop.Tests;

/// <summary>Feedback about answers that are no text: what people kept and corrected is learnt as symbols, however short it is.</summary>
public sealed class SymbolAnswerTests
{
    private static readonly Conversation s_asked = new([Message.User("Say cat")]) { AnswerModality = "phone" };

    [Fact]
    public void Curate_ShortAnswersOfATask_AreLearntAsSymbols()
    {
        Guid kept = Guid.NewGuid(), edited = Guid.NewGuid();
        IReadOnlyList<CuratedExample> rows = Curator.Curate(
            [Answer(kept, "K AE1 T", "tasks/say"), Answer(edited, "K", "tasks/say")],
            [Said(kept, Metrics.Keep, true), Said(edited, Metrics.Demonstration, "K AE1")],
            new CurationRules(8, _ => true));
        CuratedExample[] learnt = [.. rows.Where(row => row.Drop is null && row.Kind == ExampleKind.Supervised)];
        Assert.Equal([new SymbolsPart("phone", "K AE1 T"), new SymbolsPart("phone", "K AE1")],
            learnt.Select(row => row.Answered.Messages[^1].Parts[0]));
        CuratedExample pair = Assert.Single(rows, row => row.Kind == ExampleKind.Preference && row.Drop is null);
        Assert.Equal(new SymbolsPart("phone", "K"), pair.Lost.Messages[^1].Parts[0]);
    }

    [Fact]
    public void Curate_ShortAnswersElsewhere_AreStillDropped()
    {
        Guid kept = Guid.NewGuid();
        IReadOnlyList<CuratedExample> rows = Curator.Curate([Answer(kept, "short", "write")], [Said(kept, Metrics.Keep, true)],
            new CurationRules(8, _ => true));
        Assert.Equal(DropReasons.TooShort, Assert.Single(rows).Drop);
    }

    /// <summary>What a turn writes, the readers of training and of the examination read as the same symbols.</summary>
    [Fact]
    public void Rows_OfSymbols_ComeBackAsTheyWere()
    {
        Conversation answered = s_asked.WithAnswer("K AE1 T");
        var example = Assert.IsType<ConversationExample>(JsonlSource.Parse(answered.ToString(), "row").Examples[0]);
        Assert.Equal(answered, example.Conversation);
        Assert.DoesNotContain("AE1", string.Join(' ', example.Texts)); // a vocabulary learns nothing of them
        Assert.Contains("K AE1 T", example.Identity);
        var pair = new JsonObject
        {
            ["input"] = s_asked.ToJson(),
            ["preferred_output"] = new JsonArray(answered.ToJson()["messages"]![1]!.DeepClone()),
            ["non_preferred_output"] = new JsonArray(s_asked.WithAnswer("K").ToJson()["messages"]![1]!.DeepClone()),
        };
        var both = Assert.IsType<PairExample>(JsonlSource.Parse(pair.ToJsonString(), "row").Examples[0]);
        Assert.Equal(answered, both.Preferred);
        Assert.Equal(s_asked.WithAnswer("K"), both.Rejected);
    }

    private static Feedback Said(Guid generation, string metric, JsonNode value) =>
        new() { Id = Guid.CreateVersion7(), Time = Given.Monday, GenerationId = generation, Metric = metric, Value = value.ToJsonString() };

    private static Shown Answer(Guid id, string text, string app) =>
        new(id, Guid.NewGuid(), 0, "ann", s_asked with { AnswerModality = app == "write" ? null : "phone" }, text,
            Whole: true) { App = app };
}
