using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Flywheel.Cli.Demo;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio;
using Flywheel.Testing;
using Spectre.Console;

namespace Flywheel.EndToEnd.Tests.Demo;

public class DemoRunTests
{
    /// <summary>A real server and record; the turn is a promotion of another model, so that nothing has to be trained.</summary>
    [Fact]
    public async Task Run_OnTinyModels_RecordsEveryActAndMeasuresBothModels()
    {
        using var folder = new TempFolder();
        ModelFolder first = TinyModel.Create(folder["models"], seed: 1, context: 512),
            second = TinyModel.Create(folder["models"], seed: 2, context: 512);
        var home = new FlywheelHome(folder["home"]);
        await using StudioServer server =
            await StudioServer.StartAsync(new StudioOptions { Home = home, Url = "http://127.0.0.1:0", StarterModel = first.Path,
                Engine = new EngineOptions { Threads = 1 } });
        Protocol whole = Protocol.Draw(Product.Load(Path.Combine(TestFiles.Root, "recipes", "demo", "briefs.jsonl")), users: 4, prompts: 3,
            seed: 3);
        Protocol protocol = whole with { Measurement = [.. whole.Measurement.Take(9)] };
        var text = new StringWriter();
        var display = new DemoDisplay(AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(text) }));
        using var client = new StudioClient(server.Url, AdminSecret.Read(server.Home));
        using var admin = new HttpClient(new AdminSecretHandler(home)) { BaseAddress = new Uri(server.Url) };

        DemoResult result = await new DemoRun(client, Taste.Named("short-verb"), protocol, 3, display).RunAsync(async (turnHome, stop) =>
        {
            Assert.Equal(home.Path, turnHome);
            (await admin.PostAsJsonAsync("/admin/promote", new JsonObject { ["model"] = second.Path }, stop)).EnsureSuccessStatusCode();
            return 0;
        }, CancellationToken.None);

        Assert.Equal(first.Hash, result.Before.ModelHash);
        Assert.Equal(second.Hash, result.After.ModelHash);
        Assert.Equal(4 * 3 * 3, result.Acts.Shown);
        Assert.Equal(result.Acts.Shown, result.Acts.Kept + result.Acts.Edited + result.Acts.Discarded + result.Acts.Silent);
        Assert.True(result.Acts.Edited > 0); // random letters please nobody
        Assert.Equal(result.Before.Prompts.Select(prompt => prompt.Brief.Name), result.After.Prompts.Select(prompt => prompt.Brief.Name));
        Assert.All(result.Before.Prompts.Concat(result.After.Prompts), prompt => Assert.Equal(3, prompt.Texts.Count));

        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        StoreCounts counts = await store.CountAsync();
        Assert.Equal(result.Acts.Kept + result.Acts.Edited + result.Acts.Discarded, counts.Feedback);
        Assert.Equal((4 * 3 + 9 + 9) * 3, counts.Generations);
        foreach (Generation generation in await store.RecentGenerationsAsync(9 * 3))
        {
            Assert.StartsWith("simulated-judge-", generation.User, StringComparison.Ordinal);
            Assert.Empty(await store.FeedbackAsync(generation.Id)); // what is measured on is never taught
        }

        display.Show(result);
        JsonNode written = JsonNode.Parse(File.ReadAllText(result.Write()))!;
        Assert.Equal(result.Rise.Estimate, (double)written["rise"]!["estimate"]!);
        Assert.Contains("texts accepted as they are", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_SameSeedAndModel_MeasuresTheSameTexts()
    {
        using var folder = new TempFolder();
        ModelFolder model = TinyModel.Create(folder["models"], context: 512);
        await using StudioServer server =
            await StudioServer.StartAsync(new StudioOptions { Home = new FlywheelHome(folder["home"]), Url = "http://127.0.0.1:0",
                StarterModel = model.Path, Engine = new EngineOptions { Threads = 1 } });
        Protocol protocol = Protocol.Draw(Product.Load(Path.Combine(TestFiles.Root, "recipes", "demo", "briefs.jsonl")), 1, 1, 3);
        using var client = new StudioClient(server.Url, AdminSecret.Read(server.Home));
        Task<Measurement> Take() =>
            Measurement.TakeAsync(client, [.. protocol.Measurement.Take(6)], Taste.Named("plain"), 3, _ => { }, CancellationToken.None);
        static IEnumerable<string> Texts(Measurement measurement) => measurement.Prompts.SelectMany(prompt => prompt.Texts);
        Assert.Equal(Texts(await Take()), Texts(await Take()));
    }
}
