using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A translator at the page Translate: a real browser, the real server, and what the record says afterwards.</summary>
public sealed class TranslatePageTests : IAsyncLifetime
{
    private const string Sample =
        "# Getting started\n\nOpen the box. Charge the battery for 3 hours.\n\n- Press the **red button** to start.\n- Open the box.\n\nWrite to {name}.\n";

    private StudioBrowser _studio = null!;

    public async ValueTask InitializeAsync() => _studio = await StudioBrowser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_studio is not null) await _studio.DisposeAsync();
    }

    [Fact]
    public async Task Translation_FromPasteToExport_TeachesRemembersAndComesOutInItsForm()
    {
        IBrowserContext person = await _studio.NewPersonAsync();
        IPage page = await BeginAsync(person, Sample);
        ILocator segments = page.Locator(".segment");
        await Assertions.Expect(segments).ToHaveCountAsync(6);
        await StudioBrowser.CheckAsync(page, "segments");

        await page.GetByRole(AriaRole.Button, new() { Name = "Go on" }).ClickAsync();
        await ApproveAsync(page, 1, "Primeros pasos");
        await ApproveAsync(page, 2, "Abra la caja.");
        // The same sentence further down is approved with it, and both are taken back together.
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(3);
        await page.Locator(".mud-snackbar").GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(1);
        await Assertions.Expect(page.GetByText("The approval is taken back")).ToBeAttachedAsync(); // and the page is drawn to its end
        await segments.Nth(1).GetByRole(AriaRole.Button).First.ClickAsync();
        await ApproveAsync(page, 2, "Abra la caja.");
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(3);

        // The check sees what a reader may miss, and mends what is mechanical.
        await page.GetByLabel("Translation of segment 3").FillAsync("Cargue  la batería durante 5 horas");
        ILocator issues = page.Locator(".issues li");
        await Assertions.Expect(issues).ToHaveCountAsync(4);
        await page.Mouse.MoveAsync(1, 1); // a notice stays while it is pointed at, and half faded its contrast is none
        await Assertions.Expect(page.Locator(".mud-snackbar")).ToHaveCountAsync(0);
        await StudioBrowser.CheckAsync(page, "remarks");
        await page.Keyboard.PressAsync("Control+.");
        await Assertions.Expect(page.GetByLabel("Translation of segment 3")).ToHaveValueAsync("Cargue la batería durante 5 horas");
        await page.Keyboard.PressAsync("Control+.");
        await Assertions.Expect(page.GetByLabel("Translation of segment 3")).ToHaveValueAsync("Cargue la batería durante 5 horas.");
        await ApproveAsync(page, 3, "Cargue la batería durante 3 horas.");
        await ApproveAsync(page, 4, "Pulse el **botón rojo** para empezar.");
        await ApproveAsync(page, 6, "Escriba a {name}.");
        await Assertions.Expect(page.Locator(".titles")).ToContainTextAsync("6 of 6 approved");
        await Assertions.Expect(page.Locator(".foot")).ToContainTextAsync("5 approved translations of yours");

        IDownload download =
            await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Export" }).ClickAsync());
        Assert.Equal("Getting started.es.md", download.SuggestedFilename);
        Assert.Equal(
            "# Primeros pasos\n\nAbra la caja. Cargue la batería durante 3 horas.\n\n- Pulse el **botón rojo** para empezar.\n- Abra la caja.\n\nEscriba a {name}.\n", await File.ReadAllTextAsync(await download.PathAsync()));

        // Another text: the memory has its first sentence, and one that is like it.
        await BeginAsync(page, "Open the box.\nOpen the boxes.\nSomething else.");
        await Assertions.Expect(page.Locator(".segment.machine")).ToHaveCountAsync(2);
        await page.GetByRole(AriaRole.Button, new() { Name = "Go on" }).ClickAsync();
        await Assertions.Expect(page.Locator(".match").First).ToContainTextAsync("Abra la caja.");
        await Assertions.Expect(page.GetByLabel("Translation of segment 1")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Control+1");
        await Assertions.Expect(page.GetByLabel("Translation of segment 1")).ToHaveValueAsync("Abra la caja.");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".match .score").First).ToHaveTextAsync("86 %");
        await Assertions.Expect(page.Locator(".match ins")).ToHaveTextAsync("boxes");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using FlywheelDb db = store.Tables();
        List<Feedback> said = await db.Feedback.OrderBy(row => row.Sequence).ToListAsync();
        Assert.Equal(["demonstration", "demonstration", "retract", "demonstration", "demonstration", "demonstration", "demonstration",
            "demonstration"], said.Select(row => row.Metric));
        Assert.All(said.Where(row => row.Metric == Metrics.Demonstration).SkipLast(1),
            row => Assert.Contains("\"drafted_by\":\"person\"", row.Tags, StringComparison.Ordinal));
        Assert.Contains("\"drafted_by\":\"memory\"", said[^1].Tags, StringComparison.Ordinal);
        Generation asked = (await store.FindGenerationAsync(said[0].GenerationId))!;
        Assert.Equal(("translate", "", "", "Translate from English into Spanish.\nGetting started"),
            (asked.App, asked.ModelHash, asked.Payload!.Text, asked.Payload.Conversation!.Messages[^1].Text));

        // What curation makes of it: a row for each sentence that was approved in the end, learnt or held out.
        (int code, string output) = await ServerProcess.RunAsync(_studio.Home, "turn", "--dry-run", "--recipe",
            Path.Combine(TestFiles.Root, "recipes", "turn.yaml"));
        Assert.True(code == 0, output);
        Match row = Regex.Match(output, @"supervised examples\D+(\d+)\D+(\d+)");
        Assert.True(row.Success && int.Parse(row.Groups[1].Value) + int.Parse(row.Groups[2].Value) == 5, output);
    }

    [Fact]
    public async Task Apertium_Drafts_AreMendedAndSaidToBeIts()
    {
        Assert.SkipUnless(Tool.Exists("apertium") && File.Exists("/usr/share/apertium/modes/eng-spa.mode"),
            "apertium with eng-spa is not installed: apt-get install apertium apertium-eng-spa");
        IPage page = await BeginAsync(await _studio.NewPersonAsync(), "The house is blue. I have 3 dogs.", engine: "Apertium");
        await Assertions.Expect(page.Locator(".segment.machine")).ToHaveCountAsync(2);
        await Assertions.Expect(page.Locator(".segment").First).ToContainTextAsync("La casa es azul.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Go on" }).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Translation of segment 1")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Control+Enter"); // as it is
        await ApproveAsync(page, 2, "Tengo tres perros, 3.");
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(2);
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(2);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        await using FlywheelDb db = store.Tables();
        List<Feedback> said = await db.Feedback.OrderBy(row => row.Sequence).ToListAsync();
        Assert.Equal(["La casa es azul.", "Tengo tres perros, 3."], said.Select(row => row.Text));
        Assert.All(said, row => Assert.Contains("\"drafted_by\":\"apertium\"", row.Tags, StringComparison.Ordinal));
        Assert.All(await db.Generations.ToListAsync(), row => Assert.Equal("", row.ModelHash)); // no model wrote any of it
    }

    [Fact]
    public async Task Model_Drafts_AreGenerationsAndTheirCorrectionsDemonstrations()
    {
        IPage page = await BeginAsync(await _studio.NewPersonAsync(), "The house is blue.", engine: "The served model");
        await Assertions.Expect(page.Locator(".segment.machine")).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Button, new() { Name = "Go on" }).ClickAsync();
        await ApproveAsync(page, 1, "La casa es azul.");
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(1);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_studio.Home));
        Generation generation = Assert.Single(await store.RecentGenerationsAsync(5));
        Assert.Equal(64, generation.ModelHash.Length);
        Feedback said = Assert.Single(await store.FeedbackAsync(generation.Id));
        Assert.Equal((Metrics.Demonstration, "La casa es azul."), (said.Metric, said.Text));
    }

    [Fact]
    public async Task Segment_ReloadThenCrashInTheMiddleOfAWord_KeepsEveryLetter()
    {
        await _studio.MoveToProcessAsync();
        _studio.Expected = complaint => complaint.StartsWith("console:", StringComparison.Ordinal); // the page misses its server
        IBrowserContext person = await _studio.NewPersonAsync();
        IPage page = await _studio.OpenAsync(person, "/translate/new");
        await page.GetByLabel("Your text").FillAsync("First sentence. Second sentence.");
        await page.ReloadAsync(); // before anything was pressed
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.GetByLabel("Your text")).ToHaveValueAsync("First sentence. Second sentence.");
        await page.GetByLabel("Nobody").CheckAsync();
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".segment")).ToHaveCountAsync(2);

        await page.Locator(".say").Nth(1).ClickAsync();
        await page.GetByLabel("Translation of segment 2").FillAsync("Segunda fra");
        await page.ReloadAsync(); // at once: no pause in which it could have been saved
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".segment.edited")).ToContainTextAsync("Segunda fra");

        await page.Locator(".say").Nth(1).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Translation of segment 2")).ToBeFocusedAsync();
        await _studio.Process.KillAsync();
        await page.GetByLabel("Translation of segment 2").PressSequentiallyAsync("se.", new() { Delay = 1 });
        await _studio.CrashAndRestartAsync();
        await Assertions.Expect(page.Locator(".segment.edited")).ToContainTextAsync("Segunda frase.", new() { Timeout = 60_000 });
        await StudioBrowser.LiveAsync(page);

        // Another tab sees it; where both typed over the same, both texts are shown.
        IPage other = await _studio.OpenAsync(person, new Uri(page.Url).AbsolutePath);
        await Assertions.Expect(other.Locator(".segment.edited")).ToContainTextAsync("Segunda frase.");
        await other.Locator(".say").First.ClickAsync();
        await other.GetByLabel("Translation of segment 1").FillAsync("Primera.");
        await Assertions.Expect(page.Locator(".segment.edited")).ToHaveCountAsync(2);
    }

    [Fact]
    public async Task Translate_ByKeyboardAlone_ApprovesStepsAndTakesBack()
    {
        IPage page = await _studio.OpenAsync("/translate/new");
        await page.GetByLabel("Nobody").CheckAsync();
        await page.Locator("main h1").FocusAsync();
        await page.Keyboard.PressAsync("b");
        await Assertions.Expect(page.GetByLabel("Your text")).ToBeFocusedAsync();
        await page.Keyboard.InsertTextAsync("One cat. Two cats. Three cats.");
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".segment")).ToHaveCountAsync(3);
        await page.Locator("main h1").FocusAsync();
        await page.Keyboard.PressAsync("e");
        await TypeAsync(1, "Un gato.");
        await page.Keyboard.PressAsync("Control+Enter");
        await TypeAsync(2, "Dos gatos.");
        await page.Keyboard.PressAsync("Control+ArrowDown");
        await Assertions.Expect(page.GetByLabel("Translation of segment 3")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Control+i");
        await Assertions.Expect(page.GetByLabel("Translation of segment 3")).ToHaveValueAsync("Three cats.");
        await page.Keyboard.PressAsync("Control+ArrowUp");
        await Assertions.Expect(page.GetByLabel("Translation of segment 2")).ToHaveValueAsync("Dos gatos.");
        await page.EvaluateAsync("document.activeElement.blur()"); // as for a moment between two segments
        await page.Keyboard.PressAsync("Escape");
        await Assertions.Expect(page.Locator(".segment.open")).ToHaveCountAsync(0);
        await Assertions.Expect(page.Locator(".segment.edited")).ToHaveCountAsync(2);
        await page.Locator("main h1").FocusAsync();
        await page.Keyboard.PressAsync("u");
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(0);
        await page.Keyboard.PressAsync("?");
        await Assertions.Expect(page.Locator("#shortcuts")).ToContainTextAsync("Go on");

        async Task TypeAsync(int number, string text)
        {
            await Assertions.Expect(page.GetByLabel($"Translation of segment {number}")).ToBeFocusedAsync();
            await page.Keyboard.InsertTextAsync(text);
        }
    }

    [Fact]
    public async Task Glossary_TermOnAPhone_IsAChipAndItsAbsenceARemark()
    {
        IBrowserContext person = await _studio.NewPersonAsync(width: 390);
        IPage page = await _studio.OpenAsync(person, "/translate/glossary");
        await page.GetByLabel("Term", new() { Exact = true }).FillAsync("battery");
        await page.GetByLabel("Translation", new() { Exact = true }).FillAsync("batería");
        await page.Locator("#term-forbidden").FillAsync("pila");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".units tbody tr")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(page, "glossary 390");

        await BeginAsync(page, "Charge the battery.");
        await Assertions.Expect(page.Locator("mark.term")).ToHaveTextAsync("battery");
        await page.Locator(".say").ClickAsync();
        await page.GetByLabel("Translation of segment 1").FillAsync("Cargue la pila.");
        await Assertions.Expect(page.Locator(".issues li")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(page, "segment 390");
        await page.GetByRole(AriaRole.Button, new() { Name = "Fix" }).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Translation of segment 1")).ToHaveValueAsync("Cargue la batería.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Approve" }).ClickAsync();
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(1);

        await page.GotoAsync(_studio.Server.Url + "/translate/memory");
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".units")).ToContainTextAsync("Cargue la batería.");
        await StudioBrowser.CheckAsync(page, "memory 390");
        await page.GotoAsync(_studio.Server.Url + "/translate/library");
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".entries")).ToContainTextAsync("1 of 1 approved");
        await StudioBrowser.CheckAsync(page, "library 390");
    }

    [Fact]
    public async Task HostileInput_ScriptsLargeFilesBombsAndOtherPeoplesIds_DoNothing()
    {
        const string Script = "<script>alert(1)</script><img src=x onerror=alert(1)>";
        _studio.Expected = complaint => complaint.Contains("status of 404", StringComparison.Ordinal);
        IBrowserContext person = await _studio.NewPersonAsync();
        IPage page = await _studio.OpenAsync(person, "/translate/glossary");
        await page.GetByLabel("Term", new() { Exact = true }).FillAsync(Script);
        await page.GetByLabel("Translation", new() { Exact = true }).FillAsync("=cmd|'/c calc'!A0");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator(".units tbody tr")).ToHaveCountAsync(1);
        await BeginAsync(page, $"{Script} word");
        await page.Locator(".say").ClickAsync();
        await page.GetByLabel("Translation of segment 1").FillAsync(Script);
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(page.Locator(".segment.approved")).ToHaveCountAsync(1);
        string address = new Uri(page.Url).AbsolutePath;
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator(".segment.approved .target")).ToContainTextAsync("<script>");
        await page.GotoAsync(_studio.Server.Url + "/translate/memory");
        await Assertions.Expect(page.Locator(".units")).ToContainTextAsync("<script>");

        await page.GotoAsync(_studio.Server.Url + "/translate/new");
        await StudioBrowser.LiveAsync(page);
        ILocator problem = page.Locator(".error");
        await OpenAsync("large.txt", new byte[9 << 20]);
        await Assertions.Expect(problem).ToContainTextAsync("larger than 8 MB");
        await OpenAsync("bomb.docx", Bomb());
        await Assertions.Expect(problem).ToContainTextAsync("it is not opened");
        await OpenAsync("program.exe", [1, 2, 3]);
        await Assertions.Expect(problem).ToContainTextAsync(".docx");
        await OpenAsync("no.docx", Encoding.UTF8.GetBytes("not a zip"));
        await Assertions.Expect(problem).ToContainTextAsync("cannot be opened");
        await OpenAsync("../../escape.txt", Encoding.UTF8.GetBytes("A harmless sentence."));
        await Assertions.Expect(page.Locator(".segment")).ToHaveCountAsync(1);

        IPage other = await _studio.OpenAsync(await _studio.NewPersonAsync(), address);
        await Assertions.Expect(other.GetByRole(AriaRole.Heading, new() { Name = "There is no such translation" })).ToBeVisibleAsync();
        IAPIResponse export =
            await other.Context.APIRequest.GetAsync($"{_studio.Server.Url}/translate/export{address["/translate".Length..]}");
        Assert.Equal(404, export.Status);

        Task OpenAsync(string name, byte[] content) =>
            StudioBrowser.ChooseAsync(page.Locator("#file"),
                new FilePayload { Name = name, MimeType = "application/octet-stream", Buffer = content });
    }

    /// <summary>A part that unpacks to 100 MB of nothing.</summary>
    private static byte[] Bomb()
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            using Stream part = zip.CreateEntry("word/document.xml").Open();
            byte[] nothing = new byte[1 << 20];
            for (int i = 0; i < 100; i++) part.Write(nothing);
        }
        return stream.ToArray();
    }

    private async Task<IPage> BeginAsync(IBrowserContext person, string text, string engine = "Nobody")
    {
        IPage page = await _studio.OpenAsync(person, "/translate/new");
        await BeginAsync(page, text, engine);
        return page;
    }

    /// <summary>Pastes a text and returns when its segments are shown.</summary>
    private async Task BeginAsync(IPage page, string text, string engine = "Nobody")
    {
        if (!page.Url.EndsWith("/translate/new", StringComparison.Ordinal))
        {
            await page.GotoAsync(_studio.Server.Url + "/translate/new");
            await StudioBrowser.LiveAsync(page);
        }
        await page.GetByLabel(engine).CheckAsync();
        await page.GetByLabel("Your text").FillAsync(text);
        await page.GetByRole(AriaRole.Button, new() { Name = "Translate", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".segment").First).ToBeVisibleAsync();
    }

    private static async Task ApproveAsync(IPage page, int number, string text)
    {
        ILocator field = page.GetByLabel($"Translation of segment {number}");
        await Assertions.Expect(field).ToBeFocusedAsync();
        await field.FillAsync(text);
        await page.Keyboard.PressAsync("Control+Enter");
        await Assertions.Expect(field).ToHaveCountAsync(0);
    }
}
