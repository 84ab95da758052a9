using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Chat: everything said is kept, each question and answer can be tried anew, each answer judged.</summary>
public sealed class ChatPageTests : IAsyncLifetime
{
    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Chat_AskEditRegenerateRate_KeepsEveryBranchAndTheJudgement()
    {
        IPage page = await OpenAsync();
        await AskAsync(page, "First question");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/chat/[0-9a-f-]{36}"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Another answer" }).ClickAsync();
        await AnsweredAsync(page);
        await Assertions.Expect(page.Locator(".message.assistant .branches")).ToContainTextAsync("2/2");
        await page.GetByRole(AriaRole.Button, new() { Name = "Edit" }).ClickAsync();
        await page.GetByLabel("Edit").FillAsync("Edited question");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator(".message.user .said")).ToHaveTextAsync("Edited question");
        await AnsweredAsync(page);
        await page.GetByRole(AriaRole.Button, new() { Name = "The one before" }).First.ClickAsync();
        await Assertions.Expect(page.Locator(".message.user .said")).ToHaveTextAsync("First question");
        await page.GetByRole(AriaRole.Button, new() { Name = "Bad answer" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Too long" }).ClickAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Bad answer" }))
            .ToHaveAttributeAsync("aria-pressed", "true");
        await StudioBrowser.CheckAsync(page, "chat");
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Bad answer" }))
            .ToHaveAttributeAsync("aria-pressed", "true");
        await Assertions.Expect(page.Locator(".message.user .branches")).ToContainTextAsync("1/2");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        IReadOnlyList<Generation> generations = await store.RecentGenerationsAsync(10);
        Assert.Equal(3, generations.Count);
        Assert.All(generations, generation => Assert.Equal("chat", generation.App));
        List<Feedback> said = [];
        foreach (Generation generation in generations) said.AddRange(await store.FeedbackAsync(generation.Id));
        Assert.Equal([("rating", "0"), ("comment", "\"long\"")], said.Select(one => (one.Metric, one.Value)));
    }

    [Fact]
    public async Task Chat_SystemPromptAndSampling_ReachTheModelAndStay()
    {
        IPage page = await OpenAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings of the answers" }).ClickAsync();
        await page.GetByLabel("System prompt").FillAsync("Answer in verse.");
        await page.GetByLabel("Temperature").FillAsync("0.3");
        await page.GetByLabel("Longest answer").FillAsync("5");
        await page.GetByLabel("Longest answer").BlurAsync();
        await AskAsync(page, "Hello");
        await Assertions.Expect(page.Locator(".message.system")).ToContainTextAsync("Answer in verse.");
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings of the answers" }).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Temperature")).ToHaveValueAsync("0.3");
        await StudioBrowser.CheckAsync(page, "chat settings");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        Generation generation = Assert.Single(await store.RecentGenerationsAsync(10));
        Assert.Equal((5, 0.3f), (generation.Payload!.MaxTokens, generation.Payload.Sampler.Temperature));
        Assert.Equal(new Conversation([Message.System("Answer in verse."), Message.User("Hello")]), generation.Payload.Conversation);
    }

    [Fact]
    public async Task Chat_StopThenReload_KeepsWhatHadComeAndWhatWasBeingTyped()
    {
        using var models = new TempFolder(); // a quick model that ends by itself would be done before anybody can stop it
        string endless = TinyModel.Create(models.Path, context: 32_768, endless: true).Path;
        await using StudioBrowser studio = await StudioBrowser.StartAsync(endless);
        IPage page = await studio.OpenAsync("/chat");
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings of the answers" }).ClickAsync();
        await page.GetByLabel("Longest answer").FillAsync("32768");
        await page.GetByLabel("Longest answer").BlurAsync();
        await page.GetByLabel("Write a message").FillAsync("Tell me everything");
        await page.Keyboard.PressAsync("Enter");
        await page.GetByRole(AriaRole.Button, new() { Name = "Stop" }).ClickAsync();
        await AnsweredAsync(page);
        // However long the answer is, the talk scrolls and the message stays at the foot of the page.
        await Assertions.Expect(page.GetByLabel("Write a message")).ToBeInViewportAsync();
        Assert.Equal(0, await page.EvaluateAsync<int>("() => document.documentElement.scrollHeight - innerHeight"));
        await page.GetByLabel("Write a message").FillAsync("half a mess");
        await page.ReloadAsync();
        await Assertions.Expect(page.GetByLabel("Write a message")).ToHaveValueAsync("half a mess");
        await Assertions.Expect(page.Locator(".message.assistant")).ToHaveCountAsync(1);
    }

    [Fact]
    public async Task Conversations_SearchDeleteUndoAndAStranger_FindWhatIsTheirs()
    {
        IPage page = await OpenAsync();
        await AskAsync(page, "About 100% of lanterns <b>\"quoted\"</b>");
        string address = new Uri(page.Url).AbsolutePath;
        await page.GetByRole(AriaRole.Link, new() { Name = "New conversation" }).ClickAsync();
        await AskAsync(page, "About fish");
        ILocator list = page.Locator(".conversations li");
        await Assertions.Expect(list).ToHaveCountAsync(2);
        await page.GetByRole(AriaRole.Searchbox).FillAsync("100% LANTERNS \"quoted\"");
        await Assertions.Expect(list).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Searchbox).FillAsync("%_");
        await Assertions.Expect(list).ToHaveCountAsync(0);
        await page.GetByRole(AriaRole.Searchbox).FillAsync("");
        await Assertions.Expect(list).ToHaveCountAsync(2);
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete About fish" }).ClickAsync();
        await Assertions.Expect(list).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(list).ToHaveCountAsync(2);
        IPage stranger = await _studio.OpenAsync(address);
        await Assertions.Expect(stranger.GetByText("There is no such conversation")).ToBeVisibleAsync();
        await Assertions.Expect(stranger.Locator(".conversations li")).ToHaveCountAsync(0);
    }

    private Task<IPage> OpenAsync() => _studio.OpenAsync("/chat");

    private static async Task AskAsync(IPage page, string question)
    {
        await page.GetByLabel("Write a message").FillAsync(question);
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator(".message.user .said").Last).ToHaveTextAsync(question);
        await AnsweredAsync(page);
    }

    /// <summary>The branch ends in an answer that is done.</summary>
    private static async Task AnsweredAsync(IPage page)
    {
        await Assertions.Expect(page.Locator(".messages > *").Last).ToHaveClassAsync("message assistant", new() { Timeout = 60_000 });
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Send", Exact = true })).ToBeVisibleAsync();
    }
}
