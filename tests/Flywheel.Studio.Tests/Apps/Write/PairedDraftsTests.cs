using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Serving;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>While drafts decide a rollout, the page Write shows drafts of both models, and what people keep there ends it.</summary>
public sealed class PairedDraftsTests : IAsyncLifetime
{
    private const string Path = "/v1/rollouts";

    /// <summary>Whose choices have closed when the last person chooses.</summary>
    private const int NumPeople = 24;

    private TestServer _server = null!;

    private DraftWriter Writer => _server.Service<DraftWriter>();

    private Briefs Briefs => _server.Service<Briefs>();

    private FlywheelStore Store => _server.Service<FlywheelStore>();

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Write_DraftsDecide_WhatPeopleKeepPromotesTheCandidateOrTakesItBack(bool candidateIsBetter)
    {
        ModelFolder candidate = _server.AnotherModel(2);
        string champion = _server.Server.Model.Hash;
        long id = (long)(await _server.PostAsync(Path, new() { ["candidate"] = candidate.Path, ["decide"] = "drafts" }))["id"]!;
        var orders = new HashSet<string>();
        // Each observation is 1 on a scale from -1 to 1, where no bet is more than a quarter of the capital, and one bettor of five bets so
        // much:
        // 1.25^24 / 5 > 40, so 24 are enough, and of ten, even if all five did, 1.25^10 is not.
        // Most of the second case's people are written into the record, which is quicker.
        int written = candidateIsBetter ? NumPeople + 1 : NumPeople / 4;
        for (int person = written; person <= NumPeople; person++) await ChooseAsync(person);
        for (int person = 0; person < written; person++)
        {
            DraftSet set = await WriteAsync($"user-{person}");
            Assert.True(set.Paired);
            Generation[] drafts =
                [.. await Task.WhenAll(set.Drafts.Select(async draft => (await Store.FindGenerationAsync(draft.Generation))!))];
            Assert.Equal([0, 1, 2, 3], drafts.Select(draft => draft.Choice)); // as they are shown
            Assert.Equal(2, drafts.Count(draft => draft.ModelHash == candidate.Hash && draft.Variant == "candidate"));
            Assert.Equal(2, drafts.Count(draft => draft.ModelHash == champion && draft.Variant == "champion"));
            Assert.All(drafts,
                draft => Assert.Equal((id, 1.0, set.Id, "write"), (draft.Rollout, draft.Propensity, draft.Group, draft.App)));
            Assert.All(set.Drafts, draft => Assert.Equal(DraftState.Ready, draft.State));
            orders.Add(string.Concat(drafts.Select(draft => draft.Variant![1])));
            if (person == 10)
            {
                await ADayPassesAsync();
                RolloutRow row = (await Store.LastRolloutAsync())!;
                RolloutTracker seen = await RolloutHistory.ReadAsync(Store, row, DateTimeOffset.UtcNow,
                    TestContext.Current.CancellationToken);
                Assert.Equal((10, RolloutMove.GoOn), (seen.Preferred.Count, RolloutDecision.Of(row, seen, DateTimeOffset.UtcNow).Move));
            }
            if (person == written - 1) await ADayPassesAsync(); // and then somebody speaks: until then the server need not look again
            await Briefs.ActAsync(_brief, $"user-{person}", set,
                drafts.First(draft => draft.Variant == (candidateIsBetter ? "candidate" : "champion")).Id, DraftState.Kept);
        }
        await _server.Service<RolloutHost>().CheckAsync(TestContext.Current.CancellationToken);
        if (candidateIsBetter) Assert.True(orders.Count > 2, string.Join(' ', orders)); // of the six that there are

        JsonObject status = await _server.GetAsync($"{Path}/{id}");
        Assert.Equal(candidateIsBetter ? "promoted" : "rolled_back", (string)status["state"]!);
        Assert.Contains(candidateIsBetter ? "people prefer the candidate's drafts: +1.00" : "people prefer the champion's drafts: -1.00",
            (string)status["reason"]!);
        Assert.Equal(NumPeople, (int)status["drafts"]!["people"]!);
        Assert.Equal(candidateIsBetter ? candidate.Hash : champion, _server.Server.Model.Hash);
        Assert.False((await WriteAsync("somebody")).Paired);

        async Task ChooseAsync(int person)
        {
            var request = Guid.CreateVersion7();
            foreach (bool second in new[] { false, true })
            {
                Generation draft = Draft(id, request, second ? 1 : 0, $"user-{person}", second ? candidate.Hash : champion,
                    second ? RolloutRow.CandidateArm : RolloutRow.ChampionArm);
                await Store.RecordAsync(draft, TestContext.Current.CancellationToken);
                if (second == candidateIsBetter)
                    await Store.AddFeedbackAsync(new(draft.Id, Metrics.Keep, true, draft.User), TestContext.Current.CancellationToken);
            }
        }
    }

    private static Generation Draft(long rollout, Guid request, int place, string user, string model, string arm,
        FinishReason end = FinishReason.Stop)
    {
        var id = Guid.CreateVersion7();
        return new()
        {
            Id = id, Group = request, Choice = place, Time = DateTimeOffset.UtcNow, User = user, App = "write", ModelHash = model,
            FinishReason = end, Rollout = rollout, Variant = arm, Propensity = 1,
            Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [2], Logprobs = [0], SamplerLogprobs = [0],
                Sampler = new() },
        };
    }

    [Fact]
    public async Task Write_AcceptanceDecidesOrNobodyWaits_OneModelWrites()
    {
        await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(2).Path, ["share"] = 50 });
        DraftSet set = await WriteAsync("ann");
        Assert.Equal((false, DraftWriter.NumDrafts), (set.Paired, set.Drafts.Count));
        await _server.PostAsync($"{Path}/1/stop", []);
        await _server.PostAsync(Path, new() { ["candidate"] = _server.AnotherModel(3).Path, ["decide"] = "drafts" });
        set = await WriteAsync("ann", Priority.Batch);
        Assert.Equal((false, DraftWriter.NumDrafts), (set.Paired, set.Drafts.Count));
        Assert.Single(
            (await Task.WhenAll(set.Drafts.Select(draft => Store.FindGenerationAsync(draft.Generation)))).Select(draft => draft!.ModelHash)
                .Distinct());
    }

    /// <summary>Four drafts, as champion, candidate, champion, candidate: k is kept, d discarded, - left alone.</summary>
    [Fact]
    public async Task Choice_OfPairedDrafts_SpeaksForTheArmUnlessADraftWasCut()
    {
        (string Acts, FinishReason LastEnds, double? Expected)[] cases =
        [
            ("k---", FinishReason.Stop, -1), ("-k--", FinishReason.Length, 1), ("kk--", FinishReason.Stop, 0),
            ("kd--", FinishReason.Stop, -1), ("d---", FinishReason.Stop, 1), ("dddd", FinishReason.Stop, 0),
            ("----", FinishReason.Stop, null), ("k---", FinishReason.Cancelled, null), ("k---", FinishReason.Failed, null),
        ];
        foreach ((int number, (string acts, FinishReason lastEnds, double? expected)) in cases.Index())
        {
            var row = new RolloutRow { Id = 100 + number, Champion = "1", Candidate = "2", Decider = RolloutDecider.Drafts,
                Started = DateTimeOffset.UtcNow, StepStarted = DateTimeOffset.UtcNow };
            var request = Guid.CreateVersion7();
            Generation[] drafts =
                [.. acts.Select((_, place) => Draft(row.Id, request, place, "ann", place % 2 == 0 ? row.Champion : row.Candidate,
                place % 2 == 0 ? RolloutRow.ChampionArm : RolloutRow.CandidateArm, place == 3 ? lastEnds : FinishReason.Stop))];
            foreach (Generation draft in drafts) await Store.RecordAsync(draft, TestContext.Current.CancellationToken);
            foreach ((int place, char act) in acts.Index())
                if (act != '-')
                    await Store.AddFeedbackAsync(new(drafts[place].Id, act == 'k' ? Metrics.Keep : Metrics.Discard, true, "ann"),
                        TestContext.Current.CancellationToken);
            RolloutTracker seen = await RolloutHistory.ReadAsync(Store, row, DateTimeOffset.UtcNow.AddDays(2),
                TestContext.Current.CancellationToken);
            Assert.True(expected == (seen.Preferred.Count == 0 ? null : seen.SumPreferred),
                $"{acts}, the last ends with {lastEnds}: {seen.Preferred.Count} people, {seen.SumPreferred}");
        }
    }

    private Guid _brief;

    private async Task<DraftSet> WriteAsync(string person, Priority priority = Priority.Normal)
    {
        var fields = new BriefFields { Name = "Lantern", Kind = Brief.Tagline };
        _brief = await Briefs.CreateAsync(Guid.CreateVersion7(), person, fields);
        LiveSet live = await Writer.StartAsync(_brief, person, fields, fields.ToConversation(), "", [], priority: priority);
        await live.Running;
        return (await Briefs.FindAsync(_brief, person))!.Value.Body.Sets[0];
    }

    /// <summary>Since everything that happened.</summary>
    private async Task ADayPassesAsync()
    {
        await using FlywheelDb db = Store.Tables();
        long day = (long)RolloutTracker.JudgedWithin.TotalMilliseconds + 1000;
        await db.Database.ExecuteSqlAsync($"UPDATE generation SET time = time - {day}", TestContext.Current.CancellationToken);
        await db.Database.ExecuteSqlAsync($"UPDATE feedback SET time = time - {day}", TestContext.Current.CancellationToken);
    }
}
