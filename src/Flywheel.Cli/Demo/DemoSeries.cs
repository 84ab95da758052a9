using System.Diagnostics;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>One turn of a series.</summary>
/// <param name="Taste">Name of the rule of those who gave feedback for it.</param>
/// <param name="Promoted">Its candidate answers now.</param>
/// <param name="Asked">Its gate could not decide and left it to a person, who said no.</param>
/// <param name="Acts">What users did.</param>
/// <param name="Before">Unseen prompts before it, judged by the rule of the series.</param>
/// <param name="After">The same after it.</param>
/// <param name="Rise">Of the share of texts that are acceptable as they are, with its 95% interval; whole users drawn together.</param>
/// <param name="Seconds">Use and turn together.</param>
internal sealed record SeriesTurn(string Taste, bool Promoted, bool Asked, ActCounts Acts, Measurement Before, Measurement After,
    Interval Rise, double Seconds);

/// <summary>
/// Several turns in a row with people of one taste, other people each time, and a last one with people who toss a coin; or nothing but
/// turns with people who toss a coin.
/// </summary>
/// <param name="Taste">The rule.</param>
/// <param name="Seed">Of everything.</param>
/// <param name="Home">Of the server.</param>
/// <param name="Turns">In their order; the last is the coin's.</param>
/// <param name="Seconds">In all.</param>
internal sealed record DemoSeries(Taste Taste, int Seed, string Home, IReadOnlyList<SeriesTurn> Turns, double Seconds)
{
    /// <summary>What people have no taste for cannot be learnt.</summary>
    private const string Coin = "coin";

    /// <summary>Each turn of the taste was promoted and better on unseen people, and none of a coin was promoted.</summary>
    public bool Holds => Turns.All(turn => turn.Taste == Coin ? !turn.Promoted : turn is { Promoted: true, Rise.Low: > 0 });

    /// <summary>Rounds of use, each with users of its own; the last, or where the taste is a coin each, asks people without a
    /// taste.</summary>
    public static IReadOnlyList<(Taste Taste, IReadOnlyList<Ask> Asks)> Rounds(Taste taste, IReadOnlyList<Product> products, int users,
        int prompts, int turns, int seed) =>
        [.. Enumerable.Range(0, taste.Name == Coin ? turns : turns + 1)
            .Select(round => (round < turns ? taste : Taste.Named(Coin), Protocol.Draw(products, users, prompts, seed, round).Feedback))];

    /// <param name="run">Of the series' taste.</param>
    /// <param name="rounds">From <see cref="Rounds"/>.</param>
    /// <param name="turn">Runs one turn of the loop on this home and gives its exit code.</param>
    /// <param name="cancellation">Stops between requests.</param>
    public static async Task<DemoSeries> RunAsync(DemoRun run, IReadOnlyList<(Taste Taste, IReadOnlyList<Ask> Asks)> rounds,
        Func<string, CancellationToken, Task<int>> turn, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        List<SeriesTurn> turns = [];
        string home = await run.HomeAsync(cancellation);
        Measurement before = await run.MeasureAsync("Unseen prompts before the first turn", cancellation);
        foreach ((int index, (Taste taste, IReadOnlyList<Ask> asks)) in rounds.Index())
        {
            double began = clock.Elapsed.TotalSeconds;
            ActCounts acts = await run.LetUsersActAsync(asks, taste, cancellation);
            int code = await run.TurnAsync(home, turn, cancellation);
            if (code == ExitCodes.Waiting) await run.RefuseAsync(cancellation);
            double seconds = clock.Elapsed.TotalSeconds - began;
            // The same model writes the same drafts to the same seeds.
            Measurement after = code == 0
                ? await run.MeasureAsync($"The same unseen prompts after turn {index + 1}", cancellation) : before;
            Interval rise = PairedBootstrap.Mean([.. before.Prompts.Zip(after.Prompts, (one, other) => (one.User, other.Rate - one.Rate))],
                run.Seed);
            run.Say($"Turn {index + 1}: {before.Rate:P1} to {after.Rate:P1} of texts accepted by unseen people, {(code == 0 ? "promoted" : "not promoted")}.");
            turns.Add(new(taste.Name, code == 0 && after.ModelHash != before.ModelHash, code == ExitCodes.Waiting, acts, before, after,
                rise, seconds));
            before = after;
        }
        return new(run.Taste, run.Seed, home, turns, clock.Elapsed.TotalSeconds);
    }

    /// <summary>Writes <c>demo-TASTE-turns.json</c> into the home, with every text and verdict.</summary>
    /// <returns>Its path.</returns>
    public string Write()
    {
        string path = Path.Combine(Home, $"demo-{Taste.Name}-turns.json");
        AtomicFile.WriteText(path,
            JsonSerializer.Serialize(new { Taste = Taste.Name, Taste.Rule, Seed, Seconds, Turns }, JsonText.Indented) + "\n");
        return path;
    }
}
