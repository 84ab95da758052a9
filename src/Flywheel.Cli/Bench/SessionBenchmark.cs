using System.Diagnostics;
using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>A moment of a run: what the server held, and what it had answered by then.</summary>
/// <param name="Elapsed">Since the sessions began.</param>
/// <param name="ResidentMiB">The server process's working set.</param>
/// <param name="HeapMiB">Of that, managed memory that the last garbage collection left.</param>
/// <param name="Answers">Streamed to their end.</param>
/// <param name="Tokens">In them, and in those that still stream.</param>
public readonly record struct SessionSample(TimeSpan Elapsed, double ResidentMiB, double HeapMiB, int Answers, long Tokens);

/// <summary>What a run came to.</summary>
/// <param name="Samples">In the order of time.</param>
/// <param name="Failures">Why answers came to no end.</param>
public sealed record SessionFigures(IReadOnlyList<SessionSample> Samples, IReadOnlyList<string> Failures)
{
    /// <summary>By how much more the server held in the last third of the run than in the middle one, in MiB: the first third warms
    /// up.</summary>
    public double GrowthMiB
    {
        get
        {
            int third = Samples.Count / 3;
            return third == 0 ? 0 : Samples.TakeLast(third).Average(sample => sample.ResidentMiB)
                - Samples.Skip(third).Take(third).Average(sample => sample.ResidentMiB);
        }
    }
}

/// <summary>Sessions that stream one answer after the other, and what the server holds meanwhile, as its metrics tell.</summary>
public static class SessionBenchmark
{
    /// <param name="server">One of ours.</param>
    /// <param name="sessions">At the same time.</param>
    /// <param name="duration">Of the whole.</param>
    /// <param name="every">So often it is asked what it holds.</param>
    /// <param name="tokens">Most tokens of an answer; prompts have a hundred, all different.</param>
    /// <param name="sampled">Called with each moment.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">No server of ours answers there.</exception>
    public static async Task<SessionFigures> RunAsync(Uri server, int sessions, TimeSpan duration, TimeSpan every, int tokens,
        Action<SessionSample>? sampled = null, CancellationToken cancellation = default)
    {
        if (sessions < 1) throw new FlywheelException($"sessions is {sessions}, expected at least 1");
        if (tokens < 1) throw new FlywheelException($"tokens is {tokens}, expected at least 1");
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = sessions + 1 })
            { Timeout = Timeout.InfiniteTimeSpan };
        CompletionClient client = await CompletionClient.ConnectAsync(http, server, cancellation);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        int answers = 0;
        long streamed = 0, start = Stopwatch.GetTimestamp();
        List<string> failures = [];
        List<SessionSample> samples = [];
        Task[] running = [.. Enumerable.Range(0, sessions).Select(StreamAsync)];
        try
        {
            for (TimeSpan at = every; at <= duration; at += every)
            {
                TimeSpan left = at - Stopwatch.GetElapsedTime(start);
                if (left > TimeSpan.Zero) await Task.Delay(left, cancellation);
                string metrics = await http.GetStringAsync(new Uri(server, "/metrics"), cancellation);
                var sample = new SessionSample(Stopwatch.GetElapsedTime(start), Of(metrics, "dotnet_process_memory_working_set_bytes"),
                    Of(metrics, "dotnet_gc_last_collection_heap_size_bytes"), Volatile.Read(ref answers), Interlocked.Read(ref streamed));
                samples.Add(sample);
                sampled?.Invoke(sample);
            }
        }
        catch (HttpRequestException e)
        {
            throw new FlywheelException($"{server}: /metrics does not answer: {e.Message}", e);
        }
        finally
        {
            await ended.CancelAsync();
            await Task.WhenAll(running);
        }
        return new(samples, failures);

        async Task StreamAsync(int session)
        {
            for (int asked = 0; !ended.IsCancellationRequested; asked++)
            {
                var random = new Random(HashCode.Combine(session, asked));
                try
                {
                    Answer answer = await client.AskAsync(Enumerable.Range(0, 100).Select(_ => random.Next(32, 250)), tokens, asked,
                        _ => Interlocked.Increment(ref streamed), ended.Token);
                    if (answer.Failure is null) Interlocked.Increment(ref answers);
                    else lock (failures) failures.Add(answer.Failure);
                    // A server that refuses is not asked a thousand times a second.
                    if (answer.Failure is not null) await Task.Delay(TimeSpan.FromSeconds(1), ended.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    /// <summary>The sum of a metric's values, in MiB.</summary>
    private static double Of(string metrics, string name)
    {
        double[] values = [.. metrics.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal))
            .Select(line => line[(line.LastIndexOf('}') is >= 0 and var labels ? labels + 1 : name.Length)..].Trim().Split(' ')[0])
            .Select(value => double.Parse(value, CultureInfo.InvariantCulture))];
        return values.Length > 0 ? values.Sum() / (1 << 20)
            : throw new FlywheelException($"/metrics has no {name}, expected a server of this program");
    }
}
