using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// Says which of two drafts to the same prompt is the better one, without knowing which model wrote which: each draft gets a score by
/// itself, so that their order cannot matter.
/// </summary>
public interface IDraftJudge
{
    /// <summary>Such as <c>fidelity</c>; what a recipe's <c>gate.judge</c> names.</summary>
    string Name { get; }

    /// <summary>What it goes by, in words.</summary>
    string Basis { get; }

    /// <summary>Higher is better; equal scores are a tie.</summary>
    /// <param name="prompt">What was asked.</param>
    /// <param name="text">What was written.</param>
    double Score(Conversation prompt, string text);
}
