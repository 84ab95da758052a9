using System.Diagnostics;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Flywheel.Cli.Bench;

/// <summary>From a feedback's id to the models that learnt from it.</summary>
/// <param name="FirstMs">The first time, when nothing is compiled or cached.</param>
/// <param name="FillSeconds">What the rows took to make.</param>
public sealed record LineageFigures(double FirstMs, double P50Ms, double P99Ms, double FillSeconds);

/// <summary>Measures <see cref="Lineage"/> on a record of twenty turns, each with a model that came of it, and any number of
/// acts.</summary>
public static class LineageBenchmark
{
    private const int Turns = 20, Asked = 300;

    /// <param name="folder">On the disk to measure; it is left as it was.</param>
    /// <param name="rows">Generations, each with one feedback and one example.</param>
    /// <param name="database">Connection string of the PostgreSQL database to measure, in a schema of its own; null: SQLite.</param>
    public static async Task<LineageFigures> RunAsync(string folder, int rows, string? database = null)
    {
        if (rows < Turns) throw new FlywheelException($"--rows is {rows}, expected {Turns} or more");
        string path = Path.Combine(folder, $"bench-{Guid.NewGuid():N}.tmp");
        try
        {
            await using ScratchSchema? schema = database is null ? null : await ScratchSchema.CreateAsync(database);
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(path, schema?.Connection ?? ""));
            long began = Stopwatch.GetTimestamp();
            await FillAsync(store, rows / Turns);
            double filled = Stopwatch.GetElapsedTime(began).TotalSeconds;
            var random = new Random(1);
            double[] times = new double[Asked];
            for (int i = 0; i < Asked; i++)
            {
                string id = IdOf('f', random.Next(Turns), random.Next(rows / Turns));
                long start = Stopwatch.GetTimestamp();
                LineageNode found = await Lineage.TraceAsync(store, id);
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                if (!found.Children.Any(node => Mentions(node, "run")))
                    throw new InvalidOperationException($"feedback {id} leads to no run that made a model");
            }
            double first = times[0];
            Array.Sort(times);
            return new(first, times[Asked / 2], times[(int)(0.99 * (Asked - 1))], filled);
        }
        finally
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        }
    }

    private static bool Mentions(LineageNode node, string kind) => node.Kind == kind || node.Children.Any(child => Mentions(child, kind));

    /// <summary>One act of each turn by the store's own means, the others as copies of it that the database makes: a statement a
    /// table.</summary>
    private static async Task FillAsync(FlywheelStore store, int copies)
    {
        await using FlywheelDb db = store.Tables();
        db.Database.SetCommandTimeout(TimeSpan.FromHours(1));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        for (int turn = 0; turn < Turns; turn++)
        {
            Guid id = Guid.CreateVersion7(now), generation = Guid.Parse(IdOf('a', turn, 0)), feedback = Guid.Parse(IdOf('f', turn, 0));
            db.Turns.Add(new() { Id = id, Number = turn + 1, Started = now, Ended = now, State = TurnState.Promoted,
                Champion = Hash('c', turn), Recipe = "", Dataset = Hash('d', turn), Candidate = Hash('c', turn + 1) });
            db.Datasets.Add(new() { Hash = Hash('d', turn), TurnId = id, NumTrain = copies, Created = now });
            db.Runs.Add(new() { Name = $"turn-{turn + 1}", TurnId = id, Dataset = Hash('d', turn), Base = Hash('c', turn),
                Model = Hash('c', turn + 1), Created = now });
            db.Models.Add(new() { Hash = Hash('c', turn + 1), Path = $"models/{turn}", Parent = Hash('c', turn), Dataset = Hash('d', turn),
                Created = now });
            db.Generations.Add(new() { Id = generation, Group = generation, Time = now, User = "ann", ModelHash = Hash('c', turn),
                FinishReason = FinishReason.Stop, NumTokens = 40, Store = StoreLevel.Counts });
            db.Feedback.Add(new() { Id = feedback, Time = now, GenerationId = generation, Metric = Metrics.Keep, Value = "true",
                User = "ann", Tags = "{}" });
            db.Examples.Add(new() { TurnId = id, Hash = Hash('e', turn), Kind = ExampleKind.Supervised, Split = Split.Train, User = "ann",
                GenerationId = generation, Sources = [new ExampleFeedback { FeedbackId = feedback }] });
        }
        await db.SaveChangesAsync();
        bool postgres = store.IsShared;
        string Other(string column) => $"substr(seed.{column}, 1, 24) || {(postgres ? "lpad(to_hex(n), 12, '0')" : "printf('%012x', n)")}";
        foreach ((IEntityType table, Dictionary<string, string> changed) in new[]
        {
            (db.Model.FindEntityType(typeof(Generation))!,
                new Dictionary<string, string> { ["id"] = Other("id"), ["group_id"] = Other("group_id") }),
            (db.Model.FindEntityType(typeof(Feedback))!,
                new() { ["id"] = Other("id"), ["generation_id"] = Other("generation_id"), ["sequence"] = "" }),
            (db.Model.FindEntityType(typeof(ExampleRow))!,
                new() { ["id"] = $"seed.id + n * {Turns}", ["generation_id"] = Other("generation_id"),
                    ["hash"] = $"substr(seed.hash, 1, 52) || {(postgres ? "lpad(to_hex(n), 12, '0')" : "printf('%012x', n)")}" }),
            (db.Model.FindEntityType(typeof(ExampleFeedback))!,
                new() { ["example_id"] = $"seed.example_id + n * {Turns}", ["feedback_id"] = Other("feedback_id") }),
        })
        {
            string[] columns =
                [.. table.GetProperties().Select(property => property.GetColumnName())
                    .Where(name => changed.GetValueOrDefault(name) != "")];
            string numbers = postgres ? $"generate_series(1, {copies - 1}) AS numbers(n)" : "numbers";
            string with = postgres
                ? "" : $"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies - 1}) ";
            string sql =
                $"INSERT INTO {table.GetTableName()} ({string.Join(", ", columns.Select(name => $"\"{name}\""))}) {with}SELECT {string.Join(", ", columns.Select(name => changed.GetValueOrDefault(name) ?? $"seed.\"{name}\""))} FROM {table.GetTableName()} AS seed CROSS JOIN {numbers}";
            if (copies > 1) await db.Database.ExecuteSqlRawAsync(sql);
        }
        await db.Database.ExecuteSqlRawAsync("ANALYZE");
    }

    private static string IdOf(char kind, int turn, int copy) => $"{kind}{turn:x7}-0000-7000-8000-{copy:x12}";

    private static string Hash(char kind, int number) => $"{kind}{number:x51}{0:x12}";
}
