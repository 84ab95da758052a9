using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using Flywheel.Loop;

namespace Flywheel.Cli.Bench;

/// <summary>The middle one of a number of measurements, and their quartiles.</summary>
public readonly record struct Spread(double Low, double Median, double High)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return new(At(0.25), At(0.5), At(0.75));

        double At(double part)
        {
            double place = part * (sorted.Length - 1);
            (int below, int above) = ((int)place, (int)Math.Ceiling(place));
            return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
        }
    }
}

/// <summary>What recording adds to requests that arrive at a rate.</summary>
/// <param name="Off">Milliseconds from when a request was due to its answer, where nothing is recorded; medians of the runs'.</param>
/// <param name="On">The same where each answer is recorded first.</param>
/// <param name="AddedP50Ms">Median of the differences of neighbouring runs.</param>
/// <param name="AddedP99Ms">The same of their 99th percentiles.</param>
/// <param name="NumFailed">Requests without an answer.</param>
/// <param name="HighestRate">Requests a second, all recorded, at which 99 in 100 were still answered in
/// <see cref="RecordRateBenchmark.HeldMs"/>.</param>
public sealed record RateFigures(Percentiles Off, Percentiles On, double AddedP50Ms, Spread AddedP99Ms, int NumFailed, double HighestRate);

/// <summary>
/// Requests for small mock generations at a steady rate, whether or not those before are answered (an open loop: a server that falls behind
/// is not spared), with and without recording in turn.
/// </summary>
public static class RecordRateBenchmark
{
    /// <summary>A rate is held while 99 in 100 are answered within it.</summary>
    public const double HeldMs = 100;

    private const double Step = 1.25;

    /// <param name="folder">On the disk to measure; it is left empty.</param>
    /// <param name="database">Connection string of the PostgreSQL database to measure, in a schema of its own; null: SQLite.</param>
    /// <param name="rate">Requests a second; arrivals are random (exponential gaps).</param>
    /// <param name="run">How long one run takes.</param>
    /// <param name="rounds">Pairs of runs.</param>
    /// <param name="say">Told of each.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<RateFigures> RunAsync(string folder, string? database, double rate, TimeSpan run, int rounds,
        Action<string> say, CancellationToken cancellation = default)
    {
        string home = Path.Combine(folder, $"bench-{Guid.NewGuid():N}.tmp");
        try
        {
            await using ScratchSchema? schema = database is null ? null : await ScratchSchema.CreateAsync(database);
            await using RecordServer server = await RecordServer.StartAsync(home, schema?.Connection);
            using HttpClient http = new() { BaseAddress = new Uri(server.Url), Timeout = TimeSpan.FromSeconds(30) };
            foreach (string path in new[] { "/on", "/off" }) await AskAsync(http, path, rate, run, -1, null, cancellation);
            List<Percentiles> off = [], on = [];
            int failed = 0;
            for (int round = 0; round < rounds; round++)
            {
                // Either first in turn, so that what drifts falls on both.
                foreach (bool records in round % 2 == 0 ? [false, true] : (bool[])[true, false])
                {
                    (Percentiles found, int lost) = await AskAsync(http, records ? "/on" : "/off", rate, run, round, null, cancellation);
                    (records ? on : off).Add(found);
                    failed += lost;
                }
                say($"round {round + 1}: p99 {off[^1].P99:F2} ms, recorded {on[^1].P99:F2} ms");
            }
            double held = 0;
            for (double tried = rate; await HoldsAsync(tried); tried *= Step) held = tried;
            return new(Middle(off), Middle(on), Spread.Of(on.Zip(off, (one, other) => one.P50 - other.P50)).Median,
                Spread.Of(on.Zip(off, (one, other) => one.P99 - other.P99)), failed, held);

            async Task<bool> HoldsAsync(double tried)
            {
                for (int attempt = 0; attempt < 2; attempt++) // a machine has bad seconds
                {
                    (Percentiles found, int lost) = await AskAsync(http, "/on", tried, run, attempt, null, cancellation);
                    say($"{tried:N0} a second: p99 {found.P99:F1} ms, {lost} failed");
                    if (lost == 0 && found.P99 <= HeldMs) return true;
                }
                return false;
            }
        }
        finally
        {
            if (Directory.Exists(home)) Directory.Delete(home, recursive: true);
        }
    }

    /// <summary>Asks at a rate for a while, and waits for all answers.</summary>
    /// <param name="http">The server.</param>
    /// <param name="path"><c>/on</c> or <c>/off</c>.</param>
    /// <param name="rate">Requests a second.</param>
    /// <param name="run">For how long.</param>
    /// <param name="seed">Decides when.</param>
    /// <param name="answered">Told of the id of each answer.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Milliseconds of the answers, from when they were due, and how many failed.</returns>
    internal static async Task<(Percentiles Ms, int NumFailed)> AskAsync(HttpClient http, string path, double rate, TimeSpan run, int seed,
        Func<Guid, Task>? answered, CancellationToken cancellation)
    {
        var random = new Random(seed);
        var found = new ConcurrentBag<double>();
        List<Task> running = [];
        var clock = Stopwatch.StartNew();
        for (double due = 0; due < run.TotalSeconds; due += -Math.Log(1 - random.NextDouble()) / rate)
        {
            if (due - clock.Elapsed.TotalSeconds is > 0.001 and var wait) await Task.Delay(TimeSpan.FromSeconds(wait), cancellation);
            running.Add(OneAsync(due));
        }
        await Task.WhenAll(running);
        return (Percentiles.Of(found), running.Count - found.Count);

        async Task OneAsync(double due)
        {
            Guid id;
            try
            {
                using HttpResponseMessage answer = await http.PostAsync(path, null, cancellation);
                if (!answer.IsSuccessStatusCode) return;
                id = await answer.Content.ReadFromJsonAsync<Guid>(cancellation);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException
                && !cancellation.IsCancellationRequested)
            {
                return;
            }
            found.Add((clock.Elapsed.TotalSeconds - due) * 1000);
            if (answered is not null) await answered(id);
        }
    }

    private static Percentiles Middle(List<Percentiles> runs) => new(Spread.Of(runs.Select(run => run.P50)).Median,
        Spread.Of(runs.Select(run => run.P95)).Median, Spread.Of(runs.Select(run => run.P99)).Median);
}
