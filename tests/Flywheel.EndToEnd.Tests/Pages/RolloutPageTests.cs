using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A rollout as the page Loop shows it, through a kill of the server.</summary>
public sealed class RolloutPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Rollout_KilledAndOpenedAgain_GoesOnWithTheSamePeopleAndIsEndedByHand()
    {
        await _studio.MoveToProcessAsync();
        await using (FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home)))
        await using (FlywheelDb db = store.Tables())
        {
            // the same people fall to the candidate each time
            db.Secrets.Add(new SecretRow { Name = RolloutSplit.Secret, Value = new byte[32], Created = DateTimeOffset.UnixEpoch });
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        ModelFolder candidate = TinyModel.Create(_studio.Models, seed: 2, context: 1024);
        JsonObject begun = await _studio.Server.PostAsync("/v1/rollouts", new() { ["candidate"] = candidate.Path, ["share"] = 25 });
        (long id, string champion) = ((long)begun["id"]!, (string)begun["champion"]!);
        await JudgeAsync(id, champion, candidate.Hash);
        Dictionary<string, string> before = await AskAllAsync();
        Assert.Equal(2, before.Values.Distinct().Count());

        await _studio.CrashAndRestartAsync();
        Assert.Equal(before, await AskAllAsync());
        foreach (string user in before.DistinctBy(person => person.Value).Select(person => person.Key))
            Assert.Equal(before[user], (string)(await _studio.Server.PostAsync("/v1/tasks/arithmetic",
                new() { ["fields"] = new JsonObject { ["a"] = "2", ["op"] = "+", ["b"] = "2" }, ["user"] = user }))["model_hash"]!);

        IPage page = await _studio.OpenAsync("/loop");
        ILocator card = page.Locator("section.rollout");
        await Assertions.Expect(card.GetByRole(AriaRole.Heading)).ToHaveTextAsync("Trying a candidate");
        await Assertions.Expect(card.Locator("[aria-current=step]")).ToHaveTextAsync("25%");
        await Assertions.Expect(card.Locator("figcaption")).ToContainTextAsync("Acceptance");
        await StudioBrowser.CheckAsync(page, "a rollout");
        IPage phone = await _studio.OpenAsync("/loop", width: 390, language: "zh-CN", dark: true);
        await Assertions.Expect(phone.Locator("section.rollout h2")).ToHaveTextAsync("正在试用候选模型");
        await StudioBrowser.CheckAsync(phone, "a rollout on a phone");

        await card.GetByRole(AriaRole.Button, new() { Name = "Stop" }).ClickAsync();
        await Assertions.Expect(card.GetByRole(AriaRole.Heading)).ToContainTextAsync("The trial was stopped");
        await Assertions.Expect(phone.Locator("section.rollout h2")).ToContainTextAsync("试用已停止"); // who else looks, sees it
        Assert.All((await AskAllAsync()).Values, model => Assert.Equal(champion, model));

        await page.GetByText("Try another model on part of the people").ClickAsync();
        await page.GetByLabel("Share").SelectOptionAsync("0.5");
        await page.GetByRole(AriaRole.Button, new() { Name = "Start" }).ClickAsync();
        await Assertions.Expect(card.GetByRole(AriaRole.Heading)).ToHaveTextAsync("Trying a candidate");
        await card.GetByRole(AriaRole.Button, new() { Name = "Promote" }).ClickAsync();
        await card.GetByRole(AriaRole.Button, new() { Name = "Yes, serve it to everybody" }).ClickAsync();
        await Assertions.Expect(card.GetByRole(AriaRole.Heading, new() { Name = "The candidate was promoted" })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator("main .head")).ToContainTextAsync(candidate.Hash[..12]);
    }

    private async Task<Dictionary<string, string>> AskAllAsync()
    {
        var models = new Dictionary<string, string>();
        foreach (int person in Enumerable.Range(0, 20))
            models[$"user-{person}"] =
                (string)(await _studio.Server.PostAsync("/v1/completions",
                    new() { ["model"] = "flywheel", ["prompt"] = "x", ["max_tokens"] = 1, ["user"] = $"user-{person}" }))["model_hash"]!;
        return models;
    }

    /// <summary>People who accept about half, of either model.</summary>
    private async Task JudgeAsync(long id, string champion, string candidate)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        var split = new RolloutSplit(await store.SecretAsync(RolloutSplit.Secret), id);
        var random = new Random(5);
        var made = new List<(Generation Answer, bool Kept)>();
        foreach (int person in Enumerable.Range(100, 60))
            for (int i = 0; i < RolloutTracker.PerPerson; i++)
            {
                bool second = split.IsCandidate($"user-{person}", 0.25);
                var answer = Guid.CreateVersion7();
                made.Add((new()
                {
                    Id = answer, Group = answer, Time = DateTimeOffset.UtcNow, User = $"user-{person}", App = "api",
                    ModelHash = second ? candidate : champion, FinishReason = FinishReason.Stop,
                    Rollout = id, Variant = second ? "candidate" : "champion", Propensity = second ? 0.25 : 0.75,
                    LatencyMs = 700 + random.Next(200),
                    Payload = new() { GenerationId = answer, Text = "a text", PromptTokens = [1], Tokens = [2], Logprobs = [0],
                        SamplerLogprobs = [0], Sampler = new() },
                }, random.NextDouble() < 0.5));
            }
        await Task.WhenAll(made.Select(one => store.RecordAsync(one.Answer)));
        await Task.WhenAll(
            made.Select(one =>
                store.AddFeedbackAsync(new(one.Answer.Id, one.Kept ? Metrics.Keep : Metrics.Discard, JsonValue.Create(true),
                    one.Answer.User))));
    }
}
