using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Held-out positions, and how often a model plays a move there that is as good as any.</summary>
/// <param name="NumPositions">Of which the best moves are known.</param>
/// <param name="Policy">Share of such moves of the model alone, with its 95% interval.</param>
/// <param name="Search">The same with a search.</param>
/// <param name="Legal">Share of positions, of these and of others, in which the model's likeliest token of all is a legal move.</param>
public sealed record PositionScore(int NumPositions, Interval Policy, Interval Search, Interval Legal);

/// <summary>
/// Draws positions, has the best moves found, and examines on them. A position is asked only where a wrong move exists. Whether a move is
/// legal is asked in all phases of a game besides, of positions that nobody needs to have solved.
/// </summary>
internal static class PositionExam
{
    private const int FewestPlies = 12, LegalSeed = 77;

    /// <summary>
    /// Positions with their best moves. Every second one comes from random moves; the others from good ones, once the oracle can tell, of
    /// which three in ten are random, which leaves more of them in the balance.
    /// </summary>
    /// <param name="game">The game.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">The same seed, the same positions.</param>
    /// <param name="oracle">Knows the best moves.</param>
    public static IEnumerable<(GamePosition Position, IReadOnlyList<int> Best, string Play)> Draw(Game game, int count, int seed,
        IGameOracle oracle)
    {
        var random = new Random(seed);
        var seen = new HashSet<ulong>();
        while (seen.Count < count)
        {
            bool careful = seen.Count % 2 == 1;
            int plies = random.Next(oracle.Plies.Fewest + (careful ? 2 : 0), oracle.Plies.Most + 1);
            GamePosition position = game.Start;
            while (position.NumPlies < plies && !position.IsOver)
            {
                IReadOnlyList<int> moves = careful && position.NumPlies >= oracle.Plies.Fewest && random.Next(10) >= 3
                    ? oracle.BestMoves(position) : position.Moves;
                position = position.Play(moves[random.Next(moves.Count)]);
            }
            if (position.IsOver) continue;
            IReadOnlyList<int> best = oracle.BestMoves(position);
            if (best.Count < position.Moves.Count && seen.Add(position.SymmetricKey))
                yield return (position, best, careful ? "careful" : "random");
        }
    }

    /// <summary>As lines of the task's held-out file.</summary>
    public static string LineOf(GamePosition position, IReadOnlyList<int> best, string play) =>
        new JsonObject { ["position"] = $"{position}", ["answer"] = position.Game.Spell(best),
            ["play"] = play }.ToJsonString(JsonText.Compact);

    /// <summary>The positions that a task holds out, each once however it is turned.</summary>
    public static IReadOnlySet<ulong> HeldOut(TaskFolder task, FlywheelHome home, MeasureRecipe recipe) =>
        ItemsOf(task, home).Select(item => item.Position).Concat(Unseen(GameTasks.GameOf(task), recipe.Positions))
            .Select(position => position.SymmetricKey).ToHashSet();

    public static async Task<PositionScore> TakeAsync(GameModel model, TaskFolder task, FlywheelHome home, MeasureRecipe recipe,
        double exploration, CancellationToken cancellation)
    {
        (GamePosition Position, string[] Best)[] items = [.. ItemsOf(task, home).Take(recipe.Positions)];
        GamePosition[] positions = [.. items.Select(item => item.Position)], others = [.. Unseen(model.Game, recipe.Positions)];
        Evaluation[] evaluations = await model.EvaluateAsync(positions, cancellation),
            more = await model.EvaluateAsync(others, cancellation);
        GameTree[] trees = await SearchPlayer.SearchAsync(model, new SearchSettings(recipe.Simulations, exploration), positions,
            cancellation);
        return new PositionScore(items.Length, Share(i => IsBest(i, positions[i].Moves[evaluations[i].Best])),
            Share(i => IsBest(i, SearchPlayer.BestOf(trees[i]))),
            Wilson(evaluations.Concat(more).Count(evaluation => evaluation.TakesLegalMove), items.Length + others.Length));

        Interval Share(Func<int, bool> holds) => Wilson(Enumerable.Range(0, items.Length).Count(holds), items.Length);

        static Interval Wilson(int count, int of) => TaskMetric.Wilson(count / (double)of, of);

        bool IsBest(int i, int move) => items[i].Best.Contains(model.Game.Symbol(move));
    }

    /// <summary>Positions of every phase: of games by random moves, and by moves that look one ply ahead seven times in ten.</summary>
    public static IEnumerable<GamePosition> Unseen(Game game, int count)
    {
        var random = new Random(LegalSeed);
        var seen = new HashSet<ulong>();
        while (seen.Count < count)
        {
            int plies = random.Next(FewestPlies, game.NumTypicalPlies + 1);
            bool looks = seen.Count % 2 == 1;
            GamePosition position = game.Start;
            for (int ply = 0; ply < plies && !position.IsOver; ply++)
            {
                IReadOnlyList<int> moves = looks && random.Next(10) >= 3 ? game.OnePly(position) : position.Moves;
                position = position.Play(moves[random.Next(moves.Count)]);
            }
            if (!position.IsOver && seen.Add(position.SymmetricKey)) yield return position;
        }
    }

    private static IEnumerable<(GamePosition Position, string[] Best)> ItemsOf(TaskFolder task, FlywheelHome home)
    {
        Game game = GameTasks.GameOf(task);
        return TaskItems.HeldOut(task, home).Select(item => (GameTask.PositionOf(game, item.Fields), item.Answer.Split(' ')));
    }
}

/// <summary>A game's held-out file: drawn positions with their best moves, which self-play must not learn from.</summary>
public static class PositionFile
{
    /// <param name="task">With a game.</param>
    /// <param name="path">JSON lines, as the task's <c>split.file</c>.</param>
    /// <param name="count">Positions.</param>
    /// <param name="seed">The same seed, the same positions.</param>
    public static void Write(TaskFolder task, string path, int count, int seed)
    {
        Game game = GameTasks.GameOf(task);
        IGameOracle oracle = GameOracles.For(game);
        AtomicFile.WriteText(path,
            string.Concat(PositionExam.Draw(game, count, seed, oracle)
                .Select(one => PositionExam.LineOf(one.Position, one.Best, one.Play) + "\n")));
    }
}
