using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>Everything that the demo measured.</summary>
/// <param name="Taste">Rule of the simulated users.</param>
/// <param name="Seed">Of protocol, users and intervals.</param>
/// <param name="Home">Of the server.</param>
/// <param name="Acts">What users did.</param>
/// <param name="ActSeconds">How long they took.</param>
/// <param name="Turn">How the turn ended.</param>
/// <param name="Before">Unseen prompts on the model before the turn.</param>
/// <param name="After">The same prompts and seeds after it.</param>
/// <param name="Seconds">In all.</param>
internal sealed record DemoResult(Taste Taste, int Seed, string Home, ActCounts Acts, double ActSeconds, DemoTurn Turn, Measurement Before,
    Measurement After, double Seconds)
{
    /// <summary>95% interval of the share of single variants that are acceptable as they are.</summary>
    public Interval RateBefore => Mean(Before.Prompts.Select(prompt => (prompt.User, prompt.Rate)));

    public Interval RateAfter => Mean(After.Prompts.Select(prompt => (prompt.User, prompt.Rate)));

    /// <summary>The primary measure: the rise of that share, paired by prompt, whole users drawn together.</summary>
    public Interval Rise => Paired(prompt => prompt.Rate);

    public Interval AnyBefore => Mean(Before.Prompts.Select(prompt => (prompt.User, prompt.AnyRate)));

    public Interval AnyAfter => Mean(After.Prompts.Select(prompt => (prompt.User, prompt.AnyRate)));

    /// <summary>The rise of the share of prompts with at least one acceptable variant.</summary>
    public Interval AnyRise => Paired(prompt => prompt.AnyRate);

    /// <summary>The rate rose, and not by chance.</summary>
    public bool Rose => Rise.Low > 0;

    private Interval Paired(Func<MeasuredPrompt, double> measure) =>
        Mean(Before.Prompts.Zip(After.Prompts, (before, after) => (before.User, measure(after) - measure(before))));

    private Interval Mean(IEnumerable<(string, double)> items) => PairedBootstrap.Mean([.. items], Seed);

    /// <summary>Writes <c>demo-TASTE.json</c> into the home, with every text and verdict.</summary>
    /// <returns>Its path.</returns>
    public string Write()
    {
        string path = Path.Combine(Home, $"demo-{Taste.Name}.json");
        AtomicFile.WriteText(path, JsonSerializer.Serialize(new
        {
            Taste = Taste.Name,
            Taste.Rule,
            Seed,
            Acts,
            ActSeconds,
            Turn,
            Seconds,
            RateBefore,
            RateAfter,
            Rise,
            AnyBefore,
            AnyAfter,
            AnyRise,
            Before,
            After,
        }, JsonText.Indented) + "\n");
        return path;
    }
}
