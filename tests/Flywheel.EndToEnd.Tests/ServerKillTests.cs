using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>Acknowledged means on disk: the server is killed in the middle of its work, again and again.</summary>
public sealed class ServerKillTests
{
    private const int Rounds = 8, Clients = 4, Seed = 20261123;

    [Fact]
    public async Task Kill9_AtRandomMoments_LosesNothingThatWasAcknowledged()
    {
        using var folder = new TempFolder();
        string model = TinyModel.Create(folder["models"]).Path;
        var home = new FlywheelHome(folder["home"]);
        var generations = new ConcurrentDictionary<Guid, string>(); // id, text as answered
        var feedback = new ConcurrentDictionary<Guid, Guid>(); // id, generation
        var random = new Random(Seed);
        for (int round = 0; round < Rounds; round++)
        {
            int before = generations.Count + feedback.Count;
            await using ServerProcess server = await ServerProcess.StartAsync(home.Path, "--model", model);
            using var stop = new CancellationTokenSource();
            Task[] clients =
                [.. Enumerable.Range(0, Clients).Select(client => HammerAsync(server, client % 2 == 0, generations, feedback, stop.Token))];
            // At the latest after some seconds of a busy machine; at the earliest when the record has begun to grow.
            int wanted = before + random.Next(1, 120);
            DateTime patience = DateTime.UtcNow.AddSeconds(10);
            while (generations.Count + feedback.Count < wanted && DateTime.UtcNow < patience) await Task.Delay(random.Next(1, 8));
            await server.KillAsync();
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }

        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        Assert.True(generations.Count >= Rounds, $"only {generations.Count} generations were acknowledged");
        foreach ((Guid id, string text) in generations)
        {
            Generation? record = await store.FindGenerationAsync(id);
            Assert.True(record is not null, $"generation {id} was acknowledged and is lost (seed {Seed})");
            Assert.Equal(text, record.Payload!.Text);
        }
        foreach ((Guid id, Guid generation) in feedback)
            Assert.True((await store.FeedbackAsync(generation)).Any(row => row.Id == id),
                $"feedback {id} was acknowledged and is lost (seed {Seed})");
        TestContext.Current.SendDiagnosticMessage(
            $"{generations.Count} generations and {feedback.Count} feedbacks acknowledged over {Rounds} kills, none lost");
    }

    /// <summary>Asks and judges until the server is gone; notes only what was answered in full.</summary>
    private static async Task HammerAsync(ServerProcess server, bool streaming, ConcurrentDictionary<Guid, string> generations,
        ConcurrentDictionary<Guid, Guid> feedback, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                (Guid id, string text) = streaming ? await StreamAsync(server) : await WholeAsync(server);
                generations[id] = text;
                JsonObject receipt = await server.PostAsync("/feedback",
                    new() { ["inference_id"] = id.ToString(), ["metric_name"] = "keep", ["value"] = true });
                feedback[Guid.Parse((string)receipt["feedback_id"]!)] = id;
            }
            catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException
                or System.Text.Json.JsonException)
            {
                return; // killed in the middle of an answer: nothing was acknowledged
            }
        }
    }

    private static async Task<(Guid Id, string Text)> WholeAsync(ServerProcess server)
    {
        JsonNode choice = (await server.PostAsync("/v1/chat/completions", Request(stream: false)))["choices"]![0]!;
        return (Guid.Parse((string)choice["generation_id"]!), (string)choice["message"]!["content"]!);
    }

    /// <summary>A stream counts from the event with the finish reason, whatever becomes of the rest.</summary>
    private static async Task<(Guid Id, string Text)> StreamAsync(ServerProcess server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post,
            "/v1/chat/completions") { Content = new StringContent(Request(stream: true).ToJsonString(), Encoding.UTF8,
                "application/json") };
        using HttpResponseMessage response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        var text = new StringBuilder();
        while (await lines.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            JsonNode choice = JsonNode.Parse(line["data: ".Length..])!["choices"]![0]!;
            text.Append((string?)choice["delta"]!["content"]);
            if (choice["finish_reason"] is not null) return (Guid.Parse((string)choice["generation_id"]!), text.ToString());
        }
        throw new IOException("the stream ended early");
    }

    private static JsonObject Request(bool stream) => new()
    {
        ["model"] = "flywheel",
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Write a tagline." }),
        ["max_tokens"] = 12,
        ["stream"] = stream,
    };
}
