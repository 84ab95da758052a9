using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>Reviewers at the page Review, by keys: approve, correct, reject, compare blind, undo, and two on the same item at
/// once.</summary>
public sealed class ReviewPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Review_ByKeysAndByTwoAtOnce_DecidesEachItem()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await AddAsync(store, "Draw <b>anything</b>, fast.", "Words that stay.");
        await AddAsync(store, "Ask ann@example.org about it.", null);
        await AddAsync(store, "Write without noise.", "The quiet editor.");
        IPage page = await _studio.OpenAsync("/loop/review");
        IPage colleague = await _studio.OpenAsync("/review", width: 390, language: "zh-CN", dark: true);
        ILocator said = page.Locator("#said"), progress = page.Locator("#progress"), text = page.Locator(".item > .text");
        await Assertions.Expect(progress).ToHaveTextAsync("0 of 3");
        await Assertions.Expect(page.Locator(".item .why")).ToContainTextAsync("an e-mail address"); // what stands out comes first
        await StudioBrowser.CheckAsync(page, "the queue");

        // Corrected in place.
        await page.Keyboard.PressAsync("e");
        await Assertions.Expect(page.Locator("#edit")).ToBeFocusedAsync();
        await page.Locator("#edit").FillAsync("Ask us about it.");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(said).ToHaveTextAsync("Corrected: this text is learnt instead.");
        await Assertions.Expect(progress).ToHaveTextAsync("1 of 3");
        await Assertions.Expect(text).ToHaveTextAsync("Draw <b>anything</b>, fast.");
        await page.Keyboard.PressAsync("a");
        await Assertions.Expect(progress).ToHaveTextAsync("2 of 3");
        await Assertions.Expect(text).ToHaveTextAsync("Write without noise.");
        await page.Keyboard.PressAsync("x");
        await Assertions.Expect(page.Locator("#why-1")).ToBeFocusedAsync();
        await StudioBrowser.CheckAsync(page, "asked why");
        await page.Keyboard.PressAsync("2");
        await Assertions.Expect(said).ToHaveTextAsync("Rejected.");
        await Assertions.Expect(page.GetByText("Nothing is left in this view.")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("u");
        await Assertions.Expect(said).ToHaveTextAsync("Undone.");
        await Assertions.Expect(progress).ToHaveTextAsync("2 of 3");

        // Which was taken is not shown; choosing the same text approves.
        await page.Keyboard.PressAsync("c");
        await Assertions.Expect(page.Locator(".pair .side")).ToHaveCountAsync(2);
        await StudioBrowser.CheckAsync(page, "blind");
        await page.Keyboard.PressAsync(await page.Locator(".pair .side").First.Locator(".text").InnerTextAsync() == "Write without noise."
            ? "1" : "2");
        await Assertions.Expect(said).ToHaveTextAsync("You chose the same text: approved.");

        // A colleague had the same item open all the while.
        await Assertions.Expect(colleague.Locator("#progress")).ToHaveTextAsync("0 / 3");
        await StudioBrowser.CheckAsync(colleague, "the queue on a phone, dark, in Chinese");
        await colleague.Keyboard.PressAsync("x");
        await Assertions.Expect(colleague.Locator("#why-1")).ToBeFocusedAsync();
        await colleague.Keyboard.PressAsync("4");
        await Assertions.Expect(colleague.Locator("#said")).ToContainTextAsync("的意见不同");
        await page.GetByLabel("Which items").SelectOptionAsync("Disputed");
        await Assertions.Expect(page.Locator(".item .decisions")).ToContainTextAsync("含个人信息");
        await page.GetByLabel("Learn only what was let in here").CheckAsync();
        await Assertions.Expect(page.GetByText("What people do waits here.")).ToBeVisibleAsync();

        Assert.True(HomeSettings.Read(store.Home).RequireReview);
        ReviewList list = await new ReviewQueue(store).ListAsync(new() { View = ReviewView.All });
        Assert.Equal([ReviewOutcome.Disputed, ReviewOutcome.Approved, ReviewOutcome.Approved],
            list.Items.Select(item => item.State.Outcome).OrderDescending());
        ReviewItem disputed = list.Items.Single(item => item.State.Outcome == ReviewOutcome.Disputed);
        Assert.Equal("Ask us about it.", disputed.State.Standing[0].Text);
    }

    /// <summary>An answer that was kept, and one beside it that was not.</summary>
    private static async Task AddAsync(FlywheelStore store, string kept, string? other)
    {
        Guid group = Guid.CreateVersion7();
        Guid[] ids = [group, Guid.CreateVersion7()];
        foreach ((int choice, string text) in new[] { kept, other }.OfType<string>().Index())
            await store.RecordAsync(new Generation
            {
                Id = ids[choice], Group = group, Choice = choice, Time = DateTimeOffset.UtcNow, App = "write", User = "ann",
                ModelHash = "m", FinishReason = FinishReason.Stop,
                Payload = new()
                {
                    Conversation = new([Message.User("Write a tagline.\nName: Quill")]), Text = text, PromptTokens = [], Tokens = [],
                    Logprobs = [], SamplerLogprobs = [], Sampler = new(),
                },
            });
        await store.AddFeedbackAsync(new(ids[0], Metrics.Keep, true, "ann"));
    }
}
