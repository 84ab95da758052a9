using System.CommandLine;
using System.Globalization;
using Flywheel.Cli.Demo;
using Flywheel.Loop;
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
        var gain = new Option<double>("--gain") { Description = "Of a candidate that is better, in the share of drafts preferred, 0 to 1", DefaultValueFactory = _ => plan.Gain };
        var homes = new Option<int>("--homes") { Description = "Simulated homes", DefaultValueFactory = _ => plan.Homes };
        var seed = new Option<int>("--seed") { Description = "The same seed gives the same table", DefaultValueFactory = _ => plan.Seed };
        var model = new Option<string?>("--model") { Description = $"Draw the drafts from what this model writes to the demo's products, too: {ModelCatalog.Names}" };
        var judge = new Option<string>("--judge") { Description = $"Of these drafts: {GateRecipe.FidelityJudge}, {string.Join(", ", Taste.All.Select(taste => taste.Name))}", DefaultValueFactory = _ => GateRecipe.FidelityJudge };
        var command = new Command("simulate",
            "Simulate the gate: how often it promotes candidates that are no better, at one look and at many, and how often one that is.\nExample: ./flywheel simulate --people 12 --model first") { people, briefs, looks, gain, homes, seed, model, judge };
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
            if (parse.GetValue(model) is { } named) await OnModelAsync(plan, named, JudgeNamed(parse.GetValue(judge)!), cancellation);
        });
        return command;
    }

    private static string Power(SimulationPlan plan) => PowerStatement.Of(plan.People, plan.People * plan.Briefs, 1).Text;

    private static async Task OnModelAsync(SimulationPlan plan, string named, IDraftJudge judge, CancellationToken cancellation)
    {
        ModelFolder folder = new ModelCatalog(new FlywheelHome()).FindModel(named);
        IReadOnlyList<Product> products = Product.Load(DemoCommand.ProjectFile("recipes", "demo", "briefs.jsonl"));
        if (plan.People * plan.Briefs > products.Count)
            throw new FlywheelException($"{plan.People} people with {plan.Briefs} briefs each need {plan.People * plan.Briefs} products, and there are {products.Count}; take less of --people or --briefs");
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

    private static void Show(string title, IEnumerable<SimulationRow> rows)
    {
        IAnsiConsole console = AnsiConsole.Console;
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = 1000;
        Table table = new Table().Border(console.Profile.Out.IsTerminal ? TableBorder.Rounded
            : TableBorder.Markdown).Title(Markup.Escape(title))
            .AddColumn("candidates").AddColumn(new TableColumn("homes that promoted").RightAligned()).AddColumn("wanted");
        foreach (SimulationRow row in rows)
            table.AddRow(Markup.Escape(row.What), string.Create(CultureInfo.InvariantCulture,
                $"{row.Promoted} of {row.Homes}, {row.Share:0.0%}"), Markup.Escape(row.Wanted));
        console.Write(table);
    }
}
