using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Who plays a side of a match: chooses moves in many positions at once.</summary>
internal interface IGamePlayer
{
    /// <summary>What it is called in results.</summary>
    string Name { get; }

    /// <param name="positions">In which it is to move; none is over.</param>
    /// <param name="seeds">Of each choice, for a player that draws.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>A legal move for each.</returns>
    Task<int[]> ChooseAsync(IReadOnlyList<GamePosition> positions, IReadOnlyList<int> seeds, CancellationToken cancellation);
}

/// <summary>Any of the moves that a rule leaves.</summary>
/// <param name="name">Of the player.</param>
/// <param name="choices">At least one move of a position.</param>
internal sealed class RulePlayer(string name, Func<GamePosition, IReadOnlyList<int>> choices) : IGamePlayer
{
    /// <summary>Any legal move.</summary>
    public static RulePlayer Random { get; } = new("random", position => position.Moves);

    /// <summary>Looks at what a move does at once, and no further.</summary>
    public static RulePlayer OnePly { get; } = new("one-ply", position => position.Game.OnePly(position));

    /// <summary>One who knows which moves are best.</summary>
    public static RulePlayer Of(IGameOracle oracle) => new(oracle.Name, position => oracle.BestMoves(position));

    public string Name => name;

    public Task<int[]> ChooseAsync(IReadOnlyList<GamePosition> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) =>
        Task.FromResult<int[]>([.. positions.Zip(seeds, (position, seed) =>
        {
            cancellation.ThrowIfCancellationRequested();
            IReadOnlyList<int> moves = choices(position);
            return moves[new Random(seed).Next(moves.Count)];
        })]);
}

/// <summary>A model with a search: the most visited move; without noise, so that it draws nothing.</summary>
internal sealed class SearchPlayer(GameModel model, SearchSettings settings) : IGamePlayer
{
    public string Name => model.Folder.ShortHash;

    public async Task<int[]> ChooseAsync(IReadOnlyList<GamePosition> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) =>
        [.. (await SearchAsync(model, settings, positions, cancellation)).Select(BestOf)];

    /// <summary>Searches several positions side by side.</summary>
    public static async Task<GameTree[]> SearchAsync(GameModel model, SearchSettings settings, IReadOnlyList<GamePosition> positions,
        CancellationToken cancellation)
    {
        GameTree[] trees = [.. positions.Select(position => new GameTree(position, settings))];
        while (true)
        {
            var leaves = new List<(GameTree Tree, GamePosition Position)>();
            foreach (GameTree tree in trees)
                while (!tree.IsDone)
                {
                    if (tree.Descend() is not { } leaf) continue; // ended with the game: the next one
                    leaves.Add((tree, leaf));
                    break;
                }
            if (leaves.Count == 0) return trees;
            Evaluation[] evaluations = await model.EvaluateAsync([.. leaves.Select(leaf => leaf.Position)], cancellation);
            for (int i = 0; i < leaves.Count; i++) leaves[i].Tree.Evaluated(evaluations[i]);
        }
    }

    /// <summary>The move that a search ends with.</summary>
    internal static int BestOf(GameTree tree)
    {
        double[] shares = tree.Shares();
        return tree.Position.Moves[Array.IndexOf(shares, shares.Max())];
    }
}
