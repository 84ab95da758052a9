using System.Diagnostics;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>Many clients against any server that speaks OpenAI's completions, or several servers in turn.</summary>
public static class ServeBenchmark
{
    /// <summary>Ids that are ordinary tokens in every vocabulary.</summary>
    private const int FirstId = 32, EndId = 250;

    /// <summary>Pieces of text that every stream gets before the quiet time, in it (and in a second one, after the prompt), and at
    /// most.</summary>
    private const int SettlingPieces = 20, QuietPieces = 250, StreamTokens = 1500;

    /// <summary>
    /// Rounds in turn between servers: in a cold one the shared tokens are new to the server, in the warm one after it they
    /// are known.
    /// </summary>
    /// <returns>For each server, cold and warm.</returns>
    /// <exception cref="FlywheelException">A server does not answer.</exception>
    public static async Task<IReadOnlyList<(ServerFigures Cold, ServerFigures Warm)>> RunAsync(IReadOnlyList<Uri> servers, ServeLoad load,
        int rounds, CancellationToken cancellation = default)
    {
        load.Validate();
        using HttpClient http = Connect(load.Clients);
        CompletionClient[] clients = await ConnectAsync(http, servers, cancellation);
        int run = Random.Shared.Next(); // a server that is asked again must not know the tokens
        Round[,] found = new Round[servers.Count, 2];
        for (int i = 0; i < servers.Count; i++) (found[i, 0], found[i, 1]) = (new Round(), new Round());
        ServeLoad small = load with { SharedTokens = Math.Min(load.SharedTokens, 32), MaxTokens = Math.Min(load.MaxTokens, 16) };
        for (int round = -1; round < rounds; round++) // the first warms up
            for (int i = 0; i < servers.Count; i++)
                for (int warm = 0; warm < 2; warm++)
                    await AskAllAsync(clients[i], round < 0 ? small : load, (run, round, warm), round < 0 ? new Round() : found[i, warm],
                        cancellation);
        return [.. Enumerable.Range(0, servers.Count).Select(i => (found[i, 0].Figures, found[i, 1].Figures))];
    }

    /// <summary>Streams run quietly; then a long prompt arrives; then they run quietly again, because a machine's pace changes.</summary>
    /// <param name="servers">Measured in turn.</param>
    /// <param name="load">How many streams, and their prompts.</param>
    /// <param name="promptTokens">Length of the prompt that arrives.</param>
    /// <param name="rounds">After one to warm up.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>For each server.</returns>
    /// <exception cref="FlywheelException">A server does not answer.</exception>
    public static async Task<IReadOnlyList<IntrusionFigures>> IntrudeAsync(IReadOnlyList<Uri> servers, ServeLoad load, int promptTokens,
        int rounds, CancellationToken cancellation = default)
    {
        load.Validate();
        if (promptTokens < 1) throw new FlywheelException($"intrude is {promptTokens}, expected at least 1");
        using HttpClient http = Connect(load.Clients + 1);
        CompletionClient[] clients = await ConnectAsync(http, servers, cancellation);
        int run = Random.Shared.Next();
        (List<double> Quiet, List<double> During, List<double> First)[] found =
            [.. servers.Select(_ => (new List<double>(), new List<double>(), new List<double>()))];
        for (int round = -1; round < rounds; round++)
            for (int i = 0; i < servers.Count; i++)
            {
                (List<double> quiet, List<double> during, double first) =
                    await IntrudeOnceAsync(clients[i], load, promptTokens, (run, round), cancellation);
                if (round < 0) continue;
                found[i].Quiet.AddRange(quiet);
                found[i].During.AddRange(during);
                found[i].First.Add(first);
            }
        return [.. found.Select(one => new IntrusionFigures(Percentiles.Of(one.Quiet), Percentiles.Of(one.During),
            Percentiles.Of(one.First)))];
    }

    private static HttpClient Connect(int connections) =>
        new(new SocketsHttpHandler { MaxConnectionsPerServer = connections }) { Timeout = TimeSpan.FromMinutes(30) };

    private static async Task<CompletionClient[]> ConnectAsync(HttpClient http, IReadOnlyList<Uri> servers, CancellationToken cancellation)
    {
        var clients = new CompletionClient[servers.Count];
        for (int i = 0; i < clients.Length; i++) clients[i] = await CompletionClient.ConnectAsync(http, servers[i], cancellation);
        return clients;
    }

    private static async Task AskAllAsync(CompletionClient server, ServeLoad load, (int Run, int Number, int Warm) round, Round into,
        CancellationToken cancellation)
    {
        int[] shared = Tokens(HashCode.Combine(round.Run, round.Number), load.SharedTokens);
        long start = Stopwatch.GetTimestamp();
        int[] tokens = await Task.WhenAll(Enumerable.Range(0, load.Clients).Select(AskOneAsync));
        into.Rates.Add(tokens.Sum() / Stopwatch.GetElapsedTime(start).TotalSeconds);

        async Task<int> AskOneAsync(int client)
        {
            bool isFirst = true;
            Answer answer = await server.AskAsync(shared.Concat(Tokens(HashCode.Combine(round, client), load.OwnTokens)), load.MaxTokens,
                client, elapsed =>
            {
                lock (into) (isFirst ? into.First : into.Between).Add(elapsed.TotalMilliseconds);
                isFirst = false;
            }, cancellation);
            if (answer.Failure is { } failure) lock (into) into.Failures.Add(failure);
            return answer.NumTokens;
        }
    }

    private static async Task<(List<double> Quiet, List<double> During, double First)> IntrudeOnceAsync(CompletionClient server,
        ServeLoad load, int promptTokens, (int Run, int Number) round, CancellationToken cancellation)
    {
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        List<double> quiet = [], during = [];
        bool isQuiet = true;
        int[] left = [.. Enumerable.Repeat(QuietPieces, load.Clients)];
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task[] streams = [.. Enumerable.Range(0, load.Clients).Select(StreamAsync)];
        double first = 0;
        try
        {
            await ListenAsync();
            lock (quiet) isQuiet = false;
            Answer answer = await server.AskAsync(Tokens(HashCode.Combine(round, "intruder"), promptTokens), 1, 0,
                elapsed => first = elapsed.TotalMilliseconds, cancellation);
            if (answer.Failure is { } failure) throw new FlywheelException($"the long prompt was not answered: {failure}");
            lock (quiet)
            {
                isQuiet = true;
                enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                Array.Fill(left, QuietPieces);
            }
            await ListenAsync();
        }
        finally
        {
            await leave.CancelAsync();
        }
        foreach (Task stream in streams)
        {
            try
            {
                await stream;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // it was told to leave
            }
        }
        return (quiet, during, first);

        // until then a stream ends by a failure only
        async Task ListenAsync() => await await Task.WhenAny(enough.Task, Task.WhenAny(streams).Unwrap());

        async Task StreamAsync(int client)
        {
            int settling = SettlingPieces;
            for (int turn = 0; !leave.IsCancellationRequested; turn++) // an answer may end early
            {
                bool isFirst = true;
                Answer answer = await server.AskAsync(Tokens(HashCode.Combine(round, client, turn), load.OwnTokens), StreamTokens, client,
                    elapsed =>
                {
                    bool isBetween = !isFirst;
                    isFirst = false;
                    if (!isBetween || settling-- > 0) return;
                    lock (quiet)
                    {
                        (isQuiet ? quiet : during).Add(elapsed.TotalMilliseconds);
                        if (!isQuiet) return;
                        left[client]--;
                        if (left.All(count => count <= 0)) enough.TrySetResult();
                    }
                }, leave.Token);
                if (answer.Failure is { } failure) throw new FlywheelException($"a stream was not answered: {failure}");
            }
        }
    }

    private static int[] Tokens(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(FirstId, EndId))];
    }

    private sealed class Round
    {
        public List<double> Rates { get; } = [];

        public List<double> First { get; } = [];

        public List<double> Between { get; } = [];

        public List<string> Failures { get; } = [];

        public ServerFigures Figures => new(Percentiles.Of(Rates).P50, Percentiles.Of(First), Percentiles.Of(Between), Failures);
    }
}
