using System.Collections.Concurrent;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>The real server on a tiny model, and real Chromium that looks at it. What the browser complains about fails the test.</summary>
internal sealed class StudioBrowser : IAsyncDisposable
{
    /// <summary>Without the windows of a desktop, each of which starts two processes more.</summary>
    private const string Chromium = "/usr/bin/chromium-headless-shell";

    private readonly TempFolder _folder = new();
    private readonly ConcurrentBag<string> _complaints = [];

    /// <summary>Browsers that no test uses now, as many as tests run at once: to start one takes as long as many a test. Two tests never
    /// share one, for it has
    /// one clipboard; what a person leaves behind goes with their context.</summary>
    private static readonly ConcurrentBag<IBrowser> Free = [];

    private static readonly Lazy<Task<IPlaywright>> Driver = new(async () =>
    {
        IPlaywright playwright = await Playwright.CreateAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            Task.WhenAll(Free.Select(browser => browser.CloseAsync())).Wait(TimeSpan.FromSeconds(10));
            playwright.Dispose();
        };
        return playwright;
    });

    private IBrowser _browser = null!;

    private StudioBrowser() { }

    public TestedServer Server { get; private set; } = null!;

    /// <summary>The server, where it runs in a process of its own.</summary>
    public ServerProcess Process => (ServerProcess)Server;

    public string Home => _folder["home"];

    public string Models => _folder["models"];

    /// <summary>Of what a browser complained about, what a test expects.</summary>
    public Func<string, bool> Expected { get; set; } = _ => false;

    /// <summary>With the server in the tests' process.</summary>
    /// <param name="model">A tiny one when not given.</param>
    public static Task<StudioBrowser> StartAsync(string? model = null) =>
        StartAsync(async studio => await ServerInside.StartAsync(studio.Home, model ?? studio.Tiny()));

    /// <summary>With the server in a process of its own, a tiny model and these arguments of <c>up</c>.</summary>
    public static Task<StudioBrowser> StartProcessAsync(params string[] arguments) =>
        StartAsync(async studio => await ServerProcess.StartAsync(studio.Home, ["--model", studio.Tiny(), .. arguments]));

    private static async Task<StudioBrowser> StartAsync(Func<StudioBrowser, Task<TestedServer>> serve)
    {
        if (!File.Exists(Chromium)) Assert.Skip($"{Chromium} is not installed (Debian: apt-get install chromium-headless-shell)");
        Assertions.SetDefaultExpectTimeout(60_000); // on a busy machine everything comes, only later
        var studio = new StudioBrowser();
        studio.Server = await serve(studio);
        studio._browser = Free.TryTake(out IBrowser? free) && free.IsConnected ? free : await LaunchAsync();
        return studio;
    }

    private string Tiny() => TinyModel.Create(Models, context: 1024).Path;

    /// <summary>Serves the same home from a process of its own, which can be killed; before any page is opened.</summary>
    public async Task MoveToProcessAsync()
    {
        await Server.DisposeAsync();
        Server = await ServerProcess.StartAsync(Home);
    }

    /// <summary>With a model of a game, which one game of self-play has taught.</summary>
    /// <param name="folder">Where it is made; the recipe lies there as <c>mini.yaml</c>.</param>
    /// <param name="task">Of the game.</param>
    /// <param name="recipe">Of a model that is made in seconds.</param>
    public static async Task<StudioBrowser> StartPlayedAsync(TempFolder folder, string task, string recipe)
    {
        await File.WriteAllTextAsync(folder["mini.yaml"], recipe);
        (int code, string output) = await ServerProcess.RunAsync(folder["made"], "play", "--task", task, "--games", "1", "--threads", "1",
            "--recipe", folder["mini.yaml"]);
        Assert.True(code == 0, output);
        return await StartAsync(Directory.GetDirectories(Path.Combine(folder["made"], "models")).Single());
    }

    private static async Task<IBrowser> LaunchAsync() => await (await Driver.Value).Chromium.LaunchAsync(new()
    {
        ExecutablePath = Chromium,
        Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--host-resolver-rules=MAP *.example 127.0.0.1"],
    });

    /// <summary>A browser of another person: own cookies, own storage.</summary>
    public Task<IBrowserContext> NewPersonAsync(int width = 1440, string language = "en", bool dark = false) =>
        _browser.NewContextAsync(new()
    {
        ViewportSize = new() { Width = width, Height = 900 },
        Locale = language,
        ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
        Permissions = ["clipboard-read", "clipboard-write"],
        AcceptDownloads = true,
    });

    /// <summary>Opens a page and returns when it answers.</summary>
    public async Task<IPage> OpenAsync(string address = "/write", int width = 1440, string language = "en", bool dark = false) =>
        await OpenAsync(await NewPersonAsync(width, language, dark), address);

    /// <summary>The same in another tab of a browser.</summary>
    public async Task<IPage> OpenAsync(IBrowserContext person, string address = "/write")
    {
        IPage page = await person.NewPageAsync();
        page.SetDefaultTimeout(60_000);
        // An event of a field that left the page meanwhile has no handler any more (a handler that fails ends the circuit instead): nobody
        // loses anything.
        page.PageError += (_, error) =>
        {
            if (!error.Contains("exception invoking 'DispatchEventAsync'", StringComparison.Ordinal))
                _complaints.Add($"the page's script failed: {error}");
        };
        page.Console += (_, message) =>
        {
            if (message.Type == "error") _complaints.Add($"console: {message.Text} (at {message.Location})");
        };
        // Nothing may come from another host: the Studio works without the internet.
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(Server.Url, StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal)
                && !request.Url.StartsWith("blob:", StringComparison.Ordinal))
                _complaints.Add($"the page asked for {request.Url}");
        };
        page.Dialog += async (_, dialog) =>
        {
            _complaints.Add($"a script ran: {dialog.Message}");
            await dialog.DismissAsync();
        };
        await page.GotoAsync(Server.Url + address);
        await LiveAsync(page);
        return page;
    }

    /// <summary>Chooses files once the field is open, as a person would: the driver also gives them to a closed one, which hears
    /// nothing.</summary>
    public static async Task ChooseAsync(ILocator field, params FilePayload[] files)
    {
        await Assertions.Expect(field).ToBeEnabledAsync();
        await field.SetInputFilesAsync(files);
    }

    /// <summary>Returns when the page's connection stands.</summary>
    public static Task LiveAsync(IPage page) =>
        Assertions.Expect(page.Locator(".studio[data-live=yes]")).ToBeVisibleAsync(new() { Timeout = 60_000 });

    /// <summary>axe-core finds nothing, and nothing runs out of the page at its sides.</summary>
    public static async Task CheckAsync(IPage page, string what)
    {
        AxeResult axe = await page.RunAxe();
        Assert.True(axe.Violations.Length == 0,
            $"{what}: "
                + string.Join('\n',
                    axe.Violations.Select(violation =>
                        $"{violation.Id}: {violation.Help}: {string.Join("; ", violation.Nodes.Select(node => node.Html))}")));
        int[] widths = await page.EvaluateAsync<int[]>("[document.documentElement.scrollWidth, window.innerWidth]");
        Assert.True(widths[0] <= widths[1], $"{what}: {widths[0]} px wide in a window of {widths[1]}");
    }

    /// <summary>Kills the server and starts it again on the same port and home, as after a crash of the machine.</summary>
    public async Task CrashAndRestartAsync()
    {
        int port = new Uri(Server.Url).Port;
        await Process.KillAsync();
        await Server.DisposeAsync();
        Server = await ServerProcess.StartAsync(Home, "--port", $"{port}");
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is { IsConnected: true })
        {
            foreach (IBrowserContext person in _browser.Contexts.ToArray()) await person.CloseAsync();
            Free.Add(_browser);
        }
        if (Server is not null) await Server.DisposeAsync();
        _folder.Dispose();
        string[] unexpected = [.. _complaints.Where(complaint => !Expected(complaint))];
        Assert.True(unexpected.Length == 0, string.Join('\n', unexpected));
    }
}
