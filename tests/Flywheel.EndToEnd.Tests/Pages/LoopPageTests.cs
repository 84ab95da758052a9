using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Loop: what is missing, before and after side by side, yes or no, and the way back.</summary>
public sealed class LoopPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Loop_NewHome_SaysHowFarItIsAndWhatIsMissing()
    {
        IPage page = await _studio.OpenAsync("/loop");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "0 of 24 choices until the next turn" }))
            .ToBeVisibleAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Teach" })).ToBeDisabledAsync();
        await page.GetByText("What is missing, exactly").ClickAsync();
        await Assertions.Expect(page.GetByText("there is no feedback to learn from")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".rows")).ToContainTextAsync("serves now");
    }

    [Fact]
    public async Task Loop_TurnThatAsks_ShowsBothTextsAndServesAfterAYesAndGoesBack()
    {
        (string champion, string candidate) = await AskingTurnAsync();
        IPage page = await _studio.OpenAsync("/loop");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Turn 1 asks you" })).ToBeVisibleAsync();
        ILocator table = page.Locator(".side-by-side");
        await Assertions.Expect(table).ToContainTextAsync("On 1 of 2 briefs the text changed.");
        await Assertions.Expect(table).ToContainTextAsync("old <b>text</b>");
        await Assertions.Expect(table).ToContainTextAsync("new text");
        await StudioBrowser.CheckAsync(page, "a turn that asks");
        await page.GetByRole(AriaRole.Button, new() { Name = "Yes, it is better: serve it" }).ClickAsync();
        await Assertions.Expect(page.Locator("main .head")).ToContainTextAsync(candidate[..12]);
        await Assertions.Expect(page.Locator(".verdict.promoted").First).ToHaveTextAsync("promoted");
        Assert.Equal(candidate,
            (string)(await _studio.Server.PostAsync("/v1/completions",
                new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 1 }))["model_hash"]!);

        await page.GetByRole(AriaRole.Button, new() { Name = "Serve again" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Serve it now?" }).ClickAsync();
        await Assertions.Expect(page.Locator("main .head")).ToContainTextAsync(champion[..12]);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        Assert.Equal([champion, candidate, champion], (await store.ReleasesAsync()).Select(release => release.ModelHash));
    }

    /// <summary>The job is the record's: a reload and the server's death leave it going.</summary>
    [Fact]
    public async Task Teach_ReloadedAndKilled_IsOneTurnThatEndsWithAQuestion()
    {
        await _studio.MoveToProcessAsync();
        _studio.Expected = _ => true; // a killed server's page complains
        for (int i = 0; i < 30; i++)
        {
            JsonNode answer = await _studio.Server.PostAsync("/v1/chat/completions", new()
            {
                ["model"] = "flywheel", ["user"] = "ann", ["max_tokens"] = 4,
                ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = $"Write a tagline.\nName: Thing {i}" }),
            });
            await _studio.Server.PostAsync("/feedback",
                new() { ["inference_id"] = (string)answer["choices"]![0]!["generation_id"]!, ["metric_name"] = "demonstration",
                    ["value"] = $"Thing {i} turns.", ["user"] = "ann" });
        }
        IPage page = await _studio.OpenAsync("/loop");
        ILocator asks = page.GetByRole(AriaRole.Heading, new() { Name = "Turn 1 asks you" });
        await page.GetByRole(AriaRole.Button, new() { Name = "Teach" }).ClickAsync();
        await Assertions.Expect(page.Locator(".meter.running").Or(asks)).ToBeVisibleAsync();
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".meter.running").Or(asks)).ToBeVisibleAsync();
        await _studio.CrashAndRestartAsync();
        await page.GotoAsync(_studio.Server.Url + "/loop");
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(asks).ToBeVisibleAsync(new() { Timeout = 180_000 });
        await Assertions.Expect(page.Locator(".side-by-side").First).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Teach_OneThatWaits_IsStoppedAndAnInterruptedTurnIsGivenUp()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        JobRow job = await new JobQueue(store).EnqueueAsync("teach", "{}", "ann");
        await using (FlywheelDb db = store.Tables())
        {
            // It waits as after a failure, and its turn had begun before.
            await db.Jobs.Where(row => row.Id == job.Id)
                .ExecuteUpdateAsync(rows =>
                    rows.SetProperty(row => row.State, JobState.Queued)
                        .SetProperty(row => row.NotBefore, DateTimeOffset.UtcNow.AddDays(1)));
            db.Turns.Add(new TurnRow { Id = Guid.CreateVersion7(), Number = 1, Started = DateTimeOffset.UtcNow, State = TurnState.Training,
                Champion = (await store.ChampionAsync())!.Hash, Dataset = "", Recipe = "" });
            await db.SaveChangesAsync();
        }
        IPage page = await _studio.OpenAsync("/loop");
        // The worker was quicker than the update, or it waits: either way the page ends at the interrupted turn.
        ILocator interrupted = page.GetByRole(AriaRole.Heading, new() { Name = "A turn was interrupted" }),
            stop = page.GetByRole(AriaRole.Button, new() { Name = "Stop" });
        await Assertions.Expect(stop.Or(interrupted)).ToBeVisibleAsync();
        if (await stop.IsVisibleAsync())
        {
            await StudioBrowser.CheckAsync(page, "a turn that waits");
            await stop.ClickAsync();
        }
        await Assertions.Expect(interrupted).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Give it up" }).ClickAsync();
        await Assertions.Expect(page.Locator(".rows .verdict.rejected")).ToHaveTextAsync("not promoted");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "0 of 24 choices until the next turn" }))
            .ToBeVisibleAsync();
    }

    [Fact]
    public async Task Report_OfATurn_IsShownWhereNoScriptRuns()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_studio.Home, "runs", "turn-0001")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "turn.html"), "<p>report</p><script>alert(1)</script>");
        HttpResponseMessage report = await _studio.Server.Http.GetAsync(new Uri("/loop/reports/1", UriKind.Relative));
        Assert.StartsWith("sandbox;", report.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        foreach (string address in new[] { "/loop/reports/2", "/loop/reports/..%2f..", "/loop/reports/-1" })
            Assert.Equal(404, (int)(await _studio.Server.Http.GetAsync(new Uri(address, UriKind.Relative))).StatusCode);
    }

    /// <summary>A turn that has come as far as its question, as the loop leaves it.</summary>
    private async Task<(string Champion, string Candidate)> AskingTurnAsync()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        string champion = (await store.ChampionAsync())!.Hash;
        ModelFolder candidate = TinyModel.Create(_studio.Models, seed: 2, context: 1024);
        await store.RegisterModelAsync(candidate);
        CuratedDataset dataset = CuratedDataset.Create([.. Enumerable.Range(0, 8).Select(i => new CuratedExample
        {
            Kind = ExampleKind.Supervised, User = "ada", Prompt = new([Message.User($"Write {i}.")]), Preferred = $"text {i}",
            GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
        })], new SplitRules(new CurateRecipe(), new byte[32], new Dictionary<string, Split>(), new Dictionary<string, Split>(),
            new HashSet<string>()));
        dataset.Write(store.Home.Datasets);
        string frozen = Path.Combine(_studio.Home, "frozen.jsonl");
        await File.WriteAllLinesAsync(frozen,
            Enumerable.Range(0, 2).Select(i => new Conversation([Message.User($"{i}"), Message.Assistant("yes")]).ToString()));
        string folder = Directory.CreateDirectory(Path.Combine(store.Home.Runs, "turn-0001")).FullName;
        foreach ((string who, string hash, string text) in new[] { ("champion", champion, "old <b>text</b>"),
            ("candidate", candidate.Hash, "new text") })
        {
            var exam = new ExamResult { ModelHash = hash, Texts = [1.0, 1.5], Margins = [], Regression = [1.0, 2.0],
                Answers = [new("Write 0.", text, 3, null), new("Write 1.", "the same", 3, null)] };
            await File.WriteAllTextAsync(Path.Combine(folder, $"{who}.json"), JsonSerializer.Serialize(exam, JsonText.Indented));
        }
        await using FlywheelDb db = store.Tables();
        db.Turns.Add(new TurnRow
        {
            Id = Guid.CreateVersion7(), Number = 1, Started = DateTimeOffset.UtcNow, State = TurnState.Waiting, Champion = champion,
            Candidate = candidate.Hash, Dataset = dataset.Hash, Reason = "frozen set: not worse",
            Recipe = $$"""
                name: small
                stages:
                  - train: { objective: supervised, steps: 1, batch_tokens: 64, micro_tokens: 64, learning_rate: 1e-4 }
                gate: { regression: "{{frozen}}", regression_margin: 0.05 }
                """,
        });
        await db.SaveChangesAsync();
        return (champion, candidate.Hash);
    }
}
