using Flywheel.Engine;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Rollouts;

/// <summary>What a rollout is decided by, read from the record of drafts of both models.</summary>
public sealed class RolloutHistoryTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Drafts_ThatFailedOrWereCutAlone_ReachTheGuards()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        var answers = new List<Generation>();
        for (int person = 0; person < 12; person++)
            for (int i = 0; i < RolloutTracker.PerPerson; i++)
                answers.AddRange(Drafts($"user-{person}", 10 * person + i,
                    i switch { 0 or 1 => FinishReason.Failed, 2 => FinishReason.Cancelled, _ => FinishReason.Stop }));
        answers.AddRange(Drafts("ann", 900, FinishReason.Stop)[..2]); // the candidate's queue was full
        RolloutTracker seen = await ReadAsync(store, answers, []);
        Assert.Equal((60, 24, 12), (seen.Candidate.NumAnswers, seen.Candidate.NumFailed, seen.Candidate.NumSlow));
        Assert.Equal((60, 0, 0), (seen.Champion.NumAnswers, seen.Champion.NumFailed, seen.Champion.NumSlow));
        Assert.Equal((12, 0.4, 0.2), (seen.NumGuarded, Math.Round(seen.Failed.MeanOfPairs, 9), Math.Round(seen.Slow.MeanOfPairs, 9)));
    }

    [Fact]
    public async Task Person_WhoDiscardsOneDraftOfTheFifthPairAndKeepsAnother_ChoseTheSecond()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        var answers = new List<Generation>();
        var acts = new List<(Guid, string)>();
        for (int i = 0; i < RolloutTracker.PerPerson; i++)
        {
            Generation[] drafts = Drafts("ann", i, FinishReason.Stop);
            answers.AddRange(drafts);
            if (i == 4) acts.Add((drafts[2].Id, Metrics.Discard));
            acts.Add((drafts[3].Id, Metrics.Keep));
        }
        RolloutTracker seen = await ReadAsync(store, answers, acts);
        Assert.Equal((1, 5, 1.0), (seen.Preferred.Count, seen.NumPairs, seen.SumPreferred));
    }

    /// <summary>Two of each model; the candidate's last are the fourth.</summary>
    private static Generation[] Drafts(string person, int minute, FinishReason last)
    {
        DateTimeOffset time = Given.Monday.AddMinutes(minute);
        var group = Guid.CreateVersion7(time);
        return [.. Enumerable.Range(0, 4).Select(place =>
        {
            var id = Guid.CreateVersion7(time);
            return new Generation
            {
                Id = id, Group = group, Choice = place, Time = time, User = person, App = "write", ModelHash = place < 2 ? "a" : "b",
                FinishReason = place == 3 ? last : FinishReason.Stop,
                Rollout = 1, Variant = place < 2 ? RolloutRow.ChampionArm : RolloutRow.CandidateArm, Propensity = 1,
                Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [], Logprobs = [], SamplerLogprobs = [],
                    Sampler = new() },
            };
        })];
    }

    private static async Task<RolloutTracker> ReadAsync(FlywheelStore store, List<Generation> answers, List<(Guid Of, string Metric)> acts)
    {
        DateTimeOffset later = Given.Monday.AddHours(20);
        await using (FlywheelDb db = store.Tables())
        {
            db.Generations.AddRange(answers);
            db.Feedback.AddRange(
                acts.Select((act, at) => new Feedback { Id = Guid.CreateVersion7(), Time = later.AddSeconds(at), GenerationId = act.Of,
                    Metric = act.Metric, Value = "true", User = "ann" }));
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        var row = new RolloutRow { Id = 1, Champion = "a", Candidate = "b", Decider = RolloutDecider.Drafts, Share = 0.05,
            Started = Given.Monday, StepStarted = Given.Monday };
        return await RolloutHistory.ReadAsync(store, row, later.AddHours(1), TestContext.Current.CancellationToken);
    }
}
