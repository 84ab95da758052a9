using CsCheck;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Console;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Console;

/// <summary>What the console says of use and feedback, against counting by hand.</summary>
public sealed class UsageReportTests : IAsyncLifetime
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;

    public async ValueTask InitializeAsync() => _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void Busy_AnyAnswersSideBySide_IsTheTimeWhenOneRan() =>
        Gen.Select(Gen.Int[0, 40], Gen.Int[0, 12], Gen.Int[1, 9], Gen.Char['a', 'c']).Array[1, 12].Sample(answers => Task.Run(async () =>
        {
            using var folder = new TempFolder();
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
            foreach ((int begin, int seconds, int tokens,
                char user) in answers) await AnswerAsync(store, begin, seconds, tokens, $"{user}");
            Usage usage = await Usage.ReadAsync(store, s_start, TimeSpan.Zero);
            // Whole seconds, so that the union of the intervals is a set of seconds.
            int busy = answers.SelectMany(answer => Enumerable.Range(answer.Item1, answer.Item2)).Distinct().Count();
            Assert.Equal(busy, usage.All.BusySeconds, 3);
            Assert.Equal(answers.Length, usage.All.Texts);
            Assert.Equal(answers.Sum(answer => answer.Item3), usage.All.AnswerTokens);
            foreach (IReadOnlyList<UsageLine> lines in new[] { usage.Applications, usage.People, usage.Models, usage.Days })
            {
                Assert.Equal(usage.All.Tokens, lines.Sum(line => line.Tokens));
                Assert.Equal(usage.All.BusySeconds, lines.Sum(line => line.BusySeconds), 3);
            }
            Assert.Equal(answers.GroupBy(answer => $"{answer.Item4}").ToDictionary(group => group.Key, group => (long)group.Count()),
                usage.People.ToDictionary(line => line.Name, line => line.Texts));
        }).GetAwaiter().GetResult(), iter: 10);

    [Fact]
    public async Task Kept_EachPersonsLastWord_Counts()
    {
        Guid kept = await AnswerAsync(_store), edited = await AnswerAsync(_store), thrown = await AnswerAsync(_store),
            back = await AnswerAsync(_store), liked = await AnswerAsync(_store);
        await SayAsync(kept, "keep", "true");
        await SayAsync(edited, "discard", "true");
        await SayAsync(edited, "demonstration", "\"better\"");
        await SayAsync(thrown, "keep", "true");
        await SayAsync(thrown, "discard", "true");
        await SayAsync(back, "keep", "true");
        await SayAsync(back, "retract", "true");
        await SayAsync(liked, "rating", "1");
        Assert.Equal(2, (await Usage.ReadAsync(_store, s_start, TimeSpan.Zero)).All.Kept);
        await SayAsync(kept, "discard", "true", user: "bob"); // another's opinion takes nothing from Ann
        Assert.Equal(2, (await Usage.ReadAsync(_store, s_start, TimeSpan.Zero)).All.Kept);
    }

    [Fact]
    public async Task Read_OfAPerson_CountsNobodyElses()
    {
        await AnswerAsync(_store, user: "ann");
        await AnswerAsync(_store, user: "bob");
        await AnswerAsync(_store, user: "ann", owner: "carl"); // the key says who it is, not the request
        Usage own = await Usage.ReadAsync(_store, s_start, TimeSpan.Zero, "ann");
        Assert.Equal(["ann"], own.People.Select(line => line.Name));
        Assert.Equal(1, own.All.Texts);
        Assert.Equal(1, (await Usage.ReadAsync(_store, s_start, TimeSpan.Zero, "carl")).All.Texts);
    }

    [Theory]
    [InlineData("50%", 1)]
    [InlineData("5_%", 0)]
    [InlineData("ANN", 2)]
    [InlineData("answer 1", 1)]
    [InlineData("'; DROP TABLE feedback; --", 0)]
    public async Task Feedback_SearchedFor_FindsTheWordsAsTheyStand(string search, int expected)
    {
        Guid first = await AnswerAsync(_store, text: "answer 1"), second = await AnswerAsync(_store, text: "answer 2");
        await SayAsync(first, "comment", "\"off by 50%\"");
        await SayAsync(second, "keep", "true");
        IReadOnlyList<SaidFeedback> found = await FeedbackList.ReadAsync(_store, search, "");
        Assert.Equal(expected, found.Count);
        Assert.All(await FeedbackList.ReadAsync(_store, "", "keep"), said => Assert.Equal("answer 2", said.Text));
    }

    [Fact]
    public async Task Feedback_OnWhatIsNotRecorded_SaysSo()
    {
        await SayAsync(Guid.NewGuid(), "keep", "true");
        SaidFeedback said = Assert.Single(await FeedbackList.ReadAsync(_store, "", ""));
        Assert.True(said.IsOrphan);
        Assert.Null(said.Text);
    }

    private Task SayAsync(Guid generation, string metric, string value, string user = "ann") =>
        _store.AddFeedbackAsync(FeedbackInput.FromJson(
        System.Text.Json.Nodes.JsonNode.Parse(
            $$"""{"inference_id": "{{generation}}", "metric_name": "{{metric}}", "value": {{value}}, "user": "{{user}}"}""")!.AsObject()));

    private static async Task<Guid> AnswerAsync(FlywheelStore store, int begin = 0, int seconds = 1, int tokens = 3, string user = "ann",
        string owner = "", string text = "an answer")
    {
        Guid id = Guid.NewGuid();
        await store.RecordAsync(new Generation
        {
            Id = id, Group = id, Time = s_start.AddSeconds(begin), LatencyMs = 1000 * seconds, App = "write", User = user, Owner = owner,
            ModelHash = "x",
            FinishReason = Engine.FinishReason.Stop, NumTokens = tokens, NumPromptTokens = 2,
            Payload = new GenerationPayload
            {
                Text = text, PromptTokens = [1, 2], Tokens = [1, 2, 3], Logprobs = [0, 0, 0], SamplerLogprobs = [0, 0, 0],
                Sampler = new Engine.SamplerOptions(),
            },
        });
        return id;
    }
}
