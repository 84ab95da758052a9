using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// Prefers the draft that keeps to its brief, by what <see cref="CopyMetrics"/> counts: the exact name, facts restated, nothing foreign.
/// What was asked without a brief is a tie.
/// </summary>
public sealed class FidelityJudge : IDraftJudge
{
    public string Name => "fidelity";

    public string Basis => "exact name, facts restated, no foreign names or numbers, no unsupported words";

    public double Score(Conversation prompt, string text)
    {
        if (Brief.Find(prompt) is not { } brief) return 0;
        CopyMetrics metrics = CopyMetrics.Of(brief, text);
        return (metrics.NameExact ? 1 : 0) + metrics.FactRecall - Math.Min(3, metrics.Foreign.Count) - metrics.Unsupported;
    }
}
