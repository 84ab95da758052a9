using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel review</c>: what people did, for a reviewer: list it, take it out for labelling, bring the answers back.</summary>
internal static class ReviewCommand
{
    public static Command Create()
    {
        var app = new Option<string?>("--app") { Description = "Only this application or task, such as write or tasks/translation" };
        var view = new Option<ReviewView>("--view")
            { Description = "Which: open, second (another reviewer decided, this one did not), disputed, decided, all",
                DefaultValueFactory = _ => ReviewView.Open };
        var signal = new Option<string?>("--signal")
            { Description = $"Only what stands out for this reason: {string.Join(", ", ReviewSignals.All)}" };
        var reviewer = new Option<string>("--reviewer") { Description = "Who asks, or whose answers a file holds where its rows do not say",
            DefaultValueFactory = _ => "" };
        var limit = new Option<int>("--limit") { Description = "How many are printed", DefaultValueFactory = _ => 20 };
        var list = new Command("list",
            "What waits, what stands out first.\nExample: ./flywheel review list --app write --signal personal_data") { app, view, signal,
                reviewer, limit };
        list.SetAction((parse, cancellation) => ListAsync(Filter(parse), parse.GetValue(limit), cancellation));

        var file = new Argument<string>("FILE") { Description = "Ends in .jsonl or .csv" };
        var export = new Command("export",
            "The queue as a file for labelling elsewhere; the columns decision, corrected, reason, label and reviewer are to be filled in.\n"
            + "Example: ./flywheel review export queue.csv --app write") { file, app, view, signal, reviewer };
        export.SetAction((parse, cancellation) => ExportAsync(parse.GetValue(file)!, Filter(parse), cancellation));

        var import = new Command("import",
            "Bring the answers back: all rows, or none and which are wrong.\nExample: ./flywheel review import queue.csv --reviewer bo")
            { file, reviewer };
        import.SetAction((parse, cancellation) => ImportAsync(parse.GetValue(file)!, parse.GetValue(reviewer)!, cancellation));

        var agreement = new Command("agreement", "How far reviewers agree about the same items: raw, and beyond chance (Cohen's kappa).");
        agreement.SetAction((_, cancellation) => AgreementAsync(cancellation));

        var on = new Argument<string>("on|off") { Description = "on: turns learn only from what a reviewer let in" };
        on.AcceptOnlyFromAmong("on", "off");
        var require = new Command("require",
            "Whether what people do waits for a reviewer before it is learnt.\nExample: ./flywheel review require on") { on };
        require.SetAction(parse => Require(parse.GetValue(on) == "on"));

        var command = new Command("review",
            "What people did, for a reviewer before it is learnt: list, export, import, agreement (docs/review.md; the page is /loop/review).\n"
            + "Example: ./flywheel review list") { list, export, import, agreement, require };
        command.SetAction((_, cancellation) => ListAsync(new(), 20, cancellation));
        return command;

        ReviewFilter Filter(ParseResult parse) => new()
        {
            App = parse.GetValue(app), View = parse.GetValue(view), Reviewer = parse.GetValue(reviewer)!,
            Signal = parse.GetValue(signal) is not { } code ? null : ReviewSignals.All.Contains(code) ? code
                : throw new FlywheelException($"--signal is '{code}', expected {NearestName.List([.. ReviewSignals.All])}"),
        };
    }

    private static async Task ListAsync(ReviewFilter filter, int limit, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        ReviewList list = await new ReviewQueue(store).ListAsync(filter, cancellation);
        bool required = HomeSettings.Read(store.Home).RequireReview;
        Console.WriteLine($"{list.NumDecided} of {list.NumAll} decided{(list.IsCut ? ", and there are more" : "")}. "
            + (required
                ? "Nothing is learnt before a reviewer lets it in." : "What is not decided is learnt (./flywheel review require on changes that)."));
        if (list.Items.Count == 0) return;
        Table table = new Table().AddColumns("item", "app", "by", "did", "text", "stands out", "state");
        foreach (ReviewItem item in list.Items.Take(limit))
            table.AddRow($"{item.Id}", Markup.Escape(item.App), Markup.Escape(item.Person), ReviewFile.NameOf(item.Did),
                Markup.Escape(Short(item.Current)),
                string.Join('\n', item.Signals), item.State.Outcome.ToString().ToLowerInvariant());
        AnsiConsole.Write(table);
        if (list.Items.Count > limit) Console.WriteLine($"{list.Items.Count - limit} more (--limit).");
        foreach ((string code, int items, int decided, int rejected) in list.Signals)
            Console.WriteLine($"{code}: {items} items, {rejected} of {decided} decided ones rejected.");
    }

    private static async Task ExportAsync(string path, ReviewFilter filter, CancellationToken cancellation)
    {
        string extension = Path.GetExtension(path).ToLowerInvariant();
        if (extension is not (".jsonl" or ".csv"))
            throw new FlywheelException($"FILE is '{path}', expected a name that ends in .jsonl or .csv");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        ReviewList list = await new ReviewQueue(store).ListAsync(filter, cancellation);
        AtomicFile.WriteText(path, extension == ".csv" ? ReviewFile.ToCsv(list.Items) : ReviewFile.ToJsonLines(list.Items));
        Console.WriteLine(
            $"Wrote {list.Items.Count} items: {Path.GetFullPath(path)}. Fill in decision (approve, correct, reject), corrected, reason, label and reviewer; then: ./flywheel review import {path}");
    }

    private static async Task ImportAsync(string path, string reviewer, CancellationToken cancellation)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file");
        IReadOnlyList<ReviewInput> inputs = ReviewFile.Read(Utf8File.ReadText(path), path, reviewer);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var queue = new ReviewQueue(store);
        (int recorded, IReadOnlyList<string> gone) = await queue.ImportAsync(inputs, path, cancellation);
        Console.WriteLine($"Recorded {recorded} answers.");
        foreach (string why in gone) Console.WriteLine($"Not recorded: {why}.");
    }

    private static async Task AgreementAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        ReviewAgreement agreement = await ReviewAgreement.ReadAsync(store, cancellation);
        if (agreement.All.Items == 0)
        {
            Console.WriteLine("No item was judged by two reviewers yet.");
            return;
        }
        Table table = new Table().AddColumns("reviewers", "items", "agreed", "agreement", "kappa");
        foreach (AgreementOfTwo two in agreement.Pairs) AddRow($"{two.First}, {two.Second}", two);
        if (agreement.Pairs.Count > 1) AddRow("all", agreement.All);
        AnsiConsole.Write(table);
        Console.WriteLine(
            $"Kappa is agreement beyond chance: 1 is all, 0 is none. Below {ReviewAgreement.MinItems} items it says nothing.");

        void AddRow(string who, AgreementOfTwo two) =>
            table.AddRow(Markup.Escape(who), $"{two.Items}", $"{two.Agreed}", $"{two.Share:0%}",
                two.IsTooFew ? "too few" : two.Kappa is { } kappa ? $"{kappa:0.00}" : "all one answer");
    }

    private static void Require(bool on)
    {
        var home = new FlywheelHome();
        Directory.CreateDirectory(home.Path);
        (HomeSettings.Read(home) with { RequireReview = on }).Write(home);
        Console.WriteLine(on
            ? "From the next turn on, only what a reviewer let in is learnt." : "What people do is learnt without a reviewer; what one rejects still is not.");
    }

    private static string Short(string text) =>
        text.Length <= 80 ? text.ReplaceLineEndings(" ") : text[..77].ReplaceLineEndings(" ") + "...";
}
