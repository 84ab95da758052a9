using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Tests;

/// <summary>How a server stops, fails and starts: nothing is lost on the way, and what happened is said.</summary>
public sealed class ServerLifeTests
{
    private const string TextPath = "/v1/completions";

    [Fact]
    public async Task Stop_StreamLongerThanTheTime_IsCutWithAnErrorEventAndRecorded()
    {
        await using TestServer server = await TestServer.StartAsync(context: 65536, drainTime: TimeSpan.FromMilliseconds(300));
        using StreamReader events = await BeginAsync(server, maxTokens: 60000);
        await server.Server.DisposeAsync();
        string rest = await events.ReadToEndAsync();
        string last = rest.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.Equal("server_stopping", (string)JsonNode.Parse(last["data: ".Length..])!["error"]!["code"]!);
        Assert.Equal((0, 1), (server.Server.End!.NumEnded, server.Server.End.NumCut));
        Assert.Contains("cut", server.Server.End.ToString(), StringComparison.Ordinal);
        await using FlywheelStore store = await server.OpenStoreAsync();
        Generation record = Assert.Single(await store.RecentGenerationsAsync(2));
        Assert.Equal(FinishReason.Cancelled, record.FinishReason);
        Assert.True(record.NumTokens > 0 && record.NumTokens == record.Payload!.Tokens.Length);
    }

    [Fact]
    public async Task Stop_WholeAnswerLongerThanTheTime_IsRefusedWithTheReason()
    {
        await using TestServer server = await TestServer.StartAsync(context: 65536, drainTime: TimeSpan.FromMilliseconds(300));
        Task<(HttpStatusCode Status, JsonObject Body)> answer = server.TryPostAsync(TextPath, Endless(server, 60000).ToJsonString());
        await AwaitRunningAsync(server, 1);
        await server.Server.DisposeAsync();
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "server_stopping"),
            ((await answer).Status, (string)(await answer).Body["error"]!["code"]!));
    }

    [Fact]
    public async Task Stop_ShortStream_EndsWholeAndIsSaidSo()
    {
        await using TestServer server = await TestServer.StartAsync(context: 2048);
        using StreamReader events = await BeginAsync(server, maxTokens: 400);
        Task stop = server.Server.DisposeAsync().AsTask();
        Assert.EndsWith("data: [DONE]\n\n", await events.ReadToEndAsync(), StringComparison.Ordinal);
        await stop;
        Assert.Equal((1, 0), (server.Server.End!.NumEnded, server.Server.End.NumCut));
    }

    // Whoever was being answered by the model before the swap is recorded, also when the server ends at once.
    [Fact]
    public async Task Stop_GenerationOnAReplacedModel_IsRecorded()
    {
        for (int round = 0; round < 5; round++)
        {
            await using TestServer server = await TestServer.StartAsync(context: 65536, drainTime: TimeSpan.Zero);
            using StreamReader events = await BeginAsync(server, maxTokens: 60000);
            string old = server.Server.Model.Hash;
            await server.PostAsync("/admin/promote", new() { ["model"] = server.AnotherModel(2).Path });
            await server.Server.DisposeAsync();
            await using FlywheelStore store = await server.OpenStoreAsync();
            Assert.Equal(old, Assert.Single(await store.RecentGenerationsAsync(2)).ModelHash);
        }
    }

    [Fact]
    public async Task Engine_BrokenInvariant_TurnsHealthRedUntilAModelIsPromoted()
    {
        await using TestServer server = await TestServer.StartAsync(context: 4096);
        foreach (string path in new[] { "/health", "/health/live", "/health/ready" }) Assert.Equal(HttpStatusCode.OK,
            (await server.Http.GetAsync(path)).StatusCode);
        using StreamReader events = await BeginAsync(server, maxTokens: 3000);
        Break(server);
        string rest = await events.ReadToEndAsync();
        Assert.Contains("\"internal_error\"", rest, StringComparison.Ordinal);

        foreach (string path in new[] { "/health", "/health/live", "/health/ready" })
        {
            using HttpResponseMessage red = await server.Http.GetAsync(path);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, red.StatusCode);
            Assert.Contains("invariant", await red.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync(TextPath, Endless(server, 4).ToJsonString());
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "engine_failed"), (status, (string)answer["error"]!["code"]!));

        // The tokens that were seen before the fault are recorded with it.
        await using FlywheelStore store = await server.OpenStoreAsync();
        Generation record = Assert.Single(await store.RecentGenerationsAsync(2));
        Assert.Equal(FinishReason.Failed, record.FinishReason);
        Assert.True(record.NumTokens > 0 && record.Payload!.Text.Length > 0);

        await server.PostAsync("/admin/promote", new() { ["model"] = server.Server.Model.Hash });
        Assert.Equal("ok", (string)(await server.GetAsync("/health"))["status"]!);
        await server.PostAsync(TextPath, Endless(server, 4));
    }

    [Fact]
    public async Task Health_WhileStopping_IsAliveButNotReady()
    {
        await using TestServer server = await TestServer.StartAsync();
        Services(server).GetRequiredService<ServerEnding>().Begin();
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Http.GetAsync("/health/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Http.GetAsync("/health")).StatusCode);
        using var content = new StringContent(Endless(server, 4).ToJsonString(), null, "application/json");
        using HttpResponseMessage refused = await server.Http.PostAsync(TextPath, content);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
    }

    // A turn that finds no server yet promotes in the record alone; the server that is just starting must not undo that.
    [Theory]
    [InlineData(0, false)]
    [InlineData(30, false)]
    [InlineData(120, false)]
    [InlineData(0, true)]
    public async Task Start_TurnPromotesMeanwhile_PromotionStands(int delayMs, bool waits)
    {
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder["home"]);
        ModelFolder old = TinyModel.Create(home.Models, 1), better = TinyModel.Create(home.Models, 2);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        foreach (ModelFolder model in new[] { old, better }) await store.RegisterModelAsync(model);
        await store.ReleaseAsync(old.Hash, "the first");
        Task<StudioServer> start =
            Task.Run(() =>
            StudioServer.StartAsync(new StudioOptions { Home = home, Url = "http://127.0.0.1:0",
            Engine = new EngineOptions { Threads = 1 } }));
        while (!File.Exists(Path.Combine(home.Path, "server.lock"))) await Task.Delay(1);
        await Task.Delay(delayMs);
        // The server may become known at any moment of this, also between the look for it and the record.
        await ServerPromotion.ReleaseAsync(home, better.Hash, "turn 1", async () =>
        {
            if (waits) await start;
            await store.ReleaseAsync(better.Hash, "turn 1");
        });
        await using StudioServer server = await start;
        Assert.Equal(better.Hash, (await store.ChampionAsync())!.Hash);
        Assert.Equal(better.Hash, server.Model.Hash);
    }

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFFFFFF\r\n")]
    [InlineData("7FFFFFFFFFFFFFFF\r\n{}")]
    [InlineData("100000000\r\n{}")]
    [InlineData("zz\r\n{}\r\n0\r\n\r\n")]
    [InlineData("-1\r\n{}\r\n0\r\n\r\n")]
    [InlineData("2\r\n{}xx0\r\n\r\n")]
    public async Task Body_ChunkSizeHugeOrMalformed_IsTheClientsFault(string chunks)
    {
        await using TestServer server = await TestServer.StartAsync();
        foreach (string path in new[] { TextPath, "/v1/chat/completions", "/v1/embeddings", "/feedback" })
        {
            string answer =
                await SendAsync(server,
                    $"POST {path} HTTP/1.1\r\nHost: {new Uri(server.Server.Url).Authority}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            Assert.Matches("^HTTP/1.1 4(00|13)", answer);
        }
    }

    [Fact]
    public void Home_ReadOnly_IsSaidToBeReadOnly()
    {
        using var disk = new ReadOnlyFolder();
        FlywheelException refused = Assert.Throws<FlywheelException>(() => RunningServer.ClaimHome(new FlywheelHome(disk.Path)));
        Assert.Contains("cannot write to the home", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Read-only", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("already runs", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(5, "record_locked", true)]
    [InlineData(6, "record_locked", true)]
    [InlineData(8, "record_unavailable", false)]
    [InlineData(10, "record_unavailable", false)]
    [InlineData(14, "record_unavailable", false)]
    public void Database_NotToBeHad_Is503(int sqliteCode, string code, bool retry)
    {
        var fault = new DbUpdateException("An error occurred while saving.", new SqliteException($"SQLite Error {sqliteCode}", sqliteCode));
        ApiException answer = ErrorAnswers.From(fault);
        Assert.Equal((503, code, retry), (answer.Status, answer.Code, answer.RetryAfter is not null));
    }

    private static async Task<string> SendAsync(TestServer server, string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, new Uri(server.Server.Url).Port);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        byte[] buffer = new byte[1 << 14];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        int read = await stream.ReadAsync(buffer, patience.Token);
        return Encoding.UTF8.GetString(buffer, 0, read);
    }

    private static JsonObject Endless(TestServer server, int maxTokens)
    {
        JsonObject bias = [];
        foreach (int end in server.Server.Model.Config.EosTokenIds) bias[$"{end}"] = -100;
        return new() { ["model"] = "flywheel", ["prompt"] = "Once upon a time", ["max_tokens"] = maxTokens, ["seed"] = 3,
            ["logit_bias"] = bias };
    }

    /// <summary>A stream of which the first event is there.</summary>
    private static async Task<StreamReader> BeginAsync(TestServer server, int maxTokens)
    {
        JsonObject request = Endless(server, maxTokens);
        request["stream"] = true;
        using var message =
            new HttpRequestMessage(HttpMethod.Post,
            TextPath) { Content = new StringContent(request.ToJsonString(), null, "application/json") };
        HttpResponseMessage response = await server.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        var events = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: {", await events.ReadLineAsync(), StringComparison.Ordinal);
        return events;
    }

    private static async Task AwaitRunningAsync(TestServer server, int count)
    {
        while ((int)(await server.GetAsync("/admin/status"))["live_generations"]! < count) await Task.Delay(10);
    }

    private static IServiceProvider Services(TestServer server) => Field<WebApplication>(server.Server, "_app").Services;

    /// <summary>Takes something from under the engine's feet that it relies on.</summary>
    private static void Break(TestServer server)
    {
        InferenceEngine engine = Services(server).GetRequiredService<ModelHost>().Current.Engine;
        object loop = typeof(InferenceEngine).GetProperty("Loop", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(engine)!;
        loop.GetType().GetField("_budget", BindingFlags.Instance | BindingFlags.NonPublic)!.SetValue(loop, null);
    }

    private static T Field<T>(object of, string name) =>
        (T)of.GetType().GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(of)!;

    /// <summary>A home on a file system that became read-only, as after a disk error. Needs the right to mount; skips without.</summary>
    private sealed class ReadOnlyFolder : IDisposable
    {
        private readonly TempFolder _folder = new();

        public ReadOnlyFolder()
        {
            Directory.CreateDirectory(Path);
            File.WriteAllText(System.IO.Path.Combine(Path, "server.lock"), ""); // a server ran here before
            if (Run("mount", "--bind", Path, Path) != 0
                || Run("mount", "-o", "remount,ro,bind", Path) != 0) Assert.Skip("mounting needs root");
        }

        public string Path => _folder["home"];

        public void Dispose()
        {
            Run("umount", "-l", Path);
            _folder.Dispose();
        }

        private static int Run(string program, params string[] arguments) =>
            Tool.RunAsync(program, arguments, "/").GetAwaiter().GetResult().Code;
    }
}
