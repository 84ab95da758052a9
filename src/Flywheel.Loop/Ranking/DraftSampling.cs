using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>How drafts that are to be ranked are sampled: the same for the page, the command line and what is measured.</summary>
public static class DraftSampling
{
    /// <summary>Drafts of which the best are shown.</summary>
    public const int NumCandidates = 32;

    /// <summary>The last candidate's temperature is so much above the first's.</summary>
    private const float Spread = 0.4f;

    /// <summary>
    /// As asked for the first, then ever more freely: cold drafts share their faults, and where a brief is hard, a sentence that fits is
    /// found
    /// among the warmer. Greedy stays greedy.
    /// </summary>
    /// <param name="asked">For all.</param>
    /// <param name="index">Among the candidates.</param>
    /// <param name="candidates">How many.</param>
    public static SamplerOptions Of(SamplerOptions asked, int index, int candidates) =>
        asked.Temperature > 0 && candidates > 1
            ? asked with { Temperature = asked.Temperature + Spread * index / (candidates - 1) } : asked;

    /// <summary>Longest draft in tokens.</summary>
    public static int MaxTokens(string? kind) => kind == Brief.Tagline ? 48 : 256;
}
