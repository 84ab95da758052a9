using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Held-out positions, and how often a model plays a move there that keeps what the position is worth.</summary>
/// <param name="NumPositions">Asked.</param>
/// <param name="Policy">Share of such moves of the model alone, with its 95% interval.</param>
/// <param name="Search">The same with a search.</param>
/// <param name="Legal">Share of positions in which the model's likeliest token of all is a legal move.</param>
public sealed record PositionScore(int NumPositions, Interval Policy, Interval Search, Interval Legal);

/// <summary>
/// Draws and solves positions, and examines on them. A position is asked only where a wrong move exists: one that turns a win into less or a
/// draw into a loss.
/// </summary>
internal static class PositionExam
{
    private const int FewestPlies = 12, MostPlies = 32;

    /// <summary>
    /// Positions with their solved best moves. Every second one comes from random moves; the others from 12 random moves and then good ones,
    /// of which three in ten are random, which leaves more of them in the balance.
    /// </summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">The same seed, the same positions.</param>
    /// <param name="solver">Solves them.</param>
    public static IEnumerable<(ConnectFour Position, IReadOnlyList<int> Best, string Play)> Draw(int count, int seed, ConnectFourSolver solver)
    {
        var random = new Random(seed);
        var seen = new HashSet<ulong>();
        while (seen.Count < count)
        {
            bool careful = seen.Count % 2 == 1;
            int plies = random.Next(FewestPlies + (careful ? 2 : 0), MostPlies + 1);
            ConnectFour position = ConnectFour.Empty;
            while (position.NumPlies < plies && !position.IsOver)
            {
                IReadOnlyList<int> moves = careful && position.NumPlies >= FewestPlies && random.Next(10) >= 3 ? solver.BestMoves(position).Best : position.Moves();
                position = position.Play(moves[random.Next(moves.Count)]);
            }
            if (position.IsOver) continue;
            (IReadOnlyList<int> best, int numMoves) = solver.BestMoves(position);
            if (best.Count < numMoves && seen.Add(position.SymmetricKey)) yield return (position, best, careful ? "careful" : "random");
        }
    }

    /// <summary>As lines of the task's held-out file.</summary>
    public static string LineOf(ConnectFour position, IReadOnlyList<int> best, string play) =>
        new JsonObject { ["position"] = $"{position}", ["answer"] = string.Join(' ', best), ["play"] = play }.ToJsonString(JsonText.Compact);

    /// <summary>The positions that a task holds out, each once however it is mirrored.</summary>
    public static IReadOnlySet<ulong> HeldOut(TaskFolder task, FlywheelHome home) => TaskItems.HeldOut(task, home).Select(item => GameTask.PositionOf(item.Fields).SymmetricKey).ToHashSet();

    public static async Task<PositionScore> TakeAsync(GameModel model, TaskFolder task, FlywheelHome home, MeasureRecipe recipe, double exploration, CancellationToken cancellation)
    {
        TaskItem[] items = [.. TaskItems.HeldOut(task, home).Take(recipe.Positions)];
        ConnectFour[] positions = [.. items.Select(item => GameTask.PositionOf(item.Fields))];
        Evaluation[] evaluations = await model.EvaluateAsync(positions, cancellation);
        GameTree[] trees = await SearchPlayer.SearchAsync(model, new SearchSettings(recipe.Simulations, exploration), positions, cancellation);
        return new PositionScore(items.Length, Share((item, i) => IsBest(item, evaluations[i].Best)), Share((item, i) => IsBest(item, SearchPlayer.BestOf(trees[i].Shares()))), Share((_, i) => evaluations[i].TakesLegalMove));

        Interval Share(Func<TaskItem, int, bool> holds) => TaskMetric.Wilson(items.Where(holds).Count() / (double)items.Length, items.Length);

        static bool IsBest(TaskItem item, int column) => item.Answer.Split(' ').Contains($"{column}");
    }
}
