using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ParquetSharp;

namespace Flywheel.Studio.Tests;

/// <summary>What people did is reviewed, taken out and brought back, and the record leaves as a file, through the API of a running
/// server.</summary>
public sealed class ReviewEndpointTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Review_TwoReviewersOverTheApi_DecideAgreeAndExport()
    {
        Guid[] ids = [await AskAsync("ann"), await AskAsync("bob")];
        foreach ((Guid id, string user) in ids.Zip(["ann", "bob"]))
            await _server.PostAsync("/feedback", new() { ["inference_id"] = $"{id}", ["metric_name"] = "demonstration",
                ["value"] = "=A text of my own", ["user"] = user });
        JsonObject list = await _server.GetAsync("/v1/reviews?limit=1");
        Assert.Equal((1, 2, 0, true), (list["data"]!.AsArray().Count, (int)list["total"]!, (int)list["decided"]!, (bool)list["has_more"]!));
        JsonNode first = list["data"]![0]!;
        JsonObject rest = await _server.GetAsync($"/v1/reviews?after={(string)first["id"]!}");
        string[] items = [(string)first["id"]!, (string)rest["data"]![0]!["id"]!];
        Assert.Equal(ids, new[] { (Guid)first["generation_id"]!, (Guid)rest["data"]![0]!["generation_id"]! });
        Assert.Equal(("edited", "=A text of my own", "open", 2),
            ((string)first["did"]!, (string)first["text"]!, (string)first["state"]!, (int)list["apps"]!["api"]!));

        JsonObject decided = await _server.PostAsync("/v1/reviews",
            new() { ["item"] = items[0], ["decision"] = "correct", ["text"] = "A better text", ["user"] = "bo",
                ["idempotency_key"] = "1" });
        Assert.Equal(("corrected", "A better text", "bo"),
            ((string)decided["item"]!["state"]!, (string)decided["item"]!["corrected"]!,
                (string)decided["item"]!["decisions"]![0]!["user"]!));
        Assert.Equal((string)decided["review_id"]!,
            (string)(await _server.PostAsync("/v1/reviews",
                new() { ["item"] = items[0], ["decision"] = "correct", ["text"] = "A better text", ["user"] = "bo",
                    ["idempotency_key"] = "1" }))["review_id"]!);
        JsonNode blind = (await _server.GetAsync("/v1/reviews?view=second&user=cy"))["data"]![0]!;
        Assert.Equal((items[0], null), ((string)blind["id"]!, blind["decisions"])); // a second opinion does not know the first
        await _server.PostAsync("/v1/reviews", new() { ["item"] = items[0], ["decision"] = "reject", ["reason"] = "no", ["user"] = "cy" });
        JsonObject agreement = await _server.GetAsync("/v1/reviews/agreement");
        Assert.Equal((1, 0, true), ((int)agreement["items"]!, (int)agreement["agreed"]!, (bool)agreement["too_few"]!));
        Assert.Equal(["bo", "cy"], agreement["pairs"]![0]!["reviewers"]!.AsArray().Select(name => (string)name!));
        Assert.Equal(items[0], (string)(await _server.GetAsync("/v1/reviews?view=disputed"))["data"]![0]!["id"]!);

        string csv = await _server.Http.GetStringAsync("/v1/reviews/export?format=csv&view=all");
        Assert.Contains("\"'=A text of my own\"", csv, StringComparison.Ordinal);
        // With a key of somebody's own nobody decides for others.
        await using FlywheelStore store = await _server.OpenStoreAsync();
        (_, string key) = await new ApiKeys(store, TimeProvider.System).CreateAsync("cy's", Scopes.All, "cy");
        using var cy = new HttpClient { BaseAddress = _server.Http.BaseAddress,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };
        using HttpResponseMessage refused = await cy.PostAsJsonAsync("/v1/reviews/import",
            new { text = $"id,decision,reviewer\n{items[1]},approve,bo" });
        Assert.Contains("line 2: field 'reviewer' is 'bo', expected nothing or 'cy'",
            (string)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["message"]!, StringComparison.Ordinal);
        using HttpResponseMessage taken = await cy.PostAsJsonAsync("/v1/reviews/import", new { text = $"id,decision\n{items[1]},approve" });
        string answered = await taken.Content.ReadAsStringAsync();
        Assert.True(taken.IsSuccessStatusCode, answered);
        JsonNode imported = JsonNode.Parse(answered)!;
        Assert.Equal((1, 0), ((int)imported["recorded"]!, imported["gone"]!.AsArray().Count));
        await using (FlywheelDb db = store.Tables()) Assert.Equal(("cy", "cy"),
            await db.Feedback.OrderBy(row => row.Sequence).Select(row => new ValueTuple<string, string>(row.User, row.Owner)).LastAsync());
        Assert.Equal(1, (int)(await _server.GetAsync("/v1/reviews"))["decided"]!);

        // The record, with what people and reviewers said.
        string[] lines = (await _server.Http.GetStringAsync("/admin/export?user=ann")).TrimEnd().Split('\n');
        JsonNode answer = JsonNode.Parse(Assert.Single(lines))!;
        Assert.Equal(["demonstration", "review", "review"], answer["feedback"]!.AsArray().Select(said => (string)said!["metric"]!));
        string path = _server.NewPath("record.parquet");
        await File.WriteAllBytesAsync(path, await _server.Http.GetByteArrayAsync("/admin/export?format=parquet"));
        using var parquet = new ParquetFileReader(path);
        Assert.Equal(2, parquet.FileMetaData.NumRows);
        Assert.Empty(Directory.GetFiles(_server.Home.Cache, $"{WholeFile.Prefix}*"));

        foreach (string export in new[] { "/v1/translate/memory/export?source=en&target=es",
            "/v1/translate/glossary/export?source=en&target=es" }) await _server.Http.GetByteArrayAsync(export);
        Assert.Equal(["glossary", "record", "record", "reviews", "translation memory"],
            (await store.AuditAsync(100, act: AuditAct.Export)).Select(row => row.About).Order(StringComparer.Ordinal));

        // What the person does then is another item; the old one is gone.
        await _server.PostAsync("/feedback", new() { ["inference_id"] = $"{ids[1]}", ["metric_name"] = "retract", ["value"] = true,
            ["user"] = "bob" });
        (HttpStatusCode status, JsonObject body) =
            await _server.TryPostAsync("/v1/reviews", $$"""{"item":"{{items[1]}}","decision":"approve"}""");
        Assert.Equal((HttpStatusCode.Conflict, "item", "review_gone"),
            (status, (string)body["error"]!["param"]!, (string)body["error"]!["code"]!));
    }

    [Fact]
    public async Task Review_WrongQuery_IsRefusedByName()
    {
        foreach ((string path, string field) in new[]
        {
            ("/v1/reviews?view=1", "view"), ("/v1/reviews?signal=odd", "signal"), ("/v1/reviews?limit=0", "limit"),
            ("/v1/reviews?after=x", "after"),
            ("/v1/reviews/export?format=xml", "format"), ("/admin/export?since=monday", "since"), ("/admin/export?format=xml", "format"),
        })
        {
            using HttpResponseMessage response = await _server.Http.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.BadRequest), (path, response.StatusCode));
            Assert.Equal((path, field), (path, (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]));
        }
    }

    [Fact]
    public async Task Review_WithoutAdministration_IsForbidden()
    {
        await using FlywheelStore store = await _server.OpenStoreAsync();
        (_, string key) = await new ApiKeys(store, TimeProvider.System).CreateAsync("app", [Scopes.Inference, Scopes.Feedback]);
        using var stranger = new HttpClient { BaseAddress = _server.Http.BaseAddress,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };
        foreach (string path in new[] { "/v1/reviews", "/v1/reviews/agreement", "/v1/reviews/export", "/admin/export",
            "/loop/review/export" })
            Assert.Equal(HttpStatusCode.Forbidden, (await stranger.GetAsync(path)).StatusCode);
    }

    /// <summary>The client has gone when the answer is ready; a refusal is no export.</summary>
    [Fact]
    public async Task Export_CutByTheClient_IsInTheAuditAndOneThatWasRefusedIsNot()
    {
        await using FlywheelStore store = await _server.OpenStoreAsync();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(store);
        await using WebApplication app = builder.Build();
        app.MapGet("/taken", () => Results.File("a text"u8.ToArray())).Audited("a file");
        app.MapGet("/refused", () => Results.StatusCode(403)).Audited("a secret");
        foreach (Endpoint endpoint in ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints))
        {
            var http = new DefaultHttpContext { RequestServices = app.Services, RequestAborted = new CancellationToken(true) };
            http.Request.Method = "GET";
            try
            {
                await endpoint.RequestDelegate!(http);
            }
            catch (OperationCanceledException)
            {
                // as sending to nobody ends
            }
        }
        Assert.Equal("a file", Assert.Single(await store.AuditAsync(100, act: AuditAct.Export)).About);
    }

    /// <summary>What the server does each hour by the settings of its home.</summary>
    [Fact]
    public async Task Retention_BySettings_IsAppliedByTheServersOwnHousekeeping()
    {
        Guid id = await AskAsync("ann");
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Assert.Null(await RetentionService.ApplyAsync(store, new Later(90), CancellationToken.None));
        new HomeSettings { Retention = [new() { App = "api", Days = 60 }] }.Write(_server.Home);
        Assert.Null(await RetentionService.ApplyAsync(store, new Later(59), CancellationToken.None));
        RetentionResult? done = await RetentionService.ApplyAsync(store, new Later(61), CancellationToken.None);
        Assert.Equal(1, done?.Answers);
        Generation left = (await store.FindGenerationAsync(id))!;
        Assert.Equal((StoreLevel.Counts, null), (left.Store, left.Payload));
    }

    private async Task<Guid> AskAsync(string user) => (Guid)(await _server.PostAsync("/v1/chat/completions", new()
    {
        ["model"] = "flywheel", ["user"] = user, ["max_tokens"] = 4,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Write a tagline." }),
    }))["choices"]![0]!["generation_id"]!;

    private sealed class Later(int days) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UtcNow.AddDays(days);
    }
}
