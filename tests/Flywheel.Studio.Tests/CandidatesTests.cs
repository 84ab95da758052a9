using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary><c>candidates</c>: more drafts than answers, ranked; all are recorded, with score and place.</summary>
public sealed class CandidatesTests : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static JsonObject Request(int candidates, int n = 2) => new()
    {
        ["model"] = "flywheel", ["n"] = n, ["candidates"] = candidates, ["max_tokens"] = 12, ["seed"] = 5, ["temperature"] = 1,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user",
            ["content"] = "Write a tagline.\nName: Kiln\nFacts:\n- opens at six" }),
    };

    [Fact]
    public async Task Answer_Candidates_AreTheBestByRankAndAllAreRecorded()
    {
        JsonObject answer = await _server.PostAsync(Path, Request(7));
        JsonNode[] choices = [.. answer["choices"]!.AsArray().Select(choice => choice!)];
        Assert.Equal([0, 1], choices.Select(choice => (int)choice["index"]!));
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation[] shown =
            [.. await Task.WhenAll(
                choices.Select(async choice => (await store.FindGenerationAsync(Guid.Parse((string)choice["generation_id"]!)))!))];
        Assert.Equal([0, 1], shown.Select(record => record.CandidateRank!.Value));
        Assert.Equal(choices.Select(choice => (double)choice["candidate_score"]!), shown.Select(record => record.CandidateScore!.Value));
        Assert.Equal(7, (await store.CountAsync()).Generations);

        // The oracle ranks what was recorded: the seven drafts that the same request sampled without ranking.
        JsonObject plain = Request(7, n: 7);
        plain.Remove("candidates");
        plain["logprobs"] = true;
        Draft[] drafts = [.. (await _server.PostAsync(Path, plain))["choices"]!.AsArray().Select(choice =>
        {
            SampledToken[] tokens =
                [.. choice!["logprobs"]!["content"]!.AsArray()
                    .Select(token => new SampledToken(0, (float)token!["logprob"]!, 0, (string)token["token"]!, []))];
            return Draft.Of(tokens, (string)choice["finish_reason"]! == "stop") with { Text = (string)choice["message"]!["content"]! };
        })];
        IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(new Brief("Kiln", Brief.Tagline, ["opens at six"], []), drafts);
        Assert.Equal(ranked.Take(2).Select(rank => drafts[rank.Index].Text),
            choices.Select(choice => (string)choice["message"]!["content"]!));
    }

    [Fact]
    public async Task Usage_Candidates_CountsDraftsThatAreNotShown()
    {
        int Tokens(JsonObject answer) => (int)answer["usage"]!["completion_tokens"]!;
        Assert.True(Tokens(await _server.PostAsync(Path, Request(6, n: 1))) > Tokens(await _server.PostAsync(Path, Request(1, n: 1))));
    }

    [Fact]
    public async Task Record_WithoutCandidates_HasNoRank()
    {
        JsonObject plain = Request(2, n: 1);
        plain.Remove("candidates");
        JsonNode choice = (await _server.PostAsync(Path, plain))["choices"]![0]!;
        Assert.Null(choice["candidate_score"]);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)choice["generation_id"]!)))!;
        Assert.Equal((null, null, null), (record.CandidateRank, record.CandidateScore, record.NumCandidates));
    }

    [Theory]
    [InlineData("1", false)] // fewer than n
    [InlineData("129", false)]
    [InlineData("\"many\"", false)]
    [InlineData("4", true)]
    public async Task Request_BadCandidates_NamesTheField(string candidates, bool stream)
    {
        JsonObject request = Request(4);
        request["candidates"] = JsonNode.Parse(candidates);
        request["stream"] = stream;
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(Path, request.ToJsonString());
        Assert.Equal((HttpStatusCode.BadRequest, "candidates"), (status, (string)answer["error"]!["param"]!));
    }
}
