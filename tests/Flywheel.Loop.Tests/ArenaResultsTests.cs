using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>Win rates of the arena: what they count, and how sure they are.</summary>
public sealed class ArenaResultsTests
{
    private static readonly Gen<ArenaVote> AnyVote =
        Gen.Select(Gen.Char['k', 'n'], Gen.Char['k', 'n'], Gen.Int[0, 9], Gen.Enum<ArenaChoice>(),
        (a, b, person, choice) => new ArenaVote($"{a}", $"{b}", $"user-{person}", choice));

    /// <summary>Published: Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.</summary>
    [Theory]
    [InlineData(81, 263, 0.2553, 0.3662)]
    [InlineData(15, 148, 0.0624, 0.1605)]
    [InlineData(0, 20, 0.0000, 0.1611)]
    [InlineData(1, 29, 0.0061, 0.1718)]
    public void Interval_OfWins_IsThePublishedOne(int wins, int choices, double low, double high)
    {
        ArenaPair pair =
            Assert.Single(
                ArenaResults.Count(Enumerable.Range(0, choices)
                    .Select(i => new ArenaVote("a", "b", $"user-{i % 5}", i < wins ? ArenaChoice.A : ArenaChoice.B))));
        Assert.Equal((wins, choices - wins, 5, false), (pair.FirstWins, pair.SecondWins, pair.NumPeople, pair.CountsPeople));
        Assert.Equal((low, high), (Math.Round(pair.Rate.Low, 4), Math.Round(pair.Rate.High, 4)));
    }

    [Fact]
    public void Count_OneDiligentPersonAmongSix_DecidesNoMoreThanTheOthers()
    {
        IEnumerable<ArenaVote> diligent = Enumerable.Repeat(new ArenaVote("a", "b", "user-0", ArenaChoice.A), 1000),
            others = Enumerable.Range(1, 5).Select(i => new ArenaVote("a", "b", $"user-{i}", ArenaChoice.B));
        ArenaPair pair = Assert.Single(ArenaResults.Count([.. diligent, .. others]));
        Assert.True(pair.CountsPeople);
        Assert.Equal(1.0 / 6, pair.Rate.Estimate, 12);
        Assert.Equal(1005, pair.NumChoices);
    }

    [Fact]
    public void Count_AnyVotes_DependsNeitherOnOrderNorOnSides() => AnyVote.Array[0, 40].Sample(votes =>
    {
        IReadOnlyList<ArenaPair> pairs = ArenaResults.Count(votes);
        Assert.Equal(pairs, ArenaResults.Count(votes.Reverse()));
        Assert.Equal(pairs, ArenaResults.Count(votes.Select((vote, i) => i % 2 == 0 ? vote : vote.Turned)));
        Assert.Equal(votes.Count(vote => vote.A != vote.B), pairs.Sum(pair => pair.NumChoices));
        Assert.All(pairs, pair =>
        {
            Assert.True(string.CompareOrdinal(pair.First, pair.Second) < 0);
            Assert.True(pair.Rate.Low >= 0 && pair.Rate.Low <= pair.Rate.Estimate + 1e-12 && pair.Rate.Estimate <= pair.Rate.High + 1e-12
                && pair.Rate.High <= 1);
            Assert.True(pair.Rate.High - pair.Rate.Low > 0.05); // forty choices never make sure
            Assert.Equal(pair.NumPeople >= ArenaResults.MinPeople, pair.CountsPeople);
        });
    }, iter: 2000);

    [Fact]
    public async Task Read_ChoicesThatCameLaterOrFromOthersOrInVoidRounds_CountsTheFirstOfTheRoundsPersonAlone()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        await using (FlywheelDb db = store.Tables())
        {
            (Guid A, Guid B) changed = Round(FinishReason.Length), halted = Round(FinishReason.Cancelled),
                broken = Round(FinishReason.Stop), taken = Round(FinishReason.Stop);
            Choose(changed, "bob", ArenaChoice.B); // somebody else
            Choose(changed, "ann", ArenaChoice.A);
            Choose(changed, "ann", ArenaChoice.B); // the models are known now
            Choose(halted, "ann", ArenaChoice.A);
            db.Feedback.Add(Said(broken.A, "ann", Metrics.Keep, ArenaChoice.A)); // the server ended between the two, and nothing was shown
            Choose(broken, "ann", ArenaChoice.B);
            Choose(taken, "ann", ArenaChoice.A);
            db.Feedback.Add(Said(taken.A, "ann", Metrics.Retract, null));
            Choose(taken, "ann", ArenaChoice.B);
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);

            (Guid, Guid) Round(FinishReason end)
            {
                var group = Guid.CreateVersion7();
                (Generation a, Generation b) = (Answer(0, FinishReason.Stop, "m", group), Answer(1, end, "n", group));
                db.Generations.AddRange(a, b);
                return (a.Id, b.Id);
            }

            void Choose((Guid A, Guid B) round, string person, ArenaChoice choice)
            {
                (bool a, bool b) = ArenaResults.Kept(choice);
                db.Feedback.AddRange(Said(round.A, person, a ? Metrics.Keep : Metrics.Discard, choice),
                    Said(round.B, person, b ? Metrics.Keep : Metrics.Discard, choice));
            }
        }
        ArenaPair pair = Assert.Single(await ArenaResults.ReadAsync(store, TestContext.Current.CancellationToken));
        Assert.Equal(("m", "n", 1, 1, 1), (pair.First, pair.Second, pair.FirstWins, pair.SecondWins, pair.NumPeople));

        static Generation Answer(int place, FinishReason end, string model, Guid group)
        {
            var id = Guid.CreateVersion7();
            return new()
            {
                Id = id, Group = group, Choice = place, Time = Given.Monday, User = "ann", App = ArenaResults.App, ModelHash = model,
                FinishReason = end,
                Payload = new() { GenerationId = id, Text = "a text", PromptTokens = [1], Tokens = [], Logprobs = [], SamplerLogprobs = [],
                    Sampler = new() },
            };
        }

        static Feedback Said(Guid about, string person, string metric, ArenaChoice? choice) => new()
        {
            Id = Guid.CreateVersion7(), Time = Given.Monday, GenerationId = about, Metric = metric, Value = "true", User = person,
            Tags = choice is { } named ? $$"""{"application": "arena", "choice": "{{ArenaResults.NameOf(named)}}"}""" : "{}",
        };
    }

    [Theory]
    [InlineData("arena", true)]
    [InlineData("share", false)]
    public void Feedback_ThatIsTaggedAsAChoiceOfARound_IsRefused(string application, bool refused)
    {
        var body = new JsonObject
        {
            ["inference_id"] = $"{Guid.NewGuid()}", ["metric_name"] = "keep", ["value"] = true,
            ["tags"] = new JsonObject { ["application"] = application, ["choice"] = "a" },
        };
        if (refused)
            Assert.Contains("/v1/arena/rounds/ID/choice", Assert.Throws<FlywheelException>(() => FeedbackInput.FromJson(body)).Message);
        else Assert.Equal("keep", FeedbackInput.FromJson(body).Metric);
    }

    [Fact]
    public void Names_OfChoices_AreReadBack()
    {
        Assert.All(Enum.GetValues<ArenaChoice>(), choice => Assert.Equal(choice, ArenaResults.Named(ArenaResults.NameOf(choice))));
        Assert.All((string?[])[null, "", "A", "c", "both"], name => Assert.Null(ArenaResults.Named(name)));
    }
}
