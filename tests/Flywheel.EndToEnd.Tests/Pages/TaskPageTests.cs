using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the pages of tasks: drawn from a file, nothing typed is lost, every judgement is recorded.</summary>
public sealed class TaskPageTests : IAsyncLifetime
{
    private const string Say = """
        name: say
        title: {en: Say it, zh-CN: 读出来}
        about: {en: From a word to its phones., zh-CN: 把单词变成音素。}
        licence: Apache-2.0
        fields:
          - {name: word, label: {en: Word, zh-CN: 单词}, max_length: 20}
          - {name: accent, label: {en: Accent, zh-CN: 口音}, choices: [plain, strong], required: false}
          - {name: times, label: {en: Times, zh-CN: 次数}, widget: number, min: 1, max: 9}
        output: {label: {en: Phones, zh-CN: 音素}, modality: phone}
        form: {ask: "Say {{ word }} {{ times }} times{% if accent %}, {{ accent }}{% endif %}", max_tokens: 8}
        sources:
          - {source: draw, limit: 10, draws: [{name: word, of: [a, b]}, {name: times, from: 1, to: 2}], fields: {accent: ""}, answer: "AH0"}
        metrics: [symbol-error]
        examples:
          - {fields: {word: cat, times: 2}, answer: K AE1 T}
        """;

    private StudioBrowser _studio = null!;
    private ModelFolder _model = null!;

    public async ValueTask InitializeAsync()
    {
        using var models = new TempFolder();
        Tokenizer tokenizer = Tokenizer.Train(["Say cat 2 times, plain strong", "Say dog 3 times"], 320,
            [.. ReservedTokens.Groups["phone"]]);
        _model = TinyModel.Create(models["models"], context: 512, tokenizer: tokenizer);
        _studio = await StudioBrowser.StartAsync(_model.Path);
        string folder = Directory.CreateDirectory(Path.Combine(_studio.Home, "tasks", "say")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "task.yaml"), Say);
    }

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Task_ExampleTriedAndCorrected_IsRecordedAndStaysAfterAReload()
    {
        IPage page = await _studio.OpenAsync("/tasks");
        await page.GetByRole(AriaRole.Link, new() { Name = "Say it" }).ClickAsync();
        await Assertions.Expect(page.GetByText("was not trained for this task")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "cat · 2" }).ClickAsync();
        await Assertions.Expect(page.Locator(".result .symbols span").First).ToBeVisibleAsync();
        await Assertions.Expect(page.GetByLabel("Word")).ToHaveValueAsync("cat");
        await page.GetByRole(AriaRole.Button, new() { Name = "Correct it" }).ClickAsync();
        await page.GetByLabel("The right answer").FillAsync("K  AE1 T");
        await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
        await Assertions.Expect(page.Locator(".result.corrected")).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "a corrected answer");
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".result.corrected .symbols span")).ToHaveTextAsync(["K", "AE1", "T"]);
        await page.GetByRole(AriaRole.Button, new() { Name = "Take back" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Wrong" }).ClickAsync();
        await Assertions.Expect(page.Locator(".result.wrong")).ToBeVisibleAsync();

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        Generation generation = Assert.Single(await store.RecentGenerationsAsync(10));
        Assert.Equal("tasks/say", generation.App);
        Assert.Equal([("demonstration", "\"K AE1 T\""), ("retract", "true"), ("discard", "true")],
            (await store.FeedbackAsync(generation.Id)).Select(one => (one.Metric, one.Value)));
    }

    [Fact]
    public async Task Task_TypedAndReloaded_LosesNothingAndSaysWhatIsMissing()
    {
        IPage page = await _studio.OpenAsync("/tasks/say");
        await page.GetByLabel("Word").FillAsync("dog");
        await page.GetByLabel("Accent").SelectOptionAsync("strong");
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.GetByLabel("Word")).ToHaveValueAsync("dog");
        await Assertions.Expect(page.GetByLabel("Accent")).ToHaveValueAsync("strong");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.GetByText("This is needed.")).ToBeVisibleAsync();
        await page.GetByLabel("Times").FillAsync("12");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.GetByText("A number from 1 to 9, please.")).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "a wrong field");
        await page.GetByLabel("Times").FillAsync("3");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".result .asked")).ToHaveTextAsync("dog · strong · 3");
    }

    [Fact]
    public async Task Task_MeasuredModel_ShowsTheMetricBesideTheBaseline()
    {
        new TaskEvaluation
        {
            Task = "say", Model = _model.Hash, ModelName = "tiny", Time = DateTimeOffset.UtcNow, NumItems = 100, NumHeldOut = 120,
            Scores = [new("symbol-error", false, 0.071, 0.06, 0.08, 0.4, 0.35, 0.45)],
        }.Write(new FlywheelHome(_studio.Home));
        IPage page = await _studio.OpenAsync("/tasks/say", language: "zh-CN");
        await Assertions.Expect(page.Locator(".measured td.better")).ToHaveTextAsync("7.1 % (6.0–8.0)");
        await Assertions.Expect(page.Locator(".measured")).ToContainTextAsync("40.0 % (35.0–45.0)");
        foreach ((string language, bool dark, int width) in new[] { ("en", true, 1440), ("zh-CN", false, 390) })
        {
            IPage other = await _studio.OpenAsync("/tasks/say", width, language, dark);
            await StudioBrowser.CheckAsync(other, $"a measured task {language} {width}");
            await other.Context.CloseAsync();
        }
    }

    [Fact]
    public async Task Task_NobodyHas_SaysSoAndLeadsOn()
    {
        IPage page = await _studio.OpenAsync("/tasks/nothing");
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "There is no such task" })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "All tasks" }).ClickAsync();
        await Assertions.Expect(page.Locator(".task-cards")).ToContainTextAsync("Copywriting");
    }
}
