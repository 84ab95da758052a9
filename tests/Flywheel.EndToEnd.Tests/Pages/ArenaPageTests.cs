using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person in the arena: two answers without names, a choice by keyboard, then the names; through a reload, on a phone and in
/// Chinese.</summary>
public sealed class ArenaPageTests
{
    [Fact]
    public async Task Arena_TwoAnswersAChoiceAndOnward_RevealsNamesAndCounts()
    {
        await using StudioBrowser studio = await StudioBrowser.StartAsync();
        TinyModel.Create(Path.Combine(studio.Home, "models"), seed: 2, context: 1024);
        IPage page = await studio.OpenAsync("/chat/arena");
        // The starter lies on disk too; it stays out.
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new Regex("models compete") }).ClickAsync();
        await page.GetByLabel("tiny-2").CheckAsync();
        foreach (ILocator other in await page.Locator(".contenders label").Filter(new() { HasNotTextRegex = new Regex("tiny") }).AllAsync())
            await other.GetByRole(AriaRole.Checkbox).UncheckAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "2 models compete" })).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "who competes");

        await page.GetByLabel("Ask both").FillAsync("Write a tagline.");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/chat/arena/[0-9a-f-]{36}"));
        await page.ReloadAsync(); // in mid-stream, or just after it
        await StudioBrowser.LiveAsync(page);
        ILocator better = page.GetByRole(AriaRole.Button, new() { Name = "B is better" });
        await Assertions.Expect(better).ToBeEnabledAsync();
        await Assertions.Expect(page.Locator(".reply .author")).ToHaveTextAsync(["hidden until you choose", "hidden until you choose"]);
        await Assertions.Expect(page.Locator(".duel")).Not.ToContainTextAsync("tiny");
        await StudioBrowser.CheckAsync(page, "a round");
        await page.Locator("h1").FocusAsync();
        await page.Keyboard.PressAsync("2");
        await Assertions.Expect(page.Locator(".outcome"))
            .ToHaveTextAsync(new Regex(@"You chose B: tiny-\d · [0-9a-f]{12}\. A was tiny-\d"));
        await Assertions.Expect(page.Locator(".reply.kept .letter")).ToHaveTextAsync("B");
        await StudioBrowser.CheckAsync(page, "a round that is over");

        await page.GetByLabel("Ask both").FillAsync("Shorter, please.");
        await page.Keyboard.PressAsync("Enter");
        // what was asked, the chosen answer, what is asked now
        await Assertions.Expect(page.Locator(".messages > .message")).ToHaveCountAsync(3);
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Both bad" })).ToBeEnabledAsync();
        await page.Locator("h1").FocusAsync();
        await page.Keyboard.PressAsync("4");
        await Assertions.Expect(page.Locator(".outcome")).ToContainTextAsync("Both bad");
        await Assertions.Expect(page.Locator(".onward")).ToHaveCountAsync(0);

        IPage phone = await studio.OpenAsync("/chat/arena/results", width: 390, language: "zh-CN", dark: true);
        await Assertions.Expect(phone.Locator(".duo .note")).ToContainTextAsync("仅有 1 人");
        await StudioBrowser.CheckAsync(phone, "results on a phone");
        await phone.GotoAsync(page.Url); // another person's
        await StudioBrowser.LiveAsync(phone);
        await Assertions.Expect(phone.GetByText("没有这一局")).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(phone, "nobody's round on a phone");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(studio.Home));
        ArenaPair pair = Assert.Single(await ArenaResults.ReadAsync(store, TestContext.Current.CancellationToken));
        Assert.Equal((2, 1, 1), (pair.NumChoices, pair.NumPeople, pair.BothBad));
    }
}
