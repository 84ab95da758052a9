using System.CommandLine;
using System.Globalization;
using Flywheel.Cli.Demo;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel simulate</c>: how often the gate promotes what is no better, and what is.</summary>
internal static class SimulateCommand
{
    public static Command Create()
    {
        var plan = new SimulationPlan();
        var people = new Option<int>("--people") { Description = "Held-out people", DefaultValueFactory = _ => plan.People };
        var briefs = new Option<int>("--briefs") { Description = "Briefs of each", DefaultValueFactory = _ => plan.Briefs };
        var looks = new Option<int>("--looks") { Description = "Candidates that are tried on the same people", DefaultValueFactory = _ =>
            plan.Looks };
        var gain = new Option<double>("--gain") { Description = "Of a candidate that is better, in the share of drafts preferred, 0 to 1",
            DefaultValueFactory = _ => plan.Gain };
        var homes = new Option<int>("--homes") { Description = "Simulated homes", DefaultValueFactory = _ => plan.Homes };
        var seed = new Option<int>("--seed") { Description = "The same seed gives the same table", DefaultValueFactory = _ => plan.Seed };
        var rollouts = new Option<int>("--rollouts") { Description = "Simulated rollouts of the same model; of others a fifth as many",
            DefaultValueFactory = _ => 1000 };
        var model = new Option<string?>("--model")
            { Description = $"Draw the drafts from what this model writes to the demo's products, too: {ModelCatalog.Names}" };
        var judge = new Option<string>("--judge")
            { Description = $"Of these drafts: {GateRecipe.FidelityJudge}, {string.Join(", ", Taste.All.Select(taste => taste.Name))}",
                DefaultValueFactory = _ => GateRecipe.FidelityJudge };
        var command = new Command("simulate",
            "Simulate the gate and rollouts: how often they promote candidates that are no better, at one look and at many, and how often one that is; how soon harm ends.\nExample: ./flywheel simulate --people 12 --model first") { people, briefs, looks, gain, homes, rollouts, seed, model, judge };
        command.SetAction(async (parse, cancellation) =>
        {
            int AtLeast(Option<int> option, int least) => parse.GetValue(option) is var value && value >= least ? value
                : throw new FlywheelException($"{option.Name} is {value}, expected at least {least}");
            plan = new(AtLeast(people, Gate.MinPeople), AtLeast(briefs, 1), AtLeast(looks, 1), parse.GetValue(gain), AtLeast(homes, 1),
                parse.GetValue(seed));
            if (plan.Gain is not (>= 0 and <= 1)) throw new FlywheelException($"--gain is {plan.Gain}, expected a number from 0 to 1");
            Console.WriteLine($"{char.ToUpperInvariant(Power(plan)[0])}{Power(plan)[1..]}.");
            Show($"Made-up tastes: {plan.People} people with {plan.Briefs} briefs, {plan.Homes} homes, seed {plan.Seed}",
                GateSimulation.OnTastes(plan));
            TurnRecipe recipe = RecipeFile.LoadTurn(DemoCommand.ProjectFile("recipes", "turn.yaml"));
            Show($"What is forgotten: {plan.Homes / 10} homes, turns in a row, nats a token of the frozen set, margin {recipe.Gate.RegressionMargin}, seed {plan.Seed}",
                GateSimulation.OnFrozenSet(plan, recipe.Gate.RegressionMargin), "turns", "share of homes");
            ShowRollouts(parse.GetValue(rollouts) is var count && count >= 0
                ? count : throw new FlywheelException($"--rollouts is {count}, expected at least 0"), plan.Seed);
            if (parse.GetValue(model) is { } named) await OnModelAsync(plan, named, JudgeNamed(parse.GetValue(judge)!), cancellation);
        });
        return command;
    }

    /// <summary>Rollouts in worlds of which it is known what the candidate does.</summary>
    private static void ShowRollouts(int count, int seed)
    {
        if (count == 0) return;
        int few = Math.Max(1, count / 5);
        (string What, RolloutWorld World, int Count, RolloutMove Asked, string Wanted)[] worlds =
        [
            ("the same model, promoted", new(), count, RolloutMove.Promote, "at most 5%"),
            ("the same model, drafts decide, promoted", new(Decider: RolloutDecider.Drafts), count, RolloutMove.Promote, "at most 5%"),
            ("3 points more accepted, promoted", new(Gain: 0.03) { Days = 14 }, few, RolloutMove.Promote, "as power allows"),
            ("3 points more accepted, drafts decide, promoted", new(Gain: 0.03, Decider: RolloutDecider.Drafts) { Days = 14 }, few,
                RolloutMove.Promote, "as power allows"),
            ("10 points fewer accepted, rolled back", new(Gain: -0.1), few, RolloutMove.RollBack, "near 100%"),
            ("one answer in five fails, rolled back", new(Failing: 0.2), few, RolloutMove.RollBack, "near 100%"),
            ("half of all answers become slow, rolled back", new(Slow: 0.5), few, RolloutMove.RollBack, "near 100%"),
        ];
        var table = new Table().AddColumns("candidate", "share", "should be", "median judged answers until then", "median time");
        if (!AnsiConsole.Profile.Out.IsTerminal) (AnsiConsole.Profile.Width, table.Border) = (1000, TableBorder.Markdown);
        foreach ((string what, RolloutWorld world, int tries, RolloutMove asked, string wanted) in worlds)
        {
            SimulatedRollout[] all = RolloutSimulation.Many(world, tries, seed), ended = [.. all.Where(one => one.Move == asked)];
            string share = string.Create(CultureInfo.InvariantCulture, $"{ended.Length / (double)tries:0.0%} of {tries}");
            table.AddRow(what, share, wanted, ended.Length == 0
                ? "" : Median(ended, one => one.Judged).ToString("N0", CultureInfo.InvariantCulture),
                ended.Length == 0 ? "" : Time(TimeSpan.FromSeconds(Median(ended, one => one.Lasted.TotalSeconds))));
        }
        var typical = new RolloutWorld();
        Console.WriteLine(
            $"{Environment.NewLine}Rollouts: {typical.PeopleAnHour:0} people an hour come for the first time and judge {RolloutTracker.PerPerson} answers each, half of the champion's are accepted, {typical.Days} days (14 where something is to be found), seed {seed}");
        AnsiConsole.Write(table);
        ShowWatches(count, few, seed);
    }

    /// <summary>Releases that are watched, in worlds of which it is known what the released model does.</summary>
    private static void ShowWatches(int count, int few, int seed)
    {
        (string What, WatchWorld World, int Count, string Wanted)[] worlds =
        [
            ("the same model", new(), count, "at most 5%"),
            ("the same model, people throw a draft away before each that they keep", new() { ThrownFirst = 1 }, count, "at most 5%"),
            ("the same model, four people come back", new() { People = 4, JudgedBefore = 20, Returning = 1, PeopleAnHour = 2 }, count,
                "at most 5%"),
            ("5 points fewer accepted", new(Gain: -0.05), few, "as power allows"),
            ("10 points fewer accepted", new(Gain: -0.1), few, "as power allows"),
            ("20 points fewer accepted", new(Gain: -0.2), few, "near 100%"),
            ("40 points fewer, four people come back", new(Gain: -0.4) { People = 4, JudgedBefore = 20, Returning = 1, PeopleAnHour = 2 },
                few, "as power allows"),
            ("one answer in five fails", new(Failing: 0.2), few, "near 100%"),
            ("half of all answers become slow", new(Slow: 0.5), few, "near 100%"),
        ];
        var table = new Table().AddColumns("released", "taken back", "asked about", "should be", "median judged answers until then",
            "median time");
        if (!AnsiConsole.Profile.Out.IsTerminal) (AnsiConsole.Profile.Width, table.Border) = (1000, TableBorder.Markdown);
        foreach ((string what, WatchWorld world, int tries, string wanted) in worlds)
        {
            SimulatedWatch[] all = WatchSimulation.Many(world, tries, seed), ended = [.. all.Where(one => one.Move != WatchMove.Watch)];
            string Share(WatchMove move) =>
                string.Create(CultureInfo.InvariantCulture, $"{all.Count(one => one.Move == move) / (double)tries:0.0%} of {tries}");
            table.AddRow(what, Share(WatchMove.TakeBack), Share(WatchMove.Ask), wanted,
                ended.Length == 0 ? "" : Median(ended, one => one.Judged).ToString("N0", CultureInfo.InvariantCulture),
                ended.Length == 0 ? "" : Time(TimeSpan.FromSeconds(Median(ended, one => one.Lasted.TotalSeconds))));
        }
        var typical = new WatchWorld();
        Console.WriteLine(
            $"{Environment.NewLine}Releases that are watched: {typical.People} people had judged {typical.JudgedBefore} answers each of the model before; {typical.PeopleAnHour:0} an hour come, {typical.Returning:0%} of them of these, and judge {RolloutTracker.PerPerson} answers; {ReleaseWatch.Lasts.TotalDays:0} days or {ReleaseWatch.MostPeople} people, seed {seed}");
        AnsiConsole.Write(table);
    }

    private static double Median<T>(T[] all, Func<T, double> of) => all.Select(of).Order().ElementAt(all.Length / 2);

    private static string Time(TimeSpan time) =>
        time.TotalHours >= 48
            ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalDays:0.0} days") : string.Create(CultureInfo.InvariantCulture,
                $"{time.TotalHours:0.0} hours");

    private static string Power(SimulationPlan plan) => PowerStatement.Of(plan.People, plan.People * plan.Briefs, 1).Text;

    private static async Task OnModelAsync(SimulationPlan plan, string named, IDraftJudge judge, CancellationToken cancellation)
    {
        ModelFolder folder = new ModelCatalog(new FlywheelHome()).FindModel(named);
        IReadOnlyList<Product> products = Product.Load(DemoCommand.ProjectFile("recipes", "demo", "briefs.jsonl"));
        if (plan.People * plan.Briefs > products.Count)
            throw new FlywheelException(
                $"{plan.People} people with {plan.Briefs} briefs each need {plan.People * plan.Briefs} products, and there are {products.Count}; take less of --people or --briefs");
        Brief[] briefs = [.. products.Take(plan.People * plan.Briefs).Select((product, i) =>
            new Brief(product.Name, i % 2 == 0 ? Brief.Tagline : Brief.Description, product.Facts, product.Categories, product.Audience))];
        int done = 0;
        DraftMeasures[][] pool = await GateSimulation.PoolAsync(folder, briefs, judge, plan.Seed, () =>
        {
            int now = Interlocked.Increment(ref done), all = briefs.Length * GateSimulation.PoolDrafts;
            if (now % (all / 4) == 0) Console.Error.WriteLine($"{now} of {all} drafts");
        }, cancellation);
        Show($"Drafts of {folder.Manifest.Name} ({folder.Hash[..12]}) to taglines and descriptions, judged by {judge.Name}, {plan.People} people with {plan.Briefs} briefs, {plan.Homes} homes, seed {plan.Seed}",
            GateSimulation.OnDrafts(plan, pool, new GateRecipe { Regression = "-", RegressionMargin = 1 }.FidelityMargin));
    }

    private static IDraftJudge JudgeNamed(string name) => name == GateRecipe.FidelityJudge ? new FidelityJudge()
        : new TasteJudge(Taste.Named(name));

    private static void Show(string title, IEnumerable<SimulationRow> rows, string what = "candidates",
        string share = "homes that promoted")
    {
        IAnsiConsole console = AnsiConsole.Console;
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = 1000;
        Table table = new Table().Border(console.Profile.Out.IsTerminal ? TableBorder.Rounded
            : TableBorder.Markdown).Title(Markup.Escape(title))
            .AddColumn(what).AddColumn(new TableColumn(share).RightAligned()).AddColumn("wanted");
        foreach (SimulationRow row in rows)
            table.AddRow(Markup.Escape(row.What), string.Create(CultureInfo.InvariantCulture,
                $"{row.Promoted} of {row.Homes}, {row.Share:0.0%}"), Markup.Escape(row.Wanted));
        console.Write(table);
    }
}
