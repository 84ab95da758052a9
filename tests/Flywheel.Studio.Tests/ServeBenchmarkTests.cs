using Flywheel.Cli.Bench;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

public class ServeBenchmarkTests
{
    [Fact]
    public async Task Run_TwoServers_MeasuresEveryRequestOfBoth()
    {
        await using TestServer one = await TestServer.StartAsync(), other = await TestServer.StartAsync();
        var load = new ServeLoad { Clients = 3, SharedTokens = 20, OwnTokens = 3, MaxTokens = 10 };
        var figures = await ServeBenchmark.RunAsync([new Uri(one.Server.Url), new Uri(other.Server.Url)], load, rounds: 2,
            TestContext.Current.CancellationToken);
        Assert.Equal(2, figures.Count);
        foreach (ServerFigures found in figures.SelectMany(pair => new[] { pair.Cold, pair.Warm }))
        {
            Assert.Empty(found.Failures);
            Assert.True(found.TokensPerSecond > 0);
            Assert.True(found.FirstMs.P50 > 0 && found.FirstMs.P50 <= found.FirstMs.P99);
        }
    }

    [Fact]
    public async Task Intrude_TwoServers_MeasuresQuietAndDuring()
    {
        await using TestServer one = await TestServer.StartAsync(), other = await TestServer.StartAsync();
        var load = new ServeLoad { Clients = 2, OwnTokens = 3 };
        var figures = await ServeBenchmark.IntrudeAsync([new Uri(one.Server.Url), new Uri(other.Server.Url)], load, promptTokens: 100,
            rounds: 2, TestContext.Current.CancellationToken);
        Assert.Equal(2, figures.Count);
        Assert.All(figures, found => Assert.True(found.QuietMs.P50 > 0 && found.QuietMs.P50 <= found.QuietMs.P99 && found.FirstMs.P50 > 0));
    }

    [Fact]
    public async Task Sessions_ThatStream_AreCountedWhileTheServersMemoryIsRead()
    {
        await using TestServer server = await TestServer.StartAsync();
        SessionFigures found = await SessionBenchmark.RunAsync(new Uri(server.Server.Url), sessions: 3, TimeSpan.FromSeconds(3),
            TimeSpan.FromSeconds(1), tokens: 8, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(3, found.Samples.Count);
        Assert.Empty(found.Failures);
        Assert.All(found.Samples, sample => Assert.True(sample.ResidentMiB > sample.HeapMiB && sample.HeapMiB > 1, $"{sample}"));
        Assert.True(found.Samples[^1].Answers >= 3 && found.Samples[^1].Tokens >= found.Samples[^1].Answers, $"{found.Samples[^1]}");
        Assert.Equal(found.Samples[2].ResidentMiB - found.Samples[1].ResidentMiB, found.GrowthMiB, 6);
    }

    // A place and one to wait: most requests are refused, and the figures say why.
    [Fact]
    public async Task Run_ServerRefuses_SaysWhy()
    {
        await using TestServer server = await TestServer.StartAsync(new EngineOptions { Threads = 1, MaxBatch = 1, MaxQueue = 1 });
        var load = new ServeLoad { Clients = 6, SharedTokens = 20, OwnTokens = 3, MaxTokens = 60 };
        var figures = await ServeBenchmark.RunAsync([new Uri(server.Server.Url)], load, rounds: 1, TestContext.Current.CancellationToken);
        Assert.NotEmpty(figures[0].Cold.Failures);
        Assert.All(figures[0].Cold.Failures, reason => Assert.Contains("status 429: ", reason));
    }

    [Fact]
    public async Task Run_NobodyThere_SaysSo()
    {
        var error =
            await Assert.ThrowsAsync<FlywheelException>(() =>
                ServeBenchmark.RunAsync([new Uri("http://127.0.0.1:1")], new ServeLoad(), 1, TestContext.Current.CancellationToken));
        Assert.Contains("127.0.0.1:1", error.Message);
    }

    [Fact]
    public void Percentiles_OfAHundred_AreTheRanks() =>
        Assert.Equal(new Percentiles(50, 95, 99), Percentiles.Of([.. Enumerable.Range(1, 100).Select(i => (double)i)]));
}
