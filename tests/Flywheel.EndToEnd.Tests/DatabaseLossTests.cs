using System.Collections.Concurrent;
using System.Net;
using Flywheel.Cli;
using Flywheel.Cli.Bench;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The programs beside a PostgreSQL server that is not there, is killed and comes back.</summary>
public sealed class DatabaseLossTests
{
    [Fact]
    public async Task Up_DatabaseDownThenKilledWhileServing_SaysSoInALineAndServesAgain()
    {
        using var folder = new TempFolder();
        string model = TinyModel.Create(folder["models"]).Path;
        await using PostgresCluster cluster = await PostgresCluster.StartAsync();
        string[] arguments = ["--model", model, "--database", await cluster.CreateDatabaseAsync()];
        await cluster.EndAsync();
        (int code, string said) = await ServerProcess.RunAsync(folder["home"], ["up", "--port", "0", .. arguments]);
        Assert.Equal(ExitCodes.UserError, code);
        Assert.Contains("cannot be reached", Assert.Single(said.Trim().Split('\n')));

        await cluster.BeginAsync();
        await using ServerProcess server = await ServerProcess.StartAsync(folder["home"], arguments);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(server));
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync(server));
        await cluster.KillAsync();
        for (int i = 0; i < 200; i++) Assert.Equal(HttpStatusCode.ServiceUnavailable, await AskAsync(server));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await ReadyAsync(server));
        (code, said) = await ServerProcess.RunAsync(folder["home"], "people", "list");
        Assert.Equal(ExitCodes.UserError, code);
        Assert.Contains("cannot be reached", Assert.Single(said.Trim().Split('\n')));
        await cluster.BeginAsync();
        for (int i = 0; await AskAsync(server) != HttpStatusCode.OK; i++)
        {
            Assert.True(i < 200, server.Output);
            await Task.Delay(50);
        }
        // One line of all that failed, and those of what follows other servers.
        Assert.InRange(server.Output.Split('\n').Count(line => line.Contains(" fail: ") || line.Contains(" warn: ")), 1, 6);
        Assert.Equal(0, await server.SignalAsync("TERM"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Record_KilledAt500ASecond_LosesAndDoublesNothingAcknowledged(bool inPostgres)
    {
        using var folder = new TempFolder();
        await using PostgresCluster? cluster = inPostgres ? await PostgresCluster.StartAsync() : null;
        string? database = cluster is null ? null : await cluster.CreateDatabaseAsync();
        var generations = new ConcurrentDictionary<Guid, bool>();
        var feedback = new ConcurrentDictionary<Guid, Guid>(); // generation, as acknowledged
        RecordServer server = await RecordServer.StartAsync(folder["home"], database, ServerProcess.Program);
        try
        {
            foreach (string killed in inPostgres ? ["server", "database"] : (string[])["server", "server"])
            {
                using HttpClient http = new() { BaseAddress = new Uri(server.Url) };
                using var over = new CancellationTokenSource(TimeSpan.FromSeconds(20));
                int before = feedback.Count;
                Task load = RecordRateBenchmark.AskAsync(http, "/on", rate: 500, TimeSpan.FromSeconds(2), seed: before,
                    id => KeepAsync(http, id, over.Token), CancellationToken.None);
                while (feedback.Count < before + 200 && !load.IsCompleted) await Task.Delay(5);
                if (killed == "server")
                {
                    await server.KillAsync();
                    await over.CancelAsync();
                    await load;
                    await server.DisposeAsync();
                    server = await RecordServer.StartAsync(folder["home"], database, ServerProcess.Program);
                    continue;
                }
                await cluster!.KillAsync();
                await Task.Delay(300);
                await cluster.BeginAsync();
                await load; // with what was said again and again until it was acknowledged
                Assert.True(feedback.Count >= before + 300, $"only {feedback.Count - before} were acknowledged");
            }
        }
        finally
        {
            await server.DisposeAsync();
        }

        Assert.True(feedback.Count > 400, $"only {feedback.Count} were acknowledged");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"], database ?? ""));
        await using FlywheelDb db = store.Tables();
        HashSet<Guid> found = [.. await db.Generations.Select(row => row.Id).ToListAsync()];
        Assert.Subset(found, generations.Keys.ToHashSet());
        Assert.Equal(found.Count, await db.Set<GenerationPayload>().CountAsync());
        List<Feedback> kept = await db.Feedback.AsNoTracking().ToListAsync();
        Assert.Subset(kept.Select(row => row.Id).ToHashSet(), feedback.Values.ToHashSet());
        Assert.Equal(kept.Count, kept.Select(row => row.GenerationId).Distinct().Count());
        TestContext.Current.SendDiagnosticMessage($"{generations.Count} generations and {feedback.Count} feedback acknowledged");

        // Said again until it is acknowledged: its key makes it one.
        async Task KeepAsync(HttpClient http, Guid id, CancellationToken stop)
        {
            generations[id] = true;
            while (!stop.IsCancellationRequested)
                try
                {
                    using HttpResponseMessage answer = await http.PostAsync($"/keep?of={id}", null, stop);
                    if (answer.IsSuccessStatusCode)
                    {
                        feedback[id] = Guid.Parse((await answer.Content.ReadAsStringAsync(stop)).Trim('"'));
                        return;
                    }
                    await Task.Delay(50, stop);
                }
                catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
                {
                    if (e is OperationCanceledException) return;
                }
        }
    }

    private static async Task<HttpStatusCode> ReadyAsync(ServerProcess server)
    {
        using HttpResponseMessage answer = await server.Http.GetAsync("/health/ready");
        return answer.StatusCode;
    }

    private static async Task<HttpStatusCode> AskAsync(ServerProcess server)
    {
        const string asked = """{"model": "flywheel", "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]}""";
        using var body = new StringContent(asked, null, "application/json");
        using HttpResponseMessage answer = await server.Http.PostAsync("/v1/chat/completions", body);
        return answer.StatusCode;
    }
}
