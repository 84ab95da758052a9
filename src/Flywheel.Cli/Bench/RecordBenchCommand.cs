using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli.Bench;

/// <summary><c>flywheel bench record</c> and <c>bench lineage</c>: what the record costs, and how fast it is read.</summary>
internal static class RecordBenchCommand
{
    private static Option<string?> Database() =>
        new("--database")
            { Description = "Connection string of a PostgreSQL database to measure beside SQLite, in a schema that is dropped afterwards" };

    public static Command Record()
    {
        Option<string?> database = Database();
        var rate = new Option<double>("--rate")
            { Description = "Instead: so many requests a second to a server that answers small mock generations, recorded and not in turn" };
        var seconds = new Option<double>("--seconds") { Description = "Of each run at that rate", DefaultValueFactory = _ => 5 };
        var rounds = new Option<int>("--rounds") { Description = "Pairs of runs that the medians are of", DefaultValueFactory = _ => 8 };
        var serve = new Option<string?>("--serve") { Description = "Be that server, on this home, until the input ends", Hidden = true };
        var command = new Command("record",
            "What durable recording costs: milliseconds until a generation is on disk, against the bare sync of a file.\nExample: ./flywheel bench record --rate 500 --database \"Host=/var/run/postgresql;Database=flywheel\"") { database, rate, seconds, rounds, serve };
        command.SetAction(async (parse, cancellation) =>
        {
            string?[] measured = Databases(parse.GetValue(database));
            if (parse.GetValue(serve) is { } home) await RecordServer.ServeAsync(new FlywheelHome(home), cancellation);
            else if (parse.GetResult(rate) is null) await CallersAsync(measured);
            else
                await RateAsync(measured, Positive("--rate", parse.GetValue(rate)), Positive("--seconds", parse.GetValue(seconds)),
                    (int)Positive("--rounds", parse.GetValue(rounds)), cancellation);
        });
        return command;
    }

    private static double Positive(string name, double value) =>
        value > 0 && double.IsFinite(value) ? value : throw new FlywheelException($"{name} is {value}, expected more than 0");

    private static async Task CallersAsync(string?[] databases)
    {
        int[] callers = [1, 4, 16, 64];
        Table table = new Table().Title("200 + 200 tokens a generation, durable")
            .AddColumns("database", "callers at once", "p50 ms", "p99 ms", "generations/s");
        foreach (string? measured in databases)
        {
            ((double p50, double p99), IReadOnlyList<RecordFigures> figures) =
                await RecordBenchmark.RunAsync(new FlywheelHome().Cache, callers, measured);
            if (measured is null) table.AddRow("bare 4 KiB sync", "", $"{p50:F2}", $"{p99:F2}", "");
            foreach (RecordFigures run in figures)
                table.AddRow(NameOf(measured), $"{run.Callers}", $"{run.P50Ms:F2}", $"{run.P99Ms:F2}", $"{run.PerSecond:N0}");
        }
        AnsiConsole.Write(table);
    }

    private static async Task RateAsync(string?[] databases, double rate, double seconds, int rounds, CancellationToken cancellation)
    {
        Table table = new Table()
            .Title(Markup.Escape($"{rate:N0} requests/s, {RecordServer.Tokens} + {RecordServer.Tokens} tokens, {rounds} pairs of runs of {seconds:0.#} s; medians"))
            .AddColumns("database", "not recorded p50 / p95 / p99 ms", "recorded p50 / p95 / p99 ms", "added p50 ms",
                "added p99 ms (its quartiles)", "failed", "highest rate held");
        foreach (string? measured in databases)
        {
            RateFigures found = await RecordRateBenchmark.RunAsync(new FlywheelHome().Cache, measured, rate, TimeSpan.FromSeconds(seconds),
                rounds, say => AnsiConsole.WriteLine($"{NameOf(measured)}: {say}"), cancellation);
            table.AddRow(NameOf(measured), Text(found.Off), Text(found.On), $"{found.AddedP50Ms:F2}",
                $"{found.AddedP99Ms.Median:F2} ({found.AddedP99Ms.Low:F2} to {found.AddedP99Ms.High:F2})", $"{found.NumFailed}",
                $"{found.HighestRate:N0}/s");
        }
        AnsiConsole.Write(table);

        static string Text(Percentiles p) => $"{p.P50:F2} / {p.P95:F2} / {p.P99:F2}";
    }

    /// <summary>SQLite, of which null says so, and the server that is given.</summary>
    private static string?[] Databases(string? server) => server is null ? [null] : [null, server];

    private static string NameOf(string? database) => database is null ? "SQLite" : "PostgreSQL";

    public static Command Lineage()
    {
        Option<string?> database = Database();
        var rows = new Option<int>("--rows") { Description = "Generations, each with feedback and an example",
            DefaultValueFactory = _ => 1_000_000 };
        var command = new Command("lineage",
            "How long it takes to find the models that learnt from a feedback, in a record of many rows.\nExample: ./flywheel bench lineage --rows 1000000") { rows, database };
        command.SetAction(async (parse, _) =>
        {
            Table table = new Table().Title($"{parse.GetValue(rows):N0} generations, feedbacks and examples")
                .AddColumns("database", "first ms", "p50 ms", "p99 ms", "rows made in s");
            foreach (string? measured in Databases(parse.GetValue(database)))
            {
                LineageFigures found = await LineageBenchmark.RunAsync(new FlywheelHome().Cache, parse.GetValue(rows), measured);
                table.AddRow(NameOf(measured), $"{found.FirstMs:F1}", $"{found.P50Ms:F1}", $"{found.P99Ms:F1}",
                    $"{found.FillSeconds:F0}");
            }
            AnsiConsole.Write(table);
        });
        return command;
    }
}
