using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>What people did, as the API takes it.</summary>
public sealed class FeedbackTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Feedback_OfEachKind_IsStoredAsGiven()
    {
        JsonObject answer = await _server.PostAsync("/v1/chat/completions", TestServer.Chat());
        string generation = (string)answer["choices"]![0]!["generation_id"]!;
        await using FlywheelStore store = await _server.OpenStoreAsync();
        (string Metric, JsonNode Value)[] acts = [(Metrics.Keep, true), (Metrics.Demonstration, "Turns and turns — 轮子."),
            (Metrics.Rating, 0.5), (Metrics.Comment, "good"), (Metrics.Discard, true)];
        foreach ((string metric, JsonNode value) in acts)
        {
            JsonObject receipt = await _server.PostAsync("/feedback", new()
            {
                ["inference_id"] = generation,
                ["metric_name"] = metric,
                ["value"] = value.DeepClone(),
                ["user"] = "ada",
                ["tags"] = new JsonObject { ["page"] = "write" },
            });
            Assert.False((bool)receipt["orphan"]!);
        }
        IReadOnlyList<Feedback> stored = await store.FeedbackAsync(Guid.Parse(generation));
        Assert.Equal(acts.Select(act => act.Metric), stored.Select(feedback => feedback.Metric));
        Assert.All(stored, feedback => Assert.Equal("ada", feedback.User));
        Assert.Equal("Turns and turns — 轮子.", stored[1].Text);
    }

    [Fact]
    public async Task Feedback_SameKeyTwice_IsOne()
    {
        JsonObject body = new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "keep", ["value"] = true,
            ["idempotency_key"] = "click-1" };
        JsonObject[] receipts = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _server.PostAsync("/feedback", body)));
        Assert.Single(receipts.Select(receipt => (string)receipt["feedback_id"]!).Distinct());
        Assert.True((bool)receipts[0]["orphan"]!); // its generation may still come
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(1, (await store.CountAsync()).Feedback);
    }

    [Fact]
    public async Task Feedback_SameKeyForOtherContent_IsAConflictAndAnotherUsersIsNot()
    {
        string generation = Guid.NewGuid().ToString();
        string Body(string metric, string user) => new JsonObject
        {
            ["inference_id"] = generation, ["metric_name"] = metric, ["value"] = true, ["user"] = user, ["idempotency_key"] = "click-1",
        }.ToJsonString();
        Assert.Equal(HttpStatusCode.OK, (await _server.TryPostAsync("/feedback", Body("keep", "ada"))).Status);

        (HttpStatusCode status, JsonObject refused) = await _server.TryPostAsync("/feedback", Body("discard", "ada"));

        Assert.Equal((HttpStatusCode.Conflict, "idempotency_key", "idempotency_conflict"),
            (status, (string)refused["error"]!["param"]!, (string)refused["error"]!["code"]!));
        Assert.Contains("another metric_name", (string)refused["error"]!["message"]!);
        Assert.Equal(HttpStatusCode.OK, (await _server.TryPostAsync("/feedback", Body("discard", "bea"))).Status);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(2, (await store.CountAsync()).Feedback);
    }

    [Fact]
    public async Task Feedback_Dryrun_IsCheckedAndNotStored()
    {
        JsonObject body = new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "keep", ["value"] = true,
            ["dryrun"] = true };
        Assert.Null((await _server.PostAsync("/feedback", body))["feedback_id"]);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Equal(0, (await store.CountAsync()).Feedback);
        JsonObject status = await _server.GetAsync("/admin/status");
        Assert.Equal((0, _server.Server.Model.Hash), ((int)status["feedback"]!, (string)status["model_hash"]!));
    }
}
