using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;

namespace Flywheel.Studio.Tests;

/// <summary>Raw sockets that never read, that vanish, that only stop sending: nobody else notices, and nothing of theirs stays.</summary>
public class LostClientTests
{
    private const int Context = 65536;

    // More of them than the batch has places. The kernel's and the server's buffers fill; then the connections are cut, after
    // a small part of the time that the answers would take: at this pace what lies in the buffers gives no respite.
    [Fact]
    public async Task Stream_ClientsNeverRead_AreCutAndFreeTheirPlaces()
    {
        await using TestServer server = await TestServer.StartAsync(new EngineOptions { Threads = 1, MaxBatch = 6 }, Context,
            slowestReader: new(1 << 26, TimeSpan.FromSeconds(1.1)));
        List<string> alone = await AnswerAsync(server);
        var deaf = new List<Socket>();
        for (int i = 0; i < 9; i++) deaf.Add(await AskAsync(server, receiveBuffer: 4096));
        await AwaitAsync(async () => (int)(await StatusAsync(server))["live_generations"]! >= 6);
        Assert.Equal(alone, await AnswerAsync(server)); // while they hold most places
        await AwaitFreeAsync(server);
        List<Generation> records = await RecordsAsync(server, 2 + deaf.Count);
        Assert.Equal(2, records.Count(record => record.FinishReason != FinishReason.Cancelled));
        Assert.All(records, record => Assert.Equal(record.NumTokens, record.Payload!.Tokens.Length));
        Assert.True(records.Count(record => record.NumTokens > 300) > 2, "nothing was sent to those who never read");
        foreach (Socket socket in deaf) socket.Dispose();
    }

    // By a reset, by an orderly end, or by an end of one direction only; before the first token or among them.
    [Fact]
    public async Task Stream_ClientsVanish_GenerationsEndAtOnce()
    {
        await using TestServer server = await TestServer.StartAsync(new EngineOptions { Threads = 1, MaxBatch = 6 }, Context);
        List<string> alone = await AnswerAsync(server);
        var random = new Random(1);
        var halfOpen = new List<Socket>();
        for (int i = 0; i < 24; i++)
        {
            Socket socket = await AskAsync(server, receiveBuffer: 1 << 16);
            if (random.Next(2) == 0) await socket.ReceiveAsync(new byte[random.Next(1, 2000)]);
            switch (i % 3)
            {
                case 0:
                    socket.LingerState = new LingerOption(true, 0); // the close is a reset
                    socket.Dispose();
                    break;
                case 1:
                    socket.Dispose();
                    break;
                default:
                    socket.Shutdown(SocketShutdown.Send);
                    halfOpen.Add(socket);
                    break;
            }
        }
        Assert.Equal(alone, await AnswerAsync(server));
        await AwaitFreeAsync(server);
        List<Generation> records = await RecordsAsync(server, 2);
        Assert.InRange(records.Count, 2, 2 + 24); // who was gone before the server had read the request never began
        Assert.Equal(2, records.Count(record => record.FinishReason != FinishReason.Cancelled));
        Assert.All(records.Where(record => record.FinishReason == FinishReason.Cancelled),
            record => Assert.InRange(record.NumTokens, 0, Context / 2));
        foreach (Socket socket in halfOpen) socket.Dispose();
    }

    // A body that never comes in full: no generation begins, and the others are served.
    [Fact]
    public async Task Request_BodyNeverEnds_HoldsNothing()
    {
        await using TestServer server = await TestServer.StartAsync(new EngineOptions { Threads = 1, MaxBatch = 2 });
        var halves = new List<Socket>();
        for (int i = 0; i < 20; i++)
        {
            Socket socket = await ConnectAsync(server, 1 << 16);
            await socket.SendAsync(
                Encoding.ASCII.GetBytes(
                    $"POST /v1/completions HTTP/1.1\r\nHost: {new Uri(server.Server.Url).Authority}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{\"prompt\": \""));
            halves.Add(socket);
        }
        Assert.NotEmpty(await AnswerAsync(server));
        Assert.Equal(0, (int)(await StatusAsync(server))["live_generations"]!);
        foreach (Socket socket in halves) socket.Dispose();
    }

    private static async Task<Socket> ConnectAsync(TestServer server, int receiveBuffer)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = receiveBuffer,
            NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, new Uri(server.Server.Url).Port);
        return socket;
    }

    /// <summary>Asks for a stream of as many tokens as there is room for, and does not read.</summary>
    private static async Task<Socket> AskAsync(TestServer server, int receiveBuffer)
    {
        Socket socket = await ConnectAsync(server, receiveBuffer);
        JsonObject request = Request(server, Context - 200);
        request.Remove("prompt");
        request["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Once upon a time" });
        request["stream"] = true;
        (request["logprobs"], request["top_logprobs"]) = (true, 20); // long events: a kernel's buffers take several megabytes
        byte[] body = Encoding.UTF8.GetBytes(request.ToJsonString());
        await socket.SendAsync(
            Encoding.ASCII
                .GetBytes(
                    $"POST /v1/chat/completions HTTP/1.1\r\nHost: {new Uri(server.Server.Url).Authority}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n").Concat(body).ToArray());
        return socket;
    }

    private static JsonObject Request(TestServer server, int maxTokens)
    {
        JsonObject bias = [];
        foreach (int end in server.Server.Model.Config.EosTokenIds) bias[$"{end}"] = -100;
        return new() { ["model"] = "flywheel", ["prompt"] = "Once upon a time", ["max_tokens"] = maxTokens, ["seed"] = 3,
            ["logit_bias"] = bias };
    }

    private static async Task<List<string>> AnswerAsync(TestServer server) =>
        [.. (await server.StreamAsync("/v1/completions", Request(server, 60))).Select(piece => (string)piece["choices"]![0]!["text"]!)];

    private static Task<JsonObject> StatusAsync(TestServer server) => server.GetAsync("/admin/status");

    private static async Task AwaitFreeAsync(TestServer server)
    {
        await AwaitAsync(async () => (int)(await StatusAsync(server))["running"]! == 0);
        JsonObject status = await StatusAsync(server);
        Assert.Equal((0, 0), ((int)status["live_generations"]!, (int)status["cache_pages_in_use"]!));
    }

    private static async Task AwaitAsync(Func<Task<bool>> condition)
    {
        for (int i = 0; i < 1200 && !await condition(); i++) await Task.Delay(50);
        Assert.True(await condition(), "it did not come to that within a minute");
    }

    private static async Task<List<Generation>> RecordsAsync(TestServer server, int atLeast)
    {
        await using FlywheelStore store = await server.OpenStoreAsync();
        IReadOnlyList<Generation> records = [];
        await AwaitAsync(async () => (records = await store.RecentGenerationsAsync(1000)).Count >= atLeast);
        return [.. records];
    }
}
