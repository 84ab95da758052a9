using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>The model that comes with the project, as a person meets it: a set of drafts, of which the page shows the three best by
/// rank.</summary>
public sealed class RankedDraftsTests : IAsyncLifetime
{
    private const int NumCandidates = DraftSampling.NumCandidates, NumShown = 3;

    private StudioBrowser? _studio;

    public async ValueTask InitializeAsync() =>
        _studio = await StudioBrowser.StartAsync(Path.Combine(TestFiles.Root, "models", "first"));

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Write_FirstModel_ShowsTheBestThreeAndRecordsAll()
    {
        IPage page = await _studio!.OpenAsync();
        await page.GetByLabel("Name", new() { Exact = true }).FillAsync("Lanternfish");
        await page.GetByLabel("What it is").FillAsync("Bakery");
        await page.GetByLabel("Facts").FillAsync("rye bread with walnuts\nopens at five\nclosed in August");
        // How each fact will be said stands below it, and is corrected there: at once, and for the next briefs.
        ILocator said = page.Locator(".said li span");
        await Assertions.Expect(said).ToHaveCountAsync(3);
        // beside the third, of which nobody is sure
        await Assertions.Expect(said.Nth(0)).ToHaveTextAsync("Good to know: rye bread with walnuts");
        await Assertions.Expect(said.Nth(1)).ToHaveTextAsync("Lanternfish opens at five");
        await page.GetByLabel("How “rye bread with walnuts” is said").SelectOptionAsync("Lanternfish offers rye bread with walnuts.");
        await Assertions.Expect(said.First).ToHaveTextAsync("Lanternfish offers rye bread with walnuts");
        await page.GetByLabel("How “closed in August” is said").SelectOptionAsync("Say nothing of it");
        await Assertions.Expect(page.Locator(".said .unsaid")).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Button, new() { Name = "Write", Exact = true }).ClickAsync();
        ILocator keep = page.Locator(".draft").GetByRole(AriaRole.Button, new() { Name = "Keep" });
        await Assertions.Expect(keep).ToHaveCountAsync(NumShown);
        string[] shown = [.. await page.Locator(".draft .text").AllInnerTextsAsync()];
        await keep.First.ClickAsync();
        await Assertions.Expect(page.Locator(".draft.kept")).ToHaveCountAsync(1);

        IPage next = await _studio.OpenAsync(page.Context, "/write/new");
        await next.GetByLabel("Facts").FillAsync("Rye bread with walnuts\nopens at six");
        await Assertions.Expect(next.Locator(".said li span").First).ToHaveTextAsync("It offers rye bread with walnuts");
        IPage phone = await _studio.OpenAsync("/write/new", 390, "zh-CN", dark: true);
        await phone.GetByLabel("事实").FillAsync("a roof terrace from which one sees the harbour and the ferries\nopens at five");
        await Assertions.Expect(phone.Locator(".said li")).ToHaveCountAsync(2);
        await StudioBrowser.CheckAsync(phone, "how facts are said");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        Generation[] all = [.. (await store.RecentGenerationsAsync(NumCandidates + 1)).OrderBy(generation => generation.CandidateRank)];
        Assert.Equal(Enumerable.Range(0, NumCandidates).Cast<int?>(), all.Select(generation => generation.CandidateRank));
        Assert.All(all, generation => Assert.Equal(NumCandidates, generation.NumCandidates));
        for (int i = 0; i < NumShown; i++) Assert.Contains(all[i].Payload!.Text.Trim(), shown[i], StringComparison.Ordinal);
        Assert.Contains("Lanternfish", all[0].Payload!.Text, StringComparison.Ordinal);
        // what it was drawn from is recorded
        Assert.All(all, generation => Assert.Contains("bread with walnuts", generation.Payload!.Sampler.Grammar, StringComparison.Ordinal));
        Assert.Equal(NumCandidates, all.Select(generation => generation.Payload!.Sampler.Temperature).Distinct().Count());
        Assert.All(all,
            generation =>
                Assert.EndsWith("Facts:\n- it offers rye bread with walnuts\n- it opens at five",
                    generation.Payload!.Conversation!.Messages[^1].Text, StringComparison.Ordinal));
        Assert.Single(await store.FeedbackAsync(all[0].Id)); // what was kept is the draft that was shown first
        Assert.All(all.Skip(1), generation => Assert.NotEqual(all[0].Id, generation.Id));
    }
}
