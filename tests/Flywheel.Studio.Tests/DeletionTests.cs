using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests;

/// <summary>A person is forgotten through the API of a running server.</summary>
public sealed class DeletionTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Forget_OneOfTwoPeople_LeavesTheOther()
    {
        foreach (string user in new[] { "ann", "bob" })
        {
            JsonObject answer = await _server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 2, ["user"] = user });
            await _server.PostAsync("/feedback", new() { ["inference_id"] = answer["choices"]![0]!["generation_id"]!.DeepClone(),
                ["metric_name"] = "keep", ["value"] = true, ["user"] = user });
        }
        JsonObject preview = await _server.GetAsync("/v1/deletions/preview?user=ann");
        Assert.Equal((1, 1), ((int)preview["counts"]!["generations"]!, (int)preview["counts"]!["feedback"]!));
        Assert.False((bool)preview["champion"]!);

        JsonObject job = await _server.PostAsync("/v1/deletions", new() { ["user"] = "ann" });
        while ((string)job["state"]! is "queued" or "running")
        {
            await Task.Delay(50);
            job = await _server.GetAsync($"/v1/deletions/jobs/{(string)job["job"]!}");
        }

        Assert.Equal("done", (string)job["state"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        Assert.Equal("bob", await db.Generations.Select(row => row.User).SingleAsync());
        Assert.Equal("bob", await db.Feedback.Select(row => row.User).SingleAsync());
        JsonObject ledger = await _server.GetAsync("/v1/deletions?user=ann");
        Assert.Equal((string)job["deletion"]!, (string)ledger["deletions"]![0]!["id"]!);
        Assert.DoesNotContain("ann", ledger.ToJsonString());
        Assert.Empty((await _server.GetAsync("/v1/deletions?user=bob"))["deletions"]!.AsArray());
    }

    [Fact]
    public async Task Forget_BadInput_IsRefusedByName()
    {
        (HttpStatusCode status, JsonObject body) = await _server.TryPostAsync("/v1/deletions", "{}");
        Assert.Equal((HttpStatusCode.BadRequest, "user"), (status, (string)body["error"]!["param"]!));
        await using FlywheelStore store = await _server.OpenStoreAsync();
        (_, string key) = await new ApiKeys(store, TimeProvider.System).CreateAsync("app", [Scopes.Inference, Scopes.Feedback]);
        using var stranger = new HttpClient { BaseAddress = _server.Http.BaseAddress,
            DefaultRequestHeaders = { Authorization = new("Bearer", key) } };
        Assert.Equal(HttpStatusCode.Forbidden, (await stranger.GetAsync("/v1/deletions")).StatusCode);
        using var nobody = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.GetAsync("/v1/deletions")).StatusCode);
        HttpResponseMessage none = await _server.Http.GetAsync("/v1/deletions/preview");
        Assert.Equal(HttpStatusCode.BadRequest, none.StatusCode);
        HttpResponseMessage job = await _server.Http.GetAsync("/v1/deletions/jobs/seven");
        Assert.Contains("no id of a job", await job.Content.ReadAsStringAsync());
    }
}
