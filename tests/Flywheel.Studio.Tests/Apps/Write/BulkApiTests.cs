using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Studio.Apps.Write.Bulk;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>Tables of briefs over HTTP: written by a job that can be stopped and gone on with, chosen from, taken back.</summary>
public sealed class BulkApiTests : IAsyncLifetime
{
    private const string Csv = "product;facts;note\r\nQuill;keeps every version;=1+1\r\n;nameless;\r\nLanternfish;sorts photos\r\n";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(context: 512);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    /// <summary>What a job generates counts against the key that began it. A job stops where nothing is left and goes on the next
    /// day.</summary>
    [Fact]
    public async Task Bulk_ByAKeyWithALimit_CountsItsTokensAndWaitsForTheNextDay()
    {
        var keys = _server.Service<ApiKeys>();
        (KeyRow key, string secret) =
            await keys.CreateAsync(new NewKey("many rows", [Scopes.Inference, Scopes.Feedback]) { MaxTokens = 1 });
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(_server.Server.Url) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", secret);
        using HttpResponseMessage begun = await http.PostAsJsonAsync("/v1/write/bulk",
            new JsonObject { ["csv"] = "product;facts\r\nQuill;keeps every version\r\nLanternfish;sorts photos\r\n", ["drafts"] = 1,
                ["user"] = "ann" });
        Assert.True(begun.IsSuccessStatusCode, await begun.Content.ReadAsStringAsync());
        var jobs = _server.Service<JobQueue>();
        JobRow job;
        do
        {
            await Task.Delay(20);
            job = Assert.Single(await jobs.ListAsync(user: "ann"));
        }
        while (job.State == JobState.Running || (job.State == JobState.Queued && job.NotBefore == job.Created));
        Assert.Equal((JobState.Queued, TimeSpan.Zero), (job.State, job.NotBefore.UtcDateTime.TimeOfDay));
        Assert.InRange(job.NotBefore - job.Created, TimeSpan.Zero, TimeSpan.FromDays(2));
        Assert.StartsWith("the key 'many rows' has used its 1 tokens of today", job.Message, StringComparison.Ordinal);
        Assert.Equal(0.5, job.Progress);
        Assert.True((await keys.UsesAsync())[key.Id].Tokens > 1);
    }

    [Fact]
    public async Task Bulk_ATable_IsWrittenChosenAndGivenBack()
    {
        JsonObject table = await _server.PostAsync("/v1/write/bulk",
            new() { ["csv"] = Csv, ["name"] = "spring.csv", ["drafts"] = 2, ["user"] = "ann" });
        string id = (string)table["id"]!;
        Assert.Equal("name", (string)table["columns"]!["product"]!);
        Assert.Null(table["columns"]!["note"]);
        JsonNode leftOut = Assert.Single(table["left_out"]!.AsArray())!;
        Assert.Equal((1, 3, "Give it a name."), ((int)leftOut["row"]!, (int)leftOut["line"]!, (string)leftOut["message"]!));
        JsonObject done = await UntilAsync(id, "done");
        Assert.Equal((3, 2), ((int)done["rows"]!, (int)done["written"]!));

        JsonArray rows = (await _server.GetAsync($"/v1/write/bulk/{id}/rows?user=ann"))["data"]!.AsArray();
        Assert.Equal([2, 0, 2], rows.Select(row => row!["drafts"]!.AsArray().Count));
        string[] generations = [.. rows[0]!["drafts"]!.AsArray().Select(draft => (string)draft!["generation_id"]!)];
        await _server.PostAsync($"/v1/write/bulk/{id}/rows/0",
            new() { ["generation_id"] = generations[0], ["state"] = "edited", ["text"] = "-Quill, \"as\" you wrote", ["user"] = "ann" });
        await _server.PostAsync($"/v1/write/bulk/{id}/rows/0",
            new() { ["generation_id"] = generations[1], ["state"] = "discarded", ["user"] = "ann" });
        await using (FlywheelStore store = await _server.OpenStoreAsync())
        {
            Assert.Equal(["demonstration"], (await store.FeedbackAsync(Guid.Parse(generations[0]))).Select(row => row.Metric));
            Assert.Equal(["discard"], (await store.FeedbackAsync(Guid.Parse(generations[1]))).Select(row => row.Metric));
        }

        string[] csv = (await _server.Http.GetStringAsync($"/v1/write/bulk/{id}/csv?user=ann")).TrimStart('\uFEFF').Split("\r\n");
        Assert.Equal("\"product\";\"facts\";\"note\";\"chosen\";\"draft 1\";\"draft 2\";\"problem\"", csv[0]);
        Assert.StartsWith(
            "\"Quill\";\"keeps every version\";\"'=1+1\";\"'-Quill, \"\"as\"\" you wrote\";\"'-Quill, \"\"as\"\" you wrote\";\"\";\"\"",
            csv[1], StringComparison.Ordinal);
        Assert.Equal("\"\";\"nameless\";\"\";\"\";\"\";\"\";\"Give it a name.\"", csv[2]);

        // Nobody else's, and gone when it is gone.
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.GetAsync($"/v1/write/bulk/{id}?user=eve")).StatusCode);
        Assert.Equal("spring.csv", (string)(await _server.GetAsync("/v1/write/bulk?user=ann"))["data"]![0]!["name"]!);
        using HttpResponseMessage deleted = await _server.Http.DeleteAsync($"/v1/write/bulk/{id}?user=ann");
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        Assert.Empty((await _server.GetAsync("/v1/write/bulk?user=ann"))["data"]!.AsArray());
    }

    [Fact]
    public async Task Bulk_PausedAndResumed_WritesEachRowOnce()
    {
        string csv = "name\n" + string.Concat(Enumerable.Range(0, 12).Select(i => $"Product {i}\n"));
        string id = (string)(await _server.PostAsync("/v1/write/bulk", new() { ["csv"] = csv, ["drafts"] = 1, ["user"] = "ann" }))["id"]!;
        while ((int)(await _server.GetAsync($"/v1/write/bulk/{id}?user=ann"))["written"]! == 0)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        (HttpStatusCode status, JsonObject _) = await _server.TryPostAsync($"/v1/write/bulk/{id}",
            """{"action": "pause", "user": "ann"}""");
        if (status == HttpStatusCode.OK) // else it was done before
        {
            string[] before = await GenerationsAsync(id, await UntilAsync(id, "paused", "done"));
            await _server.TryPostAsync($"/v1/write/bulk/{id}", """{"action": "resume", "user": "ann"}""");
            string[] after = await GenerationsAsync(id, await UntilAsync(id, "done"));
            Assert.Equal(12, after.Length);
            Assert.Equal(before, after[..before.Length]);
        }
    }

    [Fact]
    public async Task Bulk_CancelledAndStartedLater_IsSaidPrecisely()
    {
        JsonObject table = await _server.PostAsync("/v1/write/bulk",
            new() { ["csv"] = "sku,product\n1,Quill\n", ["columns"] = new JsonObject { ["sku"] = null, ["product"] = "name" },
                ["start"] = false });
        Assert.Equal(("new", 0), ((string)table["state"]!, (int)table["written"]!));
        string id = (string)table["id"]!;
        Assert.Contains("nothing was begun yet", await FaultAsync($"/v1/write/bulk/{id}", """{"action": "pause"}"""),
            StringComparison.Ordinal);
        await _server.PostAsync($"/v1/write/bulk/{id}", new() { ["action"] = "start" });
        await UntilAsync(id, "done", user: "");
        Assert.Contains("is done, expected one that waits or runs", await FaultAsync($"/v1/write/bulk/{id}", """{"action": "cancel"}"""),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"csv": "name\nA\n", "columns": {"nme": "name"}}""",
        "field 'columns' names 'nme', expected a column of the table: name")]
    [InlineData("""{"csv": "name\nA\n", "columns": {"name": "price"}}""", "field 'columns.name' is \"price\", expected null or one of")]
    [InlineData("""{"csv": "name\nA\n", "columns": {"name": null}}""", "Choose the column that is the name.")]
    [InlineData("""{"csv": "name\nA\n", "kind": "poem"}""", "field 'kind' is \"poem\"")]
    [InlineData("""{"csv": "name\nA\n", "drafts": 6}""", "field 'drafts' is 6, expected an integer from 1 to 5")]
    [InlineData("""{"csv": "name,facts\n,b\n,c\n"}""", "No row can be written. Line 2: Give it a name.")]
    [InlineData("""{"csv": "name"}""", "The file has only one row")]
    public async Task Bulk_BadRequest_NamesFieldAndExpectation(string body, string expected) =>
    Assert.Contains(expected, await FaultAsync("/v1/write/bulk", body), StringComparison.Ordinal);

    private async Task<string> FaultAsync(string path, string body)
    {
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(path, body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        return (string)answer["error"]!["message"]!;
    }

    private async Task<string[]> GenerationsAsync(string id, JsonObject state)
    {
        Assert.NotNull(state);
        JsonArray rows = (await _server.GetAsync($"/v1/write/bulk/{id}/rows?user=ann"))["data"]!.AsArray();
        return [.. rows.SelectMany(row => row!["drafts"]!.AsArray()).Select(draft => (string)draft!["generation_id"]!)];
    }

    private async Task<JsonObject> UntilAsync(string id, string state, string? or = null, string user = "ann")
    {
        while (true)
        {
            JsonObject table = await _server.GetAsync($"/v1/write/bulk/{id}?user={user}");
            if ((string)table["state"]! == state || (string)table["state"]! == or) return table;
            Assert.True((string)table["state"]! is "queued" or "running" or "paused", $"{table}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }
}
