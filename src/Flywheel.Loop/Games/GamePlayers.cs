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
    /// <returns>A legal column for each.</returns>
    Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation);
}

/// <summary>Any legal move.</summary>
internal sealed class RandomPlayer : IGamePlayer
{
    public string Name => "random";

    public Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) =>
        Task.FromResult<int[]>([.. positions.Zip(seeds, (position, seed) => Any(position.Moves(), seed))]);

    internal static int Any(IReadOnlyList<int> moves, int seed) => moves[new Random(seed).Next(moves.Count)];
}

/// <summary>Wins where it can at once, else prevents that the other side does; else any legal move.</summary>
internal sealed class OnePlyPlayer : IGamePlayer
{
    public string Name => "one-ply";

    public Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) => Task.FromResult<int[]>([.. positions.Zip(seeds, Choose)]);

    private static int Choose(ConnectFour position, int seed)
    {
        IReadOnlyList<int> moves = position.Moves();
        var others = new ConnectFour(position.Other, position.Stones);
        int[] wins = [.. moves.Where(position.Wins)], blocks = [.. moves.Where(others.Wins)];
        return RandomPlayer.Any(wins.Length > 0 ? wins : blocks.Length > 0 ? blocks : moves, seed);
    }
}

/// <summary>Any of the moves that keep what the position is worth.</summary>
internal sealed class SolverPlayer(ConnectFourSolver solver) : IGamePlayer
{
    public string Name => "solver";

    public Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) => Task.FromResult<int[]>([.. positions.Zip(seeds, (position, seed) =>
    {
        cancellation.ThrowIfCancellationRequested();
        return RandomPlayer.Any(solver.BestMoves(position).Best, seed);
    })]);
}

/// <summary>A model's likeliest legal move, without any search.</summary>
internal sealed class PolicyPlayer(GameModel model) : IGamePlayer
{
    public string Name => model.Folder.ShortHash;

    public async Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) =>
        [.. (await model.EvaluateAsync(positions, cancellation)).Select(evaluation => evaluation.Best)];
}

/// <summary>A model with a search: the most visited move; without noise, so that it draws nothing.</summary>
internal sealed class SearchPlayer(GameModel model, SearchSettings settings) : IGamePlayer
{
    public string Name => model.Folder.ShortHash;

    public async Task<int[]> ChooseAsync(IReadOnlyList<ConnectFour> positions, IReadOnlyList<int> seeds, CancellationToken cancellation) =>
        [.. (await SearchAsync(model, settings, positions, cancellation)).Select(tree => BestOf(tree.Shares()))];

    /// <summary>Searches several positions side by side.</summary>
    public static async Task<GameTree[]> SearchAsync(GameModel model, SearchSettings settings, IReadOnlyList<ConnectFour> positions, CancellationToken cancellation)
    {
        GameTree[] trees = [.. positions.Select(position => new GameTree(position, settings))];
        while (true)
        {
            var leaves = new List<(GameTree Tree, ConnectFour Position)>();
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

    internal static int BestOf(double[] shares) => Array.IndexOf(shares, shares.Max());
}
