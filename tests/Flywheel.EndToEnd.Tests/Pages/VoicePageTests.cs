using Flywheel.Testing;
using Flywheel.Voice;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at the page Voice: a script becomes lines, lines sound, a word is mended, all of it is exported.</summary>
public sealed class VoicePageTests : IAsyncLifetime
{
    private const string Script =
        "ANNA: Welcome to the harbour museum.\nBEN: The <b>SQL</b> is kept downstairs.\nThe museum closes at five.";

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
    public async Task Script_FromFirstLettersToExport_SoundsAndLosesNothing()
    {
        await _studio.MoveToProcessAsync();
        IPage page = await _studio.OpenAsync("/voice");
        await page.Locator("#script-text").FillAsync(Script);
        await page.Locator("#script-text").BlurAsync();
        await page.ReloadAsync();
        await StudioBrowser.LiveAsync(page);
        await Assertions.Expect(page.Locator("#script-text")).ToHaveValueAsync(Script);
        await page.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(3);
        await Assertions.Expect(page.GetByLabel("Role of line 2")).ToHaveValueAsync("BEN");

        await page.GetByRole(AriaRole.Button, new() { Name = "Render 3 lines" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(3);
        await StudioBrowser.CheckAsync(page, "a rendered project");
        await page.GetByRole(AriaRole.Button, new() { Name = "Play line 1" }).ClickAsync();
        await page.WaitForFunctionAsync("document.getElementById('sound').duration > 0.5");

        // A word is mended: the line that holds it changes, and no other.
        await page.GetByRole(AriaRole.Textbox, new() { Name = "Word" }).FillAsync("SQL");
        await page.GetByRole(AriaRole.Textbox, new() { Name = "Said as" }).FillAsync("sequel");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        await Assertions.Expect(page.Locator(".vline.stale textarea")).ToHaveValueAsync("The <b>SQL</b> is kept downstairs.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(0);

        // An edit is on disk when the field is left, and a crash takes nothing.
        ILocator last = page.GetByLabel("Text of line 3");
        await last.FillAsync("The museum closes at six.");
        await last.BlurAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(1);
        // the connection that breaks
        _studio.Expected = complaint => complaint.StartsWith("console: ", StringComparison.Ordinal)
            || complaint.Contains("'Connected' State", StringComparison.Ordinal);
        await _studio.CrashAndRestartAsync();
        IPage again = await _studio.OpenAsync(page.Context, new Uri(page.Url).PathAndQuery);
        await Assertions.Expect(again.GetByLabel("Text of line 3")).ToHaveValueAsync("The museum closes at six.");
        await Assertions.Expect(again.Locator("svg.wave")).ToHaveCountAsync(2); // the rest was rendered before

        // How it sounded before can still be heard.
        ILocator third = again.Locator(".vline").Nth(2);
        await third.Locator(".sound button.play").ClickAsync();
        await Assertions.Expect(again.Locator("svg.wave")).ToHaveCountAsync(3);
        await third.Locator(".row-acts button").First.ClickAsync();
        await Assertions.Expect(third.Locator(".takes li")).ToHaveCountAsync(2);
        await third.Locator(".takes button.play").Nth(1).ClickAsync();
        await again.WaitForFunctionAsync(
            "document.getElementById('sound').src.includes('?take=') && document.getElementById('sound').duration > 0.3");

        byte[] wav =
            await (await again.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{again.Url.Split('/')[^1]}/wav")).BodyAsync();
        Assert.Equal("RIFF"u8, wav.AsSpan(0, 4));
        Assert.InRange(wav.Length / 2 / 24_000.0, 3, 20);
        string srt =
            await (await again.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{again.Url.Split('/')[^1]}/srt")).TextAsync();
        Assert.Equal(3, Srt.Parse(srt, "export").Count);
    }

    /// <summary>A film of speech comes in; its text gets its times; a line is moved, spoken anew, compared and chosen; the film goes out
    /// with its picture untouched.</summary>
    [Fact]
    public async Task Film_FromUploadOverTimelineAndTakesToExport_KeepsItsPicture()
    {
        if (!ExternalProgram.Ffmpeg.IsInstalled) Assert.Skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)");
        using var folder = new TempFolder();
        string[] texts = ["Welcome to the harbour museum.", "Two of the ships are open today.", "The museum closes at five."];
        var renderer = new Renderer(SpeechEngines.Default, new SegmentCache(folder["cache"]));
        var spoken = new VoiceProject { Voice = new() { Voice = "flite:rms" },
            Lines = [.. texts.Select((text, i) => new VoiceLine { Id = $"{i + 1}", Text = text, Pause = TimeSpan.FromSeconds(1) })] };
        RenderReport said = await renderer.RenderAsync(spoken, folder["said.wav"], cancellation: TestContext.Current.CancellationToken);
        await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-i", folder["said.wav"],
            "-shortest", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", folder["Harbour.mp4"]],
            cancellation: TestContext.Current.CancellationToken);

        IPage page = await _studio.OpenAsync("/voice");
        await StudioBrowser.ChooseAsync(page.GetByLabel("Open a recording or film"),
            new FilePayload { Name = "broken.mp4", MimeType = "video/mp4", Buffer = [1, 2, 3] });
        await Assertions.Expect(page.Locator(".upload .problem")).ToContainTextAsync("broken.mp4");
        _studio.Expected = complaint => complaint.Contains("422", StringComparison.Ordinal);
        await StudioBrowser.ChooseAsync(page.GetByLabel("Open a recording or film"),
            new FilePayload { Name = "Harbour.mp4", MimeType = "video/mp4", Buffer = File.ReadAllBytes(folder["Harbour.mp4"]) });
        ILocator timeline = page.Locator(".timeline");
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-original", "yes");
        await page.GetByLabel("What is said in it").FillAsync(string.Join('\n', texts));
        await page.GetByRole(AriaRole.Button, new() { Name = "Use this text" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(3);
        VoiceProject aligned = await ExportAsync();
        for (int i = 0; i < 3; i++) Assert.Equal(said.Lines[i].Start, aligned.Lines[i].Start!.Value.TotalSeconds, .2);
        await page.GetByRole(AriaRole.Button, new() { Name = "Render 3 lines" }).ClickAsync();
        await Assertions.Expect(page.Locator("svg.wave")).ToHaveCountAsync(3);
        await page.Mouse.MoveAsync(0, 0);
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-drawn", "3");

        // Keys: a line is chosen, it plays from there and stops.
        await timeline.FocusAsync();
        await page.Keyboard.PressAsync("ArrowDown");
        await page.Keyboard.PressAsync("ArrowDown");
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-selected", "2");
        await Assertions.Expect(page.Locator(".vline[aria-current=true] textarea")).ToHaveValueAsync(texts[1]);
        double began = await PositionAsync();
        await page.Keyboard.PressAsync("Space");
        await page.WaitForFunctionAsync($"document.querySelector('.timeline').dataset.position > {began + .3}");
        await page.Keyboard.PressAsync("Space");
        await Assertions.Expect(timeline).Not.ToHaveAttributeAsync("data-playing", "yes");

        // It is dragged to two seconds later, where the next line leaves it too little time, and back by undo.
        double pps = double.Parse((await timeline.GetAttributeAsync("data-pps"))!, System.Globalization.CultureInfo.InvariantCulture),
            middle = (said.Lines[1].Start + said.Lines[1].End) / 2;
        await page.Keyboard.PressAsync("ArrowDown");
        await page.Keyboard.PressAsync("ArrowUp");
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-selected", "2");
        LocatorBoundingBoxResult box = (await timeline.BoundingBoxAsync())!;
        float x = box.X + 1 + (float)(middle * pps), y = box.Y + box.Height - 40;
        await page.Mouse.MoveAsync(x, y);
        await page.Mouse.DownAsync();
        await page.Mouse.MoveAsync(x + (float)(2.2 * pps), y, new() { Steps = 4 });
        await page.Mouse.UpAsync();
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-over", "2"); // the time of two that overlap is divided
        Assert.Equal(aligned.Lines[1].Start!.Value.TotalSeconds + 2.2, (await ExportAsync()).Lines[1].Start!.Value.TotalSeconds, .05);
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(timeline).ToHaveAttributeAsync("data-over", "0");
        Assert.Equal(aligned.Lines[1].End, (await ExportAsync()).Lines[1].End);

        // Two lines get the same emphasis in one step.
        await timeline.FocusAsync();
        await page.Keyboard.PressAsync("x");
        await page.GetByLabel("Choose line 3").CheckAsync();
        await page.Locator(".chosen").GetByLabel("Emphasis").SelectOptionAsync("strong");
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(2);
        Assert.Equal([null, "strong", "strong"], (await ExportAsync()).Lines.Select(line => line.Settings.Emphasis));
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline.stale")).ToHaveCountAsync(0);
        await page.Locator(".chosen").GetByRole(AriaRole.Button, new() { Name = "None" }).ClickAsync();

        // A take from the microphone, which has to be allowed first.
        ILocator second = page.Locator(".vline").Nth(1);
        await second.GetByRole(AriaRole.Button, new() { Name = "Settings of line 2" }).ClickAsync();
        // The headless shell has nobody to ask, and says so in an error of its own: refused once, as by a person.
        await page.EvaluateAsync("""
            () => {
                const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media);
                media.getUserMedia = () => { media.getUserMedia = ask; return Promise.reject(new DOMException("refused", "NotAllowedError")); };
            }
            """);
        await second.GetByRole(AriaRole.Button, new() { Name = "Record line 2" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes-box .problem")).ToContainTextAsync("Allow it for this site");
        await page.Context.GrantPermissionsAsync(["microphone"]);
        await second.GetByRole(AriaRole.Button, new() { Name = "Record line 2" }).ClickAsync();
        await page.WaitForFunctionAsync("document.querySelector('.takes-box').dataset.recorded > 1.2");
        await second.GetByRole(AriaRole.Button, new() { Name = "Stop and keep" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes li")).ToHaveCountAsync(2);
        await second.GetByRole(AriaRole.Checkbox, new() { Name = "Compare take 1" }).CheckAsync();
        await second.GetByRole(AriaRole.Checkbox, new() { Name = "Compare take 2" }).CheckAsync();
        await Assertions.Expect(second.Locator(".compare svg.wave")).ToHaveCountAsync(2);
        await StudioBrowser.CheckAsync(page, "a film with takes");
        byte[] before = await WavAsync();
        await second.Locator(".takes li[data-recorded=yes]").GetByRole(AriaRole.Button, new() { Name = "Use take 1" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes li[data-recorded=yes]")).ToHaveAttributeAsync("data-heard", "yes");
        Assert.NotNull((await ExportAsync()).Lines[1].Take);
        byte[] after = await WavAsync();
        int start = 44 + 2 * (int)(24_000 * aligned.Lines[1].Start!.Value.TotalSeconds);
        Assert.NotEqual(before[start..(start + 40_000)], after[start..(start + 40_000)]);
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes li[data-recorded=yes]")).ToHaveAttributeAsync("data-heard", "no");
        Assert.Equal(before, await WavAsync());

        // Two rows are open: whoever records the next line ends and keeps the one before, each its own. What cannot be sent waits, and is
        // sent again.
        ILocator third = page.Locator(".vline").Nth(2);
        await third.GetByRole(AriaRole.Button, new() { Name = "Settings of line 3" }).ClickAsync();
        await third.GetByRole(AriaRole.Button, new() { Name = "Record line 3" }).ClickAsync();
        await SpokenAsync(3);
        _studio.Expected = complaint => complaint.Contains("422", StringComparison.Ordinal)
            || complaint.Contains("ERR_FAILED", StringComparison.Ordinal) || complaint.Contains("/voice/takes/", StringComparison.Ordinal);
        await page.RouteAsync("**/voice/takes/*/2", route => route.AbortAsync());
        await second.GetByRole(AriaRole.Button, new() { Name = "Record line 2" }).ClickAsync();
        await Assertions.Expect(third.Locator(".takes li[data-recorded=yes]")).ToHaveCountAsync(1);
        await SpokenAsync(2);
        await second.GetByRole(AriaRole.Button, new() { Name = "Stop and keep" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes-box .problem")).ToContainTextAsync("send it again");
        // A row that is closed keeps what was not sent, and the browser asks before the tab is left.
        await second.GetByRole(AriaRole.Button, new() { Name = "Settings of line 2" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes-box")).ToHaveCountAsync(0);
        Assert.True(await IsKeptAsync());
        await second.GetByRole(AriaRole.Button, new() { Name = "Settings of line 2" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes-box .problem")).ToContainTextAsync("not sent yet");
        await page.UnrouteAsync("**/voice/takes/*/2");
        await second.GetByRole(AriaRole.Button, new() { Name = "Send again" }).ClickAsync();
        await Assertions.Expect(second.Locator(".takes li[data-recorded=yes]")).ToHaveCountAsync(2);
        await Assertions.Expect(third.Locator(".takes li[data-recorded=yes]")).ToHaveCountAsync(1);
        Assert.False(await IsKeptAsync());
        // The longest recording is exactly as long as a take may be, says once that it has ended, and is there until a server has it.
        Assert.Equal("begun, 1 told, 0 samples beyond, ': full', '', ended", await page.EvaluateAsync<string>("""
            async () => {
              const { attach } = await import("/_content/Flywheel.Studio/recorder.js");
              let told = 0, tell, body;
              const ended = new Promise(resolve => tell = resolve), recorder = attach(document.createElement("div"), { invokeMethodAsync: async () => { told++; tell(); } }, .25, "x"), begun = await recorder.start();
              await ended;
              for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
              const fetched = window.fetch, answers = [new Response("full", { status: 422 }), new Response("")];
              window.fetch = async (_, request) => { body = request.body; return answers.shift(); };
              const first = await recorder.send(), again = await recorder.send(), none = await recorder.send();
              window.fetch = fetched;
              const beyond = (body.byteLength - 44) / 2 - Math.floor(.25 * new DataView(body).getUint32(24, true));
              return `${begun || "begun"}, ${told} told, ${beyond} samples beyond, '${first}', '${again}', ${none}`;
            }
            """));

        await File.WriteAllBytesAsync(folder["out.mp4"],
            await (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{Id()}/film")).BodyAsync());
        Assert.Equal(await PictureAsync("Harbour.mp4"), await PictureAsync("out.mp4"));

        string Id() => page.Url.Split('/')[^1];
        Task<bool> IsKeptAsync() =>
            page.EvaluateAsync<bool>(
                "() => { const leaving = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(leaving); }");
        Task SpokenAsync(int line) =>
            page.WaitForFunctionAsync($"document.querySelector('.vline[data-line=\"{line}\"] .takes-box').dataset.recorded > 1.2");
        async Task<double> PositionAsync() =>
            double.Parse((await timeline.GetAttributeAsync("data-position"))!, System.Globalization.CultureInfo.InvariantCulture);
        async Task<VoiceProject> ExportAsync() =>
            VoiceProject.Parse(await (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{Id()}/json")).TextAsync(),
                "export");
        async Task<byte[]> WavAsync() =>
            await (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{Id()}/wav")).BodyAsync();
        async Task<string> PictureAsync(string film) =>
            System.Text.Encoding.UTF8.GetString(
                (await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-i", folder[film], "-map", "0:v:0", "-c", "copy", "-f",
                    "streamhash", "-"])).Output);
    }

    [Fact]
    public async Task Words_OfTheTeamAndADub_AreThereForEveryProject()
    {
        IPage page = await _studio.OpenAsync("/voice/dictionary");
        await page.Locator("#word").FillAsync("quay");
        await page.Locator("#said").FillAsync("/kiː/");
        await page.Locator("#language").FillAsync("en");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(1);
        await Assertions.Expect(page.Locator("#word")).ToBeFocusedAsync();
        await StudioBrowser.CheckAsync(page, "the team's words");
        await page.GetByRole(AriaRole.Button, new() { Name = "Undo" }).ClickAsync();
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(0);
        await StudioBrowser.ChooseAsync(page.Locator("input[type=file]"),
            new FilePayload { Name = "words.csv", MimeType = "text/csv", Buffer = "word,language,respelling\nquay,en,key\n"u8.ToArray() });
        await Assertions.Expect(page.Locator("table.units tbody tr")).ToHaveCountAsync(1);
        Assert.Equal("word,language,voice,ipa,respelling\nquay,en,,,key\n",
            await (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/words/team.csv")).TextAsync());

        IPage project = await _studio.OpenAsync(page.Context, "/voice");
        await project.Locator("#script-text").FillAsync("ANNA: The quay is closed.");
        await project.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(project.Locator(".vline")).ToHaveCountAsync(1);
        await project.GetByRole(AriaRole.Button, new() { Name = "Start", Exact = true }).ClickAsync();
        await Assertions.Expect(project.Locator(".dubs li[data-state=done]")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(project, "a dubbed project");
        byte[] wav =
            await (await project.APIRequest.GetAsync(
                _studio.Server.Url + "/" + await project.Locator(".dubs a").First.GetAttributeAsync("href"))).BodyAsync();
        Assert.Equal("RIFF"u8, wav.AsSpan(0, 4));
        await project.GetByRole(AriaRole.Link, new() { Name = "Quality" }).ClickAsync();
        await Assertions.Expect(project.Locator("table.quality tbody tr")).ToHaveCountAsync(1);
        await StudioBrowser.CheckAsync(project, "the quality of dubs");
    }

    [Fact]
    public async Task Sound_OfAnothersProject_IsNotFound()
    {
        IPage page = await _studio.OpenAsync("/voice");
        await page.Locator("#script-text").FillAsync("Mine alone.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Begin" }).ClickAsync();
        await Assertions.Expect(page.Locator(".vline")).ToHaveCountAsync(1);
        string id = page.Url.Split('/')[^1];
        IBrowserContext other = await _studio.NewPersonAsync();
        foreach (string address in new[] { $"/voice/sound/{id}/1", $"/voice/export/{id}/wav", $"/voice/export/{id}/json" })
            Assert.Equal(404, (await other.APIRequest.GetAsync(_studio.Server.Url + address)).Status);
        Assert.Equal(404, (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/export/{id}/exe")).Status);
        Assert.Equal(404, (await page.APIRequest.GetAsync($"{_studio.Server.Url}/voice/sound/{id}/2")).Status);
    }

    [Fact]
    public async Task File_ThatIsBroken_IsRefusedWithItsLine()
    {
        IPage page = await _studio.OpenAsync("/voice");
        await StudioBrowser.ChooseAsync(page.GetByLabel("Open a file"),
            new FilePayload { Name = "film.srt", MimeType = "text/plain",
                Buffer = "1\n00:00:01,000 -> 00:00:02,000\nHello\n"u8.ToArray() });
        await Assertions.Expect(page.Locator(".script > .problem")).ToContainTextAsync("film.srt: line 2");
        await StudioBrowser.ChooseAsync(page.GetByLabel("Open a file"),
            new FilePayload { Name = "latin.txt", MimeType = "text/plain", Buffer = [0x43, 0x61, 0x66, 0xE9] });
        await Assertions.Expect(page.Locator(".script > .problem")).ToContainTextAsync("latin.txt:1: is not UTF-8");
    }
}
