using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary>A turn waits for a person, who answers through the server.</summary>
public sealed class TurnEndpointTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData(true, "promoted")]
    [InlineData(false, "rejected")]
    public async Task Answer_WaitingTurn_PromotesItsCandidateOrDoesNot(bool accept, string state)
    {
        string champion = _server.Server.Model.Hash, candidate = await WaitAsync();
        Assert.Equal("waiting", (string)(await _server.GetAsync("/admin/turns"))["turns"]![0]!["state"]!);
        JsonObject shown = await _server.GetAsync("/admin/turns/1");
        Assert.Equal(("Write 0.", "old 0", "new 0"),
            ((string)shown["drafts"]![0]!["prompt"]!, (string)shown["drafts"]![0]!["champion"]!,
                (string)shown["drafts"]![0]!["candidate"]!));

        JsonObject turn = await _server.PostAsync("/admin/turns/1", new() { ["accept"] = accept, ["user"] = "ada" });

        Assert.Equal(state, (string)turn["state"]!);
        Assert.Equal(accept ? candidate : champion, _server.Server.Model.Hash);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        ReleaseRow release = (await store.ReleasesAsync())[0];
        Assert.Equal(accept ? (candidate, Guid.Parse((string)turn["id"]!)) : (champion, null), (release.ModelHash, release.TurnId));
        Assert.Contains(accept ? "accepted by ada" : "refused by ada", (string)turn["reason"]!);
        (HttpStatusCode status, JsonObject again) = await _server.TryPostAsync("/admin/turns/1", """{"accept": true}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("no turn '1' waits for an answer: none does", (string)again["error"]!["message"]!);
    }

    [Fact]
    public async Task Answer_WithoutAcceptOrOfNoTurn_SaysWhatIsMissing()
    {
        Assert.Contains("'accept' is missing", (string)(await _server.TryPostAsync("/admin/turns/1", "{}")).Body["error"]!["message"]!);
        Assert.Contains("there is no turn 7",
            (string)JsonNode.Parse(
                await (await _server.Http.GetAsync("/admin/turns/7")).Content.ReadAsStringAsync())!["error"]!["message"]!);
    }

    /// <summary>A turn that has come as far as its question.</summary>
    private async Task<string> WaitAsync()
    {
        await using FlywheelStore store = await _server.OpenStoreAsync();
        ModelFolder candidate = _server.AnotherModel(2);
        await store.RegisterModelAsync(candidate);
        CuratedDataset dataset = CuratedDataset.Create([.. Enumerable.Range(0, 8).Select(i => new CuratedExample
        {
            Kind = ExampleKind.Supervised, User = "ada", Prompt = new([Message.User($"Write {i}.")]), Preferred = $"text {i}",
            GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
        })], new SplitRules(new CurateRecipe(), new byte[32], new Dictionary<string, Split>(), new Dictionary<string, Split>(),
            new HashSet<string>()));
        dataset.Write(store.Home.Datasets);
        string frozen = _server.NewPath("frozen.jsonl");
        await File.WriteAllLinesAsync(frozen,
            Enumerable.Range(0, 2).Select(i => new Conversation([Message.User($"{i}"), Message.Assistant("yes")]).ToString()));
        string folder = Directory.CreateDirectory(Path.Combine(store.Home.Runs, "turn-0001")).FullName;
        foreach ((string who, string hash, string word) in new[] { ("champion", _server.Server.Model.Hash, "old"),
            ("candidate", candidate.Hash, "new") })
        {
            var exam = new ExamResult
            {
                ModelHash = hash, Texts = [1.0, 1.5], Margins = [], Regression = [1.0, 2.0],
                Answers = [.. Enumerable.Range(0, 2).Select(i => new Answer($"Write {i}.", $"{word} {i}", 3, null))],
            };
            await File.WriteAllTextAsync(Path.Combine(folder, $"{who}.json"), JsonSerializer.Serialize(exam, JsonText.Indented));
        }
        await using FlywheelDb db = store.Tables();
        db.Turns.Add(new TurnRow
        {
            Id = Guid.CreateVersion7(), Number = 1, Started = DateTimeOffset.UtcNow, State = TurnState.Waiting,
            Champion = _server.Server.Model.Hash,
            Candidate = candidate.Hash, Dataset = dataset.Hash, Reason = "frozen set: not worse",
            Recipe = $$"""
                name: small
                stages:
                  - train: { objective: supervised, steps: 1, batch_tokens: 64, micro_tokens: 64, learning_rate: 1e-4 }
                gate: { regression: "{{frozen}}", regression_margin: 0.05 }
                """,
        });
        await db.SaveChangesAsync();
        return candidate.Hash;
    }
}
