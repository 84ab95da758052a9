using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests;

/// <summary>Servers whose record is one PostgreSQL database.</summary>
public sealed class SharedRecordTests
{
    [Fact]
    public async Task Servers_OnOneDatabase_PromoteTogetherAndShareKeysAndSignIns()
    {
        string connection = await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync();
        StudioOptions Shared(StudioOptions options) => options with { Home = new FlywheelHome(options.Home.Path, connection) };
        await using TestServer one = await TestServer.StartAsync(options: Shared), two = await TestServer.StartAsync(options: Shared);
        Assert.Equal(one.Server.Model.Hash, two.Server.Model.Hash); // the second follows the first, whatever it had begun with

        ModelFolder next = one.AnotherModel(2);
        await one.PostAsync("/admin/promote", new() { ["model"] = next.Path, ["reason"] = "better" });
        Assert.Equal(next.Hash, one.Server.Model.Hash);
        await UntilAsync(() => two.Server.Model.Hash == next.Hash);
        ModelFolder last = two.AnotherModel(3);
        await two.PostAsync("/admin/promote", new() { ["model"] = last.Path, ["reason"] = "better still" });
        await UntilAsync(() => one.Server.Model.Hash == last.Hash);

        // Answers of each are in the one record, and either takes feedback about them.
        JsonObject answer = await one.PostAsync("/v1/chat/completions", TestServer.Chat());
        string id = (string)answer["choices"]![0]!["generation_id"]!;
        await two.PostAsync("/feedback", new() { ["inference_id"] = id, ["metric_name"] = "keep", ["value"] = true });
        await using FlywheelStore store = await one.OpenStoreAsync();
        Assert.True(store.IsShared);
        Assert.Equal(last.Hash, (await store.FindGenerationAsync(Guid.Parse(id)))!.ModelHash);
        Assert.Single(await store.FeedbackAsync(Guid.Parse(id)));
        Assert.Equal(3, (await store.ReleasesAsync()).Count); // one a promotion, not one a server

        // A key that one home's command makes opens the other, and what it revokes is closed there at once.
        var keys = new ApiKeys(store, TimeProvider.System);
        (KeyRow _, string key) = await keys.CreateAsync("admin", [Scopes.Admin]);
        using HttpClient http = new() { BaseAddress = new Uri(two.Server.Url) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/admin/status")).StatusCode);
        await keys.RevokeAsync("admin");
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/admin/status")).StatusCode);

        // What seals the cookies of sign-ins lies in the record, not in either home.
        await using FlywheelDb db = store.Tables();
        Assert.Contains(db.Secrets.Select(row => row.Name).ToList(), name => name.StartsWith("cookies/", StringComparison.Ordinal));
        Assert.False(Directory.Exists(Path.Combine(one.Home.Path, "keys")));

        // From the first account on nobody is let in who is not known, at neither.
        var accounts = new Accounts(store, TimeProvider.System);
        await accounts.AcceptAsync((await accounts.InviteFirstAsync())!, "ann", "Ann", "plum lantern quay");
        foreach (TestServer server in new[] { one, two }) await UntilAsync(() => server.Server.NeedsKey);
    }

    [Fact]
    public async Task Rollout_ThatOneServerCannotHold_RunsOnTheOtherAndIsStoppedByEither()
    {
        string connection = await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync();
        StudioOptions Shared(StudioOptions options) => options with { Home = new FlywheelHome(options.Home.Path, connection) };
        await using TestServer one = await TestServer.StartAsync(options: Shared);
        await using TestServer small = await TestServer.StartAsync(new() { Threads = 1, AvailableBytes = 32 << 20, CacheBytes = 64 << 20 },
            options: Shared);
        JsonObject begun = await one.PostAsync("/v1/rollouts", new() { ["candidate"] = one.AnotherModel(2).Path, ["share"] = 50 });
        foreach (TestServer server in new[] { one, small })
            await server.Service<RolloutHost>().CheckAsync(TestContext.Current.CancellationToken);
        Assert.NotNull(one.Service<RolloutHost>().Live);
        Assert.Null(small.Service<RolloutHost>().Live);
        Assert.Equal((string)begun["champion"]!, (string)(await small.PostAsync("/v1/chat/completions", TestServer.Chat()))["model_hash"]!);
        Assert.Equal("running", (string)(await one.GetAsync($"/v1/rollouts/{begun["id"]}"))["state"]!);
        Assert.Equal("stopped", (string)(await small.PostAsync($"/v1/rollouts/{begun["id"]}/stop", []))["state"]!);
    }

    [Fact]
    public async Task Server_DatabaseGoneAndBack_Answers503AndThenServesByItself()
    {
        await using PostgresCluster cluster = await PostgresCluster.StartAsync();
        string connection = await cluster.CreateDatabaseAsync();
        await using TestServer server =
            await TestServer.StartAsync(options: options => options with { Home = new FlywheelHome(options.Home.Path, connection) });
        string before = (string)(await server.PostAsync("/v1/chat/completions", TestServer.Chat()))["choices"]![0]!["generation_id"]!;
        await cluster.KillAsync();
        foreach (int _ in Enumerable.Range(0, 2))
        {
            (HttpStatusCode status, JsonObject body) = await server.TryPostAsync("/v1/chat/completions", TestServer.Chat().ToJsonString());
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "record_unavailable"), (status, (string?)body["error"]!["code"]));
        }
        using (HttpResponseMessage page = await server.Http.GetAsync("/write")) Assert.True((int)page.StatusCode is 200 or 503,
            $"{page.StatusCode}");
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/health/live")).StatusCode);
        await cluster.BeginAsync();
        string after = "";
        await UntilAsync(async () =>
        {
            (HttpStatusCode status, JsonObject body) = await server.TryPostAsync("/v1/chat/completions", TestServer.Chat().ToJsonString());
            if (status == HttpStatusCode.OK) after = (string)body["choices"]![0]!["generation_id"]!;
            else Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
            return status == HttpStatusCode.OK;
        });
        await using FlywheelStore store = await server.OpenStoreAsync();
        foreach (string id in new[] { before, after }) Assert.NotNull(await store.FindGenerationAsync(Guid.Parse(id)));
        Assert.Equal(2, (await store.CountAsync()).Generations); // what was not acknowledged was not kept either
    }

    private static Task UntilAsync(Func<bool> holds) => UntilAsync(() => Task.FromResult(holds()));

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        for (int attempt = 0; !await holds(); attempt++)
        {
            Assert.True(attempt < 1200, "it did not come about");
            await Task.Delay(50);
        }
    }
}
