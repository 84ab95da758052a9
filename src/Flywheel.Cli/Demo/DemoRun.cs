using System.Diagnostics;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>What the simulated users did in all.</summary>
internal sealed record ActCounts(int Shown, int Kept, int Edited, int Discarded, int Silent);

/// <summary>How the turn ended: its exit code and how long it took.</summary>
internal sealed record DemoTurn(int ExitCode, double Seconds);

/// <summary>
/// The demo's experiment on a running server: measure on unseen prompts, let users act, turn, measure the same prompts
/// with the same seeds again. The server is only met through its public API.
/// </summary>
internal sealed class DemoRun(StudioClient client, Taste taste, Protocol protocol, int seed, DemoDisplay display)
{
    /// <summary>Variants that a person compares, as on the page.</summary>
    private const int NumVariants = 3;

    public Taste Taste => taste;

    public int Seed => seed;

    /// <param name="turn">Runs one turn of the loop on this home and gives its exit code.</param>
    /// <param name="cancellation">Stops between requests.</param>
    public async Task<DemoResult> RunAsync(Func<string, CancellationToken, Task<int>> turn, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        Measurement before = await MeasureAsync("Unseen prompts before the turn", cancellation);
        double began = clock.Elapsed.TotalSeconds;
        ActCounts acts = await LetUsersActAsync(protocol.Feedback, taste, cancellation);
        double acted = clock.Elapsed.TotalSeconds;
        string home = await HomeAsync(cancellation);
        int code = await TurnAsync(home, turn, cancellation);
        var outcome = new DemoTurn(code, clock.Elapsed.TotalSeconds - acted);
        Measurement after = await MeasureAsync("The same unseen prompts after the turn", cancellation);
        return new DemoResult(taste, seed, home, acts, acted - began, outcome, before, after, clock.Elapsed.TotalSeconds);
    }

    public void Say(string line) => display.Say(line);

    /// <summary>Of the server.</summary>
    public async Task<string> HomeAsync(CancellationToken cancellation) => (await client.StatusAsync(cancellation)).Home;

    /// <returns>The turn's exit code.</returns>
    /// <exception cref="FlywheelException">It could not be ended.</exception>
    public async Task<int> TurnAsync(string home, Func<string, CancellationToken, Task<int>> turn, CancellationToken cancellation)
    {
        display.Say("One turn: ./flywheel turn");
        int code = await turn(home, cancellation);
        return code is 0 or ExitCodes.Rejected or ExitCodes.Waiting ? code
            : throw new FlywheelException(
                $"the turn ended with code {code}; what it said above tells why, and after mending that `FLYWHEEL_HOME={home} ./flywheel turn` repeats it");
    }

    /// <summary>Nobody here can compare drafts as a person would: who is asked says no.</summary>
    public Task RefuseAsync(CancellationToken cancellation) => client.RefuseAsync(cancellation);

    public Task<Measurement> MeasureAsync(string what, CancellationToken cancellation) =>
        display.WatchAsync(what, protocol.Measurement.Count,
            progress => Measurement.TakeAsync(client, protocol.Measurement, taste, NumVariants, progress, cancellation));

    public async Task<ActCounts> LetUsersActAsync(IReadOnlyList<Ask> asks, Taste theirs, CancellationToken cancellation)
    {
        Dictionary<string, SimulatedUser> users =
            asks.Select(ask => ask.User).Distinct().ToDictionary(name => name, name => new SimulatedUser(name, theirs, seed));
        Act[][] acts = await display.WatchAsync($"{users.Count} simulated users keep, edit and discard", asks.Count,
            progress => StudioClient.EachAsync(asks, async (ask, stop) =>
        {
            IReadOnlyList<Variant> variants = await client.AskAsync(ask, NumVariants, stop);
            Act[] chosen = users[ask.User].Look(ask.Brief, [.. variants.Select(variant => variant.Text)]);
            foreach ((Variant variant, Act act) in variants.Zip(chosen))
            {
                (string Metric, JsonNode Value)? told = act.Kind switch
                {
                    ActKind.Keep => (Metrics.Keep, true),
                    ActKind.Edit => (Metrics.Demonstration, act.Edited!),
                    ActKind.Discard => (Metrics.Discard, true),
                    _ => null,
                };
                if (told is { } feedback) await client.TellAsync(ask.User, variant.GenerationId, feedback.Metric, feedback.Value, stop);
            }
            return chosen;
        }, progress, cancellation));
        int Count(ActKind kind) => acts.Sum(row => row.Count(act => act.Kind == kind));
        return new ActCounts(acts.Sum(row => row.Length), Count(ActKind.Keep), Count(ActKind.Edit), Count(ActKind.Discard),
            Count(ActKind.None));
    }
}
