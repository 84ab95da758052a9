using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>What the clients of a benchmark ask for. Prompts are token ids, so that every server reads the same.</summary>
public sealed record ServeLoad
{
    /// <summary>Clients that ask at the same time, each once a round.</summary>
    public int Clients { get; init; } = 16;

    /// <summary>Tokens that all prompts of a round begin with.</summary>
    public int SharedTokens { get; init; } = 400;

    /// <summary>Tokens of each client's own.</summary>
    public int OwnTokens { get; init; } = 20;

    /// <summary>Most tokens of an answer.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <exception cref="FlywheelException">A number is not positive; it is named.</exception>
    internal void Validate()
    {
        foreach ((string name, int value) in new[] { ("clients", Clients), ("own", OwnTokens), ("tokens", MaxTokens) })
            if (value < 1) throw new FlywheelException($"{name} is {value}, expected at least 1");
        if (SharedTokens < 0) throw new FlywheelException($"shared is {SharedTokens}, expected at least 0");
    }
}

/// <summary>Half, 95 and 99 in a hundred of the measurements lie below these.</summary>
public readonly record struct Percentiles(double P50, double P95, double P99)
{
    public static Percentiles Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? default : new(At(0.5), At(0.95), At(0.99));

        double At(double part) => sorted[(int)Math.Min(sorted.Length - 1, Math.Ceiling(part * sorted.Length) - 1)];
    }
}

/// <summary>How a server did in one kind of round.</summary>
/// <param name="TokensPerSecond">Of all clients together, from the first request to the last token.</param>
/// <param name="FirstMs">From a request to its first text.</param>
/// <param name="BetweenMs">From one piece of text to the next.</param>
/// <param name="Failures">Why requests were not answered in full, one for each.</param>
public sealed record ServerFigures(double TokensPerSecond, Percentiles FirstMs, Percentiles BetweenMs, IReadOnlyList<string> Failures);

/// <summary>What running streams notice of a long prompt.</summary>
/// <param name="QuietMs">Between pieces of text before it arrives and after it is answered.</param>
/// <param name="DuringMs">The same from its arrival to its first token.</param>
/// <param name="FirstMs">How long its first token took, in each round.</param>
public sealed record IntrusionFigures(Percentiles QuietMs, Percentiles DuringMs, Percentiles FirstMs);
