using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>A game's held-out file: drawn and solved positions, which self-play must not learn from.</summary>
public static class PositionFile
{
    /// <param name="path">JSON lines, as the task's <c>split.file</c>.</param>
    /// <param name="count">Positions.</param>
    /// <param name="seed">The same seed, the same positions.</param>
    public static void Write(string path, int count, int seed) =>
        AtomicFile.WriteText(path, string.Concat(PositionExam.Draw(count, seed, new ConnectFourSolver()).Select(one => PositionExam.LineOf(one.Position, one.Best, one.Play) + "\n")));
}
