using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Voice whose line does not fit its time, and who takes a shorter one by a key.</summary>
public sealed class VoiceShorterTests : IAsyncLifetime
{
    private const string Long = "Please wait on the line in order to speak to us.", Short = "Wait on the line to speak to us.";

    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync()
    {
        if (!new FliteEngine().Program.IsInstalled) Assert.Skip("flite is not installed (Debian: apt-get install flite)");
        _studio = await StudioBrowser.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task ShorterText_BesideALineThatIsTooLong_IsTakenByAKeyAndLearntUntilItIsUndone()
    {
        // an outline that is asked for of a sound that the line no longer has
        _studio.Expected = complaint => complaint.Contains("/peaks/", StringComparison.Ordinal);
        // Shortened to two thirds of the letters, it fits three quarters of the time.
        var film = new VoiceProject
        {
            Name = "Line", Voice = new() { Voice = "flite:slt" },
            Lines = [
                new VoiceLine { Id = "1", Text = Long, Start = TimeSpan.Zero, End = TimeSpan.FromSeconds(1.5) },
                new VoiceLine { Id = "2", Text = "Thank you.", Start = TimeSpan.FromSeconds(1.9), End = TimeSpan.FromSeconds(4) }],
        };
        IPage page = await _studio.OpenAsync("/voice");
        await StudioBrowser.ChooseAsync(page.GetByLabel("Open a file"), new FilePayload { Name = "line.json",
            MimeType = "application/json", Buffer = System.Text.Encoding.UTF8.GetBytes(film.ToJson()) });
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(2);
        await Assertions.Expect(page.Locator(".offers")).ToHaveCountAsync(0); // how long it is is not known yet
        await page.GetByRole(AriaRole.Button, new() { Name = "Render 2 lines" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(2);

        ILocator offer = page.GetByRole(AriaRole.List, new() { Name = "Shorter texts for line 1" }).Locator("li");
        await Assertions.Expect(offer).ToHaveCountAsync(1);
        await Assertions.Expect(offer).ToContainTextAsync(Short);
        await Assertions.Expect(offer).ToContainTextAsync("by rule");
        await Assertions.Expect(offer).ToHaveAttributeAsync("data-fits", "yes");
        await Assertions.Expect(offer.Locator(".length")).ToHaveTextAsync(new System.Text.RegularExpressions.Regex(@"^≈ 1\.\d s$"));
        await StudioBrowser.CheckAsync(page, "a shorter text beside a line");
        Assert.Empty(await KeptAsync());

        await page.Locator(".vline").First.GetByRole(AriaRole.Button, new() { Name = "Play line 1" }).FocusAsync();
        await page.Keyboard.PressAsync("1");
        ILocator text = page.GetByLabel("Text of line 1");
        await Assertions.Expect(text).ToHaveValueAsync(Short);
        await Assertions.Expect(text).ToBeFocusedAsync();
        await Assertions.Expect(page.Locator(".offers")).ToHaveCountAsync(0);
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        Assert.Equal([Short], await KeptAsync());

        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(text).ToHaveValueAsync(Long);
        await Assertions.Expect(offer).ToHaveCountAsync(1);
        Assert.Empty(await KeptAsync());
    }

    /// <summary>Suggestions that stand as kept.</summary>
    private async Task<string[]> KeptAsync()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using FlywheelDb db = store.Tables();
        var said = await db.Feedback.OrderBy(row => row.Sequence).Select(row => new { row.GenerationId, row.Metric }).ToListAsync();
        Guid[] kept = [.. said.GroupBy(row => row.GenerationId).Where(about => about.Last().Metric == Metrics.Keep)
            .Select(about => about.Key)];
        return [.. (await db.Generations.Include(row => row.Payload).Where(row => kept.Contains(row.Id)).ToListAsync())
            .Select(row => row.Payload!.Text)];
    }
}
