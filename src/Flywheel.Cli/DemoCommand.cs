using System.CommandLine;
using Flywheel.Cli.Demo;
using Flywheel.Model;
using Flywheel.Studio;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel demo</c>: the loop, shown by simulated users with a stated taste on a running server.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        var taste = new Option<string>("--taste")
            { Description = $"Rule of the simulated users: {string.Join(", ", Taste.All.Select(taste => taste.Name))}",
                DefaultValueFactory = _ => "two-things" };
        var users = new Option<int>("--users") { Description = "Simulated users that give feedback", DefaultValueFactory = _ => 48 };
        var prompts = new Option<int>("--prompts") { Description = "Prompts of each", DefaultValueFactory = _ => 8 };
        var seed = new Option<int>("--seed") { Description = "Decides products, users, drafts and intervals",
            DefaultValueFactory = _ => 1 };
        var turns =
            new Option<int>("--turns") { Description =
                "More than 1: so many turns in a row, other users each time, and one more with users who toss a coin, which must not be promoted; with --taste coin nothing but such turns", DefaultValueFactory = _ => 1 };
        var home = new Option<string?>("--home")
            { Description =
                "Home to use: its running server, or a new one on it (default: the running server of the usual home, else a new temporary home)" };
        var command = new Command("demo",
            "Show the loop: simulated users, labelled so, give feedback through the API, one turn runs, and their rate of acceptance on unseen prompts is measured before and after.\nExample: ./flywheel demo --taste plain") { taste, users, prompts, turns, seed, home };
        command.SetAction((parse, cancellation) =>
            RunAsync(Taste.Named(parse.GetValue(taste)!), parse.GetValue(users), parse.GetValue(prompts),
            parse.GetValue(turns) is >= 1 and var wanted
                ? wanted : throw new FlywheelException($"--turns is {parse.GetValue(turns)}, expected at least 1"), parse.GetValue(seed),
                parse.GetValue(home), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(Taste taste, int users, int prompts, int turns, int seed, string? homePath,
        CancellationToken cancellation)
    {
        var display = new DemoDisplay(AnsiConsole.Console);
        IReadOnlyList<Product> products = Product.Load(ProjectFile("recipes", "demo", "briefs.jsonl"));
        Protocol protocol = Protocol.Draw(products, users, prompts, seed);
        display.Say(
            "The users of this demo are simulated. The model does not know their taste; it only meets what they keep, edit and discard.");
        display.Say($"Their taste: a text {taste.Rule}.");

        RunningServer? running = RunningServer.Find(new FlywheelHome(homePath));
        await using StudioServer? own = running is null ? await StartServerAsync(homePath, cancellation) : null;
        string url = running?.Url ?? own!.Url;
        FlywheelHome served = running?.Home ?? own!.Home;
        display.Say(running is null
            ? $"No server was running, so one was started at {url}"
            : $"Using the running server at {url}: simulated feedback goes into its record");

        using var client = new StudioClient(url, AdminSecret.Read(served));
        var run = new DemoRun(client, taste, protocol, seed, display);
        Func<string, CancellationToken, Task<int>> turn = (home, stop) => ChildVerb.RunAsync(home, ["turn"], stop);
        if (turns > 1)
        {
            DemoSeries series = await DemoSeries.RunAsync(run, DemoSeries.Rounds(taste, products, users, prompts, turns, seed), turn,
                cancellation);
            display.Show(series);
            display.Say(series.Holds
                ? "Each turn of people with a taste was promoted and better on unseen people, and none of people without one was promoted."
                : "Not every turn held: each of people with a taste should be promoted and better on unseen people, and none of people without one.");
            display.Say($"Every text and verdict: {series.Write()}");
            return series.Holds ? 0 : ExitCodes.Rejected;
        }
        DemoResult result = await run.RunAsync(turn, cancellation);
        display.Show(result);
        string file = result.Write();
        display.Say(result.Rose
            ? "Acceptance on unseen prompts rose, and the interval excludes zero."
            : "No rise was shown: the interval of the difference includes zero.");
        display.Say($"Every text and verdict: {file}");
        display.Say(
            $"The turn's report lies under {Path.Combine(result.Home, "runs")}; where the model comes from: FLYWHEEL_HOME={result.Home} ./flywheel lineage {result.After.ModelHash[..8]}");
        return result.Rose && result.Turn.ExitCode == 0 ? 0 : ExitCodes.Rejected;
    }

    private static async Task<StudioServer> StartServerAsync(string? homePath, CancellationToken cancellation)
    {
        string path = homePath ?? Directory.CreateTempSubdirectory("flywheel-demo-").FullName;
        return await StudioServer.StartAsync(new StudioOptions { Home = new FlywheelHome(path), Url = "http://127.0.0.1:0",
            StarterModel = ModelCatalog.Starter }, cancellation);
    }

    /// <summary>A file of the project that this program was built in.</summary>
    internal static string ProjectFile(params string[] parts)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string file = Path.Combine([folder.FullName, .. parts]);
            if (File.Exists(file)) return file;
        }
        throw new FlywheelException($"{Path.Combine(parts)} was not found above {AppContext.BaseDirectory}");
    }
}
