using System.Diagnostics;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>What recording costs with so many callers at once, each waiting for its record to be on disk.</summary>
/// <param name="PerSecond">Generations recorded a second, all callers together.</param>
public sealed record RecordFigures(int Callers, double P50Ms, double P99Ms, double PerSecond);

/// <summary>Measures durable recording, and the bare sync of a file on the same disk to compare with.</summary>
public static class RecordBenchmark
{
    private const int Tokens = 200, PerRun = 2000;

    /// <param name="folder">On the disk to measure; it is left empty.</param>
    /// <param name="callers">How many at once, one run each.</param>
    /// <param name="database">Connection string of the PostgreSQL database to measure, in a schema of its own; null: SQLite.</param>
    /// <returns>The 50th and 99th percentile of a bare 4 KiB write and sync, milliseconds, and the runs.</returns>
    public static async Task<((double P50Ms, double P99Ms) Sync, IReadOnlyList<RecordFigures> Runs)> RunAsync(string folder,
        IReadOnlyList<int> callers, string? database = null)
    {
        string path = Path.Combine(folder, $"bench-{Guid.NewGuid():N}.tmp");
        try
        {
            Directory.CreateDirectory(path);
            (double, double) sync = MeasureSync(Path.Combine(path, "sync.bin"));
            List<RecordFigures> runs = [];
            await using ScratchSchema? schema = database is null ? null : await ScratchSchema.CreateAsync(database);
            await using (FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(path, schema?.Connection ?? "")))
            {
                await MeasureAsync(store, 16, 200); // the first ones pay for compiling the queries
                foreach (int count in callers) runs.Add(await MeasureAsync(store, count, PerRun));
            }
            return (sync, runs);
        }
        finally
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            Directory.Delete(path, recursive: true);
        }
    }

    private static async Task<RecordFigures> MeasureAsync(FlywheelStore store, int callers, int count)
    {
        double[] latencies = new double[count];
        int next = -1;
        long began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < count;)
            {
                Generation generation = Example(i, Tokens);
                long start = Stopwatch.GetTimestamp();
                await store.RecordAsync(generation);
                latencies[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        })));
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        (double p50, double p99) = Percentiles(latencies);
        return new(callers, p50, p99, count / seconds);
    }

    private static (double P50Ms, double P99Ms) MeasureSync(string path)
    {
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] page = new byte[4096];
        return Percentiles([.. Enumerable.Range(0, 300).Select(_ =>
        {
            long start = Stopwatch.GetTimestamp();
            file.Write(page);
            file.Flush(flushToDisk: true);
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        })]);
    }

    private static (double, double) Percentiles(double[] values)
    {
        Array.Sort(values);
        return (values[values.Length / 2], values[(int)(0.99 * (values.Length - 1))]);
    }

    /// <param name="seed">Decides what is in it.</param>
    /// <param name="tokens">Of its prompt, and of its answer.</param>
    internal static Generation Example(int seed, int tokens)
    {
        var random = new Random(seed);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => random.Next(32_000))];
        float[] logprobs = [.. ids.Select(_ => -5 * random.NextSingle())];
        return new()
        {
            Id = Guid.CreateVersion7(),
            Group = Guid.CreateVersion7(),
            Time = DateTimeOffset.UtcNow,
            ModelHash = new('0', 64),
            FinishReason = FinishReason.Stop,
            NumPromptTokens = tokens,
            NumTokens = tokens,
            Payload = new() { Conversation = new([Message.User(new string('x', 3 * tokens))]), Text = new string('y', 4 * tokens),
                PromptTokens = ids, Tokens = ids, Logprobs = logprobs, SamplerLogprobs = logprobs, Sampler = new SamplerOptions() },
        };
    }
}
